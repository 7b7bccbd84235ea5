"""Corruptions C: (X, A) -> (X̃, Ã), the part of Deep Graph Infomax that makes negative examples.

A corruption is any callable `corruption(graph, generator) -> Corrupted`; all its randomness comes from the generator, which lives
on the graph's device. The table `CORRUPTIONS` names those of this file; any other is named "package.module:function".
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from harness import Graph, OptionError, SparseMatrix, UnfitError


@dataclass(frozen=True)
class Corrupted:
    """A corrupted graph, in pieces, so that what was not touched is not computed again."""

    x: Tensor | SparseMatrix
    """[N, F] features X̃, before their rows are reordered; the original's own object where they were not touched."""
    graph: Graph
    """The graph whose edges are Ã; the original where they were not touched. Its features are not read."""
    rows: Tensor | None = None
    """[N] int64: row i of the corrupted features is row rows[i] of `x`; None where their order was not touched."""
    judged_by: Tensor | None = None
    """[N] int64: number, as in `graph.graph`, of the graph whose summary node i is a negative example for; None for the node's own
    graph. Only with several whole graphs side by side."""


Corruption = Callable[[Graph, torch.Generator], Corrupted]


def identity(graph: Graph, generator: torch.Generator) -> Corrupted:
    """Corrupts nothing: positives and negatives are the same, so that no loss below ln 2 can be reached."""
    return Corrupted(graph.x, graph)


def row_shuffle(graph: Graph, generator: torch.Generator) -> Corrupted:
    """Features are dealt out to other nodes, edges stay (Veličković et al. 2019, section 4.2).

    One permutation per call. With several graphs side by side each keeps its own features: rows are permuted inside each graph, as
    if each had been corrupted by itself. In a sampled sub-graph all its rows are permuted, the neighbourhood's too.
    """
    rows = torch.randperm(len(graph), generator=generator, device=generator.device)
    if graph.graph is not None and graph.roots is None:
        drawn = rows[torch.argsort(graph.graph[rows], stable=True)]  # random inside each graph, graphs in order
        place = torch.argsort(graph.graph, stable=True)
        rows = torch.empty_like(drawn)
        rows[place] = drawn
    return Corrupted(graph.x, graph, rows=rows)


def other_graph(graph: Graph, generator: torch.Generator, rate: float = 0.0) -> Corrupted:
    """Another graph of the batch is the negative example (Veličković et al. 2019, section 4.2, PPI).

    Each graph's nodes become the negatives of one other graph, along a random cycle through all graphs of the batch.

    :param rate: dropout on the input features of the negative example.
    Raises UnfitError for a batch with a single graph, or with sampled sub-graphs.
    """
    if graph.graph is None or graph.roots is not None:
        raise UnfitError(
            "Corruption other_graph takes batches of at least two whole graphs; set objective.sampling=graph, or "
            "objective.sampling=graphs with a train.batch_size that leaves no graph alone in a batch."
        )
    cycle = torch.randperm(int(graph.graph.max()) + 1, generator=generator, device=generator.device)
    judge = torch.empty_like(cycle)
    judge[cycle] = cycle.roll(1)
    x = feature_dropout(graph, generator, rate).x if rate else graph.x
    return Corrupted(x, graph, judged_by=judge[graph.graph])


def edge_drop(graph: Graph, generator: torch.Generator, rate: float = 0.5) -> Corrupted:
    """Every edge is removed with probability `rate`, in both directions at once; features stay."""
    i, j, weight = graph.adjacency.coo()
    edges, edge = torch.unique(_pairs(i, j, len(graph)), return_inverse=True)
    kept = (torch.rand(len(edges), generator=generator, device=generator.device) >= rate)[edge]
    adjacency = SparseMatrix.from_coo(i[kept], j[kept], weight[kept], graph.adjacency.shape)
    return Corrupted(graph.x, replace(graph, adjacency=adjacency))


