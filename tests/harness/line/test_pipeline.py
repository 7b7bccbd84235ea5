"""The straight line through `execute`: what is computed, what is recorded, and what an interruption leaves."""

from __future__ import annotations

import threading

import msgspec
import numpy as np
import pytest
import torch
from filelock import FileLock
from threadpoolctl import threadpool_info

from harness import Score, UsageError, hookimpl
from harness.errors import OptionError, PluginError
from harness.execution import prepare
from harness.ledger.records import check_record
from harness.ledger.runs import read_run
from harness.ledger.stores import FolderStore
from harness.line import building, training
from harness.line.checkpoints import read_document
from harness.line.planning import plan_evaluation


def methods(outcome):
    return [record.identity.method.name for record in outcome.records]


class Interrupting:
    """A script for the objective "predict" that interrupts a training, once, at a step; counts the steps of both parts."""

    def __init__(self, at=None):
        self.at, self.steps = at, []

    def __call__(self, objective, step):
        if step.index == self.at:
            self.at = None
            raise KeyboardInterrupt
        self.steps.append(step.index)
        return 0.0


SAVE_ALWAYS = {"checkpoint_every_s": 0.0}

# ----------------------------------------------------------------------------------------------------- the records


def test_every_cell_gets_a_valid_record(toy):
    outcome = toy.run(seeds=(0, 1), evaluators=("centroid", "spread"))
    assert methods(outcome) == ["squeeze"] * 4 + ["majority"] * 4 + ["random"] * 4 + ["raw"] * 4
    assert outcome.computed == 16
    assert outcome.problems == []
    for record in outcome.records:
        check_record(record)
        assert record.status == "ok"


def test_records_are_in_the_store_as_they_were_returned(toy):
    outcome = toy.run()
    stored = {record.id: record for record in FolderStore(toy.folder / "runs" / "records").all()}
    assert stored == {record.id: record for record in outcome.records}


def test_a_record_says_all_that_it_should(toy):
    [record, *_] = toy.run(budget="smoke", options=("objective.lr=0.02",), settings={"command": "harness run"}).records
    assert (record.attempt, record.budget, record.reference, record.supervised) == (1, "smoke", False, False)
    assert record.n == {"train": 45, "test": 15}
    assert (record.selection.epochs, record.selection.steps) == (2, 10)
    assert record.selection.terms.keys() == {"predict/loss", "predict/error"}
    assert record.tuning.source == "given"
    assert record.artifacts.parameters == 6 * 6 + 6 + 6 * 3 + 3
    assert record.environment.threads == 1
    assert [origin.distribution for origin in record.source] == ["infomax-harness", "toy-parts"]
    assert record.passed == {"options": ["objective.lr=0.02"], "encoder": None, "command": "harness run"}
    assert record.time_s.train > 0
    assert record.peak_memory_bytes > 0
    assert record.error is None


def test_digests_are_those_of_the_files(toy):
    from harness.ledger.identity import file_sha256

    [record] = toy.run(references=False).records
    folder = toy.folder / "runs" / toy.first().folder
    assert record.artifacts.checkpoint_sha256 == file_sha256(folder / "model.safetensors")
    assert record.artifacts.representation_sha256 == file_sha256(folder / "features" / "y.npy")


def test_a_reference_row_is_flagged_and_has_no_selection(toy):
    squeeze, *references = toy.run().records
    assert not squeeze.reference
    assert all(record.reference and record.selection is None for record in references)


def test_a_supervised_row_is_marked(toy):
    [record, *_] = toy.run(method="taught").records
    assert record.status == "ok"
    assert record.supervised


def test_training_teaches_something(toy):
    squeeze, majority, *_ = toy.run(options=("train.epochs=20",)).records
    assert majority.primary.value == pytest.approx(100 / 3)
    assert squeeze.primary.value > 60


def test_tuning_says_where_the_options_come_from(toy):
    assert toy.run(references=False).records[0].tuning.source == "paper"
    assert toy.run(references=False, budget="smoke").records[0].tuning.source == "defaults"


def test_the_parts_of_the_protocol_are_counted(toy):
    assert toy.run(protocol="blobs-thirds", references=False).records[0].n == {"train": 20, "validation": 20, "test": 20}


