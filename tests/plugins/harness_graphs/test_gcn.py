"""The graph encoders: against dense formulae and against torch_geometric's GCNConv."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harness import Description, Graph, SparseMatrix
from harness_graphs.gcn import GCN, GraphEncoder, GraphMean, build_gcn, build_graph_mean, prelu
from harness_graphs.spec_encoders import GCNOptions, GraphMeanOptions

N, FEATURES, HIDDEN = 40, 12, 8


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_adjacency(n: int = N, seed: int = 0) -> torch.Tensor:
    upper = (torch.rand(n, n, generator=seeded(seed)) < 0.1).float().triu(1)
    return upper + upper.t()


def graph_of(adjacency: torch.Tensor, x: torch.Tensor | SparseMatrix, graph: torch.Tensor | None = None) -> Graph:
    return Graph(index=torch.arange(len(adjacency)), x=x, adjacency=SparseMatrix.from_dense(adjacency), graph=graph)


@pytest.fixture
def features() -> torch.Tensor:
    return torch.rand(N, FEATURES, generator=seeded(1))


@pytest.fixture
def adjacency() -> torch.Tensor:
    return random_adjacency()


def gcn(**options: object) -> GCN:
    return build_gcn(Description(kind="graph", shape=(FEATURES,), samples=N), GCNOptions(hidden=HIDDEN, **options), seeded())


def graph_mean(layers: int = 3) -> GraphMean:
    description = Description(kind="graph", shape=(FEATURES,), samples=N)
    return build_graph_mean(description, GraphMeanOptions(hidden=HIDDEN, layers=layers), seeded())


def symmetric(adjacency: torch.Tensor) -> torch.Tensor:
    looped = adjacency + torch.eye(len(adjacency))
    scale = looped.sum(1).rsqrt()
    return scale[:, None] * looped * scale


def mean(adjacency: torch.Tensor) -> torch.Tensor:
    looped = adjacency + torch.eye(len(adjacency))
    return looped / looped.sum(1, keepdim=True)


def perturb_biases(encoder: GCN | GraphMean) -> None:
    """Zero biases would hide whether they are used."""
    with torch.no_grad():
        for layer in encoder.layers:
            layer.bias.uniform_(-1, 1, generator=seeded(5))


# ---------------------------------------------------------------------------------------------------------- gcn


def test_one_layer_is_the_dense_formula(adjacency, features):
    encoder = gcn()
    perturb_biases(encoder)
    layer = encoder.layers[0]
    expected = F.prelu(symmetric(adjacency) @ features @ layer.weight + layer.bias, layer.slope)
    torch.testing.assert_close(encoder(graph_of(adjacency, features))["node"], expected)


def test_mean_propagation_is_the_dense_formula(adjacency, features):
    encoder = gcn(propagation="mean")
    layer = encoder.layers[0]
    expected = F.prelu(mean(adjacency) @ features @ layer.weight + layer.bias, layer.slope)
    torch.testing.assert_close(encoder(graph_of(adjacency, features))["node"], expected)


def test_two_layers_are_the_dense_formula(adjacency, features):
    encoder = gcn(layers=2)
    perturb_biases(encoder)
    h = features
    for layer in encoder.layers:
        h = F.prelu(symmetric(adjacency) @ h @ layer.weight + layer.bias, layer.slope)
    torch.testing.assert_close(encoder(graph_of(adjacency, features))["node"], h)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # which torch_geometric still uses
def test_one_layer_is_torch_geometrics_gcnconv_with_prelu(adjacency, features):
    from torch_geometric.nn import GCNConv

    encoder = gcn(slopes="per-channel")
    perturb_biases(encoder)
    convolution, activation = GCNConv(FEATURES, HIDDEN), nn.PReLU(HIDDEN)
    with torch.no_grad():
        convolution.lin.weight.copy_(encoder.layers[0].weight.t())
        convolution.bias.copy_(encoder.layers[0].bias)
    expected = activation(convolution(features, adjacency.nonzero().t()))
    torch.testing.assert_close(encoder(graph_of(adjacency, features))["node"], expected)


def test_sparse_features_give_what_dense_ones_give(adjacency, features):
    encoder = gcn()
    sparse = encoder(graph_of(adjacency, SparseMatrix.from_dense(features)))["node"]
    torch.testing.assert_close(sparse, encoder(graph_of(adjacency, features))["node"])


def test_weights_start_xavier_uniform():
    weight = GCN(300, GCNOptions(hidden=200), seeded()).layers[0].weight
    bound = math.sqrt(6 / 500)
    assert 0.99 * bound < float(weight.detach().abs().max()) <= bound


def test_biases_start_at_zero_and_slopes_at_a_quarter():
    layer = gcn().layers[0]
    assert torch.equal(layer.bias, torch.zeros(HIDDEN))
    assert torch.equal(layer.slope, torch.tensor([0.25]))


def test_per_channel_slopes_are_one_for_each_unit():
    assert torch.equal(gcn(slopes="per-channel").layers[0].slope, torch.full((HIDDEN,), 0.25))


def test_weights_come_from_the_generator_alone():
    torch.manual_seed(1)
    first = gcn().layers[0].weight
    torch.manual_seed(2)
    assert torch.equal(first, gcn().layers[0].weight)


# --------------------------------------------------------------------------------------------------- graph-mean


def test_graph_mean_is_the_papers_three_layers(adjacency, features):
    encoder = graph_mean()
    perturb_biases(encoder)
    m, x = mean(adjacency), features
    (one, two, three), (skip_two, skip_three) = encoder.layers, encoder.skips
    h1 = F.prelu(m @ x @ one.weight + one.bias, one.slope)
    h2 = F.prelu(m @ (h1 + x @ skip_two) @ two.weight + two.bias, two.slope)
    h3 = F.prelu(m @ (h2 + h1 + x @ skip_three) @ three.weight + three.bias, three.slope)
    torch.testing.assert_close(encoder(graph_of(adjacency, x))["node"], h3)


def test_graph_mean_with_one_layer_is_a_gcn_with_mean_propagation(adjacency, features):
    batch = graph_of(adjacency, features)
    torch.testing.assert_close(graph_mean(layers=1)(batch)["node"], gcn(propagation="mean")(batch)["node"])


# --------------------------------------------------------------------------------------------------------- both


@pytest.mark.parametrize("build", [gcn, graph_mean])
def test_feature_has_the_declared_shape(build, adjacency, features):
    encoder = build()
    assert encoder(graph_of(adjacency, features))["node"].shape == (N, *encoder.feature_shapes["node"])


@pytest.mark.parametrize("build", [gcn, graph_mean])
def test_encoders_are_in_two_halves(build, adjacency, features):
    encoder, batch = build(), graph_of(adjacency, features)
    assert isinstance(encoder, GraphEncoder)
    assert torch.equal(encoder(batch)["node"], encoder.propagate(encoder.transform(batch.x), batch))


@pytest.mark.parametrize("build", [gcn, graph_mean])
def test_transform_commutes_with_permuting_rows(build, features):
    encoder, rows = build(), torch.randperm(N, generator=seeded(3))
    torch.testing.assert_close(encoder.transform(features[rows]), encoder.transform(features)[rows])


@pytest.mark.parametrize("build", [gcn, graph_mean])
def test_permuting_the_nodes_permutes_the_embeddings(build, adjacency, features):
    encoder, rows = build(), torch.randperm(N, generator=seeded(3))
    permuted = encoder(graph_of(adjacency[rows][:, rows], features[rows]))["node"]
    torch.testing.assert_close(permuted, encoder(graph_of(adjacency, features))["node"][rows])


@pytest.mark.parametrize("build", [gcn, graph_mean])
def test_a_graph_is_embedded_as_if_it_were_alone(build, adjacency, features):
    encoder = build()
    beside = torch.block_diag(adjacency, random_adjacency(7, seed=9))
    both = graph_of(beside, torch.cat([features, torch.rand(7, FEATURES)]), graph=torch.tensor([0] * N + [1] * 7))
    torch.testing.assert_close(encoder(both)["node"][:N], encoder(graph_of(adjacency, features))["node"])


@pytest.mark.parametrize("build", [gcn, graph_mean])
def test_an_isolated_node_sees_itself_only(build, features):
    encoder = build()
    alone = encoder(graph_of(torch.zeros(1, 1), features[:1]))["node"]
    torch.testing.assert_close(encoder(graph_of(torch.zeros(N, N), features))["node"][:1], alone)


# -------------------------------------------------------------------------------------------------------- prelu


@pytest.mark.parametrize("slopes", [1, HIDDEN])
def test_prelu_and_its_gradients_are_torchs(slopes):
    results = []
    for function in (F.prelu, prelu):
        x = torch.randn(N, HIDDEN, generator=seeded(4)).requires_grad_()
        slope = torch.rand(slopes, generator=seeded(5)).requires_grad_()
        y = function(x, slope)
        results.append((y, *torch.autograd.grad(y.square().sum(), (x, slope))))
    for ours, torchs in zip(*results, strict=True):
        torch.testing.assert_close(ours, torchs)


def test_prelu_has_the_slope_as_gradient_at_zero():
    x = torch.zeros(2, 1, requires_grad=True)
    prelu(x, torch.tensor([0.25])).sum().backward()
    assert torch.equal(x.grad, torch.full((2, 1), 0.25))


def test_prelu_leaves_the_incoming_gradient_alone():
    x = torch.randn(N, HIDDEN, generator=seeded(4), requires_grad=True)
    gradient = torch.randn(N, HIDDEN, generator=seeded(6))
    before = gradient.clone()
    prelu(x, torch.tensor([0.25], requires_grad=True)).backward(gradient)
    assert torch.equal(gradient, before)
