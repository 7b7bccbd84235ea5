"""Where raw files lie, how one is downloaded, and the sentences for a file that is not there or not the right one."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.contracts.progress import Progress, no_progress
from harness.errors import CorruptDataError, MissingDataError, StorageError
from harness.ledger import identity

FETCH_TIMEOUT_S = 30.0
CHUNK = 1 << 18
"""Bytes that are received in one piece."""
TOLD_FROM = 5 * 10**6
"""Bytes of a file from which on it is told how much of it is there."""
WITHOUT_IT = "Without it, `harness run --data digits` and `--data sbm` work on data that need no download."
_CACHE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}


def data_roots(environ: Mapping[str, str] | None = None) -> list[Path]:
    """The read-only data roots of HARNESS_DATA, in the order they are searched."""
    text = (os.environ if environ is None else environ).get("HARNESS_DATA", "")
    return [Path(entry).expanduser() for entry in text.split(os.pathsep) if entry]


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """HARNESS_CACHE, or the platform's cache folder."""
    text = (os.environ if environ is None else environ).get("HARNESS_CACHE", "")
    if text:
        return Path(text).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("harness", appauthor=False))


def find(path: str, folders: Sequence[Path]) -> Path | None:
    """The file `path` in the first of `folders` that has it."""
    return next((place for folder in folders if (place := folder / path).is_file()), None)


def file_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file. Raises MissingDataError when it cannot be read."""
    try:
        return identity.file_sha256(path)
    except OSError as error:
        raise MissingDataError(f"{path} cannot be read: {error.strerror}.") from None


def check_size(place: Path, size: int | None) -> None:
    """Raise CorruptDataError when the file's length is known and another; it is the cheaper check and comes first."""
    if size is not None and (found := place.stat().st_size) != size:
        raise wrong_file(place, f"it has {found} bytes, and the right one {size}")


def wrong_file(place: Path, why: str) -> CorruptDataError:
    """The error for a file whose content is not the pinned one."""
    return CorruptDataError(f"{place} is not the file it should be: {why}; it was not read. Remove or replace it and run again.")


def fetch(
    url: str,
    target: Path,
    sha256: str | None,
    *,
    lacks: str,
    advice: str,
    headers: Mapping[str, str] | None = None,
    if_refused: str = "",
    progress: Progress = no_progress,
) -> None:
    """Download one file; pooch writes it whole and checks its sha256 where one is given.

    :param lacks: how the error begins, "Data set X lacks the file Y".
    :param advice: how it ends: where the file was looked for and what to do.
    :param if_refused: what to do where the server asks who is calling (HTTP status 401 or 403).
    :param progress: told how many megabytes are there.
    Raises CorruptDataError for another content, StorageError when `target` cannot be written, else MissingDataError.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{target.parent} cannot be made: {error.strerror}; name another folder with HARNESS_CACHE.") from None
    import pooch

    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(
            url=url,
            known_hash=f"sha256:{sha256}" if sha256 else None,
            fname=target.name,
            path=target.parent,
            downloader=pooch.HTTPDownloader(
                timeout=FETCH_TIMEOUT_S, progressbar=_Megabytes(progress), chunk_size=CHUNK, headers=dict(headers or {})
            ),
        )
    except ValueError as error:
        if "hash" in str(error).lower():
            raise CorruptDataError(
                f"What {url} gives is not the file that is pinned (sha256 {sha256}); nothing was kept. {advice}"
            ) from None
        raise MissingDataError(f"{lacks}; {url} could not be fetched. {advice}") from None
    except Exception as error:  # whatever the network stack raises, the user needs the same sentence
        if isinstance(error, OSError) and error.errno in _CACHE_ERRORS:
            raise StorageError(f"{target} cannot be written: {error.strerror}; name another folder with HARNESS_CACHE.") from None
        response = getattr(error, "response", None)
        reason = type(error).__name__ if response is None else f"HTTP status {response.status_code}"
        if if_refused and getattr(response, "status_code", None) in (401, 403):
            reason += f"; {if_refused}"
        raise MissingDataError(f"{lacks}, and {url} could not be fetched ({reason}). {advice}") from None


class _Megabytes:
    """The bar that pooch moves on: tells a `Progress` in megabytes, of a large file whose length the server says."""

    total = 0
    """Bytes; pooch sets it."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._bytes = progress, 0

    def update(self, amount: int) -> None:
        """So many bytes more."""
        told, self._bytes = self._bytes // 10**6, min(self._bytes + amount, self.total)
        if self.total >= TOLD_FROM and self._bytes // 10**6 > told:
            self._progress(self._bytes // 10**6, self.total // 10**6, "MB")

    def reset(self) -> None:
        """None of it, which pooch says before it says all."""
        self._bytes = 0

    def close(self) -> None:
        """There is nothing to close."""
