"""The objective `denoising-autoencoder`: reconstruct the clean input from y of a corrupted one.

Vincent, Larochelle, Bengio, Manzagol, "Extracting and composing robust features with denoising autoencoders" (2008), and their
journal paper of 2010 for the corruptions. Without noise it is the autoencoder, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from harness import Encoder, Items, Objective, ObjectiveContext, Phase, Step
from harness_baselines.decoding import mirror_decoder, squared_error
from harness_baselines.spec import DenoisingOptions


class DenoisingAutoencoder(Objective):
    """An encoder that sees corrupted inputs, and a decoder from its feature "y" to the clean ones.

    :param value_range: of the data, whose ends are the salt and the pepper.
    """

    def __init__(
        self, encoder: Encoder, decoder: nn.Module, value_range: tuple[float, float] | None, options: DenoisingOptions
    ) -> None:
        super().__init__(encoder, sampling=Items())
        self.decoder, self.value_range, self.options = decoder, value_range or (-1.0, 1.0), options

    def phases(self) -> Sequence[Phase]:
        """One: encoder and decoder together."""
        adam = partial(torch.optim.Adam, lr=self.options.lr, betas=(0.5, 0.999), fused=True)
        return [Phase("reconstruct", self.parameters(), adam, self.reconstruction)]

    def reconstruction(self, step: Step) -> Mapping[str, Tensor]:
        """The squared error between the clean input and the decoded y of the corrupted one."""
        x = step.batch.pixels
        corrupted = replace(step.batch, pixels=self.corrupt(x, step.generator))
        return {"loss": squared_error(x, self.decoder(self.encoder(corrupted)["y"]))}

    def corrupt(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """`x` [B, C, H, W] with the noise that the options name."""
        noise = self.options.noise
        if noise == 0:
            return x
        if self.options.corruption == "gaussian":
            return x + noise * torch.randn(x.shape, generator=generator, device=x.device)
        if self.options.corruption == "masking":
            return mask(x, noise, generator)
        return salt_and_pepper(x, noise, self.value_range, generator)

    def exports(self) -> Mapping[str, nn.Module]:
        """The decoder."""
        return {"decoder": self.decoder}


def mask(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Each pixel of `x` [B, C, H, W] becomes 0 in all channels with probability `share`."""
    kept = torch.rand(len(x), 1, *x.shape[2:], generator=generator, device=x.device) >= share
    return x * kept


def salt_and_pepper(x: Tensor, share: float, value_range: tuple[float, float], generator: torch.Generator) -> Tensor:
    """Each pixel of `x` [B, C, H, W] becomes, with probability `share`, the lowest or the highest value, either as likely."""
    low, high = value_range
    draw = torch.rand(len(x), 1, *x.shape[2:], generator=generator, device=x.device)
    return torch.where(draw < share / 2, low, torch.where(draw < share, high, x))


def build(
    encoder: Encoder, context: ObjectiveContext, options: DenoisingOptions, generator: torch.Generator
) -> DenoisingAutoencoder:
    """The objective `denoising-autoencoder`. Raises UnfitError for an encoder without a vector "y"."""
    return DenoisingAutoencoder(
        encoder, mirror_decoder(encoder, context, generator, options.decoder_scale), context.description.value_range, options
    )
