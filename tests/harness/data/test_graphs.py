"""The graph source: numbering, sampling, subsets and digests."""

from __future__ import annotations

import dataclasses
import itertools

import networkx
import numpy as np
import pytest
import torch

from harness.contracts.batches import Graph
from harness.contracts.sources import Graphs, Items, Sampling, Sequences, SubGraphs, TimePairs, WholeGraph
from harness.contracts.sparse import SparseMatrix
from harness.data.graphs import GraphSource, _subsets, graph_from_edges
from harness.errors import UnfitError

TRIANGLE_AND_TAIL = torch.tensor([[0, 1, 2, 2], [1, 2, 0, 3]])
"""0-1-2-0 and 2-3."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def features(nodes: int, width: int = 3) -> torch.Tensor:
    """Every node's features tell which node it is."""
    return torch.arange(1, nodes + 1).float()[:, None] + torch.arange(width) / 10


def triangle() -> Graph:
    return graph_from_edges(features(4), TRIANGLE_AND_TAIL)


def random_graph(nodes: int = 60, degree: float = 6.0, seed: int = 0) -> Graph:
    edges = torch.randint(nodes, (2, int(nodes * degree / 2)), generator=generator(seed))
    return graph_from_edges(torch.randn(nodes, 5, generator=generator(seed)), edges)


def three_graphs() -> GraphSource:
    """A triangle (nodes 0-2), an edge (3, 4) and a path (5-8)."""
    edges = torch.tensor([[0, 1, 2, 3, 5, 6, 7], [1, 2, 0, 4, 6, 7, 8]])
    return GraphSource.from_edges(features(9), edges, graph=torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2]))


def dense(graph: Graph) -> torch.Tensor:
    return graph.adjacency.to_dense()


def edges_by_place(graph: Graph) -> set[tuple[int, int]]:
    """(target, source) pairs of data-set places."""
    targets, sources, _ = graph.adjacency.coo()
    return set(zip(graph.index[targets].tolist(), graph.index[sources].tolist(), strict=True))


def same(one: Graph, other: Graph) -> bool:
    return torch.equal(one.index, other.index) and torch.equal(dense(one), dense(other)) and torch.equal(one.x, other.x)


def with_x(graph: Graph, x: torch.Tensor | SparseMatrix) -> Graph:
    return dataclasses.replace(graph, x=x)


# ------------------------------------------------------------------------------------------ graph_from_edges


def test_edges_are_made_symmetric() -> None:
    assert dense(triangle()).tolist() == [[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 1], [0, 0, 1, 0]]


def test_a_directed_edge_stands_in_the_row_of_its_target() -> None:
    graph = graph_from_edges(features(3), torch.tensor([[0], [2]]), undirected=False)
    assert dense(graph).nonzero().tolist() == [[2, 0]]


def test_self_loops_are_dropped() -> None:
    assert graph_from_edges(features(2), torch.tensor([[0, 0], [0, 1]])).adjacency.entries == 2


def test_duplicates_are_dropped_in_either_direction() -> None:
    graph = graph_from_edges(features(2), torch.tensor([[0, 0, 1], [1, 1, 0]]))
    assert dense(graph).tolist() == [[0, 1], [1, 0]]


def test_nodes_are_numbered_in_order() -> None:
    assert triangle().index.tolist() == [0, 1, 2, 3]


def test_a_node_without_edges_stays() -> None:
    assert graph_from_edges(features(5), TRIANGLE_AND_TAIL).adjacency.shape == (5, 5)


def test_a_graph_without_edges_is_a_graph() -> None:
    assert graph_from_edges(features(3), torch.empty(2, 0, dtype=torch.int64)).adjacency.entries == 0


def test_dense_features_stay_dense() -> None:
    assert isinstance(triangle().x, torch.Tensor)


def test_features_with_few_values_become_sparse() -> None:
    x = torch.zeros(4, 20)
    x[0, 3] = 2.0
    stored = graph_from_edges(x, TRIANGLE_AND_TAIL).x
    assert isinstance(stored, SparseMatrix)
    assert torch.equal(stored.to_dense(), x)


