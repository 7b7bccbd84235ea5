"""The samples that are judged."""

from __future__ import annotations

import numpy as np
import pytest

from harness import EvaluationError
from harness_geometry import samples
from harness_geometry.samples import drawn_rows, judged_samples


@pytest.fixture
def judged(make_task):
    """The judged samples of a training part with these features."""

    def read(x, at_most=10**6, protocol_seed=0, seed=0):
        task = make_task(x, x, protocol_seed=protocol_seed, seed=seed)
        return judged_samples(task, task.train, "training", "rankme", at_most=at_most)

    return read


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(size=(20, 3, 2)).astype(np.float32)


def test_features_with_more_axes_are_flattened(judged, noise):
    found = judged(noise)
    assert (len(found), found.dims) == (20, 6)
    assert np.array_equal(found.x(), noise.reshape(20, 6))
    assert np.array_equal(found.x(slice(3, 5), slice(1, 4)), noise.reshape(20, 6)[3:5, 1:4])


def test_what_is_read_is_a_copy(judged, noise):
    assert not np.shares_memory(judged(noise).x(), noise)


def test_blocks_cover_everything_once(judged, noise, monkeypatch):
    monkeypatch.setattr(samples, "BLOCK", 13)
    found = judged(noise)
    assert np.array_equal(np.concatenate([found.x(block) for block in found.blocks()]), found.x())
    by_columns = [found.x(columns=block) for block in found.column_blocks()]
    assert np.array_equal(np.concatenate(by_columns, axis=1), found.x())
    assert all(found.x(block).size <= 13 for block in found.blocks())


def test_all_samples_are_judged_where_there_are_few(judged, noise):
    assert np.array_equal(judged(noise, at_most=20).rows, np.arange(20))


def test_of_more_samples_that_many_are_drawn_in_ascending_order(judged, noise):
    found = judged(noise, at_most=7)
    assert len(set(found.rows.tolist())) == 7
    assert (np.diff(found.rows) > 0).all()
    assert np.array_equal(found.x(), noise.reshape(20, 6)[found.rows])


def test_the_same_samples_are_drawn_for_every_run_and_others_for_another_protocol(judged, noise):
    rows = judged(noise, at_most=7).rows
    assert np.array_equal(judged(noise, at_most=7, seed=1).rows, rows)
    assert not np.array_equal(judged(noise, at_most=7, protocol_seed=1).rows, rows)


def test_every_sample_is_as_likely_to_be_drawn():
    counts = np.bincount(np.concatenate([drawn_rows(10, 4, seed) for seed in range(2000)]))
    assert counts.sum() == 8000
    assert abs(counts - 800).max() < 110  # five standard deviations of 22


def test_places_in_the_data_set_are_those_of_the_part(make_task, noise):
    task = make_task(noise, noise)
    found = judged_samples(task, task.test, "test", "rankme", at_most=5)
    assert np.array_equal(found.index, found.rows + 20)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_samples_are_an_error(judged, n):
    with pytest.raises(EvaluationError, match=f"^rankme compares samples, and the training part has {n}; it needs two or more.$"):
        judged(np.zeros((n, 3), np.float32))
