"""Pairs that are drawn anew whenever they are asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness import Items, PairSource, UnfitError
from harness_information import drawing, laws
from harness_information.drawing import FreshEpoch, FreshPairs
from harness_information.laws import RecipeNoise

LAW = laws.correlated(2, 0.5)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


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
