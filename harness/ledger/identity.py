"""Identity: canonical JSON and the digests made of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8, and no NaN or infinity: equal values give equal bytes."""
    plain = msgspec.to_builtins(value)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256_of(value: Any) -> str:
    """Hexadecimal sha256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def file_sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file. Raises OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def indented_json(value: Any) -> bytes:
    """JSON for people to read, in the order of the fields, with a final newline."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
