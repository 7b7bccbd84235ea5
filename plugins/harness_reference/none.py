"""The objective `none`: no training."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from harness import Encoder, Items, Objective, ObjectiveContext, Options, Phase


class NoTraining(Objective):
    """Has no phases, so the encoder stays as it was initialised."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder, sampling=Items())  # never drawn: there is no phase to draw for

    def phases(self) -> Sequence[Phase]:
        """None."""
        return []


def build(encoder: Encoder, context: ObjectiveContext, options: Options, generator: torch.Generator) -> NoTraining:
    """The objective `none`."""
    return NoTraining(encoder)
