"""Collecting what a random agent, or a policy, sees in a game. Imports no torch.

The consoles of a collection are divided among processes, and the result is the same for any number of these.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from harness import DataError, Progress, UnfitError, no_progress
from harness_atari.array_folders import cannot_be_written, finish, only_one, partial_folder, remove_partial, writable
from harness_atari.collection import Collection, Plan, joined, open_collection, recipe_of
from harness_atari.consoles import REPORTED, generator_of, is_done, mark, mark_done, opened, play
from harness_atari.emulation import Bytes, rom_path
from harness_atari.games import game
from harness_atari.spec_data import EMULATORS
from harness_atari.workers import play_elsewhere, usable_cores

Policy = Callable[[Bytes, np.random.Generator], Any]
"""From what the eight consoles show, [8, 210, 160], and a generator, to their actions [8]: places among the minimal actions."""

_WORTH_A_PROCESS = 4_000
"""Frames below which another process would take longer to start than to play."""


def collect(cache: Path, plan: Plan, *, workers: int | None = None, progress: Progress = no_progress) -> Collection:
    """The collection of a plan, played by a random agent; one that lies in `cache` already, and is undamaged, is taken.

    :param cache: a folder for collections of this game; that of `DataContext.cache` is another for every game and emulator.
    :param workers: processes that play, this one where it is one; by default as many as there are free cores, at most 8.
    :raises DataError: when there is no emulator or the disk has no room; then nothing half written is left.
    :raises CorruptDataError: when the game's ROM is not the pinned one.
    """
    folder = cache / plan.name
    if not plan.has_frames:  # those with frames have all that is asked for
        whole = msgspec.structs.replace(plan, has_frames=True)
        if found := open_collection(cache / whole.name, recipe_of(whole)):
            return found
    if found := open_collection(folder, recipe_of(plan)):
        return found
    rom_path(game(plan.game))  # what it complains of is said here and not by a worker
    with only_one(folder):
        if found := open_collection(folder, recipe_of(plan)):  # another process has made it in the meantime
            return found
        partial = partial_folder(folder, recipe_of(plan), plan.forms)
        missing = [stream for stream in range(EMULATORS) if not is_done(partial, plan, stream)]
        progress((EMULATORS - len(missing)) * plan.share, plan.frames, "frames")
        if workers is None:
            workers = min(EMULATORS, usable_cores(), -(-len(missing) * plan.share // _WORTH_A_PROCESS))
        try:
            if workers > 1 and len(missing) > 1 and sys.executable:
                play_elsewhere(partial, plan, missing, workers, progress)
            else:
                _play_here(partial, plan, missing, progress)
        except OSError as error:
            raise cannot_be_written(folder, error) from error
        return _finished(partial, folder, plan, recipe_of(plan))


def collect_by_policy(folder: Path, plan: Plan, policy: Policy, *, progress: Progress = no_progress) -> Collection:
    """A collection played by a policy, with all consoles in step, in this process; it replaces whatever lies in `folder`.

    The policy is shown a fresh array in every step, which it may keep. `open_collection(folder)` finds the collection again. Raises
    UnfitError when the policy gives something else than eight actions of the game, and as `collect` does.
    """
    recipe = recipe_of(plan) | {"agent": "a policy"}
    with only_one(folder):
        # With another policy there is nothing to go on with.
        remove_partial(folder)
        partial = partial_folder(folder, recipe, plan.forms)
        try:
            arrays = writable(partial, plan.forms)
            generator = generator_of(plan, "policy")
            with contextlib.ExitStack() as closing:
                streams = [closing.enter_context(opened(partial, plan, stream, arrays)) for stream in range(EMULATORS)]
                for step in range(plan.share):
                    shown = np.stack([stream.emulator.frame for stream in streams])
                    chosen = _checked_actions(policy(shown, generator), streams[0].emulator.actions, plan.game)
                    for stream, action in zip(streams, chosen, strict=True):
                        stream.advance(action)
                    if step % REPORTED == 0:
                        progress(step * EMULATORS, plan.frames, "frames")
            for number in range(EMULATORS):
                mark_done(partial, plan, number, arrays)
        except BaseException:
            remove_partial(folder)
            raise
        return _finished(partial, folder, plan, recipe)


def _play_here(partial: Path, plan: Plan, streams: Sequence[int], progress: Progress) -> None:
    for done, stream in enumerate(streams, start=EMULATORS - len(streams)):

        def report(frames: int, before: int = done * plan.share) -> None:
            progress(before + frames, plan.frames, "frames")

        play(partial, plan, stream, report)


def _finished(partial: Path, folder: Path, plan: Plan, recipe: Mapping[str, Any]) -> Collection:
    marks = [mark(partial, stream) for stream in range(EMULATORS)]
    finish(partial, folder, recipe, plan.forms, joined(marks))
    found = open_collection(folder, recipe)
    if found is None:
        raise DataError(f"{folder} was written and cannot be read; another process may have removed it: try again.")
    return found


def _checked_actions(chosen: Any, count: int, name: str) -> list[int]:
    actions = np.asarray(chosen)
    if actions.shape != (EMULATORS,) or actions.dtype.kind not in "iu" or not ((actions >= 0) & (actions < count)).all():
        raise UnfitError(
            f"The policy gave {chosen!r}; {name} takes {EMULATORS} whole numbers from 0 to {count - 1}, one for each console."
        )
    return [int(action) for action in actions]