def test_a_full_sparse_matrix_becomes_dense() -> None:
    assert torch.equal(graph_from_edges(SparseMatrix.from_dense(features(4)), TRIANGLE_AND_TAIL).x, features(4))


def test_integer_features_become_float32() -> None:
    assert graph_from_edges(torch.ones(4, 3, dtype=torch.int64), TRIANGLE_AND_TAIL).x.dtype == torch.float32


def test_float64_sparse_features_become_float32() -> None:
    x = SparseMatrix.from_dense(torch.eye(20, dtype=torch.float64))
    stored = graph_from_edges(x, TRIANGLE_AND_TAIL).x
    assert isinstance(stored, SparseMatrix)
    assert stored.to_dense().dtype == torch.float32


@pytest.mark.parametrize("node", [-1, 4])
def test_an_edge_to_a_node_that_does_not_exist_is_refused(node: int) -> None:
    with pytest.raises(UnfitError, match="outside 0 to 3"):
        graph_from_edges(features(4), torch.tensor([[0], [node]]))


@pytest.mark.parametrize("edges", [torch.zeros(3, 2, dtype=torch.int64), torch.zeros(2, 2), torch.zeros(4, dtype=torch.int64)])
def test_edges_of_another_form_are_refused(edges: torch.Tensor) -> None:
    with pytest.raises(UnfitError, match=r"\[2, E\]"):
        graph_from_edges(features(4), edges)


def test_features_of_another_form_are_refused() -> None:
    with pytest.raises(UnfitError, match=r"\[N, F\]"):
        graph_from_edges(torch.ones(4), TRIANGLE_AND_TAIL)


# ------------------------------------------------------------------------------------- several graphs, checks


def test_description_states_kind_features_and_nodes() -> None:
    description = GraphSource(triangle()).description
    assert (description.kind, description.shape, description.samples) == ("graph", (3,), 4)


def test_graphs_follow_one_another_in_the_index() -> None:
    small = graph_from_edges(features(2), torch.tensor([[0], [1]]))
    batches = GraphSource([triangle(), small, triangle()]).in_order(1)
    assert [batch.index.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5], [6, 7, 8, 9]]


def test_graphs_side_by_side_are_block_diagonal() -> None:
    whole = GraphSource([triangle(), triangle()]).epoch(WholeGraph(), 1, generator())[0]
    assert torch.equal(dense(whole), torch.block_diag(dense(triangle()), dense(triangle())))


def test_graphs_side_by_side_are_numbered() -> None:
    whole = GraphSource([triangle(), triangle()]).epoch(WholeGraph(), 1, generator())[0]
    assert whole.graph is not None
    assert whole.graph.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_one_graph_is_not_numbered() -> None:
    assert GraphSource(triangle()).epoch(WholeGraph(), 1, generator())[0].graph is None


def test_sources_of_a_list_and_of_one_numbered_graph_are_the_same() -> None:
    edges = torch.cat([TRIANGLE_AND_TAIL, TRIANGLE_AND_TAIL + 4], dim=1)
    numbered = GraphSource.from_edges(features(4).repeat(2, 1), edges, graph=torch.arange(2).repeat_interleave(4))
    assert numbered.content_sha256() == GraphSource([triangle(), triangle()]).content_sha256()


def test_a_list_may_hold_numbered_graphs() -> None:
    source = GraphSource([triangle(), three_graphs().epoch(WholeGraph(), 1, generator())[0]])
    assert [len(batch) for batch in source.in_order(1)] == [4, 3, 2, 4]


def test_dense_and_sparse_features_stand_together() -> None:
    sparse = with_x(triangle(), SparseMatrix.from_dense(features(4)))
    whole = GraphSource([triangle(), sparse]).epoch(WholeGraph(), 1, generator())[0]
    assert isinstance(whole.x, SparseMatrix)
    assert torch.equal(whole.x.to_dense(), features(4).repeat(2, 1))


