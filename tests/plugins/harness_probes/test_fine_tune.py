"""Fine-tuning: the encoder and a small net trained together on the labelled training part."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harness import Encoder, EvaluationError, GraphSource, Part, Task, UnfitError, VectorSource
from harness.line.seeding import isolated_randomness
from harness_probes import fine_tune
from harness_probes.fine_tune import FineTune
from harness_probes.mlp import MlpProbe
from harness_probes.spec import FineTuneOptions, MlpOptions, harness_evaluators

SHORT = {"epochs": 8, "lr": (1e-2,)}


class Blind(Encoder):
    """[B, 6] -> "y" [B, 4] and "map" [B, 2, 2]; as trained it does not see the last three inputs. Notes what it is shown."""

    def __init__(self):
        super().__init__()
        self.feature_shapes = {"y": (4,), "map": (2, 2)}
        self.hidden = nn.Linear(6, 4)
        self.normal = nn.BatchNorm1d(4)
        with torch.no_grad():
            self.hidden.weight[:, 3:] = 0
        self.unused = nn.Linear(4, 4)  # stands above the judged feature
        self.seen = {True: [], False: []}

    def forward(self, batch):
        self.seen[self.training] += batch.index.tolist()
        y = self.normal(self.hidden(batch.values))
        return {"y": y, "map": y.reshape(-1, 2, 2)}


@pytest.fixture
def trained():
    """The run's own encoder."""
    with isolated_randomness(3):
        return Blind().eval()


