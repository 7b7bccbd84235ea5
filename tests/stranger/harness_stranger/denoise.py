"""The objective `denoise` (Vincent et al. 2008, section 2.3), with Gaussian noise.

The encoder sees x + sigma * e with e ~ N(0, I), a linear decoder makes a vector of its feature "y", and the mean squared
difference from the clean x is minimised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from harness import Encoder, Items, Objective, ObjectiveContext, Phase, Step
from harness_stranger.spec import DenoiseOptions


class Denoise(Objective):
    """Reconstruct a vector from the representation of a noisy copy."""

    def __init__(self, encoder: Encoder, inputs: int, options: DenoiseOptions) -> None:
        super().__init__(encoder, sampling=Items())
        (latent,) = encoder.shape_of("y", "D")
        self.decoder = nn.Linear(latent, inputs)
        self.lr, self.noise = options.lr, options.noise

    def phases(self) -> Sequence[Phase]:
        """One phase, that trains the encoder and the decoder together."""
        return [Phase("denoise", self.parameters(), partial(torch.optim.Adam, lr=self.lr), self.reconstruction)]

    def reconstruction(self, step: Step) -> Mapping[str, Tensor]:
        """Mean squared error of the reconstruction, over the batch's samples and coordinates."""
        clean: Tensor = step.batch.values  # [B, D]
        # The noise comes from the step's generator, so that a run can be repeated and resumed to the bit.
        noise = torch.randn(clean.shape, generator=step.generator, device=clean.device)
        noisy = replace(step.batch, values=clean + self.noise * noise)
        restored = self.decoder(self.encoder(noisy)["y"])
        return {"loss": (restored - clean).square().mean()}

    def exports(self) -> Mapping[str, nn.Module]:
        """The decoder, so that a loaded run can `decode`."""
        return {"decoder": self.decoder}


def build_denoise(encoder: Encoder, context: ObjectiveContext, options: DenoiseOptions, generator: torch.Generator) -> Denoise:
    """The objective for vectors of the described length."""
    return Denoise(encoder, context.description.shape[0], options)
