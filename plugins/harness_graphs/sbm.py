"""Generated graphs that need no file: `sbm`, one graph like Cora, and `sbm-multi`, several small ones for the inductive case.

`sbm` is a degree-corrected stochastic block model (Karrer and Newman 2011): the class of a node says which classes it is linked to,
and a weight of its own how often. In `sbm-multi` a node may be in several groups, and shared groups make an edge likelier. Features
depend on class or groups too.

A data set is a function of its recipe, so only `Generator.random` of NumPy's PCG64 is drawn on, the one stream whose values do not
change between NumPy versions, and all else is computed from it here.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from harness import Annotations, DataContext, DataSet, GraphSource, SparseMatrix, Splits
from harness_graphs.planetoid import rows_to_sum_one
from harness_graphs.spec_data import GraphDataOptions

SEED = 0
"""Of both generators; a part of their recipes."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# ------------------------------------------------------------------------------------ one graph like Cora: constants

EDGES = 5278
WORDS = 1433
TRAIN_PER_CLASS, VALIDATION_NODES, TEST_NODES = 20, 500, 1000

LINKS = np.array(
    [
        [534, 32, 23, 161, 88, 75, 80],
        [32, 409, 62, 67, 20, 28, 2],
        [23, 62, 827, 53, 2, 30, 2],
        [161, 67, 53, 1175, 137, 54, 16],
        [88, 20, 2, 137, 660, 19, 6],
        [75, 28, 30, 54, 19, 417, 46],
        [80, 2, 2, 16, 6, 46, 253],
    ]
)
"""[C, C] edges between each two classes of Cora, as measured on its Planetoid files: 81 % join nodes of one class."""

CLASS_SIZES = np.array([351, 217, 418, 818, 426, 298, 180])
"""[C] nodes of each class of Cora, measured."""

DEGREE_TAIL = 1.6
"""Exponent of the Pareto law of the nodes' weights. Chosen for Cora's degrees, measured: median 3, 95 % up to 9, 99 % up to 19,
largest 168."""

WORD_COUNT_MEAN, WORD_COUNT_STD, WORD_COUNT_LARGEST = 18.17, 5.0, 30
"""Words a node has. Cora, measured: mean 18.17, standard deviation 5.8, from 1 to 30."""

WORD_DECAY, WORD_RANGE = 0.4, 600
"""A word of frequency rank r has weight r^-0.4 exp(-r / 600). Cora, measured: rank 1 is in 40 % of the nodes, rank 101 in 3.7 %,
rank 401 in 1.2 %, rank 1001 in 0.3 %."""

TOPIC_STRENGTH = 0.7
"""Standard deviation over classes of the logarithm of a word's weight. Chosen so that words alone say as much as Cora's."""


def build_sbm(context: DataContext, options: GraphDataOptions) -> DataSet:
    """A graph of Cora's sizes and split: 2,708 nodes, 5,278 edges, 1,433 binary features, 7 classes. Transductive.

    The first 20 nodes of each class train; of the others the first 500 validate and the last 1,000 test.
    """
    rng = np.random.Generator(np.random.PCG64(SEED))
    labels = np.repeat(np.arange(len(CLASS_SIZES)), CLASS_SIZES)[_permutation(rng, int(CLASS_SIZES.sum()))]
    edges = citation_edges(rng, labels)
    words = class_words(rng, labels)
    source = _source(words, edges, options)
    rest = np.flatnonzero(_rank_in_class(labels) >= TRAIN_PER_CLASS)
    splits = Splits(
        train=np.flatnonzero(_rank_in_class(labels) < TRAIN_PER_CLASS),
        validation=rest[:VALIDATION_NODES],
        test=rest[-TEST_NODES:],
    )
    return DataSet(inputs=source, pretrain=source, annotations=Annotations(splits={"planetoid-public": splits}, labels=labels))


