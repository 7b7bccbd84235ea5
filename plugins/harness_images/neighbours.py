"""The picture of nearest neighbours in the representation and in pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from harness import Picture, RunView
from harness_images.mosaic import BATCH, GAP, mosaic, pixels_of, shown

QUERIES = 10
NEIGHBOURS = 8
WRONG = "#e5484d"


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
    by_pixels = tests[nearest(pixels_of(view, queries), _pixels(view, tests), np.searchsorted(tests, queries), k)]

    numbers = np.concatenate([queries[:, None], by_feature, by_pixels], axis=1)
    images = shown(view, pixels_of(view, numbers.ravel()))
    across = np.arange(1 + 2 * k) * (1 + GAP) + np.repeat([0.0, 0.4, 0.8], [1, k, k])
    labels = view.labels if view.labels is not None and view.labels.ndim == 1 else None
    tall = images.shape[1] / images.shape[2]
    down = np.arange(len(queries)) * (tall + (GAP if labels is None else 0.3))
    figure, axes = mosaic(images.reshape(*numbers.shape, *images.shape[1:]), across, down, head=0.7)
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


def _pixels(view: RunView, numbers: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
    """Pixels [b, C, H, W] of samples with ascending numbers."""
    assert view.inputs is not None
    for batch in view.inputs.subset(numbers).in_order(BATCH):
        yield batch.pixels.numpy()
