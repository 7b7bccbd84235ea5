"""Collections: what a random agent sees in a game, with the RAM of every step, written straight to disk.

Eight consoles play side by side, each with its own seed and an equal share of the frames, which lie one console after the other.
They are divided among processes, and the result is the same for any number of these. A console that was done stays done when a
collection is interrupted; the others play again when it goes on. Imports no torch, so that worker processes start fast.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from harness import DataError, UnfitError
from harness_atari.array_folders import (
    Arrays,
    Forms,
    RowWriter,
    cannot_be_written,
    finish,
    only_one,
    partial_folder,
    plan_of,
    remove_partial,
    whole_folder,
    writable,
    write_note,
)
from harness_atari.emulation import HEIGHT, RAM_BYTES, WIDTH, Bytes, Emulator, emulator_library, rom_path
from harness_atari.games import game
from harness_atari.spec_data import EMULATORS, collection_recipe

Progress = Callable[[int, int, str], None]
"""Told how far it is: (done, total, "frames")."""
Policy = Callable[[Bytes, np.random.Generator], Any]
"""From what the eight consoles show, [8, 210, 160], and a generator, to their actions [8]: places among the minimal actions."""

_BLOCK = 16
"""Frames that are written at a time: as many as fit beside the emulator into a fast cache."""
_REPORTED = 128
"""Steps between two reports of a console."""
_WORTH_A_PROCESS = 4_000
"""Frames below which another process would take longer to start than to play."""
_WORKER = """
import json, sys
job = json.loads(sys.argv[1])
sys.path[:] = job.pop("path")
from harness_atari.collection import work
work(**job)
"""


class Plan(Struct, frozen=True, kw_only=True):
    """What is collected."""

    game: str
    part: Literal["pretrain", "probe"]
    """To train on, or to judge by: two parts of one seed are different frames."""
    frames: int
    """A multiple of 8."""
    seed: int
    has_frames: bool = True
    """False: RAM and digests of the frames alone."""

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.part}-s{self.seed}-{self.frames}" + ("" if self.has_frames else "-labels")

    @property
    def share(self) -> int:
        """Frames of each console."""
        return self.frames // EMULATORS

    @property
    def forms(self) -> Forms:
        """Shape and type of each array."""
        forms: dict[str, tuple[tuple[int, ...], Any]] = {
            "ram": ((self.frames, RAM_BYTES), np.uint8),
            "step_ram": ((self.frames, RAM_BYTES), np.uint8),
            "episodes": ((self.frames,), np.int64),
            "digests": ((self.frames,), np.uint64),
        }
        return forms | ({"frames": ((self.frames, 1, HEIGHT, WIDTH), np.uint8)} if self.has_frames else {})


@dataclass(frozen=True)
class Collection:
    """A finished collection of T frames, mapped read-only."""

    folder: Path
    plan: Plan
    content_sha256: str
    frames: Bytes | None
    """[T, 1, 210, 160]; None where only RAM and digests were kept."""
    ram: Bytes
    """[T, 128] the RAM of the instant of each frame."""
    step_ram: Bytes
    """[T, 128] the RAM at the end of the step that gave the frame: that of `ram`, but at the first frame of an episode that of the
    step that ended the episode before."""
    episodes: NDArray[np.int64]
    """[T] the episode of each frame, called by the number of its first frame."""
    digests: NDArray[np.uint64]
    """[T] the first 64 bits of the sha256 of each frame."""


# ---------------------------------------------------------------------------------------------------- collecting


def collect(cache: Path, plan: Plan, *, workers: int | None = None, progress: Progress | None = None) -> Collection:
    """The collection of a plan, played by a random agent; one that lies in `cache` already, and is undamaged, is taken.

    :param cache: a folder for collections of this game; that of `DataContext.cache` is another for every game and emulator.
    :param workers: processes that play, this one where it is one; by default as many as there are free cores, at most 8.
    :raises DataError: when there is no emulator or the disk has no room; then nothing half written is left.
    :raises CorruptDataError: when the game's ROM is not the pinned one.
    """
    folder = cache / plan.name
    if not plan.has_frames:  # those with frames have all that is asked for
        whole = msgspec.structs.replace(plan, has_frames=True)
        if found := open_collection(cache / whole.name, _recipe(whole)):
            return found
    if found := open_collection(folder, _recipe(plan)):
        return found
    rom_path(game(plan.game))  # what it complains of is said here and not by a worker
    with only_one(folder):
        if found := open_collection(folder, _recipe(plan)):  # another process has made it in the meantime
            return found
        partial = partial_folder(folder, _recipe(plan), plan.forms)
        missing = [stream for stream in range(EMULATORS) if not _is_done(partial, plan, stream)]
        _report(progress, plan, (EMULATORS - len(missing)) * plan.share)
        if workers is None:
            workers = min(EMULATORS, _usable_cores(), -(-len(missing) * plan.share // _WORTH_A_PROCESS))
        try:
            if workers > 1 and len(missing) > 1 and sys.executable:
                _play_elsewhere(partial, plan, missing, workers, progress)
            else:
                _play_here(partial, plan, missing, progress)
        except OSError as error:
            raise cannot_be_written(folder, error) from error
        return _finished(partial, folder, plan, _recipe(plan))


def collect_by_policy(folder: Path, plan: Plan, policy: Policy, *, progress: Progress | None = None) -> Collection:
    """A collection played by a policy, with all consoles in step, in this process; it replaces whatever lies in `folder`.

    The policy is shown a fresh array in every step, which it may keep. `open_collection(folder)` finds the collection again. Raises
    UnfitError when the policy gives something else than eight actions of the game, and as `collect` does.
    """
    recipe = _recipe(plan) | {"agent": "a policy"}
    with only_one(folder):
        # With another policy there is nothing to go on with.
        remove_partial(folder)
        partial = partial_folder(folder, recipe, plan.forms)
        try:
            arrays = writable(partial, plan.forms)
            generator = _generator(plan, "policy")
            with contextlib.ExitStack() as closing:
                streams = [closing.enter_context(_opened(partial, plan, stream, arrays)) for stream in range(EMULATORS)]
                for step in range(plan.share):
                    shown = np.stack([stream.emulator.frame for stream in streams])
                    chosen = _checked_actions(policy(shown, generator), streams[0].emulator.actions, plan.game)
                    for stream, action in zip(streams, chosen, strict=True):
                        stream.advance(action)
                    if step % _REPORTED == 0:
                        _report(progress, plan, step * EMULATORS)
            for number in range(EMULATORS):
                _mark_done(partial, plan, number, arrays)
        except BaseException:
            remove_partial(folder)
            raise
        return _finished(partial, folder, plan, recipe)


def open_collection(folder: Path, recipe: Mapping[str, Any] | None = None) -> Collection | None:
    """The finished collection in `folder`; None where there is none, it is damaged, or it is of another recipe than this one."""
    recipe = plan_of(folder) if recipe is None else recipe
    found = whole_folder(folder, recipe, _content_sha256)
    if found is None or recipe is None:
        return None
    arrays, content = found
    return Collection(
        folder=folder,
        plan=msgspec.convert(recipe["plan"], Plan),
        content_sha256=content,
        frames=arrays.get("frames"),
        ram=arrays["ram"],
        step_ram=arrays["step_ram"],
        episodes=arrays["episodes"],
        digests=arrays["digests"],
    )


def _recipe(plan: Plan) -> dict[str, Any]:
    """All that the arrays depend on."""
    return collection_recipe(plan.game) | {"plan": msgspec.to_builtins(plan), "form": 1}


def _finished(partial: Path, folder: Path, plan: Plan, recipe: Mapping[str, Any]) -> Collection:
    marks = [_mark(partial, stream) for stream in range(EMULATORS)]
    finish(partial, folder, recipe, plan.forms, _joined(marks))
    found = open_collection(folder, recipe)
    if found is None:
        raise DataError(f"{folder} was written and cannot be read; another process may have removed it: try again.")
    return found


def _report(progress: Progress | None, plan: Plan, done: int) -> None:
    if progress is not None:
        progress(done, plan.frames, "frames")


# ------------------------------------------------------------------------------------------------------- playing


class _Stream:
    """One console, and the rows of the arrays that it fills step by step.

    What the very first reset shows is not kept, only what steps show. A step that ends an episode gives the first frame of the next
    one: what is seen after the reset.
    """

    def __init__(self, partial: Path, plan: Plan, stream: int, arrays: Arrays) -> None:
        rows = _rows(plan, stream)
        mine = {name: array[rows] for name, array in arrays.items()}
        self.generator = _generator(plan, str(stream))
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
            self._digests[step] = _digest(emulator.frame)
        self._episodes[step] = self._episode
        self._step = step + 1

    def close(self) -> None:
        """Write the last frames."""
        if self._frames is not None:
            self._frames.close()


@contextlib.contextmanager
def _opened(partial: Path, plan: Plan, stream: int, arrays: Arrays) -> Iterator[_Stream]:
    """One console, whose frames are all written at the end of the block."""
    opened = _Stream(partial, plan, stream, arrays)
    try:
        yield opened
    finally:
        opened.close()


def play(partial: Path, plan: Plan, stream: int, report: Callable[[int], None]) -> None:
    """Let one console play at random to its end, and mark it as done. `report` is told now and then how many frames it has."""
    arrays = writable(partial, plan.forms)
    with _opened(partial, plan, stream, arrays) as player:
        actions = player.generator.integers(1, player.emulator.actions, size=plan.share).tolist()
        for first in range(0, plan.share, _REPORTED):
            for action in actions[first : first + _REPORTED]:
                player.advance(action)
            report(min(first + _REPORTED, plan.share))
    _mark_done(partial, plan, stream, arrays)


def _play_here(partial: Path, plan: Plan, streams: Sequence[int], progress: Progress | None) -> None:
    for done, stream in enumerate(streams, start=EMULATORS - len(streams)):
        play(partial, plan, stream, lambda frames, before=done * plan.share: _report(progress, plan, before + frames))  # type: ignore[misc]


def _generator(plan: Plan, label: str) -> np.random.Generator:
    """The random numbers of one console, or of the policy."""
    return seeded(f"{plan.seed}/{plan.part}/{label}")


def seeded(label: str) -> np.random.Generator:
    """Random numbers that depend on `label` alone."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "big"))


