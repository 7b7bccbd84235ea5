"""Images held in memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.contracts.batches import Images
from harness.contracts.sources import Description, Items, TimePairs
from harness.data.images import ImageSource
from harness.errors import UnfitError


@pytest.fixture
def pixels() -> Tensor:
    return torch.randint(0, 256, (10, 3, 4, 5), dtype=torch.uint8, generator=generator())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_description_says_what_the_images_are(pixels: Tensor) -> None:
    assert ImageSource(pixels).description == Description(kind="images", shape=(3, 4, 5), samples=10, value_range=(0.0, 1.0))


def test_bytes_are_delivered_in_the_stated_range(pixels: Tensor) -> None:
    source = ImageSource(pixels, value_range=(-1.0, 1.0))
    batch = next(source.in_order(10))
    assert isinstance(batch, Images)
    assert torch.allclose(batch.pixels, pixels.float() / 127.5 - 1, atol=1e-6)
    assert source.description.value_range == (-1.0, 1.0)


def test_a_stored_range_other_than_that_of_a_byte_is_stated(pixels: Tensor) -> None:
    sixteen = pixels % 17
    batch = next(ImageSource(sixteen, stored_range=(0, 16)).in_order(10))
    assert torch.allclose(batch.pixels, sixteen.float() / 16)


def test_float_images_pass_unchanged_and_have_no_range_unless_stated() -> None:
    stored = torch.tensor([-2.0, 3.0]).reshape(2, 1, 1, 1)
    source = ImageSource(stored)
    assert torch.equal(next(source.in_order(2)).pixels, stored)
    assert source.description.value_range is None


def test_an_epoch_has_every_image_once_with_its_own_pixels(pixels: Tensor) -> None:
    batches = list(ImageSource(pixels).epoch(Items(), 4, generator()))
    index = torch.cat([batch.index for batch in batches])
    assert sorted(index.tolist()) == list(range(10))
    assert torch.equal(torch.cat([batch.pixels for batch in batches]), pixels[index] / 255)


def test_the_same_generator_state_gives_the_same_epoch(pixels: Tensor) -> None:
    first, second = (ImageSource(pixels).epoch(Items(), 4, generator(5)) for _ in range(2))
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(first, second, strict=True))


def test_in_order_goes_through_the_images_as_they_are_numbered(pixels: Tensor) -> None:
    assert torch.cat([batch.index for batch in ImageSource(pixels).in_order(3)]).tolist() == list(range(10))


def test_a_subset_keeps_numbers_range_and_pixels(pixels: Tensor) -> None:
    source = ImageSource(pixels, value_range=(-1.0, 1.0), stored_range=(0, 255))
    batch, whole = next(source.subset(torch.tensor([8, 3])).in_order(10)), next(source.in_order(10))
    assert batch.index.tolist() == [3, 8]
    assert torch.equal(batch.pixels, whole.pixels[[3, 8]])


def test_a_subset_shares_the_pixels(pixels: Tensor) -> None:
    subset = ImageSource(pixels).subset(torch.tensor([3]))
    pixels[3] = 255
    assert next(subset.in_order(1)).pixels.min() == 1.0


def test_moving_keeps_the_range(pixels: Tensor) -> None:
    moved = ImageSource(pixels, value_range=(-1.0, 1.0)).to("cpu")
    assert moved.description.value_range == (-1.0, 1.0)


def test_the_digest_changes_with_the_pixels(pixels: Tensor) -> None:
    before = ImageSource(pixels).content_sha256()
    pixels[0, 0, 0, 0] ^= 1
    assert ImageSource(pixels).content_sha256() != before


def test_the_digest_changes_with_the_range(pixels: Tensor) -> None:
    assert ImageSource(pixels).content_sha256() != ImageSource(pixels, value_range=(-1.0, 1.0)).content_sha256()


def test_the_digest_changes_with_the_shape(pixels: Tensor) -> None:
    assert ImageSource(pixels).content_sha256() != ImageSource(pixels.reshape(10, 3, 5, 4)).content_sha256()


def test_the_digest_does_not_change_by_moving(pixels: Tensor) -> None:
    assert ImageSource(pixels).to("cpu").content_sha256() == ImageSource(pixels).content_sha256()


def test_pairs_of_images_are_refused(pixels: Tensor) -> None:
    with pytest.raises(UnfitError, match="Images cannot be drawn as 'pairs'"):
        ImageSource(pixels).epoch(TimePairs(), 4, generator())


@pytest.mark.parametrize("bad", [torch.zeros(2, 3, 4), torch.zeros(2, 1, 3, 3, dtype=torch.int64)])
def test_what_is_not_images_is_refused(bad: Tensor) -> None:
    with pytest.raises(UnfitError, match=r"pixels \[N, C, H, W\]"):
        ImageSource(bad)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_drawn_order_is_the_same_on_a_gpu(pixels: Tensor) -> None:
    here, there = ImageSource(pixels), ImageSource(pixels).to("cuda")
    for a, b in zip(here.epoch(Items(), 4, generator()), there.epoch(Items(), 4, generator()), strict=True):
        assert b.pixels.device.type == "cuda"
        assert torch.equal(a.pixels, b.pixels.cpu())
    assert there.content_sha256() == here.content_sha256()
