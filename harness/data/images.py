"""Images held in memory as they are stored, usually one byte a pixel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.contracts.batches import Images
from harness.contracts.sources import Description, Epoch, Items, Sampling, Source
from harness.data.epochs import IndexEpoch, cannot_draw, in_order, members, shuffled, wrong_form
from harness.data.storage import PixelScale, as_tensor, content_sha256, fits
from harness.data.views import centre_crop, crops, draw_flips, draw_offsets, flips
from harness.errors import UnfitError


class ImageSource(Source[Images]):
    """Images of one size, drawn as items. Batches carry float32, converted batch by batch.

    :param pixels: [N, C, H, W] uint8 or float; kept in its type, and never copied whole, so that it may be a memory-mapped array.
    :param value_range: the range of the pixels in a batch, which the description states. For uint8 (0, 1) by default, for
        float what is known of the values, if anything.
    :param stored_range: smallest and largest stored value, mapped linearly onto `value_range`. For uint8 (0, 255) by default;
        float pixels are delivered as they are unless it is given.
    :param crop: side of the squares that batches hold, and the description states: at random places in an epoch, each image's its
        own, and the one in the middle when samples are taken in order. None: whole images.
    :param flip: whether an epoch mirrors each image left to right with probability 1/2.
    :param index: [n] the samples that this source has; all by default. See `subset`.
    :raises UnfitError: when `pixels` has another form, a stored range is given without a value range, or the images are smaller
        than the crop.
    """

    def __init__(
        self,
        pixels: Tensor | NDArray[Any],
        *,
        value_range: tuple[float, float] | None = None,
        stored_range: tuple[float, float] | None = None,
        crop: int | None = None,
        flip: bool = False,
        index: Tensor | None = None,
    ) -> None:
        pixels = as_tensor(pixels)
        if pixels.ndim != 4 or not (pixels.dtype == torch.uint8 or pixels.is_floating_point()):
            raise wrong_form("An image source", "uint8 or float pixels [N, C, H, W]", pixels)
        channels, height, width = pixels.shape[1:]
        if crop is not None and not 1 <= crop <= min(height, width):
            raise UnfitError(f"Images of {height} x {width} cannot be cropped to {crop} x {crop}; name a side from 1 to theirs.")
        self._pixels, self._crop, self._flip = pixels, crop, flip
        self._scale = PixelScale.of(pixels, stored_range, value_range)
        self.index = torch.arange(pixels.shape[0], device=pixels.device) if index is None else index
        """[n] int64: the numbers of the samples this source has, ascending."""
        shape = (channels, height, width) if crop is None else (channels, crop, crop)
        self.description = Description(kind="images", shape=shape, samples=pixels.shape[0], value_range=self._scale.delivered)

    def __len__(self) -> int:
        return self.index.shape[0]

    def subset(self, index: Tensor | NDArray[np.int64]) -> ImageSource:
        """The samples with these numbers, in ascending order; they keep their numbers, and the pixels are shared.

        Raises UnfitError when a number is not in this source or occurs twice.
        """
        return self._with(self._pixels, members(index, self.index))

    def epoch(self, sampling: Sampling, batch_size: int, generator: torch.Generator) -> Epoch[Images]:
        """Single samples in random order; see `IndexEpoch` for the last batch.

        After the order, the epoch's crops and then its flips are drawn, one for every sample, where this source has such views.
        """
        if not isinstance(sampling, Items):
            raise cannot_draw("Images", sampling, "they are drawn as 'items'")
        order = shuffled(self.index, generator)
        if self._crop is None and not self._flip:
            return IndexEpoch(order, batch_size, self._gather)
        count, (height, width), side = len(order), self._pixels.shape[2:], self.description.shape[2]
        offsets = None if self._crop is None else draw_offsets(count, height, width, side, generator).to(order.device)
        flipped = draw_flips(count, generator).to(order.device) if self._flip else None

        def gather(draws: Tensor) -> Images:
            index = order[draws]
            pixels = self._pixels.index_select(0, index) if offsets is None else crops(self._pixels, index, offsets[draws], side)
            if flipped is not None:
                pixels = flips(pixels, flipped[draws])
            return Images(index=index, pixels=self._scale(pixels))

        return IndexEpoch(torch.arange(count, device=order.device), batch_size, gather)

    def in_order(self, batch_size: int) -> Iterator[Images]:
        """Every sample once, in ascending order of its number; of a cropped source the centre crops, none mirrored."""
        return in_order(self.index, batch_size, self._gather)

    def to(self, device: torch.device | str) -> ImageSource:
        """The same source on `device`; itself where its pixels would take more than half of what is free there."""
        if not fits(device, self._pixels):
            return self
        return self._with(self._pixels.to(device), self.index.to(device))

    def content_sha256(self) -> str:
        """Digest of type, shape and bytes of this source's stored samples, and of how they are scaled and viewed."""
        views = ("" if self._crop is None else f" crop {self._crop}") + (" flip" if self._flip else "")
        return content_sha256([self._pixels], self.index, note=f"{self._scale!r}{views}")

    def _gather(self, index: Tensor) -> Images:
        seen = self._pixels if self._crop is None else centre_crop(self._pixels, self._crop)
        return Images(index=index, pixels=self._scale(seen.index_select(0, index)))

    def _with(self, pixels: Tensor, index: Tensor) -> ImageSource:
        return ImageSource(
            pixels,
            value_range=self._scale.delivered,
            stored_range=self._scale.stored,
            crop=self._crop,
            flip=self._flip,
            index=index,
        )
