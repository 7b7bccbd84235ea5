"""The objective `autoencoder`: reconstruct the image from y.

Loss: squared error summed over pixels and channels, averaged over the batch, as in the baselines of Hjelm et al. (2019). Up to
constants it is the negative log-likelihood of a Gaussian decoder of variance 1/2, so lowering it raises a lower bound on I(X; Y).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from harness import Encoder, Items, Objective, ObjectiveContext, Phase, PluginError, Step
from harness_images.spec_autoencoder import AutoencoderOptions


class Autoencoder(Objective):
    """An encoder and a decoder from its feature "y" back to the image."""

    def __init__(self, encoder: Encoder, decoder: nn.Module, lr: float) -> None:
        super().__init__(encoder, sampling=Items())
        self.decoder, self.lr = decoder, lr

    def phases(self) -> Sequence[Phase]:
        """One: encoder and decoder together."""
        adam = partial(torch.optim.Adam, lr=self.lr, betas=(0.5, 0.999))
        return [Phase("reconstruct", self.parameters(), adam, self.reconstruction)]

    def reconstruction(self, step: Step) -> Mapping[str, Tensor]:
        """The mean over images of ||x - decoder(y)||²."""
        x = step.batch.pixels
        error = x - self.decoder(self.encoder(step.batch)["y"])
        return {"loss": error.square().sum() / len(x)}

    def exports(self) -> Mapping[str, nn.Module]:
        """The decoder, which a loaded run offers as `decode`."""
        return {"decoder": self.decoder}


def build(encoder: Encoder, context: ObjectiveContext, options: AutoencoderOptions, generator: torch.Generator) -> Autoencoder:
    """The objective `autoencoder`. Raises PluginError when the core hands over no decoder."""
    if context.decoder is None:
        raise PluginError("harness_images", "the objective autoencoder needs the encoder's mirror decoder.")
    return Autoencoder(encoder, context.decoder(generator), options.lr)
