"""`svm-paper`: five linear support vector machines on the features as they are, by scikit-learn's `LinearSVC` as it comes.

Hjelm et al. (2019) report mean and spread over five runs of a linear SVM. Their released code calls `LinearSVC` with default
settings, which were then: squared hinge loss, C = 1, one class against the rest, at most 1,000 passes of dual coordinate descent
in random order. That order is all that differs between runs on one encoder. C and scaling of the published rows are not stated.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from harness import Evaluator, Score, Task
from harness_probes.samples import labelled_samples, require_classes, score_predictions
from harness_probes.spec import SvmPaperOptions


class PaperSvm(Evaluator):
    """Mean test accuracy of several runs of the solver; `std` is their spread. How many converged is told in `selected`."""

    def __init__(self, options: SvmPaperOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """One score over all runs. Raises EvaluationError for several binary labels or unfit features."""
        train, test = labelled_samples(task, task.train, "training"), labelled_samples(task, task.test, "test")
        require_classes(train, "svm-paper")
        accuracies, converged = [], 0
        for run, seed in enumerate(np.random.SeedSequence(task.seed).generate_state(self.options.runs).tolist()):
            task.progress(run, self.options.runs, "runs of the solver")
            with warnings.catch_warnings(record=True) as caught:  # stopping unconverged is part of this recipe
                warnings.simplefilter("always", ConvergenceWarning)
                # Newer versions of scikit-learn choose the solver by the shape; the primal one would make all runs the same.
                model = LinearSVC(dual=True, max_iter=self.options.max_iter, random_state=seed).fit(train.x, train.y)
            converged += not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
            accuracies.append(float(score_predictions(model.predict(test.x), test.y)))
        std = float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None
        return [
            Score(
                name="accuracy",
                value=float(np.mean(accuracies)),
                std=std,
                over="restarts",
                n=len(accuracies),
                selected={"converged": converged},
            )
        ]
