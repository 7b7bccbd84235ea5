"""What the baselines with a decoder share: the mirror decoder, its squared error, and samples of it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from harness import Encoder, ObjectiveContext, PluginError


def mirror_decoder(encoder: Encoder, context: ObjectiveContext, generator: torch.Generator, scale: float) -> nn.Module:
    """The encoder's mirror decoder, y [B, D] -> inputs [B, C, H, W], its widths times `scale`.

    Raises UnfitError for an encoder without a vector "y", PluginError when the core hands over no decoder.
    """
    encoder.shape_of("y", "D")
    if context.decoder is None:
        raise PluginError("harness_baselines", "this objective needs the encoder's mirror decoder.")
    return context.decoder(generator, scale)


def squared_error(x: Tensor, decoded: Tensor) -> Tensor:
    """||x - decoded||², summed over an input's pixels and channels, averaged over the batch: what every decoder here lowers.

    :param x: [B, C, H, W].
    :param decoded: the same shape, in any precision.
    """
    return (x - decoded.to(x.dtype)).square().sum() / len(x)


def standard_normal(n: int, latent: int, generator: torch.Generator) -> Tensor:
    """[n, latent] from N(0, I), on the generator's device."""
    return torch.randn(n, latent, generator=generator, device=generator.device)


class Sampler(nn.Module):
    """Draws inputs: decodes samples of the prior N(0, I). What a run exports as "generator"."""

    def __init__(self, decoder: nn.Module, latent: int) -> None:
        super().__init__()
        self.decoder, self.latent = decoder, latent

    def forward(self, n: int, generator: torch.Generator) -> Tensor:
        """[n, C, H, W]."""
        return cast(Tensor, self.decoder(standard_normal(n, self.latent, generator)))
