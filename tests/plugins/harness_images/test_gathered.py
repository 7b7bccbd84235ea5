"""Images of a folder or of the hub."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from harness import CorruptDataError, DataContext, Items, UnfitError
from harness_images.families import resolve_folder
from harness_images.gathered import build_folder, build_hub
from harness_images.spec_data import SizeOptions


@pytest.fixture
def folder(write_images, tmp_path):
    """Builds the data set of images by path."""

    def build(images, **options):
        place = write_images(images)
        files = {file.path: place / file.path for file in resolve_folder(str(place)).recipe.files}
        return build_folder(DataContext(files=files, cache=tmp_path / "cache"), SizeOptions(**options))

    return build


def pixels_of(data):
    [batch] = data.inputs.in_order(1000)
    return ((batch.pixels + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def drawn(source):
    epoch = source.epoch(Items(), 2, torch.Generator().manual_seed(0))
    return {number for batch in epoch for number in batch.index.tolist()}


# ----------------------------------------------------------------------------------------------------------- folders


def test_parts_come_one_after_another_each_in_the_order_of_its_paths(folder, colours):
    images = colours(4)
    data = folder({"test/a/1.png": images[3], "train/b/1.png": images[2], "train/a/2.png": images[1], "train/a/1.png": images[0]})
    assert np.array_equal(pixels_of(data), images)
    assert data.annotations.labels.tolist() == [0, 0, 1, 0]
    assert data.annotations.class_names == ("a", "b")
    splits = data.annotations.splits["official-split"]
    assert (splits.train.tolist(), splits.test.tolist(), splits.validation) == ([0, 1, 2], [3], None)


def test_a_validation_part_beside_a_test_part_is_kept(folder, colours):
    images = colours(4)
    data = folder({"train/1.png": images[0], "train/2.png": images[1], "val/1.png": images[2], "test/1.png": images[3]})
    splits = data.annotations.splits["official-split"]
    assert (splits.train.tolist(), splits.validation.tolist(), splits.test.tolist()) == ([0, 1], [2], [3])


def test_training_sees_the_training_part_only(folder, colours):
    images = colours(4)
    data = folder({f"train/{k}.png": images[k] for k in range(3)} | {"test/3.png": images[3]})
    assert drawn(data.pretrain) <= {0, 1, 2}


def by_class(images):
    return {f"{'ab'[k % 2]}/{k}.png": image for k, image in enumerate(images)}


def test_without_a_test_part_a_fifth_of_every_class_is_drawn(folder, colours):
    data = folder(by_class(colours(20)))
    splits = data.annotations.splits["drawn-split"]
    assert sorted([*splits.train, *splits.test]) == list(range(20))
    assert np.bincount(data.annotations.labels[splits.test]).tolist() == [2, 2]


def test_the_draw_depends_on_the_files_and_on_nothing_else(folder, colours):
    def test_part(data):
        return data.annotations.splits["drawn-split"].test.tolist()

    images = by_class(colours(20))
    before = test_part(folder(images))
    assert test_part(folder(images, size=4)) == before
    changed = [test_part(folder(images | {"a/0.png": colours(1, seed=seed)[0]})) for seed in (1, 2, 3)]
    assert any(part != before for part in changed)


def test_images_without_classes_have_no_labels_and_are_split_too(folder, colours):
    data = folder({f"{k}.png": image for k, image in enumerate(colours(10))})
    assert data.annotations.labels is None
    assert len(data.annotations.splits["drawn-split"].test) == 2


def test_too_few_images_to_split_are_an_error(folder, colours):
    with pytest.raises(UnfitError, match="4 images are too few"):
        folder({f"{k}.png": image for k, image in enumerate(colours(4))})


def test_all_grey_images_have_one_channel(folder, colours):
    images = colours(5)[:, :, :, 0]
    data = folder({f"{k}.png": image for k, image in enumerate(images)})
    assert data.inputs.description.shape == (1, 8, 8)
    assert np.array_equal(pixels_of(data)[..., 0], images)


def test_images_of_different_sizes_are_an_error_that_names_the_first(folder, colours):
    images = dict(enumerate(colours(5))) | {3: colours(1, 9, 9)[0]}
    with pytest.raises(CorruptDataError, match=r"3\.png has 9x9 pixels and the first image has 8x8; .*data\.size=N"):
        folder({f"{k}.png": image for k, image in images.items()})


def test_the_option_size_makes_them_fit(folder, colours):
    images = dict(enumerate(colours(5))) | {3: colours(1, 9, 12)[0]}
    data = folder({f"{k}.png": image for k, image in images.items()}, size=6)
    assert data.inputs.description.shape == (3, 6, 6)


def test_sizes_do_not_share_a_cache(folder, colours):
    images = {f"{k}.png": image for k, image in enumerate(colours(5))}
    shapes = [folder(images, size=size).inputs.description.shape for size in (4, None, 6, 4)]
    assert shapes == [(3, 4, 4), (3, 8, 8), (3, 6, 6), (3, 4, 4)]


def test_a_damaged_image_is_named_by_its_path(folder, encoded, colours):
    images = {f"{k}.png": image for k, image in enumerate(colours(5))}
    with pytest.raises(CorruptDataError, match=r"3\.png is not an image that can be read"):
        folder(images | {"3.png": encoded(colours(1)[0])[:80]})


# --------------------------------------------------------------------------------------------------------------- hub

FEATURES = {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}


@pytest.fixture
def hub(write_parquet, encoded, tmp_path):
    """Builds the data set of Parquet files: images and labels by path."""

    def build(files, **options):
        places = {
            path: write_parquet(path, [encoded(image) for image in images], {"label": labels}, features=FEATURES)
            for path, (images, labels) in files.items()
        }
        return build_hub(DataContext(files=places, cache=tmp_path / "cache"), SizeOptions(**options))

    return build


def test_files_of_the_hub_come_part_by_part_in_the_order_of_their_rows(hub, colours):
    images = colours(5)
    data = hub(
        {
            "d/test-0.parquet": (images[4:], [1]),
            "d/train-1.parquet": (images[3:4], [0]),
            "d/train-0.parquet": (images[:3], [1, 0, 0]),
        }
    )
    assert np.array_equal(pixels_of(data), images)
    assert data.annotations.labels.tolist() == [1, 0, 0, 0, 1]
    assert data.annotations.class_names == ("cat", "dog")
    assert data.annotations.splits["official-split"].test.tolist() == [4]


def test_the_hub_s_validation_part_beside_a_test_part_is_kept(hub, colours):
    images = colours(4)
    data = hub(
        {"train-0.parquet": (images[:2], [0, 1]), "valid-0.parquet": (images[2:3], [0]), "test-0.parquet": (images[3:], [1])}
    )
    assert data.annotations.splits["official-split"].validation.tolist() == [2]


def test_a_test_part_whose_labels_are_withheld_gives_way_to_the_validation_part(hub, colours):
    images = colours(4)
    data = hub(
        {"train-0.parquet": (images[:2], [0, 1]), "valid-0.parquet": (images[2:3], [0]), "test-0.parquet": (images[3:], [-1])}
    )
    splits = data.annotations.splits["official-split"]
    assert (splits.test.tolist(), splits.validation) == ([2], None)


def test_a_test_part_without_labels_and_nothing_instead_is_an_error(hub, colours):
    images = colours(4)
    with pytest.raises(CorruptDataError, match="No image of the test part has a label"):
        hub({"train-0.parquet": (images[:2], [0, 1]), "test-0.parquet": (images[2:], [-1, -1])})


def test_one_file_without_parts_is_split_by_its_digest(hub, colours, tmp_path):
    images = colours(10)
    data = hub({"0.parquet": (images, [0, 1] * 5)})
    assert np.bincount(data.annotations.labels[data.annotations.splits["drawn-split"].test]).tolist() == [1, 1]


def test_images_of_the_hub_are_brought_to_a_size(hub, colours):
    data = hub({"0.parquet": (list(colours(3)) + list(colours(3, 9, 9)), [0, 1] * 3)}, size=4)
    assert data.inputs.description.shape == (3, 4, 4)


def test_a_file_is_decoded_once(hub, colours, tmp_path, monkeypatch):
    files = {"0.parquet": (colours(6), [0, 1] * 3)}
    before = pixels_of(hub(files))
    monkeypatch.setattr("harness_images.gathered.decode_into", None)
    assert np.array_equal(pixels_of(hub(files)), before)


def test_a_damaged_image_is_named_by_its_row(write_parquet, encoded, colours, tmp_path):
    images = [encoded(image) for image in colours(6)]
    images[4] = images[4][:60]
    path = write_parquet("0.parquet", images, {"label": [0, 1] * 3}, features=FEATURES)
    with pytest.raises(CorruptDataError, match=r"The image in row 4 of .*0\.parquet is not an image that can be read"):
        build_hub(DataContext(files={"0.parquet": path}, cache=tmp_path / "cache"), SizeOptions())


def test_no_column_of_classes_is_an_error(write_parquet, encoded, colours, tmp_path):
    path = write_parquet("0.parquet", [encoded(image) for image in colours(6)])
    with pytest.raises(CorruptDataError, match=r"0\.parquet has no column of class labels; it has image"):
        build_hub(DataContext(files={"0.parquet": path}, cache=tmp_path / "cache"), SizeOptions())


def test_the_digest_that_splits_is_of_the_files(hub, colours, tmp_path):
    from harness_images.splits import files_sha256, holdout

    data = hub({"0.parquet": (colours(10), [0, 1] * 5)})
    digest = hashlib.sha256((tmp_path / "0.parquet").read_bytes()).hexdigest()
    seed = hashlib.sha256(f"0.parquet\n{digest}\n".encode()).hexdigest()
    assert files_sha256({"0.parquet": tmp_path / "0.parquet"}) == seed
    assert data.annotations.splits["drawn-split"].test.tolist() == holdout(data.annotations.labels, 2, seed).test.tolist()