def _rows(plan: Plan, stream: int) -> slice:
    return slice(stream * plan.share, (stream + 1) * plan.share)


def _checked_actions(chosen: Any, count: int, name: str) -> list[int]:
    actions = np.asarray(chosen)
    if actions.shape != (EMULATORS,) or actions.dtype.kind not in "iu" or not ((actions >= 0) & (actions < count)).all():
        raise UnfitError(
            f"The policy gave {chosen!r}; {name} takes {EMULATORS} whole numbers from 0 to {count - 1}, one for each console."
        )
    return [int(action) for action in actions]


# -------------------------------------------------------------------------------------------- what a console left


def _digest(frame: Bytes) -> int:
    return int.from_bytes(hashlib.sha256(frame.data).digest()[:8], "little")


def _stream_sha256(arrays: Mapping[str, NDArray[Any]], rows: slice) -> str:
    """Digest of what one console left; frames enter through their own digests, and "" says that these are not theirs."""
    if "frames" in arrays and not np.array_equal(_digests(arrays["frames"][rows]), arrays["digests"][rows]):
        return ""
    content = hashlib.sha256()
    for name in ("ram", "step_ram", "episodes", "digests"):
        content.update(arrays[name][rows].data)
    return content.hexdigest()


def _digests(frames: Iterable[Bytes]) -> NDArray[np.uint64]:
    return np.array([_digest(frame) for frame in frames], dtype=np.uint64)


