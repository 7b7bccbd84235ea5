"""Frames of many episodes held in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.contracts.batches import FramePairs, FrameSequences, Images
from harness.contracts.sources import Description, Items, Sequences, TimePairs, WholeGraph
from harness.data.frames import FrameSource
from harness.errors import UnfitError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def source_of(lengths: list[int]) -> FrameSource:
    """Episodes of these lengths; the only pixel of frame t is t itself."""
    episodes = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    return FrameSource(torch.arange(float(len(episodes))).reshape(-1, 1, 1, 1), episodes)


def pairs_of(source: FrameSource, offset: int, batch_size: int = 2) -> list[tuple[int, int]]:
    """Numbers of the drawn pairs, sorted; their pixels are their numbers."""
    epoch = source.epoch(TimePairs(offset=offset), batch_size, generator())
    drawn = []
    for batch in epoch:
        assert isinstance(batch, FramePairs)
        assert batch.first.flatten().tolist() == batch.index.tolist()
        drawn += list(zip(batch.first.flatten().int().tolist(), batch.second.flatten().int().tolist(), strict=True))
    return sorted(drawn)


def all_pairs(lengths: list[int], offset: int, held: set[int] | None = None) -> list[tuple[int, int]]:
    """By trying every pair of frames."""
    where = [(episode, t) for episode, length in enumerate(lengths) for t in range(length)]
    return [
        (i, j)
        for i, (episode, t) in enumerate(where)
        for j, (other, later) in enumerate(where)
        if episode == other and later - t == offset and (held is None or {i, j} <= held)
    ]


@pytest.mark.parametrize("lengths", [[5], [3, 6], [1, 6, 1, 2, 8], [2, 2, 2, 5], [1, 1, 7]])
@pytest.mark.parametrize("offset", [0, 1, 2, 4])
def test_pairs_are_all_those_inside_an_episode(lengths: list[int], offset: int) -> None:
    expected = all_pairs(lengths, offset)
    assert pairs_of(source_of(lengths), offset, batch_size=len(expected)) == expected


def test_pairs_never_cross_the_end_of_an_episode_whatever_the_lengths() -> None:
    stream = generator(7)
    for _ in range(20):
        lengths = torch.randint(1, 9, (6,), generator=stream).tolist()
        lengths.append(10)
        assert pairs_of(source_of(lengths), 3, batch_size=1000) == all_pairs(lengths, 3)


def test_both_frames_of_a_pair_are_in_the_subset() -> None:
    held = [0, 1, 2, 4, 6, 7, 9, 10]
    subset = source_of([6, 5]).subset(torch.tensor(held))
    assert pairs_of(subset, 1, batch_size=100) == all_pairs([6, 5], 1, set(held))


def test_episode_numbers_need_not_begin_at_zero_or_ascend() -> None:
    frames = torch.arange(5.0).reshape(-1, 1, 1, 1)
    source = FrameSource(frames, torch.tensor([9, 9, -3, -3, -3]))
    assert pairs_of(source, 1, batch_size=10) == [(0, 1), (2, 3), (3, 4)]


def test_an_offset_that_no_episode_has_is_refused() -> None:
    with pytest.raises(UnfitError, match="No episode is longer than 5 frames"):
        source_of([5, 4]).epoch(TimePairs(offset=5), 2, generator())


def test_an_offset_longer_than_everything_is_refused() -> None:
    with pytest.raises(UnfitError, match="No episode"):
        source_of([5, 4]).epoch(TimePairs(offset=50), 2, generator())


def test_a_negative_offset_is_refused() -> None:
    with pytest.raises(UnfitError, match="negative"):
        source_of([5]).epoch(TimePairs(offset=-1), 2, generator())


def test_the_same_generator_state_gives_the_same_pairs() -> None:
    first, second = (source_of([20, 20]).epoch(TimePairs(), 4, generator(3)) for _ in range(2))
    assert all(torch.equal(a.index, b.index) for a, b in zip(first, second, strict=True))


def test_pairs_are_not_drawn_in_the_order_of_time() -> None:
    epoch = source_of([100]).epoch(TimePairs(), 99, generator())
    assert not torch.equal(epoch[0].index, torch.arange(99))


def test_items_are_single_frames() -> None:
    batches = list(source_of([3, 3]).epoch(Items(), 2, generator()))
    assert all(isinstance(batch, Images) for batch in batches)
    assert sorted(torch.cat([batch.index for batch in batches]).tolist()) == list(range(6))


def test_in_order_goes_through_the_frames_in_time() -> None:
    assert torch.cat([batch.pixels.flatten() for batch in source_of([3, 4]).in_order(3)]).tolist() == list(range(7))


def runs_of(source: FrameSource, length: int, stride: int = 1) -> list[list[int]]:
    """Numbers of the drawn runs, sorted; their pixels are their numbers."""
    drawn = []
    for batch in source.epoch(Sequences(length=length, stride=stride), 100, generator()):
        assert isinstance(batch, FrameSequences)
        assert batch.frames.shape == (len(batch), length, 1, 1, 1)
        assert batch.frames[:, 0].flatten().tolist() == batch.index.tolist()
        drawn += batch.frames.flatten(1).int().tolist()
    return sorted(drawn)


def test_runs_are_consecutive_frames_of_one_episode() -> None:
    assert runs_of(source_of([4, 2, 3]), 3) == [[0, 1, 2], [1, 2, 3], [6, 7, 8]]


def test_runs_begin_every_stride_steps_from_the_beginning_of_the_episode() -> None:
    assert runs_of(source_of([1, 7, 5]), 2, stride=3) == [[1, 2], [4, 5], [8, 9], [11, 12]]


def test_all_frames_of_a_run_are_in_the_subset() -> None:
    assert runs_of(source_of([8]).subset(torch.tensor([0, 1, 2, 4, 5, 6, 7])), 3) == [[0, 1, 2], [4, 5, 6], [5, 6, 7]]


def test_a_run_longer_than_every_episode_is_refused() -> None:
    with pytest.raises(UnfitError, match="No episode has 6 frames in a row"):
        source_of([5, 4]).epoch(Sequences(length=6), 2, generator())


@pytest.mark.parametrize(("length", "stride"), [(0, 1), (2, 0)])
def test_runs_of_nothing_are_refused(length: int, stride: int) -> None:
    with pytest.raises(UnfitError, match="both count from 1"):
        source_of([5]).epoch(Sequences(length=length, stride=stride), 2, generator())


def test_a_sampling_of_something_else_is_refused() -> None:
    with pytest.raises(UnfitError, match="Frames cannot be drawn as 'graph'"):
        source_of([5]).epoch(WholeGraph(), 2, generator())


def test_the_other_frame_is_any_of_the_same_episode() -> None:
    source = source_of([3, 5, 4]).subset(torch.tensor([0, 1, 3, 4, 6, 7, 8, 9, 11]))
    seen = set()
    stream = generator(1)
    for _ in range(40):
        for batch in source.epoch(TimePairs(offset=1, other=True), 4, stream):
            assert isinstance(batch, FramePairs)
            assert batch.other is not None
            seen |= set(zip(batch.first.flatten().int().tolist(), batch.other.flatten().int().tolist(), strict=True))
    held = {0: [0, 1], 1: [3, 4, 6, 7], 2: [8, 9, 11]}
    expected = {(first, other) for first, episode in [(0, 0), (3, 1), (6, 1), (8, 2)] for other in held[episode]}
    assert seen == expected


def test_pairs_have_no_other_frame_unless_they_ask_for_it() -> None:
    batch = source_of([3]).epoch(TimePairs(), 2, generator())[0]
    assert isinstance(batch, FramePairs)
    assert batch.other is None


def test_the_frames_of_pairs_and_runs_can_be_encoded_in_one_pass() -> None:
    pairs = source_of([6]).epoch(TimePairs(other=True), 3, generator())[0]
    runs = source_of([6]).epoch(Sequences(length=3), 2, generator())[0]
    assert isinstance(pairs, FramePairs)
    assert isinstance(runs, FrameSequences)
    assert pairs.other is not None
    images = pairs.images()
    assert torch.equal(images.pixels, torch.cat([pairs.first, pairs.second, pairs.other]))
    assert images.index.shape == (9,)
    assert runs.images().pixels.flatten().tolist() == runs.images().index.tolist() == runs.frames.flatten().tolist()


def test_frames_may_be_numbered_after_those_of_another_source() -> None:
    episodes = torch.tensor([0, 0, 0, 1, 1])
    source = FrameSource(torch.arange(100.0, 105.0).reshape(-1, 1, 1, 1), episodes, first=100)
    assert source.description.samples == 105
    assert pairs_of(source, 1, batch_size=10) == [(100, 101), (101, 102), (103, 104)]
    assert runs_of(source.subset(np.array([101, 102, 103, 104])), 2) == [[101, 102], [103, 104]]
    assert torch.cat([batch.pixels.flatten() for batch in source.to("cpu").in_order(2)]).tolist() == list(range(100, 105))
    with pytest.raises(UnfitError, match="does not have"):
        source.subset(torch.tensor([0]))


def test_frames_may_lie_in_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "frames.npy", np.arange(5, dtype=np.uint8).reshape(-1, 1, 1, 1))
    frames = np.load(tmp_path / "frames.npy", mmap_mode="r")
    source = FrameSource(frames, np.zeros(5, dtype=np.int64), stored_range=(0, 1), value_range=(0, 1))
    assert pairs_of(source, 2, batch_size=10) == [(0, 2), (1, 3), (2, 4)]
    assert (
        source.content_sha256()
        == FrameSource(
            torch.arange(5, dtype=torch.uint8).reshape(-1, 1, 1, 1),
            torch.zeros(5, dtype=torch.int64),
            stored_range=(0, 1),
            value_range=(0, 1),
        ).content_sha256()
    )


def test_bytes_are_kept_as_bytes_and_delivered_as_floats() -> None:
    frames = torch.full((4, 1, 2, 2), 255, dtype=torch.uint8)
    source = FrameSource(frames, torch.zeros(4, dtype=torch.int64))
    batch = source.epoch(TimePairs(), 3, generator())[0]
    assert isinstance(batch, FramePairs)
    assert batch.first.dtype == batch.second.dtype == torch.float32
    assert batch.second.unique().tolist() == [1.0]


def test_the_description_says_what_the_frames_are() -> None:
    source = FrameSource(torch.zeros(4, 1, 2, 3, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
    assert source.description == Description(kind="frames", shape=(1, 2, 3), samples=4, value_range=(0.0, 1.0))


def test_a_subset_keeps_the_numbers_of_its_frames() -> None:
    batch = next(source_of([3, 4]).subset(torch.tensor([5, 1])).in_order(10))
    assert batch.index.tolist() == batch.pixels.flatten().tolist() == [1, 5]


def test_moving_keeps_episodes_and_subset() -> None:
    subset = source_of([3, 4]).subset(torch.tensor([1, 2, 3, 4]))
    assert pairs_of(subset.to("cpu"), 1, batch_size=10) == [(1, 2), (3, 4)]


def test_the_digest_changes_with_the_episodes() -> None:
    assert source_of([3, 4]).content_sha256() != source_of([4, 3]).content_sha256()


def test_an_episode_in_two_pieces_is_refused() -> None:
    with pytest.raises(UnfitError, match="side by side"):
        FrameSource(torch.zeros(3, 1, 1, 1), torch.tensor([0, 1, 0]))


@pytest.mark.parametrize("episodes", [torch.zeros(2, dtype=torch.int64), torch.zeros(3), torch.zeros(3, 1, dtype=torch.int64)])
def test_one_whole_episode_number_a_frame_is_required(episodes: Tensor) -> None:
    with pytest.raises(UnfitError, match="one a frame"):
        FrameSource(torch.zeros(3, 1, 1, 1), episodes)


def test_what_is_not_frames_is_refused() -> None:
    with pytest.raises(UnfitError, match=r"frames \[T, C, H, W\]"):
        FrameSource(torch.zeros(3, 1, 1), torch.zeros(3, dtype=torch.int64))
