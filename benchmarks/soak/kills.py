"""Kill a run again and again and compare what it ends with.

    python benchmarks/soak/kills.py --kills 100 --json soak.json

One request is first left to finish; that is the reference. Then, in a fresh folder each round, the same command is killed
(SIGKILL, which no program can catch) at random moments and started again until it finishes. After every kill every file must be
whole; at the end of a round records (but for times and memory) and models must be those of the reference, bit by bit, and no
temporary file may be left that `remove_stale` does not remove. The moments come from --seed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from harness.ledger.whole_files import TEMPORARY_PREFIX, remove_stale

REQUEST = "run --method ae --data digits --budget fast --threads 1 --checkpoint-every 0.2 --out runs -o train.epochs=30"
REQUEST += " --evaluators knn,logistic-lbfgs"
VOLATILE = ("created", "time_s", "peak_memory_bytes")
KILLS_A_ROUND = 6


def start(folder: Path, request: list[str]) -> subprocess.Popen[bytes]:
    """Start the command in a folder of its own, which also holds its cache."""
    folder.mkdir(parents=True, exist_ok=True)
    program = "from harness.cli import main; main()"
    environ = os.environ | {"HARNESS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    with (folder / "stderr.txt").open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-c", program, *request], cwd=folder, env=environ, stdout=subprocess.DEVNULL, stderr=errors
        )


def results(folder: Path) -> dict[str, Any]:
    """What a finished request leaves that must not depend on interruptions: records, models, features, loss curves.

    Not temporary files, which every reader passes over: a kill between a record's naming and the removal of its temporary name
    leaves both names.
    """
    found: dict[str, Any] = {}
    for path in sorted((folder / "runs").rglob("*")):
        if path.name.startswith(TEMPORARY_PREFIX):
            continue
        name = path.relative_to(folder / "runs").as_posix()
        if name.startswith("records/") and path.suffix == ".json":
            record = json.loads(path.read_bytes())
            found[name] = {key: value for key, value in record.items() if key not in VOLATILE}
        elif path.name in ("model.safetensors", "losses.jsonl", "run.json") or path.suffix == ".npy":
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def broken_files(folder: Path) -> list[str]:
    """Files under their final names that cannot be read."""
    broken = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.startswith(TEMPORARY_PREFIX):
            continue
        try:
            if path.suffix == ".json":
                json.loads(path.read_bytes())
            elif path.suffix == ".jsonl":
                [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            elif path.suffix == ".npy":
                np.load(path, allow_pickle=False)
            elif path.suffix == ".safetensors":
                with safe_open(str(path), framework="np") as file:
                    for name in file.keys():  # noqa: SIM118 (not a dictionary)
                        file.get_slice(name).get_shape()
        except (ValueError, OSError, EOFError, SafetensorError) as error:
            broken.append(f"{path.relative_to(folder)}: {type(error).__name__}: {error}")
    return broken


def temporary_files(folder: Path) -> list[str]:
    """Temporary files that are there and that `remove_stale` leaves."""
    for place in {path.parent for path in folder.rglob(f"{TEMPORARY_PREFIX}*")}:
        remove_stale(place)
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob(f"{TEMPORARY_PREFIX}*"))


def wait_and_kill(process: subprocess.Popen[bytes], folder: Path, seconds: float, in_the_middle_of_a_write: bool) -> bool:
    """Kill the process after so many seconds, or then when it next writes a file; False when it ended before."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass
    else:
        return False
    until = time.monotonic() + 2.0
    while in_the_middle_of_a_write and time.monotonic() < until and process.poll() is None:
        if any((folder / "runs").rglob(f"{TEMPORARY_PREFIX}*")):
            break
    if process.poll() is not None:
        return False
    process.send_signal(signal.SIGKILL)
    process.wait()
    return True


def soak(folder: Path, kills: int, seed: int, request: list[str]) -> dict[str, Any]:
    """Kill `kills` times, over as many rounds as that takes, and return the summary."""
    began = time.monotonic()
    reference = start(folder / "reference", request)
    if reference.wait() != 0:
        raise SystemExit(f"The reference run failed:\n{(folder / 'reference' / 'stderr.txt').read_text(encoding='utf-8')}")
    duration = time.monotonic() - began
    shortest = duration / 4
    expected = results(folder / "reference")
    moments = random.Random(seed)
    summary: dict[str, Any] = {"request": " ".join(request), "seed": seed, "kills": 0, "restarts": 0, "rounds": 0, "completed": 0}
    summary |= {"files_compared": len(expected), "mismatches": [], "broken_files": [], "temporary_files_left": [], "failures": []}
    while summary["kills"] < kills:
        place = folder / f"round-{summary['rounds']}"
        killed_here = 0
        while True:
            process, started = start(place, request), time.monotonic()
            if killed_here < KILLS_A_ROUND and summary["kills"] < kills:
                seconds, writing = moments.uniform(0.0, 0.8) * duration, moments.random() < 0.5
                killed = wait_and_kill(process, place, seconds, writing)
                if not killed:  # the machine was slower when the reference ran, or little was left to do
                    duration = max(shortest, min(duration, time.monotonic() - started))
            else:
                killed = process.wait() is None
            summary["broken_files"] += [f"round {summary['rounds']}: {problem}" for problem in broken_files(place)]
            if not killed:
                break
            killed_here += 1
            summary["kills"] += 1
            summary["restarts"] += 1
        code = process.returncode
        if code != 0:
            summary["failures"].append(f"round {summary['rounds']}: exit code {code}")
        else:
            summary["completed"] += 1
            found = results(place)
            summary["mismatches"] += [
                f"round {summary['rounds']}: {name}"
                for name in sorted(expected.keys() | found.keys())
                if expected.get(name) != found.get(name)
            ]
        summary["temporary_files_left"] += [f"round {summary['rounds']}: {name}" for name in temporary_files(place)]
        summary["rounds"] += 1
        print(
            f"{summary['kills']} kills, {summary['completed']} rounds completed, {len(summary['mismatches'])} mismatches",
            flush=True,
        )
    summary["seconds"] = round(time.monotonic() - began, 1)
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="how many times to kill (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments (default 0)")
    parser.add_argument("--folder", type=Path, default=None, help="where to run (default: a temporary folder)")
    parser.add_argument("--json", type=Path, default=None, help="where to write the summary")
    parser.add_argument("--request", default=REQUEST, help=f"arguments of `harness` (default: {REQUEST})")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        summary = soak(folder, arguments.kills, arguments.seed, arguments.request.split())
    document = json.dumps(summary, indent=1)
    print(document)
    if arguments.json is not None:
        arguments.json.write_text(document + "\n", encoding="utf-8")
    sys.exit(1 if any(summary[name] for name in ("mismatches", "broken_files", "temporary_files_left", "failures")) else 0)


if __name__ == "__main__":
    main()
