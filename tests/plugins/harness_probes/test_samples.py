"""Labelled samples, scores, and choosing on the validation part."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from harness import EvaluationError
from harness_probes.samples import choose, fit_and_validation_rows, labelled_rows, labelled_samples, score_predictions


@pytest.fixture
def labelled(make_task):
    """The labelled samples of a training part made of these arrays."""

    def read(x, y, classes=3):
        task = make_task(x, y, x, y, classes=classes)
        return labelled_samples(task, task.train, "training")

    return read


def test_samples_with_unknown_labels_are_left_out(labelled):
    found = labelled(np.arange(8, dtype=np.float32).reshape(4, 2), np.array([0, -1, 2, -1]))
    assert found.x.tolist() == [[0, 1], [4, 5]]
    assert found.y.tolist() == [0, 2]


def test_a_sample_with_one_unknown_binary_label_is_left_out(labelled):
    found = labelled(np.eye(3, dtype=np.float32), np.array([[0, 1], [1, -1], [1, 1]]))
    assert found.y.tolist() == [[False, True], [True, True]]


def test_float32_features_are_not_copied(labelled):
    x = np.eye(3, dtype=np.float32)
    assert np.shares_memory(labelled(x, np.array([0, 1, 2])).x, x)


def test_all_labels_unknown_is_an_error(labelled):
    with pytest.raises(EvaluationError, match="no sample with a known label"):
        labelled(np.eye(2, dtype=np.float32), np.array([-1, -1]))


def test_no_labels_at_all_is_an_error(separable):
    task = dataclasses.replace(separable, classes=None)
    with pytest.raises(EvaluationError, match="has no labels"):
        labelled_samples(task, task.train, "training")


def test_a_label_beyond_the_declared_classes_is_an_error(labelled):
    with pytest.raises(EvaluationError, match="label 3, but labels are 0 to 2"):
        labelled(np.eye(2, dtype=np.float32), np.array([0, 3]))


def test_a_binary_label_of_two_is_an_error(labelled):
    with pytest.raises(EvaluationError, match="label 2, but labels are 0 to 1"):
        labelled(np.eye(2, dtype=np.float32), np.array([[0, 1], [2, 1]]))


def test_rows_are_gathered_out_of_the_part(make_task):
    x = np.arange(16, dtype=np.float64).reshape(4, 2, 2)
    task = make_task(x, np.array([0, -1, 2, 1]), x, np.zeros(4, np.int64))
    found = labelled_rows(task, task.train, "training")
    assert (found.rows.tolist(), found.y.tolist(), found.index.tolist()) == ([0, 2, 3], [0, 2, 1], [0, 2, 3])
    assert found.x(np.array([2, 1])).tolist() == [[12, 13, 14, 15], [8, 9, 10, 11]]
    assert found.x(slice(1)).dtype == np.float32


def test_gathered_rows_are_copies(hard):
    found = labelled_rows(hard, hard.train, "training")
    assert not np.shares_memory(found.x(slice(None)), hard.train.features)


def test_rows_to_fit_and_to_choose_by_are_those_of_the_task(hard):
    for rows, part in zip(fit_and_validation_rows(hard), hard.fit_and_validation(), strict=True):
        assert np.array_equal(rows.x(slice(None)), part.features)
        assert np.array_equal(rows.y, part.labels)


def test_unknown_labels_are_left_out_of_what_is_fitted_and_chosen_by(make_task, blobs):
    x, y = blobs(90)
    y[::2] = -1
    task = make_task(x, y, *blobs(60, seed=1))
    for rows, part in zip(fit_and_validation_rows(task), task.fit_and_validation(), strict=True):
        known = part.labels >= 0
        assert known.any()
        assert np.array_equal(rows.x(slice(None)), part.features[known])
        assert np.array_equal(rows.y, part.labels[known])


def test_the_protocol_s_validation_part_is_taken_where_there_is_one(make_task, blobs):
    task = make_task(*blobs(90), *blobs(60, seed=1), validation=blobs(30, seed=2))
    fit, validation = fit_and_validation_rows(task)
    assert np.array_equal(fit.x(slice(None)), task.train.features)
    assert np.array_equal(validation.x(slice(None)), task.validation.features)


def test_accuracy_is_scikit_learn_s():
    rng = np.random.default_rng(0)
    y, predicted = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
    assert score_predictions(predicted, y) == pytest.approx(100 * accuracy_score(y, predicted))


def test_micro_f1_is_scikit_learn_s():
    rng = np.random.default_rng(0)
    y, predicted = rng.random((50, 4)) < 0.3, rng.random((50, 4)) < 0.5
    assert score_predictions(predicted, y) == pytest.approx(100 * f1_score(y, predicted, average="micro"))


def test_micro_f1_is_zero_where_nothing_is_on_and_nothing_predicted():
    assert score_predictions(np.zeros((3, 2), bool), np.zeros((3, 2), bool)) == 0.0


@pytest.mark.parametrize("shape", [(20,), (20, 4)])
def test_several_sets_of_predictions_are_scored_one_by_one(shape):
    rng = np.random.default_rng(0)
    y, predicted = rng.random(shape) < 0.5, rng.random((3, *shape)) < 0.5
    assert score_predictions(predicted, y).tolist() == [float(score_predictions(each, y)) for each in predicted]


def test_the_best_value_is_chosen(separable):
    assert choose(separable, [1, 2, 3], lambda fit, validation, grid: [5.0, 9.0, 7.0]) == 2


def test_of_equally_good_values_the_smallest_is_chosen(separable):
    assert choose(separable, [3.0, 1.0, 2.0], lambda fit, validation, grid: [7.0] * len(grid)) == 1.0


def test_one_value_alone_is_taken_without_a_fit(separable):
    assert choose(separable, [0.5], None) == 0.5


def test_choosing_sees_the_training_part_split_in_two(separable):
    def scores(fit, validation, grid):
        assert len(fit.y) + len(validation.y) == len(separable.train.labels)
        return [0.0] * len(grid)

    choose(separable, [1, 2], scores)


def test_choosing_sees_the_protocol_s_validation_part(make_task, blobs):
    task = make_task(*blobs(90), *blobs(60, seed=1), validation=blobs(30, seed=2))

    def scores(fit, validation, grid):
        assert np.array_equal(fit.x, task.train.features)
        assert np.array_equal(validation.x, task.validation.features)
        return [0.0] * len(grid)

    choose(task, [1, 2], scores)