# --------------------------------------------------------------------------------------- nothing is computed twice


def test_a_second_execution_computes_nothing_and_returns_the_same(toy, tree):
    script = Interrupting()
    scripted = toy.with_script(script)
    first = scripted.run()
    steps, before = len(script.steps), tree(toy.folder / "runs")
    second = scripted.run()
    assert second.computed == 0
    assert second.records == first.records
    assert len(script.steps) == steps
    assert tree(toy.folder / "runs") == before


def test_what_is_done_is_answered_without_the_data(toy):
    first = toy.run()

    def gone(context, options):
        raise AssertionError("loaded")

    assert toy.with_parts(toy.entry(toy.BLOBS, gone)).run().records == first.records


def test_a_further_evaluator_trains_nothing(toy):
    script = Interrupting()
    scripted = toy.with_script(script)
    scripted.run(references=False)
    steps = len(script.steps)
    outcome = scripted.run(references=False, evaluators=("centroid", "spread"))
    assert (outcome.computed, len(outcome.records)) == (1, 2)
    assert len(script.steps) == steps


def test_adding_an_evaluator_moves_no_other_number(toy, comparable):
    [alone] = comparable(toy.run(references=False).records)
    together = comparable(
        toy.run(out="other", references=False, evaluators=("spread", "centroid"), features=("hidden", "y")).records
    )
    assert alone in together


def test_a_rerun_computes_everything_anew_and_agrees(toy, comparable):
    script = Interrupting()
    scripted = toy.with_script(script)
    first = scripted.run()
    second = scripted.run(settings={"rerun": True})
    assert second.computed == 4
    assert {record.attempt for record in second.records} == {2}
    assert len(script.steps) == 40
    again = [dict(document, attempt=1) for document in comparable(second.records)]
    assert again == comparable(first.records)
    assert len(list(FolderStore(toy.folder / "runs" / "records").all())) == 8


def test_judging_again_trains_nothing(toy):
    script = Interrupting()
    scripted = toy.with_script(script)
    scripted.run(references=False)
    outcome = scripted.run(references=False, judge_again=True)
    assert [record.attempt for record in outcome.records] == [2]
    assert len(script.steps) == 20


def test_a_run_that_is_planned_twice_with_other_cells_computes_each_cell_once(toy):
    from harness.execution import Settings, execute, pending
    from harness.ledger.runs import Plan

    one, other = toy.first(evaluators=("centroid",)), toy.first(evaluators=("spread", "centroid"))
    settings = Settings(out=toy.folder / "runs", device="cpu", threads=1)
    outcome = execute(pending(Plan(runs=(one, other)), settings), toy.catalog, toy.plugins, settings)
    assert outcome.computed == 2
    assert {record.attempt for record in outcome.records} == {1}


def test_a_cell_that_failed_is_tried_again(toy):
    broken = toy.with_evaluator("fickle", lambda task: 1 / 0)
    assert [record.status for record in broken.run(references=False, evaluators=("fickle",)).records] == ["failed"]
    mended = toy.with_evaluator("fickle", lambda task: [Score(name="accuracy", value=1.0)])
    [record] = mended.run(references=False, evaluators=("fickle",)).records
    assert (record.status, record.attempt) == ("ok", 2)


def test_evaluating_an_old_run_again_leaves_its_plan_as_it_was(toy):
    toy.run(references=False)
    folder = toy.folder / "runs" / toy.first().folder
    planned = read_run(folder)
    toy.run(references=False, evaluators=("spread",), features=("hidden",))
    assert read_run(folder) == planned
    assert [cell.feature for cell in plan_evaluation(planned, ["spread"], None, [], toy.catalog).cells] == ["y"]


# ------------------------------------------------------------------------------------------- the same seed, anywhere


def test_the_same_seed_in_another_folder_gives_the_same_records(toy, comparable):
    one, other = toy.run(evaluators=("centroid", "spread")), toy.run(out="other", evaluators=("centroid", "spread"))
    assert comparable(one.records) == comparable(other.records)


def test_the_same_seed_in_another_folder_gives_the_same_files(toy, tree):
    toy.run()
    toy.run(out="other")
    files = [
        {
            name: content
            for name, content in tree(toy.folder / out).items()
            if not name.startswith("records") and "training.json" not in name
        }
        for out in ("runs", "other")
    ]
    assert any(name.endswith("model.safetensors") for name in files[0])
    assert files[0] == files[1]


