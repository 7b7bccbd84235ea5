"""Deep Graph Infomax: against a slow dense reference, against torch_geometric, and the facts its paper rests on."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harness import (
    Description,
    Encoder,
    Graph,
    Graphs,
    ObjectiveContext,
    OptionError,
    SparseMatrix,
    Step,
    SubGraphs,
    UnfitError,
    WholeGraph,
    jsd_loss,
)
from harness_graphs.corruption import Corrupted, other_graph
from harness_graphs.dgi import BilinearDiscriminator, average_of_graphs, build_dgi, log_sigmoid_sum, readout
from harness_graphs.gcn import build_gcn, build_graph_mean
from harness_graphs.spec_dgi import DGIOptions
from harness_graphs.spec_encoders import GCNOptions, GraphMeanOptions

N, FEATURES, HIDDEN = 80, 30, 16
DESCRIPTION = Description(kind="graph", shape=(FEATURES,), samples=N)
PYG = {"loss": "log-sigmoid-sum", "bilinear_init": "uniform", "bilinear_bias": False}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_graph(n: int = N, seed: int = 0) -> Graph:
    upper = (torch.rand(n, n, generator=seeded(seed)) < 0.08).float().triu(1)
    x = (torch.rand(n, FEATURES, generator=seeded(seed + 1)) < 0.2).float()
    x = SparseMatrix.from_dense(x)
    return Graph(index=torch.arange(n), x=x, adjacency=SparseMatrix.from_dense(upper + upper.t()))


def side_by_side(*graphs: Graph) -> Graph:
    sizes = torch.tensor([len(graph) for graph in graphs])
    return Graph(
        index=torch.arange(int(sizes.sum())),
        x=SparseMatrix.from_dense(torch.cat([graph.x.to_dense() for graph in graphs])),
        adjacency=SparseMatrix.from_dense(torch.block_diag(*(graph.adjacency.to_dense() for graph in graphs))),
        graph=torch.repeat_interleave(torch.arange(len(graphs)), sizes),
    )


@pytest.fixture
def graph() -> Graph:
    return random_graph()


def dgi(hidden=HIDDEN, slopes="shared", mean=False, **options):
    generator = seeded()
    if mean:
        encoder = build_graph_mean(DESCRIPTION, GraphMeanOptions(hidden=hidden), generator)
    else:
        encoder = build_gcn(DESCRIPTION, GCNOptions(hidden=hidden, slopes=slopes), generator)
    return build_dgi(encoder, ObjectiveContext(DESCRIPTION), DGIOptions(**options), generator)


def step_of(graph: Graph, seed: int = 0) -> Step:
    return Step(batch=graph, epoch=0, index=0, generator=seeded(seed))


def loss_of(objective, graph, seed=0):
    return objective.loss(step_of(graph, seed))["loss"]


def enlarge(objective):
    """Give the discriminator weights with which scores are far from 0, so that comparisons can fail."""
    with torch.no_grad():
        objective.discriminator.weight.normal_(generator=seeded(8))
        if objective.discriminator.bias is not None:
            objective.discriminator.bias.fill_(0.3)
    return objective


# ----------------------------------------------------------------------------------------- against other code


def dense_reference(objective, graph: Graph, rows: torch.Tensor) -> torch.Tensor:
    """The paper's loss written down naively: dense matrices, X̃ by indexing, two passes, nn.Bilinear over N x H x H."""
    layer = objective.encoder.layers[0]
    looped = graph.adjacency.to_dense() + torch.eye(len(graph))
    a_hat = torch.diag(looped.sum(1).rsqrt()) @ looped @ torch.diag(looped.sum(1).rsqrt())
    x = graph.x.to_dense()
    bilinear = nn.Bilinear(HIDDEN, HIDDEN, 1)
    del bilinear.weight, bilinear.bias
    bilinear.weight, bilinear.bias = objective.discriminator.weight[None], objective.discriminator.bias

    h, h_corrupted = (F.prelu(a_hat @ features @ layer.weight + layer.bias, layer.slope) for features in (x, x[rows]))
    s = torch.sigmoid(h.mean(0)).expand_as(h)
    logits = torch.cat([bilinear(h, s), bilinear(h_corrupted, s)])
    labels = torch.cat([torch.ones(len(graph), 1), torch.zeros(len(graph), 1)])
    return F.binary_cross_entropy_with_logits(logits, labels)


def test_loss_is_that_of_a_naive_dense_computation(graph):
    objective = enlarge(dgi())
    rows = torch.randperm(N, generator=seeded(3))
    torch.testing.assert_close(loss_of(objective, graph, seed=3), dense_reference(objective, graph, rows))


