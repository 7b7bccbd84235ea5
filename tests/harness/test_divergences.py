from __future__ import annotations

import math

import pytest
import torch

from harness.bounds import BOUNDS
from harness.divergences import F_DIVERGENCES

every_divergence = pytest.mark.parametrize("name", F_DIVERGENCES)
RATIOS = torch.logspace(-2, 2, 41, dtype=torch.float64)


def slope(function, at):
    at = at.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(at).sum(), at)
    return gradient


def best_score(name):
    """The raw score v with g(v) = f'(r) for each of RATIOS, found by bisection: it knows neither g's inverse nor f'."""
    row = F_DIVERGENCES[name]
    wanted = slope(row.f, RATIOS)
    rises = row.output(torch.tensor(1.0)) > row.output(torch.tensor(-1.0))
    low, high = torch.full_like(RATIOS, -500.0), torch.full_like(RATIOS, 500.0)
    for _ in range(100):
        middle = (low + high) / 2
        above = (row.output(middle) > wanted) == rises
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return middle


def test_there_are_seven_and_all_have_a_bound():
    assert len(F_DIVERGENCES) == 7
    assert set(F_DIVERGENCES) <= set(BOUNDS)


@every_divergence
def test_the_bound_in_its_stable_form_is_that_of_the_table(name):
    generator = torch.Generator().manual_seed(0)
    positive, negative = torch.randn(2, 6, 5, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(BOUNDS[name](positive, negative), F_DIVERGENCES[name].bound(positive, negative))


@every_divergence
def test_the_conjugate_is_the_largest_gap_between_a_line_and_f(name):
    row = F_DIVERGENCES[name]
    t = slope(row.f, RATIOS)  # every t in the domain is the slope of f somewhere
    steps = torch.logspace(-4, 4, 200_001, dtype=torch.float64)
    values = row.f(steps)
    for one in t[::8]:
        assert row.conjugate(one).item() == pytest.approx((one * steps - values).max().item(), rel=1e-5, abs=1e-5)


@every_divergence
def test_the_conjugate_meets_f_where_it_is_tight(name):
    row = F_DIVERGENCES[name]
    t = slope(row.f, RATIOS)
    torch.testing.assert_close(row.conjugate(t), RATIOS * t - row.f(RATIOS), rtol=1e-9, atol=1e-9)


@every_divergence
def test_the_density_ratio_of_the_best_score_is_the_ratio(name):
    torch.testing.assert_close(F_DIVERGENCES[name].density_ratio(best_score(name)), RATIOS, rtol=1e-7, atol=1e-7)


@every_divergence
def test_the_density_ratio_is_the_slope_of_the_conjugate(name):
    row = F_DIVERGENCES[name]
    v = torch.linspace(-1.5, 1.5, 7, dtype=torch.float64)
    torch.testing.assert_close(row.density_ratio(v), slope(row.conjugate, row.output(v)))


@every_divergence
def test_the_threshold_is_the_slope_of_f_at_one(name):
    row = F_DIVERGENCES[name]
    assert slope(row.f, torch.ones(1, dtype=torch.float64)).item() == pytest.approx(row.threshold, abs=1e-12)


@every_divergence
def test_f_of_equal_distributions_is_nothing_except_for_gan(name):
    expected = -math.log(4) if name == "gan" else 0.0
    assert F_DIVERGENCES[name].f(torch.ones(())).item() == pytest.approx(expected, abs=1e-6)