def test_no_graph_is_refused() -> None:
    with pytest.raises(UnfitError, match="at least one graph"):
        GraphSource([])


def test_graphs_of_different_width_are_refused() -> None:
    with pytest.raises(UnfitError, match="same number of features"):
        GraphSource([triangle(), random_graph()])


def test_integer_features_are_refused() -> None:
    with pytest.raises(UnfitError, match="float node features"):
        GraphSource(with_x(triangle(), torch.ones(4, 3, dtype=torch.int64)))


def test_rows_that_do_not_fit_the_edges_are_refused() -> None:
    with pytest.raises(UnfitError, match="5 rows of features"):
        GraphSource(with_x(triangle(), features(5)))


def test_a_sampled_sub_graph_is_refused() -> None:
    with pytest.raises(UnfitError, match="sampled"):
        GraphSource(dataclasses.replace(triangle(), roots=2))


@pytest.mark.parametrize("numbers", [[0, 1, 0, 1], [1, 1, 2, 2], [0, 0, 2, 2], [0, 0, 1]])
def test_graphs_whose_nodes_are_not_consecutive_are_refused(numbers: list[int]) -> None:
    with pytest.raises(UnfitError, match="consecutive"):
        GraphSource(dataclasses.replace(triangle(), graph=torch.tensor(numbers)))


def test_an_edge_between_two_graphs_is_refused() -> None:
    with pytest.raises(UnfitError, match="joins two graphs"):
        GraphSource(dataclasses.replace(triangle(), graph=torch.tensor([0, 0, 1, 1])))


def test_an_index_that_does_not_ascend_is_refused() -> None:
    with pytest.raises(UnfitError, match="ascending"):
        GraphSource(triangle(), index=torch.tensor([0, 2, 1, 3]))


@pytest.mark.parametrize("sampling", [Items(), TimePairs(), Sequences(length=2)])
def test_other_samplings_are_refused_with_what_is_offered(sampling: Sampling) -> None:
    with pytest.raises(UnfitError, match="'graph', 'graphs' or 'subgraphs'"):
        GraphSource(triangle()).epoch(sampling, 1, generator())


# ------------------------------------------------------------------------------------------------ whole graph


def test_the_whole_graph_is_one_batch() -> None:
    assert len(three_graphs().epoch(WholeGraph(), 2, generator())) == 1


def test_the_whole_graph_is_the_same_object_in_every_epoch() -> None:
    source = GraphSource(triangle())
    assert source.epoch(WholeGraph(), 1, generator(0))[0] is source.epoch(WholeGraph(), 1, generator(1))[0]


def test_a_single_graph_is_handed_out_as_it_was_given() -> None:
    graph = triangle()
    assert GraphSource(graph).epoch(WholeGraph(), 1, generator())[0] is graph


def test_the_whole_graph_takes_no_randomness() -> None:
    used, fresh = generator(), generator()
    GraphSource(triangle()).epoch(WholeGraph(), 1, used)
    assert torch.equal(used.get_state(), fresh.get_state())


def test_a_batch_past_the_end_is_an_index_error() -> None:
    with pytest.raises(IndexError, match="0 to 0"):
        GraphSource(triangle()).epoch(WholeGraph(), 1, generator())[1]


# ---------------------------------------------------------------------------------------------- whole graphs


@pytest.mark.parametrize(("batch_size", "batches"), [(1, 3), (2, 2), (3, 1), (5, 1)])
def test_an_epoch_of_graphs_has_all_of_them(batch_size: int, batches: int) -> None:
    epoch = three_graphs().epoch(Graphs(), batch_size, generator())
    assert len(epoch) == batches
    assert sorted(torch.cat([batch.index for batch in epoch]).tolist()) == list(range(9))


