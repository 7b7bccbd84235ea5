"""The data set `digits`: 1797 handwritten digits of 8x8 pixels that scikit-learn carries with it."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray

from harness import Annotations, CorruptDataError, DataContext, DataSet, ImageSource, Options
from harness_images.spec_data import DIGITS_RECIPE, HOLDOUT
from harness_images.splits import VALUE_RANGE, holdout

TEST_SAMPLES = 500


def build(context: DataContext, options: Options) -> DataSet:
    """Images [1797, 1, 8, 8] in -1..1 and their digits; training sees the training part only.

    Raises CorruptDataError when the installed scikit-learn carries other images or labels.
    """
    from sklearn.datasets import load_digits

    bundle = load_digits()
    pixels, labels = bundle.images.astype(np.uint8), bundle.target.astype(np.int64)
    check(pixels, labels)
    splits = holdout(labels, TEST_SAMPLES, HOLDOUT.id)
    inputs = ImageSource(torch.from_numpy(pixels[:, None]), stored_range=(0, 16), value_range=VALUE_RANGE)
    annotations = Annotations(splits={HOLDOUT.name: splits}, labels=labels, class_names=tuple("0123456789"))
    return DataSet(inputs=inputs, annotations=annotations, pretrain=inputs.subset(splits.train))


def check(pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Raise CorruptDataError unless these are the images and labels of the recipe."""
    digest = hashlib.sha256(pixels.tobytes() + labels.astype(np.uint8).tobytes()).hexdigest()
    pinned = DIGITS_RECIPE.settings["sha256"]
    if digest != pinned:
        raise CorruptDataError(
            f"The installed scikit-learn carries digits with sha256 {digest}, not {pinned}; "
            "install the version that constraints.txt names."
        )
