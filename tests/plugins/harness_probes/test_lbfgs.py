"""Logistic regressions by L-BFGS."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from harness import EvaluationError
from harness_probes.lbfgs import LbfgsProbe, PygProbe, centre_and_scale
from harness_probes.spec import LbfgsOptions, PygOptions


def lbfgs(task, **options):
    [score] = LbfgsProbe(LbfgsOptions(**options)).evaluate(task)
    return score


def pyg(task, **options):
    [score] = PygProbe(PygOptions(**options)).evaluate(task)
    return score


def transformed(task, function):
    return dataclasses.replace(
        task,
        train=dataclasses.replace(task.train, features=function(task.train.features)),
        test=dataclasses.replace(task.test, features=function(task.test.features)),
    )


def by_hand(train_x, train_y, x, y, C):
    """Accuracy in % of a tightly converged scikit-learn fit of centred and scaled features."""
    mean, scale = train_x.mean(0), train_x.std(0)
    scale = np.sqrt((scale**2).mean())
    model = LogisticRegression(C=C, tol=1e-8, max_iter=10_000).fit((train_x - mean) / scale, train_y)
    return 100 * model.score((x - mean) / scale, y)


def test_features_are_centred_and_divided_by_one_number():
    x = np.array([[1, 10], [3, 10], [5, 40]], np.float32)
    mean, scale = centre_and_scale(x)
    assert mean == pytest.approx([3, 20])
    assert scale == pytest.approx(np.sqrt((8 / 3 + 200) / 2))


def test_constant_features_are_divided_by_one():
    assert centre_and_scale(np.ones((3, 2), np.float32))[1] == 1.0


@pytest.mark.parametrize("C", [1e-4, 1e-2, 1.0, 100.0])
def test_a_fit_is_the_converged_optimum(hard, C):
    expected = by_hand(hard.train.features.astype(float), hard.train.labels, hard.test.features, hard.test.labels, C)
    assert lbfgs(hard, C=(C,)).value == pytest.approx(expected, abs=0.34)  # one sample in 300


def test_c_is_the_best_on_the_protocol_s_validation_part(make_task, blobs):
    train, test, validation = (blobs(n, distance=1.2, seed=seed) for n, seed in ((60, 0), (300, 1), (200, 2)))
    accuracies = {C: by_hand(*train, *validation, C) for C in LbfgsOptions().C}
    score = lbfgs(make_task(*train, *test, validation=validation))
    assert accuracies[score.selected["C"]] == pytest.approx(max(accuracies.values()), abs=0.51)  # one sample in 200


def test_the_final_fit_leaves_the_protocol_s_validation_part_out(make_task, blobs):
    train, test, validation = (blobs(n, distance=1.2, seed=seed) for n, seed in ((60, 0), (300, 1), (200, 2)))
    score = lbfgs(make_task(*train, *test, validation=validation))
    assert score.value == pytest.approx(by_hand(*train, *test, score.selected["C"]), abs=0.34)


def test_the_final_fit_takes_a_drawn_validation_part_back_in(hard):
    score = lbfgs(hard)
    train, test = hard.train, hard.test
    assert score.value == pytest.approx(
        by_hand(train.features, train.labels, test.features, test.labels, score.selected["C"]), abs=0.34
    )


def test_shift_scale_and_rotation_of_the_features_change_nothing(hard):
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
    moved = lbfgs(transformed(hard, lambda x: (x @ rotation * 1e-3 + 5).astype(np.float32)))
    assert moved.value == pytest.approx(lbfgs(hard).value, abs=0.34)
    assert moved.selected == lbfgs(hard).selected


def test_a_fit_that_needs_more_iterations_gets_them_once(hard):
    # 3 do not suffice, 30 do; warnings are errors here, so none escapes.
    assert lbfgs(hard, C=(1.0,), max_iter=3) == lbfgs(hard, C=(1.0,))


def test_a_fit_that_does_not_converge_is_an_error(hard):
    with pytest.raises(
        EvaluationError, match=r"C = 100 did not converge in 10 iterations; raise evaluator.logistic-lbfgs.max_iter"
    ):
        lbfgs(hard, C=(100.0,), max_iter=1)


def test_there_is_no_spread(hard):
    score = lbfgs(hard)
    assert (score.std, score.over, score.n) == (None, None, 1)


@pytest.mark.parametrize("max_iter", [3, 150])
def test_pyg_is_scikit_learn_on_the_features_as_they_are(hard, max_iter):
    model = LogisticRegression(solver="lbfgs", max_iter=max_iter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(hard.train.features, hard.train.labels)
    assert pyg(hard, max_iter=max_iter).value == pytest.approx(100 * model.score(hard.test.features, hard.test.labels))


def test_pyg_tells_that_it_converged(hard):
    assert pyg(hard).selected == {"converged": True}


def test_pyg_tells_that_it_did_not_converge_and_does_not_warn(hard):
    assert pyg(hard, max_iter=1).selected == {"converged": False}
