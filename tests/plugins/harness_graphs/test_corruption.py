"""Corruptions: what each of them changes, and what it leaves alone."""

from __future__ import annotations

import pytest
import torch

from harness import Graph, OptionError, SparseMatrix, UnfitError
from harness_graphs.corruption import (
    CORRUPTIONS,
    edge_drop,
    edge_flip,
    feature_dropout,
    find_corruption,
    identity,
    other_graph,
    permute_rows,
    row_shuffle,
)

N = 60


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dense_adjacency(n: int = N, density: float = 0.2) -> torch.Tensor:
    upper = (torch.rand(n, n, generator=seeded(7)) < density).float().triu(1)
    return upper + upper.t()


@pytest.fixture
def graph() -> Graph:
    x = torch.rand(N, 5, generator=seeded(1)) + 1
    return Graph(index=torch.arange(N), x=x, adjacency=SparseMatrix.from_dense(dense_adjacency()))


@pytest.fixture
def several() -> Graph:
    """Graphs of 10, 20 and 30 nodes side by side."""
    adjacency = torch.block_diag(*(dense_adjacency(n) for n in (10, 20, 30)))
    member = torch.repeat_interleave(torch.arange(3), torch.tensor([10, 20, 30]))
    x = torch.rand(N, 5, generator=seeded(1)) + 1
    return Graph(index=torch.arange(N), x=x, adjacency=SparseMatrix.from_dense(adjacency), graph=member)


# ------------------------------------------------------------------------------------------------------- shared


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - {"other_graph", "identity"}))
def test_the_generator_decides_everything(name, graph):
    def drawn(seed):
        corrupted = CORRUPTIONS[name](graph, seeded(seed))
        rows = torch.arange(N) if corrupted.rows is None else corrupted.rows
        return torch.cat([corrupted.x[rows].flatten(), corrupted.graph.adjacency.to_dense().flatten()])

    torch.manual_seed(0)
    first = drawn(3)
    torch.manual_seed(1)
    assert torch.equal(first, drawn(3))
    assert not torch.equal(first, drawn(4))


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - {"other_graph"}))
def test_the_original_is_not_changed(name, graph):
    x, adjacency = graph.x.clone(), graph.adjacency.to_dense()
    CORRUPTIONS[name](graph, seeded())
    assert torch.equal(graph.x, x)
    assert torch.equal(graph.adjacency.to_dense(), adjacency)


def test_identity_touches_nothing(graph):
    corrupted = identity(graph, seeded())
    assert corrupted.x is graph.x
    assert corrupted.graph is graph
    assert corrupted.rows is None
    assert corrupted.judged_by is None


# -------------------------------------------------------------------------------------------------- row_shuffle


def test_row_shuffle_is_one_permutation_of_the_rows(graph):
    corrupted = row_shuffle(graph, seeded())
    assert torch.equal(corrupted.rows.sort().values, torch.arange(N))
    assert not torch.equal(corrupted.rows, torch.arange(N))


def test_row_shuffle_touches_neither_features_nor_edges(graph):
    corrupted = row_shuffle(graph, seeded())
    assert corrupted.x is graph.x
    assert corrupted.graph is graph


def test_row_shuffle_is_torch_randperm_for_one_graph(graph):
    assert torch.equal(row_shuffle(graph, seeded(3)).rows, torch.randperm(N, generator=seeded(3)))


def test_row_shuffle_stays_inside_each_of_several_graphs(several):
    rows = row_shuffle(several, seeded()).rows
    assert torch.equal(several.graph[rows], several.graph)
    assert torch.equal(rows.sort().values, torch.arange(N))
    assert not torch.equal(rows, torch.arange(N))


def test_row_shuffle_reaches_every_place_of_a_graph_about_equally_often(several):
    generator = seeded()
    places = torch.stack([row_shuffle(several, generator).rows[0] for _ in range(2000)])
    counts = torch.bincount(places, minlength=10).float()
    assert len(counts) == 10  # node 0 is in the graph of 10 nodes
    assert float(((counts - 200) ** 2 / 200).sum()) < 27.9  # chi-squared with 9 degrees of freedom, p = .001


def test_row_shuffle_does_not_need_nodes_in_the_order_of_their_graphs(several):
    mixed = torch.randperm(N, generator=seeded(2))
    member = several.graph[mixed]
    shuffled = Graph(index=several.index, x=several.x, adjacency=several.adjacency, graph=member)
    assert torch.equal(member[row_shuffle(shuffled, seeded()).rows], member)


def test_row_shuffle_permutes_a_whole_sampled_sub_graph(graph):
    sampled = Graph(index=graph.index, x=graph.x, adjacency=graph.adjacency, roots=4)
    assert torch.equal(row_shuffle(sampled, seeded()).rows.sort().values, torch.arange(N))


# -------------------------------------------------------------------------------------------------- other_graph


def test_other_graph_gives_every_graph_one_other_as_negative(several):
    for seed in range(10):
        judged_by = other_graph(several, seeded(seed)).judged_by
        judges = torch.stack([judged_by[several.graph == g].unique() for g in range(3)]).squeeze(1)
        assert torch.equal(judges.sort().values, torch.arange(3))
        assert not bool((judges == torch.arange(3)).any())


