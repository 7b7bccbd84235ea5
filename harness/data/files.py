"""Raw files: found in a read-only data root or in the cache, fetched otherwise, and checked before anything parses them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.contracts.progress import Progress, no_progress
from harness.contracts.specs import DataSetSpec, FileSpec, FilesRecipe, HubRecipe
from harness.data.fetching import WITHOUT_IT, cache_folder, check_size, data_roots, fetch, file_sha256, find, wrong_file
from harness.data.hub import locate_hub_files
from harness.errors import MissingDataError
from harness.ledger.whole_files import write_whole
from harness.names import slug

__all__ = ["cache_folder", "data_roots", "decoded_folder", "file_sha256", "locate_files", "read_lock"]


def decoded_folder(cache: Path, recipe_sha256: str) -> Path:
    """The folder inside the cache that is the own of a data set of this recipe."""
    return cache / "decoded" / recipe_sha256[:16]


def locate_files(
    spec: DataSetSpec, roots: Sequence[Path], cache: Path, *, trust_first: bool = False, progress: Progress = no_progress
) -> tuple[dict[str, Path], dict[str, str]]:
    """Find or fetch every file of a data set and check it. They are looked for in `spec.place`, the roots and the cache.

    Returns the files' places by the recipe's path, and the sha256 of those that nobody had pinned (taken now, or when they were
    first trusted). Where a file without an address is nowhere and the recipe says where on the hub the same content is, the
    places are those of the hub's files, by their paths there. Raises CorruptDataError when a file differs from its digest or size,
    MissingDataError when it is nowhere to be had.

    :param progress: told how much of a large file is fetched.
    """
    if spec.place:
        roots = [Path(spec.place).expanduser(), *roots]
    if isinstance(spec.recipe, HubRecipe):
        return locate_hub_files(spec.name, spec.recipe, roots, cache, progress=progress), {}
    if not isinstance(spec.recipe, FilesRecipe):
        return {}, {}
    folders = [*roots, cache / "downloads"]
    if spec.recipe.elsewhere is not None:
        nowhere = [file.path for file in spec.recipe.files if file.url is None and find(file.path, folders) is None]
        if nowhere:
            elsewhere = spec.recipe.elsewhere
            return locate_hub_files(spec.name, elsewhere, roots, cache, instead_of=nowhere, progress=progress), {}
    locked = read_lock(cache, spec.name)
    places: dict[str, Path] = {}
    taken: dict[str, str] = {}
    for file in spec.recipe.files:
        expected = file.sha256 or locked.get(file.path)
        place = find(file.path, folders) or _fetched(spec.name, file, expected, folders, progress)
        check_size(place, file.size)
        digest = file_sha256(place)
        if expected is not None and digest != expected:
            said = "pinned" if file.sha256 else "what was trusted first"
            raise wrong_file(place, f"its sha256 is {digest}, and {expected} is {said}")
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


def _lock_file(cache: Path, name: str) -> Path:
    return cache / "locks" / f"{slug(name)}.json"


def _fetched(name: str, file: FileSpec, expected: str | None, folders: Sequence[Path], progress: Progress) -> Path:
    """The file, downloaded into the last of `folders`."""
    lacks = f"Data set {name} lacks the file {file.path}"
    advice = (
        f"It was looked for in {', '.join(map(str, folders))}; its sha256 is {expected or 'not pinned'}. Put it under a folder "
        f"named by HARNESS_DATA as {file.path}. {WITHOUT_IT}"
    )
    if file.url is None:
        raise MissingDataError(f"{lacks}, and there is no place to fetch it from. {advice}")
    target = folders[-1] / file.path
    fetch(file.url, target, expected, lacks=lacks, advice=advice, progress=progress)
    return target
