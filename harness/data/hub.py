"""Data sets of the Hugging Face hub: what a commit holds, the digests it pins, and its files.

Everything that was learnt or fetched is kept in the cache, and looked for in the data roots too, so that a copied folder does
without a network:

    hub/OWNER/NAME/revisions.json    the commit that a branch or tag was when it was first asked for
    hub/OWNER/NAME/COMMIT.json       the files of a commit, each with its size and digest
    hub/OWNER/NAME/COMMIT/PATH       the files themselves

The hub's library says what a commit holds and where it is to be had, with the user's log-in; the files are then downloaded like
any other, and nothing is kept outside the cache.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from harness.contracts.progress import Progress, no_progress
from harness.contracts.specs import HubRecipe
from harness.data import fetching
from harness.data.fetching import WITHOUT_IT, cache_folder, check_size, data_roots, fetch, file_sha256, find, wrong_file
from harness.errors import CorruptDataError, MissingDataError, StorageError, UnpinnedDataError, UsageError
from harness.ledger.identity import indented_json
from harness.ledger.whole_files import write_whole

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MAIN = "main"
CONVERTED = "refs/convert/parquet"
"""Where the hub keeps its own conversion of a repository's main branch to Parquet."""

_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")

T = TypeVar("T")


class HubListing(Struct, frozen=True):
    """What a data set's repository holds at one commit."""

    revision: str
    """The commit, 40 hexadecimal digits."""
    files: tuple[str, ...]
    """Paths inside the repository, in alphabetical order."""


class _Pin(Struct, frozen=True, omit_defaults=True):
    """A file as its commit pins it."""

    size: int
    sha256: str = ""
    """Of the content, for a file in large-file storage."""
    blob: str = ""
    """Otherwise git's own id of the content."""


class _HubError(Exception):
    """Why the hub gave no answer, as a part of a sentence."""


class _NoRevisionError(_HubError):
    """The repository has no such revision."""


def hub_files(repository: str, revision: str | None = None) -> HubListing:
    """The commit behind a revision of a data set's repository, and its files.

    A branch, tag or short commit is asked for once; the answer is kept in the cache, so that the same name means the same data from
    then on, also without a network, until `hub/OWNER/NAME/revisions.json` is deleted there. The main branch of a repository
    without Parquet files stands for the hub's own conversion of it to Parquet, where there is one.

    :param repository: "owner/name".
    :param revision: a branch, tag or commit; the main branch by default.
    :raises UsageError: when `repository` is no such name.
    :raises MissingDataError: when the hub cannot be asked, or does not have or show the repository or revision.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise UsageError(f"{repository!r} is not a repository of the hub; write owner/name.")
    asked = revision or MAIN
    cache = cache_folder()
    folders = [*data_roots(), cache]
    commit = asked if _COMMIT.fullmatch(asked) else _remembered_commit(repository, asked, folders)
    pins = _remembered_pins(repository, commit, folders) if commit else None
    if pins is None:
        try:
            commit, pins = _ask_for_parquet(repository, asked)
        except _HubError as problem:
            raise MissingDataError(f"What {repository} holds on the hub is not known: {problem}. {WITHOUT_IT}") from None
        _keep(cache / _pins_file(repository, commit), pins)
        if commit != asked:
            revisions = cache / _revisions_file(repository)
            _keep(revisions, {**(_read(revisions, dict[str, str]) or {}), asked: commit})
    return HubListing(revision=commit, files=tuple(sorted(pins)))


def locate_hub_files(
    name: str,
    recipe: HubRecipe,
    roots: Sequence[Path],
    cache: Path,
    *,
    instead_of: Sequence[str] = (),
    progress: Progress = no_progress,
) -> dict[str, Path]:
    """Find or fetch a recipe's files and check each against the digest that its commit pins; their places by path.

    :param name: the data set, for messages.
    :param instead_of: other files that would do as well, for messages.
    :param progress: told how much of a large file is fetched.
    Raises CorruptDataError when a file is another than its commit pins, MissingDataError when it, or its digest, is nowhere to be
    had, UnpinnedDataError when the recipe's revision is not a commit.
    """
    if not (_REPOSITORY.fullmatch(recipe.repository) and _COMMIT.fullmatch(recipe.revision)):
        raise UnpinnedDataError(
            f"Data set {name} is read from {recipe.repository!r} at {recipe.revision!r}; a recipe names owner/name and a commit."
        )
    sought = _Sought(name, recipe, [*roots, cache], instead_of)
    found = {path: find(f"{sought.folder}/{path}", sought.folders) for path in recipe.files}
    pins = _pins_of(sought, found)
    places = {}
    for path, place in found.items():
        if path not in pins:
            raise sought.missing(path, f"commit {recipe.revision} has no such file")
        pin = pins[path]
        places[path] = _fetched(sought, path, pin, progress) if place is None else _checked(place, pin, recipe.revision)
    return places


@dataclass(frozen=True)
class _Sought:
    """A recipe's files and where they are looked for; the words of what is missing."""

    name: str
    recipe: HubRecipe
    folders: Sequence[Path]
    """The last is the cache."""
    instead_of: Sequence[str]

    @property
    def folder(self) -> str:
        """Where the commit's files lie under one of `folders`."""
        return f"hub/{self.recipe.repository}/{self.recipe.revision}"

    def lacks(self, path: str) -> str:
        return f"Data set {self.name} lacks the file {path} of {self.recipe.repository} on the hub"

    def advice(self, path: str) -> str:
        also = f", or in its stead {' and '.join(self.instead_of)}" if self.instead_of else ""
        return (
            f"It was looked for in {', '.join(map(str, self.folders))}. Put it under a folder named by HARNESS_DATA as "
            f"{self.folder}/{path}{also}. {WITHOUT_IT}"
        )

    def missing(self, path: str, why: object) -> MissingDataError:
        return MissingDataError(f"{self.lacks(path)}: {why}. {self.advice(path)}")