def test_each_graph_of_a_batch_keeps_its_edges_and_features() -> None:
    source = three_graphs()
    whole = source.epoch(WholeGraph(), 1, generator())[0]
    for batch in source.epoch(Graphs(), 2, generator()):
        assert torch.equal(dense(batch), dense(whole)[batch.index][:, batch.index])
        assert torch.equal(batch.x, whole.x[batch.index])


def test_graphs_of_a_batch_are_numbered_from_zero_in_their_order() -> None:
    batch = three_graphs().epoch(Graphs(), 3, generator())[0]
    assert batch.graph is not None
    assert [number for number, _ in itertools.groupby(batch.graph.tolist())] == [0, 1, 2]


def test_a_batch_of_one_graph_is_not_numbered() -> None:
    assert all(batch.graph is None for batch in three_graphs().epoch(Graphs(), 1, generator()))


def test_the_order_of_graphs_depends_on_the_generator() -> None:
    source = GraphSource([triangle()] * 20)
    orders = [torch.cat([batch.index for batch in source.epoch(Graphs(), 1, generator(seed))]) for seed in (0, 0, 1)]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])


# ------------------------------------------------------------------------------------------------- sub-graphs


def test_every_node_is_a_root_once() -> None:
    epoch = GraphSource(random_graph()).epoch(SubGraphs(fan_outs=(3, 2)), 16, generator())
    roots = [batch.index[: batch.roots].tolist() for batch in epoch]
    assert [len(r) for r in roots] == [16, 16, 16, 12]
    assert sorted(itertools.chain(*roots)) == list(range(60))


def test_roots_are_shuffled() -> None:
    epoch = GraphSource(random_graph()).epoch(SubGraphs(fan_outs=(3,)), 60, generator())
    assert epoch[0].index[:60].tolist() != list(range(60))


def test_a_node_occurs_once_in_a_batch() -> None:
    for batch in GraphSource(random_graph()).epoch(SubGraphs(fan_outs=(4, 4, 4)), 8, generator()):
        assert len(set(batch.index.tolist())) == len(batch)


def test_every_node_carries_its_own_features() -> None:
    graph = random_graph()
    for batch in GraphSource(graph).epoch(SubGraphs(fan_outs=(4, 4)), 8, generator()):
        assert torch.equal(batch.x, graph.x[batch.index])


def test_sparse_features_are_sampled_too() -> None:
    graph = random_graph()
    source = GraphSource(with_x(graph, SparseMatrix.from_dense(graph.x)))
    batch = source.epoch(SubGraphs(fan_outs=(4, 4)), 8, generator())[0]
    assert isinstance(batch.x, SparseMatrix)
    assert torch.equal(batch.x.to_dense(), graph.x[batch.index])


def test_drawn_edges_are_edges_of_the_graph() -> None:
    graph = random_graph()
    for batch in GraphSource(graph).epoch(SubGraphs(fan_outs=(2, 2)), 8, generator()):
        assert edges_by_place(batch) <= edges_by_place(graph)


def test_edges_keep_their_weights() -> None:
    graph = triangle()
    weighted = dataclasses.replace(graph, adjacency=SparseMatrix.from_dense(dense(graph) * torch.arange(1.0, 17).view(4, 4)))
    batch = GraphSource(weighted).epoch(SubGraphs(fan_outs=(9, 9)), 4, generator())[0]
    assert torch.equal(dense(batch), dense(weighted)[batch.index][:, batch.index])


def test_a_root_has_as_many_edges_as_its_degree_and_fan_out_allow() -> None:
    graph = random_graph()
    degree = dense(graph).sum(1)
    for batch in GraphSource(graph).epoch(SubGraphs(fan_outs=(3, 2)), 8, generator()):
        drawn = dense(batch).sum(1)[: batch.roots]
        assert torch.equal(drawn, degree[batch.index[: batch.roots]].clamp(max=3))


