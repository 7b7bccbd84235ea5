"""The penalty on a discriminator's gradient, shared by the adversarial objectives of every plugin."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def gradient_penalty(scores: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    """The mean over samples of ||∇ score||², the squared norm of each sample's own gradient at all `inputs` together.

    The discriminator must not mix samples (no batch normalisation): then the gradient of the sum of all scores holds every
    sample's own. Differentiable once more. Roth et al. 2017 and Mescheder et al. 2018 say why it steadies a GAN.

    :param scores: [N] or [N, 1], of the discriminator.
    :param inputs: [N, ...] each, what it read, with `requires_grad`.
    """
    gradients = torch.autograd.grad(scores.sum(), list(inputs), create_graph=True)
    norms = [gradient.square().flatten(start_dim=1).sum(dim=1) for gradient in gradients]
    return torch.stack(norms).sum(dim=0).mean()
