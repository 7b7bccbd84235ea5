"""Drawing a part of samples, class by class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def draw_by_class(
    labels: NDArray[Any] | None, samples: int, fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sample numbers that stay, and those of a drawn `fraction` of every class; both ascending.

    At least one sample of a class is drawn, but never its only one.

    :param labels: [samples] class numbers; anything else (None, binary labels) counts as a single class.
    """
    rng = np.random.RandomState(seed % 2**32)  # the one generator whose stream NumPy promises to keep
    strata = labels if labels is not None and labels.ndim == 1 else np.zeros(samples, dtype=np.int64)
    order = rng.permutation(samples)
    # Position of each sample inside its class, in the drawn order: the first of every class are taken.
    by_class = order[np.argsort(strata[order], kind="stable")]
    sizes = np.unique(strata, return_counts=True)[1]
    rank = np.concatenate([np.arange(size) for size in sizes])
    drawn = rank < np.repeat(np.minimum(np.maximum(1, np.floor(sizes * fraction)), sizes - 1), sizes)
    return np.sort(by_class[~drawn]), np.sort(by_class[drawn])
