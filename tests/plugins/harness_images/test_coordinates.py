"""Coordinate tasks, against cross-entropies computed place by place; and on maps that know where they are."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from harness_images.coordinates import AbsoluteCoordinates, RelativeCoordinates

N, CHANNELS, LATENT, SIDE = 3, 2, 4, 4
PLACES = SIDE * SIDE


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def as_map(vectors):
    """[N, M M, C] -> [N, C, M, M]."""
    return vectors.view(-1, SIDE, SIDE, vectors.shape[2]).permute(0, 3, 1, 2)


class Noting(nn.Module):
    """A net in place of another: it keeps what it reads of every place, and answers with `answer` of it; both seen as maps."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.read = answer, None

    def forward(self, vectors):
        self.read = as_map(vectors)
        return self.answer(self.read).flatten(2).transpose(1, 2)


def positions(images=N):
    """A map of two channels: the row and the column of each place."""
    row, column = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return torch.stack([row, column]).float().expand(images, 2, SIDE, SIDE)


Y = torch.randn(N, LATENT, generator=seeded(1))


def task_with(kind, answer):
    made = kind(CHANNELS, LATENT, SIDE)
    made.net = Noting(answer)
    return made


def random_logits(classes):
    def answer(inputs):
        return torch.randn(inputs.shape[0], 2 * classes, SIDE, SIDE, generator=seeded(3))

    return answer


def sure_of(row_class, column_class, classes):
    """Logits [N, 2 K, M, M] that are certain of these classes [N, M, M]."""
    return 50 * torch.cat([torch.eye(classes)[each.long()].permute(0, 3, 1, 2) for each in (row_class, column_class)], dim=1)


def cross_entropies_by_loops(logits, row_class, column_class):
    total = 0.0
    classes = logits.shape[1] // 2
    for image in range(logits.shape[0]):
        for i in range(SIDE):
            for j in range(SIDE):
                for half, wanted in ((logits[image, :classes, i, j], row_class), (logits[image, classes:, i, j], column_class)):
                    total += math.log(sum(math.exp(each) for each in half.tolist())) - half[int(wanted[image, i, j])].item()
    return total / (logits.shape[0] * PLACES)


# ------------------------------------------------------------------------------------------------ absolute


def test_the_absolute_task_has_m_classes_of_rows_and_m_of_columns():
    assert AbsoluteCoordinates(CHANNELS, LATENT, SIDE).net(torch.zeros(2, CHANNELS + LATENT)).shape[1] == 2 * SIDE


def test_the_absolute_task_reads_each_local_vector_with_y():
    task, local = task_with(AbsoluteCoordinates, random_logits(SIDE)), positions()
    task(local, Y, seeded())
    for i in range(SIDE):
        for j in range(SIDE):
            assert torch.equal(task.net.read[:, :, i, j], torch.cat([local[:, :, i, j], Y], dim=1))


def test_the_absolute_loss_is_the_cross_entropy_of_rows_plus_that_of_columns():
    task, local = task_with(AbsoluteCoordinates, random_logits(SIDE)), positions()
    loss = task(local, Y, seeded()).item()
    logits = task.net.answer(task.net.read)
    assert loss == pytest.approx(cross_entropies_by_loops(logits, local[:, 0], local[:, 1]), rel=1e-5)


def test_a_net_that_knows_row_and_column_has_no_absolute_loss():
    task = task_with(AbsoluteCoordinates, lambda inputs: sure_of(inputs[:, 0], inputs[:, 1], SIDE))
    assert task(positions(), Y, seeded()).item() == pytest.approx(0, abs=1e-6)


def test_a_net_that_takes_rows_for_columns_has():
    task = task_with(AbsoluteCoordinates, lambda inputs: sure_of(inputs[:, 1], inputs[:, 0], SIDE))
    assert task(positions(), Y, seeded()).item() > 10


@pytest.mark.parametrize(("kind", "classes"), [(AbsoluteCoordinates, SIDE), (RelativeCoordinates, 2 * SIDE - 1)])
def test_a_net_that_knows_nothing_has_the_loss_of_chance(kind, classes):
    task = task_with(kind, lambda inputs: torch.zeros(N, 2 * classes, SIDE, SIDE))
    assert task(positions(), Y, seeded()).item() == pytest.approx(2 * math.log(classes))


# ------------------------------------------------------------------------------------------------ relative


def test_the_relative_task_has_a_class_for_each_difference():
    net = RelativeCoordinates(CHANNELS, LATENT, SIDE).net
    assert net(torch.zeros(2, 2 * CHANNELS + LATENT)).shape[1] == 2 * (2 * SIDE - 1)


