"""Plain vectors held in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.contracts.batches import Vectors
from harness.contracts.sources import Description, Epoch, Items, Sampling, Source
from harness.data.epochs import IndexEpoch, cannot_draw, in_order, members, shuffled, wrong_form
from harness.data.storage import content_sha256, fits


class VectorSource(Source[Vectors]):
    """Vectors, drawn as items. Batches carry float32.

    :param values: [N, D], any real type; kept in it.
    :param value_range: smallest and largest value an input can take, where known.
    :param index: [n] the samples that this source has; all by default. See `subset`.
    :raises UnfitError: when `values` has another form.
    """

    def __init__(self, values: Tensor, *, value_range: tuple[float, float] | None = None, index: Tensor | None = None) -> None:
        if values.ndim != 2 or values.is_complex():
            raise wrong_form("A vector source", "real values [N, D]", values)
        self._values = values
        self.index = torch.arange(values.shape[0], device=values.device) if index is None else index
        """[n] int64: the numbers of the samples this source has, ascending."""
        self.description = Description(kind="vectors", shape=(values.shape[1],), samples=values.shape[0], value_range=value_range)

    def __len__(self) -> int:
        return self.index.shape[0]

    def subset(self, index: Tensor | NDArray[np.int64]) -> VectorSource:
        """The samples with these numbers, in ascending order; they keep their numbers, and the values are shared.

        Raises UnfitError when a number is not in this source or occurs twice.
        """
        return VectorSource(self._values, value_range=self.description.value_range, index=members(index, self.index))

    def epoch(self, sampling: Sampling, batch_size: int, generator: torch.Generator) -> Epoch[Vectors]:
        """Single samples in random order; see `IndexEpoch` for the last batch."""
        if not isinstance(sampling, Items):
            raise cannot_draw("Vectors", sampling, "they are drawn as 'items'")
        return IndexEpoch(shuffled(self.index, generator), batch_size, self._gather)

    def in_order(self, batch_size: int) -> Iterator[Vectors]:
        """Every sample once, in ascending order of its number."""
        return in_order(self.index, batch_size, self._gather)

    def to(self, device: torch.device | str) -> VectorSource:
        """The same source on `device`; itself where its values would take more than half of what is free there."""
        if not fits(device, self._values):
            return self
        return VectorSource(self._values.to(device), value_range=self.description.value_range, index=self.index.to(device))

    def content_sha256(self) -> str:
        """Digest of type, shape and bytes of this source's samples."""
        return content_sha256([self._values], self.index)

    def _gather(self, index: Tensor) -> Vectors:
        return Vectors(index=index, values=self._values[index].float())
