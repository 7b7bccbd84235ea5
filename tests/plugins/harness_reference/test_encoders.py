"""The encoders identity and constant."""

from __future__ import annotations

import pytest
import torch

from harness import Batch, Description, FramePairs, Graph, Images, Options, SparseMatrix, UnfitError, Vectors
from harness_reference.encoders import Constant, Identity, build_constant, build_identity

INDEX = torch.tensor([4, 7, 9])


def identity(*shape: int, kind: str = "vectors") -> Identity:
    return build_identity(Description(kind=kind, shape=shape, samples=10), Options(), torch.Generator())


def graph(x: torch.Tensor | SparseMatrix) -> Graph:
    return Graph(index=INDEX, x=x, adjacency=SparseMatrix.from_dense(torch.eye(3).roll(1, 0)))


def test_vectors_come_out_as_they_are() -> None:
    values = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(identity(5)(Vectors(index=INDEX, values=values))["input"], values)


def test_images_come_out_flattened_channel_by_channel() -> None:
    pixels = torch.arange(3.0 * 2 * 4 * 4).reshape(3, 2, 4, 4)
    feature = identity(2, 4, 4, kind="images")(Images(index=INDEX, pixels=pixels))["input"]
    assert torch.equal(feature, torch.arange(96.0).reshape(3, 32))


def test_of_a_pair_of_frames_the_first_comes_out() -> None:
    first, second = torch.ones(3, 1, 2, 2), torch.zeros(3, 1, 2, 2)
    feature = identity(1, 2, 2, kind="frames")(FramePairs(index=INDEX, first=first, second=second))["input"]
    assert torch.equal(feature, torch.ones(3, 4))


def test_the_features_of_nodes_come_out() -> None:
    x = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    assert torch.equal(identity(2, kind="graph")(graph(x))["input"], x)


def test_sparse_features_of_nodes_come_out_dense() -> None:
    x = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    assert torch.equal(identity(2, kind="graph")(graph(SparseMatrix.from_dense(x)))["input"], x)


def test_the_shape_declared_is_the_shape_delivered() -> None:
    encoder = identity(2, 4, 4, kind="images")
    feature = encoder(Images(index=INDEX, pixels=torch.zeros(3, 2, 4, 4)))["input"]
    assert feature.shape == (3, *encoder.feature_shapes["input"])


def test_a_batch_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UnfitError, match="cannot flatten a Batch"):
        identity(1)(Batch(index=INDEX))


@pytest.mark.parametrize("encoder", [identity(3), Constant()])
def test_there_is_nothing_to_train(encoder: torch.nn.Module) -> None:
    assert list(encoder.parameters()) == list(encoder.buffers()) == []


@pytest.mark.parametrize(
    "batch",
    [Vectors(index=INDEX, values=torch.zeros(3, 2)), Images(index=INDEX, pixels=torch.zeros(3, 1, 2, 2)), graph(torch.zeros(3, 2))],
    ids=["vectors", "images", "graph"],
)
def test_constant_says_the_same_of_every_sample(batch: Batch) -> None:
    encoder = build_constant(Description(kind=batch.kind, shape=(2,), samples=10), Options(), torch.Generator())
    assert encoder(batch)["constant"].tolist() == [[1.0], [1.0], [1.0]]
    assert encoder.feature_shapes == {"constant": (1,)}
