"""Folders of large arrays: written straight to disk, whole or not at all, and mapped into memory from then on.

While it is made, a folder is called NAME.partial. Its files are given all their room on the disk first, so that a full disk is
noticed before anything is computed and not in the middle of it. When all is there, a note of the files' sizes and times and of a
digest of their content is written, everything is brought to the disk, and the folder gets its name. Imports no torch.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from filelock import FileLock
from msgspec import Struct
from numpy.typing import DTypeLike, NDArray

from harness import DataError

Arrays = dict[str, NDArray[Any]]
Forms = Mapping[str, tuple[tuple[int, ...], DTypeLike]]
"""Shape and type of each array."""

_NOTE, _PLAN = "arrays.json", "plan.json"
_NO_ROOM_IN_ADVANCE = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class _File(Struct, frozen=True):
    """What a written array's file was like."""

    size: int
    modified_ns: int


class _Noted(Struct, frozen=True):
    """The note of a finished folder."""

    plan: Any
    content_sha256: str
    files: dict[str, _File]


def whole_folder(folder: Path, plan: Any, content_sha256: Callable[[Arrays], str]) -> tuple[Arrays, str] | None:
    """The arrays of a finished folder, mapped read-only, and the digest of their content; None where there is no such folder, or it
    is of another plan, or damaged.

    :param plan: what the arrays are made by; any value that JSON holds.
    :param content_sha256: digest of the arrays, asked for only where a file's time is not the noted one.
    """
    with suppress(OSError, ValueError):
        noted = msgspec.json.decode((folder / _NOTE).read_bytes(), type=_Noted)
        if noted.plan != msgspec.to_builtins(plan):
            return None
        found = {name: _file(folder / f"{name}.npy") for name in noted.files}
        if any(found[name].size != before.size for name, before in noted.files.items()):
            return None
        arrays = {name: _mapped(folder / f"{name}.npy", "r") for name in noted.files}
        if found == noted.files or content_sha256(arrays) == noted.content_sha256:
            return arrays, noted.content_sha256
    return None


