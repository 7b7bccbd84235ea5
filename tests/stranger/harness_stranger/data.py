"""The data set `bands`: classes that differ along two hidden directions, under noise."""

from __future__ import annotations

import numpy as np
import torch

from harness import Annotations, DataContext, DataSet, Options, Splits, VectorSource
from harness_stranger.spec import BANDS_HALF, BANDS_SETTINGS

CORNERS = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]])
"""[4, 2] where the classes' means lie in the plane of the two hidden directions."""
DIRECTIONS = np.array([[1, 1] * 8, [1, -1] * 8]) / 4
"""[2, 16] the hidden directions, orthonormal."""


def build_bands(context: DataContext, options: Options) -> DataSet:
    """Draw the vectors, [600, 16] float32, and their classes, [600] int64.

    All is drawn from the seed in the recipe, by RandomState, whose stream NumPy promises never to change; and the sums are written
    out, since matrix products may round differently from one machine to the next.
    """
    samples, spread, noise = 600, BANDS_SETTINGS["spread"], BANDS_SETTINGS["noise"]
    rng = np.random.RandomState(int(BANDS_SETTINGS["seed"]))
    labels = rng.randint(len(CORNERS), size=samples).astype(np.int64)
    centres = CORNERS[labels]
    means = centres[:, :1] * DIRECTIONS[0] + centres[:, 1:] * DIRECTIONS[1]
    values = spread * means + noise * rng.standard_normal(means.shape)

    inputs = VectorSource(torch.from_numpy(values.astype(np.float32)))
    half = samples // 2
    splits = Splits(train=np.arange(half), test=np.arange(half, samples))
    return DataSet(
        inputs=inputs,
        annotations=Annotations(splits={BANDS_HALF.name: splits}, labels=labels),
        pretrain=inputs,
    )
