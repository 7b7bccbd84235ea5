"""What the contrastive objectives share: local features place by place, and recognising a partner among those of a batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness import bounds


def places(local: Tensor) -> Tensor:
    """The vectors of a map, place by place: [B, C, H, W] -> [B, H W, C]. No copy where the map lies channels last."""
    return local.permute(0, 2, 3, 1).flatten(1, 2)


def cross_entropy(scores: Tensor) -> Tensor:
    """Mean softmax cross-entropy, in nats, of recognising one's own partner among N: ln N less the InfoNCE bound.

    ln N where all scores are equal. Computed in float32 or better.

    :param scores: [..., N, N]: of sample i (row) with the partner of sample j (column); the diagonal holds what belongs together.
    """
    n = scores.shape[-1]
    own = torch.eye(n, dtype=torch.bool, device=scores.device)
    positive = scores.diagonal(dim1=-2, dim2=-1).reshape(-1, 1)
    # A rival of score -inf is none: the row keeps its n columns, and the constant that counts them is taken off again.
    rivals = scores.masked_fill(own, -math.inf).reshape(-1, n)
    return math.log1p(n) - bounds.infonce(positive, rivals)


def recognised(predicted: Tensor, latents: Tensor) -> Tensor:
    """The cross-entropy, in nats, of recognising each of the latents [M, D] from its own prediction [M, D] by inner products."""
    with torch.autocast(predicted.device.type, enabled=False):  # scores are too large for the 8 bits of bf16
        return cross_entropy(predicted.float() @ latents.float().T)
