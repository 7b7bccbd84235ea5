from __future__ import annotations

import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from harness import Annotations, EvaluatorSpec, MetricSpec, Part, Score, Splits, Task, VectorSource
from harness.errors import EvaluationError
from harness.line import evaluation
from harness.line.evaluation import check_scores, evaluate, make_task, number_of_classes

SPEC = EvaluatorSpec(
    name="judge",
    summary="judges",
    build="toy:build",
    needs=(),
    metrics=(
        MetricSpec(name="accuracy", unit="%", higher_is_better=True, lower=0.0, upper=100.0, primary=True),
        MetricSpec(name="bits", unit="bits", higher_is_better=False),
    ),
)


def score(value=50.0, name="accuracy", **fields):
    return Score(name=name, value=value, **fields)


# --------------------------------------------------------------------------------------------------- check of scores


def test_a_score_becomes_a_metric_with_what_its_spec_says():
    [accuracy, bits] = check_scores(SPEC, [score(), score(-3.5, "bits", std=0.5, over="restarts", n=5, of={"scale": 2})])
    assert (accuracy.unit, accuracy.higher_is_better, accuracy.primary, accuracy.split) == ("%", True, True, "test")
    assert (bits.unit, bits.higher_is_better, bits.primary) == ("bits", False, False)
    assert (bits.value, bits.std, bits.over, bits.n, bits.of) == (-3.5, 0.5, "restarts", 5, {"scale": 2})


@pytest.mark.parametrize("value", [0.0, 100.0, np.float32(0.5), np.float64(3), torch.tensor(4.0), 7, np.int64(8)])
def test_numbers_of_every_kind_become_floats(value):
    [metric] = check_scores(SPEC, [score(value)])
    assert type(metric.value) is float
    assert metric.value == float(value)


def test_numpy_numbers_beside_the_value_become_plain_ones():
    [metric] = check_scores(
        SPEC, [score(n=np.int64(5), std=np.float32(0.5), of={"scale": np.int64(2)}, selected={"C": np.float64(0.1)})]
    )
    assert (metric.n, metric.std, metric.of, metric.selected) == (5, 0.5, {"scale": 2}, {"C": 0.1})
    assert type(metric.selected["C"]) is float


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        (None, "returned NoneType where a list of Score was expected"),
        (score(), "returned Score where a list of Score was expected"),
        ({"accuracy": 3.0}, "returned dict where a list of Score was expected"),
        ([3.0], "returned list where a list of Score was expected"),
        (iter([score()]), "where a list of Score was expected"),
        ([], "returned no score"),
        ([score(), score(51.0)], "returned the same metric twice"),
        ([score(name="acuracy")], "returned 'acuracy', which its spec does not declare"),
        ([score(math.nan)], "accuracy is nan"),
        ([score(math.inf)], "accuracy is inf"),
        ([score(-0.001)], r"accuracy = -0.001 lies outside \[0.0, 100.0\]"),
        ([score(100.5)], r"accuracy = 100.5 lies outside \[0.0, 100.0\]"),
        ([score("high")], "accuracy is 'high' with spread None, not numbers"),
        ([score(None)], "accuracy is None with spread None, not numbers"),
        ([score(std="wide")], "accuracy is 50.0 with spread 'wide', not numbers"),
        ([score(std=-1.0)], "the spread of accuracy is -1.0"),
        ([score(std=math.nan)], "the spread of accuracy is nan"),
        ([score(n="many")], "what it says of accuracy does not fit into a record"),
        ([score(over="seeds")], "what it says of accuracy does not fit into a record"),
        ([score(split="")], "what it says of accuracy does not fit into a record"),
        ([score(of={"variable": object()})], "what it says of accuracy does not fit into a record"),
        (
            [score(selected={"C": {1, 2}, "D": torch.zeros(1)})],
            "what it says of accuracy does not fit into a record: Tensor is no JSON",
        ),
    ],
)
def test_nonsense_is_refused_with_the_evaluators_name(scores, sentence):
    with pytest.raises(EvaluationError, match=f"Evaluator judge.*{sentence}"):
        check_scores(SPEC, scores)


def test_the_same_metric_of_several_things_is_not_the_same_twice():
    metrics = check_scores(SPEC, [score(of={"variable": name}) for name in ("x", "y")])
    assert [metric.of for metric in metrics] == [{"variable": "x"}, {"variable": "y"}]


# ----------------------------------------------------------------------------------------------- what a task holds


