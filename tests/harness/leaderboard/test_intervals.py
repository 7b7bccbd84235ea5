from __future__ import annotations

import math

import pytest
from scipy import stats

from harness.leaderboard.intervals import interval_95, mean_and_sd, student_t_95


@pytest.mark.parametrize("freedom", [*range(1, 31), 49, 50, 99, 100, 999])
def test_t_is_that_of_the_tables(freedom):
    assert student_t_95(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=1e-8)


def test_the_standard_deviation_is_the_samples():
    assert mean_and_sd([1.0, 2.0, 3.0]) == (2.0, 1.0)


def test_one_value_has_no_spread():
    assert mean_and_sd([5.0]) == (5.0, None)
    assert interval_95([5.0]) is None


def test_the_interval_is_students():
    values = [80.1, 81.4, 79.8, 80.9, 82.0]
    low, high = stats.t.interval(0.95, 4, loc=sum(values) / 5, scale=stats.sem(values))
    assert interval_95(values) == pytest.approx((low, high), rel=1e-8)


def test_the_interval_of_three():
    """4.3027 is t for two degrees of freedom."""
    low, high = interval_95([1.0, 2.0, 3.0])
    assert (low, high) == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), abs=1e-6)


def test_the_order_of_values_does_not_matter():
    values = [0.1, 0.2, 0.3, 1e16, -1e16]
    assert interval_95(values) == interval_95(values[::-1])


def test_equal_values_have_a_point_for_an_interval():
    assert interval_95([0.1, 0.1, 0.1]) == (0.1, 0.1)
