"""Images of a folder or of a repository of the hub, of which nothing is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import CorruptDataError, DataContext, DataSet, Splits, UnfitError, decoded_arrays
from harness_images.decoding import Named, decode_into, survey
from harness_images.families import folder_layout, hub_layout
from harness_images.parquet import ImageTable, images_of, numbers_of
from harness_images.spec_data import DRAWN_SPLIT, OFFICIAL_SPLIT, SizeOptions
from harness_images.splits import files_sha256, holdout, inductive

HELD_OUT = 5
"""One of so many samples is held out where there is no test part."""


def build_folder(context: DataContext, options: SizeOptions) -> DataSet:
    """The images [N, C, H, W] of a folder, part by part and in alphabetical order; see `folder_layout`.

    Raises CorruptDataError naming an image that cannot be decoded or, without the option `size`, has another size than the first.
    """
    layout = folder_layout(context.files)
    named = [(str(context.files[path]), context.files[path]) for path in layout.files]
    numbers = {name: number for number, name in enumerate(layout.classes)}
    labels = np.array([numbers[layout.class_of[path]] for path in layout.files], dtype=np.int64) if numbers else None
    parts = {part: len(paths) for part, paths in layout.parts.items()}
    return _data_set(context, options, lambda: named, parts, labels, layout.classes)


def build_hub(context: DataContext, options: SizeOptions) -> DataSet:
    """The images [N, C, H, W] of Parquet files, part by part and in the files' order; see `hub_layout`.

    Raises CorruptDataError naming a file that cannot be read, or has no column of images or of classes, or an image as above.
    """
    layout = hub_layout("", context.files)
    tables = {part: [ImageTable(context.files[path]) for path in paths] for part, paths in layout.parts.items()}
    every = [table for part in tables.values() for table in part]
    column = every[0].label_column()
    labels = numbers_of(every, column)
    parts = {part: sum(map(len, held)) for part, held in tables.items()}
    return _data_set(context, options, lambda: images_of(every), parts, labels, every[0].class_names(column))


def _data_set(
    context: DataContext,
    options: SizeOptions,
    images: Callable[[], Iterable[Named]],
    parts: Mapping[str, int],
    labels: NDArray[np.int64] | None,
    class_names: tuple[str, ...],
) -> DataSet:
    """A data set under the one protocol that its parts fit.

    :param images: gives all images, part by part; called for each pass over them.
    :param parts: the number of images of "train", and of "validation" and "test" where they exist.
    """
    samples = sum(parts.values())

    def make() -> dict[str, NDArray[Any]]:
        pixels = np.empty((samples, *survey(images(), options.size)), dtype=np.uint8)
        decode_into(pixels, images(), resize=options.size is not None)
        return {"pixels": pixels}

    name, splits = (
        (OFFICIAL_SPLIT.name, _own(parts, labels)) if "test" in parts else (DRAWN_SPLIT.name, _drawn(context, labels, samples))
    )
    pixels = decoded_arrays(context.cache, f"images-{options.size or 'as-they-are'}", make)["pixels"]
    return inductive(pixels, labels, {name: splits}, class_names=class_names)


def _drawn(context: DataContext, labels: NDArray[np.int64] | None, samples: int) -> Splits:
    """A fifth held out by the digest of the files; unknown labels count as a class."""
    if samples < HELD_OUT:
        raise UnfitError(f"{samples} images are too few to hold out a fifth of them; add images, or a test part of their own.")
    strata = np.zeros(samples, dtype=np.int64) if labels is None else np.unique(labels, return_inverse=True)[1]
    return holdout(strata, samples // HELD_OUT, files_sha256(context.files))


def _own(parts: Mapping[str, int], labels: NDArray[np.int64] | None) -> Splits:
    """The parts as they come. A test part whose labels are withheld gives way to the validation part."""
    ends = dict(zip(parts, np.cumsum([*parts.values()]).tolist(), strict=True))
    rows = {part: np.arange(ends[part] - size, ends[part]) for part, size in parts.items()}
    if labels is not None and bool((labels[rows["test"]] < 0).all()):
        if "validation" not in rows:
            raise CorruptDataError("No image of the test part has a label, and there is no validation part to judge by instead.")
        rows["test"] = rows.pop("validation")
    return Splits(train=rows["train"], test=rows["test"], validation=rows.get("validation"))
