"""Graphs held in memory: one large graph, or several of them side by side.

Neighbours are sampled here with plain torch operations. torch-geometric's NeighborLoader would do it too, but it needs compiled
extensions (pyg-lib or torch-sparse) that have no wheels on the package index, so `pip install` alone would not give a working one.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.contracts.batches import Graph
from harness.contracts.sources import Description, Epoch, Graphs, Sampling, Source, SubGraphs, WholeGraph
from harness.contracts.sparse import SparseMatrix
from harness.data.epochs import cannot_draw, members, shuffled, wrong_form
from harness.data.storage import fits
from harness.errors import UnfitError

SPARSE_BELOW = 0.1
"""Features with a smaller share of non-zero values than this are stored as a sparse matrix."""

_CHUNK = 4096  # nodes digested at a time, so that the digest of a large graph copies little of it


class GraphSource(Source[Graph]):
    """One graph, or several in one index space: node i of the second graph follows the last node of the first.

    It is drawn as WholeGraph, Graphs or SubGraphs; see `epoch`.

    :param graphs: the graph or graphs. A graph whose `graph` field is set is several graphs; each one's nodes are consecutive.
    :param index: [N] int64, ascending: each node's place in the data set; 0 to N - 1 by default. What the graphs' own `index`
        says is not used.
    :param samples: number of nodes in the data set's index space; by default the largest place + 1.
    :raises UnfitError: when the graphs do not fit together, a graph's nodes are not consecutive, or an edge joins two graphs.
    """

    def __init__(self, graphs: Graph | Sequence[Graph], *, index: Tensor | None = None, samples: int | None = None) -> None:
        graphs = (graphs,) if isinstance(graphs, Graph) else tuple(graphs)
        _check(graphs)
        whole = graphs[0] if len(graphs) == 1 else _side_by_side(graphs)
        nodes, features = whole.x.shape
        sizes = torch.tensor([nodes], device=whole.index.device) if whole.graph is None else torch.bincount(whole.graph)
        self._starts = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
        if index is None:
            index = torch.arange(nodes, device=whole.index.device)
        elif index.shape != (nodes,) or bool((index.diff() <= 0).any()):
            raise UnfitError(f"The index of {nodes} nodes must be {nodes} ascending numbers.")
        if not torch.equal(whole.index, index):
            whole = dataclasses.replace(whole, index=index)
        self._whole = whole
        """All graphs side by side. Handed out again and again, so that what is derived from it is computed once."""
        if samples is None:
            samples = int(index[-1]) + 1 if nodes else 0
        self.description = Description(kind="graph", shape=(features,), samples=samples)

    @classmethod
    def from_edges(
        cls, x: Tensor | SparseMatrix, edge_index: Tensor, *, undirected: bool = True, graph: Tensor | None = None
    ) -> GraphSource:
        """The source of the graph or graphs with these edges; arguments and errors as for `graph_from_edges`."""
        return cls(graph_from_edges(x, edge_index, undirected=undirected, graph=graph))

    def __len__(self) -> int:
        return len(self._whole)

    @property
    def index(self) -> Tensor:
        """[N] int64: the places in the data set of the nodes that this source has, ascending."""
        return self._whole.index

    @property
    def graphs(self) -> int:
        """Number of graphs."""
        return self._starts.shape[0] - 1

    def subset(self, index: Tensor | NDArray[np.int64]) -> GraphSource:
        """The sub-graph of these nodes and the edges among them; no other node or edge is in it. Nodes keep their places.

        Raises UnfitError when a place is not in this source or occurs twice.
        """
        rows = torch.searchsorted(self.index, members(index, self.index))
        return self._part(_induced(self._whole, rows))

    def subset_graphs(self, numbers: Sequence[int]) -> GraphSource:
        """Some of the graphs, numbered as in this source, such as those of the training part. Nodes keep their places.

        Raises UnfitError when there is no such graph or it is named twice.
        """
        known = torch.arange(self.graphs, device=self.index.device)
        return self._part(_induced(self._whole, self._nodes(members(torch.as_tensor(numbers, dtype=torch.int64), known))))

    def epoch(self, sampling: Sampling, batch_size: int, generator: torch.Generator) -> Epoch[Graph]:
        """Draw one epoch.

        - WholeGraph: one batch, all graphs side by side; the same object in every epoch. `batch_size` has no meaning.
        - Graphs: `batch_size` whole graphs side by side, in random order.
        - SubGraphs: `batch_size` root nodes in random order, each batch with sampled neighbours. At most `fan_outs[k]` of the
          edges into every node that was first reached in k steps are drawn, uniformly and without replacement (Hamilton et al.
          2017, GraphSAGE), and only the drawn edges are in the batch. So the mean over a node's row estimates the mean over its
          neighbours without bias, a hub costs no more than its fan-out, and with fan-outs that no node exceeds the roots'
          vectors after len(fan_outs) layers of "mean" propagation are those of the whole graph. Nodes at the rim have no edges
          into them; "symmetric" propagation, which divides by the degrees of both ends, is therefore biased on sampled graphs.

        Every node or graph is drawn once; the last batch may be smaller. The same generator state gives the same batches on every
        device. Raises UnfitError for another sampling or for fan-outs that are not positive.
        """
        match sampling:
            case WholeGraph():
                return _DrawnEpoch(1, lambda _: self._whole)
            case Graphs():
                order = shuffled(torch.arange(self.graphs, device=self.index.device), generator)
                groups = torch.split(order, batch_size)
                return _DrawnEpoch(len(groups), lambda position: self._joined(groups[position]))
            case SubGraphs(fan_outs=fan_outs):
                if not fan_outs or min(fan_outs) < 1:
                    raise UnfitError(f"Sub-graphs need one positive fan-out per layer, not {list(fan_outs)}.")
                roots = torch.split(shuffled(torch.arange(len(self), device=self.index.device), generator), batch_size)
                seeds = torch.randint(2**63 - 1, (len(roots),), generator=generator, device=generator.device).tolist()
                return _DrawnEpoch(len(roots), lambda position: self._sub_graph(roots[position], fan_outs, seeds[position]))
            case _:
                raise cannot_draw("Graphs", sampling, "they are drawn as 'graph', 'graphs' or 'subgraphs'")

    def in_order(self, batch_size: int) -> Iterator[Graph]:
        """Every graph whole, one a batch, whatever `batch_size` is: a node's vector depends on its whole neighbourhood."""
        if self.graphs == 1:
            yield self._whole
            return
        for number in range(self.graphs):
            yield self._joined(torch.tensor([number], device=self.index.device))

    def to(self, device: torch.device | str) -> GraphSource:
        """The same source on `device`; itself where it is there, or where it would take more than half of what is free there."""
        if not fits(device, *_tensors(self._whole.x), *_tensors(self._whole.adjacency)):
            return self
        moved = self._whole.to(device)
        return self if moved is self._whole else self._part(moved)

    def content_sha256(self) -> str:
        """Digest of the features, edges, places and sizes of the graphs.

        It does not depend on whether features are stored densely or sparsely, nor on the order in which edges were given.
        """
        digest = hashlib.sha256()
        for part in (_digest(self._whole.x), _digest(self._whole.adjacency)):
            digest.update(part)
        for numbers in (self.index, self._starts):
            digest.update(numbers.cpu().numpy().astype("<i8").tobytes())
        return digest.hexdigest()

    # ------------------------------------------------------------------------------------------------- drawing

    def _part(self, graph: Graph) -> GraphSource:
        return GraphSource(graph, index=graph.index, samples=self.description.samples)

    def _nodes(self, numbers: Tensor) -> Tensor:
        """The rows of these graphs [G], one graph after the other."""
        owner, place = _ranges(self._starts.diff()[numbers])
        return self._starts[numbers][owner] + place

    def _joined(self, numbers: Tensor) -> Graph:
        """These graphs [G] as one batch, numbered in this order."""
        batch = _induced(self._whole, self._nodes(numbers))
        owner, _ = _ranges(self._starts.diff()[numbers])
        return dataclasses.replace(batch, graph=owner if numbers.shape[0] > 1 else None)

    def _sub_graph(self, roots: Tensor, fan_outs: tuple[int, ...], seed: int) -> Graph:
        """The root rows [R] with their sampled neighbourhood; nodes in the order they were reached, so roots come first."""
        generator = torch.Generator().manual_seed(seed)
        crow, col, value = self._whole.adjacency.csr()
        place = roots.new_full((len(self),), -1)  # of each node inside the batch
        place[roots] = torch.arange(roots.shape[0], device=roots.device)
        layers, first = [roots], 0
        targets, sources, weights = [], [], []
        for fan_out in fan_outs:
            owner, entry = _draw_entries(crow, layers[-1], fan_out, generator)
            neighbour = col[entry].long()
            reached = first + layers[-1].shape[0]
            new = torch.unique(neighbour[place[neighbour] < 0])
            place[new] = reached + torch.arange(new.shape[0], device=roots.device)
            targets.append(first + owner)
            sources.append(place[neighbour])
            weights.append(value[entry])
            layers.append(new)
            first = reached
        nodes = torch.cat(layers)
        adjacency = SparseMatrix.from_coo(
            torch.cat(targets), torch.cat(sources), torch.cat(weights), (nodes.shape[0], nodes.shape[0])
        )
        return Graph(
            index=self.index[nodes],
            x=_rows(self._whole.x, nodes),
            adjacency=adjacency,
            graph=_renumbered(self._whole.graph, nodes),
            roots=roots.shape[0],
        )


