"""`mine`: the information of input and representation."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from harness import (
    EvaluationError,
    FramePairs,
    GraphSource,
    Images,
    ImageSource,
    Pairs,
    PairSource,
    Part,
    UnfitError,
    Vectors,
    VectorSource,
)
from harness_information import mine
from harness_information.mine import Mine, Statistics, inputs_of
from harness_information.spec_evaluators import MineOptions

SMALL = {"steps": 15, "batch_size": 32, "hidden": 16, "width": 4, "restarts": 2, "shifts": 3}
LEARNS = {"steps": 400, "batch_size": 256, "hidden": 32, "restarts": 2, "lr": 5e-3, "shifts": 10}


@pytest.fixture
def estimate(judge):
    """The scores of `mine` by name."""
    return lambda task, **options: judge(Mine(MineOptions(**SMALL | options)), task)


@pytest.fixture
def images():
    """[120, 1, 8, 8] of noise."""
    return torch.randn(120, 1, 8, 8, generator=torch.Generator().manual_seed(0))


# --------------------------------------------------------------------------------------------------- what it measures


def test_dependent_numbers_come_near_their_information(estimate, make_task, gaussian):
    x, y = gaussian(9000, 0.9)
    found = estimate(make_task(y, x), **LEARNS)
    truth = -0.5 * math.log(1 - 0.9**2)
    assert truth - 0.12 < found["information"].value < truth + 0.08
    assert found["information"].value < found["upper_limit"].value < found["information"].value + 0.08


def test_independent_numbers_have_none(estimate, make_task, gaussian):
    x, y = gaussian(9000, 0.0)
    found = estimate(make_task(y, x), **LEARNS)
    assert found["information"].value < 0.02
    assert found["upper_limit"].value < 0.1


def test_a_network_that_has_learned_its_training_part_by_heart_is_read_on_the_test_part(estimate, make_task, gaussian):
    x, y = gaussian(150, 0.0, dims=20)
    found = estimate(make_task(y, x), **LEARNS | {"batch_size": 100, "steps": 300})
    assert found["information"].value < 0.1


def test_images_that_say_what_the_representation_is_have_information(estimate, make_task):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, 1500)
    pixels = 0.5 * rng.normal(size=(1500, 1, 8, 8)) + (2 * bits - 1)[:, None, None, None]
    features = (bits[:, None] + 0.05 * rng.normal(size=(1500, 3))).astype(np.float32)
    source = ImageSource(torch.tensor(pixels, dtype=torch.float32))
    found = estimate(make_task(features, source), steps=150, batch_size=128, hidden=64, lr=5e-3, shifts=10)
    assert found["information"].value == pytest.approx(math.log(2), abs=0.1)


def test_the_scale_of_a_representation_does_not_matter(estimate, make_task, gaussian):
    x, y = gaussian(300, 0.9, dims=3)
    plain = estimate(make_task(y, x))
    scaled = estimate(make_task((y * np.float32([1e-3, 1.0, 1e4]) + np.float32([5.0, -2.0, 0.0])), x))
    assert scaled["information"].value == pytest.approx(plain["information"].value, abs=1e-3)


def test_a_column_that_is_constant_changes_no_value_much(estimate, make_task, gaussian):
    x, y = gaussian(300, 0.9, dims=2)
    y[:, 1] = 7.0
    assert math.isfinite(estimate(make_task(y, x))["information"].value)


def test_the_cap_is_the_logarithm_of_the_test_samples(estimate, make_task, gaussian):
    x, y = gaussian(90, 0.5)
    found = estimate(make_task(y, x))
    assert found["cap"].value == pytest.approx(math.log(30))
    assert list(found) == ["information", "upper_limit", "cap"]


def test_restarts_are_networks_of_their_own_and_the_median_is_reported(estimate, make_task, gaussian):
    x, y = gaussian(300, 0.9)
    score = estimate(make_task(y, x), restarts=3)["information"]
    values = score.selected["restarts"]
    assert len({round(value, 7) for value in values}) == 3
    assert score.value == sorted(values)[1]
    assert (score.n, score.over, score.std) == (3, "restarts", pytest.approx(np.std(values, ddof=1)))


def test_the_estimate_is_the_seed_s(estimate, make_task, gaussian):
    x, y = gaussian(300, 0.9)
    one, same, other = (estimate(make_task(y, x, seed=seed)) for seed in (0, 0, 1))
    assert one == same
    assert one["information"] != other["information"]


def test_global_states_outside_the_networks_first_weights_do_not_matter(make_task, gaussian):
    """Batches, marginal pairs and what is read come from the task's seed."""
    x, y = gaussian(300, 0.9)
    found = []
    for noise in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(3)
            np.random.seed(noise)
            found.append(Mine(MineOptions(**SMALL)).evaluate(make_task(y, x)))
    assert found[0] == found[1]


