"""`logistic-lbfgs` and `logistic-pyg`: L2-regularised softmax regression by L-BFGS (scikit-learn).

Both minimise ½ ‖W‖² + C Σᵢ cross-entropyᵢ, the bias unpenalised. `logistic-pyg` is the probe of torch-geometric's example
infomax_transductive: the features as they are, C = 1, 150 iterations, converged or not. `logistic-lbfgs` chooses C on the
validation part, must converge, and sees features that are centred and divided by one number.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from harness import EvaluationError, Evaluator, Score, Task
from harness_probes.samples import Samples, choose, labelled_samples, require_classes, score_predictions
from harness_probes.spec import LbfgsOptions, PygOptions

TOLERANCE = 1e-5
"""Largest entry of the mean loss's gradient at which L-BFGS may stop; a tenth of scikit-learn's default."""


class LbfgsProbe(Evaluator):
    """One deterministic fit: C chosen on the validation part, then the whole training part at that C. There is no spread."""

    def __init__(self, options: LbfgsOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """The test accuracy. Raises EvaluationError for several binary labels, unfit features, or a fit that does not converge."""
        train, test = labelled_samples(task, task.train, "training"), labelled_samples(task, task.test, "test")
        C = choose(task, self.options.C, self._accuracies)
        [accuracy] = self._accuracies(train, test, [C])
        return [Score(name="accuracy", value=accuracy, selected={"C": C})]

    def _accuracies(self, train: Samples, held_out: Samples, grid: Sequence[float]) -> list[float]:
        """Accuracy on `held_out` of a fit to `train` at each C."""
        require_classes(train, "logistic-lbfgs")
        mean, scale = centre_and_scale(train.x)
        x, z = (train.x - mean) / scale, (held_out.x - mean) / scale
        return [float(score_predictions(self._fit(x, train.y, C).predict(z), held_out.y)) for C in grid]

    def _fit(self, x: NDArray[np.float64], y: NDArray[np.int64], C: float) -> Any:
        for max_iter in (self.options.max_iter, 10 * self.options.max_iter):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", ConvergenceWarning)
                    return LogisticRegression(C=C, tol=TOLERANCE, max_iter=max_iter).fit(x, y)
            except ConvergenceWarning:
                continue
        raise EvaluationError(
            f"logistic-lbfgs at C = {C:g} did not converge in {10 * self.options.max_iter} iterations; "
            "raise evaluator.logistic-lbfgs.max_iter or leave that C out of evaluator.logistic-lbfgs.C."
        )


class PygProbe(Evaluator):
    """One fit of the training part. Whether it had converged is told in `selected`."""

    def __init__(self, options: PygOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """The test accuracy. Raises EvaluationError for several binary labels or unfit features."""
        train = labelled_samples(task, task.train, "training")
        test = labelled_samples(task, task.test, "test")
        require_classes(train, "logistic-pyg")
        with warnings.catch_warnings(record=True) as caught:  # stopping after max_iter is part of this recipe
            warnings.simplefilter("always", ConvergenceWarning)
            model = LogisticRegression(C=self.options.C, max_iter=self.options.max_iter).fit(train.x, train.y)
        converged = not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
        accuracy = float(score_predictions(model.predict(test.x), test.y))
        return [Score(name="accuracy", value=accuracy, selected={"converged": converged})]


def centre_and_scale(x: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """Mean [D] of the features, and the one number by which they are divided: the root of their mean variance.

    One number for all columns keeps the geometry, hence every solution up to the unit of C, but gives C and the stopping rule
    a scale that does not depend on the encoder's. On small features (row-normalised words, say) the gradient is below
    scikit-learn's tolerance from the start, so that an unscaled fit stops after one iteration and counts as converged.
    """
    mean = x.mean(axis=0, dtype=np.float64)
    scale = float(np.sqrt(x.var(axis=0, dtype=np.float64).mean()))
    return mean, scale if scale > 0 else 1.0
