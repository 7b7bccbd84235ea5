"""`svm`: a linear support vector machine on standardised features, C chosen once on the validation part.

Objective of each class against the rest, that of LIBLINEAR's L2-regularised machine with squared hinge loss (Fan et al. 2008) and
so of scikit-learn's `LinearSVC`:

    ½ (‖w‖² + b²) + C Σᵢ max(0, 1 - tᵢ (w·xᵢ + b))²,   tᵢ = ±1.

`squared_hinge` minimises it. There is no random order of coordinates, no choice between primal and dual, and convergence is proven
by the duality gap. Large features are held once, in float32. The strengths are tried from the smallest on, until one is clearly too
large: of many features the largest take ten times as long as all that could be chosen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from harness import EvaluationError, Evaluator, Progress, Score, Task
from harness_probes.samples import LabelledRows, fit_and_validation_rows, labelled_rows, require_classes, score_predictions
from harness_probes.spec import SvmOptions
from harness_probes.squared_hinge import SquaredHinge

DOUBLE = 1 << 24
"""Training values, at most, that are computed with in float64; more are in float32."""

TIE = 1e-6
"""Margins this close, as a part of the larger one, are equal: where features tell nothing, rounding must not choose the class."""


class SvmProbe(Evaluator):
    """One deterministic fit: C chosen on the validation part, then the whole training part at that C. There is no spread."""

    def __init__(self, options: SvmOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """The test accuracy. Raises EvaluationError for several binary labels, unfit features, or a fit that does not converge."""
        train, test = labelled_rows(task, task.train, "training"), labelled_rows(task, task.test, "test")
        require_classes(train, "svm")
        if len(self.options.C) == 1:
            [C], start = self.options.C, None
        else:
            C, start = self._choose(*fit_and_validation_rows(task, train), task.progress)
        machines = _Machines(train)
        weights = machines.fit(C, self.options.max_iter, start)
        return [Score(name="accuracy", value=machines.accuracy(weights, test), selected={"C": C})]

    def _choose(self, fit: LabelledRows, validation: LabelledRows, progress: Progress) -> tuple[float, NDArray[np.float64]]:
        """The C with the best accuracy on `validation`, of equals the smallest, and its weights.

        No larger C is tried after one whose accuracy is below the best so far by more than that one's standard error.
        """
        require_classes(fit, "svm")
        machines = _Machines(fit)
        grid = sorted(self.options.C)
        fitted: list[NDArray[np.float64]] = []
        accuracies: list[float] = []
        for C in grid:
            progress(len(fitted), len(grid) + 1, "fits")  # the last is that of the whole training part
            fitted.append(machines.fit(C, self.options.max_iter, fitted[-1] if fitted else None))
            accuracies.append(machines.accuracy(fitted[-1], validation))
            if accuracies[-1] < max(accuracies) - standard_error(max(accuracies), len(validation)):
                break
        best = int(np.argmax(accuracies))
        return grid[best], fitted[best]


class _Machines:
    """One machine for each class against the rest, on features standardised by the mean and deviation of the samples to fit."""

    def __init__(self, samples: LabelledRows) -> None:
        self._scaler = StandardScaler()
        for block in samples.blocks():
            self._scaler.partial_fit(samples.x(block).astype(np.float64))
        columns = len(self._scaler.mean_)
        x = np.empty((len(samples), columns + 1), np.float64 if len(samples) * columns <= DOUBLE else np.float32)
        for block in samples.blocks():
            x[block] = self._standardised(samples.x(block))
        self._classes, y = np.unique(samples.y, return_inverse=True)
        self._problem = SquaredHinge(x, y)

    def fit(self, C: float, max_iter: int, start: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """[D + 1, K] weights, the biases last. Raises EvaluationError where they do not converge."""
        if start is not None and start.shape[1] != len(self._classes):
            start = None  # a class too rare to stand in both parts
        fit = self._problem.fit(C, max_iter, start)
        if not fit.converged:
            raise EvaluationError(
                f"svm at C = {C:g} did not converge in {max_iter} steps; "
                "raise evaluator.svm.max_iter or leave that C out of evaluator.svm.C."
            )
        return fit.weights

    def accuracy(self, weights: NDArray[np.float64], samples: LabelledRows) -> float:
        """In %, of the class with the largest margin; of margins that are equal but for rounding, the first class."""
        predicted = np.empty(len(samples), np.int64)
        for block in samples.blocks():
            margins = self._standardised(samples.x(block)) @ weights
            largest = margins.max(axis=1, keepdims=True)
            predicted[block] = (margins >= largest - TIE * np.maximum(1, np.abs(largest))).argmax(axis=1)
        return float(score_predictions(self._classes[predicted], samples.y))

    def _standardised(self, x: NDArray[np.float32]) -> NDArray[Any]:
        """[b, D + 1] float64: x of mean 0 and deviation 1, and a column of ones."""
        return np.column_stack([self._scaler.transform(x.astype(np.float64)), np.ones(len(x))])


def standard_error(accuracy: float, samples: int) -> float:
    """Of an accuracy in %, measured on so many samples: that of a binomial share."""
    return math.sqrt(accuracy * (100 - accuracy) / samples)