def test_gradients_are_those_of_a_naive_dense_computation(graph):
    objective = enlarge(dgi())
    parameters = dict(objective.named_parameters())
    rows = torch.randperm(N, generator=seeded(3))
    expected = torch.autograd.grad(dense_reference(objective, graph, rows), parameters.values())
    for name, ours, naive in zip(
        parameters, torch.autograd.grad(loss_of(objective, graph, seed=3), parameters.values()), expected, strict=True
    ):
        torch.testing.assert_close(ours, naive, msg=lambda text, name=name: f"{name}: {text}")


@pytest.fixture
def peer():
    """torch_geometric's model around its own GCNConv, with permutations from a generator with seed 3."""
    from torch_geometric.nn import DeepGraphInfomax, GCNConv

    class PeerEncoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.prelu = GCNConv(FEATURES, HIDDEN), nn.PReLU(HIDDEN)

        def forward(self, x, edge_index):
            return self.prelu(self.conv(x, edge_index))

    generator = seeded(3)
    return DeepGraphInfomax(
        HIDDEN,
        PeerEncoder(),
        summary=lambda z, *args, **kwargs: z.mean(dim=0).sigmoid(),
        corruption=lambda x, edge_index: (x[torch.randperm(len(x), generator=generator)], edge_index),
    )


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # which torch_geometric still uses
def test_pyg_recipe_follows_the_losses_of_torch_geometric(graph, peer):
    objective = dgi(slopes="per-channel", **PYG)
    layer = objective.encoder.layers[0]
    with torch.no_grad():
        layer.weight.copy_(peer.encoder.conv.lin.weight.t())
        objective.discriminator.weight.copy_(peer.weight)
    x, edge_index = graph.x.to_dense(), graph.adjacency.to_dense().nonzero().t()
    (phase,) = objective.phases()
    optimisers = torch.optim.Adam(peer.parameters(), lr=1e-3), phase.optimiser(list(phase.parameters))
    step = step_of(graph, seed=3)
    for _ in range(20):
        losses = peer.loss(*peer(x, edge_index)), phase.loss(step)["loss"]
        torch.testing.assert_close(losses[1], losses[0], atol=1e-5, rtol=0)
        for loss, optimiser in zip(losses, optimisers, strict=True):
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


# -------------------------------------------------------------------------------------------------- the paper


def test_first_loss_is_ln_2(graph):
    assert float(loss_of(dgi(hidden=512), graph).detach()) == pytest.approx(math.log(2), abs=0.01)


def test_first_loss_of_the_pyg_recipe_is_twice_ln_2(graph):
    assert float(loss_of(dgi(hidden=512, **PYG), graph).detach()) == pytest.approx(2 * math.log(2), abs=0.1)


def test_training_separates_patches_from_corrupted_ones(graph):
    objective = dgi()
    (phase,) = objective.phases()
    optimiser, step = torch.optim.Adam(list(phase.parameters), lr=1e-2), step_of(graph)
    for _ in range(100):
        loss = phase.loss(step)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.5


@pytest.mark.parametrize("weights", range(5))
def test_without_corruption_no_loss_is_below_ln_2(graph, weights):
    objective = dgi(corruption="identity")
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.normal_(generator=seeded(weights))
    assert float(loss_of(objective, graph).detach()) >= math.log(2) - 1e-6


def test_order_of_the_nodes_does_not_move_the_loss(graph):
    rows = torch.randperm(N, generator=seeded(5))
    x, adjacency = graph.x.to_dense()[rows], graph.adjacency.to_dense()[rows][:, rows]
    relabelled = Graph(index=graph.index, x=SparseMatrix.from_dense(x), adjacency=SparseMatrix.from_dense(adjacency))
    shuffle = torch.randperm(N, generator=seeded(6))
    place = torch.argsort(rows)

    def fixed(order, graph, generator):
        return Corrupted(graph.x, graph, rows=order)

    one, other = enlarge(dgi()), enlarge(dgi())
    one.corruption = partial(fixed, shuffle)
    other.corruption = partial(fixed, place[shuffle[rows]])  # the same exchange of features in the new numbers
    torch.testing.assert_close(loss_of(other, relabelled), loss_of(one, graph))


def test_gradients_flow_through_the_summary(graph):
    """With patches and corrupted patches held fixed, the summary still has a gradient."""
    discriminator = BilinearDiscriminator(HIDDEN, "matrix", True, seeded())
    h = torch.randn(N, HIDDEN, generator=seeded(1)).requires_grad_()
    jsd_loss(discriminator(h.detach(), readout(h)), discriminator(h.detach().flip(1), readout(h))).backward()
    assert float(h.grad.abs().sum()) > 0


def test_readout_is_the_sigmoid_of_the_mean():
    h = torch.tensor([[1.0, -2.0], [3.0, 0.0]])
    torch.testing.assert_close(readout(h), torch.tensor([2.0, -1.0]).sigmoid())


