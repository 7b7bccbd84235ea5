"""The objective `ali`: adversarially learned inference, a BiGAN whose encoder gives a distribution.

Dumoulin, Belghazi, Poole, Mastropietro, Lamb, Arjovsky, Courville, "Adversarially Learned Inference" (2017): the code of x is a
sample of q(z|x) = N(mean(x), diag(sigma²(x))), drawn so that gradients reach both heads. The representation is the mean, y.
"""

from __future__ import annotations

import torch

from harness import Encoder, ObjectiveContext
from harness_baselines.bigan import BiGAN, with_inference
from harness_baselines.posterior import GaussianPosterior
from harness_baselines.spec import BiGANOptions


def build(encoder: Encoder, context: ObjectiveContext, options: BiGANOptions, generator: torch.Generator) -> BiGAN:
    """The objective `ali`. Raises UnfitError for an encoder without "y" and "fc", or inputs that are not [C, H, W]."""
    return with_inference(encoder, context, options, generator, GaussianPosterior(encoder))
