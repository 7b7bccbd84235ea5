"""The objective `autoencoder`: reconstruct the input from y.

Up to constants the squared error is the negative log-likelihood of a Gaussian decoder of variance ½, so lowering it raises a lower
bound on I(X; Y).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from harness import Encoder, Items, Objective, ObjectiveContext, Phase, Step
from harness_baselines.decoding import mirror_decoder, squared_error
from harness_baselines.spec import AutoencoderOptions


class Autoencoder(Objective):
    """An encoder, and a decoder from its feature "y" back to the input."""

    def __init__(self, encoder: Encoder, decoder: nn.Module, lr: float) -> None:
        super().__init__(encoder, sampling=Items())
        self.decoder, self.lr = decoder, lr

    def phases(self) -> Sequence[Phase]:
        """One: encoder and decoder together."""
        adam = partial(torch.optim.Adam, lr=self.lr, betas=(0.5, 0.999), fused=True)
        return [Phase("reconstruct", self.parameters(), adam, self.reconstruction)]

    def reconstruction(self, step: Step) -> Mapping[str, Tensor]:
        """The squared error of the decoded y."""
        return {"loss": squared_error(step.batch.pixels, self.decoder(self.encoder(step.batch)["y"]))}

    def exports(self) -> Mapping[str, nn.Module]:
        """The decoder."""
        return {"decoder": self.decoder}


def build(encoder: Encoder, context: ObjectiveContext, options: AutoencoderOptions, generator: torch.Generator) -> Autoencoder:
    """The objective `autoencoder`. Raises UnfitError for an encoder without a vector "y"."""
    return Autoencoder(encoder, mirror_decoder(encoder, context, generator, options.decoder_scale), options.lr)
