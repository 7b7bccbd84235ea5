"""What the specs say, and what holds for every probe they name."""

from __future__ import annotations

import dataclasses
import importlib

import msgspec
import numpy as np
import pytest

from harness import EvaluationError
from harness.line.seeding import isolated_randomness
from harness_probes.spec import harness_evaluators

SPECS = {spec.name: spec for spec in harness_evaluators()}
FROZEN = sorted(set(SPECS) - {"fine-tune"})  # those that judge an array; test_fine_tune.py has the other
JUDGES_MULTI_LABEL = ["logistic", "knn"]
JUDGES_CLASSES_ONLY = ["logistic-lbfgs", "logistic-pyg", "mlp", "mlp-paper", "svm", "svm-paper"]
SHORT = {  # what solves the small tasks here in little time
    "mlp": {"epochs": 20, "lr": (1e-2,)},
    "mlp-paper": {"epochs": 20, "lr": 1e-2, "milestones": (), "averaged": 3},
}


def build(name):
    spec = SPECS[name]
    module, attribute = spec.build.split(":")
    return getattr(importlib.import_module(module), attribute)(spec.options(**SHORT.get(name, {})))


@pytest.fixture(params=FROZEN)
def probe(request):
    return build(request.param)


def evaluate(probe, task):
    with isolated_randomness(task.seed):  # as the core does
        [score] = probe.evaluate(task)
    return score


def with_part(task, name, **changes):
    return dataclasses.replace(task, **{name: dataclasses.replace(getattr(task, name), **changes)})


def test_the_probes_are_these():
    assert set(SPECS) == {
        "logistic", "logistic-standardised", "logistic-lbfgs", "logistic-pyg",
        "svm", "svm-paper", "knn", "mlp", "mlp-paper", "fine-tune",
    }  # fmt: skip


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_every_budget_is_valid_options(spec):
    for values in spec.budgets.values():
        msgspec.convert(values, spec.options)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_defaults_are_valid_options(spec):
    assert msgspec.convert(msgspec.to_builtins(spec.options()), spec.options) == spec.options()


def test_a_grid_may_not_be_empty():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"C": []}, SPECS["svm"].options)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_every_option_is_described(spec):
    fields = msgspec.inspect.type_info(spec.options).fields
    assert all(field.type.extra_json_schema["description"] for field in fields)


def test_separable_classes_give_100_per_cent(probe, separable):
    score = evaluate(probe, separable)
    assert (score.name, score.value, score.split) == ("accuracy", 100.0, "test")


def test_noise_gives_chance(probe, make_task):
    # 4 classes, 2000 test samples: sd of the accuracy of any fixed answer is 0.97; the interval is four of them.
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2200, 10)).astype(np.float32), rng.integers(0, 4, 2200)
    score = evaluate(probe, make_task(x[:200], y[:200], x[200:], y[200:]))
    assert 21.0 < score.value < 29.0


def test_the_metric_returned_is_in_the_spec(hard):
    for name in FROZEN:
        assert evaluate(build(name), hard).name in [metric.name for metric in SPECS[name].metrics]


def test_features_with_more_axes_are_flattened(probe, hard):
    as_map = with_part(hard, "train", features=hard.train.features.reshape(-1, 2, 2, 2))
    as_map = with_part(as_map, "test", features=hard.test.features.reshape(-1, 2, 2, 2))
    assert evaluate(probe, as_map) == evaluate(probe, hard)


@pytest.mark.parametrize("kind", [np.int16, np.bool_])
def test_features_may_be_whole_numbers_or_bits(probe, make_task, blobs, kind):
    def bits(n, seed):
        x, y = blobs(n, seed=seed)
        return (x > 4).astype(kind), y

    assert evaluate(probe, make_task(*bits(90, 0), *bits(60, 1))).value > 90


