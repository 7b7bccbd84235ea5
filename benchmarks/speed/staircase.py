"""The staircase over all estimators of mutual information beside the usual eager loop, in turns, in the same process.

    python benchmarks/speed/staircase.py --threads 1 [--steps 400] [--rounds 5] [--out FILE.json]

The peer trains one critic for each of eight estimators, one after another, as published demonstrations do: two
`nn.Sequential` networks, torch's default Adam, a fresh batch and the estimate in every step. Ours is `harness.run` as a user
calls it: five trainings, one of them read in four ways, with data checks, features, checkpoints and records. The sizes are
those of Poole et al. 2019 and of Song and Ermon 2020: 20 dimensions, batch 64, three hidden layers of 256, an embedding of
32; five levels of `--steps` steps.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import harness

DIMS, BATCH, LEVELS = 20, 64, (2.0, 4.0, 6.0, 8.0, 10.0)
METHODS = ("mi-infonce", "mi-nwj", "mi-dv", "mi-mine", "mi-js")

# -------------------------------------------------------------------------------------------------------- the peer


def off_diagonal_mean(scores: Tensor) -> Tensor:
    """Mean of a square matrix without its diagonal."""
    n = len(scores)
    return (scores.sum() - scores.diagonal().sum()) / (n * (n - 1))


def log_mean_exp_off_diagonal(scores: Tensor) -> Tensor:
    """The diagonal is put at minus infinity."""
    n = len(scores)
    masked = scores - torch.diag(torch.full((n,), torch.inf))
    return masked.flatten().logsumexp(0) - math.log(n * (n - 1))


def infonce(scores: Tensor) -> Tensor:
    return math.log(len(scores)) + (scores.diagonal() - scores.logsumexp(1)).mean()


def nwj(scores: Tensor) -> Tensor:
    return scores.diagonal().mean() - off_diagonal_mean((scores - 1).exp())


def dv(scores: Tensor) -> Tensor:
    return scores.diagonal().mean() - log_mean_exp_off_diagonal(scores)


def smile(scores: Tensor, clip: float) -> Tensor:
    return scores.diagonal().mean() - log_mean_exp_off_diagonal(scores.clamp(-clip, clip))


def js(scores: Tensor) -> Tensor:
    return -F.softplus(-scores.diagonal()).mean() - off_diagonal_mean(F.softplus(scores))


Estimator = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]
PEERS: dict[str, Estimator] = {  # what is maximised, and what is read
    "infonce": (infonce, infonce),
    "nwj": (nwj, nwj),
    "dv": (dv, dv),
    "mine": (dv, dv),  # its gradient is corrected below
    "js": (js, lambda scores: nwj(scores + 1)),
    "smile-inf": (js, dv),
    "smile-5": (js, lambda scores: smile(scores, 5.0)),
    "smile-1": (js, lambda scores: smile(scores, 1.0)),
}


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(DIMS, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 32)
    )


def staircase_of(name: str, steps: int) -> list[float]:
    """The estimates of one estimator, step by step."""
    train, read = PEERS[name]
    g, h = network(), network()
    optimiser = torch.optim.Adam([*g.parameters(), *h.parameters()], lr=5e-4)
    average, estimates = torch.tensor(1.0), []
    for level in LEVELS:
        rho = math.sqrt(1 - math.exp(-2 * level / DIMS))
        for _ in range(steps):
            x = torch.randn(BATCH, DIMS)
            y = rho * x + math.sqrt(1 - rho**2) * torch.randn(BATCH, DIMS)
            optimiser.zero_grad()
            scores = g(x) @ h(y).T
            if name == "mine":
                partition = off_diagonal_mean(scores.exp())
                average = 0.9 * average + 0.1 * partition.detach()
                loss = -(scores.diagonal().mean() - partition / average)
            else:
                loss = -train(scores)
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                estimates.append(read(scores).item())
    return estimates


def peer(steps: int) -> dict[str, float]:
    """Seconds of each estimator, one after another."""
    seconds = {}
    for name in PEERS:
        started = time.perf_counter()
        staircase_of(name, steps)
        seconds[name] = time.perf_counter() - started
    return seconds


# ------------------------------------------------------------------------------------------------------------ ours


def ours(steps: int, threads: int) -> dict[str, float]:
    """Seconds of each method, its records included."""
    seconds = {}
    with tempfile.TemporaryDirectory() as out:
        for method in METHODS:
            started = time.perf_counter()
            harness.run(
                method=method,
                data="staircase",
                options=[f"data.steps={steps}"],
                budget="fast",
                references=False,
                threads=threads,
                out=Path(out),
            )
            seconds[method] = time.perf_counter() - started
    return seconds


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    parser.add_argument("--steps", type=int, default=400, help="steps of each of the five levels (default 400)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that are timed (default 5)")
    parser.add_argument("--out", type=Path, help="write the result as JSON to this file")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    ours(4, chosen.threads), peer(4)  # imports and first calls are not counted
    rounds = [(peer(chosen.steps), ours(chosen.steps, chosen.threads)) for _ in range(chosen.rounds)]
    ratios = [sum(mine.values()) / sum(theirs.values()) for theirs, mine in rounds]
    result: dict[str, Any] = {
        "threads": chosen.threads,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}",
        "steps_a_level": chosen.steps,
        "rounds": chosen.rounds,
        "peer_s": {name: statistics.median(theirs[name] for theirs, _ in rounds) for name in PEERS},
        "ours_s": {name: statistics.median(mine[name] for _, mine in rounds) for name in METHODS},
        "ours_over_peer": statistics.median(ratios),
        "range": [min(ratios), max(ratios)],
    }
    print(
        f"peer {sum(result['peer_s'].values()):.1f} s, ours {sum(result['ours_s'].values()):.1f} s: {result['ours_over_peer']:.3f}"
    )
    for name, seconds in {**result["peer_s"], **result["ours_s"]}.items():
        print(f"    {name:12s} {seconds:6.2f} s")
    if chosen.out:
        chosen.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