@pytest.fixture
def task(trained):
    """400 samples in mixed order whose class is the sign of an input that the encoder does not see; a fifth is for training."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 6)).astype(np.float32)
    labels = (values[:, 5] > 0).astype(np.int64)
    order = rng.permutation(400)
    inputs = VectorSource(torch.tensor(values))
    with torch.no_grad():
        features = torch.cat([trained(batch)["y"] for batch in inputs.in_order(400)]).numpy()
    trained.seen[False].clear()

    def part(index):
        return Part(features=features[index], index=index, labels=labels[index])

    return Task(
        feature="y",
        train=part(order[:80]),
        test=part(order[80:280]),
        validation=part(order[280:]),
        protocol_seed=0,
        seed=0,
        device=torch.device("cpu"),
        classes=2,
        inputs=inputs,
        fresh_encoder=lambda: copy.deepcopy(trained),
    )


@pytest.fixture
def watched(task, trained):
    """The task, and the list of encoders that were handed out."""
    handed = []
    fresh = lambda: handed.append(copy.deepcopy(trained)) or handed[-1]  # noqa: E731
    return dataclasses.replace(task, fresh_encoder=fresh), handed


def evaluate(task, **options):
    with isolated_randomness(task.seed):  # as the core does
        [score] = FineTune(FineTuneOptions(**SHORT | options)).evaluate(task)
    return score


def with_labels(part, labels):
    return dataclasses.replace(part, labels=labels)


def test_fine_tuning_learns_what_the_frozen_encoder_does_not_see(task):
    with isolated_randomness(0):
        [frozen] = MlpProbe(MlpOptions(lr=(1e-2,), epochs=8)).evaluate(task)
    assert frozen.value < 65
    assert evaluate(task).value > 85


def test_the_run_s_own_encoder_is_left_alone(task, trained):
    before = copy.deepcopy(trained.state_dict())
    evaluate(task)
    assert all(torch.equal(after, before[name]) for name, after in trained.state_dict().items())
    assert not trained.training
    assert all(parameter.grad is None for parameter in trained.parameters())


def test_weights_and_batch_statistics_of_the_copy_are_trained(watched, trained):
    task, handed = watched
    evaluate(task)
    assert not torch.equal(handed[0].hidden.weight, trained.hidden.weight)
    assert not torch.equal(handed[0].normal.running_mean, trained.normal.running_mean)


def test_one_copy_is_taken(watched):
    task, handed = watched
    evaluate(task)
    assert len(handed) == 1


def test_only_samples_of_the_training_part_are_trained_on(watched):
    task, handed = watched
    evaluate(task)
    assert set(handed[0].seen[True]) == set(task.train.index)


def test_the_test_part_is_read_once(watched):
    task, handed = watched
    evaluate(task)
    shown = [index for index in handed[0].seen[False] if index in set(task.test.index)]
    assert sorted(shown) == sorted(task.test.index)


def test_without_a_validation_part_a_tenth_of_the_training_part_is_drawn(watched):
    task, handed = watched
    task = dataclasses.replace(task, validation=None)
    evaluate(task)
    fit, held_out = task.validation_rows()
    assert set(handed[0].seen[True]) == set(task.train.index[fit])
    assert set(task.train.index[held_out]) < set(handed[0].seen[False])


def test_samples_with_unknown_labels_are_left_out(watched):
    task, handed = watched
    labels = task.train.labels.copy()
    labels[::2] = -1
    evaluate(dataclasses.replace(task, train=with_labels(task.train, labels)))
    assert set(handed[0].seen[True]) == set(task.train.index[1::2])


def test_test_labels_change_no_prediction(task):
    # With all test labels set to c the accuracy is the share of predictions of c. These add up if predictions stay the same.
    every = [with_labels(task.test, np.full_like(task.test.labels, c)) for c in range(2)]
    assert sum(evaluate(dataclasses.replace(task, test=test)).value for test in every) == pytest.approx(100)


def test_the_value_is_that_of_a_plain_loop(task, trained):
    values, labels = torch.cat([batch.values for batch in task.inputs.in_order(400)]), torch.full((400,), -1)
    for part in (task.train, task.test):
        labels[part.index] = torch.tensor(part.labels)
    with isolated_randomness(task.seed):
        encoder, generator = copy.deepcopy(trained).train(), task.generator()
        head = nn.Sequential(nn.Linear(4, 200), nn.Dropout(0.1), nn.BatchNorm1d(200), nn.ReLU(), nn.Linear(200, 2))
        net = nn.Sequential(encoder.hidden, encoder.normal, head)
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
        members = torch.tensor(np.sort(task.train.index))
        for rows in members[torch.randperm(80, generator=generator)].split(64):
            optimiser.zero_grad()
            F.cross_entropy(net(values[rows]), labels[rows]).backward()
            optimiser.step()
    net.eval()
    expected = 100 * (net(values[task.test.index]).argmax(1) == labels[task.test.index]).float().mean().item()
    assert evaluate(task, epochs=1).value == pytest.approx(expected)


def test_the_judged_feature_carries_the_net_whatever_its_shape(task):
    as_map = dataclasses.replace(task, feature="map")
    assert evaluate(as_map) == evaluate(task)


def test_the_best_validation_epoch_is_kept(task, monkeypatch):
    found = []
    real = fine_tune.train_to_best
    monkeypatch.setattr(fine_tune, "train_to_best", lambda *args: found.append(real(*args)) or found[-1])
    assert evaluate(task).selected == {"epoch": found[0]}


def test_the_same_seed_gives_the_same_score(task):
    assert evaluate(task) == evaluate(task)


def test_another_seed_gives_another_score(task):
    assert evaluate(task) != evaluate(dataclasses.replace(task, seed=1))


def test_it_declares_that_it_needs_labels_inputs_and_the_encoder():
    [spec] = [spec for spec in harness_evaluators() if spec.name == "fine-tune"]
    assert set(spec.needs) == {"labels", "inputs", "encoder"}
    assert "graphs" not in spec.tracks


def test_graphs_are_refused(task):
    edges = torch.stack([torch.arange(399), torch.arange(1, 400)])
    graph = GraphSource.from_edges(torch.zeros(400, 6), edges)
    with pytest.raises(UnfitError, match="cannot be drawn as 'items'"):
        evaluate(dataclasses.replace(task, inputs=graph))


def test_several_binary_labels_are_refused(task):
    binary = {
        name: with_labels(part, np.stack([part.labels] * 2, axis=1))
        for name in ("train", "test", "validation")
        if (part := getattr(task, name)) is not None
    }
    with pytest.raises(EvaluationError, match="^fine-tune judges single-label data"):
        evaluate(dataclasses.replace(task, **binary))


def test_divergence_is_an_error(task):
    with pytest.raises(EvaluationError, match=r"fine-tune diverged on feature 'y'; lower evaluator\.fine-tune\.lr"):
        evaluate(dataclasses.replace(task, inputs=VectorSource(torch.full((400, 6), 3e38))))
