"""The objective `pixel-pred`: predict the next frame pixel by pixel, without knowing the action.

The generative model that Anand, Racah et al. (2019) compare ST-DIM with: a linear map of y_t is decoded to x_{t+1}. The loss is the
squared error averaged over frames, channels and pixels. Large things that can be foreseen matter to it, small ones hardly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import Encoder, Images, Objective, ObjectiveContext, Phase, PluginError, Step, TimePairs
from harness_atari.spec_objectives import PixelPredOptions


class PixelPrediction(Objective):
    """The encoder, a linear map of y, and a decoder of it."""

    def __init__(self, encoder: Encoder, decoder: nn.Module, options: PixelPredOptions) -> None:
        super().__init__(encoder, sampling=TimePairs(offset=options.offset))
        self.options = options
        (latent,) = encoder.shape_of("y", "D")
        self.advance = nn.Linear(latent, latent)
        self.decoder = decoder

    def phases(self) -> Sequence[Phase]:
        """One: all networks together."""
        adam = partial(torch.optim.Adam, lr=self.options.lr, eps=1e-5, fused=True)
        return [Phase("predict", self.parameters(), adam, self.prediction)]

    def prediction(self, step: Step) -> Mapping[str, Tensor]:
        """The mean squared error of the predicted pixels. Only the earlier frame is encoded."""
        batch = step.batch
        y = self.encoder(Images(index=batch.index, pixels=batch.first))["y"]
        return {"loss": F.mse_loss(self.decoder(self.advance(y)).to(batch.second.dtype), batch.second)}

    def exports(self) -> Mapping[str, nn.Module]:
        """What decodes y: to the frame after the one it is of."""
        return {"decoder": nn.Sequential(self.advance, self.decoder)}


def build(encoder: Encoder, context: ObjectiveContext, options: PixelPredOptions, generator: torch.Generator) -> PixelPrediction:
    """The objective `pixel-pred`.

    Raises UnfitError for an encoder without a vector "y", PluginError when the core hands over no decoder.
    """
    encoder.shape_of("y", "D")
    if context.decoder is None:
        raise PluginError("harness_atari", "pixel-pred needs the encoder's mirror decoder.")
    return PixelPrediction(encoder, context.decoder(generator, options.decoder_scale), options)
