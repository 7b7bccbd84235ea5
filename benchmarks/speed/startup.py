"""How long the command line takes to answer, beside a bare interpreter and beside importing torch.

    python benchmarks/speed/startup.py [--rounds 20] [--out FILE.json]

Every command is a process of its own; all are started in turn, once a round, and the medians over rounds are printed. Two things
must hold: help, list and plugins answer within 0.3 s of a bare interpreter, and a run whose cells are all recorded answers within
1 s of importing torch (it imports none).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

BARE, TORCH, AGAIN = "python -c pass", "python -c 'import torch'", "harness run (all recorded)"
LIGHT = ("harness --help", "harness plugins", "harness list")
LIGHT_LIMIT_S = 0.3
AGAIN_LIMIT_S = 1.0


def commands() -> dict[str, list[str]]:
    """What is timed, by name."""
    harness = str(Path(sysconfig.get_path("scripts")) / "harness")
    request = ["run", "--method", "ae", "--data", "digits", "--budget", "smoke"]
    return {
        BARE: [sys.executable, "-c", "pass"],
        TORCH: [sys.executable, "-c", "import torch"],
        **{name: [harness, *name.split()[1:]] for name in LIGHT},
        AGAIN: [harness, *request],
    }


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of every command in every round, after one round that is not counted and makes the records."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "HARNESS_CACHE": str(Path(folder) / "cache")}
        seconds: dict[str, list[float]] = {name: [] for name in commands()}
        for number in range(rounds + 1):
            for name, command in commands().items():
                started = time.perf_counter()
                subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
                if number:
                    seconds[name].append(time.perf_counter() - started)
    return seconds


def judge(median: dict[str, float]) -> dict[str, dict[str, Any]]:
    """The two criteria: what was measured, the limit, and whether it holds."""
    slowest = max(median[name] for name in LIGHT) - median[BARE]
    again = median[AGAIN] - median[TORCH]
    return {
        "help, plugins and list over a bare interpreter": {
            "seconds": slowest, "limit": LIGHT_LIMIT_S, "met": slowest <= LIGHT_LIMIT_S,
        },
        "a recorded run over importing torch": {"seconds": again, "limit": AGAIN_LIMIT_S, "met": again <= AGAIN_LIMIT_S},
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; 1 when a criterion is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="rounds that are timed (default 20)")
    parser.add_argument("--out", type=Path, help="write the result as JSON to this file")
    chosen = parser.parse_args(arguments)

    seconds = measure(chosen.rounds)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    criteria = judge(median)
    print(f"{chosen.rounds} rounds; seconds")
    for name, values in seconds.items():
        print(f"{name:28s} median {median[name]:6.3f}   least {min(values):6.3f}   most {max(values):6.3f}")
    for name, row in criteria.items():
        print(f"{name}: {row['seconds']:+.3f} s, limit {row['limit']} s: {'met' if row['met'] else 'MISSED'}")
    if chosen.out:
        result = {
            "rounds": chosen.rounds,
            "python": platform.python_version(),
            "packages": {name: version(name) for name in ("infomax-harness", "torch", "numpy", "click", "pluggy")},
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "seconds": {name: {"median": median[name], "all": values} for name, values in seconds.items()},
            "criteria": criteria,
        }
        chosen.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if all(row["met"] for row in criteria.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
