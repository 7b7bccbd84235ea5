"""How long work says how far it is."""

from __future__ import annotations

import math
import time
from typing import Protocol

_TOLD_EVERY_S = 0.1


class Progress(Protocol):
    """Is told how far a long piece of work is, as often as one likes."""

    def __call__(self, done: int, total: int, unit: str, /) -> None:
        """`done` of at most `total`, and what is counted, such as "frames"."""


def no_progress(done: int, total: int, unit: str) -> None:
    """A `Progress` that nobody listens to."""


def now_and_then(progress: Progress) -> Progress:
    """`progress`, told at most ten times a second, and of the end."""
    last = -math.inf

    def told(done: int, total: int, unit: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _TOLD_EVERY_S or done >= total:
            last = now
            progress(done, total, unit)

    return told
