"""Frames drawn as the code of Anand, Racah, Ozair, Bengio, Côté, Hjelm (2019) draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from harness import (
    Epoch,
    FramePairs,
    FrameSequences,
    FrameSource,
    Images,
    Items,
    Sampling,
    Sequences,
    Source,
    TimePairs,
    UnfitError,
)
from harness_atari.episode_draws import below, draw_places

FrameBatch = Images | FramePairs | FrameSequences


class LegacyFrames(Source[FrameBatch]):
    """Frames of whole episodes, drawn as the code of the paper draws them: with replacement, short episodes more often.

    An epoch has as many draws as there are frames, each a random frame of a random episode; of runs as many as there are long
    enough episodes times their length, each at a random place of a random one of these. The last batch is left out where it is not
    full. The frame before the first of an episode is its last one.

    atariari/methods/stdim.py, jsd_stdim.py, vae.py and cpc.py of Anand, Racah, Ozair, Bengio, Côté, Hjelm (2019).

    :param frames: the frames, of which it has all of an episode or none.
    """

    def __init__(self, frames: FrameSource) -> None:
        self._frames = frames
        self.description = frames.description
        first = frames.description.samples - len(frames.episodes)
        _, lengths = torch.unique_consecutive(frames.episodes[frames.index - first], return_counts=True)
        self._lengths = lengths.cpu()
        self._starts = frames.index.cpu()[self._lengths.cumsum(0) - self._lengths]

    @property
    def index(self) -> Tensor:
        """[n] int64: the numbers of the frames this source has, ascending."""
        return self._frames.index

    @property
    def episodes(self) -> Tensor:
        """[T] int64: the episode of each frame, whether this source has it or not."""
        return self._frames.episodes

    def __len__(self) -> int:
        return len(self._frames)

    def subset(self, index: Any) -> LegacyFrames:
        """The frames with these numbers, in ascending order; see `FrameSource.subset`."""
        return LegacyFrames(self._frames.subset(index))

    def epoch(self, sampling: Sampling, batch_size: int, generator: torch.Generator) -> Epoch[FrameBatch]:
        """One epoch of full batches. Raises UnfitError when there is not one, or for another sampling."""
        match sampling:
            case Items():
                _, number = self._draw(len(self), self._lengths, generator)
                return _FullBatches(number, batch_size, self._items)
            case TimePairs(offset=offset, other=other):
                return self._pairs(offset, other, batch_size, generator)
            case Sequences(length=length):
                return self._runs(length, batch_size, generator)
        raise UnfitError(f"Frames cannot be drawn as {sampling.kind!r}; they are drawn as 'items', 'pairs' or 'sequences'.")

    def in_order(self, batch_size: int) -> Iterator[Images]:
        """Every frame once, in the order of time."""
        return self._frames.in_order(batch_size)

    def to(self, device: torch.device | str) -> LegacyFrames:
        """The same source on `device`; itself where its frames would take more than half of what is free there."""
        moved = self._frames.to(device)
        return self if moved is self._frames else LegacyFrames(moved)

    def content_sha256(self) -> str:
        """Digest of the frames; that of the `FrameSource` they are of."""
        return self._frames.content_sha256()

    def _draw(self, count: int, places: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """[count] episodes, each with the same probability, and in each the number of a frame, likewise.

        :param places: [E] how many of the first frames of each episode can be drawn; none of those with 0.
        """
        if not places.any():
            raise UnfitError("No episode is long enough to draw such runs of frames from; ask for shorter runs or for more frames.")
        episode, step = draw_places(places, count, generator)
        return episode, self._starts[episode] + step

    def _pairs(self, offset: int, other: bool, batch_size: int, generator: torch.Generator) -> Epoch[FrameBatch]:
        if offset < 0:
            raise UnfitError(f"The offset of frame pairs is {offset}; it must not be negative.")
        episode, second = self._draw(len(self), self._lengths, generator)
        start, length = self._starts[episode], self._lengths[episode]
        first = start + (second - start - offset) % length
        beside = start + below(length, generator) if other else None

        def gather(draws: Tensor) -> FramePairs:
            return FramePairs(
                index=self._there(first[draws]),
                first=self._pixels(first[draws]),
                second=self._pixels(second[draws]),
                other=None if beside is None else self._pixels(beside[draws]),
            )

        return _FullBatches(torch.arange(len(first)), batch_size, gather)

    def _runs(self, length: int, batch_size: int, generator: torch.Generator) -> Epoch[FrameBatch]:
        places = (self._lengths - length + 1).clamp(min=0)
        _, number = self._draw(int((places > 0).sum()) * length, places, generator)
        steps = torch.arange(length)

        def gather(start: Tensor) -> FrameSequences:
            return FrameSequences(index=self._there(start), frames=self._pixels(start[:, None] + steps))

        return _FullBatches(number, batch_size, gather)

    def _items(self, number: Tensor) -> Images:
        return Images(index=self._there(number), pixels=self._pixels(number))

    def _pixels(self, number: Tensor) -> Tensor:
        return self._frames.pixels(self._there(number))

    def _there(self, number: Tensor) -> Tensor:
        return number.to(self._frames.index.device)


class _FullBatches(Epoch[FrameBatch]):
    """The batches of some draws [n], but for the last where it is not full."""

    def __init__(self, draws: Tensor, batch_size: int, gather: Callable[[Tensor], FrameBatch]) -> None:
        self._draws, self._batch_size, self._gather = draws, batch_size, gather
        if len(self) == 0:
            raise UnfitError(
                f"{len(draws)} draws of frames do not fill a batch of {batch_size}; ask for more frames or a smaller "
                "train.batch_size."
            )

    def __len__(self) -> int:
        return len(self._draws) // self._batch_size

    def __getitem__(self, position: int) -> FrameBatch:
        """Batch number `position`. Raises IndexError past either end, so an epoch can be iterated."""
        if not 0 <= position < len(self):
            raise IndexError(f"The epoch has batches 0 to {len(self) - 1}, not {position}.")
        start = position * self._batch_size
        return self._gather(self._draws[start : start + self._batch_size])
