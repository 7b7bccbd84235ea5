"""Pairs of two variables held in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.contracts.batches import Pairs
from harness.contracts.sources import Description, Epoch, Items, Sampling, Source
from harness.data.epochs import IndexEpoch, cannot_draw, members, shuffled
from harness.data.storage import content_sha256, fits
from harness.errors import UnfitError


class PairSource(Source[Pairs]):
    """Pairs, drawn as items in full batches: estimates of information depend on a batch's size.

    :param x: [N, ...] and `y` [N, ...] float32.
    :param index: [n] the pairs that this source has; all by default. See `subset`.
    :raises UnfitError: when there are not as many of one as of the other.
    """

    def __init__(self, x: Tensor, y: Tensor, *, index: Tensor | None = None) -> None:
        if len(x) != len(y):
            raise UnfitError(f"Pairs need as many x as y; these are {len(x)} and {len(y)}.")
        self._x, self._y = x, y
        self.index = torch.arange(len(x), device=x.device) if index is None else index
        """[n] int64: the numbers of the pairs this source has, ascending."""
        self.description = Description(kind="pairs", shape=(x[0].numel(), y[0].numel()), samples=len(x))

    def __len__(self) -> int:
        return len(self.index)

    def subset(self, index: Tensor | NDArray[np.int64]) -> PairSource:
        """The pairs with these numbers, in ascending order; they keep their numbers, and the values are shared.

        Raises UnfitError when a number is not in this source or occurs twice.
        """
        return PairSource(self._x, self._y, index=members(index, self.index))

    def epoch(self, sampling: Sampling, batch_size: int, generator: torch.Generator) -> Epoch[Pairs]:
        """Pairs in random order; those left over from full batches are not in this epoch.

        Raises UnfitError when there are fewer pairs than a batch has.
        """
        if not isinstance(sampling, Items):
            raise cannot_draw("Pairs", sampling, "they are drawn as 'items'")
        if len(self) < batch_size:
            raise UnfitError(f"A batch of {batch_size} pairs is more than the {len(self)} there are; lower train.batch_size.")
        return IndexEpoch(shuffled(self.index, generator)[: len(self) - len(self) % batch_size], batch_size, self._gather)

    def in_order(self, batch_size: int) -> Iterator[Pairs]:
        """Every pair once, in ascending order of its number; in batches of about one size, so that none has too few pairs."""
        return (self._gather(rows) for rows in torch.tensor_split(self.index, -(-len(self) // batch_size)))

    def to(self, device: torch.device | str) -> PairSource:
        """The same source on `device`; itself where its values would take more than half of what is free there."""
        if not fits(device, self._x, self._y):
            return self
        return PairSource(self._x.to(device), self._y.to(device), index=self.index.to(device))

    def content_sha256(self) -> str:
        """Digest of type, shape and bytes of this source's pairs."""
        return content_sha256([self._x, self._y], self.index)

    def _gather(self, index: Tensor) -> Pairs:
        return Pairs(index=index, x=self._x[index], y=self._y[index])
