"""Processes that play consoles of a collection. Imports no torch, so that they start fast."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from harness import DataError, Progress
from harness_atari.collection import Plan
from harness_atari.consoles import mark, play
from harness_atari.emulation import emulator_library
from harness_atari.spec_data import EMULATORS

_WORKER = """
import json, sys
job = json.loads(sys.argv[1])
sys.path[:] = job.pop("path")
from harness_atari.workers import work
work(**job)
"""


def play_elsewhere(partial: Path, plan: Plan, streams: Sequence[int], workers: int, progress: Progress) -> None:
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
                progress(done + int(told.sum()), plan.frames, "frames")
        finally:
            for process in processes:  # none is left but after an error or Ctrl-C
                process.kill()
                process.wait()
        for process, log in zip(processes, logs, strict=True):
            if process.returncode > 0:
                log.seek(0)
                said = log.read().decode(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"]
                raise DataError(f"A process that played {plan.game} failed: {said[-1]}")
    lost = [stream for stream in streams if not mark(partial, stream)]
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


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