def test_one_phase_trains_encoder_and_discriminator():
    objective = dgi()
    (phase,) = objective.phases()
    assert {id(parameter) for parameter in phase.parameters} == {id(parameter) for parameter in objective.parameters()}


def test_optimiser_is_adam_without_weight_decay():
    (phase,) = dgi(lr=0.02).phases()
    optimiser = phase.optimiser(list(phase.parameters))
    assert type(optimiser) is torch.optim.Adam
    assert optimiser.defaults["lr"] == 0.02
    assert optimiser.defaults["weight_decay"] == 0
    assert optimiser.defaults["fused"]


# ----------------------------------------------------------------------------------------------- discriminator


def test_discriminator_is_torchs_bilinear_form():
    discriminator = BilinearDiscriminator(HIDDEN, "matrix", True, seeded())
    h, s = torch.randn(N, HIDDEN, generator=seeded(1)), torch.rand(HIDDEN, generator=seeded(2))
    expected = F.bilinear(h, s.expand_as(h), discriminator.weight[None], discriminator.bias).squeeze(1)
    torch.testing.assert_close(discriminator(h, s), expected)


@pytest.mark.parametrize(
    ("init", "bound"),
    [("tensor", math.sqrt(6 / (512**2 + 512))), ("matrix", math.sqrt(6 / 1024)), ("uniform", 1 / math.sqrt(512))],
)
def test_bilinear_weight_starts_uniform_within_its_bound(init, bound):
    weight = BilinearDiscriminator(512, init, True, seeded()).weight.detach()
    assert 0.999 * bound < float(weight.abs().max()) <= bound
    assert float(weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.01)


def test_tensor_bound_is_the_figure_of_the_reference_code():
    weight = BilinearDiscriminator(512, "tensor", True, seeded()).weight.detach()
    assert float(weight.abs().max()) == pytest.approx(0.00478, abs=1e-5)


def test_bilinear_bias_starts_at_zero_or_is_absent():
    assert torch.equal(BilinearDiscriminator(4, "tensor", True, seeded()).bias.detach(), torch.zeros(1))
    assert BilinearDiscriminator(4, "tensor", False, seeded()).bias is None


def test_bilinear_weight_comes_from_the_generator_alone():
    torch.manual_seed(1)
    first = BilinearDiscriminator(4, "tensor", True, seeded()).weight
    torch.manual_seed(2)
    assert torch.equal(first, BilinearDiscriminator(4, "tensor", True, seeded()).weight)


# -------------------------------------------------------------------------------------------------- the losses


def test_log_sigmoid_sum_is_twice_the_averaged_cross_entropy():
    positive, negative = torch.randn(50, generator=seeded(1)), torch.randn(50, generator=seeded(2))
    torch.testing.assert_close(log_sigmoid_sum(positive, negative), 2 * jsd_loss(positive, negative))


def test_log_sigmoid_sum_is_finite_where_the_sigmoid_rounds():
    assert torch.isfinite(log_sigmoid_sum(torch.tensor([-200.0]), torch.tensor([200.0])))


# ------------------------------------------------------------------------- several graphs, sampled sub-graphs


def test_each_of_several_graphs_has_its_own_summary():
    graphs = [random_graph(n, seed=n) for n in (10, 25)]
    both = side_by_side(*graphs)
    h = torch.randn(35, HIDDEN, generator=seeded())
    expected = torch.stack([readout(h[:10]), readout(h[10:])])
    torch.testing.assert_close(readout(h, average_of_graphs(both)), expected)


def test_one_graph_and_sampled_sub_graphs_have_one_summary(graph):
    assert average_of_graphs(graph) is None
    both = side_by_side(random_graph(10), random_graph(20))
    assert average_of_graphs(replace(both, roots=5)) is None


def test_other_graphs_patches_are_the_negatives():
    graphs = [random_graph(n, seed=n) for n in (10, 25)]
    objective = enlarge(dgi(mean=True, corruption="other_graph"))
    first, second = (objective.encoder(graph)["node"] for graph in graphs)
    discriminator = objective.discriminator
    positive = torch.cat([discriminator(first, readout(first)), discriminator(second, readout(second))])
    negative = torch.cat([discriminator(first, readout(second)), discriminator(second, readout(first))])
    torch.testing.assert_close(loss_of(objective, side_by_side(*graphs)), jsd_loss(positive, negative))


def test_dropout_on_the_other_graphs_features_moves_the_negatives_only():
    both = side_by_side(random_graph(10), random_graph(25))
    objective = enlarge(dgi(mean=True, corruption="other_graph", corruption_rate=0.5))
    plain = enlarge(dgi(mean=True, corruption="other_graph"))
    assert not torch.equal(loss_of(objective, both), loss_of(plain, both))


