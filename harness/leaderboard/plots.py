"""Dot-and-interval plots: one small picture per row, all rows of a table on one axis. Only geometry; the template draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.leaderboard.tables import Table

WIDTH = 260.0
MARGIN = 8.0


@dataclass(frozen=True)
class Tick:
    """A labelled place on the axis."""

    x: str
    label: str


@dataclass(frozen=True)
class Picture:
    """One row. All places are on the x axis of the drawing."""

    interval: tuple[str, str] | None
    mean: str | None
    seeds: tuple[str, ...]
    published: tuple[str, ...]


@dataclass(frozen=True)
class Plot:
    """The plot of a table: its ticks, and a picture for each row."""

    width: str
    ticks: tuple[Tick, ...]
    rows: tuple[Picture, ...]


def plot_of(table: Table) -> Plot | None:
    """The plot of a table, or None where there is nothing to draw.

    Two seeds have an interval a dozen standard deviations wide, which would squeeze all others: it is left out.
    """
    drawn = [row.interval if row.seeds > 2 else None for row in table.rows]
    values = [cell.value for row in table.rows for cell in row.cells if cell.value is not None]
    values += [end for interval in drawn if interval for end in interval]
    values += [number.value for row in table.rows for number in row.published]
    values = [value for value in values if math.isfinite(value)]
    if not values or not math.isfinite(max(values) - min(values)):
        return None
    axis = _Axis(min(values), max(values))
    pictures = tuple(
        Picture(
            interval=(axis.x(interval[0]), axis.x(interval[1])) if interval else None,
            mean=None if row.mean is None else axis.x(row.mean),
            seeds=tuple(axis.x(cell.value) for cell in row.cells if cell.value is not None),
            published=tuple(axis.x(number.value) for number in row.published),
        )
        for row, interval in zip(table.rows, drawn, strict=True)
    )
    return Plot(width=f"{WIDTH:.0f}", ticks=axis.ticks(), rows=pictures)


class _Axis:
    """A linear axis that holds all values."""

    def __init__(self, low: float, high: float) -> None:
        if high - low <= 1e-12 * max(abs(low), abs(high)):  # one value, or none but rounding between them
            pad = 0.05 * max(abs(low), abs(high)) or 1.0
            low, high = low - pad, high + pad
        self.low, self.high = low, high

    def x(self, value: float) -> str:
        place = MARGIN + (value - self.low) / (self.high - self.low) * (WIDTH - 2 * MARGIN)
        return f"{min(max(place, 0.0), WIDTH):.1f}"

    def ticks(self) -> tuple[Tick, ...]:
        """Three to five round numbers."""
        step, decimals = _round_step((self.high - self.low) / 4)
        places = range(math.ceil(self.low / step), math.floor(self.high / step) + 1)
        form = f".{decimals}f" if decimals <= 6 and abs(self.low) + abs(self.high) < 1e7 else ".4g"
        return tuple(Tick(self.x(k * step), f"{k * step:{form}}".replace("-", "−")) for k in places)


def _round_step(least: float, steps: Sequence[int] = (1, 2, 5, 10)) -> tuple[float, int]:
    """The smallest step of the form 1, 2 or 5 times a power of ten that is not below `least`, and the decimals it needs."""
    power = math.floor(math.log10(least))
    step = next((step for step in steps if step * 10.0**power >= least * (1 - 1e-9)), 10)
    if step == 10:
        step, power = 1, power + 1
    return step * 10.0**power, max(0, -power)
