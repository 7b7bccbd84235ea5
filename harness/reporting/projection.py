"""A projection of a run's default feature to two dimensions, coloured by class."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.contracts.pictures import Picture, RunView

MOST_SAMPLES = 2000
FEWEST_FOR_TSNE = 30
DIMENSIONS = 50
"""t-SNE sees so many principal components."""
PERPLEXITY = 30.0
MOST_NAMED = 20
"""Classes that a legend can tell apart."""
UNKNOWN = "#9aa4b2"


def projection(view: RunView) -> list[Picture]:
    """One picture, or none for a feature that has no two dimensions or does not vary."""
    numbers = np.sort(view.sample(MOST_SAMPLES))
    values = np.asarray(view.features(view.feature)[numbers], dtype=np.float32).reshape(len(numbers), -1)
    if min(values.shape) < 2 or not np.ptp(values, axis=0).any():
        return []
    places, how = project(values)
    classes = view.labels[numbers] if view.labels is not None and view.labels.ndim == 1 else None
    part = f"{len(numbers):,} of the {len(view.splits.test):,}" if len(numbers) < len(view.splits.test) else f"the {len(numbers):,}"
    caption = f"{how} of {view.feature}, {part} test samples"
    if classes is None:
        caption += "."
    elif (classes < 0).any():
        caption += ", coloured by class; grey where it is unknown."
    else:
        caption += ", coloured by class."
    if how != "PCA":
        caption += " Neighbourhoods can be read off it; sizes of groups and distances between them cannot."
    return [Picture(f"Projection of {view.feature}", caption, _scatter(view, places, classes))]


def project(values: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """[n, D] values -> [n, 2] places, and the name of the method.

    t-SNE (van der Maaten and Hinton 2008) of the first principal components, started from the first two; the latter alone
    where there are too few samples for neighbourhoods.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    samples, length = values.shape
    if samples < FEWEST_FOR_TSNE:
        return PCA(2, random_state=0).fit_transform(values), "PCA"
    components = PCA(min(DIMENSIONS, samples, length), random_state=0).fit_transform(values)
    perplexity = min(PERPLEXITY, (samples - 1) / 3)
    return TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(components), "t-SNE"


def _scatter(view: RunView, places: NDArray[Any], classes: NDArray[Any] | None) -> Figure:
    found = [] if classes is None else [int(label) for label in np.unique(classes)]
    named = 1 <= len(found) <= MOST_NAMED
    wide, tall = np.ptp(places, axis=0)
    figure = Figure(figsize=(6.3 if named else 5.2, 5.2 * float(np.clip(tall / max(wide, 1e-12), 0.4, 1.0))), layout="constrained")
    axis = figure.subplots()
    axis.set_aspect("equal", adjustable="datalim")
    axis.set_axis_off()
    dots: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 3.2, "markeredgewidth": 0, "alpha": 0.75}
    if classes is None:
        axis.plot(*places.T, **dots)
    for colour, label in zip(_colours(found), found, strict=True):
        name = "unknown" if label < 0 else view.class_name(label)
        axis.plot(*places[classes == label].T, color=colour, label=name, **dots)
    if named:
        figure.legend(loc="outside right center", markerscale=2)
    return figure


def _colours(classes: list[int]) -> list[Any]:
    """A colour for each class by its number, so that a class keeps its colour from run to run."""
    most = max(classes, default=0) + 1
    wheel = colormaps["tab10" if most <= 10 else "tab20" if most <= MOST_NAMED else "turbo"]
    return [UNKNOWN if label < 0 else wheel(label) if most <= MOST_NAMED else wheel(label / most) for label in classes]