def pairs_read(seed=0, images=N):
    """What the relative task reads of maps whose places say which image they are of and where they lie."""
    task = task_with(RelativeCoordinates, random_logits(2 * SIDE - 1))
    number = torch.arange(images).float()[:, None, None].expand(images, SIDE, SIDE)
    local = torch.stack([number, torch.arange(PLACES).float().view(SIDE, SIDE).expand(images, SIDE, SIDE)], dim=1)
    y = torch.randn(images, LATENT, generator=seeded(1))
    task(local, y, seeded(seed))
    here, there, global_vector = task.net.read.split([CHANNELS, CHANNELS, LATENT], dim=1)
    return here, there, global_vector, local, y


def test_the_relative_task_reads_each_place_another_of_the_same_image_and_y():
    here, there, global_vector, local, y = pairs_read()
    assert torch.equal(here, local)
    assert torch.equal(there[:, 0], local[:, 0])
    assert torch.equal(global_vector, y[:, :, None, None].expand(-1, -1, SIDE, SIDE))


def test_every_place_of_an_image_is_the_other_of_one_place():
    _, there, *_ = pairs_read()
    assert torch.equal(there[:, 1].flatten(1).sort(dim=1).values, torch.arange(PLACES).float().expand(N, PLACES))


def test_pairs_are_drawn_for_every_image_and_step_anew():
    _, there, *_ = pairs_read()
    _, later, *_ = pairs_read(seed=1)
    assert not torch.equal(there[0, 1], there[1, 1])
    assert not torch.equal(there, later)


def test_the_relative_loss_is_the_cross_entropy_of_row_differences_plus_that_of_column_differences():
    task = task_with(RelativeCoordinates, random_logits(2 * SIDE - 1))
    loss = task(positions(), Y, seeded()).item()
    row, column, other_row, other_column = task.net.read[:, :4].unbind(dim=1)
    rows, columns = row - other_row + SIDE - 1, column - other_column + SIDE - 1
    assert loss == pytest.approx(cross_entropies_by_loops(task.net.answer(task.net.read), rows, columns), rel=1e-5)


def differences(sign):
    def answer(inputs):
        rows, columns = (sign * (inputs[:, axis] - inputs[:, 2 + axis]) + SIDE - 1 for axis in (0, 1))
        return sure_of(rows, columns, 2 * SIDE - 1)

    return answer


def test_a_net_that_subtracts_the_other_place_from_this_one_has_no_relative_loss():
    assert task_with(RelativeCoordinates, differences(+1))(positions(), Y, seeded()).item() == pytest.approx(0, abs=1e-6)


def test_a_net_that_subtracts_the_wrong_way_round_has():
    assert task_with(RelativeCoordinates, differences(-1))(positions(), Y, seeded()).item() > 10


def test_in_a_map_of_one_place_nothing_is_left_to_predict():
    local, y = torch.ones(2, CHANNELS, 1, 1), torch.ones(2, LATENT)
    for kind in (AbsoluteCoordinates, RelativeCoordinates):
        assert kind(CHANNELS, LATENT, 1)(local, y, seeded()).item() == 0


# ------------------------------------------------------------------------------------------------ learning


@pytest.mark.parametrize(("kind", "classes"), [(AbsoluteCoordinates, SIDE), (RelativeCoordinates, 2 * SIDE - 1)])
def test_coordinates_are_learnt_from_a_map_that_tells_them(kind, classes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        task = kind(2 * SIDE, LATENT, SIDE)
    one_hot = torch.eye(SIDE)[positions(16).long()]  # [N, 2, M, M, M]: row and column of each place
    local = one_hot.permute(0, 1, 4, 2, 3).reshape(16, 2 * SIDE, SIDE, SIDE)
    y, generator = torch.randn(16, LATENT, generator=seeded(2)), seeded()
    optimiser = torch.optim.Adam(task.parameters(), lr=2e-2)
    for _ in range(120):
        optimiser.zero_grad()
        loss = task(local + 0.1 * torch.randn(local.shape, generator=generator), y, generator)
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.2 * 2 * math.log(classes)


def test_the_encoder_is_told_by_both_features():
    local, y = torch.randn(N, CHANNELS, SIDE, SIDE, requires_grad=True), Y.clone().requires_grad_()
    for kind in (AbsoluteCoordinates, RelativeCoordinates):
        gradients = torch.autograd.grad(kind(CHANNELS, LATENT, SIDE)(local, y, seeded()), [local, y])
        assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_half_precision_features_give_a_float32_loss():
    local = positions()
    for kind in (AbsoluteCoordinates, RelativeCoordinates):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            task = kind(CHANNELS, LATENT, SIDE)
        with torch.autocast("cpu", torch.bfloat16):
            half = task(local.bfloat16(), Y.bfloat16(), seeded())
        assert half.dtype == torch.float32
        assert half.item() == pytest.approx(task(local, Y, seeded()).item(), rel=0.03)
