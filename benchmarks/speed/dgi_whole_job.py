"""Time of a whole job on Cora, five encoders with fifty probes each, beside the same job made of torch_geometric.

    HARNESS_DATA=... python benchmarks/speed/dgi_whole_job.py --threads 2 [--compile] [--out FILE.json]

Both train the recipe of torch_geometric's example for 300 epochs and judge every encoder by the 50 probes of Deep Graph Infomax's
reference code (softmax regression, 100 Adam steps each). The peer trains them one after the other, as that code does. Ours is
`harness.run` as a user calls it: reading and checking the data, training with checkpoints, representation, probes, records.
Encoder by encoder the two take turns; imports are not counted for either.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from dgi_cora import load, peer
from torch import Tensor, nn

import harness
import harness.line.pipeline  # now, so that its import is not counted, as the peer's is not
from harness import SparseMatrix

EPOCHS = 300
PROBES, PROBE_STEPS = 50, 100


def peer_job(seed: int, labels: Tensor, splits: harness.Splits) -> tuple[float, float]:
    """One encoder of torch_geometric and its probes: seconds, and mean test accuracy in %."""
    started = time.perf_counter()
    torch.manual_seed(seed)
    _, graph = load(row_normalise=False)
    model, epoch = peer(graph, torch.Generator().manual_seed(seed))
    for _ in range(EPOCHS):
        epoch()
    model.eval()
    x = graph.x.to_dense() if isinstance(graph.x, SparseMatrix) else graph.x
    targets, sources, _ = graph.adjacency.coo()
    with torch.no_grad():
        z = model(x, torch.stack([sources, targets]))[0]
    train, test = torch.as_tensor(splits.train), torch.as_tensor(splits.test)
    accuracies = [probe(z[train], labels[train], z[test], labels[test]) for _ in range(PROBES)]
    return time.perf_counter() - started, statistics.mean(accuracies)


def probe(x: Tensor, y: Tensor, test_x: Tensor, test_y: Tensor) -> float:
    """One linear probe of the reference code of Deep Graph Infomax: test accuracy in %."""
    layer = nn.Linear(x.shape[1], int(y.max()) + 1)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.01, weight_decay=0.0)
    for _ in range(PROBE_STEPS):
        optimiser.zero_grad()
        nn.functional.cross_entropy(layer(x), y).backward()
        optimiser.step()
    with torch.no_grad():
        return 100 * float((layer(test_x).argmax(1) == test_y).float().mean())


def our_job(seed: int, data: str, out: Path, options: Sequence[str]) -> tuple[float, float]:
    """One encoder of ours and its probes through `harness.run`: seconds, and mean test accuracy in %."""
    started = time.perf_counter()
    [record] = harness.run(
        method="dgi-pyg", data=data, seed=seed, evaluators=["logistic"], options=options, references=False, out=out
    )
    if record.primary is None:
        raise SystemExit(f"Our job failed: {record.error}")
    return time.perf_counter() - started, record.primary.value


def compare_jobs(encoders: int, compiled: bool) -> dict[str, Any]:
    """Both jobs, encoder by encoder in turn."""
    data, labels, splits = labels_of()
    variants: dict[str, Any] = {"torch_geometric": lambda seed: peer_job(seed, labels, splits)}
    with tempfile.TemporaryDirectory() as folder:
        variants["harness"] = lambda seed: our_job(seed, data, Path(folder, "eager"), ())
        if compiled:
            variants["harness, compiled"] = lambda seed: our_job(seed, data, Path(folder, "compiled"), ["train.compile=true"])
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
        for seed in range(encoders):
            for name, job in variants.items():
                found[name].append(job(seed))
                print(f"{name}, encoder {seed}: {found[name][-1][0]:.1f} s, {found[name][-1][1]:.2f} %", flush=True)
    total = {name: sum(seconds for seconds, _ in jobs) for name, jobs in found.items()}
    return {
        "data": data,
        "encoders": encoders,
        "jobs": {
            name: {
                "seconds": [seconds for seconds, _ in jobs],
                "total_s": total[name],
                "share_of_peer": total[name] / total["torch_geometric"],
                "accuracy_percent": [accuracy for _, accuracy in jobs],
            }
            for name, jobs in found.items()
        },
    }


def labels_of() -> tuple[str, Tensor, harness.Splits]:
    """Labels and splits of the data that `load` finds."""
    from harness.catalog.catalog import Catalog
    from harness.catalog.discovery import load_plugins
    from harness.data.files import cache_folder, data_roots, locate_files

    name, _ = load(row_normalise=False)
    entry = Catalog.of(load_plugins()).dataset(name)
    files, _ = locate_files(entry.spec, data_roots(), cache_folder())
    dataset = entry.builder()(harness.DataContext(files=files, cache=cache_folder()), entry.spec.options())
    labels = torch.as_tensor(dataset.annotations.labels)
    return name, labels, dataset.annotations.splits["planetoid-public"]


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (default 2)")
    parser.add_argument("--encoders", type=int, default=5, help="encoders of each (default 5)")
    parser.add_argument("--compile", action="store_true", help="also time ours with train.compile=true")
    parser.add_argument("--out", type=Path, help="write the result as JSON to this file")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    result = {
        "threads": chosen.threads,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}",
        **compare_jobs(chosen.encoders, chosen.compile),
    }
    for name, job in result["jobs"].items():
        print(f"{name:20s} {job['total_s']:8.1f} s for {chosen.encoders} encoders, {job['share_of_peer']:.3f} of the peer's time")
    if chosen.out:
        chosen.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
