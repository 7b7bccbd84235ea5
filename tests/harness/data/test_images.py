"""Images held in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.contracts.batches import Images
from harness.contracts.sources import Description, Items, TimePairs
from harness.data.epochs import shuffled
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


# ------------------------------------------------------------------------------------------------- crops and flips


def views(stored: Tensor, seen: Tensor) -> list[tuple[int, int, bool]]:
    """Every (top, left, flipped) for which `seen` [C, h, w] is that view of the image `stored` [C, H, W]."""
    high, wide = seen.shape[1:]
    return [
        (top, left, flipped)
        for top in range(stored.shape[1] - high + 1)
        for left in range(stored.shape[2] - wide + 1)
        for flipped in (False, True)
        if torch.equal(seen.flip(-1) if flipped else seen, stored[:, top : top + high, left : left + wide])
    ]


@pytest.fixture
def many() -> Tensor:
    return torch.randint(0, 256, (60, 2, 6, 7), dtype=torch.uint8, generator=generator()).float()


def test_the_description_of_a_cropped_source_has_the_crops_shape(pixels: Tensor) -> None:
    assert ImageSource(pixels, crop=3).description.shape == (3, 3, 3)


@pytest.mark.parametrize("crop", [None, 4, 6])
@pytest.mark.parametrize("flip", [False, True])
def test_an_epoch_has_one_view_of_every_image(many: Tensor, crop: int | None, flip: bool) -> None:
    batches = list(ImageSource(many, crop=crop, flip=flip).epoch(Items(), 16, generator()))
    index = torch.cat([batch.index for batch in batches])
    assert sorted(index.tolist()) == list(range(60))
    seen = torch.cat([batch.pixels for batch in batches])
    found = [views(many[i], x) for i, x in zip(index, seen, strict=True)]
    assert all(len(one) == 1 for one in found)
    assert {one[0][2] for one in found} == ({False, True} if flip else {False})


def test_each_image_of_a_batch_has_its_own_crop(many: Tensor) -> None:
    batch = ImageSource(many, crop=4).epoch(Items(), 60, generator())[0]
    places = {views(many[i], x)[0][:2] for i, x in zip(batch.index, batch.pixels, strict=True)}
    assert places == {(top, left) for top in range(3) for left in range(4)}


def test_a_batch_is_the_same_each_time_it_is_asked_for(many: Tensor) -> None:
    epoch = ImageSource(many, crop=4, flip=True).epoch(Items(), 16, generator())
    forwards = [epoch[position].pixels for position in range(4)]
    backwards = [epoch[position].pixels for position in (3, 2, 1, 0)]
    assert all(torch.equal(a, b) for a, b in zip(forwards, reversed(backwards), strict=True))


def test_the_same_generator_state_gives_the_same_views(many: Tensor) -> None:
    first, second = (ImageSource(many, crop=4, flip=True).epoch(Items(), 16, generator(5)) for _ in range(2))
    assert torch.equal(first[2].pixels, second[2].pixels)


def test_the_next_epoch_has_other_views(many: Tensor) -> None:
    source, drawing = ImageSource(many, crop=4), generator()
    seen = []
    for _ in range(2):
        batch = source.epoch(Items(), 60, drawing)[0]
        seen.append(batch.pixels[batch.index.argsort()])
    assert not torch.equal(*seen)


@pytest.mark.parametrize("views", [{}, {"crop": 4}, {"flip": True}])
def test_views_do_not_change_the_order(many: Tensor, views: dict[str, int]) -> None:
    batch = ImageSource(many, **views).epoch(Items(), 60, generator(3))[0]
    assert torch.equal(batch.index, shuffled(torch.arange(60), generator(3)))


def test_without_views_only_the_order_is_drawn(many: Tensor) -> None:
    one, other = generator(), generator()
    ImageSource(many).epoch(Items(), 16, one)
    torch.randperm(60, generator=other)
    assert torch.equal(one.get_state(), other.get_state())


def test_in_order_gives_the_centre_crops_unmirrored(many: Tensor) -> None:
    batch = next(ImageSource(many, crop=4, flip=True).in_order(60))
    assert torch.equal(batch.pixels, many[:, :, 1:5, 1:5])


def test_crops_of_bytes_are_delivered_in_the_stated_range(pixels: Tensor) -> None:
    batch = ImageSource(pixels, crop=3, value_range=(-1.0, 1.0)).epoch(Items(), 10, generator())[0]
    assert batch.pixels.dtype == torch.float32
    assert batch.pixels.min() >= -1.0
    assert batch.pixels.min() < 0.0


def test_subsets_and_moved_sources_have_the_same_views(many: Tensor) -> None:
    source = ImageSource(many, crop=4, flip=True)
    for other in (source.subset(torch.arange(60)), source.to("cpu")):
        assert other.description == source.description
        assert torch.equal(other.epoch(Items(), 16, generator())[0].pixels, source.epoch(Items(), 16, generator())[0].pixels)


def test_the_digest_changes_with_the_views(pixels: Tensor) -> None:
    sources = [ImageSource(pixels, crop=crop, flip=flip) for crop in (None, 3, 4) for flip in (False, True)]
    assert len({source.content_sha256() for source in sources}) == 6


@pytest.mark.parametrize("crop", [0, -1, 5])
def test_a_crop_that_does_not_fit_the_images_is_refused(pixels: Tensor, crop: int) -> None:
    with pytest.raises(UnfitError, match=f"Images of 4 x 5 cannot be cropped to {crop} x {crop}"):
        ImageSource(pixels, crop=crop)


# ------------------------------------------------------------------------------------------- memory-mapped arrays


@pytest.mark.parametrize("mode", ["r", "c"])
def test_a_mapped_array_is_used_where_it_lies(pixels: Tensor, tmp_path: Path, mode: str) -> None:
    np.save(tmp_path / "pixels.npy", pixels.numpy())
    mapped = ImageSource(np.load(tmp_path / "pixels.npy", mmap_mode=mode), crop=3, flip=True)
    held = ImageSource(pixels, crop=3, flip=True)
    assert torch.equal(next(mapped.in_order(10)).pixels, next(held.in_order(10)).pixels)
    assert torch.equal(mapped.epoch(Items(), 5, generator())[1].pixels, held.epoch(Items(), 5, generator())[1].pixels)
    assert mapped.subset(np.array([2, 7])).content_sha256() == held.subset(np.array([2, 7])).content_sha256()


def test_an_array_is_shared(pixels: Tensor) -> None:
    array = pixels.numpy().copy()
    source = ImageSource(array)
    array[:] = 255
    assert next(source.in_order(10)).pixels.min() == 1.0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("views", [{}, {"crop": 3}, {"crop": 3, "flip": True}])
def test_the_drawn_order_and_views_are_the_same_on_a_gpu(pixels: Tensor, views: dict[str, int]) -> None:
    here, there = ImageSource(pixels, **views), ImageSource(pixels, **views).to("cuda")
    for a, b in zip(here.epoch(Items(), 4, generator()), there.epoch(Items(), 4, generator()), strict=True):
        assert b.pixels.device.type == "cuda"
        assert torch.equal(a.pixels, b.pixels.cpu())
    assert there.content_sha256() == here.content_sha256()
