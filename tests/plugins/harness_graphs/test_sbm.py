"""The generated graphs have the sizes and the character they promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness import DataContext, DataSet, Graph, Graphs, SparseMatrix, WholeGraph
from harness_graphs.sbm import CLASS_SIZES, GRAPH_SIZES, LINKS, build_multi_graph, build_sbm
from harness_graphs.spec_data import GraphDataOptions

NOWHERE = DataContext(files={}, cache=Path("unused"))
BINARY, NORMALISED = GraphDataOptions(row_normalise=False), GraphDataOptions(row_normalise=True)


@pytest.fixture(scope="module")
def sbm() -> DataSet:
    return build_sbm(NOWHERE, BINARY)


@pytest.fixture(scope="module")
def multi() -> DataSet:
    return build_multi_graph(NOWHERE, BINARY)


def whole(source: Any) -> Graph:
    graph: Graph = source.epoch(WholeGraph(), 1, torch.Generator())[0]
    return graph


def features(graph: Graph) -> torch.Tensor:
    return graph.x.to_dense() if isinstance(graph.x, SparseMatrix) else graph.x


def edges(graph: Graph) -> np.ndarray:
    """[2, E] each undirected edge once, as places in the data set."""
    i, j, _ = graph.adjacency.coo()
    return torch.stack([graph.index[i], graph.index[j]])[:, i < j].numpy()


def degrees(graph: Graph) -> np.ndarray:
    return graph.adjacency.to_dense().sum(1).numpy()


def labels(dataset: DataSet) -> np.ndarray:
    assert dataset.annotations.labels is not None
    return dataset.annotations.labels


# ---------------------------------------------------------------------------------------------- one graph: sbm


def test_sbm_has_the_nodes_and_features_of_cora(sbm: DataSet) -> None:
    assert whole(sbm.inputs).x.shape == (2708, 1433)


def test_sbm_has_the_edges_of_cora_without_self_loops(sbm: DataSet) -> None:
    assert edges(whole(sbm.inputs)).shape[1] == 5278
    assert whole(sbm.inputs).adjacency.entries == 2 * 5278


def test_sbm_has_the_class_sizes_of_cora(sbm: DataSet) -> None:
    assert np.bincount(labels(sbm)).tolist() == [351, 217, 418, 818, 426, 298, 180]


def test_the_constants_of_sbm_agree_with_each_other() -> None:
    assert np.triu(LINKS).sum() == 5278
    assert np.array_equal(LINKS, LINKS.T)
    assert CLASS_SIZES.sum() == 2708


def test_four_of_five_edges_of_sbm_join_nodes_of_a_class(sbm: DataSet) -> None:
    ends = labels(sbm)[edges(whole(sbm.inputs))]
    assert np.mean(ends[0] == ends[1]) == pytest.approx(0.81, abs=0.015)


def shares(counts: np.ndarray) -> np.ndarray:
    """[C, C] of the edge ends in a class, the share whose other end is in each class."""
    both = np.triu(counts) + np.triu(counts).T
    return both / both.sum(1, keepdims=True)


def test_each_class_of_sbm_is_linked_to_the_others_as_in_cora(sbm: DataSet) -> None:
    ends = labels(sbm)[edges(whole(sbm.inputs))]
    counts = np.zeros((7, 7))
    np.add.at(counts, (ends.min(0), ends.max(0)), 1)
    assert np.abs(shares(counts) - shares(LINKS)).max() < 0.04


def test_every_node_of_sbm_has_an_edge(sbm: DataSet) -> None:
    assert degrees(whole(sbm.inputs)).min() == 1


def test_degrees_of_sbm_are_spread_like_those_of_cora(sbm: DataSet) -> None:
    degree = degrees(whole(sbm.inputs))
    assert np.median(degree) == 3
    assert 7 <= np.quantile(degree, 0.95) <= 11
    assert 15 <= np.quantile(degree, 0.99) <= 25
    assert 120 <= degree.max() <= 250


def test_words_of_sbm_are_there_or_not(sbm: DataSet) -> None:
    assert features(whole(sbm.inputs)).unique().tolist() == [0, 1]


def test_words_of_sbm_are_as_rare_as_those_of_cora(sbm: DataSet) -> None:
    assert float(features(whole(sbm.inputs)).mean()) == pytest.approx(0.0127, abs=0.0003)


def test_words_of_sbm_are_stored_sparsely(sbm: DataSet) -> None:
    assert isinstance(whole(sbm.inputs).x, SparseMatrix)


def test_a_node_of_sbm_has_1_to_30_words(sbm: DataSet) -> None:
    words = features(whole(sbm.inputs)).sum(1)
    assert (int(words.min()) >= 1, int(words.max())) == (True, 30)


def test_normalised_words_of_sbm_sum_to_one() -> None:
    x = features(whole(build_sbm(NOWHERE, NORMALISED).inputs))
    torch.testing.assert_close(x.sum(1), torch.ones(2708))


def test_sbm_is_split_like_cora(sbm: DataSet) -> None:
    parts = sbm.annotations.splits["planetoid-public"].parts()
    assert {name: len(index) for name, index in parts.items()} == {"train": 140, "validation": 500, "test": 1000}


def test_sbm_trains_on_twenty_nodes_of_each_class(sbm: DataSet) -> None:
    assert np.bincount(labels(sbm)[sbm.annotations.splits["planetoid-public"].train]).tolist() == [20] * 7


def test_parts_of_sbm_do_not_overlap(sbm: DataSet) -> None:
    parts = np.concatenate(list(sbm.annotations.splits["planetoid-public"].parts().values()))
    assert len(np.unique(parts)) == len(parts)


def test_training_on_sbm_sees_the_whole_graph(sbm: DataSet) -> None:
    assert sbm.pretrain is sbm.inputs


def accuracy(x: torch.Tensor, dataset: DataSet) -> float:
    """Of giving each test node the class whose training nodes have the mean most like it (cosine)."""
    split, y = dataset.annotations.splits["planetoid-public"], torch.from_numpy(labels(dataset))
    x = torch.nn.functional.normalize(x)
    means = torch.stack([x[split.train][y[split.train] == c].mean(0) for c in range(7)])
    guess = (x[split.test] @ torch.nn.functional.normalize(means).t()).argmax(1)
    return float((guess == y[split.test]).double().mean())


def test_words_of_sbm_are_a_weak_signal(sbm: DataSet) -> None:
    assert 0.4 < accuracy(features(whole(sbm.inputs)), sbm) < 0.7


def test_words_of_the_neighbourhood_in_sbm_are_a_much_stronger_one(sbm: DataSet) -> None:
    graph = whole(sbm.inputs)
    spread = graph.propagation("symmetric")
    x = features(graph)
    assert accuracy(spread @ (spread @ x), sbm) > accuracy(x, sbm) + 0.2


# ------------------------------------------------------------------------------------ several graphs: sbm-multi


def parts_by_graph(multi: DataSet) -> dict[str, list[int]]:
    graph = whole(multi.inputs).graph
    assert graph is not None
    parts = multi.annotations.splits["multi-graph-inductive"].parts()
    return {name: np.unique(graph.numpy()[index]).tolist() for name, index in parts.items()}


def test_multi_has_six_graphs(multi: DataSet) -> None:
    assert [len(batch) for batch in multi.inputs.in_order(1)] == GRAPH_SIZES.tolist()


def test_multi_is_split_by_graphs(multi: DataSet) -> None:
    assert parts_by_graph(multi) == {"train": [0, 1, 2, 3], "validation": [4], "test": [5]}


def test_every_node_of_multi_is_in_one_part(multi: DataSet) -> None:
    parts = np.concatenate(list(multi.annotations.splits["multi-graph-inductive"].parts().values()))
    assert np.array_equal(np.sort(parts), np.arange(600))


def test_training_on_multi_sees_the_nodes_of_the_training_part_and_no_other(multi: DataSet) -> None:
    split = multi.annotations.splits["multi-graph-inductive"]
    assert np.array_equal(whole(multi.pretrain).index.numpy(), split.train)


def test_training_on_multi_sees_the_edges_among_those_nodes_and_no_other(multi: DataSet) -> None:
    split, every = multi.annotations.splits["multi-graph-inductive"], edges(whole(multi.inputs))
    assert np.array_equal(edges(whole(multi.pretrain)), every[:, np.isin(every, split.train).all(0)])


def test_no_graph_of_a_training_batch_is_another(multi: DataSet) -> None:
    split = multi.annotations.splits["multi-graph-inductive"]
    for batch in multi.pretrain.epoch(Graphs(), 2, torch.Generator()):
        assert np.isin(batch.index.numpy(), split.train).all()


def test_training_features_of_multi_are_those_of_the_same_nodes(multi: DataSet) -> None:
    train = whole(multi.pretrain)
    assert torch.equal(features(train), features(whole(multi.inputs))[train.index])


def test_training_on_multi_knows_the_size_of_the_whole_index(multi: DataSet) -> None:
    assert multi.pretrain.description == multi.inputs.description


def test_labels_of_multi_are_five_binary_ones(multi: DataSet) -> None:
    assert labels(multi).shape == (600, 5)
    assert np.unique(labels(multi)).tolist() == [0, 1]


def test_every_label_of_multi_occurs_in_every_part(multi: DataSet) -> None:
    for index in multi.annotations.splits["multi-graph-inductive"].parts().values():
        assert labels(multi)[index].mean(0).min() > 0.1
        assert labels(multi)[index].mean(0).max() < 0.6


def test_linked_nodes_of_multi_share_groups(multi: DataSet) -> None:
    y, (i, j) = labels(multi), edges(whole(multi.inputs))
    assert np.mean((y[i] & y[j]).any(1)) > 2 * np.mean((y[:-1] & y[1:]).any(1))


def test_multi_has_about_twelve_edges_a_node(multi: DataSet) -> None:
    assert degrees(whole(multi.inputs)).mean() == pytest.approx(12, abs=0.5)


# ------------------------------------------------------------------------------------------------------- recipe


@pytest.mark.parametrize("build", [build_sbm, build_multi_graph])
def test_a_second_build_gives_the_same_data(build: Any) -> None:
    one, other = build(NOWHERE, BINARY), build(NOWHERE, BINARY)
    assert one.inputs.content_sha256() == other.inputs.content_sha256()
    assert np.array_equal(labels(one), labels(other))


@pytest.mark.parametrize("build", [build_sbm, build_multi_graph])
def test_global_random_states_are_neither_read_nor_moved(build: Any) -> None:
    expected = build(NOWHERE, BINARY).inputs.content_sha256()
    np.random.seed(7)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
        assert build(NOWHERE, BINARY).inputs.content_sha256() == expected
        assert np.array_equal(np.random.get_state()[1], before[0])
        assert torch.equal(torch.random.get_rng_state(), before[1])


@pytest.mark.parametrize("build", [build_sbm, build_multi_graph])
def test_normalisation_changes_features_only(build: Any) -> None:
    one, other = whole(build(NOWHERE, BINARY).inputs), whole(build(NOWHERE, NORMALISED).inputs)
    assert np.array_equal(edges(one), edges(other))
    assert torch.equal(features(one) > 0, features(other) > 0)
