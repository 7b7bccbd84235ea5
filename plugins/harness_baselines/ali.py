"""The objective `ali`: adversarially learned inference, a BiGAN whose encoder gives a distribution.

Dumoulin, Belghazi, Poole, Mastropietro, Lamb, Arjovsky, Courville, "Adversarially Learned Inference" (2017): the code of x is a
sample of q(z|x) = N(mean(x), diag(sigma²(x))), drawn so that gradients reach both heads. The representation is the mean, y.

Sigma is a sigmoid, below 1. At the optimum the codes of all inputs together have the prior's variance, 1 = E[sigma²] + Var(mean),
so nothing that is sought needs more; and nothing else keeps it finite, for there is no KL term: far from the data the discriminator
is linear in z, and an encoder that lowers its score raises log sigma at a rate that grows with sigma itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import Encoder, ObjectiveContext
from harness_baselines.bigan import BiGAN, with_inference
from harness_baselines.posterior import GaussianPosterior, reparameterised
from harness_baselines.spec import BiGANOptions


class Inference(nn.Module):
    """From an encoder's features to a sample z [N, D] of q(z|x). Raises UnfitError for an encoder without "y" and "fc"."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.posterior = GaussianPosterior(encoder)

    def forward(self, features: Mapping[str, Tensor], generator: torch.Generator) -> Tensor:
        """The sample, drawn so that gradients reach both heads."""
        mean, before_sigmoid = self.posterior.moments(features)
        return reparameterised(mean, F.logsigmoid(before_sigmoid), generator)


def build(encoder: Encoder, context: ObjectiveContext, options: BiGANOptions, generator: torch.Generator) -> BiGAN:
    """The objective `ali`. Raises UnfitError for an encoder without "y" and "fc", or inputs that are not [C, H, W]."""
    return with_inference(encoder, context, options, generator, Inference(encoder))
