"""The label firewall: no label can reach the training of an objective that does not declare `supervised`."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import ClassVar

import msgspec
import numpy as np
import pytest
import torch

from harness import Annotations, Batch, DataSet, Labelled, Objective
from harness.api import installed
from harness.catalog.catalog import Catalog
from harness.contracts.batches import LABEL_WORDS
from harness.execution import Settings, execute, pending
from harness.line import pipeline
from harness.line.planning import Request, plan

# -------------------------------------------------------------------------------------------------------- by type


@pytest.mark.parametrize("word", sorted(LABEL_WORDS))
@pytest.mark.parametrize("form", ["{}", "class_{}", "{}_of_sample"])
def test_a_batch_with_a_field_for_labels_is_refused_when_it_is_defined(word, form):
    name = form.format(word)
    with pytest.raises(TypeError, match=f"Sneaky declares {name}: a batch has no place for labels"):
        type("Sneaky", (Batch,), {"__annotations__": {name: torch.Tensor}})


def test_a_field_for_labels_cannot_be_mixed_in():
    @dataclass(frozen=True, eq=False)
    class WithLabels:
        labels: torch.Tensor

    with pytest.raises(TypeError, match="declares labels"):

        @dataclass(frozen=True, eq=False)
        class Sneaky(WithLabels, Batch):
            pass


def test_a_batch_of_inputs_is_allowed():
    @dataclass(frozen=True, eq=False)
    class Sounds(Batch):
        samples: torch.Tensor
        relabelling_rate: torch.Tensor

    assert {field.name for field in fields(Sounds)} == {"index", "samples", "relabelling_rate"}


def test_labelled_is_no_batch():
    assert not issubclass(Labelled, Batch)


# ------------------------------------------------------------------------------------------------ by what is handed over


class Spy(pipeline.Trainer):
    """A trainer that keeps what it was called with."""

    calls: ClassVar[list] = []

    def __init__(self, *arguments, **keywords):
        Spy.calls.append((arguments, keywords))
        super().__init__(*arguments, **keywords)


@pytest.fixture
def trainer_calls(monkeypatch):
    monkeypatch.setattr(Spy, "calls", [])
    monkeypatch.setattr(pipeline, "Trainer", Spy)
    return Spy.calls


def reachable(value, seen):
    """All values inside `value`, through containers, attributes, closures and bound arguments."""
    if id(value) in seen or isinstance(value, str | bytes | int | float | type | None):
        return
    seen[id(value)] = value
    inner = []
    if isinstance(value, dict):
        inner += [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        inner += value
    if hasattr(value, "__dict__"):
        inner += vars(value).values()
    if hasattr(value, "__closure__"):
        inner += [cell.cell_contents for cell in value.__closure__ or ()]
    if hasattr(value, "func") and hasattr(value, "keywords"):
        inner += [value.func, *value.args, *value.keywords.values()]
    if is_dataclass(value):
        inner += [getattr(value, field.name) for field in fields(value)]
    for each in inner:
        reachable(each, seen)


def test_the_trainer_is_handed_objective_source_and_options_and_no_annotations(toy, trainer_calls):
    toy.run(references=False)
    [((objective, source, options), keywords)] = trainer_calls
    assert isinstance(objective, Objective)
    assert keywords.pop("labels") is None
    assert keywords.pop("validation") is None
    assert set(keywords) == {"seed", "fabric", "checkpoint", "checkpoint_every_s", "progress"}
    assert options.epochs == 4
    assert source.index.tolist() == list(range(45))


def test_nothing_that_the_trainer_holds_leads_to_labels(toy, trainer_calls):
    toy.run(references=False)
    [((objective, source, _), keywords)] = trainer_calls
    seen: dict = {}
    reachable([objective, source, keywords["labels"], keywords["checkpoint"]], seen)
    labels = torch.arange(60) % 3
    assert len(seen) > 50
    for value in seen.values():
        assert not isinstance(value, Annotations | DataSet | Labelled)
        if isinstance(value, torch.Tensor | np.ndarray) and value.ndim == 1 and len(value) in (45, 60):
            assert not torch.equal(torch.as_tensor(value).double(), labels[: len(value)].double())


def test_an_unsupervised_objective_gets_batches_and_no_number_of_classes(toy):
    kinds = set()

    def note(objective, step):
        kinds.add(type(step.batch).__name__)
        return 0.0

    contexts = []
    noting = toy.with_script(note)
    [found] = [entry for entry in noting.entries if (entry.kind, entry.name) == ("objective", "predict")]

    def build(encoder, context, options, generator):
        contexts.append(context)
        return found.made(encoder, context, options, generator)

    noting.with_parts(toy.entry(found.spec, build)).run(references=False)
    assert kinds == {"Vectors"}
    assert {(context.classes, context.multilabel) for context in contexts} == {(None, False)}


def supervised(toy, monkeypatch, **request):
    """What a supervised training was shown: (numbers of samples, their labels, the label table)."""
    shown = []
    [found] = [entry for entry in toy.entries if (entry.kind, entry.name) == ("objective", "taught")]

    def build(encoder, context, options, generator):
        objective = found.made(encoder, context, options, generator)
        loss = objective.loss

        def noting(step):
            index = step.batch.inputs.index[step.batch.rows]
            shown.extend(zip(index.tolist(), step.batch.labels.tolist(), strict=True))
            assert isinstance(step.batch, Labelled)
            return loss(step)

        objective.loss = noting
        return objective

    monkeypatch.setattr(Spy, "calls", [])
    monkeypatch.setattr(pipeline, "Trainer", Spy)
    outcome = toy.with_parts(toy.entry(found.spec, build)).run(method="taught", references=False, **request)
    assert [record.status for record in outcome.records] == ["ok"] * len(outcome.records)
    return shown, Spy.calls[0][1]["labels"]


def test_a_supervised_objective_sees_training_labels_only(toy, monkeypatch):
    shown, table = supervised(toy, monkeypatch, protocol="blobs-thirds")
    assert {index for index, _ in shown} == set(range(20))
    assert all(label == index % 3 for index, label in shown)
    assert table.known.nonzero().squeeze(1).tolist() == list(range(20))
    assert set(table.labels[20:].tolist()) == {-1}


def test_another_protocol_shows_another_training_part(toy, monkeypatch):
    shown, table = supervised(toy, monkeypatch, protocol="blobs-split")
    assert {index for index, _ in shown} == set(range(45))
    assert set(table.labels[45:].tolist()) == {-1}


def test_unknown_labels_of_the_training_part_are_not_shown(toy, monkeypatch):
    def build(context, options):
        dataset = toy.build_blobs(context, options)
        dataset.annotations.labels[:10] = -1
        return dataset

    shown, _ = supervised(toy.with_parts(toy.entry(toy.BLOBS, build)), monkeypatch)
    assert {index for index, _ in shown} == set(range(10, 45))


# ------------------------------------------------------------------------------------------------------- by outcome


def blinded(dataset, labels):
    annotations = Annotations(splits=dataset.annotations.splits, labels=labels)
    return DataSet(inputs=dataset.inputs, annotations=annotations, pretrain=dataset.pretrain)


def without_labels(labels):
    return None


def not_a_number(labels):
    return np.full(labels.shape, np.nan)


def shuffled(labels):
    return np.random.default_rng(0).permutation(labels)


def one_class(labels):
    return np.zeros_like(labels)


BLINDFOLDS = [without_labels, not_a_number, shuffled, one_class]


@pytest.mark.parametrize("blindfold", BLINDFOLDS)
def test_a_training_without_labels_gives_the_same_model_file(toy, tree, monkeypatch, blindfold):
    toy.run(references=False)
    model = toy.folder / "runs" / toy.first().folder / "model.safetensors"
    expected = model.read_bytes()

    def build(context, options):
        dataset = toy.build_blobs(context, options)
        return blinded(dataset, blindfold(dataset.annotations.labels))

    monkeypatch.setenv("HARNESS_CACHE", str(toy.folder / "other-cache"))  # where this content is not known yet
    blind = toy.with_parts(toy.entry(toy.BLOBS, build))
    outcome = blind.run(out="blind", references=False, evaluators=("spread",))
    assert [record.status for record in outcome.records] == ["ok"]
    assert (toy.folder / "blind" / toy.first().folder / "model.safetensors").read_bytes() == expected


def test_a_supervised_training_with_other_labels_gives_another_model(toy, monkeypatch):
    """That the comparison above can tell: with labels that are used, the file differs."""

    def build(context, options):
        dataset = toy.build_blobs(context, options)
        return blinded(dataset, shuffled(dataset.annotations.labels))

    digests = []
    for number, each in enumerate((toy, toy.with_parts(toy.entry(toy.BLOBS, build)))):
        monkeypatch.setenv("HARNESS_CACHE", str(toy.folder / f"cache-{number}"))
        [record] = each.run(out=f"runs-{number}", method="taught", references=False).records
        digests.append(record.artifacts.checkpoint_sha256)
    assert digests[0] != digests[1]


INSTALLED = [("ae", "digits", "knn"), ("dgi", "sbm", "knn")]


@pytest.mark.parametrize(("method", "data", "evaluator"), INSTALLED)
@pytest.mark.parametrize("blindfold", [without_labels, not_a_number])
def test_the_installed_methods_train_the_same_without_labels(tmp_path, monkeypatch, method, data, evaluator, blindfold):
    plugins, catalog = installed()
    entry = catalog.dataset(data)
    build = entry.builder()

    def blind(context, options):
        dataset = build(context, options)
        return blinded(dataset, blindfold(dataset.annotations.labels))

    parts = [each for kind in ("encoder", "objective", "method", "protocol", "evaluator") for each in catalog.entries(kind)]
    blind_catalog = Catalog([*parts, msgspec.structs.replace(entry, made=blind)])
    request = Request(method=method, data=data, budget="smoke", references=False, evaluators=(evaluator,))
    digests = []
    for name, each in (("seeing", catalog), ("blind", blind_catalog)):
        monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / name / "cache"))
        settings = Settings(out=tmp_path / name, device="cpu", threads=1)
        outcome = execute(pending(plan(request, each), settings), each, plugins, settings)
        assert outcome.problems == []
        digests.append({record.artifacts.checkpoint_sha256 for record in outcome.records})
    assert digests[0] == digests[1]
    assert None not in digests[0]
