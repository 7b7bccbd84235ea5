"""The objective `vae`: the variational autoencoder, with a weight on its KL term.

Kingma and Welling, "Auto-Encoding Variational Bayes" (2014); with beta > 1 Higgins et al., "beta-VAE" (2017). Minimised is

    E ||x - decoder(z)||²  +  beta · E KL(q(z|x) ‖ N(0, I)),      z = mean(x) + sigma(x) · noise,

both summed over dimensions and averaged over the batch. The squared error without a factor is a Gaussian decoder of variance ½;
another variance s² is beta = 2 s². The representation is the mean, the encoder's own y.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from harness import Encoder, Items, Objective, ObjectiveContext, Phase, Step
from harness_baselines.decoding import Sampler, mirror_decoder, squared_error
from harness_baselines.posterior import GaussianPosterior, kl_from_standard_normal, reparameterised
from harness_baselines.spec import VAEOptions

UNUSED = 0.01
"""Nats under which a dimension of z carries nothing."""


class VAE(Objective):
    """An encoder with a head for log sigma, and a decoder of z."""

    def __init__(self, encoder: Encoder, decoder: nn.Module, options: VAEOptions) -> None:
        super().__init__(encoder, sampling=Items())
        self.decoder, self.options = decoder, options
        self.posterior = GaussianPosterior(encoder)

    def phases(self) -> Sequence[Phase]:
        """One: all networks together."""
        adam = partial(torch.optim.Adam, lr=self.options.lr, betas=(0.5, 0.999), fused=True)
        return [Phase("elbo", self.parameters(), adam, self.negative_elbo)]

    def negative_elbo(self, step: Step) -> Mapping[str, Tensor]:
        """The loss with its two parts, and how many dimensions of z are unused."""
        mean, log_deviation = self.posterior.moments(self.encoder(step.batch))
        z = reparameterised(mean, log_deviation, step.generator)
        error = squared_error(step.batch.pixels, self.decoder(z))
        kl = kl_from_standard_normal(mean, log_deviation).mean(dim=0)  # [D]
        return {
            "loss": error + self.options.beta * kl.sum(),
            "squared error": error,
            "kl": kl.sum(),
            "unused dimensions": (kl < UNUSED).float().sum(),
        }

    def exports(self) -> Mapping[str, nn.Module]:
        """The decoder, and samples of it."""
        (latent,) = self.encoder.shape_of("y", "D")
        return {"decoder": self.decoder, "generator": Sampler(self.decoder, latent)}


def build(encoder: Encoder, context: ObjectiveContext, options: VAEOptions, generator: torch.Generator) -> VAE:
    """The objective `vae`. Raises UnfitError for an encoder without a vector "y" and a hidden layer "fc"."""
    return VAE(encoder, mirror_decoder(encoder, context, generator, options.decoder_scale), options)
