"""Data sets of games, and frames drawn as the paper's code draws them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness import (
    DataContext,
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
from harness_atari.frames import LegacyFrames, build_atari, build_atari_ram, prepare_atari
from harness_atari.games import game
from harness_atari.labels import judged, pretraining
from harness_atari.spec_data import AtariLabelOptions, AtariOptions, resolve_atari, resolve_atari_ram

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


# ------------------------------------------------------------------------------------------------ drawing as once


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


# ------------------------------------------------------------------------------------------------------ data sets

OPTIONS = AtariOptions(pretrain_frames=1_600, probe_frames=1_600, validation=0.2, seed=1)


@pytest.fixture(scope="module")
def context(_needs_emulator, tmp_path_factory):
    """Of pong: each console plays one long episode."""
    cache = tmp_path_factory.mktemp("atari")

    def of(protocol, name="pong", **details):
        return DataContext(files={}, cache=cache / name, settings=resolve_atari(name).recipe.settings, protocol=protocol, **details)

    return of


@pytest.mark.parametrize("protocol", ["aari", "aari-legacy"])
def test_inputs_are_judged_and_training_sees_others(context, protocol):
    data = build_atari(context(protocol), OPTIONS)
    training, probing = prepare_atari(context(""), OPTIONS)
    assert isinstance(data.inputs, FrameSource)
    assert data.inputs.description.shape == (1, 210, 160)
    assert len(data.inputs) == 1_600
    expected = judged(probing, game("pong"), protocol, 1)
    splits = data.annotations.splits[protocol]
    assert list(data.annotations.splits) == [protocol]
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(splits, part), getattr(expected, part))
    assert list(data.annotations.factors) == list(expected.factors)
    assert all(values.shape == (1_600,) for values in data.annotations.factors.values())
    assert torch.equal(data.labelled.index, torch.from_numpy(splits.train))

    seen, watched = pretraining(training, game("pong"), protocol, 1, 0.2)
    assert torch.equal(data.pretrain.index, torch.from_numpy(seen) + 1_600)
    assert torch.equal(data.validation.index, torch.from_numpy(watched) + 1_600)
    assert {type(data.pretrain), type(data.validation)} == {LegacyFrames if protocol == "aari-legacy" else FrameSource}
    batch = next(iter(data.pretrain.epoch(Items(), 4, torch.Generator().manual_seed(0))))
    assert torch.equal((batch.pixels * 255).round().byte(), torch.from_numpy(training.frames[batch.index - 1_600]))
    (batch, *_) = data.inputs.in_order(3)
    assert torch.equal((batch.pixels * 255).round().byte(), torch.from_numpy(np.array(probing.frames[:3])))


def test_without_validation_all_kept_episodes_are_trained_on(context):
    data = build_atari(context("aari"), AtariOptions(pretrain_frames=1_600, probe_frames=1_600, validation=0.0, seed=1))
    assert data.validation is None
    assert len(data.pretrain) == 1_600


def test_frames_can_be_smaller(context):
    told = []
    small = AtariOptions(pretrain_frames=1_600, probe_frames=1_600, seed=1, size=84)
    data = build_atari(context("aari", progress=lambda *progress: told.append(progress)), small)
    assert data.inputs.description.shape == data.pretrain.description.shape == (1, 84, 84)
    assert resolve_atari("pong").shape_under(small) == (1, 84, 84)
    assert told[-1] == (1_600, 1_600, "frames")


def test_labels_alone_are_those_of_the_frames(context):
    labels = AtariLabelOptions(probe_frames=1_600, seed=1)
    alone = build_atari_ram(context("aari"), labels)
    whole = build_atari(context("aari"), OPTIONS)
    assert alone.annotations.factors.keys() == whole.annotations.factors.keys()
    assert all(np.array_equal(values, whole.annotations.factors[name]) for name, values in alone.annotations.factors.items())
    for part, index in whole.annotations.splits["aari"].parts().items():
        assert np.array_equal(index, alone.annotations.splits["aari"].parts()[part])
    assert alone.inputs.description.shape == resolve_atari_ram("pong").shape == (1,)
    assert len(alone.inputs) == 1_600
    assert torch.equal(alone.pretrain.index, torch.from_numpy(alone.annotations.splits["aari"].train))