# ---------------------------------------------------------------------------------------- which goes with which


def rotated(index):
    return np.concatenate([index[7:], index[:7]])


def reversed_(index):
    return index[::-1].copy()


def scattered(index):
    return np.random.default_rng(len(index)).permutation(index)


@pytest.mark.parametrize("order", [rotated, scattered, reversed_])
def test_inputs_meet_their_own_representations_in_whatever_order_these_come(estimate, make_task, gaussian, order):
    x, y = gaussian(300, 0.99)
    expected = estimate(make_task(y, x), steps=60, lr=1e-2)
    found = estimate(make_task(y, x, order=order), steps=60, lr=1e-2)
    assert expected["information"].value > 0.2  # of others' representations it would be 0
    assert found["information"].value == pytest.approx(expected["information"].value, abs=1e-3)
    assert found["upper_limit"].value == pytest.approx(expected["upper_limit"].value, abs=1e-3)


def test_parts_that_do_not_fill_the_data_set_are_found_by_their_numbers(estimate, make_task, gaussian):
    x, y = gaussian(300, 0.99)
    train, test = np.arange(3, 203, 2), np.arange(203, 300, 2)
    scattered = dataclasses.replace(
        make_task(y, x), train=Part(features=y[train], index=train), test=Part(features=y[test], index=test)
    )
    packed = make_task(y[3::2], x[3::2], cut=100)
    one, other = (estimate(task, steps=60, lr=1e-2)["information"].value for task in (scattered, packed))
    assert one == pytest.approx(other, abs=1e-3)
    assert one > 0.2  # of others' representations it would be 0


class Spying(Statistics):
    """Keeps which pairs it was asked about, as the halves of their samples."""

    asked = None

    def forward(self, of_x, of_y):
        Spying.asked.append((of_x.detach()[0], of_y.detach()[0]))
        return super().forward(of_x, of_y)


@pytest.fixture
def spied(monkeypatch):
    """Pairs that the network is asked about, in training and then in reading."""
    Spying.asked = []
    monkeypatch.setattr(mine, "Statistics", Spying)
    return Spying.asked


@pytest.mark.parametrize("batch_size", [2, 3, 32])
def test_marginal_pairs_never_join_a_sample_with_itself(estimate, make_task, gaussian, spied, batch_size):
    x, y = gaussian(64, 0.5)
    estimate(make_task(y, x, cut=60), batch_size=batch_size, steps=20)  # four test samples: each meets all others
    training, reading = spied[:40], spied[40:]
    marginals = min(16, batch_size - 1)
    for joint, marginal in zip(training[::2], training[1::2], strict=True):
        of_x, of_y = (half.unflatten(0, (batch_size, marginals)) for half in marginal)
        assert torch.equal(of_x, joint[0][:, None].expand_as(of_x))
        for place in range(marginals):
            assert not (joint[1] == of_y[:, place]).all(1).any()
            assert torch.equal(joint[1].sort(0).values, of_y[:, place].sort(0).values)
    own, *others = reading
    assert len(others) == 3
    for other in others:
        assert torch.equal(other[0], own[0])
        assert not (other[1] == own[1]).all(1).any()
    first = [tuple(other[1][0].tolist()) for other in others]
    assert len(set(first)) == 3  # another sample each time


def test_test_samples_are_scored_piece_by_piece_as_all_at_once(estimate, make_task, gaussian, monkeypatch):
    x, y = gaussian(300, 0.9)
    whole = estimate(make_task(y, x))
    monkeypatch.setattr(mine, "SCORED", 17)
    pieces = estimate(make_task(y, x))
    assert pieces["information"].value == pytest.approx(whole["information"].value, abs=1e-5)
    assert pieces["upper_limit"].value == pytest.approx(whole["upper_limit"].value, abs=1e-5)


