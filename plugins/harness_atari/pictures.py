"""Pictures of a run on Atari games: what a linear probe sees in the representation, drawn on the frames and counted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness import Picture, RunView
from harness_atari.categories import CATEGORIES, categories_of
from harness_atari.places import PixelMap, fitted_map, profiles
from harness_atari.probe_batches import FeatureRows, shuffled_pass
from harness_atari.ram_probe import targets
from harness_atari.stacked_probes import Samples, Training, initial_probes, predict, train_probes

MOST_FRAMES = 2000
"""That are looked at to find where on the screen a value is."""
MOST_THINGS = 6
SHOWN = 8
COLUMNS = 4
TRAINING = Training(lr=1e-3, epochs=30, batch_size=64, patience=5)
"""Of the probes that are drawn: quicker than the evaluator's, and a picture is no score."""


@dataclass(frozen=True)
class Coordinate:
    """A variable that says where something is."""

    variable: str
    pixels: PixelMap


@dataclass(frozen=True)
class Thing:
    """What has a column, a line, or both in RAM."""

    name: str
    column: Coordinate | None
    line: Coordinate | None

    @property
    def label(self) -> str:
        """Its name, and the coordinate that alone is known."""
        return self.name + ("" if self.line else ", its column") + ("" if self.column else ", its line")


def positions(view: RunView) -> list[Picture]:
    """Test frames with the places of things in RAM and those that a probe reads off the representation. Empty without places."""
    train = view.splits.train
    chosen = np.sort(np.random.default_rng(view.seed).permutation(train)[:MOST_FRAMES])
    things = _things(view, chosen)
    if not things:
        return []
    numbers = np.sort(view.sample(SHOWN))
    variables = [each.variable for thing in things for each in (thing.column, thing.line) if each]
    said = _said(view, variables, numbers)
    frames = _frames(view, numbers)
    lines = -(-len(numbers) // COLUMNS)
    height, width = frames.shape[1:]
    figure = Figure(figsize=(2.1 * COLUMNS, 2.1 * height / width * lines + 0.8), layout="constrained")
    axes = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
    for place, (axis, frame) in enumerate(zip(axes, frames, strict=False)):
        axis.imshow(frame, cmap="gray", vmin=0, vmax=255, interpolation="none")
        values = {name: np.array([view.factors[name][numbers[place]], said[name][place]]) for name in variables}
        for number, thing in enumerate(things):
            _mark(axis, thing, values, f"C{number}", height)
        axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    for axis in axes:
        axis.set_axis_off()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 3), frameon=False)
    caption = (
        f"Test frames with the places of {len(things)} things: a circle where the RAM has them, a cross where linear probes on "
        f"{view.feature} read them, a line between the two. Of what has one known coordinate both stand at the frame's edge, and a "
        "dotted line goes through the real one. RAM values are laid on the screen by the offset under which they say "
        "best where frames differ from their mean; things without such an offset are left out."
    )
    return [Picture("Positions", caption, figure)]


def _mark(axis: Axes, thing: Thing, values: Mapping[str, NDArray[np.int64]], color: str, height: int) -> None:
    """Draw a thing on a frame of so many lines; of each variable the real value and the one that is read."""
    x = thing.column.pixels(values[thing.column.variable]) if thing.column else np.zeros(2, np.int64)
    y = thing.line.pixels(values[thing.line.variable]) if thing.line else np.full(2, height - 1)
    axis.plot(x, y, color=color, linewidth=1)
    if thing.column is None:
        axis.axhline(y[0], color=color, linewidth=0.8, linestyle=":")
    if thing.line is None:
        axis.axvline(x[0], color=color, linewidth=0.8, linestyle=":")
    marker: dict[str, Any] = {"color": color, "markeredgewidth": 1.5, "clip_on": False}
    axis.plot(x[0], y[0], "o", markersize=9, fillstyle="none", label=thing.label, **marker)
    axis.plot(x[1], y[1], "x", markersize=7, **marker)


