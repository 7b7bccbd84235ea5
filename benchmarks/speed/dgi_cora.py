"""Time of one training epoch of Deep Graph Infomax on Cora, beside torch_geometric's recipe in the same process.

    HARNESS_DATA=... python benchmarks/speed/dgi_cora.py --threads 1 [--compile] [--out FILE.json]

The peer is `DeepGraphInfomax` with `GCNConv`, as in torch_geometric's example infomax_transductive.py. All variants are stepped in
turn, one epoch each, for a number of rounds; printed are the median over rounds and how many times quicker than the peer that is.
Before that, our recipe `dgi-pyg` is given the peer's weights and permutations, and both must follow the same losses.

Cora is read from the folders of HARNESS_DATA; where it is absent, the generated graph `sbm` takes its place and the output says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness import DataContext, DataSet, Description, FilesRecipe, Graph, ObjectiveContext, SparseMatrix, Step, WholeGraph
from harness_graphs.dgi import DeepGraphInfomax, build_dgi
from harness_graphs.gcn import GCN, build_gcn
from harness_graphs.spec import harness_datasets, harness_methods
from harness_graphs.spec_data import GraphDataOptions
from harness_graphs.spec_dgi import DGIOptions
from harness_graphs.spec_encoders import GCNOptions

Epoch = Callable[[], float]
"""One epoch; returns the loss before its update."""


# --------------------------------------------------------------------------------------------------------- data


def load(row_normalise: bool) -> tuple[str, Graph]:
    """Cora from HARNESS_DATA, or sbm, as one graph."""
    options = GraphDataOptions(row_normalise=row_normalise)
    specs = {spec.name: spec for spec in harness_datasets()}
    recipe = specs["cora"].recipe
    assert isinstance(recipe, FilesRecipe)
    roots = [Path(root) for root in os.environ.get("HARNESS_DATA", "").split(os.pathsep) if root]
    files = {file.path: root / file.path for root in roots for file in recipe.files if (root / file.path).is_file()}
    with tempfile.TemporaryDirectory() as cache:
        context = DataContext(files=files, cache=Path(cache))
        if len(files) == len(recipe.files):
            from harness_graphs.planetoid import build_planetoid

            name, dataset = "cora", build_planetoid(context, options)
        else:
            from harness_graphs.sbm import build_sbm

            name, dataset = "sbm", build_sbm(context, options)
        return name, whole_graph(dataset)


def whole_graph(dataset: DataSet) -> Graph:
    """What a training on the whole graph sees."""
    batch = dataset.pretrain.epoch(WholeGraph(), 1, torch.Generator())[0]
    assert isinstance(batch, Graph)
    return batch


# ----------------------------------------------------------------------------------------------------- variants


def peer(graph: Graph, generator: torch.Generator) -> tuple[nn.Module, Epoch]:
    """torch_geometric's transductive example, with permutations drawn from `generator`."""
    from torch_geometric.nn import DeepGraphInfomax, GCNConv

    x = graph.x.to_dense() if isinstance(graph.x, SparseMatrix) else graph.x
    targets, sources, _ = graph.adjacency.coo()
    edge_index = torch.stack([sources, targets])

    class Encoder(nn.Module):
        def __init__(self, features: int, hidden: int) -> None:
            super().__init__()
            self.conv = GCNConv(features, hidden)
            self.prelu = nn.PReLU(hidden)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.prelu(self.conv(x, edge_index))

    def corruption(x: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        return x[torch.randperm(x.size(0), generator=generator)], edge_index

    model = DeepGraphInfomax(
        hidden_channels=512,
        encoder=Encoder(x.shape[1], 512),
        summary=lambda z, *args, **kwargs: z.mean(dim=0).sigmoid(),
        corruption=corruption,
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)

    def epoch() -> float:
        model.train()
        optimiser.zero_grad()
        loss = model.loss(*model(x, edge_index))
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return model, epoch


def ours(method: str, graph: Graph, generator: torch.Generator, *, compiled: bool = False) -> tuple[DeepGraphInfomax, Epoch]:
    """One of our recipes, stepped in a loop like the peer's."""
    recipe = next(spec.options for spec in harness_methods() if spec.name == method)
    description = Description(kind="graph", shape=(graph.x.shape[1],), samples=len(graph))
    encoder = build_gcn(description, GCNOptions(**recipe["encoder"]), generator)
    objective = build_dgi(encoder, ObjectiveContext(description), DGIOptions(**recipe["objective"]), generator)
    (phase,) = objective.phases()
    optimiser = phase.optimiser(list(phase.parameters))
    loss_of = torch.compile(phase.loss) if compiled else phase.loss
    steps = iter(range(sys.maxsize))

    def epoch() -> float:
        objective.train()
        optimiser.zero_grad()
        index = next(steps)
        loss = loss_of(Step(batch=graph, epoch=index, index=index, generator=generator))["loss"]
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return objective, epoch


# --------------------------------------------------------------------------------------------------- comparison


def largest_difference(graph: Graph, *, compiled: bool, steps: int = 20) -> float:
    """Largest difference of the losses of the peer and of `dgi-pyg` over some steps from the same weights and permutations."""
    model, peer_epoch = peer(graph, torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(0)
    objective, our_epoch = ours("dgi-pyg", graph, generator, compiled=compiled)
    generator.manual_seed(1)
    encoder = objective.encoder
    assert isinstance(encoder, GCN)
    with torch.no_grad():
        encoder.layers[0].weight.copy_(model.encoder.conv.lin.weight.t())
        encoder.layers[0].bias.copy_(model.encoder.conv.bias)
        encoder.layers[0].slope.copy_(model.encoder.prelu.weight)
        objective.discriminator.weight.copy_(model.weight)
    return max(abs(peer_epoch() - our_epoch()) for _ in range(steps))


def interleaved(variants: dict[str, Epoch], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every epoch of every variant, all stepped in turn; three rounds beforehand are not counted."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for round_number in range(-3, rounds):
        for name, epoch in variants.items():
            started = time.perf_counter()
            epoch()
            if round_number >= 0:
                times[name].append((time.perf_counter() - started) * 1e3)
    return times


def compare_epochs(rounds: int, compiled: bool) -> dict[str, Any]:
    """Same losses, then times of all variants."""
    name, raw = load(row_normalise=False)
    _, normalised = load(row_normalise=True)
    difference = max(largest_difference(raw, compiled=way) for way in {False, compiled})
    if difference > 1e-4:
        raise SystemExit(f"The losses of torch_geometric and dgi-pyg differ by {difference:.1e} over 20 steps; nothing was timed.")
    variants = {
        "torch_geometric": peer(raw, torch.Generator().manual_seed(0))[1],
        "dgi-pyg": ours("dgi-pyg", raw, torch.Generator().manual_seed(0))[1],
        "dgi": ours("dgi", normalised, torch.Generator().manual_seed(0))[1],
    }
    if compiled:
        variants["dgi-pyg, compiled"] = ours("dgi-pyg", raw, torch.Generator().manual_seed(0), compiled=True)[1]
        variants["dgi, compiled"] = ours("dgi", normalised, torch.Generator().manual_seed(0), compiled=True)[1]
    times = interleaved(variants, rounds)
    median = {variant: statistics.median(values) for variant, values in times.items()}
    return {
        "data": name,
        "nodes": len(raw),
        "largest_loss_difference_over_20_steps": difference,
        "rounds": rounds,
        "epoch_ms": {
            variant: {
                "median": median[variant],
                "quartiles": statistics.quantiles(values, n=4)[::2],
                "times_quicker_than_peer": median["torch_geometric"] / median[variant],
            }
            for variant, values in times.items()
        },
    }


# A whole job (five encoders with their probes, through harness.run, beside the peer's five with its own) belongs here: a function
# that returns a dictionary like `compare_epochs`, and an argument --whole-job that puts it into the output.


# ------------------------------------------------------------------------------------------------------- output


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    parser.add_argument("--rounds", type=int, default=30, help="epochs of each variant that are timed (default 30)")
    parser.add_argument("--compile", action="store_true", help="also time torch.compile of what our trainer compiles")
    parser.add_argument("--out", type=Path, help="write the result as JSON to this file")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)

    result = {
        "threads": chosen.threads,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}",
        **compare_epochs(chosen.rounds, chosen.compile),
    }
    print(f"{result['data']}, {result['nodes']} nodes, {result['threads']} thread(s); ", end="")
    print(f"losses agree to {result['largest_loss_difference_over_20_steps']:.0e} over 20 steps")
    for variant, row in result["epoch_ms"].items():
        print(f"{variant:20s} {row['median']:8.1f} ms an epoch {row['times_quicker_than_peer']:6.2f} x")
    if chosen.out:
        chosen.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
