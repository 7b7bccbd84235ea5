"""Numbers as the pages print them: rounded for reading."""

from __future__ import annotations

import math
from collections.abc import Iterable

from harness.leaderboard.tables import Member, Row, Table


def mean_sd(row: Row | Member, decimals: int) -> str:
    """Such as "81.00 ± 1.00"; nothing without a value."""
    if row.mean is None:
        return ""
    return number_text(row.mean, decimals) + ("" if row.sd is None else f" ± {number_text(row.sd, decimals)}")


def decimals_of(table: Table) -> int:
    """Decimals for all numbers of a table."""
    if table.metric is None:
        return 0
    return enough_decimals(table.metric.unit, [row.mean for row in table.rows] + [number.value for number in table.published_only])


def enough_decimals(unit: str, values: Iterable[float | None]) -> int:
    """Decimals with which the largest of these has four digits, or two of a percentage."""
    if unit == "%":
        return 2
    means = [abs(value) for value in values if value]
    if not means:
        return 3
    return min(max(3 - math.floor(math.log10(max(means))), 0), 12) if max(means) < 1e4 else 0


def number_text(value: float, decimals: int, *, sign: bool = False) -> str:
    """A number with a real minus sign, and never a minus zero."""
    text = f"{value:{'+' if sign else ''}.{decimals}f}" if abs(value) < 1e15 else f"{value:.4g}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")