def categories(view: RunView) -> list[Picture]:
    """Bars of F1 by category beside those of every variable. Empty before the run is judged by a RAM probe."""
    pictures = []
    for (evaluator, feature), scores in sorted(view.scores.items()):
        by_category = {score.of["category"]: score.value for score in scores if score.name == "category_f1"}
        by_variable = {score.of["variable"]: score.value for score in scores if score.name == "variable_f1"}
        if not by_variable:
            continue
        shown = [category for category in CATEGORIES if category in by_category]
        figure = Figure(figsize=(10.0, 0.8 + 0.24 * max(len(by_variable), 2 * len(shown))), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
        colors = {category: f"C{number}" for number, category in enumerate(CATEGORIES)}
        left.barh(
            [category.replace("_", " ") for category in shown],
            [by_category[category] for category in shown],
            color=[colors[category] for category in shown],
        )
        order = sorted(by_variable, key=lambda name: (_rank(name), name))
        right.barh(order, [by_variable[name] for name in order], color=[colors.get(_first(name), "0.6") for name in order])
        for axis, title in ((left, "mean over a category's variables"), (right, "every variable")):
            axis.set(xlim=(0, 1), xlabel="weighted F1", title=title)
            axis.invert_yaxis()
            axis.grid(True, axis="x")
            axis.set_axisbelow(True)
        caption = (
            f"Weighted F1 on the test part of linear probes on {feature} ({evaluator}). A variable that is in two categories has "
            "the color of the first; gray ones are in none."
        )
        pictures.append(Picture("RAM variables by category", caption, figure))
    return pictures


def _first(variable: str) -> str:
    return next(iter(categories_of(variable)), "")


def _rank(variable: str) -> int:
    first = _first(variable)
    return CATEGORIES.index(first) if first else len(CATEGORIES)


def _things(view: RunView, numbers: NDArray[np.int64]) -> list[Thing]:
    """The things that can be laid on the screen, at most `MOST_THINGS`, those with both coordinates first."""
    names: dict[str, dict[str, str]] = {}
    for variable in view.factors:
        if found := re.search(r"_([xy])(?=_|$)", variable):
            name = (variable[: found.start()] + variable[found.end() :]).replace("_", " ")
            names.setdefault(name, {})[found[1]] = variable
    if not names:
        return []
    columns, lines = profiles(_frames(view, numbers))

    def laid(variable: str | None, profile: NDArray[np.float64]) -> Coordinate | None:
        pixels = fitted_map(view.factors[variable][numbers], profile) if variable else None
        return Coordinate(variable, pixels) if variable and pixels else None

    things = [Thing(name, laid(known.get("x"), columns), laid(known.get("y"), lines)) for name, known in names.items()]
    things = [thing for thing in things if thing.column or thing.line]
    return sorted(things, key=lambda thing: thing.column is None or thing.line is None)[:MOST_THINGS]


def _frames(view: RunView, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """[n, H, W] of these frames, given in ascending order."""
    assert view.inputs is not None
    low, high = view.description.value_range or (0.0, 1.0)
    pieces = []
    for batch in view.inputs.subset(numbers).in_order(256):
        shades = (batch.pixels.mean(dim=1) - low) / (high - low) * 255
        pieces.append(shades.round().to(torch.uint8).cpu().numpy())
    return np.concatenate(pieces)


def _said(view: RunView, names: list[str], numbers: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """[n] the values that linear probes read of these frames, by variable."""
    device, generator = torch.device("cpu"), torch.Generator().manual_seed(view.seed)
    features = FeatureRows(view.features(view.feature), device)
    train = torch.from_numpy(view.splits.train)
    validation = torch.from_numpy(view.splits.validation if view.splits.validation is not None else view.splits.train)
    kinds = [np.unique(view.factors[name][view.splits.train]) for name in names]
    samples = Samples(features.take, targets(np.stack([view.factors[name] for name in names]), kinds, device))
    initial = initial_probes([len(kind) for kind in kinds], features.dims, generator)
    trained = train_probes(
        initial, samples, samples, TRAINING, lambda: train[shuffled_pass(len(train), generator)], lambda: validation
    )
    said = predict(trained.probes, features.take, torch.from_numpy(numbers))
    return {name: kind[classes] for name, kind, classes in zip(names, kinds, said, strict=True)}