def graph_from_edges(
    x: Tensor | SparseMatrix, edge_index: Tensor, *, undirected: bool = True, graph: Tensor | None = None
) -> Graph:
    """A graph from a list of edges; duplicates and self-loops are dropped, and every edge weighs 1.

    :param x: [N, F] node features. Stored as float32, sparse when less than a tenth of the values is not zero, else dense.
    :param edge_index: [2, E] integers: edges from node edge_index[0] to node edge_index[1].
    :param undirected: add the opposite of every edge.
    :param graph: [N] int64: which graph each node belongs to, counted from 0, where there are several.
    :raises UnfitError: when a tensor has another form or an edge names a node that does not exist.
    """
    if len(x.shape) != 2:
        raise UnfitError(f"Node features are a matrix [N, F], not of shape {tuple(x.shape)}.")
    if edge_index.ndim != 2 or edge_index.shape[0] != 2 or edge_index.is_floating_point() or edge_index.dtype == torch.bool:
        raise wrong_form("A graph", "edges as integers [2, E]", edge_index)
    nodes = x.shape[0]
    if edge_index.numel() and not (int(edge_index.min()) >= 0 and int(edge_index.max()) < nodes):
        raise UnfitError(f"An edge names a node outside 0 to {nodes - 1}; there are {nodes} rows of features.")
    source, target = edge_index.long()
    if undirected:
        source, target = torch.cat([source, target]), torch.cat([target, source])
    keep = source != target
    pairs = torch.unique(target[keep] * nodes + source[keep])
    adjacency = SparseMatrix.from_coo(pairs // nodes, pairs % nodes, None, (nodes, nodes))
    return Graph(index=torch.arange(nodes, device=edge_index.device), x=_stored(x), adjacency=adjacency, graph=graph)


class _DrawnEpoch(Epoch[Graph]):
    """`batches` batches, each made when it is asked for."""

    def __init__(self, batches: int, make: Callable[[int], Graph]) -> None:
        self._batches, self._make = batches, make

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, position: int) -> Graph:
        """Batch number `position`. Raises IndexError past either end, so an epoch can be iterated."""
        if not 0 <= position < self._batches:
            raise IndexError(f"The epoch has batches 0 to {self._batches - 1}, not {position}.")
        return self._make(position)


