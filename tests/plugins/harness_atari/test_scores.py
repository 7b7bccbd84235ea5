"""Weighted F1 and accuracy of many variables, and the means over categories."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from harness_atari.scores import category_means, constant_f1, headline, weighted_f1_and_accuracy


def slow(predicted, true):
    f1 = [f1_score(t, p, average="weighted", zero_division=0) for p, t in zip(predicted, true, strict=True)]
    return np.array(f1), np.array([accuracy_score(t, p) for p, t in zip(predicted, true, strict=True)])


def agree(predicted, true):
    for found, expected in zip(weighted_f1_and_accuracy(predicted, true), slow(predicted, true), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("right", [0.0, 0.5, 0.9])
def test_they_are_those_of_scikit_learn(right):
    rng = np.random.default_rng(0)
    true = np.minimum(rng.integers(0, 256, (7, 1)) + rng.integers(0, 40, (7, 400)), 255)
    agree(np.where(rng.random(true.shape) < right, true, rng.integers(0, 256, true.shape)), true)


def test_values_that_are_never_true_and_values_that_are_never_predicted():
    agree(np.array([[3, 3, 3, 255], [0, 1, 2, 3]]), np.array([[0, 0, 3, 7], [4, 5, 6, 7]]))


def test_variables_do_not_mix():
    true = np.array([[255, 255, 0], [0, 0, 255]])
    agree(true[::-1].copy(), true)


def test_perfect_predictions_score_exactly_one():
    true = np.random.default_rng(0).integers(0, 256, (5, 1003))
    f1, accuracy = weighted_f1_and_accuracy(true, true)
    assert (f1 == 1).all()
    assert (accuracy == 1).all()


@pytest.mark.parametrize("hits", [0, 1, 37, 100])
def test_the_closed_form_of_a_constant_prediction(hits):
    true = np.where(np.arange(100) < hits, 5, 9)[None]
    [f1], _ = weighted_f1_and_accuracy(np.full((1, 100), 5), true)
    assert f1 == pytest.approx(constant_f1(hits / 100), abs=1e-15)


def test_the_headline_is_the_mean_over_categories_and_not_over_variables():
    means = category_means({"player_x": 0.2, "player_y": 0.4, "score": 0.9})
    assert means == pytest.approx({"agent_localization": 0.3, "score_clock_lives_display": 0.9})
    assert headline(means) == pytest.approx(0.6)


def test_a_variable_in_two_categories_counts_in_both_and_one_in_none_does_not_count():
    means = category_means({"num_lives_direction": 0.4, "score": 0.8, "tile_color_0": 0.0})
    assert means == pytest.approx({"score_clock_lives_display": 0.6, "misc": 0.4})
