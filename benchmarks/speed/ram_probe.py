"""Time of the probes of a game's RAM variables, all at once as `ram-probe` trains them, beside plain torch, in one process.

    python benchmarks/speed/ram_probe.py --threads 1 [--features y.npy --ram ram.npz] [--out FILE.json]

The peer is the probe as one writes it down: for one variable after the other a `torch.nn.Linear` of 256 classes, `F.cross_entropy`,
`torch.optim.Adam` as it comes, the features in memory, no loader; after each epoch the validation accuracy and `ReduceLROnPlateau`.
Ours is `harness_atari.stacked_probes`, with the classes that a variable has in the training part, as the evaluator has by default,
and with all 256 of a byte. Everybody trains all epochs: nobody stops early. Before anything is timed, ours with 256 classes must
have the peer's weights after an epoch from the same weights on the same batches. Then all train in turn for a number of rounds;
printed are medians and how many times quicker than the peer that is, by the clock and, which says more on a busy machine, by the
processor's time.

Variables are random walks, with as many values as those of a game had in 10,500 frames of a random agent (those that the entropy
filter leaves), or evenly from 30 to 200 of them; features are 256 numbers mixed from them. Or give the features of a run and the
RAM values of its frames, an array [n] by variable; the first 70 % are the training part, the next 10 % the validation part.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from harness_atari.probe_batches import FeatureRows
from harness_atari.stacked_probes import EPS, Linear, Samples, Training, initial_probes, train_probes

TRAIN, VALIDATION = 10_500, 1_500
"""Samples: the parts of the budget `fast`."""
DIMS, BATCH, LR = 256, 64, 3e-4
MADE = {
    "24 variables of 30 to 200 values": [round(k) for k in np.linspace(30, 200, 24)],
    "27 variables as Berzerk's": [
        2, 3, 3, 5, 5, 7, 7, 8, 9, 14, 19, 26, 40, 45, 49, 63, 84, 85, 91, 105, 110, 114, 117, 119, 120, 122, 148,
    ],
    "32 variables as Asteroids'": [
        2, 2, 16, 16, 52, 60, 60, 64, 71, 73, 86, 86, 90, 90, 90, 101, 101, 104, 109, 115, 115, 158, 159, 160, 160, 161, 161, 161,
        161, 161, 163, 163,
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Data:
    """Features [n, D] and values [V, n] of two parts."""

    x: Tensor
    values: Tensor
    held_out_x: Tensor
    held_out_values: Tensor


def made(sizes: list[int]) -> Data:
    """Random walks on 0..size-1, scattered over a byte, and features that are sums of a vector for each value, and noise."""
    rng = np.random.default_rng(0)
    n = TRAIN + VALIDATION
    x, values = rng.normal(size=(n, DIMS)), []
    for size in sizes:
        walk = np.abs((np.cumsum(rng.integers(-2, 3, n)) + rng.integers(size)) % (2 * size) - size + 0.5) - 0.5
        places = walk.astype(np.int64)
        x += (np.cumsum(rng.normal(size=(size, DIMS)), axis=0) / np.sqrt(size))[places]
        values.append(np.sort(rng.permutation(256)[:size])[places])
    x = (x - x.mean(0)) / x.std(0)
    # Consecutive frames are alike, so the parts are drawn from everywhere.
    order = rng.permutation(n)
    return parted(x[order].astype(np.float32), np.stack(values)[:, order], TRAIN, VALIDATION)


def real(features: Path, ram: Path) -> Data:
    """The features of a run's frames and their RAM values."""
    x = np.load(features)
    values = np.stack(list(np.load(ram).values())).astype(np.int64)
    return parted(x.reshape(len(x), -1).astype(np.float32), values, len(x) * 7 // 10, len(x) // 10)


def parted(x: NDArray[np.float32], values: NDArray[np.int64], train: int, validation: int) -> Data:
    """The first `train` samples and the `validation` ones that follow."""
    features, targets = torch.from_numpy(x), torch.from_numpy(values)
    ends = slice(train), slice(train, train + validation)
    return Data(features[ends[0]], targets[:, ends[0]].clone(), features[ends[1]], targets[:, ends[1]].clone())


def plain(data: Data, epochs: int, given: list[Linear] | None = None) -> list[Linear]:
    """One variable after the other; the weights in the end."""
    trained = []
    for variable in range(len(data.values)):
        y, held_out_y = data.values[variable], data.held_out_values[variable]
        probe = torch.nn.Linear(data.x.shape[1], 256)
        if given:
            probe.load_state_dict(dict(zip(("weight", "bias"), given[variable], strict=True)))
        optimiser = torch.optim.Adam(probe.parameters(), lr=LR, eps=EPS)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, mode="max", factor=0.2, patience=5, min_lr=1e-5)
        generator = torch.Generator().manual_seed(0)
        for _ in range(epochs):
            for rows in torch.randperm(len(y), generator=generator).split(BATCH):
                optimiser.zero_grad()
                F.cross_entropy(probe(data.x[rows]), y[rows]).backward()
                optimiser.step()
            with torch.no_grad():
                plateau.step((probe(data.held_out_x).argmax(dim=1) == held_out_y).float().mean())
        trained.append((probe.weight.detach(), probe.bias.detach()))
    return trained


