"""Where on the screen a RAM value is."""

from __future__ import annotations

import numpy as np
import pytest

from harness_atari.places import PixelMap, fitted_map, profiles


def dots(columns, lines, height=40, width=60):
    """Frames on which one bright dot of 3 by 3 pixels stands at these columns and lines, on a background of stripes."""
    frames = np.tile((np.arange(width) % 7 * 20).astype(np.uint8), (len(columns), height, 1))
    for frame, x, y in zip(frames, columns, lines, strict=True):
        frame[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = 255
    return frames


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (1, -48), (2, -20), (-1, 57), (-2, 59)])
def test_the_map_from_values_to_pixels_is_found(rng, scale, offset):
    columns = rng.integers(3, 57, 400)
    values = np.clip((columns - offset) // scale, 0, 255)
    columns = scale * values + offset
    across, _ = profiles(dots(columns, rng.integers(2, 38, 400)))
    assert fitted_map(values.astype(np.uint8), across) == PixelMap(scale, offset)


def test_columns_and_lines_are_told_apart(rng):
    x, y = rng.integers(3, 57, 300), rng.integers(3, 37, 300)
    across, down = profiles(dots(x, y))
    assert across.shape == (300, 60)
    assert down.shape == (300, 40)
    assert fitted_map(x, across) == PixelMap(1, 0)
    assert fitted_map(y, down) == PixelMap(1, 0)


def test_a_value_that_has_nothing_to_do_with_the_frames_has_no_map(rng):
    across, _ = profiles(dots(rng.integers(3, 57, 400), rng.integers(3, 37, 400)))
    assert fitted_map(rng.integers(0, 40, 400), across) is None


def test_frames_that_are_all_alike_explain_nothing():
    across, _ = profiles(dots([10] * 50, [10] * 50))
    assert fitted_map(np.arange(50), across) is None


def test_profiles_are_those_of_the_difference_from_the_mean_frame(rng):
    frames = rng.integers(0, 256, (130, 5, 6)).astype(np.uint8)
    difference = np.abs(frames - frames.mean(axis=0))
    across, down = profiles(frames)
    np.testing.assert_allclose(across, difference.mean(axis=1))
    np.testing.assert_allclose(down, difference.mean(axis=2))


def test_a_map_takes_values_to_pixels():
    assert PixelMap(2, -10)(np.array([[5, 200]], dtype=np.uint8)).tolist() == [[0, 390]]