def _pins_of(sought: _Sought, found: Mapping[str, Path | None]) -> dict[str, _Pin]:
    """What the recipe's commit pins, remembered or asked for now."""
    repository, commit = sought.recipe.repository, sought.recipe.revision
    pins = _remembered_pins(repository, commit, sought.folders)
    if pins is None:
        try:
            _, pins = _ask(repository, commit)
        except _HubError as problem:
            for path, place in found.items():
                if place is None:
                    raise sought.missing(path, problem) from None
            raise MissingDataError(
                f"The files of data set {sought.name} in {sought.folder} cannot be checked, because the digests that their commit "
                f"pins are not known here: {problem}. Run once with a network, or put {sought.folder}.json from a cache that was "
                f"filled with a network beside them. {WITHOUT_IT}"
            ) from None
        _keep(sought.folders[-1] / _pins_file(repository, commit), pins)
    return pins


def _fetched(sought: _Sought, path: str, pin: _Pin, progress: Progress) -> Path:
    """The file, downloaded into the cache and checked; a wrong one is not kept."""
    repository, commit = sought.recipe.repository, sought.recipe.revision
    try:
        hub = _hub()
    except _HubError as problem:
        raise sought.missing(path, problem) from None
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    url = hf_hub_url(repository, path, repo_type="dataset", revision=commit, endpoint=hub.endpoint)
    target = sought.folders[-1] / sought.folder / path
    fetch(
        url,
        target,
        pin.sha256 or None,
        lacks=sought.lacks(path),
        advice=sought.advice(path),
        headers=build_hf_headers(),
        if_refused=f"if it is gated, accept its terms on {hub.endpoint}/datasets/{repository} and log in with `hf auth login`",
        progress=progress,
    )
    try:
        return _checked(target, pin, commit)
    except CorruptDataError:
        target.unlink(missing_ok=True)
        raise CorruptDataError(
            f"What {url} gives is not the file that commit {commit} pins; nothing was kept. {sought.advice(path)}"
        ) from None


def _checked(place: Path, pin: _Pin, commit: str) -> Path:
    """`place`. Raises CorruptDataError unless the file is what its commit pins."""
    check_size(place, pin.size)
    found, pinned = (file_sha256(place), pin.sha256) if pin.sha256 else (_blob_id(place, pin.size), pin.blob)
    if found != pinned:
        kind = "sha256" if pin.sha256 else "git id"
        raise wrong_file(place, f"its {kind} is {found}, and {pinned} is pinned by commit {commit}")
    return place


