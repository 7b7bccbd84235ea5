"""Dot-and-interval plots: one small picture per row, all rows of a table on one axis. Only geometry; the template draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.leaderboard.tables import Row, Table

WIDTH = 260.0
MARGIN = 8.0
RELATIVELY_NOTHING = 1e-12
"""Values that differ by less are one value, but for rounding."""


@dataclass(frozen=True)
class Tick:
    """A labelled place on the axis."""

    x: str
    label: str


@dataclass(frozen=True)
class Picture:
    """One row. All places are on the x axis of the drawing."""

    interval: tuple[str, str] | None = None
    mean: str | None = None
    seeds: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    beyond: Literal["low", "high"] | None = None
    """At which end of the axis the row lies outside of it; then nothing else is drawn."""


@dataclass(frozen=True)
class Plot:
    """The plot of a table: its ticks, and a picture for each row and for each number that is published only."""

    width: str
    ticks: tuple[Tick, ...]
    rows: tuple[Picture, ...]
    published_only: tuple[Picture, ...]

    @property
    def has_beyond(self) -> bool:
        """Whether a row lies outside of the axis."""
        return any(row.beyond for row in (*self.rows, *self.published_only))


def plot_of(table: Table) -> Plot | None:
    """The plot of a table, or None where there is nothing to draw.

    The axis holds all compared rows, and the reference rows and the numbers that are published only unless several compared ones
    would be left with less than half of it: a row far below all others is shown as an arrow. Two seeds have an interval a dozen
    standard deviations wide, which is left out.
    """
    compared = [value for row in table.rows if not row.reference for value in _extent(row)]
    references = [value for row in table.rows if row.reference for value in _extent(row)]
    if not compared and not references:
        return None
    references += [number.value for number in table.published_only]
    low, high = min(compared or references), max(compared or references)
    several = sum(bool(_extent(row)) for row in table.rows if not row.reference) > 1
    if several and high - low > RELATIVELY_NOTHING * max(abs(low), abs(high)):
        references = [value for value in references if high - value <= 2 * (high - low) and value - low <= 2 * (high - low)]
    low, high = min([low, *references]), max([high, *references])
    if not math.isfinite(high - low):
        return None
    axis = _Axis(low, high)
    return Plot(
        width=f"{WIDTH:.0f}",
        ticks=axis.ticks(),
        rows=tuple(_picture(row, axis) for row in table.rows),
        published_only=tuple(_place(number.value, axis) for number in table.published_only),
    )


def _extent(row: Row) -> list[float]:
    """All values that a row's picture shows."""
    values = [cell.value for cell in row.cells if cell.value is not None]
    return [*values, *(_interval(row) or ()), *(number.value for number in row.published)]


def _interval(row: Row) -> tuple[float, float] | None:
    return row.interval if row.seeds > 2 else None


def _picture(row: Row, axis: _Axis) -> Picture:
    extent, interval = _extent(row), _interval(row)
    if not extent:
        return Picture()
    if min(extent) < axis.low or max(extent) > axis.high:
        return Picture(beyond="low" if min(extent) < axis.low else "high")
    return Picture(
        interval=(axis.x(interval[0]), axis.x(interval[1])) if interval else None,
        mean=None if row.mean is None else axis.x(row.mean),
        seeds=tuple(axis.x(cell.value) for cell in row.cells if cell.value is not None),
        published=tuple(axis.x(number.value) for number in row.published),
    )


def _place(value: float, axis: _Axis) -> Picture:
    """A published number by itself."""
    if axis.low <= value <= axis.high:
        return Picture(published=(axis.x(value),))
    return Picture(beyond="low" if value < axis.low else "high")


class _Axis:
    """A linear axis that holds all values."""

    def __init__(self, low: float, high: float) -> None:
        if high - low <= RELATIVELY_NOTHING * max(abs(low), abs(high)):
            pad = 0.05 * max(abs(low), abs(high)) or 1.0
            low, high = low - pad, high + pad
        self.low, self.high = low, high

    def x(self, value: float) -> str:
        place = MARGIN + (value - self.low) / (self.high - self.low) * (WIDTH - 2 * MARGIN)
        return f"{min(max(place, 0.0), WIDTH):.1f}"

    def ticks(self) -> tuple[Tick, ...]:
        """Two to six round numbers."""
        step, decimals = _round_step((self.high - self.low) / 5)
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
