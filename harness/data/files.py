"""Raw files: found in a read-only data root or in the cache, fetched otherwise, and checked before anything parses them."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.contracts.specs import DataSetSpec, FileSpec, FilesRecipe
from harness.errors import CorruptDataError, MissingDataError, StorageError
from harness.ledger import identity
from harness.ledger.whole_files import write_whole
from harness.names import slug

FETCH_TIMEOUT_S = 30.0
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


def locate_files(
    spec: DataSetSpec, roots: Sequence[Path], cache: Path, *, trust_first: bool = False
) -> tuple[dict[str, Path], dict[str, str]]:
    """Find or fetch every file of a data set and check it.

    Returns the files' places by spec path, and the sha256 of those that nobody had pinned (taken now, or when they were first
    trusted). Raises CorruptDataError when a file differs from its sha256 or size, MissingDataError when it is nowhere to be had.
    """
    if not isinstance(spec.recipe, FilesRecipe):
        return {}, {}
    locked = read_lock(cache, spec.name)
    places: dict[str, Path] = {}
    taken: dict[str, str] = {}
    for file in spec.recipe.files:
        expected = file.sha256 or locked.get(file.path)
        place = _find(file, roots, cache)
        if place is None:
            place = _fetch(spec, file, expected, roots, cache)
        if file.size is not None and (size := place.stat().st_size) != file.size:
            raise CorruptDataError(
                f"{place} is not the file it should be: it has {size} bytes, and the right one {file.size}; it was not read. "
                "Remove or replace it and run again."
            )
        digest = file_sha256(place)
        if expected is not None and digest != expected:
            raise CorruptDataError(
                f"{place} is not the file it should be: its sha256 is {digest}, and {expected} is "
                f"{'pinned' if file.sha256 else 'what was trusted first'}; it was not read. Remove or replace it and run again."
            )
        places[file.path] = place
        if file.sha256 is None:
            taken[file.path] = digest
    if taken and trust_first and taken != locked:
        write_whole(_lock_file(cache, spec.name), json.dumps(taken, indent=1, sort_keys=True).encode() + b"\n")
    return places, taken


def read_lock(cache: Path, name: str) -> dict[str, str]:
    """Hashes of a data set that were taken on first sight (`--trust-first`), by file path."""
    try:
        document: Any = json.loads(_lock_file(cache, name).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(path): str(digest) for path, digest in document.items()} if isinstance(document, dict) else {}


def file_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file. Raises MissingDataError when it cannot be read."""
    try:
        return identity.file_sha256(path)
    except OSError as error:
        raise MissingDataError(f"{path} cannot be read: {error.strerror}.") from None


def _lock_file(cache: Path, name: str) -> Path:
    return cache / "locks" / f"{slug(name)}.json"


def _find(file: FileSpec, roots: Sequence[Path], cache: Path) -> Path | None:
    for root in (*roots, cache / "downloads"):
        place = root / file.path
        if place.is_file():
            return place
    return None


def _fetch(spec: DataSetSpec, file: FileSpec, expected: str | None, roots: Sequence[Path], cache: Path) -> Path:
    """Download one file into the cache; pooch writes it whole and checks its sha256."""
    target = cache / "downloads" / file.path
    looked = ", ".join(str(root) for root in (*roots, cache / "downloads"))
    advice = (
        f"It was looked for in {looked}; its sha256 is {expected or 'not pinned'}. Put it under a folder named by HARNESS_DATA as "
        f"{file.path}. Without it, `harness run --data digits` and `--data sbm` work on data that need no download."
    )
    if file.url is None:
        raise MissingDataError(f"Data set {spec.name} lacks the file {file.path}, and there is no place to fetch it from. {advice}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{target.parent} cannot be made: {error.strerror}; name another folder with HARNESS_CACHE.") from None
    import pooch

    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(
            url=file.url,
            known_hash=f"sha256:{expected}" if expected else None,
            fname=target.name,
            path=target.parent,
            downloader=pooch.HTTPDownloader(timeout=FETCH_TIMEOUT_S, progressbar=False),
        )
    except ValueError as error:
        if "hash" in str(error).lower():
            raise CorruptDataError(
                f"What {file.url} gives is not the file that is pinned (sha256 {expected}); nothing was kept. {advice}"
            ) from None
        raise MissingDataError(
            f"Data set {spec.name} lacks the file {file.path}; {file.url} could not be fetched. {advice}"
        ) from None
    except Exception as error:  # whatever the network stack raises, the user needs the same sentence
        if isinstance(error, OSError) and error.errno in _CACHE_ERRORS:
            raise StorageError(f"{target} cannot be written: {error.strerror}; name another folder with HARNESS_CACHE.") from None
        response = getattr(error, "response", None)
        reason = type(error).__name__ if response is None else f"HTTP status {response.status_code}"
        raise MissingDataError(
            f"Data set {spec.name} lacks the file {file.path}, and {file.url} could not be fetched ({reason}). {advice}"
        ) from None
    return target
