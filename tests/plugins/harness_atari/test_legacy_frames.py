"""Frames drawn as the code of the paper draws them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness import (
    FramePairs,
    FrameSequences,
    FrameSource,
    Images,
    Items,
    Sequences,
    TimePairs,
    UnfitError,
    WholeGraph,
)
from harness_atari.legacy_frames import LegacyFrames

FIRST, LENGTHS = 100, (3, 5, 20, 12)


@pytest.fixture
def frames():
    """Frames whose only pixel is their number, numbered from 100; the third episode is not held."""
    total = sum(LENGTHS)
    pixels = np.arange(FIRST, FIRST + total, dtype=np.uint8).reshape(-1, 1, 1, 1)
    episodes = np.repeat([7, 3, 9, 1], LENGTHS)
    source = FrameSource(pixels, episodes, first=FIRST)
    return source.subset(source.index[torch.from_numpy(episodes != 9)])


@pytest.fixture
def legacy(frames):
    return LegacyFrames(frames)


def numbers(pixels):
    return (pixels * 255).round().long().flatten()


def draws(source, sampling, batch_size=2, seed=0):
    return list(source.epoch(sampling, batch_size, torch.Generator().manual_seed(seed)))


EPISODE = {number: start for start, length in ((100, 3), (103, 5), (128, 12)) for number in range(start, start + length)}
LENGTH = {100: 3, 103: 5, 128: 12}


def many(source, sampling, epochs=200):
    generator = torch.Generator().manual_seed(0)
    return [batch for _ in range(epochs) for batch in source.epoch(sampling, 20, generator)]


def test_it_is_a_source_of_the_frames_it_was_given(frames, legacy):
    assert legacy.description == frames.description
    assert legacy.content_sha256() == frames.content_sha256()
    assert torch.equal(legacy.index, frames.index)
    assert torch.equal(legacy.episodes, frames.episodes)
    assert len(legacy) == 20
    assert numbers(torch.cat([batch.pixels for batch in legacy.in_order(7)])).tolist() == sorted(EPISODE)
    assert torch.equal(legacy.to("cpu").index, legacy.index)


@pytest.mark.parametrize("sampling", [Items(), TimePairs(), TimePairs(other=True), Sequences(length=2)])
def test_an_epoch_has_full_batches_and_depends_on_the_generator_alone(legacy, sampling):
    first, again, other = (draws(legacy, sampling, 3, seed) for seed in (0, 0, 1))
    assert {len(batch) for batch in first} == {3}
    assert len(first) == (6 if not isinstance(sampling, Sequences) else 2)
    assert all(torch.equal(a.index, b.index) for a, b in zip(first, again, strict=True))
    assert any(not torch.equal(a.index, b.index) for a, b in zip(first, other, strict=True))


def test_every_episode_is_drawn_equally_often_and_every_frame_in_it(legacy):
    drawn = torch.cat([batch.index for batch in many(legacy, Items())])
    assert len(drawn) == 200 * 20
    count = torch.bincount(drawn, minlength=140)
    for number, start in EPISODE.items():
        expected = len(drawn) / 3 / LENGTH[start]
        assert count[number] == pytest.approx(expected, abs=5 * expected**0.5)
    assert count.sum() == sum(count[number] for number in EPISODE)


def test_single_frames_are_those_of_their_numbers(legacy):
    for batch in draws(legacy, Items()):
        assert isinstance(batch, Images)
        assert torch.equal(numbers(batch.pixels), batch.index)


def test_the_frame_before_the_first_is_the_last_of_the_episode(legacy):
    pairs = set()
    for batch in many(legacy, TimePairs()):
        assert isinstance(batch, FramePairs)
        assert batch.other is None
        first, second = numbers(batch.first), numbers(batch.second)
        assert torch.equal(first, batch.index)
        pairs |= set(zip(first.tolist(), second.tolist(), strict=True))
    expected = set()
    for number, start in EPISODE.items():
        expected.add((number - 1 if number > start else start + LENGTH[start] - 1, number))
    assert pairs == expected


@pytest.mark.parametrize("offset", [0, 2, 4])
def test_other_offsets_go_round_the_episode_too(legacy, offset):
    for batch in draws(legacy, TimePairs(offset=offset)):
        for first, second in zip(numbers(batch.first).tolist(), numbers(batch.second).tolist(), strict=True):
            start = EPISODE[first]
            assert second == start + (first - start + offset) % LENGTH[start]


def test_the_other_frame_is_any_of_the_same_episode(legacy):
    found = set()
    for batch in many(legacy, TimePairs(other=True)):
        second, other = numbers(batch.second).tolist(), numbers(batch.other).tolist()
        assert all(EPISODE[a] == EPISODE[b] for a, b in zip(second, other, strict=True))
        found |= set(zip(second, other, strict=True))
    assert len(found) == 3 * 3 + 5 * 5 + 12 * 12


def test_runs_lie_in_long_enough_episodes_at_any_place(legacy):
    starts = []
    batches = [batch for seed in range(100) for batch in draws(legacy, Sequences(length=5), 2, seed)]
    assert len(batches) == 100 * (2 * 5 // 2)
    for batch in batches:
        assert isinstance(batch, FrameSequences)
        assert batch.frames.shape == (2, 5, 1, 1, 1)
        assert torch.equal(numbers(batch.frames).reshape(2, 5), batch.index[:, None] + torch.arange(5))
        starts += batch.index.tolist()
    assert set(starts) == {103, *range(128, 136)}
    assert starts.count(103) == pytest.approx(500, abs=5 * 250**0.5)


def test_a_subset_draws_from_its_own_episodes(legacy):
    part = legacy.subset(np.arange(103, 108))
    assert isinstance(part, LegacyFrames)
    assert {int(k) for seed in range(20) for batch in draws(part, Items(), 5, seed) for k in batch.index} == set(range(103, 108))


@pytest.mark.parametrize(
    ("sampling", "batch_size", "said"),
    [
        (Items(), 21, "20 draws of frames do not fill a batch of 21; ask for more frames or a smaller train.batch_size"),
        (Sequences(length=13), 2, "No episode is long enough to draw such runs"),
        (TimePairs(offset=-1), 2, "must not be negative"),
        (WholeGraph(), 2, "cannot be drawn as 'graph'"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(legacy, sampling, batch_size, said):
    with pytest.raises(UnfitError, match=said):
        draws(legacy, sampling, batch_size)


def test_there_is_no_batch_past_the_end(legacy):
    epoch = legacy.epoch(Items(), 8, torch.Generator())
    assert len(epoch) == 2
    for position in (-1, 2):
        with pytest.raises(IndexError):
            epoch[position]