def task_with(*needs, splits=None, labels=None, array=None, judges_constants=True, **changes):
    spec = EvaluatorSpec(
        name="judge",
        summary="judges",
        build="toy:build",
        needs=needs,
        metrics=SPEC.metrics,
        judges_constants=judges_constants,
    )
    annotations = Annotations(
        splits={},
        labels=np.arange(12) % 4 if labels is None else labels,
        factors={"size": np.linspace(0, 1, 12)},
        truth={"mutual_information": 6.0},
    )
    facts = {
        "protocol_id": "blobs-split/1",
        "seed": 0,
        "device": torch.device("cpu"),
        "inputs": VectorSource(torch.zeros(12, 2)),
        "fresh_encoder": lambda: "encoder",
        "autocast": nullcontext,
        "decoder": lambda generator, scale: f"decoder times {scale}",
        "modules": {"decoder": "module"},
        "progress": lambda *told: None,
    }
    splits = splits or Splits(train=np.arange(0, 8), validation=np.arange(8, 10), test=np.arange(10, 12))
    array = np.arange(24.0).reshape(12, 2) if array is None else array
    return make_task(spec, "y", array, annotations, splits, **(facts | changes))


def test_what_an_evaluator_does_not_need_is_not_there():
    task = task_with()
    assert task.train.labels is None
    assert task.train.factors == {}
    assert task.classes is None
    assert task.truth == {}
    assert task.inputs is None
    assert task.fresh_encoder is None
    assert task.decoder is None
    assert task.modules == {}


@pytest.mark.parametrize(
    ("need", "given"),
    [
        ("labels", lambda task: (task.train.labels.tolist(), task.classes)),
        ("factors", lambda task: task.test.factors["size"].tolist()),
        ("truth", lambda task: task.truth),
        ("inputs", lambda task: task.inputs.description.samples),
        ("encoder", lambda task: task.fresh_encoder()),
        ("decoder", lambda task: task.decoder(torch.Generator(), 0.5)),
        ("modules", lambda task: task.modules),
    ],
)
def test_what_an_evaluator_needs_is_there_and_nothing_else(need, given):
    expected = {
        "labels": ([0, 1, 2, 3, 0, 1, 2, 3], 4),
        "factors": np.linspace(0, 1, 12)[10:].tolist(),
        "truth": {"mutual_information": 6.0},
        "inputs": 12,
        "encoder": "encoder",
        "decoder": "decoder times 0.5",
        "modules": {"decoder": "module"},
    }
    task = task_with(need)
    assert given(task) == expected[need]
    others = {
        "labels": task.train.labels is not None,
        "factors": bool(task.train.factors),
        "truth": bool(task.truth),
        "inputs": task.inputs is not None,
        "encoder": task.fresh_encoder is not None,
        "decoder": task.decoder is not None,
        "modules": bool(task.modules),
    }
    assert [name for name, there in others.items() if there] == [need]


@pytest.mark.parametrize(("part", "rows"), [("training", slice(0, 8)), ("test", slice(10, 12))])
def test_a_feature_that_is_the_same_everywhere_fails_an_evaluator_that_judges_no_constants(monkeypatch, part, rows):
    monkeypatch.setattr(evaluation, "_COMPARED", 3)
    array = np.arange(24.0).reshape(12, 2)
    array[rows] = array[0]
    sentence = f"^Feature 'y' is the same for every sample of the {part} part, which leaves judge nothing to judge; check"
    with pytest.raises(EvaluationError, match=sentence):
        task_with(array=array, judges_constants=False)
    task_with(array=array)


def test_one_value_that_differs_is_enough(monkeypatch):
    monkeypatch.setattr(evaluation, "_COMPARED", 3)
    array = np.ones((12, 2))
    array[6, 1], array[11, 0] = 2, 3
    task_with(array=array, judges_constants=False)


def test_a_part_of_one_sample_is_no_constant():
    splits = Splits(train=np.arange(0, 8), test=np.array([11]))
    assert len(task_with(splits=splits, judges_constants=False).test) == 1


def test_parts_hold_their_own_rows():
    task = task_with("labels")
    assert task.test.index.tolist() == [10, 11]
    assert task.test.features.tolist() == [[20.0, 21.0], [22.0, 23.0]]
    assert task.test.labels.tolist() == [2, 3]
    assert task.validation.index.tolist() == [8, 9]
    assert len(task.train) == 8


def test_classes_are_counted_over_the_whole_data_set():
    assert task_with("labels", labels=np.array([0] * 11 + [6])).classes == 7
    assert number_of_classes(np.zeros((5, 3))) == 3


def test_the_validation_seed_depends_on_the_protocol_alone():
    seeds = {task_with(seed=seed).protocol_seed for seed in range(3)}
    assert len(seeds) == 1
    assert task_with(protocol_id="blobs-split/2").protocol_seed not in seeds


