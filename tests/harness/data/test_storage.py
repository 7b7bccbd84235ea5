"""How sources hold inputs."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from harness.data import storage
from harness.data.storage import PixelScale, as_tensor, content_sha256, fits
from harness.errors import UnfitError


def test_bytes_become_zero_to_one_by_default() -> None:
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8)
    assert torch.allclose(PixelScale.of(pixels, None, None)(pixels), torch.tensor([0.0, 0.2, 1.0]))


@pytest.mark.parametrize("delivered", [(0.0, 1.0), (-1.0, 1.0), (-0.5, 0.5), (-3.0, 7.0)])
def test_the_ends_of_the_range_are_met_exactly(delivered: tuple[float, float]) -> None:
    pixels = torch.tensor([0, 255], dtype=torch.uint8)
    assert PixelScale.of(pixels, None, delivered)(pixels).tolist() == list(delivered)


def test_the_map_is_linear_between_the_ends() -> None:
    pixels = torch.arange(17, dtype=torch.uint8)
    expected = torch.tensor([-1 + 2 * value / 16 for value in range(17)])
    assert torch.allclose(PixelScale.of(pixels, (0, 16), (-1.0, 1.0))(pixels), expected)


def test_float_pixels_pass_unchanged() -> None:
    pixels = torch.tensor([-3.5, 0.25])
    assert PixelScale.of(pixels, None, (-4.0, 4.0))(pixels).tolist() == [-3.5, 0.25]


def test_float_pixels_are_scaled_when_both_ranges_are_given() -> None:
    pixels = torch.tensor([0.0, 128.0, 256.0])
    assert PixelScale.of(pixels, (0, 256), (0.0, 1.0))(pixels).tolist() == [0.0, 0.5, 1.0]


def test_double_pixels_become_single_precision() -> None:
    pixels = torch.tensor([0.1], dtype=torch.float64)
    assert PixelScale.of(pixels, None, None)(pixels).dtype == torch.float32


def test_scaling_does_not_touch_the_stored_pixels() -> None:
    pixels = torch.tensor([0.0, 2.0])
    PixelScale.of(pixels, (0, 2), (5.0, 6.0))(pixels)
    assert pixels.tolist() == [0.0, 2.0]


def test_a_stored_range_without_a_value_range_is_refused() -> None:
    with pytest.raises(UnfitError, match="without a value range"):
        PixelScale.of(torch.zeros(1), (0, 255), None)


def test_an_empty_stored_range_is_refused() -> None:
    with pytest.raises(UnfitError, match="empty"):
        PixelScale.of(torch.zeros(1, dtype=torch.uint8), (16, 16), None)


def test_the_digest_is_of_note_type_shape_and_bytes() -> None:
    tensor = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8)
    expected = hashlib.sha256(b"note" + b"torch.uint8(2, 2)" + bytes([1, 2, 3, 4])).hexdigest()
    assert content_sha256([tensor], torch.arange(2), note="note") == expected


def test_the_digest_of_some_samples_is_that_of_their_values_alone() -> None:
    tensor = torch.arange(20.0).reshape(10, 2)
    chosen = torch.tensor([1, 4, 7])
    assert content_sha256([tensor], chosen) == content_sha256([tensor[chosen]], torch.arange(3))


@pytest.mark.parametrize("chunk", [1, 100, 1 << 24])
def test_the_digest_does_not_depend_on_how_much_is_read_at_a_time(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(storage, "_CHUNK", chunk)
    tensor = torch.arange(1000).reshape(500, 2)
    expected = hashlib.sha256(b"torch.int64(500, 2)" + tensor.numpy().tobytes()).hexdigest()
    assert content_sha256([tensor], torch.arange(500)) == expected


@pytest.mark.parametrize("writeable", [True, False])
def test_an_array_becomes_a_tensor_over_its_own_memory_without_a_warning(writeable: bool) -> None:
    array = np.arange(6.0)
    array.flags.writeable = writeable
    assert as_tensor(array).data_ptr() == array.ctypes.data


def test_a_tensor_stays_itself() -> None:
    tensor = torch.zeros(3)
    assert as_tensor(tensor) is tensor


def test_everything_fits_on_the_cpu() -> None:
    assert fits("cpu", torch.zeros(10))


@pytest.mark.parametrize(("size", "expected"), [(50, True), (51, False)])
def test_at_most_half_of_the_free_memory_of_a_gpu_is_taken(monkeypatch: pytest.MonkeyPatch, size: int, expected: bool) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100, 1000))
    assert fits("cuda", torch.zeros(size, dtype=torch.uint8)) is expected