def test_another_seed_gives_other_weights(toy):
    zero, one = toy.run(seeds=(0, 1), references=False).records
    assert zero.artifacts.checkpoint_sha256 != one.artifacts.checkpoint_sha256
    assert zero.artifacts.representation_sha256 != one.artifacts.representation_sha256


def test_the_callers_random_state_is_neither_used_nor_moved(toy, comparable):
    torch.manual_seed(1)
    np.random.seed(1)
    one = toy.run()
    state = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    torch.manual_seed(1)
    np.random.seed(1)
    assert torch.equal(state[0], torch.random.get_rng_state())
    assert np.array_equal(state[1], np.random.get_state()[1])
    torch.manual_seed(2)
    assert comparable(toy.run(out="other").records) == comparable(one.records)


# ---------------------------------------------------------------------------------------- interruption, and threads


@pytest.mark.parametrize("at", [0, 1, 7, 19])
def test_an_interrupted_run_continues_and_gives_the_same_records(toy, comparable, at):
    expected = toy.run(out="elsewhere").records
    script = Interrupting(at=at)
    scripted = toy.with_script(script)
    with pytest.raises(KeyboardInterrupt):
        scripted.run(settings=SAVE_ALWAYS)
    assert comparable(scripted.run(settings=SAVE_ALWAYS).records) == comparable(expected)
    assert script.steps == list(range(20))


class Stop:
    """An observer that interrupts when the n-th record is written."""

    def __init__(self, after):
        self.left = after

    @hookimpl
    def harness_record_written(self, run, record):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", range(1, 9))
def test_a_request_interrupted_between_cells_keeps_what_is_recorded(toy, comparable, after):
    request = {"evaluators": ("centroid", "spread")}
    expected = toy.run(out="elsewhere", **request).records
    with pytest.raises(KeyboardInterrupt):
        toy.run(observer=Stop(after), **request)
    outcome = toy.run(**request)
    assert outcome.computed == 8 - after
    assert comparable(outcome.records) == comparable(expected)
    assert {record.attempt for record in outcome.records} == {1}


def test_a_training_continues_with_the_threads_it_was_begun_with(toy):
    script = Interrupting(at=7)
    scripted = toy.with_script(script)
    with pytest.raises(KeyboardInterrupt):
        scripted.run(references=False, settings=SAVE_ALWAYS | {"threads": 2})
    assert torch.get_num_threads() == 1
    [record] = scripted.run(references=False, settings=SAVE_ALWAYS | {"threads": None}).records
    assert record.environment.threads == 2
    assert script.steps == list(range(20))
    assert torch.get_num_threads() == 1


def test_a_training_asked_for_with_other_threads_begins_anew(toy, comparable, caplog):
    expected = toy.run(out="elsewhere", references=False).records
    script = Interrupting(at=7)
    scripted = toy.with_script(script)
    with pytest.raises(KeyboardInterrupt):
        scripted.run(references=False, settings=SAVE_ALWAYS | {"threads": 2})
    assert comparable(scripted.run(references=False, settings=SAVE_ALWAYS | {"threads": 1}).records) == comparable(expected)
    assert script.steps == [*range(7), *range(20)]
    assert "begins anew: what was interrupted had --threads 2." in caplog.text


def interrupted(toy, at=7):
    """The path of the checkpoint that an interrupted training left."""
    with pytest.raises(KeyboardInterrupt):
        toy.with_script(Interrupting(at=at)).run(references=False, settings=SAVE_ALWAYS)
    return toy.folder / "runs" / toy.first().folder / "training.safetensors"


def test_a_checkpoint_says_how_far_training_is(toy):
    assert read_document(interrupted(toy))["step"] == 7


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"{}", b"\xff" * 9])
def test_a_checkpoint_that_cannot_be_read_begins_training_anew(toy, comparable, caplog, content):
    expected = toy.run(out="elsewhere", references=False).records
    interrupted(toy).write_bytes(content)
    assert comparable(toy.run(references=False).records) == comparable(expected)
    assert "begins anew: what was interrupted cannot be read." in caplog.text