# ---------------------------------------------------------------------------------------------------- sampling


def _ranges(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Counts [R] -> owner [sum], which count each element belongs to, and its place 0, 1, ... among that owner's elements."""
    owner = torch.repeat_interleave(torch.arange(counts.shape[0], device=counts.device), counts)
    return owner, torch.arange(owner.shape[0], device=counts.device) - (counts.cumsum(0) - counts)[owner]


def _draw_entries(crow: Tensor, rows: Tensor, fan_out: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """At most `fan_out` stored entries of each of `rows` [R] of a CSR matrix, drawn without replacement.

    Returns owner [E], the place in `rows` of each entry's row, and the entry's own place in the matrix's arrays [E].
    """
    starts = crow[rows].long()
    degrees = crow[rows + 1].long() - starts
    owner, place = _ranges(degrees.clamp(max=fan_out))
    crowded = degrees > fan_out
    if bool(crowded.any()):
        place[crowded[owner]] = _subsets(degrees[crowded], fan_out, generator).flatten()
    return owner, starts[owner] + place


def _subsets(sizes: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """For each size n [R], a uniformly random subset of {0 ... n - 1} with k < n members -> [R, k].

    Floyd's method (Bentley and Floyd 1987), all rows at once: its cost does not grow with n, so hubs are as cheap as other nodes.
    """
    uniform = torch.rand(sizes.shape[0], k, generator=generator, dtype=torch.float64).to(sizes.device)
    chosen = sizes.new_full((sizes.shape[0], k), -1)
    for step in range(k):
        last = sizes - k + step
        drawn = (uniform[:, step] * (last + 1)).long()
        taken = (chosen == drawn[:, None]).any(1)
        chosen[:, step] = torch.where(taken, last, drawn)
    return chosen


# ----------------------------------------------------------------------------------------------------- storage


def _check(graphs: Sequence[Graph]) -> None:
    """Raise UnfitError unless these graphs can stand side by side."""
    if not graphs:
        raise UnfitError("A graph source needs at least one graph.")
    if len({graph.x.shape[1] for graph in graphs}) > 1:
        raise UnfitError("All graphs of one data set need the same number of features.")
    for graph in graphs:
        if isinstance(graph.x, Tensor) and not graph.x.is_floating_point():
            raise wrong_form("A graph source", "float node features", graph.x)
        nodes = graph.x.shape[0]
        if graph.adjacency.shape != (nodes, nodes) or len(graph) != nodes:
            raise UnfitError(
                f"A graph has {nodes} rows of features, an index of {len(graph)} and edges of {graph.adjacency.shape}."
            )
        if graph.roots is not None:
            raise UnfitError("A sampled sub-graph cannot be a data set; pass whole graphs.")
        if graph.graph is None:
            continue
        steps = graph.graph.diff()
        if graph.graph.shape != (nodes,) or bool(((steps < 0) | (steps > 1)).any()) or (nodes and int(graph.graph[0]) != 0):
            raise UnfitError("Graphs side by side are numbered 0, 1, 2, ... and the nodes of each are consecutive; sort them so.")
        targets, sources, _ = graph.adjacency.coo()
        if not torch.equal(graph.graph[targets], graph.graph[sources]):
            raise UnfitError("An edge joins two graphs of the data set; number their nodes as one graph.")


def _side_by_side(graphs: Sequence[Graph]) -> Graph:
    """One block-diagonal graph. Its features are sparse if any graph's are."""
    offset, counted = 0, 0
    rows, columns, weights, numbers = [], [], [], []
    for graph in graphs:
        i, j, weight = graph.adjacency.coo()
        rows.append(i + offset)
        columns.append(j + offset)
        weights.append(weight)
        numbers.append(graph.index.new_zeros(len(graph)) + counted if graph.graph is None else graph.graph + counted)
        offset += len(graph)
        counted = int(numbers[-1][-1]) + 1 if len(graph) else counted
    return Graph(
        index=torch.arange(offset, device=graphs[0].index.device),
        x=_stacked([graph.x for graph in graphs]),
        adjacency=SparseMatrix.from_coo(torch.cat(rows), torch.cat(columns), torch.cat(weights), (offset, offset)),
        graph=torch.cat(numbers),
    )


def _stacked(parts: Sequence[Tensor | SparseMatrix]) -> Tensor | SparseMatrix:
    """Feature matrices [n, F] one below the other; sparse if any is."""
    dense = [part for part in parts if isinstance(part, Tensor)]
    if len(dense) == len(parts):
        return torch.cat(dense)
    offset = 0
    rows, columns, values = [], [], []
    for part in parts:
        i, j, value = (SparseMatrix.from_dense(part) if isinstance(part, Tensor) else part).coo()
        rows.append(i + offset)
        columns.append(j)
        values.append(value)
        offset += part.shape[0]
    return SparseMatrix.from_coo(torch.cat(rows), torch.cat(columns), torch.cat(values), (offset, parts[0].shape[1]))


def _induced(graph: Graph, rows: Tensor) -> Graph:
    """The sub-graph of these nodes [R], in this order, with every edge among them."""
    place = rows.new_full((len(graph),), -1)
    place[rows] = torch.arange(rows.shape[0], device=rows.device)
    i, j, weight = graph.adjacency.select(rows).coo()
    j = place[j]
    inside = j >= 0
    return Graph(
        index=graph.index[rows],
        x=_rows(graph.x, rows),
        adjacency=SparseMatrix.from_coo(i[inside], j[inside], weight[inside], (rows.shape[0], rows.shape[0])),
        graph=_renumbered(graph.graph, rows),
    )


def _renumbered(graph: Tensor | None, rows: Tensor) -> Tensor | None:
    """The graph of each of `rows` [R], numbered 0, 1, ... in ascending order; None where all are of one graph."""
    if graph is None:
        return None
    numbers, renumbered = torch.unique(graph[rows], return_inverse=True)
    return renumbered if numbers.shape[0] > 1 else None


def _rows(x: Tensor | SparseMatrix, rows: Tensor) -> Tensor | SparseMatrix:
    return x[rows] if isinstance(x, Tensor) else x.select(rows)


def _stored(x: Tensor | SparseMatrix) -> Tensor | SparseMatrix:
    """Features [N, F] as float32 in the cheaper of the two forms."""
    size = x.shape[0] * x.shape[1]
    if isinstance(x, Tensor):
        x = x.float()
        return SparseMatrix.from_dense(x) if int(torch.count_nonzero(x)) < SPARSE_BELOW * size else x
    i, j, value = x.coo()
    if x.entries >= SPARSE_BELOW * size:
        return x.to_dense().float()
    return x if value.dtype == torch.float32 else SparseMatrix.from_coo(i, j, value.float(), x.shape)


def _tensors(matrix: Tensor | SparseMatrix) -> tuple[Tensor, ...]:
    return (matrix,) if isinstance(matrix, Tensor) else (*matrix.csr(), *matrix.t().csr())


def _digest(matrix: Tensor | SparseMatrix) -> bytes:
    """Digest of the shape and the non-zero entries of a matrix, the same for both forms."""
    counts, columns, values = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
    for rows in torch.split(torch.arange(matrix.shape[0]), _CHUNK):
        i, j, value = _entries(matrix, int(rows[0]), int(rows[-1]) + 1)
        counts.update(torch.bincount(i, minlength=rows.shape[0]).numpy().astype("<i4").tobytes())
        columns.update(j.numpy().astype("<i4").tobytes())
        values.update(value.numpy().astype("<f4").tobytes())
    parts = b"".join(part.digest() for part in (counts, columns, values))
    return hashlib.sha256(f"{tuple(matrix.shape)}".encode() + parts).digest()


def _entries(matrix: Tensor | SparseMatrix, start: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
    """Non-zero entries of rows `start` to `stop` on the CPU, in row order: row counted from `start`, column, value."""
    if isinstance(matrix, Tensor):
        block = matrix[start:stop].cpu()
        i, j = block.nonzero(as_tuple=True)
        return i, j, block[i, j]
    crow, col, value = matrix.csr()
    first, last = int(crow[start]), int(crow[stop])
    i, _ = _ranges(crow[start : stop + 1].cpu().long().diff())
    j, kept = col[first:last].cpu(), value[first:last].cpu()
    nonzero = kept != 0
    return i[nonzero], j[nonzero], kept[nonzero]
