"""Data sets with parts of their own, on small stand-ins of the same layout, and on the real files where they are."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile

import numpy as np
import pytest
import torch

from harness import CorruptDataError, DataContext, Items, Options
from harness.data.files import data_roots
from harness_images import official, spec_data


def bytes_of(data):
    """Pixels of all samples as they were stored: [N, C, H, W] 0 to 255."""
    batches = list(data.inputs.in_order(1000))
    return ((torch.cat([batch.pixels for batch in batches]) + 1) * 127.5).round().byte().numpy()


def moments(pixels):
    """Mean and standard deviation of bytes, as parts of 255."""
    counts, values = np.bincount(pixels.ravel(), minlength=256), np.arange(256) / 255
    mean = np.average(values, weights=counts)
    return mean, np.sqrt(np.average((values - mean) ** 2, weights=counts))


def drawn(source):
    epoch = source.epoch(Items(), 2, torch.Generator().manual_seed(0))
    return {number for batch in epoch for number in batch.index.tolist()}


# -------------------------------------------------------------------------------------------------------- CIFAR-10


def binary_sha256(images, labels):
    """The digest of a batch as CIFAR's binary files have it, written out."""
    return hashlib.sha256(
        b"".join(bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True))
    ).hexdigest()


@pytest.fixture
def batches():
    """Three batches of two images [6, 3, 2, 2], their labels, and the digest of each."""
    images = np.random.default_rng(0).integers(0, 256, (6, 3, 2, 2), dtype=np.uint8)
    labels = np.array([1, 0, 2, 2, 0, 1])
    return images, labels, [binary_sha256(images[at : at + 2], labels[at : at + 2].tolist()) for at in (0, 2, 4)]


def test_the_official_order_is_left_as_it_is(batches):
    images, labels, digests = batches
    pixels, numbers = official.in_official_order(images, labels, digests)
    assert pixels is images
    assert numbers is labels


def test_batches_in_another_order_are_put_right(batches):
    images, labels, digests = batches
    order = [4, 5, 0, 1, 2, 3]
    pixels, numbers = official.in_official_order(images[order], labels[order], digests)
    assert np.array_equal(pixels, images)
    assert np.array_equal(numbers, labels)


def test_another_pixel_is_refused_and_the_batch_named(batches):
    images, labels, digests = batches
    images[3, 0, 0, 0] ^= 1
    with pytest.raises(CorruptDataError, match=r"Images 2 to 3 or their labels are not those of the official data set"):
        official.in_official_order(images, labels, digests)


def test_another_label_is_refused(batches):
    images, labels, digests = batches
    labels[5] = 2
    with pytest.raises(CorruptDataError, match="Images 4 to 5"):
        official.in_official_order(images, labels, digests)


def test_the_same_batch_twice_is_refused(batches):
    images, labels, digests = batches
    again = [0, 1, 0, 1, 4, 5]
    with pytest.raises(CorruptDataError, match="Images 2 to 3"):
        official.in_official_order(images[again], labels[again], digests)


def test_files_that_are_not_whole_are_refused(write_parquet, encoded, colours, tmp_path):
    pngs = [encoded(image) for image in colours(3, 32, 32)]
    files = {f"cifar10/{part}.parquet": write_parquet(f"{part}.parquet", pngs, {"label": [0, 1, 2]}) for part in ("train", "test")}
    with pytest.raises(CorruptDataError, match="There are 6 images where 60000 are expected"):
        official.build_cifar10(DataContext(files=files, cache=tmp_path), Options())


def test_files_of_the_hub_are_found_by_their_own_names(tmp_path):
    files = {path: tmp_path / path for path in spec_data.CIFAR10.recipe.elsewhere.files}
    assert official.place_of(files, "train") == tmp_path / "plain_text/train-00000-of-00001.parquet"
    assert official.place_of(files, "test") == tmp_path / "plain_text/test-00000-of-00001.parquet"


# ------------------------------------------------------------------------------------------- CIFAR-100, Tiny ImageNet


@pytest.fixture
def small(monkeypatch):
    """Lets the builders take the few images of a test: shapes and counts of the stand-in for those of the data set."""

    def shrink(samples, train):
        whole = official._decoded
        monkeypatch.setattr(official, "_decoded", lambda tables, shape: whole(tables, (samples, *shape[1:])))
        split = official.train_then_test
        monkeypatch.setattr(official, "train_then_test", lambda *_: split(train, samples))

    return shrink


