"""What survives a failure: of an evaluator, a training, data, folders and disks."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors import safe_open

from harness import Annotations, DataSet, Score, Splits, UnfitError, UsageError, VectorSource
from harness.errors import CorruptDataError, EvaluationError, PluginError, StorageError
from harness.ledger.records import check_record
from harness.ledger.stores import FolderStore

SAVE_ALWAYS = {"checkpoint_every_s": 0.0}

# --------------------------------------------------------------------------------- an evaluator that fails its cell


def raising(error):
    def act(task):
        raise error

    return act


@pytest.mark.parametrize(
    ("act", "type_", "message"),
    [
        (raising(ZeroDivisionError("mine")), "ZeroDivisionError", "mine"),
        (raising(EvaluationError("too few samples")), "EvaluationError", "too few samples"),
        (raising(UsageError("not for such data")), "UsageError", "not for such data"),
        (raising(UnfitError("cannot be drawn")), "UnfitError", "cannot be drawn"),
        (raising(PluginError("x", "broken")), "PluginError", "Plugin x: broken"),
        (raising(KeyError()), "KeyError", "KeyError"),
        (raising(MemoryError()), "MemoryError", "MemoryError"),
        (lambda task: None, "EvaluationError", "where a list of Score was expected"),
        (lambda task: [Score(name="accuracy", value=math.nan)], "EvaluationError", "accuracy is nan"),
        (lambda task: [Score(name="accuracy", value=101.0)], "EvaluationError", "lies outside"),
        (lambda task: [Score(name="accuracy", value=1.0, of={"a": object()})], "EvaluationError", "does not fit into a record"),
    ],
)
def test_a_broken_evaluator_fails_its_cell_and_the_others_go_on(toy, act, type_, message):
    outcome = toy.with_evaluator("broken", act).run(evaluators=("broken", "centroid"), references=False)
    failed, good = outcome.records
    assert (failed.status, failed.error.type) == ("failed", type_)
    assert message in failed.error.message
    assert failed.metrics == ()
    assert failed.selection is not None
    assert good.status == "ok"
    check_record(failed)


def test_a_failure_of_somebody_elses_code_has_the_end_of_its_traceback(toy):
    [record] = (
        toy.with_evaluator("broken", raising(ZeroDivisionError("mine"))).run(evaluators=("broken",), references=False).records
    )
    assert record.error.traceback.endswith("ZeroDivisionError: mine")
    assert "in act" in record.error.traceback


def test_a_failure_on_purpose_has_no_traceback(toy):
    [record] = toy.with_evaluator("broken", raising(EvaluationError("mine"))).run(evaluators=("broken",), references=False).records
    assert record.error.traceback == ""


@pytest.mark.parametrize("message", ["x" * 100_000, "\udcff name", "\x00\n" * 40_000])
def test_a_failure_with_any_message_is_recorded(toy, message):
    [record] = toy.with_evaluator("broken", raising(ValueError(message))).run(evaluators=("broken",), references=False).records
    assert record.status == "failed"
    assert list(FolderStore(toy.folder / "runs" / "records").all()) == [record]


def test_an_evaluator_that_cannot_be_built_fails_its_cell(toy):
    broken = toy.with_parts(toy.entry(toy.evaluator("broken"), lambda options: "no evaluator"))
    failed, good = broken.run(evaluators=("broken", "centroid"), references=False).records
    assert failed.error.message == "Plugin toy (toy-parts 1.0): evaluator broken was built as str, not a harness.Evaluator."
    assert good.status == "ok"


def test_an_evaluator_that_changes_what_it_was_given_changes_no_other_cell(toy, comparable):
    def spoil(task):
        with pytest.raises(ValueError, match="read-only"):
            task.train.features[:] = 0
        task.train.labels[:] = 0
        encoder = task.fresh_encoder()
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter.zero_()
        return [Score(name="accuracy", value=1.0)]

    spoilt = toy.with_evaluator("spoiler", spoil, needs=("labels", "encoder"))
    records = spoilt.run(evaluators=("spoiler", "centroid"), features=("y", "hidden"), references=False).records
    assert {record.status for record in records} == {"ok"}
    good = toy.run(out="other", evaluators=("centroid",), features=("y", "hidden"), references=False).records
    assert comparable(records[1::2]) == comparable(good)


def test_a_fresh_encoder_has_the_trained_weights(toy):
    def compare(task):
        [batch] = task.inputs.in_order(60)
        with torch.no_grad():
            y = task.fresh_encoder().eval()(batch)["y"].numpy()
        return [
            Score(name="accuracy", value=100 * float(np.allclose(y[task.test.index], task.test.features, rtol=1e-5, atol=1e-6)))
        ]

    [record] = (
        toy.with_evaluator("fresh", compare, needs=("inputs", "encoder")).run(evaluators=("fresh",), references=False).records
    )
    assert record.metrics[0].value == 100


def test_a_fresh_encoder_gives_the_judged_feature_in_the_runs_arithmetic(toy):
    found = []

    def compare(task):
        [batch], encoder = task.inputs.in_order(60), task.fresh_encoder().eval()
        with torch.no_grad():
            in_float32 = encoder(batch)["y"].numpy()
            with task.autocast():
                as_judged = encoder(batch)["y"].float().numpy()
        found.extend([(as_judged[task.test.index] == task.test.features).all(), (in_float32 == as_judged).all()])
        return [Score(name="accuracy", value=1.0)]

    toy.with_evaluator("fresh", compare, needs=("inputs", "encoder")).run(evaluators=("fresh",), references=False, precision="bf16")
    assert found == [True, False]


@pytest.fixture
def with_decoder(toy, monkeypatch):
    """In which the encoder "mlp" has a decoder of one layer; `make(decoder)` gives another in its place."""
    made = ModuleType("toy_decoders")
    made.linear = lambda encoder, feature, generator, scale: torch.nn.Linear(encoder.feature_shapes[feature][0], int(6 * scale))
    monkeypatch.setitem(sys.modules, "toy_decoders", made)
    [found] = [entry for entry in toy.entries if (entry.kind, entry.name) == ("encoder", "mlp")]

    def make(attribute="linear", value=None):
        setattr(made, attribute, value or made.linear)
        return toy.with_parts(toy.entry(msgspec.structs.replace(found.spec, decoder=f"toy_decoders:{attribute}"), found.made))

    return make


def test_an_evaluator_gets_fresh_decoders_of_the_feature_it_judges(with_decoder):
    seen = {}

    def look(task):
        decoders = [task.decoder(torch.Generator(), scale) for scale in (1.0, 1.0, 2.0)]
        seen[task.feature] = [tuple(decoder.weight.shape) for decoder in decoders]
        return [Score(name="accuracy", value=100 * float(torch.equal(decoders[0].weight, decoders[1].weight)))]

    judged = with_decoder().with_evaluator("looking", look, needs=("decoder",))
    outcome = judged.run(evaluators=("looking",), features=("y", "hidden"), references=False)
    assert [record.metrics[0].value for record in outcome.records] == [0, 0]
    assert seen == {"y": [(6, 3), (6, 3), (12, 3)], "hidden": [(6, 6), (6, 6), (12, 6)]}


def test_a_decoders_weights_are_those_of_the_cells_seed(with_decoder):
    def look(task):
        return [Score(name="accuracy", value=50 + task.decoder(torch.Generator(), 1.0).weight.sum().item())]

    judged = with_decoder().with_evaluator("looking", look, needs=("decoder",))
    one, again, other = (
        judged.run(evaluators=("looking",), references=False, out=out, seeds=seeds).records[0].metrics[0].value
        for out, seeds in (("one", (0,)), ("again", (0,)), ("other", (1,)))
    )
    assert one == again != other


def test_an_objective_gets_the_decoder_of_the_default_feature(with_decoder):
    made = with_decoder()
    spec = made.catalog.objective("decoding").spec
    asked = []

    def build(encoder, context, options, generator):
        asked.append(context.decoder(generator, 1.0).weight.shape)
        return made.Predict(encoder, context, made.catalog.objective("predict").spec.options(), generator)

    decoding = made.with_parts(made.entry(spec, build))
    [record] = decoding.run(method="decode", evaluators=("spread",), references=False, options=("train.epochs=1",)).records
    assert record.status == "ok"
    assert asked == [(6, 3)]


def test_a_decoder_that_is_no_module_fails_its_cell(with_decoder):
    def look(task):
        task.decoder(torch.Generator(), 1.0)

    broken = with_decoder("nothing", lambda *arguments: "nothing").with_evaluator("looking", look, needs=("decoder",))
    failed, good = broken.run(evaluators=("looking", "spread"), references=False).records
    sentence = "Plugin toy (toy-parts 1.0): the decoder of encoder mlp was built as str, not a torch.nn.Module."
    assert failed.error.message == sentence
    assert good.status == "ok"


def test_exported_modules_are_there_for_those_that_need_them(toy):
    def look(task):
        return [Score(name="accuracy", value=float(list(task.modules) == ["decoder"]))]

    [record] = toy.with_evaluator("looking", look, needs=("modules",)).run(evaluators=("looking",), references=False).records
    assert record.metrics[0].value == 1


# ------------------------------------------------------------------------------------------ a training that fails


def test_a_loss_that_is_not_finite_gives_diverged_records_with_step_and_losses(toy):
    scripted = toy.with_script(lambda objective, step: math.nan if step.index == 7 else 0.0)
    outcome = scripted.run(evaluators=("centroid", "spread"))
    assert [record.status for record in outcome.records] == ["diverged"] * 2 + ["ok"] * 6
    for record in outcome.records[:2]:
        assert record.error.type == "DivergedError"
        assert record.error.step == 7
        assert record.error.terms["predict/loss"] == "nan"
        assert float(record.error.terms["predict/error"]) > 0
        assert record.artifacts.checkpoint_sha256 is None
        check_record(record)


def test_a_diverged_training_diverges_again_from_its_checkpoint(toy):
    scripted = toy.with_script(lambda objective, step: math.inf if step.index == 7 else 0.0)
    for attempt in (1, 2):
        [record] = scripted.run(references=False, settings=SAVE_ALWAYS).records
        assert (record.status, record.error.step, record.attempt) == ("diverged", 7, attempt)


def test_weights_that_are_not_finite_after_the_last_step_fail_the_cells(toy):
    def spoil(objective, step):
        if step.index == 19:  # the last: the loss is finite, the gradient is not
            objective.encoder.hidden.bias.register_hook(lambda gradient: gradient * torch.nan)
        return 0.0

    [record] = toy.with_script(spoil).run(references=False, evaluators=("spread",)).records
    assert record.status == "failed"
    assert "check that training did not diverge" in record.error.message


@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), UsageError("mine"), UnfitError("mine"), PluginError("x", "mine")])
def test_a_training_that_raises_gives_failed_records_and_the_other_runs_go_on(toy, error):
    def fail(objective, step):
        raise error

    outcome = toy.with_script(fail).run()
    assert [record.status for record in outcome.records] == ["failed", "ok", "ok", "ok"]
    assert outcome.problems == []
    assert "mine" in outcome.records[0].error.message


def test_an_encoder_with_other_features_than_its_spec_gives_failed_records(toy):
    from harness import FeatureSpec

    spec = toy.catalog.encoder("mlp").spec
    made = next(entry.made for entry in toy.entries if entry.name == "mlp")
    swapped = msgspec.structs.replace(spec, features=(FeatureSpec("hidden", ""), FeatureSpec("y", "")))
    [record] = toy.with_parts(toy.entry(swapped, made)).run(references=False).records
    assert record.error.message.startswith("Plugin toy (toy-parts 1.0): encoder mlp declares features ['hidden', 'y']")


@pytest.mark.parametrize(("kind", "name", "word"), [("encoder", "mlp", "Encoder"), ("objective", "predict", "Objective")])
def test_a_part_that_is_built_as_something_else_gives_failed_records(toy, kind, name, word):
    [found] = [entry for entry in toy.entries if (entry.kind, entry.name) == (kind, name)]
    [record] = toy.with_parts(toy.entry(found.spec, lambda *arguments: "nothing")).run(references=False).records
    assert record.error.message == f"Plugin toy (toy-parts 1.0): {kind} {name} was built as str, not a harness.{word}."


# -------------------------------------------------------------------------------------------------- data that fail


def blobs(toy, change):
    """The toy world with blobs whose arrays are changed after they were built."""

    def build(context, options):
        dataset = toy.build_blobs(context, options)
        return change(dataset)

    return toy.with_parts(toy.entry(toy.BLOBS, build))


def with_values(dataset, add):
    [batch] = dataset.inputs.in_order(60)
    source = VectorSource(batch.values + add)
    return DataSet(inputs=source, annotations=dataset.annotations, pretrain=source.subset(np.arange(45)))


def with_annotations(dataset, **changes):
    fields = {name: getattr(dataset.annotations, name) for name in ("splits", "labels", "factors", "truth")}
    return DataSet(inputs=dataset.inputs, annotations=Annotations(**(fields | changes)), pretrain=dataset.pretrain)


@pytest.mark.parametrize(
    "change",
    [
        lambda dataset: with_values(dataset, 1e-3),
        lambda dataset: with_annotations(dataset, labels=dataset.annotations.labels[::-1].copy()),
        lambda dataset: with_annotations(dataset, labels=None),
        lambda dataset: with_annotations(dataset, factors={"size": np.arange(60)}),
        lambda dataset: with_annotations(dataset, splits={"blobs-split": Splits(train=np.arange(44), test=np.arange(44, 60))}),
    ],
    ids=["inputs", "labels", "no labels", "factors", "splits"],
)
def test_content_that_changes_under_one_recipe_is_an_error(toy, change):
    toy.run(references=False)
    outcome = blobs(toy, change).run(out="other", references=False)
    assert outcome.records == []
    [problem] = outcome.problems
    assert isinstance(problem, CorruptDataError)
    assert "was read into other arrays than before under the same recipe" in str(problem)
    assert "delete" in str(problem)


def test_changed_content_does_not_touch_what_was_recorded(toy, tree):
    toy.run(references=False)
    before = tree(toy.folder)
    blobs(toy, lambda dataset: with_values(dataset, 1.0)).run(references=False, evaluators=("spread",))
    assert tree(toy.folder) == before


def test_other_content_under_another_recipe_is_other_data(toy):
    toy.run(references=False)
    other = toy.with_parts(
        toy.entry(
            msgspec.structs.replace(toy.BLOBS, revision="2", version=2),
            lambda context, options: with_values(toy.build_blobs(context, options), 1.0),
        )
    )
    assert other.run(references=False).records[0].status == "ok"


def test_a_content_note_that_is_deleted_is_written_again(toy):
    toy.run(references=False)
    [note] = (toy.folder / "cache" / "content").iterdir()
    note.unlink()
    assert blobs(toy, lambda dataset: with_values(dataset, 1.0)).run(out="other", references=False).records
    assert note.exists()


def test_an_old_run_whose_inputs_have_changed_is_not_judged_by_what_looks_at_them(toy):
    def changed(dataset):
        return with_values(dataset, 1.0)

    toy.run(references=False)
    [note] = (toy.folder / "cache" / "content").iterdir()
    note.unlink()  # as on another machine, which has not read the data before
    looking = blobs(toy.with_evaluator("looking", lambda task: [Score(name="accuracy", value=1.0)], needs=("inputs",)), changed)
    looked, other = looking.run(references=False, evaluators=("looking", "spread")).records
    assert (looked.status, other.status) == ("failed", "ok")
    assert looked.error.type == "EvaluationError"
    assert "looking looks at the inputs, and data set blobs is not read as it was when this run was trained" in looked.error.message


def test_a_cache_that_cannot_be_written_loses_only_that_check(toy, monkeypatch):
    (toy.folder / "file").touch()
    monkeypatch.setenv("HARNESS_CACHE", str(toy.folder / "file" / "cache"))
    assert toy.run(references=False).records[0].status == "ok"


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda context, options: 1 / 0, "data set blobs could not be built: ZeroDivisionError: division by zero"),
        (lambda context, options: None, "data set blobs was built as NoneType, not harness.DataSet"),
    ],
)
def test_a_data_set_that_cannot_be_built_is_one_problem_and_no_record(toy, build, sentence):
    outcome = toy.with_parts(toy.entry(toy.BLOBS, build)).run()
    assert outcome.records == []
    [problem] = outcome.problems
    assert sentence in str(problem)


def test_a_data_set_without_the_protocols_splits_is_a_problem(toy):
    outcome = blobs(toy, lambda dataset: with_annotations(dataset, splits={})).run()
    assert [str(problem) for problem in outcome.problems] == [
        "Plugin toy: data set blobs has no splits for protocol 'blobs-split'."
    ]


def test_runs_on_other_data_go_on(toy):
    from harness.execution import Settings, execute, pending
    from harness.ledger.runs import Plan

    broken = toy.with_parts(toy.entry(toy.BLOBS, lambda context, options: None))
    plan = Plan(runs=(broken.first(), broken.first(method="any", data="pictures")))
    settings = Settings(out=toy.folder / "runs", device="cpu")
    outcome = execute(pending(plan, settings), broken.catalog, broken.plugins, settings)
    assert len(outcome.problems) == 1
    assert [record.identity.data.name for record in outcome.records] == ["pictures"]


def test_a_data_set_is_loaded_once(toy):
    loads = []

    def build(context, options):
        loads.append(1)
        return toy.build_blobs(context, options)

    toy.with_parts(toy.entry(toy.BLOBS, build)).run(seeds=(0, 1, 2))
    assert len(loads) == 1


# ------------------------------------------------------------------------------- folders and disks that fail


def test_a_folder_that_cannot_be_written_is_a_storage_error(toy):
    (toy.folder / "file").touch()
    with pytest.raises(StorageError, match="The run folder .* cannot be made: Not a directory; choose another with --out"):
        toy.run(out="file/runs", settings={"store": toy.folder / "records"})


def test_a_store_that_cannot_be_written_is_a_storage_error(toy):
    (toy.folder / "file").touch()
    with pytest.raises(StorageError, match="could not be"):
        toy.run(settings={"store": toy.folder / "file" / "records"})


class FullDisk:
    """Lets so many calls of a system function succeed and then fails as a full disk does."""

    def __init__(self, call, succeed):
        self.call, self.left = call, succeed
        self.calls = 0

    def __call__(self, *arguments, **keywords):
        self.calls += 1
        if self.left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.left -= 1
        return self.call(*arguments, **keywords)


def assert_whole(folder):
    """Every file is whole, and none is temporary."""
    for path in folder.rglob("*"):
        assert not path.name.startswith(".tmp-")
        if path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix == ".jsonl":
            [json.loads(line) for line in path.read_text().splitlines()]
        elif path.suffix == ".safetensors":
            with safe_open(str(path), framework="pt") as file:
                assert list(file.keys()) is not None
        elif path.suffix == ".npy":
            np.load(path, allow_pickle=False)


@pytest.mark.parametrize("target", ["fsync", "write"])
def test_a_full_disk_is_a_storage_error_and_loses_nothing_written(toy, comparable, tree, monkeypatch, target):
    """The disk fills up at every possible write of a request in turn, each time a few writes further."""
    expected = comparable(toy.run(out="elsewhere", settings=SAVE_ALWAYS).records)
    out = toy.folder / "runs"
    kept: dict[str, bytes] = {}
    owner, name = (os, "fsync") if target == "fsync" else (Path, "write_bytes")
    for failures in range(200):  # noqa: B007 (counted for the assertion below)
        with monkeypatch.context() as patch:
            disk = FullDisk(getattr(owner, name), succeed=7)
            patch.setattr(owner, name, disk if target == "fsync" else lambda *arguments, disk=disk: disk(*arguments))
            try:
                outcome = toy.run(settings=SAVE_ALWAYS)
            except StorageError as error:
                assert "the disk is full" in str(error)  # noqa: PT017 (it succeeds in the end)
                outcome = None
        assert_whole(out)
        now = tree(out)
        assert {name: content for name, content in kept.items() if name.startswith("records")}.items() <= now.items()
        kept = now
        if outcome is not None:
            break
    assert failures > 3
    assert comparable(outcome.records) == expected


def test_the_same_run_in_another_process_is_refused(toy):
    folder = toy.folder / "runs" / toy.first().folder
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"), pytest.raises(UsageError, match="Another process is computing in .*; wait for it"):
        toy.run()
