"""Images side by side in one figure, and the pixels they are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness import RunView

BATCH = 1024
"""Samples whose features or pixels are in memory at a time."""
GAP = 0.08
"""Between images, in image widths."""


def pixels_of(view: RunView, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    """[n, C, H, W] pixels of these samples, in this order; a number may occur more than once."""
    assert view.inputs is not None
    ascending, place = np.unique(numbers, return_inverse=True)
    return np.concatenate([batch.pixels.numpy() for batch in view.inputs.subset(ascending).in_order(BATCH)])[place]


def shown(view: RunView, pixels: NDArray[Any]) -> NDArray[Any]:
    """Pixels [n, C, H, W] as what is shown, 0..1: [n, H, W, 3] of three channels, else [n, H, W], the mean over channels."""
    low, high = view.description.value_range or (float(pixels.min()), float(pixels.max()))
    scaled = np.clip((pixels - low) / ((high - low) or 1.0), 0, 1)
    return np.moveaxis(scaled, 1, -1) if pixels.shape[1] == 3 else scaled.mean(axis=1)


def mosaic(images: NDArray[Any], across: NDArray[Any], down: NDArray[Any], head: float) -> tuple[Figure, Axes]:
    """A figure of images, magnified without smoothing, and its axes, whose unit is the width of an image.

    :param images: [lines, columns, H, W] or [lines, columns, H, W, 3] in 0..1.
    :param across: [columns] their left edges.
    :param down: [lines] their upper edges.
    :param head: room above them.
    """
    height, width = images.shape[2:4]
    tall, inches = height / width, min(max(width / 60, 0.56), 0.75)
    right, bottom = across[-1] + 1, down[-1] + tall
    figure = Figure(figsize=(right * inches, (bottom + head) * inches))
    axes = figure.add_axes((0, 0, 1, 1))
    for line, column in np.ndindex(*images.shape[:2]):
        x, y = float(across[column]), float(down[line])
        extent = (x, x + 1, y + tall, y)
        axes.imshow(images[line, column], cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="none")
    axes.set(xlim=(0, right), ylim=(bottom, -head), aspect="auto")
    axes.set_axis_off()
    return figure, axes
