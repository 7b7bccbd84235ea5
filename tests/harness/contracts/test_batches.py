"""Batches on devices; that they have no place for labels is in tests/harness/line/test_firewall.py."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from harness import FramePairs, Graph, Images, SparseMatrix, Vectors

INDEX = torch.tensor([4, 2, 9])


def graph():
    """Nodes 0 and 1 joined, node 2 alone."""
    adjacency = SparseMatrix.from_dense(torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]]))
    return Graph(index=INDEX, x=torch.zeros(3, 2), adjacency=adjacency)


BATCHES = {
    "vectors": lambda: Vectors(index=INDEX, values=torch.zeros(3, 2)),
    "images": lambda: Images(index=INDEX, pixels=torch.zeros(3, 1, 2, 2)),
    "frames": lambda: FramePairs(index=INDEX, **{name: torch.zeros(3, 1, 2, 2) for name in ("first", "second", "other")}),
    "graph": graph,
}


@pytest.mark.parametrize("kind", BATCHES)
def test_a_batch_says_its_kind_and_length(kind):
    batch = BATCHES[kind]()
    assert batch.kind == kind
    assert len(batch) == 3


@pytest.mark.parametrize("kind", BATCHES)
def test_a_batch_that_is_there_already_is_itself(kind):
    batch = BATCHES[kind]()
    assert batch.to("cpu") is batch
    assert batch.to(torch.device("cpu")) is batch


@pytest.mark.parametrize("kind", ["vectors", "images", "frames"])
def test_every_tensor_of_a_batch_moves(kind):
    moved = BATCHES[kind]().to("meta")
    for field in dataclasses.fields(moved):
        assert getattr(moved, field.name).device.type == "meta"


@pytest.mark.parametrize("kind", BATCHES)
def test_a_batch_cannot_be_changed(kind):
    batch = BATCHES[kind]()
    with pytest.raises(dataclasses.FrozenInstanceError):
        batch.index = torch.zeros(3)


def test_a_graphs_propagation_is_computed_once():
    batch = graph()
    assert batch.propagation("symmetric") is batch.propagation("symmetric")
    assert batch.propagation("symmetric") is not batch.propagation("mean")


def test_symmetric_propagation_is_that_of_kipf_and_welling():
    dense = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]]) + torch.eye(3)
    scale = torch.diag(dense.sum(1) ** -0.5)
    torch.testing.assert_close(graph().propagation("symmetric").to_dense(), scale @ dense @ scale)


def test_mean_propagation_has_rows_that_sum_to_one():
    torch.testing.assert_close(graph().propagation("mean").to_dense().sum(1), torch.ones(3))
