"""Pairs of a feature and the image it came from, gathered batch by batch: a feature may be a memory-mapped array of gigabytes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness import EvaluationError, Images, Part, Source

BLOCK = 1 << 24
"""Values of features and images that are gathered together."""


class FeatureImagePairs:
    """The samples of one part as pairs of batches (features [B, ...], pixels [B, C, H, W]), float32 on a device.

    Images are taken as they were represented, without the random views of an epoch.
    """

    def __init__(self, part: Part, inputs: Source[Any], device: torch.device) -> None:
        self.part, self.inputs, self.device = part, inputs, device
        values = math.prod(part.features.shape[1:]) + math.prod(inputs.description.shape)
        self.together = max(1, BLOCK // values)

    def __len__(self) -> int:
        return len(self.part)

    def shuffled(self, batch_size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Every sample once in random order; a single one left over is not drawn, since batch normalisation needs two."""
        order = torch.randperm(len(self), generator=generator, device=generator.device).cpu().numpy()
        return (pair for pair in self._batches(order, batch_size) if len(pair[0]) > 1)

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every sample once, as the part has them."""
        return self._batches(np.arange(len(self)), batch_size)

    def _batches(self, rows: NDArray[np.int64], batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        together = max(1, self.together // batch_size) * batch_size
        for start in range(0, len(rows), together):
            yield from self._gather(rows[start : start + together], batch_size)

    def _gather(self, rows: NDArray[np.int64], batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of these rows of the part. They are read in the order of their numbers, as a source gives them."""
        ascending = np.argsort(self.part.index[rows])
        features = torch.from_numpy(self.part.features[rows[ascending]].astype(np.float32, copy=False)).to(self.device)
        found = self.inputs.subset(self.part.index[rows]).in_order(len(rows))
        pixels = torch.cat([_pixels(batch) for batch in found]).to(self.device)
        places = torch.from_numpy(np.argsort(ascending)).to(self.device)
        return ((features[chosen], pixels[chosen]) for chosen in torch.split(places, batch_size))


def _pixels(batch: Any) -> Tensor:
    if not isinstance(batch, Images):
        raise EvaluationError(f"reconstruction compares images, and the inputs of this data set come as {type(batch).__name__}.")
    return batch.pixels
