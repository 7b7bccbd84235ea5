"""Lower bounds on mutual information as pure functions of critic scores, shared by objectives and evaluators of every track."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def jsd_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """Loss of the Jensen-Shannon estimator: ½ E[softplus(-positive)] + ½ E[softplus(negative)].

    With as many positives as negatives this is the binary cross-entropy of Deep Graph Infomax (Veličković et al. 2019, eq. 1)
    averaged over both. ln 2 when the critic knows nothing; 0 is its infimum.

    :param positive: scores of joint pairs, any shape.
    :param negative: scores of marginal pairs, any shape.
    """
    return 0.5 * (F.softplus(-positive).mean() + F.softplus(negative).mean())
