"""Stores: where records are kept. A store keeps every attempt and never deletes or rewrites one."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from harness.errors import RecordError, StorageError
from harness.ledger.records import Identity, Record, decode_record, encode_record
from harness.ledger.whole_files import create_whole, remove_stale, require_writable
from harness.names import slug

_LOG = logging.getLogger(__name__)

ID_LETTERS = 16
"""Letters of a record's id in its file name; the whole id is inside."""

_FILE_NAME = re.compile(rf"(?P<id>[0-9a-f]{{{ID_LETTERS}}})\.(?P<attempt>[1-9]\d{{0,8}})\.json")


class Problem(Struct, frozen=True, order=True):
    """What is wrong with one file, in one sentence that names it."""

    path: str
    message: str

    def __str__(self) -> str:
        return self.message


def record_path(record: Record) -> Path:
    """Where a record lies inside a store: `<data>/<method>/<first 16 letters of its id>.<attempt>.json`."""
    return _place(record.identity) / f"{record.id[:ID_LETTERS]}.{record.attempt}.json"


class FolderStore:
    """Records as files in a folder that people can browse:

        cora/dgi/0f3c6f7a1b2c3d4e.1.json        <data>/<method>/<first 16 letters of the id>.<attempt>.json

    Many processes may add at once. A file that is no valid record is reported as a Problem and hides no other.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._told: set[Path] = set()

    def add(self, record: Record) -> Record:
        """Write `record` as the next attempt at its cell, and return it as stored: with the attempt's number.

        Raises StorageError if it cannot be written, RecordError if it is not valid (then nothing is written).
        """
        place = self.folder / _place(record.identity)
        remove_stale(place)  # what a killed process was writing
        attempt = max((number for _, number in self._files(place, record.id)), default=0)
        while True:
            attempt += 1
            stored = msgspec.structs.replace(record, attempt=attempt)
            document = encode_record(stored)
            decode_record(document)  # what cannot be read again (a NaN becomes null) is refused before it is in the store
            if create_whole(self.folder / record_path(stored), document):
                return stored
            # Another process took this number since we looked.

    def require_writable(self) -> None:
        """Raise StorageError where no record could be added: better before hours of training than after."""
        require_writable(self.folder)

    def attempts(self, cell: Identity | str) -> list[Record]:
        """All valid attempts at a cell, oldest first. An identity is looked up in one folder, a bare id in all of them."""
        if isinstance(cell, Identity):
            sha256 = cell.sha256
            places = [self.folder / _place(cell)]
        else:
            sha256 = cell
            places = [place for data in _folders(self.folder) for place in _folders(data)]
        found: list[Record] = []
        for place in places:
            for path, _ in self._files(place, sha256):
                record = _read(path)
                if isinstance(record, Problem):
                    self._tell(path, record)
                elif record.id == sha256:
                    found.append(record)
        return sorted(found, key=lambda record: record.attempt)

    def best(self, cell: Identity | str) -> Record | None:
        """The newest attempt that is ok, or None."""
        return next((record for record in reversed(self.attempts(cell)) if record.status == "ok"), None)

    def __contains__(self, cell: Identity | str) -> bool:
        """Whether the cell is done: only an ok attempt counts."""
        return self.best(cell) is not None

    def attempts_of(self, data: str, method: str) -> Iterator[Record]:
        """Every valid record of a method on a data set, whatever its options."""
        for path in sorted(_entries(self.folder / slug(data) / slug(method)), key=_by_attempt):
            record = _read(path) if path.suffix == ".json" and not path.name.startswith(".") else None
            if isinstance(record, Record) and (record.identity.data.name, record.identity.method.name) == (data, method):
                yield record

    def all(self) -> Iterator[Record]:
        """Every valid record, ordered by path and attempt."""
        return (record for record in self._contents() if isinstance(record, Record))

    def read(self) -> tuple[list[Record], list[Problem]]:
        """Every valid record, and what is wrong with the other files."""
        records: list[Record] = []
        problems: list[Problem] = []
        for content in self._contents():
            if isinstance(content, Record):
                records.append(content)
            else:
                problems.append(content)
        return records, problems

    def _tell(self, path: Path, problem: Problem) -> None:
        """Warn once of a file that is asked for and is no valid record: its cell counts as not done."""
        if path not in self._told:
            self._told.add(path)
            _LOG.warning("%s It does not count; `harness leaderboard check` tells of all such files.", problem)

    def _contents(self) -> Iterator[Record | Problem]:
        for data in _folders(self.folder):
            for method in _folders(data):
                for path in sorted(_entries(method), key=_by_attempt):
                    if path.suffix == ".json" and not path.name.startswith("."):
                        yield _read(path)

    def _files(self, place: Path, sha256: str) -> list[tuple[Path, int]]:
        """Files in `place` that are named after this id, and the attempt in their name."""
        matches = ((path, _FILE_NAME.fullmatch(path.name)) for path in _entries(place))
        return [(path, int(name["attempt"])) for path, name in matches if name and name["id"] == sha256[:ID_LETTERS]]


def _place(identity: Identity) -> Path:
    return Path(slug(identity.data.name), slug(identity.method.name))


def _read(path: Path) -> Record | Problem:
    try:
        return decode_record(path.read_bytes(), where=str(path))
    except RecordError as error:
        return Problem(str(path), str(error))
    except OSError as error:
        return Problem(str(path), f"{path} could not be read: {error.strerror or error}.")
    except (ValueError, RecursionError) as error:  # numbers or nesting so large that no digest can be made of them
        return Problem(str(path), f"{path} is not a valid record: {error}.")


def _entries(folder: Path) -> list[Path]:
    """What is in `folder`, sorted; nothing if it does not exist. Raises StorageError if it cannot be read."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise StorageError(
            f"The store's folder {folder} could not be read: a part of its path is a file; choose another."
        ) from None
    except OSError as error:
        raise StorageError(f"The store's folder {folder} could not be read: {error.strerror or error}.") from error


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir() and not path.name.startswith(".")]


def _by_attempt(path: Path) -> tuple[str, int, str]:
    name = _FILE_NAME.fullmatch(path.name)
    return (name["id"], int(name["attempt"]), "") if name else (path.name, 0, path.name)