def test_nodes_one_step_away_obey_the_second_fan_out() -> None:
    graph = random_graph()
    degree = dense(graph).sum(1)
    batch = GraphSource(graph).epoch(SubGraphs(fan_outs=(3, 2)), 4, generator())[0]
    assert batch.roots == 4
    adjacency = dense(batch)
    near = torch.arange(len(batch))[adjacency[:4].sum(0) > 0]
    near = near[near >= 4]
    assert torch.equal(adjacency[near].sum(1), degree[batch.index[near]].clamp(max=2))


def test_nodes_at_the_rim_have_no_edges_into_them() -> None:
    batch = GraphSource(random_graph()).epoch(SubGraphs(fan_outs=(2,)), 4, generator())[0]
    assert dense(batch)[4:].sum() == 0


def test_all_nodes_are_within_reach() -> None:
    graph = random_graph()
    reference = networkx.from_numpy_array(dense(graph).numpy())
    batch = GraphSource(graph).epoch(SubGraphs(fan_outs=(2, 2)), 1, generator())[0]
    near = networkx.single_source_shortest_path_length(reference, int(batch.index[0]), cutoff=2)
    assert set(batch.index.tolist()) <= set(near)


def test_with_large_fan_outs_all_nodes_within_reach_are_there() -> None:
    graph = random_graph()
    reference = networkx.from_numpy_array(dense(graph).numpy())
    batch = GraphSource(graph).epoch(SubGraphs(fan_outs=(99, 99)), 1, generator())[0]
    near = networkx.single_source_shortest_path_length(reference, int(batch.index[0]), cutoff=2)
    assert set(batch.index.tolist()) == set(near)


def test_with_large_fan_outs_mean_propagation_of_the_roots_is_that_of_the_whole_graph() -> None:
    graph = random_graph()
    propagation = graph.propagation("mean")
    expected = propagation @ (propagation @ graph.x)
    for batch in GraphSource(graph).epoch(SubGraphs(fan_outs=(99, 99)), 7, generator()):
        spread = batch.propagation("mean")
        torch.testing.assert_close((spread @ (spread @ batch.x))[: batch.roots], expected[batch.index[: batch.roots]])


def test_a_node_without_edges_is_a_root_alone() -> None:
    source = GraphSource.from_edges(features(3), torch.tensor([[0], [1]]))
    batches = list(source.epoch(SubGraphs(fan_outs=(2, 2)), 1, generator()))
    assert [len(batch) for batch in batches if batch.index[0] == 2] == [1]


def test_a_batch_is_the_same_each_time_it_is_asked_for() -> None:
    epoch = GraphSource(random_graph()).epoch(SubGraphs(fan_outs=(2, 2)), 8, generator())
    later = epoch[5]
    _ = epoch[0]
    assert same(epoch[5], later)


def test_all_randomness_is_taken_when_the_epoch_is_drawn() -> None:
    source, stream = GraphSource(random_graph()), generator()
    epoch = source.epoch(SubGraphs(fan_outs=(2, 2)), 8, stream)
    before = stream.get_state()
    _ = epoch[0]
    assert torch.equal(stream.get_state(), before)


def test_the_same_generator_state_gives_the_same_batches() -> None:
    source = GraphSource(random_graph())
    one, other = (source.epoch(SubGraphs(fan_outs=(2, 2)), 8, generator()) for _ in range(2))
    assert all(same(a, b) for a, b in zip(one, other, strict=True))


def test_neighbours_differ_from_epoch_to_epoch() -> None:
    source, stream = GraphSource(random_graph()), generator()
    drawn = [source.epoch(SubGraphs(fan_outs=(1,)), 60, stream)[0] for _ in range(2)]
    assert edges_by_place(drawn[0]) != edges_by_place(drawn[1])


def test_every_neighbour_is_drawn_equally_often() -> None:
    star = GraphSource.from_edges(features(7), torch.tensor([[1, 2, 3, 4, 5, 6], [0] * 6]))
    stream, counts, draws = generator(), np.zeros(7), 3000
    for _ in range(draws):
        batches = star.epoch(SubGraphs(fan_outs=(2,)), 7, stream)[0]
        for target, source in edges_by_place(batches):
            counts[source] += target == 0
    expected, spread = draws * 2 / 6, (draws * (1 / 3) * (2 / 3)) ** 0.5
    assert np.abs(counts[1:] - expected).max() < 4 * spread


