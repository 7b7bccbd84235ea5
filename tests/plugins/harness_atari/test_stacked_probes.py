"""Probes side by side, beside one plain torch module after the other on the same batches."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harness_atari import stacked_probes
from harness_atari.stacked_probes import Plan, Samples, Stack, Training, grouped, initial_probes, predict, train_probes

SIZES = [2, 11, 3, 10, 6]
DIMS = 9
TRAINING = Training(lr=0.1, epochs=45, batch_size=32, patience=12)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(n, seed, sizes=SIZES, dtype=torch.float64):
    """Features [n, D] and classes [V, n] that they half decide."""
    random = generator(seed)
    maps = [torch.randn(DIMS, size, generator=generator(size)) for size in sizes]
    x = torch.randn(n, DIMS, generator=random)
    noise = [1.5 * torch.randn(n, size, generator=random) for size in sizes]
    return x.to(dtype), torch.stack([(x @ map + more).argmax(1) for map, more in zip(maps, noise, strict=True)])


def samples(x, y):
    return Samples(lambda rows: x[rows], y)


class Case:
    """Some data, and how both sides go through them."""

    def __init__(self, dtype=torch.float64, sizes=SIZES, training=TRAINING):
        self.x, self.y = drawn(170, 1, sizes, dtype)
        self.held_out_x, self.held_out_y = drawn(150, 2, sizes, dtype)
        self.initial = initial_probes(sizes, DIMS, generator(3), dtype)
        self.training = training

    def orders(self):
        random = generator(4)
        while True:
            yield torch.randperm(len(self.x), generator=random)

    def trained(self, probes=None):
        chosen = list(range(len(self.initial))) if probes is None else probes
        orders = self.orders()
        return train_probes(
            [self.initial[probe] for probe in chosen],
            samples(self.x, self.y[chosen]),
            samples(self.held_out_x, self.held_out_y[chosen]),
            self.training,
            lambda: next(orders),
            lambda: torch.arange(len(self.held_out_x)),
        )

    def one_by_one(self):
        """Of every probe the modules after each epoch, its rates, and its validation accuracies; up to its end."""
        for (weight, bias), y, held_out_y in zip(self.initial, self.y, self.held_out_y, strict=True):
            net = nn.Linear(DIMS, len(weight), dtype=weight.dtype)
            net.load_state_dict({"weight": weight, "bias": bias})
            optimiser = torch.optim.Adam(net.parameters(), lr=self.training.lr, eps=1e-5)
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, mode="max", factor=0.2, patience=5, min_lr=1e-5)
            nets, rates, accuracies = [], [], []
            for order in itertools.islice(self.orders(), self.training.epochs):
                rates.append(optimiser.param_groups[0]["lr"])
                for rows in torch.split(order, self.training.batch_size):
                    optimiser.zero_grad()
                    F.cross_entropy(net(self.x[rows]), y[rows]).backward()
                    optimiser.step()
                nets.append(copy.deepcopy(net))
                accuracies.append(float((net(self.held_out_x).argmax(1) == held_out_y).double().mean()))
                plateau.step(accuracies[-1])
                if len(nets) - 1 - int(np.argmax(accuracies)) == self.training.patience:
                    break
            yield nets, rates, accuracies


@pytest.fixture(scope="module")
def expected():
    return list(Case().one_by_one())


def agrees(probe, net, **tolerance):
    for found, wanted in zip(probe, (net.weight, net.bias), strict=True):
        torch.testing.assert_close(found, wanted.detach(), **tolerance)


# ------------------------------------------------------------------------------------------------ against plain torch


def test_the_case_has_rates_that_fall_and_probes_that_end_at_different_epochs(expected):
    assert len({len(nets) for nets, _, _ in expected}) > 2
    assert all(rates[-1] < rates[0] for _, rates, _ in expected)
    assert len({tuple(rates[:12]) for _, rates, _ in expected}) > 1


def test_each_ends_when_it_would_alone_with_the_weights_of_its_best_epoch(expected):
    found = Case().trained()
    assert found.epochs.tolist() == [len(nets) for nets, _, _ in expected]
    assert found.epoch.tolist() == [int(np.argmax(accuracies)) + 1 for _, _, accuracies in expected]
    for probe, epoch, (nets, _, _) in zip(found.probes, found.epoch, expected, strict=True):
        agrees(probe, nets[epoch - 1], rtol=0, atol=1e-9)


def test_each_ends_with_the_last_weights_where_these_are_judged(expected):
    found = Case(training=dataclasses.replace(TRAINING, judged="last")).trained()
    assert found.epoch.tolist() == found.epochs.tolist() == [len(nets) for nets, _, _ in expected]
    for probe, (nets, _, _) in zip(found.probes, expected, strict=True):
        agrees(probe, nets[-1], rtol=0, atol=1e-9)


def test_in_float32_the_weights_agree_to_its_rounding():
    case = Case(torch.float32, training=dataclasses.replace(TRAINING, epochs=5))
    found = case.trained()
    for probe, epoch, (nets, _, _) in zip(found.probes, found.epoch, case.one_by_one(), strict=True):
        agrees(probe, nets[epoch - 1], rtol=0, atol=1e-4)


def test_all_end_after_the_last_epoch(expected):
    found = Case(training=dataclasses.replace(TRAINING, epochs=4, judged="last")).trained()
    assert found.epochs.tolist() == [4] * len(SIZES)
    for probe, (nets, _, _) in zip(found.probes, expected, strict=True):
        agrees(probe, nets[3], rtol=0, atol=1e-9)


def test_a_probe_is_the_same_in_other_company():
    together, apart = Case().trained(), Case().trained([1, 4])
    assert apart.epoch.tolist() == together.epoch[[1, 4]].tolist()
    for one, other in zip(apart.probes, (together.probes[1], together.probes[4]), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


def test_a_part_smaller_than_a_batch_is_one_batch(expected):
    case = Case(training=dataclasses.replace(TRAINING, batch_size=1000, epochs=2))
    case.x, case.y = case.x[:20], case.y[:, :20]
    for probe, epoch, (nets, _, _) in zip(case.trained().probes, case.trained().epoch, case.one_by_one(), strict=True):
        agrees(probe, nets[epoch - 1], rtol=0, atol=1e-9)


def test_probes_that_have_ended_are_taken_out(monkeypatch, expected):
    trained = []
    real = Stack.epoch
    monkeypatch.setattr(Stack, "epoch", lambda self, *rest: trained.append(len(self.sizes)) or real(self, *rest))
    Case().trained()
    ends = [len(nets) for nets, _, _ in expected]
    assert trained == [sum(end > epoch for end in ends) for epoch in range(max(ends))]


def test_one_group_of_filled_up_probes_trains_the_same(monkeypatch, expected):
    monkeypatch.setattr(stacked_probes, "GROUP", {"cpu": 1 << 20})
    assert len(Stack.of(Case().initial)._groups) == 1
    found = Case().trained()
    assert found.epochs.tolist() == [len(nets) for nets, _, _ in expected]
    for probe, epoch, (nets, _, _) in zip(found.probes, found.epoch, expected, strict=True):
        agrees(probe, nets[epoch - 1], rtol=0, atol=1e-9)


def test_what_fills_a_group_up_is_never_said_and_never_moves(monkeypatch):
    monkeypatch.setattr(stacked_probes, "GROUP", {"cpu": 1 << 20})
    case = Case()
    stack = Stack.of(case.initial)
    stack.set_rates(np.full(len(SIZES), 0.1))
    stack.epoch(samples(case.x, case.y), torch.arange(len(case.x)), np.arange(len(SIZES)), 32)
    filled = np.ones(stack.state.shape[1], bool)
    for first, size in zip(stack.first, stack.sizes, strict=True):
        filled[first : first + size] = False
    assert filled.sum() == 5 * 11 - sum(SIZES)
    assert (stack.state[0, filled, DIMS] == -math.inf).all()
    assert (stack.state[:, filled][:, :, :DIMS] == 0).all()
    said = stack.predict(lambda rows: 1e3 * case.x[rows], torch.arange(len(case.x)))
    assert (said.amax(1) < torch.tensor(SIZES)).all()


# ------------------------------------------------------------------------------------------------------------- pieces


def test_initial_probes_are_those_of_a_linear_layer():
    probes = initial_probes([200, 3], 25, generator())
    assert [(weight.shape, bias.shape) for weight, bias in probes] == [((200, 25), (200,)), ((3, 25), (3,))]
    for values in probes[0]:
        assert values.abs().max() <= 0.2
        assert values.abs().max() > 0.19
        assert values.std() == pytest.approx(0.2 / math.sqrt(3), rel=0.1)


def test_predictions_are_the_largest_logits_in_blocks(monkeypatch):
    monkeypatch.setattr(stacked_probes, "SCORED", 32)
    case = Case()
    rows = torch.arange(len(case.x)).flip(0)
    said = predict(case.initial, lambda chosen: case.x[chosen], rows)
    for found, (weight, bias) in zip(said, case.initial, strict=True):
        assert found.tolist() == (case.x[rows] @ weight.T + bias).argmax(1).tolist()


def test_accuracy_counts_the_chosen_rows_and_never_a_class_that_a_probe_has_not(monkeypatch):
    monkeypatch.setattr(stacked_probes, "SCORED", 32)
    case = Case()
    rows, live = torch.tensor([0, 0, *range(100)]), np.array([3, 0])
    case.y[3, :50] = -1
    found = Stack.of([case.initial[3], case.initial[0]]).accuracy(samples(case.x, case.y), rows, live)
    said = predict(case.initial, lambda chosen: case.x[chosen], rows)
    assert found.tolist() == [float((said[probe] == case.y[probe, rows].numpy()).mean()) for probe in live]


@pytest.mark.parametrize("seed", range(5))
def test_rates_and_ends_are_those_of_torch_and_of_counting(seed):
    rng = np.random.default_rng(seed)
    accuracies = np.minimum(np.cumsum(rng.random((60, 4)) < 0.15, axis=0) * np.array([0.1, 1e-5, 1e-2, 0.0]), 1.0)
    plan = Plan(4, Training(lr=3e-4, epochs=100, batch_size=1, patience=15))
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(4)]
    optimisers = [torch.optim.Adam([parameter], lr=3e-4) for parameter in parameters]
    schedules = [
        torch.optim.lr_scheduler.ReduceLROnPlateau(one, mode="max", factor=0.2, patience=5, min_lr=1e-5) for one in optimisers
    ]
    live = np.arange(4)
    for epoch, row in enumerate(accuracies):
        _, goes_on = plan.judge(live, row[live])
        for optimiser, schedule, accuracy in zip(optimisers, schedules, row, strict=True):
            optimiser.step()
            schedule.step(accuracy)
        rates = np.array([one.param_groups[0]["lr"] for one in optimisers])
        np.testing.assert_allclose(plan.lr[live], rates[live], rtol=1e-12)
        best = accuracies[: epoch + 1].argmax(axis=0)
        assert goes_on.tolist() == (epoch - best[live] < 15).tolist()
        assert plan.best_epoch[live].tolist() == (best[live] + 1).tolist()
        live = live[goes_on]
    assert len(live) < 4


def test_a_rate_below_the_lowest_stays():
    plan = Plan(1, Training(lr=1e-6, epochs=100, batch_size=1, patience=50))
    for _ in range(20):
        plan.judge(np.arange(1), np.zeros(1))
    assert plan.lr.tolist() == [1e-6]


@pytest.mark.parametrize("group", [0, 1, 4, 1000])
def test_groups_have_the_fewest_rows(group):
    sizes = [5, 40, 7, 7, 38, 1]

    def cost(groups):
        return sum(len(members) * max(sizes[i] for i in members) + group for members in groups)

    def partitions(rest):
        if not rest:
            yield []
        for size in range(1, len(rest) + 1):
            for others in itertools.combinations(rest[1:], size - 1):
                first = [rest[0], *others]
                for further in partitions([i for i in rest if i not in first]):
                    yield [first, *further]

    found = grouped(sizes, group)
    assert sorted(itertools.chain(*found)) == list(range(6))
    assert cost(found) == min(map(cost, partitions(list(range(6)))))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same_probes(expected):
    case = Case()
    case.x, case.y, case.held_out_x, case.held_out_y = (
        tensor.cuda() for tensor in (case.x, case.y, case.held_out_x, case.held_out_y)
    )
    case.initial = [(weight.cuda(), bias.cuda()) for weight, bias in case.initial]
    orders = case.orders()
    found = train_probes(
        case.initial,
        samples(case.x, case.y),
        samples(case.held_out_x, case.held_out_y),
        case.training,
        lambda: next(orders).cuda(),
        lambda: torch.arange(len(case.held_out_x), device="cuda"),
    )
    assert found.epochs.tolist() == [len(nets) for nets, _, _ in expected]
    for (weight, bias), epoch, (nets, _, _) in zip(found.probes, found.epoch, expected, strict=True):
        agrees((weight.cpu(), bias.cpu()), nets[epoch - 1], rtol=0, atol=1e-6)
