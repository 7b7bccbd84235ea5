"""Loss and bound curves: every term that the run's phases logged, over its steps."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from harness.contracts.pictures import Picture
from harness.ledger.records import Selection

COLUMNS = 4
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
    lines = _lines(terms)
    columns = max(map(len, lines))
    size = (1.0 + 2.6 * columns, 0.5 + 2.0 * len(lines)) if len(terms) > 1 else (5.6, 3.6)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(lines), columns, squeeze=False, sharex=True)
    best = selection.best_step if selection else None
    smoothed = False
    for across, line in zip(axes, lines, strict=True):
        for axis, term in zip(across, line, strict=False):
            logged = [row for row in log if term in row]  # a phase that is not due in every step leaves gaps
            smoothed |= _curve(axis, term, np.array([row["step"] for row in logged]), np.array([row[term] for row in logged]))
            if best is not None:
                axis.axvline(best, color="tab:orange", linewidth=1)
        for axis in across[len(line) :]:
            axis.set_axis_off()
    for column, down in enumerate(axes.T):
        lowest = down[max(number for number, line in enumerate(lines) if column < len(line))]
        lowest.set_xlabel("step")
        lowest.tick_params(labelbottom=True)
    caption = "Every term that training logged, by phase"
    caption += ": its values (faint) and their moving median over a fiftieth of the run." if smoothed else "."
    if best is not None:
        caption += " The orange line marks the step that the stop rule found best."
    return [Picture("Loss and bound curves", caption, figure)]


def _lines(terms: Sequence[str]) -> list[list[str]]:
    """The terms "phase/term" in lines of at most `COLUMNS`, each phase on lines of its own where one has several terms."""
    phases: dict[str, list[str]] = defaultdict(list)
    for term in terms:
        phases[term.rpartition("/")[0]].append(term)
    groups = list(phases.values()) if any(len(of_phase) > 1 for of_phase in phases.values()) else [list(terms)]
    return [group[start : start + COLUMNS] for group in groups for start in range(0, len(group), COLUMNS)]


def _curve(axis: Any, term: str, steps: NDArray[Any], values: NDArray[Any]) -> bool:
    """Draw a term; whether it was smoothed."""
    shown = np.arange(0, len(values), math.ceil(len(values) / MOST_POINTS))
    window = len(values) // WINDOWS
    if window > 1:
        axis.plot(steps[shown], values[shown], linewidth=0.5, alpha=0.25)
    axis.plot(steps[shown], moving_median(values, max(1, window), shown), color="C0", linewidth=1.4)
    low, high = np.percentile(values, SHOWN)
    if high > low:  # the first steps of a training would flatten all others
        axis.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
    axis.set_title(term)
    axis.grid(True, axis="y")
    axis.margins(x=0.01)
    axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axis.xaxis.set_major_formatter("{x:,.0f}")
    return window > 1


def moving_median(values: NDArray[Any], window: int, places: NDArray[Any]) -> NDArray[Any]:
    """The median of the `window` values around each of these places; at the ends, of those of them that are there.

    Not the mean, which one odd batch moves for as long as it is in the window: the last of an epoch is smaller than the others, and
    the loss of InfoNCE is that of fewer candidates.

    :param values: [n] numbers.
    :param places: [p].
    :returns: [p].
    """
    around = places[:, None] + np.arange(window) - window // 2
    seen = np.where((around >= 0) & (around < len(values)), values[around.clip(0, len(values) - 1)], np.nan)
    medians: NDArray[Any] = np.nanmedian(seen, axis=1)
    return medians