def test_the_evaluators_seed_depends_on_the_runs_seed_and_the_feature():
    assert task_with(seed=0).seed == task_with(seed=0, protocol_id="other/1").seed
    assert task_with(seed=0).seed != task_with(seed=1).seed


def test_the_evaluators_generator_is_fresh_each_time():
    task = task_with()
    assert torch.equal(torch.rand(3, generator=task.generator()), torch.rand(3, generator=task.generator()))


# ------------------------------------------------------------------------------------- the drawn validation part


def task_for(labels, protocol_seed=5, seed=0, validation=None):
    part = Part(features=np.arange(len(labels)), index=np.arange(len(labels)) + 100, labels=labels)
    return Task(
        feature="y",
        train=part,
        test=part,
        validation=validation,
        protocol_seed=protocol_seed,
        seed=seed,
        device=torch.device("cpu"),
    )


LABELS = np.repeat([0, 1, 2, 5], [40, 20, 30, 5])


def test_the_protocols_own_validation_part_is_used_where_there_is_one():
    task = task_for(LABELS)
    own = task_for(LABELS, validation=task.train.take(np.arange(3)))
    fit, validation = own.fit_and_validation()
    assert fit is own.train
    assert validation is own.validation


def test_the_drawn_parts_are_disjoint_and_make_up_the_training_part():
    fit, validation = task_for(LABELS).fit_and_validation()
    assert sorted([*fit.index, *validation.index]) == list(range(100, 195))


def test_each_class_gives_its_share_and_at_least_one():
    _, validation = task_for(LABELS).fit_and_validation(0.1)
    assert np.bincount(validation.labels, minlength=6).tolist() == [4, 2, 3, 0, 0, 1]


def test_the_only_sample_of_a_class_is_fitted():
    fit, validation = task_for(np.array([0] * 20 + [1])).fit_and_validation()
    assert 1 in fit.labels
    assert 1 not in validation.labels


def test_without_labels_a_share_of_all_is_drawn():
    part = Part(features=np.arange(50), index=np.arange(50))
    task = Task(feature="y", train=part, test=part, validation=None, protocol_seed=5, seed=0, device=torch.device("cpu"))
    fit, validation = task.fit_and_validation(0.2)
    assert (len(fit), len(validation)) == (40, 10)


def test_several_binary_labels_are_drawn_as_one_class():
    _, validation = task_for(np.zeros((50, 3))).fit_and_validation(0.1)
    assert validation.labels.shape == (5, 3)


def test_the_drawn_part_is_the_same_for_every_run():
    one, other = task_for(LABELS, seed=0).fit_and_validation(), task_for(LABELS, seed=1).fit_and_validation()
    assert np.array_equal(one[1].index, other[1].index)
    assert np.array_equal(one[0].index, other[0].index)


def test_another_protocol_draws_another_part():
    one, other = task_for(LABELS, protocol_seed=5), task_for(LABELS, protocol_seed=6)
    assert not np.array_equal(one.fit_and_validation()[1].index, other.fit_and_validation()[1].index)


def test_a_part_of_a_part_keeps_features_labels_and_factors_together():
    part = Part(features=np.arange(6) * 10, index=np.arange(6) + 3, labels=np.arange(6) % 2, factors={"a": np.arange(6) * 2})
    taken = part.take(np.array([4, 1]))
    assert taken.features.tolist() == [40, 10]
    assert taken.index.tolist() == [7, 4]
    assert taken.labels.tolist() == [0, 1]
    assert taken.factors["a"].tolist() == [8, 2]


# -------------------------------------------------------------------------------------------- randomness, and errors


def test_an_evaluators_global_draws_are_seeded_and_leave_the_callers_alone(toy):
    def draw(task):
        return [score(float(torch.rand(()) + np.random.rand()) * 50)]

    torch.manual_seed(1)
    one = evaluate(toy.Acting(draw), SPEC, task_with())
    state = torch.random.get_rng_state()
    torch.rand(3)
    np.random.rand(3)
    other = evaluate(toy.Acting(draw), SPEC, task_with())
    assert one == other
    assert evaluate(toy.Acting(draw), SPEC, task_with(seed=1)) != one
    torch.manual_seed(1)
    assert torch.equal(state, torch.random.get_rng_state())


def test_an_error_of_the_evaluator_goes_through(toy):
    def fail(task):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        evaluate(toy.Acting(fail), SPEC, task_with())


def test_progress_is_told_now_and_then(monkeypatch):
    told = []
    monkeypatch.setattr("harness.contracts.progress.time.monotonic", lambda: 1.0)
    task = task_with(progress=lambda *said: told.append(said))
    for step in range(1, 6):
        task.progress(step, 5, "steps")
    assert told == [(1, 5, "steps"), (5, 5, "steps")]