def _content_sha256(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Digest of a whole collection."""
    share = len(arrays["ram"]) // EMULATORS
    return _joined([_stream_sha256(arrays, slice(k * share, (k + 1) * share)) for k in range(EMULATORS)])


def _joined(marks: Sequence[str]) -> str:
    return hashlib.sha256("".join(marks).encode()).hexdigest()


def _mark_done(partial: Path, plan: Plan, stream: int, arrays: Arrays) -> None:
    """Write down that a console is done, with the digest of what it left."""
    rows = _rows(plan, stream)
    if plan.has_frames:
        arrays["digests"][rows] = _digests(arrays["frames"][rows])
    write_note(partial / f"stream-{stream}.json", _stream_sha256({name: arrays[name] for name in arrays if name != "frames"}, rows))


def _mark(partial: Path, stream: int) -> str:
    """The digest that was written down; "" where a console is not done."""
    try:
        return str(json.loads((partial / f"stream-{stream}.json").read_bytes()))
    except (OSError, ValueError):
        return ""


def _is_done(partial: Path, plan: Plan, stream: int) -> bool:
    """Whether a console is done and all of it is there: after a crash of the system the note may be and the frames not."""
    mark = _mark(partial, stream)
    return bool(mark) and mark == _stream_sha256(writable(partial, plan.forms), _rows(plan, stream))


# ------------------------------------------------------------------------------------------------ other processes


def _play_elsewhere(partial: Path, plan: Plan, streams: Sequence[int], workers: int, progress: Progress | None) -> None:
    """Divide the consoles among other processes.

    They are started as commands and not by multiprocessing, which would run the caller's script again in each.
    """
    told = np.memmap(partial / "progress", dtype=np.int64, mode="w+", shape=(EMULATORS,))
    done = (EMULATORS - len(streams)) * plan.share
    processes: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as stack:
        logs: list[IO[bytes]] = []
        try:
            for worker in range(min(workers, len(streams))):
                logs.append(stack.enter_context((partial / f"worker-{worker}.log").open("w+b")))
                job = {
                    "path": sys.path,
                    "partial": str(partial),
                    "plan": msgspec.to_builtins(plan),
                    "streams": streams[worker::workers],
                    "parent": os.getpid(),
                }
                command = [sys.executable, "-c", _WORKER, json.dumps(job)]
                quiet = subprocess.DEVNULL
                processes.append(subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=logs[-1]))  # noqa: S603
            while any(process.poll() is None for process in processes) and not any(process.poll() for process in processes):
                time.sleep(0.05)
                _report(progress, plan, done + int(told.sum()))
        finally:
            for process in processes:  # none is left but after an error or Ctrl-C
                process.kill()
                process.wait()
        for process, log in zip(processes, logs, strict=True):
            if process.returncode > 0:
                log.seek(0)
                said = log.read().decode(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"]
                raise DataError(f"A process that played {plan.game} failed: {said[-1]}")
    lost = [stream for stream in streams if not _mark(partial, stream)]
    if lost:
        raise DataError(f"A process that played {plan.game} was killed before it was done; try again: what the others did is kept.")


def work(partial: str, plan: dict[str, Any], streams: Sequence[int], parent: int) -> None:
    """What a worker process does: play some consoles, unless the process that started it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends its workers
    emulator_library()
    told = np.memmap(Path(partial, "progress"), dtype=np.int64, mode="r+", shape=(EMULATORS,))

    def report(frames: int) -> None:
        told[stream] = frames
        if os.name == "posix" and os.getppid() != parent:
            raise SystemExit(0)

    for stream in streams:
        play(Path(partial), msgspec.convert(plan, Plan), stream, report)


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
