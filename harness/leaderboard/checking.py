"""Checking records that come from anywhere: each file by itself, then all of them against each other."""

from __future__ import annotations

import json
import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.errors import RecordError
from harness.ledger.identity import canonical_json
from harness.ledger.records import Record, decode_record
from harness.ledger.stores import Problem, record_path

MAX_RECORD_BYTES = 2**20
"""A record is a page of numbers; bulk arrays go beside it."""

MAX_MESSAGE = 600
"""Letters of a problem at most; it may quote what stands in the file."""


def check_records(paths: Iterable[str | Path]) -> list[Problem]:
    """What is wrong with these records: files, or folders searched for `*.json`. Empty when all is well.

    Each problem is one sentence that starts with the file's path, relative to the current folder where it lies inside. Whatever the
    files hold, nothing is raised.
    """
    problems: set[Problem] = set()
    good: list[tuple[str, Record]] = []
    for path, problem in _files(paths):
        shown = _shown(path)
        if problem:
            problems.add(Problem(shown, f"{shown} {problem}."))
            continue
        checked = _checked(path, shown)
        if isinstance(checked, Problem):
            problems.add(checked)
        else:
            good.append((shown, checked))
            problems.update(_name_problems(path, shown, checked))
    good.sort(key=lambda pair: pair[0])
    for check in (_twice, _attempts, _contents, _metrics):
        problems.update(Problem(shown, f"{shown} {message}.") for shown, message in check(good))
    return sorted(Problem(problem.path, _printable(problem.message)[:MAX_MESSAGE]) for problem in problems)


# ------------------------------------------------------------------------------------------------ one file by itself


def _files(paths: Iterable[str | Path]) -> Iterator[tuple[Path, str | None]]:
    """Every file to check, once, with what is wrong before it is opened."""
    seen: set[str] = set()
    for given in map(Path, paths):
        inside = _search(given) if os.path.isdir(given) else [(given, None)]
        for path, problem in inside:
            place = os.path.abspath(path)
            if place not in seen:
                seen.add(place)
                yield path, problem or _kind_problem(path, is_given=path is given)


def _search(folder: Path) -> list[tuple[Path, str | None]]:
    """The `*.json` files under `folder`, hidden ones (temporary files among them) left out, and the folders that cannot be read."""
    found: list[tuple[Path, str | None]] = []

    def unreadable(error: OSError) -> None:
        found.append((Path(error.filename), f"could not be read: {error.strerror}"))

    for here, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = [name for name in [*folders, *files] if name.endswith(".json") and not name.startswith(".")]
        found += [(Path(here, name), None) for name in sorted(names)]
    return found


def _kind_problem(path: Path, *, is_given: bool) -> str | None:
    """Anything but an ordinary file is not opened: a pipe would wait, a link may lead anywhere."""
    try:
        status = path.stat() if is_given else path.lstat()
    except FileNotFoundError:
        return "does not exist"
    except (OSError, ValueError) as error:
        return f"could not be read: {getattr(error, 'strerror', None) or error}"
    if stat.S_ISLNK(status.st_mode):
        return "is a link and not a file"
    if not stat.S_ISREG(status.st_mode):
        return "is not a file"
    if status.st_size > MAX_RECORD_BYTES:
        return f"has {status.st_size:,} bytes; a record has at most {MAX_RECORD_BYTES:,}"
    return None


def _checked(path: Path, shown: str) -> Record | Problem:
    try:
        document = path.read_bytes()
        text = document.decode()
        record = decode_record(document, where=shown)
        _refuse_double_keys(text)
    except RecordError as error:
        return Problem(shown, str(error))
    except UnicodeDecodeError as error:
        return Problem(shown, f"{shown} is not UTF-8 text (byte {error.start}).")
    except _DoubleKeyError as error:
        return Problem(shown, f"{shown} has the key {str(error)[:80]!r} twice in one object.")
    except OSError as error:
        return Problem(shown, f"{shown} could not be read: {error.strerror or error}.")
    except (ValueError, RecursionError) as error:  # numbers or nesting that only one of the two readers takes
        return Problem(shown, f"{shown} is not a valid record: {error}.")
    return record


