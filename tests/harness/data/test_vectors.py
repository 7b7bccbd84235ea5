"""Vectors held in memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.contracts.batches import Vectors
from harness.contracts.sources import Description, Items, TimePairs, WholeGraph
from harness.data.vectors import VectorSource
from harness.errors import UnfitError


@pytest.fixture
def values() -> Tensor:
    return torch.arange(30.0).reshape(10, 3)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_description_says_what_the_vectors_are(values: Tensor) -> None:
    source = VectorSource(values, value_range=(0.0, 29.0))
    assert source.description == Description(kind="vectors", shape=(3,), samples=10, value_range=(0.0, 29.0))


def test_an_epoch_has_every_sample_once_with_its_own_values(values: Tensor) -> None:
    batches = list(VectorSource(values).epoch(Items(), 4, generator()))
    index = torch.cat([batch.index for batch in batches])
    assert sorted(index.tolist()) == list(range(10))
    assert torch.equal(torch.cat([batch.values for batch in batches]), values[index])


def test_the_same_generator_state_gives_the_same_epoch(values: Tensor) -> None:
    first, second = (VectorSource(values).epoch(Items(), 4, generator()) for _ in range(2))
    assert all(torch.equal(a.index, b.index) for a, b in zip(first, second, strict=True))


def test_the_order_is_taken_from_the_generator_when_the_epoch_is_drawn(values: Tensor) -> None:
    source, stream = VectorSource(values), generator()
    epoch = source.epoch(Items(), 4, stream)
    stream.manual_seed(99)
    assert torch.equal(epoch[0].index, source.epoch(Items(), 4, generator())[0].index)


def test_in_order_goes_through_the_samples_as_they_are_numbered(values: Tensor) -> None:
    batches = list(VectorSource(values).in_order(4))
    assert torch.equal(torch.cat([batch.values for batch in batches]), values)


def test_batches_are_single_precision_whatever_is_stored() -> None:
    source = VectorSource(torch.tensor([[1], [2]], dtype=torch.int16))
    batch = next(source.in_order(2))
    assert isinstance(batch, Vectors)
    assert batch.values.dtype == torch.float32


def test_a_subset_keeps_the_numbers_of_its_samples(values: Tensor) -> None:
    batch = next(VectorSource(values).subset(torch.tensor([7, 2])).in_order(10))
    assert batch.index.tolist() == [2, 7]
    assert torch.equal(batch.values, values[[2, 7]])


def test_a_subset_is_all_that_its_epoch_draws(values: Tensor) -> None:
    epoch = VectorSource(values).subset(torch.tensor([7, 2, 5])).epoch(Items(), 2, generator())
    drawn = torch.cat([batch.index for batch in epoch])
    assert set(drawn.tolist()) <= {2, 5, 7}


def test_a_subset_of_a_subset_is_named_by_the_same_numbers(values: Tensor) -> None:
    subset = VectorSource(values).subset(torch.tensor([2, 5, 7]))
    assert subset.subset(torch.tensor([7])).index.tolist() == [7]
    with pytest.raises(UnfitError):
        subset.subset(torch.tensor([0]))


def test_the_length_is_the_number_of_samples_held(values: Tensor) -> None:
    assert len(VectorSource(values).subset(torch.tensor([2, 5]))) == 2


def test_a_subset_still_describes_the_whole_index_space(values: Tensor) -> None:
    assert VectorSource(values).subset(torch.tensor([2, 5])).description.samples == 10


def test_moving_keeps_samples_and_numbers(values: Tensor) -> None:
    moved = VectorSource(values).subset(torch.tensor([2, 5])).to("cpu")
    batch = next(moved.in_order(5))
    assert batch.index.tolist() == [2, 5]
    assert torch.equal(batch.values, values[[2, 5]])


def test_a_source_that_does_not_fit_stays_where_it_is(values: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, 0))
    source = VectorSource(values)
    assert source.to("cuda") is source


def test_the_digest_changes_with_the_values(values: Tensor) -> None:
    assert VectorSource(values).content_sha256() != VectorSource(values + 1).content_sha256()


def test_the_digest_changes_with_the_stored_type(values: Tensor) -> None:
    assert VectorSource(values).content_sha256() != VectorSource(values.double()).content_sha256()


def test_the_digest_of_a_subset_is_of_its_samples(values: Tensor) -> None:
    subset = VectorSource(values).subset(torch.tensor([2, 5]))
    assert subset.content_sha256() == VectorSource(values[[2, 5]]).content_sha256()


@pytest.mark.parametrize("sampling", [TimePairs(), WholeGraph()])
def test_other_ways_of_drawing_are_refused(values: Tensor, sampling: TimePairs | WholeGraph) -> None:
    with pytest.raises(UnfitError, match=f"Vectors cannot be drawn as '{sampling.kind}'"):
        VectorSource(values).epoch(sampling, 4, generator())


@pytest.mark.parametrize("bad", [torch.zeros(3), torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.complex64)])
def test_what_is_not_a_matrix_of_real_values_is_refused(bad: Tensor) -> None:
    with pytest.raises(UnfitError, match="real values"):
        VectorSource(bad)
