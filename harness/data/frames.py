"""Video frames of many episodes, held in memory one byte a pixel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.contracts.batches import FramePairs, Images
from harness.contracts.sources import Description, Epoch, Items, Sampling, Source, TimePairs
from harness.data.epochs import IndexEpoch, cannot_draw, in_order, members, shuffled, wrong_form
from harness.data.storage import PixelScale, content_sha256, fits
from harness.errors import UnfitError


class FrameSource(Source[Images | FramePairs]):
    """Frames in the order of time, episode after episode; drawn as items (`Images`) or as pairs (`FramePairs`).

    :param frames: [T, C, H, W] uint8 or float; kept in its type, converted to float32 batch by batch.
    :param episodes: [T] int64: the episode of each frame. The frames of an episode lie side by side, in the order of time.
    :param value_range: the range of the pixels in a batch; as for `ImageSource`.
    :param stored_range: smallest and largest stored value; as for `ImageSource`.
    :param index: [n] the frames that this source has; all by default. See `subset`.
    :raises UnfitError: when a tensor has another form, or an episode lies in several pieces.
    """

    def __init__(
        self,
        frames: Tensor,
        episodes: Tensor,
        *,
        value_range: tuple[float, float] | None = None,
        stored_range: tuple[float, float] | None = None,
        index: Tensor | None = None,
    ) -> None:
        if frames.ndim != 4 or not (frames.dtype == torch.uint8 or frames.is_floating_point()):
            raise wrong_form("A frame source", "uint8 or float frames [T, C, H, W]", frames)
        if episodes.dtype != torch.int64 or episodes.shape != frames.shape[:1]:
            raise wrong_form("A frame source", f"int64 episode numbers [{frames.shape[0]}], one a frame", episodes)
        if torch.unique_consecutive(episodes).shape != torch.unique(episodes).shape:
            raise UnfitError("The frames of an episode must lie side by side; sort the frames by episode, then by time.")
        self._frames, self._episodes = frames, episodes
        self._scale = PixelScale.of(frames, stored_range, value_range)
        self.index = torch.arange(frames.shape[0], device=frames.device) if index is None else index
        """[n] int64: the numbers of the frames this source has, ascending."""
        channels, height, width = frames.shape[1:]
        self.description = Description(
            kind="frames", shape=(channels, height, width), samples=frames.shape[0], value_range=self._scale.delivered
        )

    def __len__(self) -> int:
        return self.index.shape[0]

    def subset(self, index: Tensor | NDArray[np.int64]) -> FrameSource:
        """The frames with these numbers, in ascending order; they keep their numbers, and the pixels are shared.

        A pair is drawn only when both its frames are in the subset. Raises UnfitError when a number is not in this source or
        occurs twice.
        """
        return self._with(self._frames, self._episodes, members(index, self.index))

    def epoch(self, sampling: Sampling, batch_size: int, generator: torch.Generator) -> Epoch[Images | FramePairs]:
        """Frames, or pairs of frames, in random order; see `IndexEpoch` for the last batch.

        With `TimePairs(offset)` every frame that has a successor `offset` steps later in its episode is drawn once, as `first`.
        """
        if isinstance(sampling, Items):
            return IndexEpoch(shuffled(self.index, generator), batch_size, self._gather)
        if not isinstance(sampling, TimePairs):
            raise cannot_draw("Frames", sampling, "they are drawn as 'items' or as 'pairs'")
        offset = sampling.offset

        def gather(first: Tensor) -> FramePairs:
            second = first + offset
            return FramePairs(index=first, first=self._scale(self._frames[first]), second=self._scale(self._frames[second]))

        return IndexEpoch(shuffled(self._first_frames(offset), generator), batch_size, gather)

    def in_order(self, batch_size: int) -> Iterator[Images]:
        """Every frame once, in the order of time."""
        return in_order(self.index, batch_size, self._gather)

    def to(self, device: torch.device | str) -> FrameSource:
        """The same source on `device`; itself where its frames would take more than half of what is free there."""
        if not fits(device, self._frames):
            return self
        return self._with(self._frames.to(device), self._episodes.to(device), self.index.to(device))

    def content_sha256(self) -> str:
        """Digest of type, shape and bytes of this source's stored frames and episode numbers, and of how pixels are scaled."""
        return content_sha256([self._frames, self._episodes], self.index, note=repr(self._scale))

    def _gather(self, index: Tensor) -> Images:
        return Images(index=index, pixels=self._scale(self._frames[index]))

    def _first_frames(self, offset: int) -> Tensor:
        """[m] the frames whose successor `offset` steps later is of the same episode and also in this source."""
        if offset < 0:
            raise UnfitError(f"The offset of frame pairs is {offset}; it must not be negative.")
        held = torch.zeros_like(self._episodes, dtype=torch.bool)
        held[self.index] = True
        # Episodes lie in one piece, so frames t and t + offset of one episode number are `offset` steps apart in it.
        length = max(held.shape[0] - offset, 0)
        paired = held[:length] & held[offset:] & (self._episodes[:length] == self._episodes[offset:])
        first = paired.nonzero().squeeze(1)
        if first.shape[0] == 0:
            raise UnfitError(f"No episode is longer than {offset} frames, so no pairs with that offset can be drawn.")
        return first

    def _with(self, frames: Tensor, episodes: Tensor, index: Tensor) -> FrameSource:
        return FrameSource(frames, episodes, value_range=self._scale.delivered, stored_range=self._scale.stored, index=index)