def _blob_id(path: Path, size: int) -> str:
    """Git's id of a file's content, https://git-scm.com/book/en/v2/Git-Internals-Git-Objects."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)).hexdigest()


# -------------------------------------------------------------------------------------------------- asking the hub


def _ask_for_parquet(repository: str, revision: str) -> tuple[str, dict[str, _Pin]]:
    """As `_ask`; for a main branch without Parquet files, the hub's conversion of it where there is one."""
    answer = _ask(repository, revision)
    if revision == MAIN and not any(path.endswith(".parquet") for path in answer[1]):
        with suppress(_NoRevisionError):
            answer = _ask(repository, CONVERTED)
    return answer


def _ask(repository: str, revision: str) -> tuple[str, dict[str, _Pin]]:
    """The commit behind a revision, and what it pins."""
    hub = _hub()
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        info = hub.dataset_info(repository, revision=revision, files_metadata=True, timeout=fetching.FETCH_TIMEOUT_S)
    except RevisionNotFoundError:
        raise _NoRevisionError(f"{repository} has no revision {revision}") from None
    except GatedRepoError:
        page = f"{hub.endpoint}/datasets/{repository}"
        raise _HubError(f"it is gated; accept its terms on {page} and log in with `hf auth login`") from None
    except RepositoryNotFoundError:
        raise _HubError(f"the hub has no data set {repository}, or shows it only to those who log in") from None
    except HfHubHTTPError as error:
        raise _HubError(f"{hub.endpoint} answers with HTTP status {error.response.status_code}") from None
    except Exception as error:  # whatever the network stack raises, or an answer that is not the hub's
        raise _HubError(f"{hub.endpoint} could not be asked ({type(error).__name__})") from None
    commit, files = str(info.sha), info.siblings or []
    if not _COMMIT.fullmatch(commit) or (_COMMIT.fullmatch(revision) and commit != revision):
        raise _HubError(f"{hub.endpoint} answers for {commit} when asked for {revision}")
    pins: dict[str, _Pin] = {}
    for file in files:
        if not _is_plain(file.rfilename):
            continue
        if file.lfs is not None:
            pins[file.rfilename] = _Pin(file.lfs.size, sha256=file.lfs.sha256)
        elif file.blob_id is not None and file.size is not None:
            pins[file.rfilename] = _Pin(file.size, blob=file.blob_id)
    return commit, pins


def _hub() -> HfApi:
    """The hub's client; it reads the user's log-in."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise _HubError("HF_HUB_OFFLINE forbids asking the hub")
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise _HubError("the package huggingface_hub is not installed (pip install 'infomax-harness[images]')") from None
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT", "").rstrip("/") or None)


def _is_plain(path: str) -> bool:
    """Whether a path that somebody else wrote stays inside the folder it is put in."""
    return not (path.startswith("/") or ".." in path.split("/") or "\\" in path or ":" in path)


# ------------------------------------------------------------------------------------------------------ remembering


def _pins_file(repository: str, commit: str) -> str:
    return f"hub/{repository}/{commit}.json"


def _revisions_file(repository: str) -> str:
    return f"hub/{repository}/revisions.json"


def _remembered_pins(repository: str, commit: str, folders: Sequence[Path]) -> dict[str, _Pin] | None:
    read = (_read(folder / _pins_file(repository, commit), dict[str, _Pin]) for folder in folders)
    return next((pins for pins in read if pins is not None), None)


def _remembered_commit(repository: str, revision: str, folders: Sequence[Path]) -> str:
    """The commit that a branch or tag was when it was first asked for; empty where nobody asked."""
    for folder in folders:
        commit = (_read(folder / _revisions_file(repository), dict[str, str]) or {}).get(revision, "")
        if _COMMIT.fullmatch(commit):
            return commit
    return ""


def _read(path: Path, kind: type[T]) -> T | None:
    """A document of the cache; None where it is missing or damaged, and is then asked for again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, ValueError):
        return None


def _keep(path: Path, document: object) -> None:
    with suppress(StorageError):  # a cache that cannot be written only forgets
        write_whole(path, indented_json(document))
