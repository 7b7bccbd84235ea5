"""The picture of a staircase: how closely each way to read the critic follows the exact mutual information."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from harness import Picture, RunView
from harness_information.estimators import Trace

SPAN = 200
"""Of the exponential moving average, in steps (Song and Ermon 2020)."""
MOST_POINTS = 2000
COLUMNS = 4


def staircase(view: RunView) -> list[Picture]:
    """One axis for each reading: its estimates step by step, their moving average, the exact value. Empty without a staircase."""
    trace = view.modules.get("trace")
    levels = [value for name, value in view.truth.items() if name.startswith("level ")]
    if not isinstance(trace, Trace) or not levels or not len(trace.values):
        return []
    values = trace.values.detach().cpu().numpy()[: len(levels) * int(view.truth["steps"])]
    exact = np.repeat(levels, int(view.truth["steps"]))[: len(values)]
    columns = min(COLUMNS, len(trace.readings))
    lines = math.ceil(len(trace.readings) / columns)
    figure = Figure(figsize=(1.0 + 3.0 * columns, 0.4 + 2.6 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).ravel()
    shown = slice(None, None, math.ceil(len(values) / MOST_POINTS))
    steps = np.arange(len(values))
    for axis, name, estimates in zip(axes, trace.readings, values.T, strict=False):
        axis.plot(steps[shown], estimates[shown], linewidth=0.5, alpha=0.3)
        axis.plot(steps[shown], smoothed(estimates, SPAN)[shown], color="C0", linewidth=1.4, label="estimate")
        axis.plot(steps[shown], exact[shown], color="tab:orange", linewidth=1.2, label="exact")
        axis.set_title(name)
        axis.set_ylim(min(0.0, *levels) - 0.5, 1.35 * max(levels))  # single steps of NWJ and JS lie far below
        axis.grid(True, axis="y")
        axis.margins(x=0.01)
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.set_xlabel("step")
    for axis in axes[len(trace.readings) :]:
        axis.set_axis_off()
    axes[0].set_ylabel("nats")
    axes[0].legend(loc="upper left")
    caption = (
        f"Each step's estimate on a fresh batch (faint), its exponential moving average of span {SPAN}, and the exact mutual "
        "information, which rises in steps. Estimates outside the axis are cut off."
    )
    return [Picture("Staircase", caption, figure)]


def smoothed(values: NDArray[np.float32], span: int) -> NDArray[np.float64]:
    """The exponential moving average of [n] numbers, whose weights fall by 1 - 2 / (span + 1) a step and are those there are.

    What is not finite weighs nothing; the average is NaN where a number is, so that it ends where training did.
    """
    kept = 1 - 2 / (span + 1)
    length = min(len(values), 20 * span)  # beyond it weights are below 1e-17
    weights = kept ** np.arange(length)
    finite = np.isfinite(values)
    sums = np.convolve(np.where(finite, values, 0.0).astype(np.float64), weights)[: len(values)]
    there = np.convolve(finite.astype(np.float64), weights)[: len(values)]
    return np.where(np.isnan(values) | (there == 0), np.nan, sums / np.where(there == 0, 1.0, there))