def test_a_truncated_checkpoint_begins_training_anew(toy, comparable):
    expected = toy.run(out="elsewhere", references=False).records
    path = interrupted(toy)
    path.write_bytes(path.read_bytes()[:-100])
    assert comparable(toy.run(references=False).records) == comparable(expected)


def test_a_checkpoint_of_another_device_is_kept_and_the_user_told(toy, monkeypatch):
    path = interrupted(toy)
    document = read_document(path)
    monkeypatch.setattr("harness.line.pipeline.read_document", lambda path: document | {"device": "cuda"})
    [record] = toy.run(references=False).records
    assert record.status == "failed"
    assert record.error.message.startswith("This training was begun with --device cuda; continue it so, or delete")
    assert path.exists()


def test_the_threads_hold_for_the_libraries_that_evaluators_use(toy):
    def threads():
        return {library["num_threads"] for library in threadpool_info()}

    seen = []

    def act(task):
        seen.append(threads())
        return [Score(name="accuracy", value=50.0)]

    before = threads()
    for asked in (2, 1):
        toy.with_evaluator("counting", act).run(
            references=False, evaluators=("counting",), out=str(asked), settings={"threads": asked}
        )
    assert seen == [{2}, {1}]
    assert threads() == before


def test_threads_are_the_callers_again_after_a_failure(toy):
    script = Interrupting(at=0)
    with pytest.raises(KeyboardInterrupt):
        toy.with_script(script).run(settings={"threads": 2})
    assert torch.get_num_threads() == 1


def test_a_run_in_another_thread_gives_the_same(toy, comparable):
    expected, found = toy.run(out="elsewhere"), []
    worker = threading.Thread(target=lambda: found.append(toy.run()))
    worker.start()
    worker.join()
    assert comparable(found[0].records) == comparable(expected.records)


def test_the_lock_is_given_back_after_an_interruption(toy):
    script = Interrupting(at=3)
    scripted = toy.with_script(script)
    with pytest.raises(KeyboardInterrupt):
        scripted.run()
    with FileLock(toy.folder / "runs" / toy.first().folder / ".lock", timeout=0):
        pass


# ------------------------------------------------------------------------------------------------------ observers


class Watching:
    def __init__(self):
        self.seen = []

    @hookimpl
    def harness_run_started(self, run):
        self.seen.append(("run", run.identity.method.name))

    @hookimpl
    def harness_step_finished(self, run, step, total, terms):
        self.seen.append(("step", step, total, sorted(terms)))

    @hookimpl
    def harness_record_written(self, run, record):
        self.seen.append(("record", record.status, record.attempt))


def test_observers_are_told_of_runs_steps_and_records_in_order(toy, monkeypatch):
    monkeypatch.setattr(training, "_SHOWN_EVERY_S", 0.0)
    watching = Watching()
    toy.run(observer=watching, options=("train.epochs=1",))
    terms = ["predict/error", "predict/loss"]
    steps = [("step", step, 5, terms) for step in (1, 2, 3, 4, 5, 5)]
    others = [event for name in ("majority", "random", "raw") for event in (("run", name), ("record", "ok", 1))]
    assert watching.seen == [("run", "squeeze"), *steps, ("record", "ok", 1), *others]


def test_observers_are_told_nothing_of_what_is_found(toy):
    toy.run()
    watching = Watching()
    toy.run(observer=watching)
    assert watching.seen == []


class Meddling:
    """Raises, draws random numbers and changes what it is shown."""

    @hookimpl
    def harness_run_started(self, run):
        torch.manual_seed(3)
        raise ValueError

    @hookimpl
    def harness_step_finished(self, run, step, total, terms):
        torch.manual_seed(3)
        np.random.seed(3)
        terms["predict/loss"] = 3.0

    @hookimpl
    def harness_record_written(self, run, record):
        torch.manual_seed(3)
        raise SystemExit


def test_observers_cannot_change_a_result(toy, comparable, monkeypatch):
    monkeypatch.setattr(training, "_SHOWN_EVERY_S", 0.0)
    expected = toy.run(out="elsewhere").records
    assert comparable(toy.run(observer=Meddling()).records) == comparable(expected)


# ----------------------------------------------------------------------------------------------- precision, device


