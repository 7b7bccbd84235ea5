"""Pictures of image runs: nearest neighbours, and reconstructions beside their inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from harness import Picture, RunView

QUERIES = 10
NEIGHBOURS = 8
RECONSTRUCTED = 24
PER_LINE = 12
BATCH = 1024
"""Samples whose features or pixels are in memory at a time."""
WRONG = "#e5484d"
GAP = 0.08
"""Between images, in image widths."""


def nearest_neighbours(view: RunView) -> list[Picture]:
    """A line for each of a few test images: the image, its nearest among the other test images by the cosine of the default
    feature, and by the cosine of the pixels.
    """
    tests, features = np.sort(view.splits.test), view.features(view.feature)
    queries = np.sort(view.sample(QUERIES))
    k = min(NEIGHBOURS, len(tests) - 1)
    if k < 1:
        return []
    by_feature = tests[nearest(features[queries], _rows(features, tests), np.searchsorted(tests, queries), k)]
    by_pixels = tests[nearest(_pixels(view, queries), _batches(view, tests), np.searchsorted(tests, queries), k)]

    numbers = np.concatenate([queries[:, None], by_feature, by_pixels], axis=1)
    images = _shown(view, _pixels(view, numbers.ravel()))
    across = np.arange(1 + 2 * k) * (1 + GAP) + np.repeat([0.0, 0.4, 0.8], [1, k, k])
    labels = view.labels if view.labels is not None and view.labels.ndim == 1 else None
    tall = images.shape[1] / images.shape[2]
    down = np.arange(len(queries)) * (tall + (GAP if labels is None else 0.3))
    figure, axes = _mosaic(images.reshape(*numbers.shape, *images.shape[1:]), across, down, head=0.7)
    for column, heading in ((0, "query"), (1, f"nearest in {view.feature}"), (1 + k, "nearest in pixels")):
        axes.text(across[column], -0.4, heading)
    if labels is not None:
        for (line, column), label in np.ndenumerate(labels[numbers]):
            own, name = labels[numbers[line, 0]], view.class_name(int(label)) if label >= 0 else ""
            wrong = 0 <= own != label >= 0
            axes.text(across[column] + 0.5, down[line] - 0.07, name[:12], ha="center", fontsize=6.5, color=WRONG if wrong else None)
            if wrong:
                axes.add_patch(Rectangle((across[column], down[line]), 1, tall, fill=False, edgecolor=WRONG, linewidth=1.5))
    caption = (
        f"{len(queries)} test images drawn by lot, the same for every run, and the {k} other test images of largest cosine: in "
        f"{view.feature}, and for comparison in the pixels themselves."
    )
    caption += "" if labels is None else " Red: another class than the query's."
    return [Picture("Nearest neighbours", caption, figure)]


def reconstructions(view: RunView) -> list[Picture]:
    """Test images above what the run's decoder makes of their default feature; nothing where the run has no decoder."""
    if "decoder" not in view.modules:
        return []
    numbers = np.sort(view.sample(RECONSTRUCTED))
    numbers = numbers[: max(1, len(numbers) // PER_LINE) * PER_LINE]  # whole lines
    features = torch.from_numpy(np.array(view.features(view.feature)[numbers]))
    with torch.no_grad():
        decoded = view.modules["decoder"](features.to(view.device)).float().cpu().numpy()
    columns = min(PER_LINE, len(numbers))
    pairs = np.stack([_shown(view, _pixels(view, numbers)), _shown(view, decoded)])  # [2, n, H, W] or [2, n, H, W, 3]
    pairs = pairs.reshape(2, -1, columns, *pairs.shape[2:]).swapaxes(0, 1)
    images = pairs.reshape(-1, *pairs.shape[2:])
    tall = images.shape[2] / images.shape[3]
    down = np.arange(len(images)) * (tall + GAP) + np.arange(len(images)) // 2 * 3 * GAP
    figure, _ = _mosaic(images, np.arange(columns) * (1 + GAP), down, head=0.0)
    caption = (
        f"{len(numbers)} test images drawn by lot, the same for every run; below each, the image that the decoder makes of its "
        f"{view.feature}."
    )
    return [Picture("Reconstructions", caption, figure)]


# -------------------------------------------------------------------------------------------------- neighbours


def nearest(queries: NDArray[Any], batches: Iterable[NDArray[Any]], own: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """[q, k] places of the `k` samples of largest cosine with each query, the nearest first, itself left out.

    :param queries: [q, ...] vectors of any shape.
    :param batches: all samples in order, [b, ...] at a time.
    :param own: [q] each query's own place among the samples.
    """
    wanted = _unit(queries)
    best = np.full((len(wanted), k), -np.inf, dtype=np.float32)
    places = np.zeros((len(wanted), k), dtype=np.int64)
    start = 0
    for batch in batches:
        here = np.arange(start, start + len(batch))
        cosines = np.where(here == own[:, None], -np.inf, wanted @ _unit(batch).T)
        best, places = np.hstack([best, cosines]), np.hstack([places, np.broadcast_to(here, cosines.shape)])
        order = np.argsort(-best, axis=1, kind="stable")[:, :k]
        best, places = np.take_along_axis(best, order, 1), np.take_along_axis(places, order, 1)
        start += len(batch)
    return places


def _unit(values: NDArray[Any]) -> NDArray[Any]:
    """[n, ...] -> [n, D] of length one."""
    flat = np.asarray(values, dtype=np.float32).reshape(len(values), -1)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.where(lengths > 0, lengths, 1)


def _rows(features: NDArray[Any], numbers: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    for start in range(0, len(numbers), BATCH):
        yield features[numbers[start : start + BATCH]]


# ------------------------------------------------------------------------------------------------------ pixels


def _batches(view: RunView, numbers: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
    """Pixels [b, C, H, W] of samples with ascending numbers."""
    assert view.inputs is not None
    for batch in view.inputs.subset(numbers).in_order(BATCH):
        yield batch.pixels.numpy()


def _pixels(view: RunView, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    """[n, C, H, W] pixels of these samples, in this order; a number may occur more than once."""
    ascending, place = np.unique(numbers, return_inverse=True)
    return np.concatenate(list(_batches(view, ascending)))[place]


def _shown(view: RunView, pixels: NDArray[Any]) -> NDArray[Any]:
    """Pixels [n, C, H, W] as what is shown, 0..1: [n, H, W, 3] of three channels, else [n, H, W], the mean over channels."""
    low, high = view.description.value_range or (float(pixels.min()), float(pixels.max()))
    scaled = np.clip((pixels - low) / ((high - low) or 1.0), 0, 1)
    return np.moveaxis(scaled, 1, -1) if pixels.shape[1] == 3 else scaled.mean(axis=1)


def _mosaic(images: NDArray[Any], across: NDArray[Any], down: NDArray[Any], head: float) -> tuple[Figure, Axes]:
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
