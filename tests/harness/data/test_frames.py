"""Frames of many episodes held in memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.contracts.batches import FramePairs, Images
from harness.contracts.sources import Description, Items, Sequences, TimePairs
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


def test_sequences_are_refused() -> None:
    with pytest.raises(UnfitError, match="Frames cannot be drawn as 'sequences'"):
        source_of([5]).epoch(Sequences(length=3), 2, generator())


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