def citation_edges(rng: np.random.Generator, labels: Ints) -> Ints:
    """[2, EDGES] different edges without self-loops among nodes with these `labels` [N]; every node has at least one.

    Every node first cites one other; then edges begin at nodes drawn by weight. Either way the class of the other end is drawn by
    LINKS, and in the class a node by its weight. The weights are the quantiles of a Pareto law, dealt out at random.
    """
    nodes, classes = len(labels), len(CLASS_SIZES)
    weight = ((_permutation(rng, nodes) + 0.5) / nodes) ** (-1 / DEGREE_TAIL)
    # The nodes lie class by class on a line, each as long as its weight; whoever lies at a random place is drawn.
    order = np.argsort(labels, kind="stable")
    begin = np.concatenate([[0.0], np.cumsum(weight[order])])
    class_begin = begin[np.searchsorted(labels[order], np.arange(classes + 1))]
    own_begin = np.empty(nodes)
    own_begin[order] = begin[:-1]

    citing = np.concatenate([np.arange(nodes), order[_lying_at(begin, rng.random(2 * EDGES) * begin[-1])]])  # some pairs repeat
    ends = LINKS + np.diag(np.diag(LINKS))  # an edge inside a class has both ends there
    share = np.cumsum(ends / ends.sum(1, keepdims=True), axis=1)
    to = (rng.random(len(citing))[:, None] >= share[labels[citing], :-1]).sum(1)
    own = np.where(to == labels[citing], weight[citing], 0.0)  # a node's own stretch is left out of its class
    place = class_begin[to] + rng.random(len(citing)) * (class_begin[to + 1] - class_begin[to] - own)
    place += np.where(place >= own_begin[citing], own, 0.0)
    cited = order[_lying_at(begin, place)]

    pair = np.minimum(citing, cited) * nodes + np.maximum(citing, cited)
    pair = pair[np.sort(np.unique(pair, return_index=True)[1])][:EDGES]
    return np.stack([pair // nodes, pair % nodes])


def class_words(rng: np.random.Generator, labels: Ints) -> NDArray[np.bool_]:
    """[N, WORDS] which words each node has, a set drawn without replacement by the weights of its class.

    Node i draws as many words as it has by Gumbel noise on the logarithms of the weights (Yellott 1977).
    """
    rank = np.arange(1, WORDS + 1)
    topic = TOPIC_STRENGTH * _normal(rng, (len(CLASS_SIZES), WORDS))
    log_weight = topic - WORD_DECAY * np.log(rank) - rank / WORD_RANGE
    count = np.rint(WORD_COUNT_MEAN + WORD_COUNT_STD * _normal(rng, (len(labels),))).clip(1, WORD_COUNT_LARGEST).astype(np.int64)
    noisy = log_weight[labels] - np.log(-np.log1p(-rng.random((len(labels), WORDS))))
    threshold = np.take_along_axis(np.sort(noisy, axis=1), WORDS - count[:, None], axis=1)
    has: NDArray[np.bool_] = noisy >= threshold
    return has


# ------------------------------------------------------------------------------- several graphs: the inductive case

GRAPH_SIZES = np.array([110, 90, 120, 100, 90, 90])
TRAIN_GRAPHS, VALIDATION_GRAPH, TEST_GRAPH = (0, 1, 2, 3), 4, 5
GROUPS, GROUP_SHARE = 5, 0.3
MULTI_FEATURES, MULTI_DEGREE = 50, 12
FEATURE_LOG_ODDS, GROUP_LOG_ODDS = -2.5, 1.0
"""Logarithm of the odds of a feature in no group, and how much a group adds to about half of the features."""
SHARED_GROUP_WEIGHT = 20.0
"""How much likelier an edge is for each group that both ends are in: 1 + 20 times as many groups."""


def build_multi_graph(context: DataContext, options: GraphDataOptions) -> DataSet:
    """Six graphs of 600 nodes together with 50 binary features; the labels are 5 binary ones, the groups that a node is in.

    A group means the same in all graphs: its members share features and are linked more often. Inductive: graphs 0 to 3 train,
    and training sees no node or edge of the others; graph 4 validates, graph 5 tests.
    """
    rng = np.random.Generator(np.random.PCG64(SEED))
    graph = np.repeat(np.arange(len(GRAPH_SIZES)), GRAPH_SIZES)
    member = rng.random((len(graph), GROUPS)) < GROUP_SHARE
    edges = group_edges(rng, graph, member)
    log_odds = FEATURE_LOG_ODDS + member @ (GROUP_LOG_ODDS * _normal(rng, (GROUPS, MULTI_FEATURES)).clip(0))
    features = rng.random(log_odds.shape) < 1 / (1 + np.exp(-log_odds))
    source = _source(features, edges, options, graph)
    splits = Splits(
        train=np.flatnonzero(np.isin(graph, TRAIN_GRAPHS)),
        validation=np.flatnonzero(graph == VALIDATION_GRAPH),
        test=np.flatnonzero(graph == TEST_GRAPH),
    )
    return DataSet(
        inputs=source,
        pretrain=source.subset_graphs(TRAIN_GRAPHS),
        annotations=Annotations(splits={"multi-graph-inductive": splits}, labels=member.astype(np.int64)),
    )


def group_edges(rng: np.random.Generator, graph: Ints, member: NDArray[np.bool_]) -> Ints:
    """[2, E] edges inside the graphs that `graph` [N] numbers, likelier between nodes that are `member` [N, K] of the same groups.

    Every pair of a graph is an edge by itself, with a probability that makes about MULTI_DEGREE edges a node.
    """
    first, second = np.nonzero(np.triu(graph[:, None] == graph, 1))
    weight = 1 + SHARED_GROUP_WEIGHT * (member[first] & member[second]).sum(1)
    expected = MULTI_DEGREE * np.bincount(graph) / 2
    probability = weight * (expected / np.bincount(graph[first], weights=weight))[graph[first]]
    edge = rng.random(len(first)) < probability
    return np.stack([first[edge], second[edge]])


# -------------------------------------------------------------------------------------------------- what both use


def _source(has: NDArray[np.bool_], edges: Ints, options: GraphDataOptions, graph: Ints | None = None) -> GraphSource:
    """The source of binary features [N, F] and undirected edges [2, E]."""
    x = SparseMatrix.from_dense(torch.from_numpy(has.astype(np.float32)))
    if options.row_normalise:
        x = rows_to_sum_one(x)
    return GraphSource.from_edges(x, torch.from_numpy(edges), graph=None if graph is None else torch.from_numpy(graph))


def _permutation(rng: np.random.Generator, n: int) -> Ints:
    """[n] 0 to n - 1 in random order."""
    return np.argsort(rng.random(n), kind="stable")


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Standard normal numbers (Box and Muller 1958)."""
    radius = np.sqrt(-2 * np.log1p(-rng.random(shape)))
    return np.asarray(radius * np.cos(2 * np.pi * rng.random(shape)))


def _lying_at(begin: Floats, place: Floats) -> Ints:
    """Which of the stretches that begin at `begin` [n + 1], the last being the end, each place lies in."""
    return np.minimum(np.searchsorted(begin, place, side="right") - 1, len(begin) - 2)


def _rank_in_class(labels: Ints) -> Ints:
    """[N] how many nodes of the same class come before each."""
    order = np.argsort(labels, kind="stable")
    rank = np.empty_like(labels)
    rank[order] = np.arange(len(labels)) - np.searchsorted(labels[order], labels[order])
    return rank