def test_training_sees_nothing_of_the_test_part(estimate, make_task, gaussian, spied):
    x, y = gaussian(90, 0.5)
    estimate(make_task(y, x))
    seen = len(spied)
    one = [tuple(part.clone() for part in pair) for pair in spied[: 2 * SMALL["steps"]]]
    spied.clear()
    x[60:], y[60:] = 1000 * x[60:], 3 * y[60:]
    estimate(make_task(y, x))
    assert len(spied) == seen
    for before, after in zip(one, spied, strict=False):
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


# ------------------------------------------------------------------------------------------------------------ network


@pytest.mark.parametrize("x_shape", [(5,), (1, 8, 8)])
def test_the_network_is_one_on_both_inputs(x_shape):
    torch.manual_seed(0)
    network = Statistics(x_shape, 3, MineOptions(**SMALL))
    x, y = torch.randn(7, *x_shape), torch.randn(7, 3)
    scores = network(*network.halves(x, y))
    assert scores.shape == (2, 7)
    trunk = network.trunk(x) if len(x_shape) == 3 else x.expand(2, -1, -1)
    for number in range(2):
        both = torch.cat([trunk[number], y], dim=1)
        weight = torch.cat([network.of_x.weight[number], network.of_y.weight[number]])
        hidden = (both @ weight + network.of_x.bias[number]).relu()
        for layer in network.head:
            hidden = hidden.relu() if isinstance(layer, nn.ReLU) else hidden @ layer.weight[number] + layer.bias[number]
        torch.testing.assert_close(scores[number], hidden.squeeze(1), atol=1e-5, rtol=1e-4)


def test_each_restart_steps_as_it_would_alone(gaussian):
    x, y = (torch.tensor(values) for values in gaussian(64, 0.9))
    torch.manual_seed(0)
    options = MineOptions(**SMALL | {"restarts": 3, "steps": 5})
    together = Statistics((1,), 1, options)
    alone = Statistics((1,), 1, MineOptions(**SMALL | {"restarts": 1, "steps": 5}))
    alone.load_state_dict({name: value[1:2].clone() for name, value in together.state_dict().items()})
    for network, settings in ((together, options), (alone, MineOptions(**SMALL | {"restarts": 1, "steps": 5}))):
        trainer = mine._Trainer(network, settings)
        for number in range(5):
            trainer.step(x, y, torch.tensor([1 + number, 7]))
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(together.state_dict()[name][1:2], value, atol=1e-5, rtol=1e-4)


def test_the_rate_falls_to_nothing_along_a_half_cosine(gaussian):
    x, y = (torch.tensor(values) for values in gaussian(64, 0.9))
    options = MineOptions(**SMALL | {"steps": 8, "lr": 0.01})
    trainer = mine._Trainer(Statistics((1,), 1, options), options)
    rates = []
    for _ in range(8):
        rates.append(trainer.optimiser.param_groups[0]["lr"])
        trainer.step(x, y, torch.tensor([1]))
    assert rates == pytest.approx([0.005 * (1 + math.cos(math.pi * step / 8)) for step in range(8)])
    assert trainer.optimiser.param_groups[0]["lr"] == pytest.approx(0)


