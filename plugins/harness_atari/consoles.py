"""One console of a collection: it plays, what it shows goes to its rows of the arrays, and then it is marked as done.

A console that was done stays done when a collection is interrupted; the others play again when it goes on. Imports no torch.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from harness_atari.array_folders import Arrays, RowWriter, writable, write_note
from harness_atari.collection import Plan, console_sha256, digest, digests, rows_of, seeded
from harness_atari.emulation import Emulator
from harness_atari.games import game

_BLOCK = 16
"""Frames that are written at a time: as many as fit beside the emulator into a fast cache."""
REPORTED = 128
"""Steps between two reports of a console."""


class Console:
    """One console, and the rows of the arrays that it fills step by step.

    What the very first reset shows is not kept, only what steps show. A step that ends an episode gives the first frame of the next
    one: what is seen after the reset.
    """

    def __init__(self, partial: Path, plan: Plan, stream: int, arrays: Arrays) -> None:
        rows = rows_of(plan, stream)
        mine = {name: array[rows] for name, array in arrays.items()}
        self.generator = generator_of(plan, str(stream))
        self.emulator = Emulator(game(plan.game), self.generator)
        self.emulator.reset()
        self._frames = RowWriter(partial, "frames", plan.forms, rows.start, _BLOCK) if plan.has_frames else None
        self._ram, self._step_ram, self._episodes, self._digests = (
            mine[name] for name in ("ram", "step_ram", "episodes", "digests")
        )
        self._step, self._first_row, self._episode = 0, rows.start, rows.start

    def advance(self, action: int) -> None:
        """One step and its frame."""
        step, emulator = self._step, self.emulator
        ram = self._ram[step]
        if emulator.step(action):
            emulator.read_ram(self._step_ram[step])
            emulator.reset()
            emulator.read_ram(ram)
            self._episode = self._first_row + step
        else:
            emulator.read_ram(ram)
            self._step_ram[step] = ram
        if self._frames is not None:
            self._frames.add(emulator.frame)
        else:
            self._digests[step] = digest(emulator.frame)
        self._episodes[step] = self._episode
        self._step = step + 1

    def close(self) -> None:
        """Write the last frames."""
        if self._frames is not None:
            self._frames.close()


@contextlib.contextmanager
def opened(partial: Path, plan: Plan, stream: int, arrays: Arrays) -> Iterator[Console]:
    """One console, whose frames are all written at the end of the block."""
    console = Console(partial, plan, stream, arrays)
    try:
        yield console
    finally:
        console.close()


def play(partial: Path, plan: Plan, stream: int, report: Callable[[int], None]) -> None:
    """Let one console play at random to its end, and mark it as done. `report` is told now and then how many frames it has."""
    arrays = writable(partial, plan.forms)
    with opened(partial, plan, stream, arrays) as player:
        actions = player.generator.integers(1, player.emulator.actions, size=plan.share).tolist()
        for first in range(0, plan.share, REPORTED):
            for action in actions[first : first + REPORTED]:
                player.advance(action)
            report(min(first + REPORTED, plan.share))
    mark_done(partial, plan, stream, arrays)


def generator_of(plan: Plan, label: str) -> np.random.Generator:
    """The random numbers of one console, or of the policy."""
    return seeded(f"{plan.seed}/{plan.part}/{label}")


# ------------------------------------------------------------------------------------------------- what is done stays


def mark_done(partial: Path, plan: Plan, stream: int, arrays: Arrays) -> None:
    """Write down that a console is done, with the digest of what it left."""
    rows = rows_of(plan, stream)
    if plan.has_frames:
        arrays["digests"][rows] = digests(arrays["frames"][rows])
    write_note(partial / f"stream-{stream}.json", console_sha256({name: arrays[name] for name in arrays if name != "frames"}, rows))


def mark(partial: Path, stream: int) -> str:
    """The digest that was written down; "" where a console is not done."""
    try:
        return str(json.loads((partial / f"stream-{stream}.json").read_bytes()))
    except (OSError, ValueError):
        return ""


def is_done(partial: Path, plan: Plan, stream: int) -> bool:
    """Whether a console is done and all of it is there: after a crash of the system the note may be and the frames not."""
    noted = mark(partial, stream)
    return bool(noted) and noted == console_sha256(writable(partial, plan.forms), rows_of(plan, stream))
