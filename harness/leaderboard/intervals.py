"""Mean, sample standard deviation and 95 % confidence interval of a mean, by Student's t."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from functools import lru_cache


def mean_and_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean, and the sample standard deviation (divisor n - 1), both correctly rounded, so in no need of an order of the values.

    The deviation is None for one value, which has none, and where it is beyond all floats.
    """
    mean = statistics.mean(values)
    try:
        return mean, statistics.stdev(values) if len(values) > 1 else None
    except OverflowError:
        return mean, None


def interval_95(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % confidence interval of the mean: mean ± t · sd / sqrt(n). None where there is no deviation."""
    mean, sd = mean_and_sd(values)
    if sd is None:
        return None
    half = student_t_95(len(values) - 1) * sd / math.sqrt(len(values))
    return (mean - half, mean + half) if math.isfinite(abs(mean) + half) else None


@lru_cache
def student_t_95(freedom: int) -> float:
    """The t with P(|T| < t) = 0.95 for `freedom` degrees of freedom, rounded to 9 digits so that every machine has the same."""
    low, high = 0.0, 16.0  # 12.7 for one degree of freedom, less for more
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < 0.95 else (low, middle)
    return round((low + high) / 2, 9)


def _within(t: float, freedom: int) -> float:
    """P(|T| < t) in closed form (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
