"""Pairs that are held in memory."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import torch

from harness import Items, PairSource, TimePairs, UnfitError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def held():
    """Thirty pairs; x says the number of the pair, and y its hundredfold."""
    number = torch.arange(30.0)
    return PairSource(torch.stack([number, -number], 1), 100 * number[:, None])


def rows(batches):
    """[n, Dx + Dy] of all batches."""
    return torch.cat([torch.cat([batch.x, batch.y], dim=1) for batch in batches])


def assert_same(one, other):
    for field in ("index", "x", "y"):
        assert torch.equal(getattr(one, field), getattr(other, field))


def test_pairs_keep_their_numbers_and_partners(held):
    [batch] = held.subset(torch.tensor([7, 3])).in_order(2)
    assert batch.index.tolist() == [3, 7]
    assert batch.x.tolist() == [[3, -3], [7, -7]]
    assert batch.y.tolist() == [[300], [700]]


def test_the_description_says_both_dimensions_and_the_size_of_the_index(held):
    assert (held.description.kind, held.description.shape, held.description.samples) == ("pairs", (2, 1), 30)
    assert held.subset(torch.arange(5)).description == held.description


def test_x_without_y_is_refused():
    with pytest.raises(UnfitError, match="^Pairs need as many x as y; these are 3 and 2"):
        PairSource(torch.zeros(3, 1), torch.zeros(2, 1))


def test_an_epoch_holds_every_pair_once_in_random_order(held):
    epoch = held.epoch(Items(), 10, generator())
    assert [len(batch) for batch in epoch] == [10, 10, 10]
    index = torch.cat([batch.index for batch in epoch])
    assert sorted(index.tolist()) == list(range(30))
    assert index.tolist() != list(range(30))
    assert torch.equal(rows(epoch)[:, 0], index.float())


def test_an_epoch_has_full_batches_only_and_leaves_out_others_in_the_next(held):
    source = generator()
    epochs = [held.epoch(Items(), 8, source) for _ in range(6)]
    assert all([len(batch) for batch in epoch] == [8, 8, 8] for epoch in epochs)
    assert all(len(epoch) == 3 for epoch in epochs)
    drawn = [set(torch.cat([batch.index for batch in epoch]).tolist()) for epoch in epochs]
    assert all(len(one) == 24 for one in drawn)
    assert set(chain(*drawn)) == set(range(30))


def test_the_generator_alone_decides_the_order(held):
    one, same, other = (torch.cat([b.index for b in held.epoch(Items(), 10, generator(seed))]) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_batch_of_an_epoch_is_the_same_whenever_it_is_asked_for(held):
    epoch = held.epoch(Items(), 7, generator())
    late, early = epoch[3], epoch[1]
    assert_same(epoch[1], early)
    assert_same(epoch[3], late)
    for position in (-1, 4):
        with pytest.raises(IndexError):
            epoch[position]


def test_a_batch_larger_than_what_there_is_is_refused(held):
    with pytest.raises(UnfitError, match=r"^A batch of 31 pairs is more than the 30 there are; lower train.batch_size\.$"):
        held.epoch(Items(), 31, generator())


@pytest.mark.parametrize("batch_size", [1, 7, 10, 29, 30, 100])
def test_in_order_gives_every_pair_once_in_order(held, batch_size):
    batches = list(held.in_order(batch_size))
    assert torch.cat([batch.index for batch in batches]).tolist() == list(range(30))
    assert rows(batches)[:, 0].tolist() == list(range(30))
    assert max(len(batch) for batch in batches) <= batch_size


@pytest.mark.parametrize("batch_size", [7, 29])
def test_in_order_leaves_no_small_batch_at_the_end(held, batch_size):
    """A critic scores a pair with others of its batch, and needs enough of them."""
    sizes = [len(batch) for batch in held.in_order(batch_size)]
    assert max(sizes) - min(sizes) <= 1


def test_a_subset_has_its_pairs_in_ascending_order_under_their_own_numbers(held):
    for index in (np.array([20, 3, 5]), torch.tensor([20, 3, 5])):
        [batch] = held.subset(index).in_order(10)
        assert batch.index.tolist() == [3, 5, 20]
        assert batch.y.flatten().tolist() == [300, 500, 2000]


def test_a_subset_is_drawn_from_itself_alone(held):
    epoch = held.subset(np.array([20, 3, 5, 8])).epoch(Items(), 2, generator())
    assert sorted(chain(*(batch.index.tolist() for batch in epoch))) == [3, 5, 8, 20]


def test_a_subset_of_a_subset_keeps_the_numbers(held):
    inner = held.subset(torch.tensor([2, 4, 6])).subset(torch.tensor([6, 2]))
    assert inner.index.tolist() == [2, 6]


@pytest.mark.parametrize(("index", "sentence"), [([1, 1], "twice"), ([30], "does not have"), ([-1], "does not have")])
def test_a_subset_of_what_is_not_there_or_twice_is_refused(held, index, sentence):
    with pytest.raises(UnfitError, match=sentence):
        held.subset(torch.tensor(index))
    with pytest.raises(UnfitError):
        held.subset(torch.tensor([2, 4])).subset(torch.tensor([3]))


def test_pairs_are_drawn_as_items_only(held):
    with pytest.raises(UnfitError, match="Pairs cannot be drawn as 'pairs'; they are drawn as 'items'"):
        held.epoch(TimePairs(), 2, generator())


def test_the_digest_changes_with_x_with_y_and_with_what_is_held(held):
    x, y = (torch.randn(6, 2, generator=generator(seed)) for seed in (0, 1))
    changed_x, changed_y = x.clone(), y.clone()
    changed_x[5, 1] += 1
    changed_y[0, 0] += 1
    sources = [
        PairSource(x, y),
        PairSource(changed_x, y),
        PairSource(x, changed_y),
        PairSource(y, x),
        PairSource(x, y).subset(torch.arange(5)),
        PairSource(torch.cat([x, y[:, :1]], 1), y[:, 1:]),
    ]
    assert len({source.content_sha256() for source in sources}) == len(sources)
    assert PairSource(x.clone(), y.clone()).content_sha256() == sources[0].content_sha256()
    assert PairSource(changed_x, y).subset(torch.arange(5)).content_sha256() == sources[4].content_sha256()


def test_moving_to_a_device_changes_nothing(held):
    moved = held.subset(torch.tensor([1, 2, 5])).to("cpu")
    assert moved.index.tolist() == [1, 2, 5]
    assert moved.content_sha256() == held.subset(torch.tensor([1, 2, 5])).content_sha256()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_draws_the_same_pairs(held):
    here, there = held.epoch(Items(), 7, generator()), held.to("cuda").epoch(Items(), 7, generator())
    for one, other in zip(here, there, strict=True):
        assert other.x.is_cuda
        assert_same(one, other.to("cpu"))
