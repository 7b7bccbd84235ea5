"""What the probes share: labelled samples of a task's parts, predictions scored in per cent, choosing on the validation part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness import EvaluationError, Part, Score, Task

T = TypeVar("T", int, float)

BLOCK = 1 << 24
"""Values looked at together when features, perhaps memory-mapped, are checked."""


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


def labelled_samples(task: Task, part: Part, name: str) -> Samples:
    """The samples of `part` with known labels; a label below 0 is unknown, and then its sample is left out.

    :param name: what the part is called in errors: "training", "validation" or "test".
    :raises EvaluationError: no label is known, labels do not fit `task.classes`, or a feature value is not finite.
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
    rows = part.features if known.all() else part.features[known]
    with np.errstate(over="ignore"):  # a float64 value beyond float32 becomes infinite and is reported below
        x = np.asarray(rows.reshape(len(rows), -1), dtype=np.float32)
    if not all(np.isfinite(block).all() for block in _blocks(x)):
        raise EvaluationError(
            f"Feature {task.feature!r} has values that are not finite in the {name} part; check that training did not diverge."
        )
    return Samples(x, y.astype(np.int64 if y.ndim == 1 else np.bool_))


def require_classes(samples: Samples, probe: str) -> None:
    """Raise EvaluationError unless a classifier can be fitted: one label a sample, and at least two classes."""
    if samples.multi_label:
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


def score_at_chosen_strength(
    task: Task, grid: Sequence[float], accuracies: Callable[[Samples, Samples, Sequence[float]], Sequence[float]]
) -> Score:
    """Test accuracy of one fit to the whole training part, at the C of `grid` that `choose` takes.

    :param accuracies: called as `accuracies(train, held_out, grid)`; one accuracy in % for each C.
    """
    train, test = labelled_samples(task, task.train, "training"), labelled_samples(task, task.test, "test")
    C = choose(task, grid, accuracies)
    [accuracy] = accuracies(train, test, [C])
    return Score(name="accuracy", value=accuracy, selected={"C": C})


def _blocks(x: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    rows = max(1, BLOCK // max(1, x.shape[1]))
    return (x[start : start + rows] for start in range(0, len(x), rows))
