"""The evaluators of RAM variables: what they report, and what they refuse."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from harness import EvaluationError, Part, Task
from harness.line.evaluation import evaluate
from harness_atari import ram_probe
from harness_atari.categories import categories_of
from harness_atari.episode_draws import EpisodeDraws
from harness_atari.ram_probe import LegacyRamProbe, RamProbe, targets
from harness_atari.scores import category_means, constant_f1, headline
from harness_atari.spec_evaluators import RAM_PROBE, RAM_PROBE_LEGACY, LegacyRamProbeOptions, RamProbeOptions

QUICK = {"lr": 0.05, "epochs": 12, "batch_size": 32, "patience": 4}
SIZES = {"player_x": 6, "enemy_y": 4, "num_lives_direction": 3, "tile_color_0": 2}
EPISODE = 25


def factors_of(n, rng):
    """RAM values: far apart in a byte."""
    return {name: 7 + 30 * rng.integers(0, size, n) for name, size in SIZES.items()}


def one_hot(factors):
    """[n, 15] features that a linear probe reads every variable off."""
    return np.concatenate([(factors[name][:, None] == 7 + 30 * np.arange(size)) for name, size in SIZES.items()], axis=1).astype(
        np.float32
    )


def make_part(n, seed, start, features=None, factors=None, noise=0.6):
    rng = np.random.default_rng(seed)
    factors = factors_of(n, rng) if factors is None else factors
    features = one_hot(factors) + noise * rng.normal(size=(n, 15)).astype(np.float32) if features is None else features
    return Part(features=features, factors=factors, index=np.arange(start, start + n))


def make_task(train=None, test=None, seed=0, **changes):
    task = Task(
        feature="y",
        train=train or make_part(300, 1, 0),
        validation=make_part(100, 2, 300),
        test=test or make_part(200, 3, 400),
        protocol_seed=0,
        seed=seed,
        device=torch.device("cpu"),
        inputs=SimpleNamespace(episodes=torch.arange(600) // EPISODE),
    )
    return dataclasses.replace(task, **changes)


def with_part(task, name, **changes):
    return dataclasses.replace(task, **{name: dataclasses.replace(getattr(task, name), **changes)})


def with_features(task, change):
    for name in ("train", "validation", "test"):
        task = with_part(task, name, features=change(getattr(task, name).features))
    return task


def new_probe(kind, **options):
    if kind == "legacy":
        return LegacyRamProbe(LegacyRamProbeOptions(**QUICK | options))
    return RamProbe(RamProbeOptions(**QUICK | options))


def judged(task, kind="aari", **options):
    """The metrics as the core makes them of the scores, by name and what they are of."""
    spec = RAM_PROBE_LEGACY if kind == "legacy" else RAM_PROBE
    found = evaluate(new_probe(kind, **options), spec, task)
    return {(metric.name, *metric.of.values()): metric for metric in found}


def values(metrics):
    return {key: metric.value for key, metric in metrics.items()}


BOTH = pytest.mark.parametrize("kind", ["aari", "legacy"])

# ---------------------------------------------------------------------------------------------------- what is reported


@BOTH
def test_the_headline_every_category_and_every_variable_are_reported(kind):
    found = judged(make_task(), kind)
    present = {category for name in SIZES for category in categories_of(name)}
    expected = {("f1",), ("accuracy",)}
    expected |= {(f"category_{metric}", category) for metric in ("f1", "accuracy") for category in present}
    expected |= {(f"variable_{metric}", name) for metric in ("f1", "accuracy") for name in SIZES}
    assert set(found) == expected
    assert len(present) == 4


@BOTH
@pytest.mark.parametrize("metric", ["f1", "accuracy"])
def test_categories_and_the_headline_follow_from_the_variables(kind, metric):
    found = values(judged(make_task(), kind))
    means = category_means({name: found[f"variable_{metric}", name] for name in SIZES})
    assert {key[1]: value for key, value in found.items() if key[0] == f"category_{metric}"} == pytest.approx(means)
    assert found[(metric,)] == pytest.approx(headline(means))


@BOTH
def test_variables_that_a_linear_probe_can_read_score_one(kind):
    parts = {name: make_part(n, i, s, noise=0) for i, (name, n, s) in enumerate([("train", 300, 0), ("test", 200, 400)])}
    found = judged(make_task(validation=make_part(100, 9, 300, noise=0), **parts), kind, epochs=30)
    assert set(values(found).values()) == {1.0}


@BOTH
def test_features_that_say_nothing_score_low(kind):
    task = with_features(make_task(), lambda x: np.random.default_rng(0).normal(size=x.shape).astype(np.float32))
    found = values(judged(task, kind))
    for name, size in SIZES.items():
        assert abs(found["variable_accuracy", name] - 1 / size) < 0.15


def test_the_epochs_of_each_variable_are_told():
    found = judged(make_task())
    for name in SIZES:
        selected = found["variable_f1", name].selected
        assert 1 <= selected["epoch"] <= selected["epochs"] <= QUICK["epochs"]
        assert selected["epochs"] in (selected["epoch"] + QUICK["patience"], QUICK["epochs"])
        assert found["variable_accuracy", name].selected == selected
    assert found[("f1",)].selected == {}


def test_the_legacy_probe_judges_the_last_epoch():
    for name in SIZES:
        selected = judged(make_task(), "legacy")["variable_f1", name].selected
        assert selected["epoch"] == selected["epochs"]


def test_the_best_epoch_is_found_on_the_validation_part(monkeypatch):
    calls = []
    real = ram_probe.train_probes
    monkeypatch.setattr(ram_probe, "train_probes", lambda *given: calls.append(given) or real(*given))
    task = make_task()
    judged(task)
    [(_, train, validation, _, shown, judged_by, _)] = calls
    assert sorted(shown().tolist()) == list(range(300))
    assert judged_by().tolist() == list(range(100))
    assert train.targets.shape == (4, 300)
    assert validation.take(judged_by()).tolist() == task.validation.features.tolist()


def test_a_protocol_without_a_validation_part_has_one_drawn_from_the_training_part():
    assert judged(make_task(validation=None))[("f1",)].value > 0.5


@BOTH
def test_a_feature_of_several_axes_is_flattened(kind):
    task = make_task()
    assert values(judged(with_features(task, lambda x: x.reshape(-1, 3, 5)), kind)) == values(judged(task, kind))


@BOTH
def test_read_only_features_do(kind):
    def frozen(x):
        x = x.copy()
        x.flags.writeable = False
        return x

    task = make_task()
    assert values(judged(with_features(task, frozen), kind)) == values(judged(task, kind))


@BOTH
def test_the_seed_decides(kind):
    assert values(judged(make_task(seed=1), kind)) == values(judged(make_task(seed=1), kind))
    assert values(judged(make_task(seed=1), kind)) != values(judged(make_task(seed=2), kind))


def test_test_values_change_no_prediction():
    # With all test values set to c the accuracy is the share of predictions of c. These add up if predictions stay the same.
    task = make_task()

    def accuracy(c):
        changed = with_part(task, "test", factors={name: np.full(200, c) for name in SIZES})
        return judged(changed)["variable_accuracy", "player_x"].value

    assert sum(accuracy(7 + 30 * c) for c in range(6)) == pytest.approx(1)


def test_a_training_part_smaller_than_a_batch_is_fine():
    assert judged(make_task(), batch_size=1000, epochs=40)[("f1",)].value > 0.5
    assert judged(make_task(), "legacy", batch_size=1000, epochs=40)[("f1",)].value > 0.4


# ------------------------------------------------------------------------------------------------------------- classes


def test_with_all_classes_each_probe_has_those_of_a_byte(monkeypatch):
    sizes = []
    real = ram_probe.initial_probes
    monkeypatch.setattr(ram_probe, "initial_probes", lambda classes, *rest: sizes.append(classes) or real(classes, *rest))
    judged(make_task())
    judged(make_task(), classes="all")
    assert sizes == [list(SIZES.values()), [256] * 4]


def test_unseen_classes_change_little():
    seen, every = ([judged(make_task(seed=s), classes=c)[("f1",)].value for s in range(4)] for c in ("seen", "all"))
    assert abs(np.mean(seen) - np.mean(every)) < 0.02


def test_targets_are_places_among_the_classes_and_minus_one_elsewhere():
    found = targets(np.array([[7, 9, 7, 8], [0, 255, 3, 3]]), [np.array([7, 9]), np.array([0, 255])], torch.device("cpu"))
    assert found.tolist() == [[0, 1, 0, -1], [0, 1, -1, -1]]


@BOTH
@pytest.mark.parametrize("classes", ["seen", "all"])
def test_values_that_training_never_saw_are_never_right(kind, classes):
    task = make_task()
    for name in ("validation", "test"):
        factors = getattr(task, name).factors
        task = with_part(task, name, factors={**factors, "player_x": factors["player_x"] + 1})
    assert judged(task, kind, classes=classes)["variable_accuracy", "player_x"].value == 0


@BOTH
@pytest.mark.parametrize("classes", ["seen", "all"])
def test_a_variable_that_is_constant_in_training_is_said_to_be_so_always(kind, classes):
    task = make_task()
    task = with_part(task, "train", factors={**task.train.factors, "player_x": np.full(300, 37)})
    found = judged(task, kind, classes=classes)
    assert found["variable_f1", "player_x"].selected == {}
    if kind == "aari":
        p = (task.test.factors["player_x"] == 37).mean()
        assert found["variable_accuracy", "player_x"].value == pytest.approx(p)
        assert found["variable_f1", "player_x"].value == pytest.approx(constant_f1(p))
    assert found["variable_f1", "enemy_y"].value > 0.5


def test_nothing_is_trained_where_every_variable_is_constant(monkeypatch):
    monkeypatch.delattr(ram_probe, "train_probes")
    factors = {name: np.full(300, 37) for name in SIZES}
    assert judged(with_part(make_task(), "train", factors=factors))["variable_f1", "tile_color_0"].selected == {}


# ---------------------------------------------------------------------------------------------------- constant feature


@BOTH
def test_a_constant_feature_has_the_most_frequent_training_value_said_of_every_test_frame(kind, monkeypatch):
    monkeypatch.delattr(ram_probe, "train_probes")
    task = with_features(make_task(inputs=None), lambda x: np.ones((len(x), 1), np.float32))
    found = judged(task, kind)
    for name in SIZES:
        kinds, counts = np.unique(task.train.factors[name], return_counts=True)
        p = (task.test.factors[name] == kinds[counts.argmax()]).mean()
        assert found["variable_accuracy", name].value == pytest.approx(p)
        assert found["variable_f1", name].value == pytest.approx(constant_f1(p))
        assert found["variable_f1", name].selected == {}


def test_of_equally_frequent_values_the_smallest_is_said():
    task = with_features(make_task(), lambda x: np.zeros((len(x), 1), np.float32))
    task = with_part(task, "train", factors={"player_x": np.tile([200, 9, 30], 100)})
    task = with_part(task, "validation", factors={"player_x": np.full(100, 9)})
    assert judged(with_part(task, "test", factors={"player_x": np.full(200, 9)}))[("f1",)].value == 1


# -------------------------------------------------------------------------------------------------------- legacy draws


def test_the_legacy_probe_draws_every_part_by_its_episodes_in_whole_batches(monkeypatch):
    calls = []

    class Recorded(EpisodeDraws):
        def __init__(self, episodes, device):
            self.first = int(episodes[0])
            super().__init__(episodes, device)

        def draw(self, draws, generator):
            rows = super().draw(draws, generator)
            calls.append((self.first, len(rows), int(rows.max()) < {0: 300, 12: 100, 16: 200}[self.first]))
            return rows

    monkeypatch.setattr(ram_probe, "EpisodeDraws", Recorded)
    judged(make_task(), "legacy", epochs=3)
    # Parts of 300, 100 and 200 frames, batches of 32; the test part is drawn once.
    assert sorted(set(calls)) == [(0, 288, True), (12, 96, True), (16, 192, True)]
    assert [first for first, *_ in calls].count(16) == 1
    assert [first for first, *_ in calls].count(12) == [first for first, *_ in calls].count(0) == 3


def test_the_legacy_probe_counts_short_episodes_more():
    # Half of the test episodes have one frame, on which the variable has the value that is said of all.
    task = with_features(make_task(), lambda x: x * 0 + np.float32(1))
    features = np.concatenate([task.train.features[:-1], task.train.features[:1] + 1])  # not constant, and as good as it
    episodes = torch.cat([torch.arange(401), torch.full((199,), 401)])
    test_values = {name: np.where(np.arange(200) == 0, 7, 250) for name in SIZES}
    task = with_part(task, "train", features=features, factors={name: np.where(np.arange(300) < 299, 7, 8) for name in SIZES})
    task = with_part(task, "test", factors=test_values)
    found = judged(dataclasses.replace(task, inputs=SimpleNamespace(episodes=episodes)), "legacy", epochs=30)
    assert found["variable_accuracy", "player_x"].value == pytest.approx(0.5, abs=0.15)


def test_the_legacy_probe_needs_episodes():
    with pytest.raises(EvaluationError, match="these inputs have none; take ram-probe"):
        judged(make_task(inputs=SimpleNamespace()), "legacy")


# -------------------------------------------------------------------------------------------------------------- errors


@BOTH
def test_no_variable_is_an_error(kind):
    task = make_task()
    for name in ("train", "validation", "test"):
        task = with_part(task, name, factors={})
    with pytest.raises(EvaluationError, match="has no variable to judge"):
        judged(task, kind)


def test_no_variable_of_any_category_is_an_error():
    task = make_task()
    for name in ("train", "validation", "test"):
        task = with_part(task, name, factors={"tile_color_0": getattr(task, name).factors["tile_color_0"]})
    with pytest.raises(EvaluationError, match=r"none of these does: tile_color_0\.$"):
        judged(task)


@pytest.mark.parametrize("bad", [-1, 256, 1.5])
def test_values_that_are_no_bytes_are_an_error(bad):
    task = make_task()
    factors = {**task.test.factors, "enemy_y": np.full(200, bad)}
    with pytest.raises(EvaluationError, match="'enemy_y' has values that are no bytes in the test part"):
        judged(with_part(task, "test", factors=factors))


@BOTH
def test_probes_that_diverge_are_an_error(kind):
    task = with_features(make_task(), lambda x: np.sign(x) * np.float32(3e38))
    with pytest.raises(EvaluationError, match=r"diverged on feature 'y'; lower evaluator\.ram-probe"):
        judged(task, kind)