def test_subsets_have_different_members_below_their_size() -> None:
    sizes = torch.arange(6, 50)
    chosen = _subsets(sizes, 5, generator())
    assert bool((chosen >= 0).all() and (chosen < sizes[:, None]).all())
    assert all(len(set(row)) == 5 for row in chosen.tolist())


def test_all_subsets_are_equally_likely() -> None:
    draws = 20_000
    chosen = _subsets(torch.full((draws,), 5), 3, generator()).sort(1).values
    kinds, counts = torch.unique(chosen, dim=0, return_counts=True)
    assert len(kinds) == 10
    assert (counts - draws / 10).abs().max() < 4 * (draws * 0.1 * 0.9) ** 0.5


def test_sampling_stays_inside_a_graph() -> None:
    source = three_graphs()
    for batch in source.epoch(SubGraphs(fan_outs=(9, 9, 9)), 1, generator()):
        assert batch.graph is None


def test_roots_of_several_graphs_are_numbered_by_graph() -> None:
    batch = three_graphs().epoch(SubGraphs(fan_outs=(9,)), 9, generator())[0]
    assert batch.graph is not None
    assert batch.graph.tolist() == [[0, 0, 0, 1, 1, 2, 2, 2, 2][place] for place in batch.index.tolist()]


@pytest.mark.parametrize("fan_outs", [(), (0,), (3, -1)])
def test_fan_outs_that_are_not_positive_are_refused(fan_outs: tuple[int, ...]) -> None:
    with pytest.raises(UnfitError, match="positive fan-out"):
        GraphSource(triangle()).epoch(SubGraphs(fan_outs=fan_outs), 1, generator())


# ------------------------------------------------------------------------------------------- order and subsets


def test_in_order_gives_every_graph_whole() -> None:
    assert [batch.index.tolist() for batch in three_graphs().in_order(1)] == [[0, 1, 2], [3, 4], [5, 6, 7, 8]]


def test_in_order_gives_a_single_graph_as_it_is() -> None:
    graph = triangle()
    assert [batch is graph for batch in GraphSource(graph).in_order(2)] == [True]


def test_a_subset_of_graphs_has_their_nodes_and_no_other() -> None:
    subset = three_graphs().subset_graphs([0, 2])
    assert subset.index.tolist() == [0, 1, 2, 5, 6, 7, 8]
    assert len(subset) == 7


def test_a_subset_of_graphs_keeps_features_with_places() -> None:
    batch = three_graphs().subset_graphs([1, 2]).epoch(WholeGraph(), 1, generator())[0]
    assert torch.equal(batch.x, features(9)[batch.index])


def test_a_subset_of_graphs_has_no_edge_of_another() -> None:
    batch = three_graphs().subset_graphs([1]).epoch(WholeGraph(), 1, generator())[0]
    assert edges_by_place(batch) == {(3, 4), (4, 3)}


def test_a_subset_counts_its_graphs_from_zero() -> None:
    batch = three_graphs().subset_graphs([1, 2]).epoch(WholeGraph(), 1, generator())[0]
    assert batch.graph is not None
    assert batch.graph.tolist() == [0, 0, 1, 1, 1, 1]


def test_a_subset_keeps_the_size_of_the_index_space() -> None:
    assert three_graphs().subset_graphs([0]).description.samples == 9


@pytest.mark.parametrize("sampling", [WholeGraph(), Graphs(), SubGraphs(fan_outs=(9, 9))])
def test_a_subset_shows_only_its_own_places_however_it_is_drawn(sampling: Sampling) -> None:
    batches = three_graphs().subset_graphs([2, 1]).epoch(sampling, 2, generator())
    assert {place for batch in batches for place in batch.index.tolist()} == {3, 4, 5, 6, 7, 8}