def test_bf16_runs_on_a_cpu_and_is_another_run(toy):
    [coarse], [exact] = toy.run(references=False, precision="bf16").records, toy.run(references=False).records
    assert coarse.status == "ok"
    assert coarse.run != exact.run
    assert coarse.artifacts.checkpoint_sha256 != exact.artifacts.checkpoint_sha256


def test_cuda_without_a_gpu_is_refused(toy, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="no CUDA device"):
        toy.run(settings={"device": "cuda"})


def test_the_installed_parts_run_through(tmp_path, monkeypatch, comparable):
    import harness

    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    request = {"method": "ae", "data": "digits", "budget": "smoke", "evaluators": ["knn"], "threads": 1, "device": "cpu"}
    one, other = (list(harness.run(out=tmp_path / out, **request)) for out in ("one", "other"))
    assert [record.status for record in one] == ["ok"] * 4
    assert comparable(one) == comparable(other)


# -------------------------------------------------------------------------------- data that take long to prepare


def collecting(toy, contexts, **fields):
    """In which blobs are collected: written into their cache, with word of how far it is."""

    def collect(context, options):
        contexts.append(context)
        context.progress(1, 2, "blobs")
        context.cache.mkdir(parents=True, exist_ok=True)
        (context.cache / "collected").write_bytes(b"blobs")

    def build(context, options):
        collect(context, options)
        return toy.build_blobs(context, options)

    return toy.with_parts(toy.entry(msgspec.structs.replace(toy.BLOBS, **fields), build)), collect


def test_a_data_set_is_told_the_protocol_and_tells_how_far_it_is(toy):
    seen, contexts = [], []

    class Listening:
        @hookimpl
        def harness_preparation_advanced(self, data, done, total, unit):
            seen.append((data, done, total, unit))

    collecting(toy, contexts)[0].run(references=False, protocol="blobs-thirds", observer=Listening())
    assert [context.protocol for context in contexts] == ["blobs-thirds"]
    assert seen == [("blobs", 1, 2, "blobs")]


def test_an_evaluator_tells_how_far_it_is(toy):
    seen = []

    class Listening:
        @hookimpl
        def harness_evaluation_advanced(self, run, evaluator, feature, done, total, unit):
            seen.append((run.identity.method.name, evaluator, feature, done, total, unit))

    def act(task):
        task.progress(1, 3, "tries")
        return [Score(name="accuracy", value=50.0)]

    toy.with_evaluator("trying", act).run(references=False, evaluators=("trying",), observer=Listening())
    assert seen == [("squeeze", "trying", "y", 1, 3, "tries")]


def test_what_a_suite_collects_is_freed_after_the_last_run_of_its_data_set(toy):
    contexts = []
    made, _ = collecting(toy, contexts)
    assert made.run(seeds=(0, 1), settings={"free_data": True}).records
    assert len(contexts) == 1
    assert not contexts[0].cache.exists()


def test_what_was_collected_before_is_kept_and_so_is_all_that_no_suite_asks_to_free(toy):
    contexts = []
    made, _ = collecting(toy, contexts)
    made.run()
    assert (contexts[0].cache / "collected").exists()
    made.run(seeds=(5,), settings={"free_data": True})
    assert (contexts[0].cache / "collected").exists()


def test_preparing_collects_and_nothing_else(toy, monkeypatch):
    contexts = []
    made, collect = collecting(toy, contexts, prepare="toy:collect")
    monkeypatch.setattr(building, "import_part", lambda target, entry: collect)
    assert list(prepare(["blobs"], made.catalog, made.plugins, options=["data.noise=2"])) == [("blobs", {})]
    assert (contexts[0].cache / "collected").exists()
    with pytest.raises(OptionError, match="did you mean data.noise"):
        list(prepare(["blobs"], made.catalog, made.plugins, options=["data.nose=2"]))


def test_a_data_set_that_cannot_be_prepared_is_named(toy, monkeypatch):
    def broken(context, options):
        raise ZeroDivisionError("no blobs")

    made, _ = collecting(toy, [], prepare="toy:collect")
    monkeypatch.setattr(building, "import_part", lambda target, entry: broken)
    with pytest.raises(PluginError, match="data set blobs could not be prepared: ZeroDivisionError: no blobs"):
        list(prepare(["blobs"], made.catalog, made.plugins))