def edge_flip(graph: Graph, generator: torch.Generator, rate: float = 1e-3) -> Corrupted:
    """Ã = A xor Σ with Σ_ij Bernoulli: edges appear and disappear, features stay (Veličković et al. 2019, appendix on corruptions).

    Every unordered pair of different nodes is flipped with probability `rate` (a pair drawn twice counts once, so very slightly
    fewer); new edges go both ways with weight 1. Raises UnfitError for several graphs side by side, which it would join.
    """
    if graph.graph is not None:
        raise UnfitError("Corruption edge_flip would join the graphs of a batch; use edge_drop, row_shuffle or other_graph.")
    n = len(graph)
    possible = torch.tensor(n * (n - 1) / 2, device=generator.device)
    flips = int(torch.binomial(possible, torch.full_like(possible, rate), generator=generator))
    a, b = (torch.randint(size, (flips,), generator=generator, device=generator.device) for size in (n, n - 1))
    flipped = torch.unique(_pairs(a, b + (b >= a), n))  # the shift leaves out a itself

    i, j, weight = graph.adjacency.coo()
    existing = _pairs(i, j, n)
    kept = ~torch.isin(existing, flipped)
    new = flipped[~torch.isin(flipped, existing)]
    low, high = new // n, new % n
    adjacency = SparseMatrix.from_coo(
        torch.cat([i[kept], low, high]),
        torch.cat([j[kept], high, low]),
        torch.cat([weight[kept], weight.new_ones(2 * len(new))]),
        graph.adjacency.shape,
    )
    return Corrupted(graph.x, replace(graph, adjacency=adjacency))


def feature_dropout(graph: Graph, generator: torch.Generator, rate: float = 0.5) -> Corrupted:
    """Every feature value is set to 0 with probability `rate` and the others are divided by 1 - rate; edges stay."""
    if isinstance(graph.x, SparseMatrix):
        i, j, value = graph.x.coo()
        kept = torch.rand(len(value), generator=generator, device=generator.device) >= rate
        dropped: Tensor | SparseMatrix = SparseMatrix.from_coo(i[kept], j[kept], value[kept] / (1 - rate), graph.x.shape)
    else:
        kept = torch.rand(graph.x.shape, generator=generator, device=generator.device) >= rate
        dropped = graph.x * kept / (1 - rate)
    return Corrupted(dropped, graph)


CORRUPTIONS: Mapping[str, Callable[..., Corrupted]] = {
    corruption.__name__: corruption for corruption in (row_shuffle, other_graph, edge_drop, edge_flip, feature_dropout, identity)
}


def find_corruption(name: str, rate: float | None = None) -> Corruption:
    """The corruption with this name, or the function "package.module:function"; `rate`, where given, is passed to it.

    Raises OptionError when there is none, or when it takes no rate.
    """
    module, _, attribute = name.partition(":")
    corruption: Any = CORRUPTIONS.get(name)
    if corruption is None and attribute:
        with suppress(ImportError, ValueError):
            corruption = getattr(importlib.import_module(module), attribute, None)
    if not callable(corruption):
        raise OptionError(
            f"There is no corruption {name!r}; it is one of {', '.join(CORRUPTIONS)}, or a function package.module:function."
        )
    if rate is None:
        return cast(Corruption, corruption)
    if "rate" not in inspect.signature(corruption).parameters:
        raise OptionError(f"Corruption {name} takes no rate; leave out objective.corruption_rate.")
    return partial(corruption, rate=rate)


def permute_rows(z: Tensor, rows: Tensor) -> Tensor:
    """`z[rows]` for a permutation `rows` [N] of the rows of z [N, D].

    Its backward pass gathers by the inverse permutation; indexing's own would add up into zeros, which is slower and on a GPU not
    deterministic.
    """
    permuted: Tensor = _permute_rows(z, rows)
    return permuted


@torch.library.custom_op("harness_graphs::permute_rows", mutates_args=())
def _permute_rows(z: Tensor, rows: Tensor) -> Tensor:
    return z.index_select(0, rows)


@_permute_rows.register_fake
def _(z: Tensor, rows: Tensor) -> Tensor:
    return torch.empty_like(z)


def _remember(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(inputs[1])


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
    (rows,) = ctx.saved_tensors
    inverse = torch.empty_like(rows)
    inverse[rows] = torch.arange(len(rows), device=rows.device)
    return _permute_rows(gradient, inverse), None


_permute_rows.register_autograd(_backward, setup_context=_remember)


def _pairs(i: Tensor, j: Tensor, n: int) -> Tensor:
    """One number per unordered pair of nodes."""
    return torch.minimum(i, j) * n + torch.maximum(i, j)
