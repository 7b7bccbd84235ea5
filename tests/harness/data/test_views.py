"""Views of images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.data.views import centre_crop, crops, draw_flips, draw_offsets, flips


@pytest.fixture
def pixels() -> Tensor:
    return torch.randint(0, 256, (7, 3, 9, 12), dtype=torch.uint8, generator=generator())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_crops_are_the_squares_that_begin_at_their_offsets(pixels: Tensor) -> None:
    index, offsets = torch.tensor([6, 0, 0, 3]), torch.tensor([[0, 0], [4, 7], [2, 1], [1, 5]])
    expected = [pixels[i, :, top : top + 5, left : left + 5] for i, (top, left) in zip(index, offsets, strict=True)]
    assert torch.equal(crops(pixels, index, offsets, 5), torch.stack(expected))


def test_a_crop_keeps_the_type_of_the_pixels(pixels: Tensor) -> None:
    assert crops(pixels.double(), torch.tensor([0]), torch.tensor([[0, 0]]), 2).dtype == torch.float64


def test_a_crop_is_a_copy(pixels: Tensor) -> None:
    crops(pixels, torch.tensor([0]), torch.tensor([[0, 0]]), 9).zero_()
    assert pixels[0].any()


def test_every_place_of_a_crop_is_drawn_about_as_often() -> None:
    drawn = draw_offsets(12_000, 6, 5, 4, generator())
    counts = torch.bincount(drawn[:, 0] * 2 + drawn[:, 1], minlength=6)
    assert drawn.min(0).values.tolist() == [0, 0]
    assert drawn.max(0).values.tolist() == [2, 1]
    assert torch.all((counts - 2000).abs() < 200)  # five standard deviations


def test_a_crop_of_the_whole_image_has_one_place() -> None:
    assert not draw_offsets(100, 5, 5, 5, generator()).any()


@pytest.mark.parametrize(("size", "side", "begin"), [(96, 64, 16), (9, 4, 2), (8, 5, 1), (5, 5, 0)])
def test_the_centre_crop_leaves_the_same_margin_on_both_sides(size: int, side: int, begin: int) -> None:
    image = torch.arange(size * size).reshape(1, 1, size, size)
    end = begin + side
    assert torch.equal(centre_crop(image, side), image[:, :, begin:end, begin:end])


def test_the_centre_crop_of_an_oblong_image_is_a_square(pixels: Tensor) -> None:
    assert torch.equal(centre_crop(pixels, 4), pixels[:, :, 2:6, 4:8])


def test_the_centre_crop_shares_the_pixels(pixels: Tensor) -> None:
    assert centre_crop(pixels, 4).untyped_storage().data_ptr() == pixels.untyped_storage().data_ptr()


def test_flips_mirror_the_images_that_are_named_and_no_others(pixels: Tensor) -> None:
    flipped = torch.tensor([True, False, False, True, True, False, True])
    found = flips(pixels, flipped)
    assert torch.equal(found[flipped], torch.flip(pixels[flipped], [3]))
    assert torch.equal(found[~flipped], pixels[~flipped])


def test_half_of_the_images_are_flipped_in_the_mean() -> None:
    assert abs(draw_flips(10_000, generator()).float().mean().item() - 0.5) < 0.025  # five standard deviations


def test_the_same_generator_state_draws_the_same_views() -> None:
    assert torch.equal(draw_offsets(9, 8, 8, 3, generator(4)), draw_offsets(9, 8, 8, 3, generator(4)))
    assert torch.equal(draw_flips(9, generator(4)), draw_flips(9, generator(4)))
