"""Epochs over numbered samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.contracts.batches import Batch
from harness.data.epochs import IndexEpoch, in_order, members, shuffled
from harness.errors import UnfitError


def epoch_of(samples: int, batch_size: int) -> IndexEpoch[Batch]:
    return IndexEpoch(torch.arange(samples), batch_size, lambda index: Batch(index=index))


def sizes(epoch: IndexEpoch[Batch]) -> list[int]:
    return [len(batch) for batch in epoch]


def test_batches_cut_the_order_from_its_beginning() -> None:
    order = torch.tensor([5, 2, 9, 4])
    epoch = IndexEpoch(order, 2, lambda index: Batch(index=index))
    assert [batch.index.tolist() for batch in epoch] == [[5, 2], [9, 4]]


@pytest.mark.parametrize(
    ("samples", "batch_size", "expected"),
    [
        (6, 3, [3, 3]),
        (8, 3, [3, 3, 2]),
        (7, 3, [3, 3]),
        (2, 3, [2]),
        (1, 3, [1]),
        (3, 1, [1, 1, 1]),
        (0, 3, []),
    ],
)
def test_the_last_batch_is_kept_unless_it_is_a_single_sample_left_over(samples: int, batch_size: int, expected: list[int]) -> None:
    assert sizes(epoch_of(samples, batch_size)) == expected


def test_the_length_is_the_number_of_batches() -> None:
    assert len(epoch_of(8, 3)) == 3


def test_a_batch_is_the_same_each_time_it_is_asked_for() -> None:
    epoch = epoch_of(8, 3)
    assert torch.equal(epoch[1].index, epoch[1].index)


def test_an_interrupted_epoch_continues_at_any_batch() -> None:
    epoch = epoch_of(8, 3)
    assert epoch[2].index.tolist() == [6, 7]


@pytest.mark.parametrize("position", [-1, 3])
def test_there_is_no_batch_past_either_end(position: int) -> None:
    with pytest.raises(IndexError):
        epoch_of(8, 3)[position]


def test_shuffling_keeps_every_sample_once() -> None:
    index = torch.arange(10, 60, 3)
    drawn = shuffled(index, torch.Generator().manual_seed(0))
    assert torch.equal(drawn.sort().values, index)


def test_shuffling_depends_on_the_generator_alone() -> None:
    index = torch.arange(100)
    torch.manual_seed(1)
    first = shuffled(index, torch.Generator().manual_seed(0))
    torch.manual_seed(2)
    assert torch.equal(shuffled(index, torch.Generator().manual_seed(0)), first)


def test_shuffling_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    shuffled(torch.arange(100), torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_another_epoch_is_drawn_in_another_order() -> None:
    generator = torch.Generator().manual_seed(0)
    index = torch.arange(100)
    assert not torch.equal(shuffled(index, generator), shuffled(index, generator))


def test_in_order_keeps_every_sample_even_a_single_one_left_over() -> None:
    def gather(index: Tensor) -> Batch:
        return Batch(index=index)

    batches = list(in_order(torch.arange(7), 3, gather))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert torch.cat([batch.index for batch in batches]).tolist() == list(range(7))


def test_members_come_in_ascending_order() -> None:
    assert members(torch.tensor([5, 1, 3]), torch.arange(6)).tolist() == [1, 3, 5]


def test_members_may_be_a_numpy_array() -> None:
    assert members(np.array([2, 0]), torch.arange(6)).tolist() == [0, 2]


@pytest.mark.parametrize("number", [-1, 2, 6])
def test_a_member_that_is_not_held_is_refused(number: int) -> None:
    with pytest.raises(UnfitError, match="does not have"):
        members(torch.tensor([number]), torch.tensor([1, 3, 5]))


def test_a_member_named_twice_is_refused() -> None:
    with pytest.raises(UnfitError, match="twice"):
        members(torch.tensor([1, 3, 1]), torch.arange(6))


@pytest.mark.parametrize("chosen", [torch.tensor([0.0, 1.0]), torch.tensor([True, False]), torch.tensor([[0, 1]])])
def test_what_is_not_a_list_of_sample_numbers_is_refused(chosen: Tensor) -> None:
    with pytest.raises(UnfitError, match="sample numbers"):
        members(chosen, torch.arange(6))