def test_cifar100_has_fine_labels_and_coarse_factors(write_parquet, encoded, colours, tmp_path, small):
    small(samples=5, train=3)
    images = colours(5, 32, 32)
    features = {
        "fine_label": {"_type": "ClassLabel", "names": ["apple", "bear", "cup"]},
        "coarse_label": {"_type": "ClassLabel", "names": ["fruit", "animal"]},
    }
    files = {}
    for path, rows in zip(spec_data.CIFAR100.recipe.files, (slice(0, 3), slice(3, 5)), strict=True):
        numbers = {"fine_label": [0, 1, 2, 1, 0][rows], "coarse_label": [0, 1, 1, 1, 0][rows]}
        files[path] = write_parquet(path, [encoded(image) for image in images[rows]], numbers, column="img", features=features)
    data = official.build_cifar100(DataContext(files=files, cache=tmp_path), Options())
    assert np.array_equal(bytes_of(data), images.transpose(0, 3, 1, 2))
    assert data.annotations.labels.tolist() == [0, 1, 2, 1, 0]
    assert data.annotations.factors["coarse"].tolist() == [0, 1, 1, 1, 0]
    assert data.annotations.class_names == ("apple", "bear", "cup")
    assert data.annotations.splits["official-split"].test.tolist() == [3, 4]


def test_tiny_imagenet_is_judged_on_its_validation_part(write_parquet, encoded, colours, tmp_path, small):
    small(samples=4, train=2)
    images = colours(4, 64, 64)
    content = [encoded(image) for image in images]
    content[1] = encoded(images[1][:, :, 0])  # some are grey
    train, valid = spec_data.TINY_IMAGENET.recipe.files
    files = {
        train: write_parquet(train, content[:2], {"label": [0, 1]}),
        valid: write_parquet(valid, content[2:], {"label": [1, 0]}),
    }
    data = official.build_tiny_imagenet(DataContext(files=files, cache=tmp_path), Options())
    assert data.annotations.labels.tolist() == [0, 1, 1, 0]
    assert data.annotations.splits["official-split"].test.tolist() == [2, 3]
    assert np.array_equal(bytes_of(data)[1], np.stack([images[1][:, :, 0]] * 3))


# ------------------------------------------------------------------------------------------------------------ MNIST


