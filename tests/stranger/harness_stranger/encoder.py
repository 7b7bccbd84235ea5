"""The encoder `vector-mlp`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness import Description, Encoder, Vectors
from harness_stranger.spec import VectorMlpOptions


class VectorMlp(Encoder):
    """D inputs -> ReLU(hidden) -> y, linear."""

    def __init__(self, inputs: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, hidden)
        self.second = nn.Linear(hidden, latent)
        self.feature_shapes = {"y": (latent,), "hidden": (hidden,)}

    def forward(self, batch: Vectors) -> dict[str, Tensor]:
        """From values [B, D] to "y" [B, latent] and "hidden" [B, hidden]."""
        hidden = self.first(batch.values).relu()
        return {"y": self.second(hidden), "hidden": hidden}


def build_vector_mlp(description: Description, options: VectorMlpOptions, generator: torch.Generator) -> VectorMlp:
    """The encoder for vectors of the described length.

    The generator is for encoders that draw anything themselves; torch's own layers are seeded by the harness.
    """
    return VectorMlp(description.shape[0], options.hidden, options.latent)