def test_read_only_and_memory_mapped_features_are_left_alone(probe, hard, tmp_path):
    mapped = hard
    for name in ("train", "test"):
        np.save(tmp_path / f"{name}.npy", getattr(hard, name).features)
        mapped = with_part(mapped, name, features=np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    before = [(tmp_path / f"{name}.npy").read_bytes() for name in ("train", "test")]
    assert evaluate(probe, mapped) == evaluate(probe, hard)
    assert [(tmp_path / f"{name}.npy").read_bytes() for name in ("train", "test")] == before


def test_writable_inputs_are_not_written_into(probe, hard):
    arrays = [hard.train.features, hard.train.labels, hard.test.features, hard.test.labels]
    before = [array.copy() for array in arrays]
    evaluate(probe, hard)
    assert all(np.array_equal(array, copy) for array, copy in zip(arrays, before, strict=True))


def test_the_same_seed_gives_the_same_score(probe, hard):
    assert evaluate(probe, hard) == evaluate(probe, hard)


@pytest.mark.parametrize("name", ["logistic-lbfgs", "logistic-pyg", "svm", "knn"])
def test_probes_with_one_solution_do_not_depend_on_the_run_s_seed(name, hard):
    assert evaluate(build(name), hard) == evaluate(build(name), dataclasses.replace(hard, seed=1))


def test_unknown_training_labels_are_left_out_of_the_fit(probe, separable):
    # Half of the training samples are replaced by far-away ones without a label.
    features, labels = separable.train.features.copy(), separable.train.labels.copy()
    features[::2], labels[::2] = -features[::2], -1
    assert evaluate(probe, with_part(separable, "train", features=features, labels=labels)).value == 100.0


def test_unknown_test_labels_are_left_out_of_the_score(probe, separable):
    features, labels = separable.test.features.copy(), separable.test.labels.copy()
    features[::2], labels[::2] = -features[::2], -1
    assert evaluate(probe, with_part(separable, "test", features=features, labels=labels)).value == 100.0


def test_a_class_without_training_samples_is_allowed(probe, make_task, blobs):
    x, y = blobs(90)
    test_x, test_y = blobs(60, seed=1)
    score = evaluate(probe, make_task(x[y != 2], y[y != 2], test_x, test_y))
    assert score.value >= 66.6  # the two other classes are right; some initial weights may guess the third


@pytest.mark.parametrize("name", ["logistic-lbfgs", "svm", "knn", "mlp"])
@pytest.mark.parametrize("own_part", [True, False], ids=["protocol's validation part", "drawn validation part"])
def test_what_is_selected_never_depends_on_test_labels(name, own_part, make_task, blobs):
    train, test = blobs(150, distance=1.5), blobs(60, distance=1.5, seed=1)
    validation = blobs(90, distance=1.5, seed=2) if own_part else None
    chosen = evaluate(build(name), make_task(*train, *test, validation=validation)).selected
    shuffled = (test[0], np.random.default_rng(0).permutation(test[1]))
    assert evaluate(build(name), make_task(*train, *shuffled, validation=validation)).selected == chosen


@pytest.mark.parametrize("name", ["logistic", "logistic-pyg", "mlp-paper", "svm-paper"])
def test_probes_without_selection_never_read_the_validation_part(name, make_task, blobs):
    nonsense = np.full((10, 8), np.nan, np.float32), np.zeros(10, np.int64)
    task = make_task(*blobs(90), *blobs(60, seed=1), validation=nonsense)
    assert evaluate(build(name), task).value == 100.0


@pytest.mark.parametrize("name", JUDGES_MULTI_LABEL)
def test_several_binary_labels_are_scored_by_micro_f1(name, multi_label):
    score = evaluate(build(name), multi_label)
    assert score.name == "micro_f1"
    assert 60 < score.value < 100


@pytest.mark.parametrize("name", JUDGES_CLASSES_ONLY)
def test_several_binary_labels_are_refused_with_a_way_out(name, multi_label):
    with pytest.raises(EvaluationError, match=f"^{name} judges single-label data; use logistic or knn"):
        evaluate(build(name), multi_label)


@pytest.mark.parametrize("name", JUDGES_CLASSES_ONLY)
def test_a_single_training_class_is_an_error(name, make_task, blobs):
    x, y = blobs(30)
    with pytest.raises(EvaluationError, match="at least two classes"):
        evaluate(build(name), make_task(x, np.zeros_like(y), x, y))