def test_other_graph_on_one_graph_is_refused(graph):
    with pytest.raises(UnfitError, match="at least two whole graphs"):
        loss_of(dgi(corruption="other_graph"), graph)


def test_row_shuffle_of_several_graphs_is_that_of_each_alone():
    """The loss of a batch is the mean over its nodes, each graph with its own permutation and summary."""
    graphs = [random_graph(n, seed=n) for n in (10, 25)]
    both = side_by_side(*graphs)
    objective = enlarge(dgi())
    drawn = objective.corruption(both, seeded(4)).rows
    parts = []
    for graph, rows in zip(graphs, (drawn[:10], drawn[10:] - 10), strict=True):
        alone = enlarge(dgi())
        alone.corruption = lambda graph, generator, rows=rows: Corrupted(graph.x, graph, rows=rows)
        parts.append(loss_of(alone, graph) * len(graph))
    torch.testing.assert_close(loss_of(objective, both, seed=4), sum(parts) / 35)


def test_in_a_sampled_sub_graph_only_the_roots_are_patches(graph):
    sampled = replace(graph, roots=7)
    objective = enlarge(dgi())
    rows = torch.randperm(N, generator=seeded(3))
    z = objective.encoder.transform(graph.x)
    h, h_corrupted = (objective.encoder.propagate(rows_of_z, graph)[:7] for rows_of_z in (z, z[rows]))
    s = readout(h)
    expected = jsd_loss(objective.discriminator(h, s), objective.discriminator(h_corrupted, s))
    torch.testing.assert_close(loss_of(objective, sampled, seed=3), expected)


@pytest.mark.parametrize("name", ["edge_drop", "edge_flip", "feature_dropout"])
def test_other_corruptions_are_those_of_an_encoder_run_on_the_corrupted_graph(graph, name):
    objective = enlarge(dgi(corruption=name))
    corrupted = objective.corruption(graph, seeded(3))
    h = objective.encoder(graph)["node"]
    h_corrupted = objective.encoder(replace(corrupted.graph, x=corrupted.x))["node"]
    s = readout(h)
    expected = jsd_loss(objective.discriminator(h, s), objective.discriminator(h_corrupted, s))
    torch.testing.assert_close(loss_of(objective, graph, seed=3), expected)


# ----------------------------------------------------------------------------------------------------- building


@pytest.mark.parametrize(
    ("options", "sampling"),
    [
        ({}, WholeGraph()),
        ({"sampling": "graphs"}, Graphs()),
        ({"sampling": "subgraphs", "fan_outs": (4, 3)}, SubGraphs(fan_outs=(4, 3))),
    ],
)
def test_sampling_is_the_options(options, sampling):
    assert dgi(**options).sampling == sampling


def test_an_encoder_of_another_form_is_refused_with_those_that_fit():
    class Plain(Encoder):
        def __init__(self):
            super().__init__()
            self.feature_shapes = {"node": (3,)}

        def forward(self, batch):
            return {"node": batch.x}

    with pytest.raises(UnfitError, match="gcn or graph-mean"):
        build_dgi(Plain(), ObjectiveContext(DESCRIPTION), DGIOptions(), seeded())


def test_an_unknown_corruption_is_refused():
    with pytest.raises(OptionError, match="no corruption"):
        dgi(corruption="shuffle")


def test_a_foreign_corruption_is_used_by_its_name():
    assert dgi(corruption="harness_graphs.corruption:other_graph").corruption is other_graph


# ---------------------------------------------------------------------------------------------------- compiling


@pytest.fixture
def fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("mean", [False, True])
def test_what_follows_the_corruption_is_compiled_as_one_graph(graph, fresh_compiler, mean):
    graphs = []

    def backend(module, inputs):
        graphs.append(module)
        return module.forward

    objective = enlarge(dgi(mean=mean))
    compiled = torch.compile(objective.loss, backend=backend)
    for seed in range(3):
        torch.testing.assert_close(compiled(step_of(graph, seed))["loss"], loss_of(objective, graph, seed))
    assert len(graphs) == 1


def test_compiled_gradients_are_the_eager_ones(graph, fresh_compiler):
    objective = enlarge(dgi())
    compiled = torch.compile(objective.loss, backend="aot_eager")
    parameters = list(objective.parameters())
    ours = torch.autograd.grad(compiled(step_of(graph))["loss"], parameters)
    for one, other in zip(ours, torch.autograd.grad(loss_of(objective, graph), parameters), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # from inside the compiler
def test_the_default_compiler_gives_the_eager_losses_without_a_warning(graph, fresh_compiler):
    objective = enlarge(dgi())
    compiled = torch.compile(objective.loss)
    for seed in range(3):
        torch.testing.assert_close(compiled(step_of(graph, seed))["loss"], loss_of(objective, graph, seed))
