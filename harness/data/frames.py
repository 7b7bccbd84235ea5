"""Video frames of many episodes, held in memory or mapped into it, one byte a pixel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.contracts.batches import FramePairs, FrameSequences, Images
from harness.contracts.sources import Description, Epoch, Items, Sampling, Sequences, Source, TimePairs
from harness.data.epochs import IndexEpoch, cannot_draw, in_order, members, shuffled, wrong_form
from harness.data.storage import PixelScale, as_tensor, content_sha256, fits
from harness.errors import UnfitError

FrameBatch = Images | FramePairs | FrameSequences


class FrameSource(Source[FrameBatch]):
    """Frames in the order of time, episode after episode: drawn one by one, as pairs in time, or as runs of consecutive frames.

    :param frames: [T, C, H, W] uint8 or float; kept in its type and never copied whole, so that it may be a memory-mapped array.
        Batches are float32.
    :param episodes: [T] int64: the episode of each frame. The frames of an episode lie side by side, in the order of time.
    :param value_range: the range of the pixels in a batch; as for `ImageSource`.
    :param stored_range: smallest and largest stored value; as for `ImageSource`.
    :param index: [n] the frames that this source has; all by default. See `subset`.
    :param first: the number of the first frame, where these frames are numbered after those of another source.
    :raises UnfitError: when an array has another form, or an episode lies in several pieces.
    """

    def __init__(
        self,
        frames: Tensor | NDArray[Any],
        episodes: Tensor | NDArray[np.int64],
        *,
        value_range: tuple[float, float] | None = None,
        stored_range: tuple[float, float] | None = None,
        index: Tensor | None = None,
        first: int = 0,
    ) -> None:
        frames, episodes = as_tensor(frames), as_tensor(episodes)
        if frames.ndim != 4 or not (frames.dtype == torch.uint8 or frames.is_floating_point()):
            raise wrong_form("A frame source", "uint8 or float frames [T, C, H, W]", frames)
        if episodes.dtype != torch.int64 or episodes.shape != frames.shape[:1]:
            raise wrong_form("A frame source", f"int64 episode numbers [{frames.shape[0]}], one a frame", episodes)
        if torch.unique_consecutive(episodes).shape != torch.unique(episodes).shape:
            raise UnfitError("The frames of an episode must lie side by side; sort the frames by episode, then by time.")
        self._frames, self._first = frames, first
        self.episodes = episodes
        """[T] int64: the episode of each frame, whether this source has it or not."""
        self._scale = PixelScale.of(frames, stored_range, value_range)
        count, channels, height, width = frames.shape
        self.index = torch.arange(first, first + count, device=frames.device) if index is None else index
        """[n] int64: the numbers of the frames this source has, ascending."""
        self.description = Description(
            kind="frames", shape=(channels, height, width), samples=first + count, value_range=self._scale.delivered
        )

    def __len__(self) -> int:
        return self.index.shape[0]

    def subset(self, index: Tensor | NDArray[np.int64]) -> FrameSource:
        """The frames with these numbers, in ascending order; they keep their numbers, and the pixels are shared.

        A pair is drawn only when both its frames are in the subset, a run only when all are. Raises UnfitError when a number is not
        in this source or occurs twice.
        """
        return self._with(self._frames, self.episodes, members(index, self.index))

    def epoch(self, sampling: Sampling, batch_size: int, generator: torch.Generator) -> Epoch[FrameBatch]:
        """Frames, pairs of frames or runs of frames in random order; see `IndexEpoch` for the last batch.

        With `TimePairs(offset)` every frame that has a successor `offset` steps later in its episode is drawn once, as `first`;
        with `other` a frame of that episode is drawn beside it, each of those held with the same probability. With
        `Sequences(length, stride)` every run of that length that begins a multiple of `stride` steps after its episode is drawn
        once.
        """
        match sampling:
            case Items():
                return IndexEpoch(shuffled(self.index, generator), batch_size, self._gather)
            case TimePairs():
                return self._pairs(sampling, batch_size, generator)
            case Sequences():
                return self._runs(sampling, batch_size, generator)
        raise cannot_draw("Frames", sampling, "they are drawn as 'items', 'pairs' or 'sequences'")

    def in_order(self, batch_size: int) -> Iterator[Images]:
        """Every frame once, in the order of time."""
        return in_order(self.index, batch_size, self._gather)

    def pixels(self, number: Tensor) -> Tensor:
        """Frames [..., C, H, W], as batches carry them, of these numbers [...]; a number may occur more than once."""
        frames = self._frames.index_select(0, (number - self._first).flatten())
        return self._scale(frames).reshape(*number.shape, *frames.shape[1:])

    def to(self, device: torch.device | str) -> FrameSource:
        """The same source on `device`; itself where its frames would take more than half of what is free there."""
        if not fits(device, self._frames):
            return self
        return self._with(self._frames.to(device), self.episodes.to(device), self.index.to(device))

    def content_sha256(self) -> str:
        """Digest of type, shape and bytes of this source's stored frames and episode numbers, and of how pixels are scaled."""
        return content_sha256([self._frames, self.episodes], self._rows(), note=repr(self._scale))

    # ------------------------------------------------------------------------------------------------- gathering

    def _gather(self, index: Tensor) -> Images:
        return Images(index=index, pixels=self.pixels(index))

    def _pairs(self, sampling: TimePairs, batch_size: int, generator: torch.Generator) -> Epoch[FrameBatch]:
        offset = sampling.offset
        if offset < 0:
            raise UnfitError(f"The offset of frame pairs is {offset}; it must not be negative.")
        first = shuffled(self._both_ends_held(offset), generator)
        if first.shape[0] == 0:
            raise UnfitError(f"No episode is longer than {offset} frames, so no pairs with that offset can be drawn.")
        other = self._of_the_same_episode(first, generator) if sampling.other else None

        def gather(draws: Tensor) -> FramePairs:
            return FramePairs(
                index=first[draws],
                first=self.pixels(first[draws]),
                second=self.pixels(first[draws] + offset),
                other=None if other is None else self.pixels(other[draws]),
            )

        return IndexEpoch(torch.arange(first.shape[0], device=first.device), batch_size, gather)

    def _runs(self, sampling: Sequences, batch_size: int, generator: torch.Generator) -> Epoch[FrameBatch]:
        length, stride = sampling.length, sampling.stride
        if length < 1 or stride < 1:
            raise UnfitError(f"Runs of {length} frames every {stride} steps cannot be drawn; both count from 1.")
        starts = self._both_ends_held(length - 1)
        before = self._held().cumsum(0)  # frames held up to each one: a run is whole where it holds all between its ends
        rows = starts - self._first
        whole = before[rows + length - 1] - before[rows] == length - 1
        since = rows - self._beginnings()[rows]
        starts = starts[whole & (since % stride == 0)]
        if starts.shape[0] == 0:
            raise UnfitError(f"No episode has {length} frames in a row, so no runs of that length can be drawn.")
        steps = torch.arange(length, device=starts.device)

        def gather(index: Tensor) -> FrameSequences:
            return FrameSequences(index=index, frames=self.pixels(index[:, None] + steps))

        return IndexEpoch(shuffled(starts, generator), batch_size, gather)

    # -------------------------------------------------------------------------------------------------- episodes

    def _rows(self) -> Tensor:
        """[n] places of the held frames among all T."""
        return self.index - self._first

    def _held(self) -> Tensor:
        """[T] bool: the frames this source has."""
        held = torch.zeros_like(self.episodes, dtype=torch.bool)
        held[self._rows()] = True
        return held

    def _beginnings(self) -> Tensor:
        """[T] the place of the first frame of each frame's episode."""
        _, sizes = torch.unique_consecutive(self.episodes, return_counts=True)
        return torch.repeat_interleave(sizes.cumsum(0) - sizes, sizes)

    def _both_ends_held(self, offset: int) -> Tensor:
        """[m] numbers of the frames whose successor `offset` steps later is of the same episode and also in this source."""
        held, length = self._held(), max(self.episodes.shape[0] - offset, 0)
        # Episodes lie in one piece, so frames t and t + offset of one episode number are `offset` steps apart in it.
        paired = held[:length] & held[offset:] & (self.episodes[:length] == self.episodes[offset:])
        return paired.nonzero().squeeze(1) + self._first

    def _of_the_same_episode(self, number: Tensor, generator: torch.Generator) -> Tensor:
        """[m] for each of these frames the number of a held one of its episode, drawn with equal probability."""
        rows = self._rows()
        _, group, sizes = torch.unique_consecutive(self.episodes[rows], return_inverse=True, return_counts=True)
        mine = group[torch.searchsorted(rows, number - self._first)]
        uniform = torch.rand(number.shape[0], generator=generator, device=generator.device, dtype=torch.float64)
        step = (uniform.to(rows.device) * sizes[mine]).long()
        return self.index[(sizes.cumsum(0) - sizes)[mine] + step]

    def _with(self, frames: Tensor, episodes: Tensor, index: Tensor) -> FrameSource:
        return FrameSource(
            frames,
            episodes,
            value_range=self._scale.delivered,
            stored_range=self._scale.stored,
            index=index,
            first=self._first,
        )
