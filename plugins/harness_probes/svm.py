"""`svm`: a linear support vector machine on standardised features, C chosen once on the validation part.

Objective of each class against the rest, that of LIBLINEAR's L2-regularised machine with squared hinge loss (Fan et al. 2008) and
so of scikit-learn's `LinearSVC`:

    ½ (‖w‖² + b²) + C Σᵢ max(0, 1 - tᵢ (w·xᵢ + b))²,   tᵢ = ±1.

It is convex and smooth, so L-BFGS on the primal solves all classes at once with two matrix products a step, for any shape and
any C. There is no random order of coordinates, no choice between primal and dual, and convergence can be read off the gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.preprocessing import StandardScaler

from harness import EvaluationError, Evaluator, Score, Task
from harness_probes.samples import Samples, require_classes, score_at_chosen_strength, score_predictions
from harness_probes.spec import SvmOptions

TOLERANCE = 1e-6
"""Converged means: the gradient's largest entry is this small a part of what it was at zero."""


class SvmProbe(Evaluator):
    """One deterministic fit: C chosen on the validation part, then the whole training part at that C. There is no spread."""

    def __init__(self, options: SvmOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """The test accuracy. Raises EvaluationError for several binary labels, unfit features, or a fit that does not converge."""
        return [score_at_chosen_strength(task, self.options.C, self._accuracies)]

    def _accuracies(self, train: Samples, held_out: Samples, grid: Sequence[float]) -> list[float]:
        """Accuracy on `held_out` of a fit to `train` at each C; both standardised by the mean and deviation of `train`."""
        require_classes(train, "svm")
        scaler = StandardScaler(copy=False)  # `copy=False` works on the copies made here, never on the features themselves
        x = scaler.fit_transform(train.x.astype(np.float64))
        z = scaler.transform(held_out.x.astype(np.float64))
        classes, y = np.unique(train.y, return_inverse=True)
        accuracies = []
        for C in grid:
            W, b = self._fit(x, y, C)
            accuracies.append(float(score_predictions(classes[(z @ W + b).argmax(axis=1)], held_out.y)))
        return accuracies

    def _fit(self, x: NDArray[np.float64], y: NDArray[np.int64], C: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        for max_iter in (self.options.max_iter, 10 * self.options.max_iter):
            W, b, converged = fit_svm(x, y, C, max_iter)
            if converged:
                return W, b
        raise EvaluationError(
            f"svm at C = {C:g} did not converge in {10 * self.options.max_iter} iterations; "
            "raise evaluator.svm.max_iter or leave that C out of evaluator.svm.C."
        )


def fit_svm(
    x: NDArray[np.float64], y: NDArray[np.int64], C: float, max_iter: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], bool]:
    """Fit one machine per class against the rest.

    :param x: [n, D] features.
    :param y: [n] classes 0..K-1, each present.
    :param C: inverse penalty.
    :param max_iter: iterations of L-BFGS at most.
    :returns: weights [D, K], biases [K], and whether the fit converged.
    """
    D = x.shape[1]
    K = int(y.max()) + 1
    t = np.where(y[:, None] == np.arange(K), 1.0, -1.0)

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Value and gradient at [W; b] of shape [D + 1, K], flat."""
        theta = flat.reshape(D + 1, K)
        slack = np.maximum(0.0, 1.0 - t * (x @ theta[:D] + theta[D]))
        pull = 2 * C * t * slack
        gradient = theta.copy()
        gradient[:D] -= x.T @ pull
        gradient[D] -= pull.sum(axis=0)
        return 0.5 * float(flat @ flat) + C * float(np.vdot(slack, slack)), gradient.ravel()

    start = np.zeros((D + 1) * K)
    threshold = TOLERANCE * float(np.abs(objective(start)[1]).max())
    # ftol = 0: stop by the gradient alone (or when the value cannot fall any further in double precision).
    limits: Any = {"maxiter": max_iter, "maxfun": 2 * max_iter, "gtol": threshold, "ftol": 0.0}
    result = minimize(objective, start, jac=True, method="L-BFGS-B", options=limits)
    theta = result.x.reshape(D + 1, K)
    return theta[:D], theta[D], bool(np.abs(result.jac).max() <= threshold)
