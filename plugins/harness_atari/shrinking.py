"""Smaller frames: each pixel the mean of the area that it covers, rounded, made once and kept beside the collection."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from harness import Progress, no_progress
from harness_atari.array_folders import Arrays, finish, only_one, partial_folder, remove_partial, whole_folder, writable
from harness_atari.collection import Collection

Bytes = NDArray[np.uint8]

_CHUNK = 256
"""Frames that are made at a time: memory stays small."""


def shrunk_frames(collection: Collection, size: int, progress: Progress = no_progress) -> Bytes:
    """The frames of a collection as [T, 1, size, size] uint8, mapped read-only.

    Raises DataError when the disk has no room for them.
    """
    assert collection.frames is not None, "a collection of labels alone has no frames to shrink"
    frames, count = collection.frames[:, 0], len(collection.frames)
    folder = collection.folder.with_name(f"{collection.folder.name}-{size}")
    plan = {"content_sha256": collection.content_sha256, "size": size, "form": 1}
    forms = {"frames": ((count, 1, size, size), np.uint8)}
    if found := whole_folder(folder, plan, _sha256):
        return found[0]["frames"]
    with only_one(folder):
        if found := whole_folder(folder, plan, _sha256):
            return found[0]["frames"]
        remove_partial(folder)  # an interrupted one does not say how far it was
        partial = partial_folder(folder, plan, forms)
        arrays = writable(partial, forms)
        for first in range(0, count, _CHUNK):
            arrays["frames"][first : first + _CHUNK, 0] = area_mean(frames[first : first + _CHUNK], size)
            progress(min(first + _CHUNK, count), count, "frames")
        finish(partial, folder, plan, forms, _sha256(arrays))
    return shrunk_frames(collection, size)


def area_mean(frames: Bytes, size: int) -> Bytes:
    """Frames [n, H, W] -> [n, size, size]: the mean over the area of each pixel, a half rounded up.

    It is exact: areas are whole multiples of a common part, and all sums of bytes times these are whole 16-bit numbers.
    """
    sums, area = frames.astype(np.uint16), 1
    for axis in (1, 2):
        sums, parts = _summed(sums, axis, size)
        area *= parts
    assert 255 * area + area // 2 < 2**16, "16 bits would overflow"
    return ((sums + area // 2) // area).astype(np.uint8)


def _summed(values: NDArray[np.uint16], axis: int, new: int) -> tuple[NDArray[np.uint16], int]:
    """Sums over `new` equal parts of an axis, each old pixel times how much of it lies in the part, and how much that is in all.

    The unit is such that every overlap is whole. Few old pixels overlap with a new one, and those are taken one after the other.
    """
    old = values.shape[axis]
    unit = int(np.gcd(old, new))
    begins, ends = np.arange(new) * (old // unit), np.arange(1, new + 1) * (old // unit)
    width = new // unit
    first = begins // width
    total = np.zeros((*values.shape[:axis], new, *values.shape[axis + 1 :]), dtype=np.uint16)
    for pixel in (first + k for k in range(int((-(-ends // width) - first).max()))):
        overlap = np.minimum(ends, (pixel + 1) * width) - np.maximum(begins, pixel * width)
        weight = np.maximum(overlap, 0).astype(np.uint16).reshape(-1, *(1 for _ in range(values.ndim - axis - 1)))
        total += values.take(pixel, axis=axis, mode="clip") * weight
    return total, old // unit


def _sha256(arrays: Arrays) -> str:
    return hashlib.sha256(arrays["frames"].data).hexdigest()