class _DoubleKeyError(Exception):
    """A key that stands twice in one JSON object, where readers disagree which one counts."""


def _refuse_double_keys(text: str) -> None:
    def pairs(items: list[tuple[str, Any]]) -> None:
        keys: set[str] = set()
        for key, _ in items:
            if key in keys:
                raise _DoubleKeyError(key)
            keys.add(key)

    json.loads(text, object_pairs_hook=pairs)


def _name_problems(path: Path, shown: str, record: Record) -> Iterator[Problem]:
    name = record_path(record).name
    if path.name != name:
        yield Problem(shown, f"{shown} should be named {name}, after its id and attempt.")


def _shown(path: Path) -> str:
    here = Path.cwd()
    whole = Path(os.path.abspath(path))
    shown = whole.relative_to(here) if whole.is_relative_to(here) else path
    return _printable(shown.as_posix())


def _printable(text: str) -> str:
    """A file's name or content must not steer the terminal or break the line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


# ------------------------------------------------------------------------------------------------ against each other

Named = Sequence[tuple[str, Record]]
Found = Iterator[tuple[str, str]]
"""The file, and the rest of the sentence."""


def _twice(records: Named) -> Found:
    first: dict[tuple[str, int], str] = {}
    for shown, record in records:
        key = record.id, record.attempt
        if key in first:
            yield shown, f"is the same attempt at the same cell as {first[key]}"
        first.setdefault(key, shown)


def _attempts(records: Named) -> Found:
    """Attempts are counted from 1 without gaps, so that none is left out, and in the order in which they were made."""
    cells: dict[str, dict[int, tuple[str, Record]]] = defaultdict(dict)
    for shown, record in records:
        cells[record.id].setdefault(record.attempt, (shown, record))
    for attempts in cells.values():
        numbers = sorted(attempts)
        for before, number in zip([0, *numbers], numbers, strict=False):
            shown, record = attempts[number]
            if number > before + 1:
                missing = f"attempt {before + 1}" if number == before + 2 else f"attempts {before + 1} to {number - 1}"
                yield shown, f"is attempt {number}, but {missing} at its cell {'is' if number == before + 2 else 'are'} not here"
            elif before and record.created < attempts[before][1].created:
                yield shown, f"is attempt {number} but was made before attempt {before}, {attempts[before][0]}"


def _contents(records: Named) -> Found:
    """One recipe, read with one set of options under one protocol, gives one content."""
    first: dict[bytes, tuple[str, str]] = {}
    for shown, record in records:
        if record.content_sha256 is None:
            continue
        data = record.identity.data
        key = canonical_json([data.name, data.recipe_sha256, data.spec_version, data.options, record.identity.protocol])
        content, other = first.setdefault(key, (record.content_sha256, shown))
        if content != record.content_sha256:
            yield shown, f"has another content_sha256 than {other}, although both have the data recipe {data.recipe_sha256[:16]}"


def _metrics(records: Named) -> Found:
    """One evaluator, as configured, has one unit and one direction for each of its metrics."""
    first: dict[bytes, tuple[tuple[str, bool | None], str]] = {}
    for shown, record in records:
        seen: set[bytes] = set()
        for metric in record.metrics:
            own = canonical_json([metric.name, metric.of, metric.split])
            if own in seen:
                yield shown, f"has the metric {metric.name!r} twice for the same thing"
            seen.add(own)
            key = canonical_json([record.identity.evaluator, metric.name])
            (unit, direction), other = first.setdefault(key, ((metric.unit, metric.higher_is_better), shown))
            if unit != metric.unit:
                yield shown, f"has the metric {metric.name!r} in the unit {metric.unit!r}, but {other} has it in {unit!r}"
            elif direction != metric.higher_is_better:
                yield shown, f"has the metric {metric.name!r} with another direction than {other}"
