"""What torch-geometric's own Deep Graph Infomax gives on Cora: its layers, loss, recipe and probe, ten seeds.

    python benchmarks/faithful/pyg_dgi_cora.py --seeds 10 --out benchmarks/faithful/pyg_dgi_cora.json

Beside it stands our preset `dgi-pyg`: `harness run --method dgi-pyg --data cora --seeds 10 --evaluators logistic,logistic-pyg`.

The graph is read by our loader, everything after that is torch-geometric's: `DeepGraphInfomax` around a `GCNConv` with one PReLU
slope per channel, rows of X permuted, Adam 1e-3, 300 epochs, and its `test` method (scikit-learn's logistic regression, L-BFGS, 150
iterations, train to test).
"""

from __future__ import annotations

import argparse
import json
import statistics
import warnings
from pathlib import Path

import torch
import torch_geometric
from torch_geometric.nn import DeepGraphInfomax, GCNConv

import harness
from harness.catalog.catalog import Catalog
from harness.catalog.discovery import load_plugins
from harness.data.files import cache_folder, data_roots, locate_files

HIDDEN = 512
EPOCHS = 300


class Encoder(torch.nn.Module):
    """The encoder of torch-geometric's example `infomax_transductive.py`."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv = GCNConv(features, HIDDEN)
        self.prelu = torch.nn.PReLU(HIDDEN)

    def forward(self, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        return self.prelu(self.conv(x, edges))


def corruption(x: torch.Tensor, edges: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[torch.randperm(x.size(0))], edges


def load_cora() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, harness.Splits]:
    """Binary features, edges, labels and the public split, read by our loader."""
    entry = Catalog.of(load_plugins()).dataset("cora")
    files, _ = locate_files(entry.spec, data_roots(), cache_folder())
    options = entry.spec.options(row_normalise=False)
    dataset = entry.builder()(harness.DataContext(files=files, cache=cache_folder()), options)
    graph = next(dataset.inputs.in_order(1))
    rows, columns, _ = graph.adjacency.coo()
    x = graph.x.to_dense() if isinstance(graph.x, harness.SparseMatrix) else graph.x
    labels = torch.as_tensor(dataset.annotations.labels)
    return x, torch.stack([columns, rows]), labels, dataset.annotations.splits["planetoid-public"]


def accuracy(seed: int, x: torch.Tensor, edges: torch.Tensor, y: torch.Tensor, splits: harness.Splits) -> float:
    """Test accuracy in percent of one encoder."""
    torch.manual_seed(seed)
    model = DeepGraphInfomax(
        hidden_channels=HIDDEN,
        encoder=Encoder(x.size(1)),
        summary=lambda z, *args, **kwargs: z.mean(dim=0).sigmoid(),
        corruption=corruption,
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for _ in range(EPOCHS):
        optimiser.zero_grad()
        loss = model.loss(*model(x, edges))
        loss.backward()
        optimiser.step()
    model.eval()
    with torch.no_grad():
        z, _, _ = model(x, edges)
    train, test = torch.as_tensor(splits.train), torch.as_tensor(splits.test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 150 iterations are the recipe, converged or not
        return 100 * float(model.test(z[train], y[train], z[test], y[test], max_iter=150))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    data = load_cora()
    values = []
    for seed in range(arguments.seeds):
        values.append(accuracy(seed, *data))
        print(f"seed {seed}: {values[-1]:.2f} %", flush=True)
    mean = statistics.mean(values)
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    print(f"mean {mean:.2f}, sample sd {sd:.2f} over {len(values)} encoders")
    if arguments.out:
        document = {
            "what": "torch-geometric's DeepGraphInfomax on Cora, its own recipe and probe; accuracy in %",
            "torch_geometric": torch_geometric.__version__,
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "values": values,
            "mean": mean,
            "sd": sd,
        }
        arguments.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
