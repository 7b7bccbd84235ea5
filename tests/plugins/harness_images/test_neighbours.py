"""The picture of nearest neighbours."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from matplotlib.colors import to_hex

from harness import Splits
from harness_images import spec_pictures
from harness_images.neighbours import WRONG, nearest, nearest_neighbours

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, size=(40, 3, 4, 4), dtype=np.uint8)
FEATURES = RANDOM.normal(size=(40, 5)).astype(np.float32)
LABELS = np.arange(40) % 4


def cosines(values):
    flat = values.reshape(len(values), -1).astype(float)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    return flat @ flat.T


@pytest.mark.parametrize("size", [1, 7, 40])
def test_the_nearest_are_those_of_largest_cosine_however_they_are_batched(size):
    queries = np.array([3, 21])
    found = nearest(FEATURES[queries], (FEATURES[start : start + size] for start in range(0, 40, size)), queries, 6)
    for query, row in zip(queries, found, strict=True):
        others = np.argsort(-cosines(FEATURES)[query], kind="stable")
        assert row.tolist() == [place for place in others if place != query][:6]


def test_a_query_is_not_its_own_neighbour_even_if_a_twin_is_there():
    twins = np.repeat(FEATURES[:3], 2, axis=0)
    found = nearest(twins[[0]], [twins], np.array([0]), 1)
    assert found.tolist() == [[1]]


def test_features_of_any_shape_are_compared_and_zeros_are_far_from_all():
    maps = np.zeros((3, 2, 2, 2), np.float32)
    maps[0], maps[2] = 1.0, 2.0
    assert nearest(maps[[0]], [maps], np.array([0]), 2).tolist() == [[2, 1]]


def test_each_line_shows_the_query_its_neighbours_in_the_feature_and_in_pixels(run_view, shown_images, number_of):
    view = run_view()
    (picture,) = nearest_neighbours(view)
    lines = np.array([number_of(image) for image in shown_images(picture)]).reshape(10, 17)
    assert lines[:, 0].tolist() == sorted(view.sample(10))
    tests = view.splits.test
    scaled = PIXELS / 127.5 - 1
    for line in lines:
        for values, shown in ((FEATURES, line[1:9]), (scaled, line[9:])):
            near = tests[np.argsort(-cosines(values)[line[0], tests])]
            assert shown.tolist() == [number for number in near if number != line[0]][:8]


def test_classes_stand_above_the_images_and_others_than_the_querys_are_red(run_view, shown_images, number_of):
    view = run_view(labels=LABELS, class_names=("ant", "bee", "cat", "dog"))
    (picture,) = nearest_neighbours(view)
    axes = picture.figure.axes[0]
    numbers = np.array([number_of(image) for image in shown_images(picture)]).reshape(10, 17)
    titles = [text for text in axes.texts if text.get_text() in view.class_names]
    assert [text.get_text() for text in titles] == [view.class_names[LABELS[number]] for number in numbers.ravel()]
    red = [to_hex(text.get_color()) == WRONG for text in titles]
    assert red == (LABELS[numbers] != LABELS[numbers[:, :1]]).ravel().tolist()
    assert len(axes.patches) == sum(red)


def test_an_unknown_class_is_neither_named_nor_wrong(run_view):
    (picture,) = nearest_neighbours(run_view(labels=np.full(40, -1)))
    assert {text.get_text() for text in picture.figure.axes[0].texts} == {"query", "nearest in y", "nearest in pixels", ""}
    assert len(picture.figure.axes[0].patches) == 0


@pytest.mark.parametrize("labels", [None, np.eye(40, 3, dtype=np.int64)])
def test_without_one_class_an_image_nothing_is_red(run_view, labels):
    (picture,) = nearest_neighbours(run_view(labels=labels))
    assert "Red" not in picture.caption


def test_a_small_test_part_has_fewer_neighbours(run_view, shown_images):
    (picture,) = nearest_neighbours(run_view(splits=Splits(train=np.arange(36), test=np.arange(36, 40))))
    assert len(shown_images(picture)) == 4 * 7


def test_one_test_image_has_no_neighbours(run_view):
    assert nearest_neighbours(run_view(splits=Splits(train=np.arange(39), test=np.array([39])))) == []


def test_grey_images_are_shown_as_they_are(run_view, shown_images):
    (picture,) = nearest_neighbours(run_view(PIXELS[:, :1]))
    assert {image.shape for image in shown_images(picture)} == {(4, 4)}


def test_images_of_other_channels_are_shown_by_their_mean(run_view, shown_images):
    (picture,) = nearest_neighbours(run_view(PIXELS[:, :2]))
    shown = shown_images(picture)[0]
    means = PIXELS[:, :2].mean(axis=1) / 255
    assert np.abs(means - shown).max(axis=(1, 2)).min() < 1e-6


def test_images_are_magnified_without_smoothing(run_view):
    (picture,) = nearest_neighbours(run_view())
    assert {image.get_interpolation() for image in picture.figure.axes[0].images} == {"none"}


@pytest.mark.parametrize("spec", spec_pictures.pictures(), ids=lambda spec: spec.name)
def test_every_build_string_leads_to_a_function(spec):
    module, _, attribute = spec.build.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))
