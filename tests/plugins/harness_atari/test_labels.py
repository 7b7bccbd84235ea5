"""What a protocol keeps of a collection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import UnfitError
from harness_atari.collection import Collection, Plan
from harness_atari.games import Game, game
from harness_atari.labels import entropy_nats, judged, pretraining

PLAN = Plan(game="pong", part="probe", frames=8, seed=0)
GAME = Game(name="snake", rom_sha256="", in_paper=False, variables={"head_x": 3, "tail_y": [5, 7]})
BOTH = pytest.mark.parametrize("protocol", ["aari", "aari-legacy"])


def made(lengths, seed=0):
    """A collection with episodes of these lengths, all frames different and all RAM random."""
    rng, total = np.random.default_rng(seed), sum(lengths)
    starts = np.repeat(np.cumsum([0, *lengths[:-1]]), lengths)
    ram, step_ram = (rng.integers(0, 256, (total, 128), dtype=np.uint8) for _ in range(2))
    return Collection(Path(), PLAN, "", None, ram, step_ram, starts, np.arange(total, dtype=np.uint64) + 1000)


def episodes_of(collection, index):
    return np.unique(collection.episodes[index]).tolist()


# -------------------------------------------------------------------------------------------------------- episodes


@BOTH
def test_episodes_of_64_frames_are_dropped_and_of_65_kept(protocol):
    collection = made([64, 65] * 10 + [10])
    labels = judged(collection, GAME, protocol, 1)
    kept = np.concatenate([labels.train, labels.validation, labels.test])
    assert len(kept) == len(set(kept.tolist())) == 650
    assert set(episodes_of(collection, kept)) == set(range(64, 1290, 129))
    train, validation = pretraining(collection, GAME, protocol, 1, 0.2)
    assert set(train.tolist()) | set(validation.tolist()) == set(kept.tolist())


@BOTH
@pytest.mark.parametrize("count", [4, 5, 7, 10, 15, 30])
def test_episodes_are_divided_in_whole_numbers(protocol, count):
    collection = made([70] * count)
    labels = judged(collection, GAME, protocol, 1)
    ends = int(0.7 * count), int(0.8 * count)
    assert [len(part) // 70 for part in (labels.train, labels.validation, labels.test)] == [
        ends[0],
        ends[1] - ends[0],
        count - ends[1],
    ]
    for part in (labels.train, labels.validation, labels.test):
        assert np.array_equal(part, np.sort(part))
        assert len(part) == 70 * len(episodes_of(collection, part))


def test_the_legacy_parts_follow_each_other_in_the_order_of_collection():
    labels = judged(made([70] * 10), GAME, "aari-legacy", 1)
    assert np.array_equal(np.concatenate([labels.train, labels.validation, labels.test]), np.arange(700))
    train, validation = pretraining(made([70] * 10), GAME, "aari-legacy", 1, 0.2)
    assert np.array_equal(np.concatenate([train, validation]), np.arange(700))


def test_the_mended_protocol_shuffles_by_its_seed_alone():
    collection = made([70] * 20)
    first, again, other = (judged(collection, GAME, "aari", seed) for seed in (1, 1, 2))
    assert np.array_equal(first.test, again.test)
    assert episodes_of(collection, first.test) != episodes_of(collection, other.test)
    assert episodes_of(collection, first.test) != [k * 70 for k in range(16, 20)]
    _, watched = pretraining(collection, GAME, "aari", 1, 0.2)
    assert episodes_of(collection, watched) != episodes_of(collection, first.test)


@BOTH
def test_training_may_keep_nothing_for_the_stop_rule(protocol):
    train, validation = pretraining(made([70, 70]), GAME, protocol, 1, 0.0)
    assert (len(train), len(validation)) == (140, 0)
    train, validation = pretraining(made([70, 70]), GAME, protocol, 1, 0.2)
    assert (len(train), len(validation)) == (70, 70)


# ------------------------------------------------------------------------------------------------------ duplicates


@BOTH
def test_test_frames_that_were_seen_are_removed(protocol):
    collection = made([70] * 10)
    labels = judged(collection, GAME, protocol, 1)
    seen = collection.digests.copy()
    seen[labels.test[:3]] = seen[labels.train[0]]
    seen[labels.test[5]] = seen[labels.validation[-1]]
    seen[labels.test[7]] = seen[labels.test[8]]
    twice = Collection(**{**vars(collection), "digests": seen})
    again = judged(twice, GAME, protocol, 1)
    assert np.array_equal(again.train, labels.train)
    assert np.array_equal(again.validation, labels.validation)
    assert sorted(set(labels.test.tolist()) - set(again.test.tolist())) == sorted(labels.test[[0, 1, 2, 5]].tolist())


@pytest.mark.parametrize(("protocol", "left"), [("aari", 71), ("aari-legacy", 70)])
def test_a_test_episode_with_one_frame_left_is_dropped_by_the_legacy_protocol_alone(protocol, left):
    collection = made([70] * 10)
    labels = judged(collection, GAME, protocol, 1)
    seen = collection.digests.copy()
    seen[labels.test[1:70]] = seen[labels.train[0]]
    assert len(judged(Collection(**{**vars(collection), "digests": seen}), GAME, protocol, 1).test) == left


# ------------------------------------------------------------------------------------------------------- variables


def test_variables_are_read_from_the_ram_that_the_protocol_says():
    collection = made([70] * 10)
    for protocol, ram in (("aari", collection.ram), ("aari-legacy", collection.step_ram)):
        factors = judged(collection, GAME, protocol, 1).factors
        assert list(factors) == ["head_x", "tail_y_0", "tail_y_1"]
        assert all(values.dtype == np.int64 and len(values) == 700 for values in factors.values())
        assert np.array_equal(factors["tail_y_1"], ram[:, 7])


def test_a_variable_must_vary_in_the_training_part_or_for_the_legacy_protocol_anywhere():
    collection = made([70] * 10)
    test = judged(collection, GAME, "aari", 1).test
    for ram in (collection.ram, collection.step_ram):
        ram[:, 3] = 9
        ram[test, 3] = np.arange(len(test))
        ram[:, 5] = 9
        ram[:3, 5] = [1, 2, 3]
    mended, legacy = (judged(collection, GAME, protocol, 1) for protocol in ("aari", "aari-legacy"))
    assert list(mended.factors) == ["tail_y_1"]
    assert list(legacy.factors) == ["head_x", "tail_y_1"]
    assert mended.entropy["head_x"] == 0
    assert 0 < legacy.entropy["tail_y_0"] < 0.6 < legacy.entropy["head_x"]


def test_frames_of_dropped_episodes_do_not_count_towards_entropy():
    collection = made([70] * 10 + [60] * 10)
    for ram in (collection.ram, collection.step_ram):
        ram[:700, 3] = 9
    assert "head_x" not in judged(collection, GAME, "aari-legacy", 1).factors


@pytest.mark.parametrize("distinct", [1, 2, 7, 256])
def test_entropy_is_that_of_scipy(distinct):
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(0).integers(0, distinct, 500).astype(np.uint8)
    counts = np.unique(values, return_counts=True)[1]
    assert entropy_nats(values) == pytest.approx(stats.entropy(counts), abs=1e-12)


# ------------------------------------------------------------------------------------------------------- real games


@BOTH
def test_no_test_frame_of_a_real_game_was_seen(played, protocol):
    collection = played("breakout", 4_800)
    labels = judged(collection, game("breakout"), protocol, 1)
    frames = {part: {collection.frames[k].tobytes() for k in getattr(labels, part)} for part in ("train", "validation", "test")}
    assert not frames["test"] & (frames["train"] | frames["validation"])
    assert {"ball_x", "player_x"} <= set(labels.factors)


def test_the_legacy_protocol_is_that_of_the_paper_s_code(played):
    """Episode lists of (frame, labels), filtered and cut by plain loops."""
    collection, places = played("breakout", 4_800), game("breakout").places
    lists: dict[int, list[int]] = {}
    for row, episode in enumerate(collection.episodes.tolist()):
        lists.setdefault(episode, []).append(row)
    kept = [rows for rows in lists.values() if len(rows) > 64]
    shown = [row for rows in kept for row in rows]
    judged_variables = []
    for name, place in places.items():
        counts: dict[int, int] = {}
        for row in shown:
            value = int(collection.step_ram[row, place])
            counts[value] = counts.get(value, 0) + 1
        shares = np.array(list(counts.values())) / len(shown)
        if -(shares * np.log(shares)).sum() >= 0.6:
            judged_variables.append(name)
    cuts = int(0.7 * len(kept)), int(0.8 * len(kept))
    train, validation = ([row for rows in part for row in rows] for part in (kept[: cuts[0]], kept[cuts[0] : cuts[1]]))
    seen = {collection.frames[row].tobytes() for row in train + validation}
    fresh = [[row for row in rows if collection.frames[row].tobytes() not in seen] for rows in kept[cuts[1] :]]
    labels = judged(collection, game("breakout"), "aari-legacy", 1)
    assert labels.train.tolist() == train
    assert labels.validation.tolist() == validation
    assert labels.test.tolist() == [row for rows in fresh if len(rows) > 1 for row in rows]
    assert list(labels.factors) == judged_variables


# -------------------------------------------------------------------------------------------------------- mistakes


@BOTH
@pytest.mark.parametrize("lengths", [[70] * 3, [70] * 6, [64] * 30])
def test_too_few_episodes_to_divide_are_one_sentence(protocol, lengths):
    many = sum(length > 64 for length in lengths)
    said = f"Of {len(lengths)} episodes of snake {many} are longer than 64 frames, which cannot be divided 70/10/20 .* data.probe"
    with pytest.raises(UnfitError, match=said):
        judged(made(lengths), GAME, protocol, 1)


@BOTH
def test_too_few_episodes_to_train_on_are_one_sentence(protocol):
    with pytest.raises(UnfitError, match=r"Of 2 episodes of snake 1 are longer than 64 frames, too few .* 20% .* data\.valid"):
        pretraining(made([70, 10]), GAME, protocol, 1, 0.2)
    with pytest.raises(UnfitError, match=r"snake 0 are longer than 64 frames, too few to train on; ask for more frames"):
        pretraining(made([10]), GAME, protocol, 1, 0.0)


@BOTH
def test_where_nothing_varies_that_is_said(protocol):
    collection = made([70] * 10)
    collection.ram[:] = collection.step_ram[:] = 3
    with pytest.raises(UnfitError, match=r"No variable of snake varies by 0\.6 nats or more"):
        judged(collection, GAME, protocol, 1)


@BOTH
def test_where_every_test_frame_was_seen_that_is_said(protocol):
    collection = made([70] * 10)
    same = Collection(**{**vars(collection), "digests": np.zeros(700, dtype=np.uint64)})
    with pytest.raises(UnfitError, match="Every test frame of snake is byte for byte a training or validation frame"):
        judged(same, GAME, protocol, 1)
