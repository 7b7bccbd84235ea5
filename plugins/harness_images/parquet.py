"""Images in Parquet files as the Hugging Face hub keeps them: a column of {bytes, path} and columns of class numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import CorruptDataError
from harness_images.decoding import Named

LABEL_NAMES = ("label", "labels", "fine_label")
"""Columns that hold the classes where several hold class numbers, or where a file does not say which one does."""


class ImageTable:
    """One Parquet file. Raises CorruptDataError, naming it, where it cannot be read or holds no images."""

    def __init__(self, path: Path) -> None:
        import pyarrow
        import pyarrow.parquet

        self.path = path
        self._arrow_errors = (pyarrow.ArrowException, OSError)
        try:
            self._file = pyarrow.parquet.ParquetFile(path)
        except self._arrow_errors as error:
            raise self._unreadable(error) from None
        schema = self._file.schema_arrow
        self._features = _features(schema.metadata)
        self._columns: list[str] = schema.names
        self._whole = [field.name for field in schema if pyarrow.types.is_integer(field.type)]
        with_bytes = [
            field.name for field in schema if pyarrow.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
        ]
        images = [name for name in with_bytes if self._features.get(name, {}).get("_type", "Image") == "Image"]
        if not images:
            raise CorruptDataError(f"{path} has no column of images; it has {self._listed()}.")
        self.image_column: str = images[0]

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    def images(self) -> Iterator[Named]:
        """Every row's encoded image, with the words that error messages name it by."""
        row = 0
        for group in range(self._file.num_row_groups):
            for encoded in self._read(group, f"{self.image_column}.bytes").combine_chunks().field("bytes").to_pylist():
                name = f"The image in row {row} of {self.path}"
                if encoded is None:
                    raise CorruptDataError(f"{name} is missing; the file must hold the images themselves, not their paths.")
                yield name, encoded
                row += 1

    def label_column(self) -> str:
        """The column of class numbers. Raises CorruptDataError when there is none."""
        declared = [name for name, feature in self._features.items() if feature.get("_type") == "ClassLabel"]
        known = [name for name in LABEL_NAMES if name in (declared or self._whole)]
        for name in (*known, *declared):
            return name
        raise CorruptDataError(f"{self.path} has no column of class labels; it has {self._listed()}.")

    def class_names(self, column: str) -> tuple[str, ...]:
        """Names of the classes that a column numbers, where the file says them."""
        names = self._features.get(column, {}).get("names", [])
        return tuple(str(name) for name in names) if isinstance(names, list) else ()

    def numbers(self, column: str) -> NDArray[np.int64]:
        """[N] a column of whole numbers."""
        if column not in self._columns:
            raise CorruptDataError(f"{self.path} has no column {column!r}; it has {self._listed()}.")
        read = [self._read(group, column) for group in range(self._file.num_row_groups)]
        if column not in self._whole or any(values.null_count for values in read):
            raise CorruptDataError(f"The column {column!r} of {self.path} does not hold a whole number in every row.")
        return np.concatenate([np.zeros(0, np.int64), *(values.to_numpy().astype(np.int64) for values in read)])

    def _read(self, group: int, column: str) -> Any:
        try:
            return self._file.read_row_group(group, columns=[column]).column(0)
        except self._arrow_errors as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> CorruptDataError:
        return CorruptDataError(f"{self.path} is not a Parquet file that can be read ({type(error).__name__}); fetch it again.")

    def _listed(self) -> str:
        return ", ".join(self._columns) or "no column"


def images_of(tables: Sequence[ImageTable]) -> Iterator[Named]:
    """The images of several files, one after another."""
    for table in tables:
        yield from table.images()


def numbers_of(tables: Sequence[ImageTable], column: str) -> NDArray[np.int64]:
    """[N] a column of whole numbers over several files."""
    return np.concatenate([table.numbers(column) for table in tables])


def _features(metadata: dict[bytes, bytes] | None) -> dict[str, dict[str, Any]]:
    """What the hub's own metadata say of each column; empty where there are none."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