def idx(array):
    """The idx form of an array of bytes, as http://yann.lecun.com/exdb/mnist describes it."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


@pytest.fixture
def write_idx(tmp_path):
    def write(name, content):
        (tmp_path / name).write_bytes(gzip.compress(content, mtime=0))
        return tmp_path / name

    return write


@pytest.mark.parametrize("shape", [(4,), (2, 3, 5)])
def test_idx_files_give_their_array(write_idx, shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(official.read_idx(write_idx("a.gz", idx(array))), array)


GOOD = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    "content", [b"", b"\0\0", GOOD[:-1], GOOD + b"x", GOOD[:7], b"\0\0\x0d" + GOOD[3:], b"\1" + GOOD[1:], b"\0\0\x08\0"]
)
def test_what_is_no_whole_idx_file_is_named(write_idx, content):
    with pytest.raises(CorruptDataError, match=r"a\.gz is not an idx file of bytes, or is not whole"):
        official.read_idx(write_idx("a.gz", content))


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(GOOD, mtime=0)[:-9], gzip.compress(GOOD, mtime=0)[:12] + b"\xff" * 20]
)
def test_what_cannot_be_unpacked_is_named(tmp_path, content):
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(CorruptDataError, match=r"a\.gz cannot be unpacked"):
        official.read_idx(tmp_path / "a.gz")


@pytest.mark.parametrize(
    ("spec", "build", "second"),
    [(spec_data.MNIST, official.build_mnist, "1"), (spec_data.FASHION_MNIST, official.build_fashion_mnist, "Trouser")],
)
def test_mnist_and_its_kin_are_read_from_their_four_files(write_idx, tmp_path, spec, build, second):
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    labels = np.array([1, 0, 9, 3, 1], dtype=np.uint8)
    files = {}
    for file in spec.recipe.files:
        name = file.path.rpartition("/")[2]
        rows = slice(0, 3) if name.startswith("train") else slice(3, 5)
        files[file.path] = write_idx(name, idx((images if "images" in name else labels)[rows]))
    data = build(DataContext(files=files, cache=tmp_path), Options())
    assert np.array_equal(bytes_of(data)[:, 0], images)
    assert data.annotations.labels.tolist() == [1, 0, 9, 3, 1]
    assert data.annotations.class_names[1] == second
    assert data.annotations.splits["official-split"].train.tolist() == [0, 1, 2]
    assert drawn(data.pretrain) <= {0, 1, 2}


# ----------------------------------------------------------------------------------------------------------- STL-10

PARTS = {"train": 2, "test": 3, "unlabeled": 4}
SIDE = 96


@pytest.fixture(scope="module")
def stl():
    """Nine images [9, 3, 96, 96] and labels of the first five, 0 to 9."""
    return np.random.default_rng(0).integers(0, 256, (9, 3, SIDE, SIDE), dtype=np.uint8), np.array([0, 9, 3, 3, 1])


@pytest.fixture
def write_stl(tmp_path, stl):
    """Writes the archive with the files in some order; images column by column, classes from 1 on."""

    def write(names, cut=None):
        images, labels = stl
        members = {
            "train_X": images[:2],
            "test_X": images[2:5],
            "unlabeled_X": images[5:],
            "train_y": labels[:2] + 1,
            "test_y": labels[2:] + 1,
        }
        path = tmp_path / "stl10_binary.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.addfile(tarfile.TarInfo("stl10_binary/class_names.txt"), io.BytesIO())
            for name in names:
                stored = members[name]
                content = (
                    b"".join(channel.T.tobytes() for image in stored for channel in image)
                    if "X" in name
                    else bytes(stored.tolist())
                )
                member = tarfile.TarInfo(f"stl10_binary/{name}.bin")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        if cut:
            path.write_bytes(path.read_bytes()[:cut])
        return path

    return write


ORDERS = [["train_X", "train_y", "test_X", "test_y", "unlabeled_X"], ["unlabeled_X", "test_y", "test_X", "train_y", "train_X"]]


@pytest.mark.parametrize("order", ORDERS)
def test_the_archive_of_stl10_is_read_whichever_way_it_is_packed(write_stl, stl, order):
    arrays = official.read_stl10(write_stl(order), PARTS, SIDE)
    assert np.array_equal(arrays["pixels"], stl[0])
    assert arrays["labels"].tolist() == stl[1].tolist()


@pytest.mark.parametrize("cut", [100, 20_000])
def test_an_archive_that_is_cut_short_is_named(write_stl, cut):
    with pytest.raises(CorruptDataError, match=r"stl10_binary\.tar\.gz cannot be unpacked"):
        official.read_stl10(write_stl(ORDERS[0], cut), PARTS, SIDE)


def test_an_archive_with_fewer_images_is_refused(write_stl):
    with pytest.raises(CorruptDataError, match="cannot be unpacked"):
        official.read_stl10(write_stl(ORDERS[0]), {**PARTS, "unlabeled": 7}, SIDE)


@pytest.fixture
def stl10(write_stl, tmp_path, monkeypatch):
    monkeypatch.setattr(official, "STL10_PARTS", PARTS)
    files = {"stl10/stl10_binary.tar.gz": write_stl(ORDERS[0])}
    return official.build_stl10(DataContext(files=files, cache=tmp_path), Options())


def test_stl10_judges_labelled_images_only(stl10):
    assert stl10.inputs.description.samples == len(stl10.annotations.labels) == 5
    assert stl10.annotations.splits["official-split"].test.tolist() == [2, 3, 4]


def test_stl10_is_the_middle_of_its_images_where_it_is_judged(stl10, stl):
    assert stl10.inputs.description.shape == spec_data.STL10.shape == (3, 64, 64)
    assert np.array_equal(bytes_of(stl10), stl[0][:5, :, 16:80, 16:80])


def test_stl10_trains_on_the_training_part_and_on_images_without_labels_that_are_numbered_after_the_others(stl10):
    assert stl10.pretrain.index.tolist() == [0, 1, 5, 6, 7, 8]


def test_what_learns_from_labels_sees_the_training_part_of_stl10(stl10):
    assert drawn(stl10.labelled) == {0, 1}


def test_training_cuts_and_mirrors_at_random(stl10, stl):
    epoch = stl10.pretrain.epoch(Items(), 6, torch.Generator().manual_seed(0))
    batch = epoch[0]
    assert batch.pixels.shape == (6, 3, 64, 64)
    for number, pixels in zip(batch.index.tolist(), ((batch.pixels + 1) * 127.5).round().byte().numpy(), strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(stl[0][number, 0], (64, 64))
        assert any((windows == view).all(axis=(2, 3)).any() for view in (pixels[0], pixels[0, :, ::-1]))


# ----------------------------------------------------------------------------------------------------- the real data


def built(spec, build, cache):
    roots = data_roots(os.environ)
    files = {
        file.path: next((root / file.path for root in roots if (root / file.path).is_file()), None) for file in spec.recipe.files
    }
    if None in files.values():
        pytest.skip(f"{spec.name} is under no root of HARNESS_DATA")
    return build(DataContext(files=files, cache=cache), Options())


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory):
    return built(spec_data.CIFAR10, official.build_cifar10, tmp_path_factory.mktemp("cifar10"))


BINARY_MD5 = [
    "5dd7e06a14cb22eb9f671a540d1b7c25", "5ea93a67294ea407fff1d09f752e9692", "942cd6a4bcdd0dd3c604fbe906cb4421",
    "ae636b3ba5c66a11e91e8cb52e771fcb", "53f37980c15c3d472c316c40844f3f0d", "803d5f7f4d78ea53de84dbe85f74fb6d",
]  # fmt: skip
"""Published md5 of data_batch_1.bin to data_batch_5.bin and test_batch.bin, by others than published their sha256."""


@pytest.mark.slow
@pytest.mark.needs_data
def test_the_real_cifar10_is_byte_for_byte_that_of_the_binary_batches(cifar10):
    pixels, labels = bytes_of(cifar10), cifar10.annotations.labels
    for number, md5 in enumerate(BINARY_MD5):
        rows = slice(10_000 * number, 10_000 * (number + 1))
        content = np.column_stack([labels[rows].astype(np.uint8), pixels[rows].reshape(10_000, -1)])
        assert hashlib.md5(content.tobytes()).hexdigest() == md5


@pytest.mark.slow
@pytest.mark.needs_data
def test_mean_and_deviation_of_the_real_cifar10_are_the_known_ones(cifar10):
    pixels = bytes_of(cifar10)[:50_000]
    mean, deviation = zip(*(moments(pixels[:, channel]) for channel in range(3)), strict=True)
    assert mean == pytest.approx([0.49139968, 0.48215841, 0.44653091], abs=1e-8)
    assert deviation == pytest.approx([0.24703223, 0.24348513, 0.26158784], abs=1e-8)


@pytest.mark.slow
@pytest.mark.needs_data
def test_the_real_cifar10_is_what_its_spec_says(cifar10):
    description = cifar10.inputs.description
    assert (description.shape, description.samples) == (spec_data.CIFAR10.shape, spec_data.CIFAR10.samples)
    assert np.bincount(cifar10.annotations.labels[:50_000]).tolist() == [5_000] * 10
    assert cifar10.annotations.class_names[6] == "frog"
    assert cifar10.annotations.labels[0] == 6


@pytest.mark.slow
@pytest.mark.needs_data
@pytest.mark.parametrize(
    ("spec", "build", "known"),
    [
        (spec_data.MNIST, official.build_mnist, (0.1307, 0.3081)),
        (spec_data.FASHION_MNIST, official.build_fashion_mnist, (0.2860, 0.3530)),
    ],
)
def test_mean_and_deviation_of_the_real_mnist_and_its_kin_are_the_known_ones(spec, build, known, tmp_path):
    data = built(spec, build, tmp_path)
    assert moments(bytes_of(data)[:60_000]) == pytest.approx(known, abs=1e-4)
    assert (data.inputs.description.shape, data.inputs.description.samples) == (spec.shape, spec.samples)
