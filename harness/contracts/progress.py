"""How long work says how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Is told how far a long piece of work is, as often as one likes."""

    def __call__(self, done: int, total: int, unit: str, /) -> None:
        """`done` of at most `total`, and what is counted, such as "frames"."""


def no_progress(done: int, total: int, unit: str) -> None:
    """A `Progress` that nobody listens to."""
