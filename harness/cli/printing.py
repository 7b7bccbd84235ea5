"""What several commands print alike."""

from __future__ import annotations

from typing import Any

import click

from harness.ledger.identity import indented_json


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    click.echo(indented_json(document), nl=False)
