"""`clustering`: k-means with as many clusters as classes, against the labels of the test part by NMI and ARI.

scikit-learn's k-means (Lloyd's iterations from k-means++ starts) is fitted to the training part without its labels; a test sample
belongs to the nearest centre. It is computed by one thread on the processor: several would sum in the order in which they end, and
the same seed would not give the same clusters.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from harness import EvaluationError, Evaluator, Score, Task
from harness_geometry.samples import Samples, judged_samples
from harness_geometry.spec import ClusteringOptions


class Clustering(Evaluator):
    """Mean and spread over several clusterings of one feature."""

    def __init__(self, options: ClusteringOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """NMI and ARI of the test part.

        Raises EvaluationError for several binary labels, fewer training samples than classes, or test samples of one class
        only.
        """
        test, labels = judged_labels(task)
        train = judged_samples(task, task.train, "training", "clustering", at_most=self.options.samples)
        assert task.classes is not None  # `judged_labels` refuses a task without
        if len(train) < task.classes:
            raise EvaluationError(
                f"clustering looks for {task.classes} clusters, one for each class, in {len(train)} training samples; "
                "it needs as many samples as clusters or more."
            )
        found = self._clusters(train, test, task.classes, task.seed)
        how = {"clusters": task.classes, "samples": len(train)}
        # Rounding may take NMI out of its range by the last digit.
        nmi = [min(max(normalized_mutual_info_score(labels, each), 0.0), 1.0) for each in found]
        return [_score("nmi", nmi, how), _score("ari", [adjusted_rand_score(labels, each) for each in found], how)]

    def _clusters(self, train: Samples, test: Samples, k: int, seed: int) -> NDArray[np.int32]:
        """The cluster of each of n test samples in each clustering: [restarts, n]."""
        scaling = Scaling(train, columnwise=self.options.standardise)
        x = np.empty((len(train), train.dims), np.float32)
        for block in train.blocks():
            x[block] = scaling(train.x(block))
        seeds = np.random.default_rng(seed).integers(2**31, size=self.options.restarts)
        with threadpool_limits(1), warnings.catch_warnings():
            # Fewer different samples than clusters leave some clusters empty; the others are judged.
            warnings.simplefilter("ignore", ConvergenceWarning)
            models = [KMeans(k, n_init=self.options.n_init, random_state=int(each)).fit(x) for each in seeds]
            judged = (scaling(test.x(block)) for block in test.blocks())
            return np.concatenate([np.stack([model.predict(z) for model in models]) for z in judged], axis=1)


class Scaling:
    """(x - mean) / s by the samples that are fitted: s is each column's standard deviation, or one number for all columns.

    Neither the mean nor one number for all changes a cluster; they keep squares of float32 from overflowing or vanishing.
    """

    def __init__(self, samples: Samples, *, columnwise: bool) -> None:
        total, squares = np.zeros(samples.dims), np.zeros(samples.dims)
        for block in samples.blocks():
            total += samples.x(block).sum(axis=0, dtype=np.float64)
        self.mean = total / len(samples)
        for block in samples.blocks():
            squares += np.square(samples.x(block) - self.mean).sum(axis=0)
        variance = squares / len(samples)
        scale = np.sqrt(variance if columnwise else variance.mean(keepdims=True))
        self.scale = np.where(scale > 0, scale, 1.0)

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """[b, D] -> [b, D]."""
        return np.asarray((x - self.mean) / self.scale, dtype=np.float32)


def judged_labels(task: Task) -> tuple[Samples, NDArray[np.int64]]:
    """The test samples whose class is known, and their classes [n].

    :raises EvaluationError: several binary labels, or fewer than two classes.
    """
    labels = task.test.labels
    if labels is None or task.classes is None:
        raise EvaluationError("The test part has no labels; clustering is judged on data sets with labels.")
    if labels.ndim == 2:
        raise EvaluationError("clustering judges single-label data; several binary labels are no one way of grouping samples.")
    known = np.flatnonzero(labels >= 0)
    if len(np.unique(labels[known])) < 2:
        raise EvaluationError("clustering needs test samples of at least two classes.")
    return Samples(task.test, known), labels[known].astype(np.int64)


def _score(name: str, values: Sequence[float], clusters: dict[str, int]) -> Score:
    several = len(values) > 1
    return Score(
        name=name,
        value=float(np.mean(values)),
        std=float(np.std(values, ddof=1)) if several else None,
        over="restarts" if several else None,
        n=len(values),
        selected=clusters,
    )
