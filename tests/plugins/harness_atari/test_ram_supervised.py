"""`ram-supervised`: whole encoders trained by the values of the variables."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from harness import Encoder, EvaluationError, FrameSource, Part, Task, VectorSource
from harness.line.evaluation import evaluate
from harness_atari.ram_supervised import LabelledFrames, LinearOnEncoder, SupervisedRam, predict, train_to_best
from harness_atari.spec_evaluators import RAM_SUPERVISED, RamProbeOptions
from harness_atari.stacked_probes import Training

PIXELS = 12
OPTIONS = {"lr": 0.02, "epochs": 15, "batch_size": 20, "patience": 5}


class OneUnit(Encoder):
    """A feature of one number, in which there is no room for two variables at once."""

    def __init__(self):
        super().__init__()
        self.feature_shapes = {"y": (1,)}
        self.layer = nn.Linear(PIXELS, 1)

    def forward(self, batch):
        return {"y": self.layer(batch.pixels.flatten(start_dim=1))}


class Wide(OneUnit):
    def __init__(self):
        super().__init__()
        self.feature_shapes = {"y": (32,)}
        self.layer = nn.Sequential(nn.Linear(PIXELS, 32), nn.Tanh())


@pytest.fixture
def played():
    """300 frames of twelve pixels that show two variables and nothing of a third, which never changes."""
    rng = np.random.default_rng(0)
    values = {"player_x": rng.integers(0, 3, 300), "enemy_y": rng.integers(0, 2, 300), "num_lives": np.full(300, 4)}
    frames = rng.normal(0, 0.1, (300, PIXELS)).astype(np.float32)
    frames[np.arange(300), values["player_x"]] += 2
    frames[np.arange(300), 6 + values["enemy_y"]] += 2
    factors = {name: 5 + 40 * its for name, its in values.items()}
    source = FrameSource(torch.from_numpy(frames).reshape(300, 1, 3, 4), torch.arange(300) // 30)
    return source, factors


@pytest.fixture
def make_task(played):
    source, factors = played

    def part(start, stop):
        index = np.arange(start, stop)
        # A feature of an encoder that sees nothing: what is judged is trained anew.
        features = np.random.default_rng(1).normal(size=(len(index), 1)).astype(np.float32)
        return Part(features=features, index=index, factors={name: values[index] for name, values in factors.items()})

    def make(encoder=Wide, inputs=source, told=None, seed=0):
        def fresh():
            torch.manual_seed(3)
            return encoder()

        return Task(
            feature="y",
            train=part(0, 200),
            validation=part(200, 240),
            test=part(240, 300),
            protocol_seed=0,
            seed=seed,
            device=torch.device("cpu"),
            inputs=inputs,
            fresh_encoder=fresh,
            progress=lambda *progress: None if told is None else told.append(progress),
        )

    return make


def judged(task, **options):
    found = evaluate(SupervisedRam(RamProbeOptions(**OPTIONS | options)), RAM_SUPERVISED, task)
    return {(metric.name, *metric.of.values()): metric for metric in found}


def test_what_frames_show_is_read_though_the_judged_feature_says_nothing(make_task):
    found = judged(make_task())
    assert found["variable_f1", "player_x"].value == 1
    assert found["variable_f1", "enemy_y"].value == 1
    assert found[("f1",)].value == 1


def test_every_variable_has_an_encoder_of_its_own(make_task):
    # A single number cannot say six things linearly; one that is each variable's own says two of them.
    assert judged(make_task(OneUnit), epochs=40)["variable_f1", "enemy_y"].value == 1


def test_a_variable_that_never_changes_in_training_is_answered_without_training(make_task):
    metric = judged(make_task())["variable_f1", "num_lives"]
    assert (metric.value, metric.selected) == (1, {})


def test_epochs_are_told_and_kept_to(make_task):
    selected = judged(make_task(), epochs=3)["variable_f1", "player_x"].selected
    assert 1 <= selected["epoch"] <= selected["epochs"] <= 3


def test_progress_counts_the_epochs_of_all_encoders(make_task):
    told = []
    judged(make_task(told=told), epochs=3, patience=9)
    assert told == [(epoch, 6, "epochs of encoders") for epoch in range(6)]


def test_the_same_seed_gives_the_same_scores(make_task):
    one, again = (judged(make_task(OneUnit), epochs=2) for _ in range(2))
    other = judged(make_task(OneUnit, seed=1), epochs=2)
    assert one == again
    assert one != other


@pytest.mark.parametrize("classes", ["seen", "all"])
def test_there_may_be_a_class_for_every_byte(make_task, classes):
    assert judged(make_task(), classes=classes, epochs=30)["variable_f1", "player_x"].value == 1


def test_inputs_that_are_no_frames_are_refused(make_task):
    with pytest.raises(EvaluationError, match="ram-supervised trains encoders on frames, and this data set has none"):
        judged(make_task(inputs=VectorSource(torch.zeros(300, 2))))


def test_a_network_that_diverges_is_refused(make_task):
    with pytest.raises(EvaluationError, match=r"ram-supervised diverged; lower evaluator\.ram-supervised\.lr"):
        judged(make_task(), lr=1e38)


def test_the_net_ends_with_the_weights_of_its_best_epoch(played, make_task):
    source, factors = played
    classes = torch.from_numpy((factors["player_x"] - 5) // 40)
    shown, held_out = (LabelledFrames(source, torch.arange(*ends), classes[slice(*ends)]) for ends in ((0, 200), (200, 240)))
    torch.manual_seed(0)
    net = LinearOnEncoder(OneUnit(), "y", 3)
    accuracies = []

    def advanced(epoch):
        if epoch:
            accuracies.append(float((predict(net, held_out) == held_out.targets).double().mean()))

    training = Training(lr=2.0, epochs=9, batch_size=20, patience=9)  # a rate at which accuracies go up and down
    epoch, epochs = train_to_best(net, shown, held_out, training, torch.Generator().manual_seed(0), advanced)
    assert epochs == 9
    assert len(set(accuracies)) > 2
    best = float((predict(net, held_out) == held_out.targets).double().mean())
    assert best == max([*accuracies, best])
    assert epoch == 9 or accuracies[epoch - 1] == best


def test_rows_keep_their_classes_in_any_order(played):
    source, _ = played
    frames = LabelledFrames(source, torch.arange(100, 200), torch.arange(100))
    [(first, classes), (second, _)] = list(frames.batches(torch.tensor([7, 3, 7, 90]), 3))
    assert first.index.tolist() == [107, 103, 107]
    assert classes.tolist() == [7, 3, 7]
    assert torch.equal(first.pixels, source.pixels(torch.tensor([107, 103, 107])))
    assert second.index.tolist() == [190]
