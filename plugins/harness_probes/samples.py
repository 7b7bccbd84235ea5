"""What the probes share: labelled samples of a task's parts, predictions scored in per cent, choosing on the validation part.

A feature may be a memory-mapped array of a gigabyte. `LabelledRows` gathers samples of it batch by batch; `Samples` holds all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness import EvaluationError, Part, Task

T = TypeVar("T", int, float)

BLOCK = 1 << 24
"""Values looked at together when features, perhaps memory-mapped, are gone through."""


@dataclass(frozen=True)
class Samples:
    """The samples of one part whose labels are known."""

    x: NDArray[np.float32]
    """[n, D] the feature, flattened; possibly memory-mapped and read-only."""
    y: NDArray[Any]
    """[n] int64 classes in 0..classes-1, or [n, K] bool for K binary labels."""

    @property
    def multi_label(self) -> bool:
        """Whether a sample has several binary labels instead of one class."""
        return self.y.ndim == 2


@dataclass(frozen=True)
class LabelledRows:
    """The samples of one part whose labels are known, their features left where they are until they are asked for."""

    part: Part
    rows: NDArray[np.int64]
    """[n] where they stand in `part`."""
    y: NDArray[Any]
    """[n] int64 classes in 0..classes-1, or [n, K] bool for K binary labels."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def index(self) -> NDArray[np.int64]:
        """[n] their places in the data set."""
        return self.part.index[self.rows]

    def x(self, chosen: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """[b, D] features of some of the n samples, flattened; always a copy."""
        values = self.part.features[self.rows[chosen]]
        return values.reshape(len(values), -1).astype(np.float32, copy=False)

    def blocks(self) -> Iterator[slice]:
        """Pieces of 0..n-1 whose features have about `BLOCK` values each."""
        rows = max(1, BLOCK // max(1, math.prod(self.part.features.shape[1:])))
        return (slice(start, start + rows) for start in range(0, len(self), rows))

    def within(self, rows: NDArray[np.int64]) -> LabelledRows:
        """Those of them that stand at `rows` of the part."""
        kept = np.isin(self.rows, rows)
        return LabelledRows(self.part, self.rows[kept], self.y[kept])


def labelled_rows(task: Task, part: Part, name: str) -> LabelledRows:
    """The samples of `part` with known labels; a label below 0 is unknown, and then its sample is left out.

    :param name: what the part is called in errors: "training", "validation" or "test".
    :raises EvaluationError: no label is known, or labels do not fit `task.classes`.
    """
    labels = part.labels
    if labels is None or task.classes is None:
        raise EvaluationError(f"The {name} part has no labels; probes judge data sets with labels.")
    known = labels >= 0 if labels.ndim == 1 else (labels >= 0).all(axis=1)
    if not known.any():
        raise EvaluationError(f"The {name} part has no sample with a known label; choose a protocol whose {name} part has labels.")
    y = labels[known]
    values = task.classes if y.ndim == 1 else 2
    if y.max() >= values:
        raise EvaluationError(f"The {name} part has label {y.max()}, but labels are 0 to {values - 1}; correct the data set.")
    return LabelledRows(part, np.flatnonzero(known), y.astype(np.int64 if y.ndim == 1 else np.bool_))


def labelled_samples(task: Task, part: Part, name: str) -> Samples:
    """The samples of `labelled_rows` with their features; these are copied only where they must be. The same errors."""
    found = labelled_rows(task, part, name)
    features = part.features if len(found) == len(part) else part.features[found.rows]
    return Samples(np.asarray(features.reshape(len(features), -1), dtype=np.float32), found.y)


def fit_and_validation_rows(task: Task, train: LabelledRows | None = None) -> tuple[LabelledRows, LabelledRows]:
    """What to fit and what to choose by: `Task.fit_and_validation` without copying features.

    :param train: the `labelled_rows` of the training part, where they have been looked at already.
    :raises EvaluationError: as `labelled_rows`, or no validation part can be drawn.
    """
    train = labelled_rows(task, task.train, "training") if train is None else train
    if task.validation is not None:
        return train, labelled_rows(task, task.validation, "validation")
    fit, held_out = (train.within(rows) for rows in task.validation_rows())
    if not len(held_out):
        raise EvaluationError("The training part has no class with two samples, so no validation part can be drawn from it.")
    return fit, held_out


def require_classes(samples: Samples | LabelledRows, probe: str) -> None:
    """Raise EvaluationError unless a classifier can be fitted: one label a sample, and at least two classes."""
    if samples.y.ndim == 2:
        raise EvaluationError(f"{probe} judges single-label data; use logistic or knn for several binary labels.")
    if (samples.y == samples.y[0]).all():
        raise EvaluationError(f"{probe} needs training samples of at least two classes; these are all of class {samples.y[0]}.")


def metric_name(samples: Samples) -> str:
    """The metric that fits: "accuracy" for classes, "micro_f1" for several binary labels."""
    return "micro_f1" if samples.multi_label else "accuracy"


def score_predictions(predicted: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Accuracy, or for several binary labels micro-F1 = 2 TP / (2 TP + FP + FN), of each set of predictions; in %.

    Micro-F1 is 0 where no label is on and none is predicted.

    :param predicted: [..., n] classes or [..., n, K] bool.
    :param y: [n] classes or [n, K] bool.
    :returns: [...].
    """
    if y.ndim == 1:
        return np.asarray(100.0 * (predicted == y).mean(axis=-1))
    hits = (predicted & y).sum(axis=(-2, -1))
    on = predicted.sum(axis=(-2, -1)) + y.sum()  # = 2 TP + FP + FN
    return np.asarray(100.0 * 2 * hits / np.maximum(on, 1))


def choose(task: Task, grid: Sequence[T], scores: Callable[[Samples, Samples, Sequence[T]], Sequence[float]]) -> T:
    """The value of `grid` with the best validation score; of equals, the smallest. One value alone is taken as it is.

    The test part is not looked at.

    :param scores: called as `scores(fit, validation, grid)`; one score for each value, higher is better.
    """
    if len(grid) == 1:
        return grid[0]
    fit, validation = task.fit_and_validation()
    ascending = sorted(grid)
    found = scores(labelled_samples(task, fit, "training"), labelled_samples(task, validation, "validation"), ascending)
    return ascending[int(np.argmax(found))]
