"""Training and test parts of image data sets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness import Annotations, DataSet, ImageSource, Splits

VALUE_RANGE = (-1.0, 1.0)


def inductive(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64] | None,
    splits: Mapping[str, Splits],
    *,
    class_names: tuple[str, ...] = (),
    factors: Mapping[str, NDArray[np.int64]] | None = None,
) -> DataSet:
    """A data set of the images [N, C, H, W] whose training part, under its one protocol, is all that training sees."""
    inputs = ImageSource(pixels, value_range=VALUE_RANGE)
    annotations = Annotations(splits=splits, labels=labels, class_names=class_names, factors=factors or {})
    (split,) = splits.values()
    return DataSet(inputs=inputs, annotations=annotations, pretrain=inputs.subset(split.train))


def train_then_test(train_samples: int, samples: int) -> Splits:
    """The first `train_samples` samples, and the others."""
    return Splits(train=np.arange(train_samples), test=np.arange(train_samples, samples))


def holdout(labels: NDArray[np.int64], test_samples: int, seed: str) -> Splits:
    """A stratified split drawn from the text `seed` alone, such as a protocol's id.

    Each class gives its proportional share of `test_samples`, rounded down; what is missing then comes from the classes whose
    shares lost most by rounding, the smaller class number first.

    :param labels: [N] class numbers 0..K-1.
    """
    sizes = np.bincount(labels)
    shares = sizes * test_samples
    quota = shares // len(labels)
    most_lost = np.argsort(-(shares % len(labels)), kind="stable")
    quota[most_lost[: test_samples - quota.sum()]] += 1

    # RandomState, because NumPy promises never to change its stream, as it does not for newer generators.
    state = np.random.RandomState(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big"))
    order = state.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    rank_in_class = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    held_out = rank_in_class < np.repeat(quota, sizes)
    return Splits(train=np.sort(by_class[~held_out]), test=np.sort(by_class[held_out]))


def files_sha256(files: Mapping[str, Path]) -> str:
    """Digest of the paths and contents of files, in the order of their paths."""
    digest = hashlib.sha256()
    for path in sorted(files):
        with files[path].open("rb") as file:
            digest.update(f"{path}\n{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()
