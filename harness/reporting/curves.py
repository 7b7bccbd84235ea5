"""Loss and bound curves: every term that the run's phases logged, over its steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from harness.contracts.pictures import Picture
from harness.ledger.records import Selection

COLUMNS = 3
WINDOWS = 50
"""A curve is smoothed over one part in so many of its length."""
SHOWN = (0.5, 99.5)
"""Percentiles of a term that its axis holds."""
MOST_POINTS = 1000
"""Of one curve: more cannot be told apart, and make a large file."""


def curves(log: Sequence[Mapping[str, float]], selection: Selection | None) -> list[Picture]:
    """One picture with an axis for each term "phase/term", or none where nothing was trained."""
    terms = list(dict.fromkeys(name for row in log for name in row if name not in ("step", "epoch")))
    if not terms:
        return []
    columns = min(COLUMNS, len(terms))
    rows = math.ceil(len(terms) / columns)
    figure = Figure(figsize=(2.4 + 3.0 * columns, 0.5 + 2.2 * rows) if len(terms) > 1 else (5.6, 3.6), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    best = selection.best_step if selection else None
    for axis, term in zip(axes, terms, strict=False):
        logged = [row for row in log if term in row]  # a phase that is not due in every step leaves gaps
        _curve(axis, term, np.array([row["step"] for row in logged]), np.array([row[term] for row in logged]))
        if best is not None:
            axis.axvline(best, color="tab:orange", linewidth=1)
    for axis in axes[len(terms) :]:
        axis.set_axis_off()
    for axis in axes[max(0, len(terms) - columns) : len(terms)]:
        axis.set_xlabel("step")
        axis.tick_params(labelbottom=True)
    caption = "Every term that training logged, by phase: its values (faint) and their moving average over a fiftieth of the run."
    if best is not None:
        caption += " The orange line marks the step that the stop rule found best."
    return [Picture("Loss and bound curves", caption, figure)]


def _curve(axis: Any, term: str, steps: NDArray[Any], values: NDArray[Any]) -> None:
    smooth = moving_average(values, max(1, len(values) // WINDOWS))
    shown = slice(None, None, math.ceil(len(values) / MOST_POINTS))
    if smooth is not values:
        axis.plot(steps[shown], values[shown], linewidth=0.5, alpha=0.25)
    axis.plot(steps[shown], smooth[shown], color="C0", linewidth=1.4)
    low, high = np.percentile(values, SHOWN)
    if high > low:  # the first steps of a training would flatten all others
        axis.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
    axis.set_title(term)
    axis.grid(True, axis="y")
    axis.margins(x=0.01)
    axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axis.xaxis.set_major_formatter("{x:,.0f}")


def moving_average(values: NDArray[Any], window: int) -> NDArray[Any]:
    """The mean of the `window` values around each; at the ends, of those of them that are there.

    :param values: [n] numbers; returned as they are for a window of 1.
    """
    if window == 1:
        return values
    ones = np.ones(window)
    smooth: NDArray[Any] = np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")
    return smooth