@pytest.mark.parametrize("numbers", [[3], [-1], [0, 0]])
def test_graphs_that_are_not_there_are_refused(numbers: list[int]) -> None:
    with pytest.raises(UnfitError, match="A subset names"):
        three_graphs().subset_graphs(numbers)


def test_a_subset_of_nodes_is_the_induced_sub_graph() -> None:
    batch = GraphSource(triangle()).subset(np.array([3, 0, 2])).epoch(WholeGraph(), 1, generator())[0]
    assert batch.index.tolist() == [0, 2, 3]
    assert torch.equal(dense(batch), dense(triangle())[[0, 2, 3]][:, [0, 2, 3]])


def test_a_subset_of_a_subset_keeps_places() -> None:
    assert three_graphs().subset_graphs([1, 2]).subset(torch.tensor([4, 8])).index.tolist() == [4, 8]


def test_a_node_that_is_not_there_is_refused() -> None:
    with pytest.raises(UnfitError, match="does not have"):
        three_graphs().subset_graphs([0]).subset(torch.tensor([5]))


# ------------------------------------------------------------------------------------------- devices, digests


def test_to_the_device_it_is_on_is_the_same_source() -> None:
    source = GraphSource(triangle())
    assert source.to("cpu") is source


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("sampling", [WholeGraph(), Graphs(), SubGraphs(fan_outs=(2, 2))])
def test_another_device_gives_the_same_batches(sampling: Sampling) -> None:
    source = three_graphs()
    for here, there in zip(source.epoch(sampling, 2, generator()), source.to("cuda").epoch(sampling, 2, generator()), strict=True):
        assert there.index.device.type == "cuda"
        assert same(here, there.to("cpu"))


def test_equal_content_has_equal_digests() -> None:
    assert GraphSource(triangle()).content_sha256() == GraphSource(triangle()).content_sha256()


def test_digest_does_not_depend_on_the_order_of_edges() -> None:
    flipped = graph_from_edges(features(4), TRIANGLE_AND_TAIL.flip(0, 1))
    assert GraphSource(flipped).content_sha256() == GraphSource(triangle()).content_sha256()


def test_digest_does_not_depend_on_the_storage_of_features() -> None:
    x = features(4)
    x[1] = 0
    graph = with_x(triangle(), x)
    sparse = with_x(graph, SparseMatrix.from_dense(x))
    assert GraphSource(sparse).content_sha256() == GraphSource(graph).content_sha256()


def test_digest_does_not_see_stored_zeros() -> None:
    rows, columns = torch.arange(4).repeat_interleave(3), torch.arange(3).repeat(4)
    x = features(4)
    x[2] = 0
    padded = SparseMatrix.from_coo(rows, columns, x.flatten(), (4, 3))
    assert GraphSource(with_x(triangle(), padded)).content_sha256() == GraphSource(with_x(triangle(), x)).content_sha256()


def changed_feature() -> GraphSource:
    x = features(4)
    x[0, 0] += 1
    return GraphSource(with_x(triangle(), x))


def changed_column() -> GraphSource:
    return GraphSource(with_x(triangle(), features(4).flip(1)))


def changed_edge() -> GraphSource:
    return GraphSource(graph_from_edges(features(4), torch.tensor([[0, 1, 2, 1], [1, 2, 0, 3]])))


def changed_place() -> GraphSource:
    return GraphSource(triangle(), index=torch.tensor([0, 1, 2, 4]))


@pytest.mark.parametrize("change", [changed_feature, changed_column, changed_edge, changed_place])
def test_digest_changes_with_the_content(change: object) -> None:
    assert callable(change)
    assert change().content_sha256() != GraphSource(triangle()).content_sha256()


def test_digest_changes_with_the_division_into_graphs() -> None:
    edges = torch.tensor([[0, 2], [1, 3]])
    two = GraphSource.from_edges(features(4), edges, graph=torch.tensor([0, 0, 1, 1]))
    assert two.content_sha256() != GraphSource.from_edges(features(4), edges).content_sha256()
