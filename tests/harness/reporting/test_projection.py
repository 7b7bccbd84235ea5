from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from harness import Description, RunView, Splits
from harness.reporting import projection as module
from harness.reporting.projection import UNKNOWN, project, projection


def view_of(values, labels=None, class_names=()):
    n = len(values)
    return RunView(
        feature="y",
        features=lambda name: values,
        description=Description(kind="vectors", shape=(3,), samples=n),
        splits=Splits(train=np.arange(n // 2), test=np.arange(n // 2, n)),
        seed=1,
        device=torch.device("cpu"),
        labels=labels,
        class_names=class_names,
    )


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def dots(picture):
    return {line.get_label(): line for line in picture.figure.axes[0].lines}


# ------------------------------------------------------------------------------------------------------ project


def test_few_samples_are_projected_on_their_two_principal_components():
    values = normal(20, 6)
    centred = values - values.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    places, how = project(values)
    assert how == "PCA"
    assert np.abs(places) == pytest.approx(np.abs(u[:, :2] * s[:2]), abs=1e-4)


def test_tsne_keeps_groups_that_are_far_apart_together():
    groups = np.arange(60) % 3
    places, how = project(normal(60, 80) + 100 * np.eye(3, 80, dtype=np.float32)[groups])
    assert how == "t-SNE"
    distances = np.linalg.norm(places[:, None] - places, axis=-1) + 1e9 * np.eye(60)
    assert (groups[distances.argmin(axis=1)] == groups).all()


def test_the_same_values_have_the_same_places():
    values = normal(40, 60)
    assert np.array_equal(project(values)[0], project(values)[0])


# --------------------------------------------------------------------------------------------------- the picture


def test_classes_have_their_names_and_colours_of_their_own():
    (picture,) = projection(view_of(normal(40, 4), np.arange(40) % 2, ("cat", "dog")))
    lines = dots(picture)
    assert set(lines) == {"cat", "dog"}
    assert lines["cat"].get_color() != lines["dog"].get_color()


def test_every_test_sample_is_a_dot():
    (picture,) = projection(view_of(normal(40, 4), np.arange(40) % 2))
    assert sum(len(line.get_xdata()) for line in dots(picture).values()) == 20


def test_samples_of_unknown_class_are_grey():
    (picture,) = projection(view_of(normal(40, 4), np.where(np.arange(40) % 2, -1, 0)))
    assert to_hex(dots(picture)["unknown"].get_color()) == UNKNOWN
    assert "grey where it is unknown" in picture.caption


@pytest.mark.parametrize("labels", [None, np.eye(40, 3, dtype=np.int64)])
def test_without_one_class_a_sample_nothing_is_coloured(labels):
    (picture,) = projection(view_of(normal(40, 4), labels))
    assert len(picture.figure.axes[0].lines) == 1
    assert "class" not in picture.caption


def test_many_classes_are_coloured_without_a_legend():
    (picture,) = projection(view_of(normal(120, 4), np.arange(120) % 60))
    assert picture.figure.legends == []
    assert len({to_hex(line.get_color()) for line in picture.figure.axes[0].lines}) == 60


def test_a_large_test_part_is_drawn_by_lot(monkeypatch):
    monkeypatch.setattr(module, "MOST_SAMPLES", 10)
    (picture,) = projection(view_of(normal(80, 4)))
    assert len(picture.figure.axes[0].lines[0].get_xdata()) == 10
    assert "10 of the 40 test samples" in picture.caption


def test_of_a_large_feature_only_the_drawn_rows_are_read(monkeypatch):
    monkeypatch.setattr(module, "MOST_SAMPLES", 10)
    read = []

    class Mapped:
        def __getitem__(self, rows):
            read.extend(rows)
            return normal(len(rows), 2, 3)

        def __len__(self):
            return 80

    projection(view_of(Mapped()))
    assert len(read) == 10


@pytest.mark.parametrize("values", [normal(40, 1), np.ones((40, 5), np.float32), normal(2, 5)])
def test_what_has_no_two_dimensions_is_not_drawn(values):
    assert projection(view_of(values)) == []
