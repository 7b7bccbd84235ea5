"""`knn`: k nearest neighbours by cosine similarity, k chosen on the validation part; nothing is trained and nothing is random.

The class with most votes among the k nearest training samples wins. Ties are decided, not left to rounding or to the order of a
sort: similarities are compared to 2⁻²⁰; of equally similar neighbours the earlier training sample counts as nearer; of classes
with equally many votes the one with the nearest neighbour wins. For K binary labels, a label is on where more than half of the
neighbours have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from harness import EvaluationError, Evaluator, Score, Task
from harness_probes.samples import Samples, choose, labelled_samples, metric_name, score_predictions
from harness_probes.spec import KnnOptions

RESOLUTION = 1 << 20
"""Steps per unit of similarity: coarser than a float32 inner product's rounding, finer than differences that mean something."""
BLOCK = 1 << 20
"""Similarities ranked together: few enough to stay in a processor's cache, where ranking is about three times as fast."""


class KnnProbe(Evaluator):
    """One deterministic answer; there is no spread."""

    def __init__(self, options: KnnOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """Test accuracy or micro-F1. Raises EvaluationError for unfit features or fewer training samples than neighbours."""
        train, test = labelled_samples(task, task.train, "training"), labelled_samples(task, task.test, "test")
        k = choose(task, self.options.k, partial(self._scores, device=task.device))
        if k > len(train.x):
            raise EvaluationError(
                f"knn is to use {k} neighbours, but {len(train.x)} training samples have labels; set a smaller evaluator.knn.k."
            )
        value = self._scores(train, test, [k], device=task.device)[0]
        return [Score(name=metric_name(test), value=float(value), selected={"k": k})]

    def _scores(self, train: Samples, held_out: Samples, grid: Sequence[int], *, device: torch.device) -> Sequence[float]:
        """Score on `held_out` for every k; -1 where there are fewer than k training samples."""
        ks = [k for k in grid if k <= len(train.x)]
        scores = score_predictions(vote(train, held_out.x, ks, device), held_out.y) if ks else np.empty(0)
        return [*scores.tolist(), *[-1.0] * (len(grid) - len(ks))]


def vote(train: Samples, x: NDArray[np.float32], ks: Sequence[int], device: torch.device) -> NDArray[np.int64] | NDArray[np.bool_]:
    """What the k nearest of `train` say of the samples `x`, for every k.

    :param x: [n, D] features.
    :param ks: numbers of neighbours, ascending, at most the number of training samples.
    :returns: [len(ks), n] classes or [len(ks), n, K] bool.
    """
    known = F.normalize(torch.tensor(train.x, device=device), dim=1).T
    labels = torch.tensor(train.y, device=device)
    classes = int(train.y.max()) + 1
    # One whole number per pair, unique within a row: similarity first, then the earlier training sample.
    earlier = torch.arange(len(train.x) - 1, -1, -1, device=device)
    rows = max(1, BLOCK // len(train.x))
    said: list[Tensor] = []
    for start in range(0, len(x), rows):
        query = F.normalize(torch.tensor(x[start : start + rows], device=device), dim=1)
        similarity = (query * RESOLUTION @ known).round().long()
        nearest = torch.add(earlier, similarity, alpha=len(train.x)).topk(ks[-1], dim=1).indices
        neighbours = labels[nearest]
        said.append(torch.stack([_majority(neighbours[:, :k], classes) for k in ks]).cpu())
    predicted: NDArray[np.int64] | NDArray[np.bool_] = torch.cat(said, dim=1).numpy()
    return predicted


def _majority(neighbours: Tensor, classes: int) -> Tensor:
    """The vote of each row's neighbours, nearest first: [rows, k] classes -> [rows], or [rows, k, K] bool -> [rows, K]."""
    rows, k = neighbours.shape[:2]
    if neighbours.ndim == 3:
        return 2 * neighbours.sum(dim=1) > k
    counts = neighbours.new_zeros(rows, classes).scatter_add_(1, neighbours, torch.ones_like(neighbours))
    # Every neighbour stands for its class; k parts a vote, so that being nearer decides between classes with equally many.
    nearer = torch.arange(k - 1, -1, -1, device=neighbours.device)
    winner = (counts.gather(1, neighbours) * k + nearer).argmax(dim=1, keepdim=True)
    return neighbours.gather(1, winner).squeeze(1)
