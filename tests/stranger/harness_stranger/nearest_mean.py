"""The evaluator `nearest-mean`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness import EvaluationError, Evaluator, Part, Score, Task
from harness_stranger.spec import NearestMeanOptions


class NearestMean(Evaluator):
    """Gives every test sample the class whose mean, over the training part, is nearest."""

    def __init__(self, options: NearestMeanOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """One score, the accuracy on the test part. Features of any shape are flattened."""
        train, test = self._vectors(task.train), self._vectors(task.test)
        labels, truth = _classes(task.train), _classes(task.test)
        present = np.unique(labels)
        means = np.stack([train[labels == label].mean(axis=0) for label in present])  # [K, D]
        # |t - m|^2 = |t|^2 - 2 t.m + |m|^2, and |t|^2 is the same for every mean.
        distances = (means**2).sum(axis=1) - 2 * test @ means.T  # [n, K]
        correct = present[distances.argmin(axis=1)] == truth
        return [Score(name="accuracy", value=100 * float(correct.mean()), n=len(truth))]

    def _vectors(self, part: Part) -> NDArray[np.float64]:
        """[n, D] features; of length one where the cosine counts."""
        vectors = np.asarray(part.features, dtype=np.float64).reshape(len(part), -1)
        if self.options.distance == "cosine":
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors


def _classes(part: Part) -> NDArray[np.int64]:
    """[n] class numbers. Raises EvaluationError for binary labels, of which a sample may have several."""
    if part.labels is None or part.labels.ndim != 1:
        raise EvaluationError("nearest-mean needs one class number per sample.")
    return part.labels
