"""Recognising a partner among those of a batch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from harness_atari.contrast import cross_entropy, places


def scores(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(5, 5), (3, 5, 5), (2, 2), (2, 3, 4, 4)])
def test_it_is_the_mean_over_rows_and_places_of_minus_the_log_softmax_of_the_diagonal(shape):
    found, total, count = scores(*shape), 0.0, 0
    for table in found.reshape(-1, *shape[-2:]).tolist():
        for i, row in enumerate(table):
            total -= row[i] - math.log(sum(math.exp(score) for score in row))
            count += 1
    assert cross_entropy(found).item() == pytest.approx(total / count, rel=1e-12)


def test_its_gradient_is_that_of_torchs_own():
    mine, other = scores(3, 6, 6).requires_grad_(), scores(3, 6, 6).requires_grad_()
    cross_entropy(mine).backward()
    nn.functional.cross_entropy(other.flatten(0, 1), torch.arange(6).repeat(3)).backward()
    torch.testing.assert_close(mine.grad, other.grad)


@pytest.mark.parametrize("n", [2, 64, 1000])
def test_equal_scores_cost_the_logarithm_of_the_batch(n):
    assert cross_entropy(torch.full((2, n, n), 3.0)).item() == pytest.approx(math.log(n), rel=1e-5)


def test_the_diagonal_is_the_target():
    assert cross_entropy(50 * torch.eye(4)).item() == pytest.approx(0.0, abs=1e-5)
    assert cross_entropy(50 * torch.eye(4).roll(1, dims=0)).item() == pytest.approx(50.0, rel=1e-5)


def test_a_constant_of_a_row_cancels_and_one_of_a_column_does_not():
    of_rows, of_columns = 7 * scores(5, 1), 7 * scores(1, 5)
    assert cross_entropy(scores(5, 5) + of_rows).item() == pytest.approx(cross_entropy(scores(5, 5)).item())
    assert abs(cross_entropy(scores(5, 5) + of_columns).item() - cross_entropy(scores(5, 5)).item()) > 0.1


def test_half_precision_is_computed_in_float32():
    assert cross_entropy(torch.full((64, 64), 3.0, dtype=torch.bfloat16)).dtype == torch.float32


def test_places_follow_one_another_row_by_row():
    local = scores(2, 3, 4, 5)
    assert torch.equal(places(local)[1, 2 * 5 + 3], local[1, :, 2, 3])
