"""Encoders that learn nothing: the input itself, and a constant."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from harness import Batch, Description, Encoder, FramePairs, Graph, Images, Options, Pairs, SparseMatrix, UnfitError, Vectors


class Identity(Encoder):
    """Offers "input" [B, D]: each sample's input as one vector of D numbers."""

    def __init__(self, description: Description) -> None:
        super().__init__()
        # Of pairs the shape is (dimensions of x, dimensions of y), and x is the input that y is known of.
        self.feature_shapes = {"input": (description.shape[1] if description.kind == "pairs" else math.prod(description.shape),)}

    def forward(self, batch: Any) -> dict[str, Tensor]:
        """Vectors and images flattened, nodes' features (made dense), the first frame of two, "y" of a pair of variables.

        Raises UnfitError for a batch of any other kind.
        """
        return {"input": _input(batch).flatten(start_dim=1)}


class Constant(Encoder):
    """Offers "constant" [B, 1]: ones."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_shapes = {"constant": (1,)}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Ones, one for each sample."""
        return {"constant": torch.ones(len(batch), 1, device=batch.index.device)}


def build_identity(description: Description, options: Options, generator: torch.Generator) -> Identity:
    """The encoder `identity`."""
    return Identity(description)


def build_constant(description: Description, options: Options, generator: torch.Generator) -> Constant:
    """The encoder `constant`."""
    return Constant()


def _input(batch: Any) -> Tensor:
    match batch:
        case Vectors():
            return batch.values
        case Images():
            return batch.pixels
        case Pairs():
            return batch.y
        case FramePairs():
            return batch.first
        case Graph():
            return batch.x.to_dense() if isinstance(batch.x, SparseMatrix) else batch.x
    kind = type(batch).__name__
    raise UnfitError(f"The encoder identity cannot flatten a {kind}; it reads vectors, images, frames, pairs and graphs.")
