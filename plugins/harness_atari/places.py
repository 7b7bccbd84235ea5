"""Where on the screen a RAM value is: positions in RAM count from elsewhere than pixels do.

A console's program keeps the place of a thing as a number that is a pixel's column or line but for an offset, and sometimes a
scale of two or the other direction. The frames tell: where a frame differs from the mean frame is where something is, and the right
map is the one under which the places that the values name differ most, beyond what they would if value and frame had nothing to do
with one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

SCALES = (1, 2)
DIRECTIONS = (1, -1)
PLATEAU = 0.9
"""Of the largest gain: a thing of several pixels is met by several offsets, and the one in the middle of them is its place."""
LEAST_GAIN = 0.5
"""Of the mean difference: a map that gains less than this share of it explains nothing."""


@dataclass(frozen=True)
class PixelMap:
    """pixel = scale * value + offset."""

    scale: int
    offset: int

    def __call__(self, values: NDArray[np.integer]) -> NDArray[np.int64]:
        """Pixels of RAM values, of any shape."""
        return self.scale * values.astype(np.int64) + self.offset


def profiles(frames: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much each column and each line of a frame differs from the mean frame: [n, W] and [n, H].

    :param frames: [n, H, W].
    """
    mean = frames.mean(axis=0, dtype=np.float64)
    columns = np.empty((len(frames), frames.shape[2]))
    lines = np.empty((len(frames), frames.shape[1]))
    for start in range(0, len(frames), 64):
        difference = np.abs(frames[start : start + 64] - mean)
        columns[start : start + 64], lines[start : start + 64] = difference.mean(axis=1), difference.mean(axis=2)
    return columns, lines


def fitted_map(values: NDArray[np.integer], profile: NDArray[np.float64]) -> PixelMap | None:
    """The map from a variable's values to pixels, or None where no map says where frames differ.

    :param values: [n] 0 to 255.
    :param profile: [n, pixels] of `profiles`, of the same frames.
    """
    pixels = profile.shape[1]
    found, frequency = np.unique(values, return_counts=True)
    share = frequency / len(values)
    # The mean profile of the frames with each value, less that of all frames: what the value alone says.
    own = np.stack([profile[values == value].mean(axis=0) for value in found]) - profile.mean(axis=0)
    best, chosen = LEAST_GAIN * profile.mean(), None
    for scale, direction in product(SCALES, DIRECTIONS):
        places = scale * direction * found.astype(np.int64)
        offsets = np.arange(-int(places.max()), pixels - int(places.min()))
        at = places[:, None] + offsets  # [values, offsets]
        inside = (at >= 0) & (at < pixels)
        met = np.take_along_axis(own, np.where(inside, at, 0), axis=1)
        gains = (share[:, None] * np.where(inside, met, 0.0)).sum(axis=0)
        if gains.max() > best:
            best, top = gains.max(), int(gains.argmax())
            below = np.flatnonzero(gains < PLATEAU * best)
            first, end = below[below < top].max(initial=-1) + 1, below[below > top].min(initial=len(gains))
            chosen = PixelMap(scale * direction, int(offsets[(first + end - 1) // 2]))
    return chosen
