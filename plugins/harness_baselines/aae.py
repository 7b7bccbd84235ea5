"""The objective `aae`: the adversarial autoencoder.

Makhzani, Shlens, Jaitly, Goodfellow, Frey, "Adversarial Autoencoders" (2015), in the form of the authors of Deep InfoMax: a
deterministic encoder, whose y a discriminator tells from samples of N(0, I) while the encoder, besides reconstructing, makes them
alike. In every step the discriminator is updated first, on a batch of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import Encoder, Items, Objective, ObjectiveContext, Phase, Step, bounds, gradient_penalty
from harness_baselines.decoding import Sampler, mirror_decoder, squared_error, standard_normal
from harness_baselines.spec import AAEOptions


class LatentDiscriminator(nn.Sequential):
    """[N, D] -> [N, 1]: high for samples of the prior. No batch normalisation, so samples stay apart."""

    def __init__(self, latent: int, units: int = 200) -> None:
        super().__init__(nn.Linear(latent, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(), nn.Linear(units, 1))


class AdversarialAutoencoder(Objective):
    """Encoder, decoder, and the discriminator of y."""

    def __init__(self, encoder: Encoder, decoder: nn.Module, options: AAEOptions) -> None:
        super().__init__(encoder, sampling=Items(), watch="reconstruct/squared error")
        self.decoder, self.options = decoder, options
        (self.latent,) = encoder.shape_of("y", "D")
        self.discriminator = LatentDiscriminator(self.latent)

    def phases(self) -> Sequence[Phase]:
        """The discriminator, on a fresh batch; then encoder and decoder."""
        adam = partial(torch.optim.Adam, lr=self.options.lr, betas=(0.5, 0.999), fused=True)
        coders = [*self.encoder.parameters(), *self.decoder.parameters()]
        return [
            Phase("discriminate", self.discriminator.parameters(), adam, self.discrimination, fresh_batch=True),
            Phase("reconstruct", coders, adam, self.reconstruction),
        ]

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # the penalty differentiates twice, which compiled code does not
    def discrimination(self, step: Step) -> Mapping[str, Tensor]:
        """Tell samples of the prior from y: minus the GAN's value, with the penalty on the gradient at either."""
        with torch.no_grad():
            y = self.encoder(step.batch)["y"].float()
        both = torch.cat([standard_normal(len(y), self.latent, step.generator), y]).requires_grad_()
        scores = self.discriminator(both)
        on_prior, on_y = scores.chunk(2)
        value, penalty = bounds.gan(on_prior, on_y), gradient_penalty(scores, [both])
        return {"loss": self.options.penalty * penalty - value, "value": value, "penalty": penalty}

    def reconstruction(self, step: Step) -> Mapping[str, Tensor]:
        """The squared error, and the encoder's wish that the discriminator take its y for samples: -E log D(y)."""
        y = self.encoder(step.batch)["y"]
        error = squared_error(step.batch.pixels, self.decoder(y))
        prior = F.softplus(-self.discriminator(y).float()).mean()
        return {"loss": error + self.options.weight * prior, "squared error": error, "prior": prior}

    def exports(self) -> Mapping[str, nn.Module]:
        """The decoder, and samples of it."""
        return {"decoder": self.decoder, "generator": Sampler(self.decoder, self.latent)}


def build(encoder: Encoder, context: ObjectiveContext, options: AAEOptions, generator: torch.Generator) -> AdversarialAutoencoder:
    """The objective `aae`. Raises UnfitError for an encoder without a vector "y"."""
    return AdversarialAutoencoder(encoder, mirror_decoder(encoder, context, generator, options.decoder_scale), options)
