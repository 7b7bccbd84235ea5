"""Smaller frames."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from harness import DataError
from harness_atari import shrinking
from harness_atari.shrinking import area_mean, shrunk_frames


def slowly(frames, size):
    """Every pixel repeated until the new size divides the old one, then means, halves up."""
    times = [size // np.gcd(size, old) for old in frames.shape[1:]]
    found = []
    for frame in frames.astype(np.int64):
        tall = np.repeat(np.repeat(frame, times[0], axis=0), times[1], axis=1)
        parts = tall.reshape(size, tall.shape[0] // size, size, tall.shape[1] // size)
        area = parts.shape[1] * parts.shape[3]
        found.append((2 * parts.sum(axis=(1, 3)) + area) // (2 * area))
    return np.array(found)


@pytest.mark.parametrize(("height", "width", "size"), [(210, 160, 84), (12, 9, 3), (7, 5, 3), (3, 3, 3)])
def test_a_pixel_is_the_rounded_mean_of_its_area(height, width, size):
    frames = np.random.default_rng(0).integers(0, 256, (3, height, width), dtype=np.uint8)
    found = area_mean(frames, size)
    assert found.dtype == np.uint8
    assert np.array_equal(found, slowly(frames, size))


@pytest.mark.parametrize("value", [0, 1, 128, 255])
def test_an_even_picture_stays_as_it_is(value):
    assert np.unique(area_mean(np.full((2, 210, 160), value, dtype=np.uint8), 84)).tolist() == [value]


def test_they_are_made_once_and_anew_when_damaged(played, monkeypatch):
    collection = played("pong", 160)
    told = []
    found = shrunk_frames(collection, 84, lambda *progress: told.append(progress))
    assert found.shape == (160, 1, 84, 84)
    assert np.array_equal(found[:, 0], slowly(collection.frames[:, 0], 84))
    assert told[-1] == (160, 160, "frames")
    file = collection.folder.with_name(f"{collection.folder.name}-84") / "frames.npy"
    with monkeypatch.context() as patch:
        patch.setattr(shrinking, "area_mean", None)
        assert np.array_equal(shrunk_frames(collection, 84), found)
        os.utime(file, ns=(1, 1))
        assert np.array_equal(shrunk_frames(collection, 84), found)
    good = found.copy()
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert np.array_equal(shrunk_frames(collection, 84), good)


def test_they_are_made_piece_by_piece(played, monkeypatch):
    collection = played("pong", 160)
    monkeypatch.setattr(shrinking, "_CHUNK", 7)
    assert np.array_equal(shrunk_frames(collection, 80)[:, 0], slowly(collection.frames[:, 0], 80))


def test_a_full_disk_is_one_sentence(played, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(DataError, match="the disk is full"):
        shrunk_frames(played("pong", 160), 42)
