"""Pairs that are drawn anew whenever a batch is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from harness import Description, Epoch, Items, Pairs, Sampling, Source, UnfitError
from harness_information.laws import Law, TorchNoise

BLOCK = 256
"""Batches drawn together: one call of the generator costs about as much for one batch as for many."""


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
        if not isinstance(sampling, Items):
            raise UnfitError(f"Pairs cannot be drawn as {sampling.kind!r}; they are drawn as 'items'.")
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
