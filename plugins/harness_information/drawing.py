"""Sources of pairs: those held in memory, and those drawn anew whenever a batch is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness import Description, Epoch, Items, Pairs, Sampling, Source, UnfitError
from harness_information.laws import Law, TorchNoise

BLOCK = 256
"""Batches drawn together: one call of the generator costs about as much for one batch as for many."""


class PairSource(Source[Pairs]):
    """Pairs held in memory, drawn as items.

    :param x: [N, ...] and `y` [N, ...] float32.
    :param index: [n] the samples that this source has, ascending; all by default.
    :raises UnfitError: when they have not as many rows.
    """

    def __init__(self, x: Tensor, y: Tensor, index: Tensor | None = None) -> None:
        if len(x) != len(y):
            raise UnfitError(f"Pairs need as many x as y; these are {len(x)} and {len(y)}.")
        self._x, self._y = x, y
        self.index = torch.arange(len(x), device=x.device) if index is None else index
        self.description = Description(kind="pairs", shape=(x[0].numel(), y[0].numel()), samples=len(x))

    def subset(self, index: Tensor | NDArray[np.int64]) -> PairSource:
        """The pairs with these numbers, in ascending order. Raises UnfitError when one is not held or occurs twice."""
        chosen = torch.as_tensor(index, device=self.index.device).long().sort().values
        if bool((chosen.diff() == 0).any()) or not bool(torch.isin(chosen, self.index).all()):
            raise UnfitError(
                "A subset names pairs twice or that the source does not have; pass numbers out of its own index, each once."
            )
        return PairSource(self._x, self._y, chosen)

    def epoch(self, sampling: Sampling, batch_size: int, generator: torch.Generator) -> Epoch[Pairs]:
        """Every pair once in random order, those left over from full batches not in this epoch: estimates are of full batches."""
        _require_items(sampling)
        order = self.index[torch.randperm(len(self.index), generator=generator, device=generator.device).to(self.index.device)]
        return _HeldEpoch(self, order, batch_size)

    def in_order(self, batch_size: int) -> Iterator[Pairs]:
        """Every pair once, in ascending order of its number; in batches of one size, since a critic needs enough pairs in each."""
        return (self.gather(rows) for rows in torch.tensor_split(self.index, -(-len(self.index) // batch_size)))

    def to(self, device: torch.device | str) -> PairSource:
        """The same source on `device`."""
        return PairSource(self._x.to(device), self._y.to(device), self.index.to(device))

    def content_sha256(self) -> str:
        """Digest of the pairs."""
        digest = hashlib.sha256()
        for part in (self._x, self._y):
            digest.update(f"{part.dtype}{tuple(part.shape)}".encode())
            digest.update(part[self.index].cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def gather(self, index: Tensor) -> Pairs:
        """The pairs with these numbers [B]."""
        return Pairs(index=index, x=self._x[index], y=self._y[index])


class _HeldEpoch(Epoch[Pairs]):
    def __init__(self, source: PairSource, order: Tensor, batch_size: int) -> None:
        if len(order) < batch_size:
            raise UnfitError(f"A batch of {batch_size} pairs is more than the {len(order)} there are; lower train.batch_size.")
        self._source, self._order, self._batch_size = source, order, batch_size

    def __len__(self) -> int:
        return len(self._order) // self._batch_size

    def __getitem__(self, position: int) -> Pairs:
        if not 0 <= position < len(self):
            raise IndexError(position)
        return self._source.gather(self._order[position * self._batch_size : (position + 1) * self._batch_size])


class FreshPairs(Source[Pairs]):
    """Pairs drawn from laws, never the same twice: an epoch goes from law to law, `steps` batches of each.

    :param laws: of equal dimensions.
    :param steps: batches of each law in an epoch; None: as many as `samples` pairs fill, at least one.
    :param samples: pairs of each law in an epoch where `steps` is None.
    :param first: the number that the first pair has: that of pairs that are judged, so that no two are alike.
    """

    def __init__(self, laws: Sequence[Law], *, first: int, steps: int | None = None, samples: int = 0) -> None:
        self.laws, self.first, self.steps, self.samples = tuple(laws), first, steps, samples
        self.description = Description(kind="pairs", shape=(laws[0].x_dims, laws[0].y_dims), samples=first)

    def epoch(self, sampling: Sampling, batch_size: int, generator: torch.Generator) -> Epoch[Pairs]:
        """Fresh pairs; the generator is asked for one seed, from which batch number p is drawn whenever it is asked for."""
        _require_items(sampling)
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        return FreshEpoch(self.laws, self.steps or max(1, self.samples // batch_size), batch_size, seed, self.first)

    def in_order(self, batch_size: int) -> Iterator[Pairs]:
        """Refused: there is no end of them."""
        raise UnfitError("Fresh pairs have no order; represent the pairs that are held.")

    def to(self, device: torch.device | str) -> FreshPairs:
        """Itself: pairs are drawn on the CPU and moved batch by batch, so that every device sees the same."""
        return self

    def content_sha256(self) -> str:
        """Digest of nothing but their number: what is drawn is no content."""
        return hashlib.sha256(f"fresh pairs of {len(self.laws)} laws".encode()).hexdigest()


class FreshEpoch(Epoch[Pairs]):
    """`steps` batches of each law, drawn block by block from one seed: the same batch whenever its number is asked for."""

    def __init__(self, laws: Sequence[Law], steps: int, batch_size: int, seed: int, first: int) -> None:
        self._laws, self._steps, self._batch_size, self._seed, self._first = laws, steps, batch_size, seed, first
        self._block: tuple[tuple[int, int] | None, Any] = (None, None)

    def __len__(self) -> int:
        return len(self._laws) * self._steps

    def __getitem__(self, position: int) -> Pairs:
        """Batch number `position`, of law `position // steps`."""
        if not 0 <= position < len(self):
            raise IndexError(position)
        level, step = divmod(position, self._steps)
        block, place = divmod(step, BLOCK)
        if self._block[0] != (level, block):
            self._block = ((level, block), self._drawn(level, block))
        x, y = self._block[1]
        rows = slice(place * self._batch_size, (place + 1) * self._batch_size)
        start = self._first + position * self._batch_size
        return Pairs(index=torch.arange(start, start + self._batch_size), x=x[rows], y=y[rows])

    def _drawn(self, level: int, block: int) -> tuple[Tensor, Tensor]:
        batches = min(BLOCK, self._steps - block * BLOCK)
        digest = hashlib.sha256(f"{self._seed}/{level}/{block}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        return self._laws[level].draw(batches * self._batch_size, TorchNoise(generator))


def _require_items(sampling: Sampling) -> None:
    if not isinstance(sampling, Items):
        raise UnfitError(f"Pairs cannot be drawn as {sampling.kind!r}; they are drawn as 'items'.")
