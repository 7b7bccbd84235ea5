"""Decoded data sets: arrays made once from raw files, then mapped into memory instead of being decoded again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from harness.errors import StorageError
from harness.ledger.identity import file_sha256, indented_json
from harness.ledger.whole_files import remove_stale, whole_path, write_whole
from harness.names import slug

Arrays = dict[str, NDArray[Any]]


class _Noted(Struct, frozen=True):
    """What a written array's file was like."""

    size: int
    modified_ns: int
    sha256: str


def decoded_arrays(cache: Path, name: str, make: Callable[[], Mapping[str, NDArray[Any]]]) -> Arrays:
    """The arrays that `make` gives, mapped into memory from files that it filled once.

    They lie in `cache`/`name` as `KEY.npy`, beside a note of their sizes and digests that is written last. A file whose size
    or time is not the noted one is digested; when one is missing or other than noted, `make` is called and all are written again.
    Each file is written whole or not at all, so several processes may do this at once. Where the cache cannot be written, the
    arrays are those of `make`, in memory.

    What the arrays hold can be changed, in this process alone and not in the files (they are mapped copy-on-write), which
    is also why `torch.from_numpy` takes them without a copy or a warning.

    :param cache: the folder of `DataContext.cache`, which is another for every recipe.
    :param name: another for every set of options that `make` depends on.
    :param make: decodes the raw files; arrays by key, of any shape and any type but object.
    """
    folder = cache / slug(name)
    with suppress(OSError, ValueError):
        return _mapped(folder, _noted(folder))
    arrays = dict(make())
    try:
        return _mapped(folder, _written(folder, arrays))
    except (StorageError, OSError):  # nobody can write there; decoding again the next time is all that is lost
        return arrays


def _noted(folder: Path) -> dict[str, _Noted]:
    """The note of files that are as they were written. Raises OSError or ValueError where one is not."""
    noted = msgspec.json.decode((folder / "arrays.json").read_bytes(), type=dict[str, _Noted])
    for key, before in noted.items():
        path = _path(folder, key)
        status = path.stat()
        touched = status.st_mtime_ns != before.modified_ns
        if status.st_size != before.size or (touched and file_sha256(path) != before.sha256):
            raise ValueError(f"{path} is not what was written.")
    return noted


def _mapped(folder: Path, noted: Mapping[str, _Noted]) -> Arrays:
    return {key: np.asarray(np.load(_path(folder, key), mmap_mode="c", allow_pickle=False)) for key in noted}


def _written(folder: Path, arrays: Arrays) -> dict[str, _Noted]:
    remove_stale(folder)
    noted = {}
    for key, array in arrays.items():
        with whole_path(_path(folder, key)) as temporary:
            np.save(temporary, array, allow_pickle=False)
        status = _path(folder, key).stat()
        noted[key] = _Noted(status.st_size, status.st_mtime_ns, file_sha256(_path(folder, key)))
    write_whole(folder / "arrays.json", indented_json(noted))
    return noted


def _path(folder: Path, key: str) -> Path:
    return folder / f"{slug(key)}.npy"
