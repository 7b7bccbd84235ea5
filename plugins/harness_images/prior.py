"""Prior matching of Deep InfoMax: sigmoid(y) is made to look like uniform noise by an adversary.

Hjelm et al. 2019, section 3.3; network, losses and penalty as in rdevon/DIM.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import gradient_penalty


class PriorDiscriminator(nn.Sequential):
    """[N, D] in the unit cube -> [N, 1]: high for samples of the prior. No batch normalisation, so samples stay apart."""

    def __init__(self, latent: int) -> None:
        super().__init__(nn.Linear(latent, 1000), nn.ReLU(), nn.Linear(1000, 200), nn.ReLU(), nn.Linear(200, 1))


def discriminator_loss(discriminator: nn.Module, y: Tensor, penalty: float, generator: torch.Generator) -> dict[str, Tensor]:
    """The discriminator's loss: tell uniform noise from sigmoid(y), with a penalty on its gradient at either.

    -E log D(v) - E log(1 - D(sigmoid(y))) + penalty (½ E ||∇s(v)||² + ½ E ||∇s(sigmoid(y))||²), s the score, D its sigmoid.
    The gradients are taken sample by sample; rdevon/DIM takes them of the batch's last sample alone, 1/N of the penalty.

    :param y: [N, D] before the sigmoid; the encoder gets no gradient.
    """
    fake = y.detach().float().sigmoid()
    real = torch.rand(fake.shape, generator=generator, device=fake.device)
    both = torch.cat([real, fake]).requires_grad_(penalty > 0)
    scores = discriminator(both)
    on_real, on_fake = scores.float().chunk(2)
    loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
    terms = {"real": (on_real > 0).float().mean(), "fake": (on_fake < 0).float().mean()}
    if penalty > 0:
        terms["penalty"] = gradient_penalty(scores, [both])
        loss = loss + penalty * terms["penalty"]
    return {"loss": loss, **terms}


def fooling_loss(discriminator: nn.Module, y: Tensor) -> Tensor:
    """The encoder's loss: -E log D(sigmoid(y)), the non-saturating form. Lowering it *raises* the discriminator's score.

    :param y: [N, D] before the sigmoid.
    """
    return F.softplus(-discriminator(y.float().sigmoid()).float()).mean()
