"""Train every baseline on `digits` with many seeds: does any end in NaN, and is a diverged run caught and recorded?

    python benchmarks/soak/baselines.py --seeds 20 --json benchmarks/soak/baselines.json

Each method is run through the public door with its recipe for `digits` and judged by k-NN. A run is sound when its record is ok and
every term that it logged is finite. Then each method is run once with a learning rate of 1e30, which must diverge in its first or
second step: its record has to say so, with the step and its losses. (`digits` is logged at every step, and on a CPU every update is
looked at.)
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import harness

METHODS = ("ae", "dae", "vae", "beta-vae", "aae", "bigan", "ali", "nat")
REQUEST: dict[str, Any] = {"data": "digits", "evaluators": ["knn"], "references": False, "device": "cpu"}


def soak(method: str, seeds: int, folder: Path) -> dict[str, Any]:
    """A method over many seeds."""
    began = time.monotonic()
    records = harness.run(method=method, seeds=seeds, out=folder, **REQUEST)
    logs = [
        [json.loads(line) for line in path.read_text().splitlines()] for path in folder.glob(f"digits/{method}-s*/losses.jsonl")
    ]
    unsound = [record.identity.seed for record in records if record.status != "ok"]
    not_finite = sum(not math.isfinite(value) for log in logs for row in log for value in row.values())
    ends = [log[-1] for log in logs]
    accuracies = [record.metrics[0].value for record in records if record.status == "ok"]
    return {
        "seeds": len(records),
        "ok": len(records) - len(unsound),
        "seeds_not_ok": unsound,
        "rows_logged": sum(map(len, logs)),
        "values_not_finite": not_finite,
        "last_terms": {name: [min(end[name] for end in ends), max(end[name] for end in ends)] for name in ends[0] if "/" in name},
        "knn_accuracy_percent": {
            "mean": statistics.mean(accuracies),
            "sd": statistics.pstdev(accuracies),
            "lowest": min(accuracies),
        },
        "seconds": round(time.monotonic() - began, 1),
    }


def diverge(method: str, folder: Path) -> dict[str, Any]:
    """A method with an absurd learning rate: what its record says."""
    (record,) = harness.run(method=method, out=folder / "diverged", options={"objective.lr": 1e30}, **REQUEST)
    error = record.error
    return {
        "status": record.status,
        "step": error.step if error else None,
        "terms": dict(error.terms) if error else {},
        "a_term_is_not_finite": bool(error) and not all(math.isfinite(float(value)) for value in error.terms.values()),
    }


def main(arguments: list[str] | None = None) -> None:
    """Run, print, write; exit code 1 when something was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="seeds of every method (default 20)")
    parser.add_argument("--methods", default=",".join(METHODS), help="which (default: all)")
    parser.add_argument("--folder", type=Path, default=None, help="where to run (default: a temporary folder)")
    parser.add_argument("--json", type=Path, default=None, help="where to write the summary")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    summary: dict[str, Any] = {"torch": torch.__version__, "methods": {}, "problems": []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = (chosen.folder or Path(temporary)).resolve()
        for method in chosen.methods.split(","):
            found = soak(method, chosen.seeds, folder)
            found["with_a_rate_of_1e30"] = diverge(method, folder)
            summary["methods"][method] = found
            if found["ok"] < chosen.seeds or found["values_not_finite"]:
                summary["problems"].append(f"{method}: {found['ok']} of {chosen.seeds} ok, {found['values_not_finite']} not finite")
            caught = found["with_a_rate_of_1e30"]
            if caught["status"] != "diverged" or caught["step"] not in (0, 1) or not caught["a_term_is_not_finite"]:
                summary["problems"].append(f"{method}: a diverged run was recorded as {caught}")
            print(f"{method}: {found['ok']} of {chosen.seeds} ok, diverged at step {caught['step']}", file=sys.stderr, flush=True)
    document = json.dumps(summary, indent=1)
    print(document)
    if chosen.json is not None:
        chosen.json.write_text(document + "\n", encoding="utf-8")
    sys.exit(1 if summary["problems"] else 0)


if __name__ == "__main__":
    main()
