"""The data set digits."""

from __future__ import annotations

import gzip
import hashlib
import importlib.resources
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from harness import CorruptDataError, DataContext, DataSet, Items, Options
from harness_images import digits
from harness_images.spec_data import DIGITS, DIGITS_RECIPE, HOLDOUT
from harness_images.splits import holdout

SIZES = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
"""Images of each digit, as counted in the data set's own description at the UCI repository (its test part)."""


@pytest.fixture(scope="module")
def data() -> DataSet:
    return digits.build(DataContext(files={}, cache=Path()), Options())


def rows_of_the_file() -> list[list[int]]:
    """The 64 pixels and the label of each image, read from scikit-learn's file without scikit-learn."""
    packed = (importlib.resources.files("sklearn.datasets.data") / "digits.csv.gz").read_bytes()
    return [[int(float(cell)) for cell in line.split(",")] for line in gzip.decompress(packed).decode().split()]


def test_the_pinned_digest_is_that_of_the_file() -> None:
    rows = rows_of_the_file()
    pixels = b"".join(bytes(row[:64]) for row in rows)
    labels = bytes(row[64] for row in rows)
    assert hashlib.sha256(pixels + labels).hexdigest() == DIGITS_RECIPE.settings["sha256"]


def test_images_and_labels_are_those_of_the_file(data: DataSet) -> None:
    rows = torch.tensor(rows_of_the_file())
    batch = next(data.inputs.in_order(2000))
    assert torch.equal(((batch.pixels + 1) * 8).reshape(-1, 64).long(), rows[:, :64])
    assert data.annotations.labels is not None
    assert data.annotations.labels.tolist() == rows[:, 64].tolist()


def test_the_data_set_is_what_its_spec_says(data: DataSet) -> None:
    description = data.inputs.description
    assert (description.kind, description.shape, description.samples) == (DIGITS.kind, DIGITS.shape, DIGITS.samples)
    assert data.annotations.labels is not None
    assert len(set(data.annotations.labels.tolist())) == DIGITS.classes == len(data.annotations.class_names)
    assert set(data.annotations.splits) == set(DIGITS.protocols)


def test_pixels_are_delivered_from_minus_one_to_one(data: DataSet) -> None:
    pixels = next(data.inputs.in_order(2000)).pixels
    assert data.inputs.description.value_range == (pixels.min().item(), pixels.max().item()) == (-1.0, 1.0)


def test_other_pixels_are_refused() -> None:
    with pytest.raises(CorruptDataError, match=r"constraints\.txt"):
        digits.check(np.zeros((1797, 8, 8), dtype=np.uint8), np.zeros(1797, dtype=np.int64))


def test_other_labels_are_refused() -> None:
    rows = np.array(rows_of_the_file())
    labels = rows[:, 64].copy()
    digits.check(rows[:, :64].astype(np.uint8), labels)
    labels[0] = 1 - labels[0]
    with pytest.raises(CorruptDataError):
        digits.check(rows[:, :64].astype(np.uint8), labels)


def test_the_parts_are_disjoint_and_complete(data: DataSet) -> None:
    split = data.annotations.splits["digits-holdout"]
    assert sorted([*split.train.tolist(), *split.test.tolist()]) == list(range(1797))
    assert (len(split.train), len(split.test)) == (1297, 500)


def test_every_class_is_held_out_in_proportion(data: DataSet) -> None:
    split = data.annotations.splits["digits-holdout"]
    assert data.annotations.labels is not None
    held_out = np.bincount(data.annotations.labels[split.test], minlength=10)
    assert all(abs(held - Fraction(size * 500, 1797)) < 1 for held, size in zip(held_out.tolist(), SIZES, strict=True))


def test_the_split_follows_its_rule(data: DataSet) -> None:
    """Written out: images in the drawn order, each held out while its class still has places."""
    labels = data.annotations.labels
    assert labels is not None
    shares = [Fraction(size * 500, 1797) for size in SIZES]
    places = [int(share) for share in shares]
    for digit in sorted(range(10), key=lambda digit: (places[digit] - shares[digit], digit))[: 500 - sum(places)]:
        places[digit] += 1
    seed = int(hashlib.sha256(b"digits-holdout/1").hexdigest()[:8], 16)
    test = []
    for image in np.random.RandomState(seed).permutation(1797).tolist():
        if places[labels[image]] > 0:
            places[labels[image]] -= 1
            test.append(image)
    assert data.annotations.splits["digits-holdout"].test.tolist() == sorted(test)


def test_the_split_does_not_depend_on_any_seed(data: DataSet) -> None:
    np.random.seed(1)
    torch.manual_seed(1)
    again = digits.build(DataContext(files={}, cache=Path()), Options())
    assert again.annotations.splits["digits-holdout"].test.tolist() == data.annotations.splits["digits-holdout"].test.tolist()


def test_the_split_is_another_one_under_another_protocol(data: DataSet) -> None:
    assert data.annotations.labels is not None
    other = holdout(data.annotations.labels, 500, "digits-holdout/2")
    assert other.test.tolist() != holdout(data.annotations.labels, 500, HOLDOUT.id).test.tolist()


def test_building_leaves_the_global_random_state_alone() -> None:
    before = np.random.get_state()[1].tolist()
    digits.build(DataContext(files={}, cache=Path()), Options())
    assert np.random.get_state()[1].tolist() == before


def test_training_sees_the_training_part_only(data: DataSet) -> None:
    epoch = data.pretrain.epoch(Items(), 64, torch.Generator().manual_seed(0))
    drawn = {number for position in range(len(epoch)) for number in epoch[position].index.tolist()}
    assert drawn <= set(data.annotations.splits["digits-holdout"].train.tolist())
    assert len(drawn) >= 1296