def ours(data: Data, epochs: int, *, seen: bool, given: list[Linear] | None = None) -> list[Linear]:
    """All at once, with the classes of the training part or all 256."""
    everything = np.arange(256)
    classes = [np.unique(values) if seen else everything for values in data.values.numpy()]
    generator = torch.Generator().manual_seed(0)

    def samples(x: Tensor, values: Tensor) -> Samples:
        numbers = np.full((len(classes), 256), -1)
        for variable, of in enumerate(classes):
            numbers[variable, of] = np.arange(len(of))
        targets = torch.from_numpy(numbers).gather(1, values)
        return Samples(FeatureRows(x.numpy(), torch.device("cpu")).take, targets)

    train, held_out = samples(data.x, data.values), samples(data.held_out_x, data.held_out_values)
    initial = given or initial_probes([len(of) for of in classes], data.x.shape[1], torch.Generator().manual_seed(1))
    training = Training(lr=LR, epochs=epochs, batch_size=BATCH, patience=epochs, judged="last")
    rows = torch.arange(len(data.held_out_x))
    found = train_probes(initial, train, held_out, training, lambda: torch.randperm(len(data.x), generator=generator), lambda: rows)
    assert (found.epochs == epochs).all()
    return found.probes


def largest_difference(data: Data) -> float:
    """Of any weight after one epoch of 256 classes by the peer and by ours; rates move a weight by up to 0.05 in an epoch."""
    given = initial_probes([256] * len(data.values), data.x.shape[1], torch.Generator().manual_seed(1))
    pairs = zip(plain(data, 1, given), ours(data, 1, seen=False, given=given), strict=True)
    return max(float((a - b).abs().max()) for one, other in pairs for a, b in zip(one, other, strict=True))


WAYS: dict[str, Callable[[Data, int], list[Linear]]] = {
    "plain torch": plain,
    "ours": lambda data, epochs: ours(data, epochs, seen=True),
    "ours, 256 classes": lambda data, epochs: ours(data, epochs, seen=False),
}


def compare(data: Data, epochs: int, rounds: int) -> dict[str, Any]:
    """Same weights, then the seconds of all ways."""
    apart = largest_difference(data)
    if apart > 1e-3:
        raise SystemExit(f"The weights of the peer and of ours differ by {apart:.1e} after an epoch; nothing was timed.")
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    busy: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, train in WAYS.items():
            started = time.perf_counter(), time.process_time()
            train(data, epochs)
            seconds[way].append((time.perf_counter() - started[0]) / epochs)
            busy[way].append((time.process_time() - started[1]) / epochs)
    return {
        "variables": len(data.values),
        "classes": sum(len(values.unique()) for values in data.values),
        "samples": len(data.x),
        "features": data.x.shape[1],
        "largest_weight_difference": apart,
        "an_epoch": {way: beside_peer(seconds, busy, way) for way in WAYS},
    }


def beside_peer(seconds: dict[str, list[float]], busy: dict[str, list[float]], way: str) -> dict[str, Any]:
    """Medians over rounds, and those of how many times less than the peer's it is in the same round."""

    def times(of: dict[str, list[float]]) -> float:
        return statistics.median(theirs / own for theirs, own in zip(of["plain torch"], of[way], strict=True))

    return {
        "seconds": statistics.median(seconds[way]),
        "times_quicker_than_peer": times(seconds),
        "processor_seconds": statistics.median(busy[way]),
        "times_less_processor_than_peer": times(busy),
        "rounds": {"seconds": seconds[way], "processor_seconds": busy[way]},
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    parser.add_argument("--epochs", type=int, default=2, help="epochs that each trains in a round (default 2)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--features", type=Path, help="features of a run")
    parser.add_argument("--ram", type=Path, help="their frames' values, NumPy: an array [n] by variable")
    parser.add_argument("--out", type=Path, help="write the result as JSON to this file")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    result: dict[str, Any] = {
        "threads": chosen.threads,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}",
        "batch": BATCH,
        "epochs": chosen.epochs,
        "rounds": chosen.rounds,
        "games": {},
    }
    cases = {name: made(sizes) for name, sizes in MADE.items()}
    if chosen.features:
        cases["features of a run"] = real(chosen.features, chosen.ram)
    for name, data in cases.items():
        found = result["games"][name] = compare(data, chosen.epochs, chosen.rounds)
        print(f"{name}, {found['classes']} in all; weights agree to {found['largest_weight_difference']:.0e}")
        for way, row in found["an_epoch"].items():
            clock, busy = row["times_quicker_than_peer"], row["times_less_processor_than_peer"]
            used = f"{row['processor_seconds']:7.3f} s {busy:6.2f} x"
            print(f"    {way:18s} {row['seconds']:7.3f} s an epoch {clock:6.2f} x; of the processor {used}", flush=True)
    if chosen.out:
        chosen.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
