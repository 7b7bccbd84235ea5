"""Images held in memory as they are stored, usually one byte a pixel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.contracts.batches import Images
from harness.contracts.sources import Description, Epoch, Items, Sampling, Source
from harness.data.epochs import IndexEpoch, cannot_draw, in_order, members, shuffled, wrong_form
from harness.data.storage import PixelScale, content_sha256, fits


class ImageSource(Source[Images]):
    """Images of one size, drawn as items. Batches carry float32, converted batch by batch.

    :param pixels: [N, C, H, W] uint8 or float; kept in its type.
    :param value_range: the range of the pixels in a batch, which the description states. For uint8 (0, 1) by default, for
        float what is known of the values, if anything.
    :param stored_range: smallest and largest stored value, mapped linearly onto `value_range`. For uint8 (0, 255) by default;
        float pixels are delivered as they are unless it is given.
    :param index: [n] the samples that this source has; all by default. See `subset`.
    :raises UnfitError: when `pixels` has another form, or a stored range is given without a value range.
    """

    def __init__(
        self,
        pixels: Tensor,
        *,
        value_range: tuple[float, float] | None = None,
        stored_range: tuple[float, float] | None = None,
        index: Tensor | None = None,
    ) -> None:
        if pixels.ndim != 4 or not (pixels.dtype == torch.uint8 or pixels.is_floating_point()):
            raise wrong_form("An image source", "uint8 or float pixels [N, C, H, W]", pixels)
        self._pixels = pixels
        self._scale = PixelScale.of(pixels, stored_range, value_range)
        self.index = torch.arange(pixels.shape[0], device=pixels.device) if index is None else index
        """[n] int64: the numbers of the samples this source has, ascending."""
        channels, height, width = pixels.shape[1:]
        self.description = Description(
            kind="images", shape=(channels, height, width), samples=pixels.shape[0], value_range=self._scale.delivered
        )

    def __len__(self) -> int:
        return self.index.shape[0]

    def subset(self, index: Tensor | NDArray[np.int64]) -> ImageSource:
        """The samples with these numbers, in ascending order; they keep their numbers, and the pixels are shared.

        Raises UnfitError when a number is not in this source or occurs twice.
        """
        return self._with(self._pixels, members(index, self.index))

    def epoch(self, sampling: Sampling, batch_size: int, generator: torch.Generator) -> Epoch[Images]:
        """Single samples in random order; see `IndexEpoch` for the last batch."""
        if not isinstance(sampling, Items):
            raise cannot_draw("Images", sampling, "they are drawn as 'items'")
        return IndexEpoch(shuffled(self.index, generator), batch_size, self._gather)

    def in_order(self, batch_size: int) -> Iterator[Images]:
        """Every sample once, in ascending order of its number."""
        return in_order(self.index, batch_size, self._gather)

    def to(self, device: torch.device | str) -> ImageSource:
        """The same source on `device`; itself where its pixels would take more than half of what is free there."""
        if not fits(device, self._pixels):
            return self
        return self._with(self._pixels.to(device), self.index.to(device))

    def content_sha256(self) -> str:
        """Digest of type, shape and bytes of this source's stored samples, and of how they are scaled."""
        return content_sha256([self._pixels], self.index, note=repr(self._scale))

    def _gather(self, index: Tensor) -> Images:
        return Images(index=index, pixels=self._scale(self._pixels[index]))

    def _with(self, pixels: Tensor, index: Tensor) -> ImageSource:
        return ImageSource(pixels, value_range=self._scale.delivered, stored_range=self._scale.stored, index=index)
