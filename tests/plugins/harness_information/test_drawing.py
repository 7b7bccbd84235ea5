"""Pairs that are held, and pairs that are drawn anew whenever they are asked for."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import torch

from harness import Items, TimePairs, UnfitError
from harness_information import drawing, laws
from harness_information.drawing import FreshEpoch, FreshPairs, PairSource
from harness_information.laws import RecipeNoise

LAW = laws.correlated(2, 0.5)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def held():
    """Thirty pairs; x says the number of the pair, and y its hundredfold."""
    number = torch.arange(30.0)
    return PairSource(torch.stack([number, -number], 1), 100 * number[:, None])


@pytest.fixture
def small_blocks(monkeypatch):
    """Three batches are drawn together."""
    monkeypatch.setattr(drawing, "BLOCK", 3)


def rows(batches):
    """[n, Dx + Dy] of all batches."""
    return torch.cat([torch.cat([batch.x, batch.y], dim=1) for batch in batches])


def assert_same(one, other):
    for field in ("index", "x", "y"):
        assert torch.equal(getattr(one, field), getattr(other, field))


# --------------------------------------------------------------------------------------------------------- held pairs


def test_pairs_keep_their_numbers_and_partners(held):
    batch = held.gather(torch.tensor([7, 3]))
    assert batch.index.tolist() == [7, 3]
    assert batch.x.tolist() == [[7, -7], [3, -3]]
    assert batch.y.tolist() == [[700], [300]]


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


@pytest.mark.parametrize("index", [[1, 1], [30], [-1]])
def test_a_subset_of_what_is_not_there_or_twice_is_refused(held, index):
    with pytest.raises(UnfitError, match="names pairs twice or that the source does not have"):
        held.subset(torch.tensor(index))
    with pytest.raises(UnfitError):
        held.subset(torch.tensor([2, 4])).subset(torch.tensor([3]))


def test_pairs_are_drawn_as_items_only(held):
    for source in (held, FreshPairs([LAW], first=0, steps=1)):
        with pytest.raises(UnfitError, match="Pairs cannot be drawn as 'pairs'; they are drawn as 'items'"):
            source.epoch(TimePairs(), 2, generator())


def test_the_digest_changes_with_x_with_y_and_with_what_is_held(held):
    x, y = LAW.draw(6, RecipeNoise(0))
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


# -------------------------------------------------------------------------------------------------------- fresh pairs


def fresh(steps=7, batch_size=4, seed=1, first=100, of=(LAW,)):
    return FreshEpoch(of, steps, batch_size, seed, first)


def test_a_fresh_batch_is_the_same_whenever_and_in_whatever_order_it_is_asked_for(small_blocks):
    in_turn = list(fresh(of=(LAW, LAW)))
    assert len(in_turn) == 14
    epoch = fresh(of=(LAW, LAW))
    for position in np.random.default_rng(0).permutation(14).tolist() * 2:
        assert_same(epoch[position], in_turn[position])


def test_a_fresh_batch_holds_a_full_batch_of_the_law_s_dimensions(small_blocks):
    for position, batch in enumerate(fresh(of=(laws.dense(3, 1, 0.5),))):
        assert (batch.x.shape, batch.y.shape) == ((4, 3), (4, 1))
        assert batch.index.tolist() == list(range(100 + 4 * position, 104 + 4 * position))


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 6, 7])
def test_no_pair_of_an_epoch_is_like_another_in_any_block(small_blocks, steps):
    epoch = fresh(steps=steps, of=(LAW, LAW))
    assert len(rows(epoch).unique(dim=0)) == 2 * steps * 4


def test_a_shorter_epoch_begins_a_longer_one_as_far_as_full_blocks_go(small_blocks):
    # So the last block, drawn shorter, is no reason to doubt those before it.
    for position in range(6):
        assert_same(fresh(steps=7)[position], fresh(steps=9)[position])


def test_two_epochs_of_a_generator_share_no_pair(small_blocks):
    source, drawing_of = FreshPairs([LAW], first=0, steps=5), generator()
    first, second = (rows(source.epoch(Items(), 4, drawing_of)) for _ in range(2))
    assert len(torch.cat([first, second]).unique(dim=0)) == 40


def test_an_interrupted_epoch_goes_on_where_it_was(small_blocks):
    source, drawing_of = FreshPairs([LAW, LAW], first=0, steps=5), generator()
    source.epoch(Items(), 4, drawing_of)
    state = drawing_of.get_state()
    whole = list(source.epoch(Items(), 4, drawing_of))
    again = torch.Generator()
    again.set_state(state)
    resumed = FreshPairs([LAW, LAW], first=0, steps=5).epoch(Items(), 4, again)
    for position in range(6, 10):
        assert_same(resumed[position], whole[position])
    assert torch.equal(again.get_state(), drawing_of.get_state())


def test_global_random_states_are_neither_read_nor_moved():
    before = torch.random.get_rng_state()
    expected = rows(fresh())
    assert torch.equal(torch.random.get_rng_state(), before)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        assert torch.equal(rows(fresh()), expected)


def test_an_epoch_goes_from_law_to_law(small_blocks):
    def shifted(by):
        return LAW.mapped(laws.Map(lambda x: x + by), laws.IDENTITY)

    epoch = fresh(of=(shifted(0), shifted(1000), shifted(2000)))
    assert [round(batch.x.mean().item() / 1000) for batch in epoch] == [0] * 7 + [1] * 7 + [2] * 7


def test_a_law_s_pairs_are_dependent_as_it_says():
    both = rows(fresh(steps=100, batch_size=100, of=(laws.correlated(1, 0.8),)))
    assert float(torch.corrcoef(both.T)[0, 1]) == pytest.approx(0.8, abs=4 * 0.36 / 100)


@pytest.mark.parametrize("position", [-1, 7])
def test_positions_past_the_ends_are_refused(position):
    with pytest.raises(IndexError):
        fresh()[position]


def test_numbers_of_fresh_pairs_are_none_of_those_held():
    held = PairSource(*LAW.draw(30, RecipeNoise(0)))
    source = FreshPairs([LAW], first=len(held.index), steps=4)
    assert source.description.samples == held.description.samples
    assert min(batch.index.min().item() for batch in source.epoch(Items(), 5, generator())) == 30


@pytest.mark.parametrize(("samples", "batch_size", "batches"), [(100, 10, 10), (100, 64, 1), (129, 64, 2), (3, 64, 1)])
def test_an_epoch_has_as_many_full_batches_as_its_samples_fill_but_one_at_least(samples, batch_size, batches):
    epoch = FreshPairs([LAW], first=0, samples=samples).epoch(Items(), batch_size, generator())
    assert len(epoch) == batches
    assert all(len(batch) == batch_size for batch in epoch)


def test_steps_are_counted_for_each_law():
    assert len(FreshPairs([LAW, LAW, LAW], first=0, steps=4, samples=100).epoch(Items(), 10, generator())) == 12


def test_fresh_pairs_have_no_order_and_no_parts():
    source = FreshPairs([LAW], first=0, steps=1)
    with pytest.raises(UnfitError, match="^Fresh pairs have no order"):
        source.in_order(4)
    with pytest.raises(UnfitError, match="cannot be cut into parts"):
        source.subset(torch.arange(2))


def test_fresh_pairs_are_drawn_alike_for_every_device():
    source = FreshPairs([LAW], first=0, steps=1)
    assert source.to("cpu") is source
    assert source.content_sha256() == FreshPairs([LAW], first=9, steps=3).content_sha256()
