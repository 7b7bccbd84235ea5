"""What `mine` and `ndm` share: features brought to one scale, and a Donsker-Varadhan value with its confidence limit."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness import Batch, Part, Score
from harness.bounds import dv, log_mean_exp

BLOCK = 1 << 24
"""Values of a feature looked at together: it may be memory-mapped and larger than memory."""
NORMAL_95 = 1.959964
"""Two-sided 95 % of the normal law."""


def rows_of(part: Part, rows: NDArray[np.int64] | slice) -> Tensor:
    """[b, D] float32: some samples of a part, flattened; a copy."""
    values = part.features[rows]
    return torch.from_numpy(np.array(values.reshape(len(values), -1), dtype=np.float32))


def mean_and_deviation(part: Part) -> tuple[Tensor, Tensor]:
    """[D] and [D] float32 of a part's columns, in double precision block by block; the deviation of a constant column is 1."""
    columns = max(1, math.prod(part.features.shape[1:]))
    step = max(1, BLOCK // columns)
    total, squares, origin = (
        torch.zeros(columns, dtype=torch.float64),
        torch.zeros(columns, dtype=torch.float64),
        rows_of(part, slice(1)),
    )
    for start in range(0, len(part), step):
        values = rows_of(part, slice(start, start + step)).double() - origin.double()
        total += values.sum(0)
        squares += values.square().sum(0)
    mean = total / len(part)
    deviation = (squares / len(part) - mean.square()).clamp_min(0).sqrt()
    return (mean + origin[0].double()).float(), torch.where(deviation > 0, deviation, 1.0).float()


class Standardised:
    """A part's representations by the number of their sample, in units of deviations: information does not depend on the scale.

    :param mean: [D] and `deviation` [D], as `mean_and_deviation` of the training part gives them.
    """

    def __init__(self, part: Part, mean: Tensor, deviation: Tensor, device: torch.device) -> None:
        self.part, self.mean, self.deviation = part, mean.to(device), deviation.to(device)
        self.order = np.argsort(part.index)
        self.ascending = part.index[self.order]

    def of(self, batch: Batch) -> Tensor:
        """[B, D]: those of a batch's samples, which are all in the part."""
        rows = self.order[np.searchsorted(self.ascending, batch.index.cpu().numpy())]
        return (rows_of(self.part, rows).to(self.mean.device) - self.mean) / self.deviation


def confident_dv(positive: Tensor, negative: Tensor) -> tuple[float, float]:
    """The Donsker-Varadhan value in nats, and the upper end of its 95 % confidence interval.

    By the delta method: the variance is that of the scores, and of exp(score) relative to its mean, over n samples; marginal
    pairs of one sample count as one. The interval is for the critic as it is, which was trained on other samples.

    :param positive: [n] scores of joint pairs, one for each sample.
    :param negative: [n, K] scores of marginal pairs of each sample.
    """
    value, n = float(dv(positive, negative)), len(positive)
    weights = (negative - log_mean_exp(negative)).exp().mean(1)
    variance = float(positive.double().var() + weights.double().var()) / n
    return value, value + NORMAL_95 * math.sqrt(variance)


def median_scores(found: list[tuple[float, float]], name: str, limit: str) -> list[Score]:
    """The median restart's value with the spread over restarts, and its upper limit.

    :param found: value and upper limit of each restart.
    """
    several = len(found) > 1
    values = [value for value, _ in found]
    value, upper = sorted(found)[(len(found) - 1) // 2]
    return [
        Score(
            name=name,
            value=value,
            std=float(np.std(values, ddof=1)) if several else None,
            over="restarts" if several else None,
            n=len(found),
            selected={"restarts": values} if several else {},
        ),
        Score(name=limit, value=upper),
    ]
