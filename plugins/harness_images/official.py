"""Data sets that come with a training and a test part of their own."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from harness import Annotations, CorruptDataError, DataContext, DataSet, ImageSource, Options, decoded_arrays
from harness_images.decoding import decode_into
from harness_images.parquet import ImageTable, images_of, numbers_of
from harness_images.spec_data import OFFICIAL_SPLIT
from harness_images.splits import VALUE_RANGE, inductive, train_then_test

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


def place_of(files: Mapping[str, Path], start: str) -> Path:
    """The file whose own name begins with `start`, in whichever folder it came."""
    return next(place for path, place in files.items() if path.rpartition("/")[2].startswith(start))


# ---------------------------------------------------------------------------------------------- CIFAR, Tiny ImageNet

CIFAR10_BATCHES = (
    "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
)
"""Published sha256 of data_batch_1.bin to data_batch_5.bin and test_batch.bin of cifar-10-binary.tar.gz."""


def build_cifar10(context: DataContext, options: Options) -> DataSet:
    """Images [60000, 3, 32, 32]: the five training batches and the test batch, in the order of the official files.

    Raises CorruptDataError when a file cannot be read, or holds other images or labels than the official ones.
    """
    tables = [ImageTable(place_of(context.files, part)) for part in ("train", "test")]

    def make() -> dict[str, NDArray[Any]]:
        pixels = _decoded(tables, (60_000, 3, 32, 32))
        pixels, labels = in_official_order(pixels, numbers_of(tables, "label"), CIFAR10_BATCHES)
        return {"pixels": pixels, "labels": labels}

    arrays = decoded_arrays(context.cache, "images", make)
    splits = {OFFICIAL_SPLIT.name: train_then_test(50_000, 60_000)}
    return inductive(arrays["pixels"], arrays["labels"], splits, class_names=tables[0].class_names("label"))


def in_official_order(pixels: Pixels, labels: Labels, batches: Sequence[str]) -> tuple[Pixels, Labels]:
    """The images [N, C, H, W] and labels [N] with their batches put in the order of `batches`, the sha256 of each.

    A batch is digested as CIFAR's binary files store it: of each image its label in one byte, then its pixels. So files that encode
    images otherwise, or hold the batches in another order, are known to have the very same content.

    Raises CorruptDataError when they have not.
    """
    size = len(labels) // len(batches)
    rows = np.arange(len(labels)).reshape(len(batches), size)
    found = [_binary_sha256(pixels[batch], labels[batch]) for batch in rows]
    if sorted(found) != sorted(batches):
        first = next(number for number, digest in enumerate(found) if digest not in batches or digest in found[:number])
        raise CorruptDataError(
            f"Images {rows[first][0]} to {rows[first][-1]} or their labels are not those of the official data set (sha256 "
            f"{found[first][:12]} as a binary batch); remove the Parquet files and fetch them again."
        )
    if found == list(batches):
        return pixels, labels
    order = np.concatenate([rows[found.index(digest)] for digest in batches])
    return pixels[order], labels[order]


def _binary_sha256(pixels: Pixels, labels: Labels) -> str:
    return hashlib.sha256(np.column_stack([labels.astype(np.uint8), pixels.reshape(len(pixels), -1)]).tobytes()).hexdigest()


def build_cifar100(context: DataContext, options: Options) -> DataSet:
    """Images [60000, 3, 32, 32] with 100 classes; the factor "coarse" is the number of the superclass, 0 to 19."""
    tables = [ImageTable(place_of(context.files, part)) for part in ("train", "test")]

    def make() -> dict[str, NDArray[Any]]:
        columns = {"labels": "fine_label", "coarse": "coarse_label"}
        numbers = {name: numbers_of(tables, column) for name, column in columns.items()}
        return {"pixels": _decoded(tables, (60_000, 3, 32, 32)), **numbers}

    arrays = decoded_arrays(context.cache, "images", make)
    return inductive(
        arrays["pixels"],
        arrays["labels"],
        {OFFICIAL_SPLIT.name: train_then_test(50_000, 60_000)},
        class_names=tables[0].class_names("fine_label"),
        factors={"coarse": arrays["coarse"]},
    )


def build_tiny_imagenet(context: DataContext, options: Options) -> DataSet:
    """Images [110000, 3, 64, 64]; grey ones have three equal channels.

    The test part is the official validation part, since the labels of the official test part are not public.
    """
    tables = [ImageTable(place_of(context.files, part)) for part in ("train", "valid")]

    def make() -> dict[str, NDArray[Any]]:
        return {"pixels": _decoded(tables, (110_000, 3, 64, 64)), "labels": numbers_of(tables, "label")}

    arrays = decoded_arrays(context.cache, "images", make)
    splits = {OFFICIAL_SPLIT.name: train_then_test(100_000, 110_000)}
    return inductive(arrays["pixels"], arrays["labels"], splits, class_names=tables[0].class_names("label"))


def _decoded(tables: Sequence[ImageTable], shape: tuple[int, int, int, int]) -> Pixels:
    pixels = np.empty(shape, dtype=np.uint8)
    decode_into(pixels, images_of(tables))
    return pixels


# ------------------------------------------------------------------------------------------------ MNIST and its kin

MNIST_CLASSES = tuple("0123456789")
FASHION_CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
UNSIGNED_BYTES = 8  # the idx format's code of a type


def build_mnist(context: DataContext, options: Options) -> DataSet:
    """Images [70000, 1, 28, 28] of digits, 60,000 for training."""
    return _from_idx(context.files, MNIST_CLASSES)


def build_fashion_mnist(context: DataContext, options: Options) -> DataSet:
    """Images [70000, 1, 28, 28] of clothes, 60,000 for training."""
    return _from_idx(context.files, FASHION_CLASSES)


def _from_idx(files: Mapping[str, Path], class_names: tuple[str, ...]) -> DataSet:
    pixels = [read_idx(place_of(files, f"{part}-images")) for part in ("train", "t10k")]
    labels = [read_idx(place_of(files, f"{part}-labels")) for part in ("train", "t10k")]
    splits = {OFFICIAL_SPLIT.name: train_then_test(len(pixels[0]), len(pixels[0]) + len(pixels[1]))}
    return inductive(np.concatenate(pixels)[:, None], np.concatenate(labels).astype(np.int64), splits, class_names=class_names)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An array of bytes from a gzipped idx file: two zeros, the type, the number of axes, their lengths (big-endian), the values.

    Raises CorruptDataError when the file is something else.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CorruptDataError(f"{path} cannot be unpacked ({type(error).__name__}); fetch it again.") from None
    axes = content[3] if len(content) > 3 else 0
    shape = np.frombuffer(content, dtype=">u4", count=axes, offset=4) if len(content) >= 4 + 4 * axes else np.zeros(0, int)
    values = np.frombuffer(content, dtype=np.uint8)[4 + 4 * axes :]
    if content[:3] != bytes([0, 0, UNSIGNED_BYTES]) or not axes or values.size != np.prod(shape.astype(np.int64)):
        raise CorruptDataError(f"{path} is not an idx file of bytes, or is not whole; fetch it again.")
    return values.reshape(shape)


# ------------------------------------------------------------------------------------------------------------ STL-10

STL10_PARTS = {"train": 5_000, "test": 8_000, "unlabeled": 100_000}
STL10_SIDE, STL10_CROP = 96, 64


def build_stl10(context: DataContext, options: Options) -> DataSet:
    """Images of 96x96 pixels cut to 64x64: 5,000 to train on, 8,000 to test, and 100,000 without labels, which only training sees.

    While training, cut and mirrored at random; else the middle is cut out.
    """
    archive = place_of(context.files, "stl10_binary")
    arrays = decoded_arrays(context.cache, "images", lambda: read_stl10(archive, STL10_PARTS, STL10_SIDE))
    judged = STL10_PARTS["train"] + STL10_PARTS["test"]
    splits = train_then_test(STL10_PARTS["train"], judged)

    def source(pixels: Pixels) -> ImageSource:
        return ImageSource(pixels, value_range=VALUE_RANGE, crop=STL10_CROP, flip=True)

    inputs, everything = source(arrays["pixels"][:judged]), source(arrays["pixels"])
    return DataSet(
        inputs=inputs,
        annotations=Annotations(
            splits={OFFICIAL_SPLIT.name: splits},
            labels=arrays["labels"],
            class_names=("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
        ),
        pretrain=everything.subset(np.concatenate([splits.train, np.arange(judged, len(arrays["pixels"]))])),
        labelled=inputs.subset(splits.train),
    )


def read_stl10(archive: Path, parts: Mapping[str, int], side: int) -> dict[str, NDArray[Any]]:
    """Of the official archive, pixels [N, 3, side, side] of all parts, and labels [n] of those that have any.

    The files store each channel column by column, and classes from 1 on. Raises CorruptDataError.
    """
    starts = dict(zip(parts, np.cumsum([0, *parts.values()]).tolist(), strict=False))
    pixels = np.empty((sum(parts.values()), 3, side, side), dtype=np.uint8)
    labels: dict[str, Labels] = {}
    try:
        with tarfile.open(archive, "r|gz") as members:  # as a stream: a member is found again only by unpacking all before it
            for member in members:
                part, _, kind = Path(member.name).stem.rpartition("_")
                stream = members.extractfile(member)
                if stream is None or part not in parts:
                    continue
                if kind == "X":
                    _read_columns(stream, pixels[starts[part] : starts[part] + parts[part]])
                elif kind == "y":
                    labels[part] = np.frombuffer(stream.read(), dtype=np.uint8).astype(np.int64) - 1
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError) as error:
        raise CorruptDataError(f"{archive} cannot be unpacked ({type(error).__name__}); fetch it again.") from None
    return {"pixels": pixels, "labels": np.concatenate([labels[part] for part in parts if part in labels])}


def _read_columns(stream: IO[bytes], pixels: Pixels, chunk: int = 500) -> None:
    """Fill `pixels` [n, 3, H, W] from a stream that holds each channel column by column. Raises ValueError when it ends early."""
    for start in range(0, len(pixels), chunk):
        part = pixels[start : start + chunk]
        stored = np.frombuffer(stream.read(part.size), dtype=np.uint8).reshape(-1, 3, *part.shape[:1:-1])
        part[:] = stored.transpose(0, 1, 3, 2)
