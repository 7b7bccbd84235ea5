"""Files written whole or not at all: a temporary file in the same folder, fsync, rename, fsync of the folder.

A process killed at any moment leaves the old file, the new file or none, and at most a temporary file whose name starts with
`.tmp-` and says which process wrote it. Every failure is a StorageError of one sentence with the path and the cause.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import StorageError

TEMPORARY_PREFIX = ".tmp-"
OLD_S = 24 * 3600.0
"""Age from which a temporary file of an unknown or living process counts as left behind."""

_TEMPORARY_NAME = re.compile(r"\.tmp-(?P<place>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}")
_RUST_ERROR = re.compile(r"\(os error (?P<errno>\d+)\)")
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


def write_whole(path: str | Path, data: bytes) -> None:
    """Make `path` a file with the content `data`, in place of any file that is there.

    Missing folders are made. A symbolic link at `path` is replaced, not followed. Raises StorageError.
    """
    with whole_path(path) as temporary:
        temporary.write_bytes(data)


def create_whole(path: str | Path, data: bytes) -> bool:
    """Create `path` with the content `data` unless something is there already; tells whether it was created.

    Of many processes that try at once exactly one gets True. Missing folders are made. Raises StorageError.

    The complete temporary file is given its name by a hard link, which fails if the name is taken. Where the file system has no
    hard links, the name is claimed by an exclusively created empty file that the temporary file then replaces; a process
    killed between these two calls leaves the empty file.
    """
    path = Path(path)
    with _reported(path):
        _make_folder(path.parent)
        if os.path.lexists(path):
            return False
        temporary = _new_temporary(path)
        try:
            temporary.write_bytes(data)
            _sync(temporary)
            created = _name_exclusively(temporary, path)
        finally:
            _discard(temporary)
        if created:
            _sync_folder(path.parent)
        return created


@contextmanager
def whole_path(path: str | Path) -> Iterator[Path]:
    """A temporary path for a writer that needs one; what it holds at the end of the block becomes `path`.

    The temporary path lies in the same folder and ends like `path`, so that writers which look at the suffix are content.
    If the block raises, `path` stays as it was. A failed write, inside the block or here, raises StorageError; other errors of the
    block go through as they are.
    """
    path = Path(path)
    with _reported(path):
        _make_folder(path.parent)
        temporary = _new_temporary(path)
        mode = stat.S_IMODE(temporary.stat().st_mode)
    try:
        try:
            yield temporary
        except Exception as error:
            cause = _write_failure(error, path)
            if cause is None:
                raise
            raise _storage_error(path, cause) from error
        with _reported(path):
            # Some writers (safetensors) rename a private file of their own over the path they are given.
            if stat.S_IMODE(temporary.stat().st_mode) != mode:
                temporary.chmod(mode)
            _sync(temporary)
            os.replace(temporary, path)
            _sync_folder(path.parent)
    finally:
        _discard(temporary)


def require_writable(folder: str | Path) -> None:
    """Raise StorageError where no file can be written into `folder`, for one a record; it is made where it is missing."""
    path = Path(folder) / "record.json"
    with _reported(path):
        _make_folder(path.parent)
        _discard(_new_temporary(path))


def remove_stale(folder: str | Path, old_s: float = OLD_S) -> list[Path]:
    """Remove the temporary files in `folder` that nobody will finish, and return them.

    That is: those whose process ran here and is dead, and those older than `old_s` seconds. Files that cannot be removed are left.
    """
    removed: list[Path] = []
    try:
        candidates = sorted(Path(folder).iterdir())
    except OSError:
        return removed
    for path in candidates:
        name = _TEMPORARY_NAME.match(path.name)
        if name is None:
            continue
        with suppress(OSError):
            is_dead = name["place"] == _place() and not _is_alive(int(name["pid"]))
            if is_dead or time.time() - path.lstat().st_mtime > old_s:
                path.unlink()
                removed.append(path)
    return removed


def _new_temporary(path: Path) -> Path:
    """A new empty file beside `path`, with the permissions an ordinary new file would get."""
    name = f"{TEMPORARY_PREFIX}{_place()}-{os.getpid()}-{secrets.token_hex(4)}{path.suffix[-20:]}"
    temporary = path.parent / name
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    return temporary


def _place() -> str:
    """Eight letters for where a process number means something: this machine and, on Linux, this container."""
    try:
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        namespace = 0
    return hashlib.sha256(f"{socket.gethostname()}/{namespace}".encode()).hexdigest()[:8]


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":  # there, os.kill would end the process
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _name_exclusively(temporary: Path, path: Path) -> bool:
    """Give the finished temporary file its name unless the name is taken."""
    try:
        os.link(temporary, path)
        return True
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        return False
    try:
        os.replace(temporary, path)
    except OSError:
        _discard(path)
        raise
    return True


def _make_folder(folder: Path) -> None:
    """Make `folder` and its parents; each new name is synced to disk with the folder that holds it."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        _sync_folder(new.parent)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Write the folder's list of names to disk, where the system can do that."""
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder may be writable without being readable
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _discard(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn an error of the system into a StorageError about `path`."""
    try:
        yield
    except OSError as error:
        raise _storage_error(path, error) from error


def _write_failure(error: Exception, path: Path) -> OSError | None:
    """What the system said when a writer failed to write beside `path`; None for every other error."""
    if isinstance(error, OSError):
        # An error that names a file elsewhere is the caller's own, such as an input that is missing.
        elsewhere = isinstance(error.filename, str) and Path(error.filename).parent != path.parent
        return None if elsewhere else error
    # Writers implemented in Rust raise errors of their own, which say only in their text what the system said.
    said = _RUST_ERROR.search(str(error))
    return OSError(int(said["errno"]), os.strerror(int(said["errno"]))) if said else None


def _storage_error(path: Path, error: OSError) -> StorageError:
    """One sentence: the path, the cause, and what to do."""
    return StorageError(f"{path} could not be written: {_cause(path, error)}.")


def _cause(path: Path, error: OSError) -> str:
    ancestor = next((folder for folder in path.parents if os.path.lexists(folder)), path.parent)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full or the quota used up ({_free(ancestor)}); free some space or choose another folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"the folder {ancestor} is not writable; change its permissions or choose another folder"
    if not os.path.isdir(ancestor):
        return f"{ancestor} is a file and not a folder; move it away or choose another folder"
    if os.path.isdir(path):
        return "it is a folder; move it away or choose another name"
    if error.errno == errno.ENAMETOOLONG:
        return "its name is too long; choose a shorter one"
    return f"{error.strerror or error} ({_free(ancestor)})"


def _free(folder: Path) -> str:
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return "how much is free is not known"
    return f"{free / 2**20:,.1f} MiB are free"
