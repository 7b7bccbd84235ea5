"""`svm`: a linear support vector machine on standardised features, C chosen once on the validation part.

It is scikit-learn's `LinearSVC`, that is LIBLINEAR's L2-regularised machine with squared hinge loss (Fan et al. 2008). Objective of
each class against the rest:

    ½ (‖w‖² + b²) + C Σᵢ max(0, 1 - tᵢ (w·xᵢ + b))²,   tᵢ = ±1.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from harness import EvaluationError, Evaluator, Score, Task
from harness_probes.samples import Samples, require_classes, score_at_chosen_strength, score_predictions
from harness_probes.spec import SvmOptions


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
        return [float(score_predictions(self._fit(x, train.y, C).predict(z), held_out.y)) for C in grid]

    def _fit(self, x: NDArray[np.float64], y: NDArray[np.int64], C: float) -> LinearSVC:
        """A fit that has converged: by the dual solver, or, where that does not, by the primal one.

        `dual="auto"` chooses by shape alone and is slow on some: the dual is the quicker one nearly always, but may never converge
        where samples are many, features few and C large, and there the primal takes no time.
        """
        for dual in (True, False):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", ConvergenceWarning)
                    # The seed orders the dual's coordinates; fixed, since it is no part of what is judged.
                    return LinearSVC(C=C, dual=dual, max_iter=self.options.max_iter, random_state=0).fit(x, y)
            except ConvergenceWarning:
                continue
        raise EvaluationError(
            f"svm at C = {C:g} did not converge in {self.options.max_iter} iterations; "
            "raise evaluator.svm.max_iter or leave that C out of evaluator.svm.C."
        )