def test_other_graph_needs_no_second_pass_of_the_encoder(several):
    corrupted = other_graph(several, seeded())
    assert corrupted.x is several.x
    assert corrupted.graph is several
    assert corrupted.rows is None


def test_other_graph_can_drop_features_of_the_negatives(several):
    corrupted = other_graph(several, seeded(), rate=0.5)
    assert 0.3 < float((corrupted.x == 0).float().mean()) < 0.7


def test_other_graph_refuses_a_single_graph(graph):
    with pytest.raises(UnfitError, match="at least two whole graphs"):
        other_graph(graph, seeded())


# ------------------------------------------------------------------------------------------ edges and features


def test_edge_drop_removes_the_given_share_of_edges_in_both_directions(graph):
    before, after = graph.adjacency.to_dense(), edge_drop(graph, seeded(), rate=0.3).graph.adjacency.to_dense()
    assert torch.equal(after, after.t())
    assert bool((after <= before).all())
    assert 0.6 < float(after.sum() / before.sum()) < 0.8


def test_edge_drop_with_rate_zero_drops_nothing(graph):
    assert torch.equal(edge_drop(graph, seeded(), rate=0.0).graph.adjacency.to_dense(), graph.adjacency.to_dense())


def test_edge_drop_keeps_features_so_that_they_are_transformed_once(graph):
    assert edge_drop(graph, seeded()).x is graph.x


def test_edge_flip_is_the_exclusive_or_with_a_symmetric_pattern(graph):
    before, after = graph.adjacency.to_dense(), edge_flip(graph, seeded(), rate=0.2).graph.adjacency.to_dense()
    flipped = before != after
    assert torch.equal(flipped, flipped.t())
    assert not bool(flipped.diagonal().any())
    assert set(after.unique().tolist()) <= {0.0, 1.0}
    assert bool(flipped[before == 1].any())
    assert bool(flipped[before == 0].any())


def test_edge_flip_flips_about_the_given_share_of_pairs(graph):
    before = graph.adjacency.to_dense()
    generator = seeded()
    flips = [(edge_flip(graph, generator, rate=0.01).graph.adjacency.to_dense() != before).sum() for _ in range(50)]
    assert float(torch.stack(flips).float().mean()) / (N * (N - 1)) == pytest.approx(0.01, rel=0.15)


def test_edge_flip_with_rate_zero_flips_nothing(graph):
    assert torch.equal(edge_flip(graph, seeded(), rate=0.0).graph.adjacency.to_dense(), graph.adjacency.to_dense())


def test_edge_flip_refuses_to_join_graphs(several):
    with pytest.raises(UnfitError, match="join the graphs"):
        edge_flip(several, seeded())


@pytest.mark.parametrize("store", [torch.Tensor.clone, SparseMatrix.from_dense])
def test_feature_dropout_zeroes_a_share_and_rescales_the_rest(graph, store):
    x = torch.rand(N, 50, generator=seeded(2)) + 1
    held = Graph(index=graph.index, x=store(x), adjacency=graph.adjacency)
    dropped = feature_dropout(held, seeded(), rate=0.25).x
    dropped = dropped.to_dense() if isinstance(dropped, SparseMatrix) else dropped
    kept = dropped != 0
    assert float(kept.float().mean()) == pytest.approx(0.75, abs=0.03)
    torch.testing.assert_close(dropped[kept], x[kept] / 0.75)


# ------------------------------------------------------------------------------------------------------- lookup


def test_a_corruption_is_found_by_name():
    assert find_corruption("row_shuffle") is row_shuffle


def test_a_foreign_corruption_is_found_by_module_and_function():
    assert find_corruption("harness_graphs.corruption:identity") is identity


def test_a_rate_is_passed_on(graph):
    drop_all_but_few = find_corruption("edge_drop", 0.9)
    assert drop_all_but_few(graph, seeded()).graph.adjacency.entries < 0.2 * graph.adjacency.entries


def test_a_rate_for_a_corruption_without_one_is_an_error():
    with pytest.raises(OptionError, match="row_shuffle takes no rate"):
        find_corruption("row_shuffle", 0.5)


@pytest.mark.parametrize("name", ["shuffle", "", ":", "no_such_module:f", "harness_graphs.corruption:no_such", "math:pi"])
def test_an_unknown_corruption_is_an_error_that_lists_the_known_ones(name):
    with pytest.raises(OptionError, match="one of row_shuffle"):
        find_corruption(name)


# ------------------------------------------------------------------------------------------------- permute_rows


def test_permute_rows_is_indexing_with_indexings_gradient():
    rows = torch.randperm(N, generator=seeded())
    weights = torch.randn(N, 3, generator=seeded(1))
    gradients = []
    for permute in (permute_rows, lambda z, rows: z[rows]):
        z = torch.randn(N, 3, generator=seeded(2)).requires_grad_()
        permuted = permute(z, rows)
        gradients.append((permuted, *torch.autograd.grad((permuted * weights).sum(), z)))
    for ours, indexings in zip(*gradients, strict=True):
        assert torch.equal(ours, indexings)


def test_permute_rows_passes_torchs_checks_of_custom_operators():
    z = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    torch.library.opcheck(torch.ops.harness_graphs.permute_rows.default, (z, torch.randperm(5)))
