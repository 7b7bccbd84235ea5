"""What several commands print alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
import msgspec

from harness.ledger.identity import indented_json


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    click.echo(indented_json(document), nl=False)


def count(number: int, word: str) -> str:
    """Such as "1 cell" and "1,200 cells"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def pairs(options: Mapping[str, Any]) -> str:
    """Such as "lr=0.001, width=64"; of keys with dots the last piece."""
    return ", ".join(f"{key.rpartition('.')[2]}={msgspec.json.encode(value).decode()}" for key, value in options.items())
