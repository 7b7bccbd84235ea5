"""The samples of a part that an evaluator judges: checked once, their features left where they are until they are asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from harness import EvaluationError, Part, Task

BLOCK = 1 << 22
"""Feature values looked at together: 32 MB as float64."""


@dataclass(frozen=True)
class Samples:
    """Some samples of one part, whose feature may be a memory-mapped array larger than memory."""

    part: Part
    rows: NDArray[np.int64]
    """[n] where they stand in `part`, ascending."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def index(self) -> NDArray[np.int64]:
        """[n] their places in the data set."""
        return self.part.index[self.rows]

    @property
    def dims(self) -> int:
        """D, the number of values of one sample's feature."""
        return math.prod(self.part.features.shape[1:])

    def x(self, chosen: slice = slice(None), columns: slice = slice(None)) -> NDArray[np.float32]:
        """[b, c] features of some of the n samples, flattened, and of them some of the D columns; always a copy."""
        flat = self.part.features.reshape(len(self.part), -1)
        return np.asarray(flat[self.rows[chosen], columns], dtype=np.float32)

    def blocks(self) -> Iterator[slice]:
        """Pieces of 0..n-1 whose features have about `BLOCK` values each."""
        return _pieces(len(self), max(1, BLOCK // max(1, self.dims)))

    def column_blocks(self) -> Iterator[slice]:
        """Pieces of 0..D-1 that have about `BLOCK` values each over all samples."""
        return _pieces(self.dims, max(1, BLOCK // len(self)))


def judged_samples(task: Task, part: Part, name: str, evaluator: str, *, at_most: int) -> Samples:
    """The samples of `part`, or where it has more than `at_most`, that many of them, the same for every run.

    :param name: what the part is called in errors: "training" or "test".
    :raises EvaluationError: fewer than two samples.
    """
    if len(part) < 2:
        raise EvaluationError(f"{evaluator} compares samples, and the {name} part has {len(part)}; it needs two or more.")
    return Samples(part, drawn_rows(len(part), at_most, task.protocol_seed))


def drawn_rows(n: int, at_most: int, seed: int) -> NDArray[np.int64]:
    """All of 0..n-1, or `at_most` of them drawn at random without repetition; ascending, so that a file is read forwards."""
    if n <= at_most:
        return np.arange(n)
    drawn = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:at_most]
    rows: NDArray[np.int64] = drawn.sort().values.numpy()
    return rows


def _pieces(n: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, n, size))
