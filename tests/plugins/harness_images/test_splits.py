"""Training and test parts."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np
import pytest
import torch

from harness import Items
from harness_images.splits import files_sha256, holdout, inductive, train_then_test

LABELS = np.repeat([0, 1, 2, 4], [50, 30, 7, 3])


def test_the_drawn_parts_are_disjoint_and_complete():
    splits = holdout(LABELS, 18, "seed")
    assert sorted([*splits.train, *splits.test]) == list(range(90))
    assert len(splits.test) == 18


def test_every_class_is_held_out_in_proportion():
    held_out = np.bincount(LABELS[holdout(LABELS, 18, "seed").test], minlength=5)
    assert all(
        abs(held - Fraction(int(size) * 18, 90)) < 1 for held, size in zip(held_out.tolist(), np.bincount(LABELS), strict=True)
    )


def test_the_draw_follows_its_rule():
    """Written out: samples in the drawn order, each held out while its class still has places."""
    labels = LABELS.tolist()
    shares = {label: Fraction(labels.count(label) * 18, 90) for label in sorted(set(labels))}
    places = {label: int(share) for label, share in shares.items()}
    most_lost = sorted(shares, key=lambda label: (places[label] - shares[label], label))
    for label in most_lost[: 18 - sum(places.values())]:
        places[label] += 1
    test = []
    for sample in np.random.RandomState(int(hashlib.sha256(b"seed").hexdigest()[:8], 16)).permutation(90).tolist():
        if places[labels[sample]] > 0:
            places[labels[sample]] -= 1
            test.append(sample)
    assert holdout(LABELS, 18, "seed").test.tolist() == sorted(test)


def test_the_draw_depends_on_its_seed_alone():
    np.random.seed(1)
    assert holdout(LABELS, 18, "seed").test.tolist() == holdout(LABELS, 18, "seed").test.tolist()
    assert holdout(LABELS, 18, "seed").test.tolist() != holdout(LABELS, 18, "another").test.tolist()


def test_the_first_samples_are_for_training():
    splits = train_then_test(3, 5)
    assert (splits.train.tolist(), splits.test.tolist(), splits.validation) == ([0, 1, 2], [3, 4], None)


@pytest.fixture
def data():
    pixels = np.arange(5 * 12, dtype=np.uint8).reshape(5, 3, 2, 2)
    return inductive(pixels, np.array([0, 1, 0, 1, 0]), {"p": train_then_test(3, 5)}, class_names=("a", "b"))


def test_training_sees_the_training_part_only(data):
    epoch = data.pretrain.epoch(Items(), 2, torch.Generator().manual_seed(0))
    assert {number for batch in epoch for number in batch.index.tolist()} <= {0, 1, 2}


def test_all_images_are_judged(data):
    assert next(data.inputs.in_order(10)).index.tolist() == [0, 1, 2, 3, 4]


def test_pixels_0_to_255_become_minus_one_to_one():
    pixels = np.array([0, 255], dtype=np.uint8).reshape(2, 1, 1, 1)
    data = inductive(pixels, None, {"p": train_then_test(1, 2)})
    assert next(data.inputs.in_order(2)).pixels.flatten().tolist() == [-1.0, 1.0]


def test_the_digest_of_files_depends_on_paths_and_contents_and_not_on_where_they_lie(tmp_path):
    def digest(folder, files):
        (tmp_path / folder).mkdir()
        for path, content in files.items():
            (tmp_path / folder / path).write_bytes(content)
        return files_sha256({path: tmp_path / folder / path for path in files})

    first = digest("1", {"a": b"x", "b": b"y"})
    assert first == digest("2", {"b": b"y", "a": b"x"})
    assert first != digest("3", {"a": b"y", "b": b"x"})
    assert first != digest("4", {"a": b"x", "c": b"y"})