def plan_of(folder: Path) -> Any:
    """What the arrays of a finished folder were made by; None where there is no such folder."""
    with suppress(OSError, ValueError):
        return msgspec.json.decode((folder / _NOTE).read_bytes(), type=_Noted).plan
    return None


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold `folder` against other processes that make it; waits for one that does. Raises DataError where that cannot be."""
    lock = FileLock(f"{folder}.lock")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise cannot_be_written(folder, error) from error
    try:
        yield
    finally:
        lock.release()


def partial_folder(folder: Path, plan: Any, forms: Forms) -> Path:
    """The folder NAME.partial with room for these arrays: that of an interrupted process with the same plan, else a new one.

    Raises DataError where the disk has no room, and then leaves nothing behind.
    """
    partial = _partial(folder)
    with suppress(OSError, ValueError):
        same = msgspec.json.decode((partial / _PLAN).read_bytes()) == msgspec.to_builtins(plan)
        if same and all(array.shape == tuple(forms[name][0]) for name, array in writable(partial, forms).items()):
            return partial
    try:
        _remove(partial)
        partial.mkdir(parents=True)
        for name, (shape, dtype) in forms.items():
            _make_room(partial / f"{name}.npy", shape, dtype)
        write_note(partial / _PLAN, plan)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        needed = sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in forms.values())
        raise cannot_be_written(folder, error, needed) from error
    return partial


def remove_partial(folder: Path) -> None:
    """Take away what an interrupted process left of `folder`."""
    shutil.rmtree(_partial(folder), ignore_errors=True)


def writable(partial: Path, forms: Forms) -> Arrays:
    """The arrays of a partial folder, mapped so that what is written to them is written to the files."""
    return {name: _mapped(partial / f"{name}.npy", "r+") for name in forms}


class RowWriter:
    """Rows of one array of a partial folder, written one after the other, a few at a time.

    Into mapped memory they would go page by page, each held up while the system writes back: several times as slow.
    Errors of the disk are OSError.

    :param first: where the rows begin.
    :param block: rows that are written at a time.
    """

    def __init__(self, partial: Path, name: str, forms: Forms, first: int, block: int) -> None:
        shape, dtype = forms[name]
        self._rows = np.zeros((block, *shape[1:]), dtype=dtype)
        self._held = 0
        path = partial / f"{name}.npy"
        self._file = path.open("rb+", buffering=0)
        row_bytes = self._rows[0].nbytes
        self._file.seek(path.stat().st_size - shape[0] * row_bytes + first * row_bytes)

    def add(self, row: NDArray[Any]) -> None:
        """The next row."""
        self._rows[self._held] = row
        self._held += 1
        if self._held == len(self._rows):
            self._write()

    def close(self) -> None:
        """Write what is left."""
        try:
            self._write()
        finally:
            self._file.close()

    def _write(self) -> None:
        left = self._rows[: self._held].reshape(-1).view(np.uint8).data
        while left:
            left = left[self._file.write(left) :]
        self._held = 0


def finish(partial: Path, folder: Path, plan: Any, forms: Forms, content_sha256: str) -> None:
    """Bring a partial folder to the disk and give it its name, in place of any folder that has it. Raises DataError."""
    try:
        for name in forms:
            _sync(partial / f"{name}.npy")
        files = {name: _file(partial / f"{name}.npy") for name in forms}
        for path in partial.iterdir():
            if path.suffix != ".npy":
                path.unlink()
        write_note(partial / _NOTE, _Noted(msgspec.to_builtins(plan), content_sha256, files))
        _sync(partial / _NOTE)
        _remove(folder)
        partial.rename(folder)
        if os.name == "posix":
            _sync(folder.parent)
    except OSError as error:
        raise cannot_be_written(folder, error) from error


def write_note(path: Path, content: Any) -> None:
    """Write JSON whole or not at all. Raises OSError."""
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
    temporary.replace(path)


def _partial(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.partial")


def _mapped(path: Path, mode: Any) -> NDArray[Any]:
    # A plain array: slices of NumPy's own memmap class take three times as long.
    return np.asarray(np.lib.format.open_memmap(path, mode=mode))


def _make_room(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> None:
    """A file for an array, all of whose room on the disk is taken. Raises OSError where there is too little."""
    np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
    size = path.stat().st_size
    try:
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        return
    except AttributeError:  # not a system that can do this
        pass
    except OSError as error:
        if error.errno not in _NO_ROOM_IN_ADVANCE:
            raise
    if shutil.disk_usage(path.parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _file(path: Path) -> _File:
    status = path.stat()
    return _File(status.st_size, status.st_mtime_ns)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    """Take away a folder that may be there; under another name first, so that it is never half there under its own."""
    if not os.path.lexists(folder):
        return
    gone = folder.with_name(f"{folder.name}.removed-{os.getpid()}")
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def cannot_be_written(folder: Path, error: OSError, needed: int = 0) -> DataError:
    """One sentence: the path, the cause, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        want = f" for the {needed / 1e9:,.2f} GB that it needs" if needed else ""
        return DataError(
            f"{folder} could not be written: the disk is full or the quota used up ({_free(folder)}){want}; free some space, name "
            "another folder in HARNESS_CACHE, or ask for fewer frames."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DataError(
            f"{folder} could not be written: {error.strerror}; change its permissions or name another folder in HARNESS_CACHE."
        )
    return DataError(f"{folder} could not be written: {error.strerror or error}; name another folder in HARNESS_CACHE.")


def _free(folder: Path) -> str:
    try:
        return f"{shutil.disk_usage(next(parent for parent in folder.parents if parent.exists())).free / 1e9:,.2f} GB are free"
    except (OSError, StopIteration):
        return "how much is free is not known"