def test_a_step_lowers_the_loss_of_a_slow_loop_over_its_pairs(gaussian):
    x, y = (torch.tensor(values) for values in gaussian(9, 0.9))
    options = MineOptions(**SMALL | {"restarts": 1, "rate": 0.0})
    network, shifts = Statistics((1,), 1, options), torch.tensor([2, 5])
    trainer = mine._Trainer(network, options)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    trainer.step(x, y, shifts)
    gradients = {name: value.grad.clone() for name, value in network.named_parameters()}

    network.load_state_dict(before)

    def score(i, j):
        return network(network.of_x(x[i : i + 1]), network.of_y(y[j : j + 1]))[0, 0]

    joint = sum(score(i, i) for i in range(9)) / 9
    marginal = torch.stack([score(i, (i + int(shift)) % 9) for i in range(9) for shift in shifts])
    slow = -(joint - marginal.logsumexp(0) + math.log(18))
    expected = torch.autograd.grad(slow, list(network.parameters()))
    for (name, _), gradient in zip(network.named_parameters(), expected, strict=True):
        torch.testing.assert_close(gradients[name], gradient, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize(("n", "count", "found"), [(10, 3, 3), (10, 9, 9), (5, 16, 4), (2, 1, 1)])
def test_shifts_are_different_and_meet_no_sample_itself(n, count, found):
    shifts = mine.drawn_shifts(n, count, torch.Generator().manual_seed(0)).tolist()
    assert len(set(shifts)) == len(shifts) == found
    assert set(shifts) <= set(range(1, n))


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (Images(index=torch.arange(2), pixels=torch.ones(2, 1, 4, 4)), (2, 1, 4, 4)),
        (Vectors(index=torch.arange(2), values=torch.ones(2, 3)), (2, 3)),
        (Pairs(index=torch.arange(2), x=torch.ones(2, 3), y=torch.zeros(2, 5)), (2, 3)),
    ],
)
def test_the_input_is_the_image_the_vector_or_the_x_of_a_pair(batch, expected):
    assert inputs_of(batch).shape == expected
    assert bool((inputs_of(batch) == 1).all())


# -------------------------------------------------------------------------------------------------- what it refuses


def test_pairs_are_judged_by_their_x(estimate, make_task, gaussian):
    x, y = gaussian(300, 0.9)
    pairs = PairSource(torch.tensor(x), torch.zeros(300, 2))
    assert estimate(make_task(y, pairs)) == estimate(make_task(y, x))


def test_fewer_training_samples_than_a_batch_are_an_error(estimate, make_task, gaussian):
    x, y = gaussian(45, 0.9)
    with pytest.raises(EvaluationError) as caught:
        estimate(make_task(y, x))
    assert str(caught.value) == ("mine draws batches of 32 and the training part has 30 samples; lower evaluator.mine.batch_size.")
    assert estimate(make_task(y, x), batch_size=30)


@pytest.mark.parametrize("samples", [1, 3])
def test_test_samples_without_enough_others_are_an_error(estimate, make_task, gaussian, samples):
    x, y = gaussian(60 + samples, 0.9)
    with pytest.raises(EvaluationError) as caught:
        estimate(make_task(y, x, cut=60))
    assert str(caught.value) == (
        f"mine joins each test sample with 3 others and the test part has {samples}; lower evaluator.mine.shifts."
    )
    if samples == 3:
        assert estimate(make_task(y, x, cut=60), shifts=2)


def test_a_network_that_diverges_is_an_error(estimate, make_task, gaussian):
    x, y = gaussian(90, 0.9)
    with pytest.raises(EvaluationError, match=r"^mine diverged on feature 'y'; lower evaluator\.mine\.lr\.$"):
        estimate(make_task(y, x), lr=1e30)


class Frames(VectorSource):
    """Gives frames in pairs, which say nothing of a single sample."""

    def _gather(self, index):
        frame = torch.zeros(len(index), 1, 4, 4)
        return FramePairs(index=index, first=frame, second=frame)

    def subset(self, index):
        return Frames(self._values, index=torch.as_tensor(index))


def test_inputs_that_are_neither_images_nor_vectors_are_an_error(estimate, make_task, gaussian):
    x, y = gaussian(90, 0.9)
    with pytest.raises(EvaluationError) as caught:
        estimate(make_task(y, Frames(torch.tensor(x))))
    assert str(caught.value) == "mine estimates the information about images, vectors and pairs, not about a FramePairs."


def test_the_nodes_of_a_graph_cannot_be_drawn_apart(estimate, make_task, gaussian):
    _, y = gaussian(90, 0.9)
    graph = GraphSource.from_edges(torch.zeros(90, 2), torch.zeros(2, 0, dtype=torch.int64))
    with pytest.raises(UnfitError, match="^Graphs cannot be drawn as 'items'"):
        estimate(make_task(y, graph))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_comes_near_the_information_too(estimate, make_task, gaussian):
    x, y = gaussian(9000, 0.9)
    found = estimate(make_task(y, x, device="cuda"), **LEARNS)
    assert found["information"].value == pytest.approx(-0.5 * math.log(1 - 0.9**2), abs=0.12)
