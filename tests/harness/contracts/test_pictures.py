from __future__ import annotations

import numpy as np
import pytest
import torch

from harness import Description, RunView, Splits


@pytest.fixture
def view():
    return RunView(
        feature="y",
        features={}.__getitem__,
        description=Description(kind="vectors", shape=(3,), samples=50),
        splits=Splits(train=np.arange(20), test=np.arange(20, 50)),
        seed=7,
        device=torch.device("cpu"),
        class_names=("cat", "dog"),
    )


def test_samples_come_from_the_test_part(view):
    assert set(view.sample(12)) <= set(range(20, 50))


def test_a_sample_holds_nothing_twice(view):
    assert len(set(view.sample(12))) == 12


def test_no_more_samples_than_there_are(view):
    assert sorted(view.sample(1000)) == list(range(20, 50))


def test_a_smaller_sample_begins_a_larger_one(view):
    assert view.sample(20)[:5].tolist() == view.sample(5).tolist()


def test_a_class_is_named_in_words(view):
    assert view.class_name(1) == "dog"


@pytest.mark.parametrize("label", [2, -1])
def test_a_class_without_a_name_is_named_by_its_number(view, label):
    assert view.class_name(label) == str(label)
