"""The objective `global-t-dim`: ST-DIM without places, the ablation of Anand, Racah et al. (2019).

The global vector y_{t-1} is to be recognised among those of the batch from that of the next frame: <W y_t^i + b, y_{t-1}^j>,
softmax cross-entropy over j with target i. A clock is all that it needs to know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from harness import Encoder, Objective, ObjectiveContext, Phase, Step, TimePairs
from harness_atari.contrast import recognised
from harness_atari.spec_objectives import GlobalTDIMOptions


class GlobalTemporalDIM(Objective):
    """The encoder with one linear map."""

    def __init__(self, encoder: Encoder, options: GlobalTDIMOptions) -> None:
        super().__init__(encoder, sampling=TimePairs(offset=options.offset))
        self.options = options
        (latent,) = encoder.shape_of("y", "D")
        self.predict = nn.Linear(latent, latent)

    def phases(self) -> Sequence[Phase]:
        """One: encoder and linear map together."""
        adam = partial(torch.optim.Adam, lr=self.options.lr, eps=1e-5, fused=True)
        return [Phase("recognise", self.parameters(), adam, self.recognition)]

    def recognition(self, step: Step) -> Mapping[str, Tensor]:
        """The cross-entropy in nats, ln B for an encoder that knows nothing."""
        earlier, later = self.encoder(step.batch.images())["y"].chunk(2)
        return {"loss": recognised(self.predict(later), earlier)}


def build(encoder: Encoder, context: ObjectiveContext, options: GlobalTDIMOptions, generator: torch.Generator) -> GlobalTemporalDIM:
    """The objective `global-t-dim`. Raises UnfitError for an encoder without a vector "y"."""
    return GlobalTemporalDIM(encoder, options)
