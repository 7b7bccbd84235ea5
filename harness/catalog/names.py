"""Names of parts: how they are spelt, taken apart, and suggested when misspelt."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

LONGEST_NAME = 100
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_FEATURE = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")
_BUILD = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*", re.ASCII)


def is_name(text: str) -> bool:
    """Whether `text` is made of lower-case letters, digits and single hyphens."""
    return len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None


def is_feature_name(text: str) -> bool:
    """Like `is_name`, but single underscores and dots may also stand between the letters."""
    return len(text) <= LONGEST_NAME and _FEATURE.fullmatch(text) is not None


def is_build(text: str) -> bool:
    """Whether `text` has the form "package.module:attribute"."""
    return _BUILD.fullmatch(text) is not None


def split_family(name: str) -> tuple[str, str] | None:
    """Split "PREFIX:ARG" at the first colon, or None where there is no colon: ARG may hold colons and slashes itself."""
    prefix, colon, argument = name.partition(":")
    return (prefix, argument) if colon else None


def split_package(name: str) -> tuple[str | None, str]:
    """Split "package/name"; the package is None for a short name."""
    package, slash, short = name.rpartition("/")
    return (package, short) if slash else (None, name)


def nearest(name: str, known: Iterable[str], count: int = 2) -> list[str]:
    """At most `count` of the `known` names that `name` may stand for: first those spelt like it, then those that hold it."""
    names = sorted(set(known))
    lowered = {candidate.lower(): candidate for candidate in names}
    wanted = name.lower()
    found = [lowered[match] for match in difflib.get_close_matches(wanted, lowered, n=count)]
    if len(wanted) > 2:
        found += [candidate for candidate in names if wanted in candidate.lower() and candidate not in found]
    return found[:count]
