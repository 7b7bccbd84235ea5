"""The linear SVM."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from harness import EvaluationError
from harness_probes import svm
from harness_probes.spec import SvmOptions
from harness_probes.svm import SvmProbe, fit_svm


def evaluate(task, **options):
    [score] = SvmProbe(SvmOptions(**options)).evaluate(task)
    return score


def by_hand(train_x, train_y, x, y, C):
    """Accuracy in % of scikit-learn's machine on standardised features."""
    scaler = StandardScaler().fit(train_x.astype(float))
    model = LinearSVC(C=C, dual=False, tol=1e-8, max_iter=10_000).fit(scaler.transform(train_x), train_y)
    return 100 * model.score(scaler.transform(x), y)


@pytest.mark.parametrize("C", [1e-4, 2e-3, 1.0])
@pytest.mark.parametrize(("n", "dims"), [(200, 10), (40, 120)], ids=["more samples", "more dimensions"])
def test_the_solution_is_that_of_scikit_learn(blobs, n, dims, C):
    x, y = blobs(n, dims, classes=4, distance=1.5)
    x = x.astype(np.float64)
    W, b, converged = fit_svm(x, y, C, max_iter=1000)
    exact = LinearSVC(C=C, dual=n < dims, tol=1e-9, max_iter=100_000, random_state=0).fit(x, y)
    assert converged
    scale = np.abs(exact.coef_).max()
    np.testing.assert_allclose(W.T, exact.coef_, atol=2e-3 * scale)
    np.testing.assert_allclose(b, exact.intercept_, atol=2e-3 * scale)


def test_the_solution_minimises_the_stated_objective(blobs):
    x, y = blobs(50, 5, distance=1.0)
    x = x.astype(np.float64)
    W, b, _ = fit_svm(x, y, C=0.3, max_iter=1000)
    t = np.where(y[:, None] == np.arange(3), 1, -1)

    def objective(theta):
        theta = theta.reshape(6, 3)
        return 0.5 * (theta**2).sum() + 0.3 * (np.maximum(0, 1 - t * (x @ theta[:5] + theta[5])) ** 2).sum()

    # The gradient there is zero: finite differences agree with a zero function.
    at = np.concatenate([W, b[None]]).ravel()
    assert check_grad(objective, np.zeros_like, at) < 1e-2


def test_c_is_the_best_on_the_protocol_s_validation_part(make_task, blobs):
    train, test, validation = (blobs(n, distance=1.2, seed=seed) for n, seed in ((60, 0), (300, 1), (200, 2)))
    accuracies = {C: by_hand(*train, *validation, C) for C in SvmOptions().C}
    score = evaluate(make_task(*train, *test, validation=validation))
    assert accuracies[score.selected["C"]] == max(accuracies.values())
    assert score.value == pytest.approx(by_hand(*train, *test, score.selected["C"]), abs=0.34)  # one sample in 300


def test_the_final_fit_takes_a_drawn_validation_part_back_in(hard):
    score = evaluate(hard)
    expected = by_hand(hard.train.features, hard.train.labels, hard.test.features, hard.test.labels, score.selected["C"])
    assert score.value == pytest.approx(expected, abs=0.34)


def test_the_scale_of_single_columns_changes_nothing(hard):
    def moved(part):
        return dataclasses.replace(part, features=part.features * np.float32(10) ** np.arange(-4, 4, dtype=np.float32) + 3)

    task = dataclasses.replace(hard, train=moved(hard.train), test=moved(hard.test))
    # Adding 3 to a column of size 1e-4 leaves three digits of it in float32.
    assert evaluate(task).value == pytest.approx(evaluate(hard).value, abs=1)


def test_a_constant_column_changes_nothing(hard):
    def with_constant(part):
        return dataclasses.replace(part, features=np.column_stack([part.features, np.full(len(part), 0.1, np.float32)]))

    task = dataclasses.replace(hard, train=with_constant(hard.train), test=with_constant(hard.test))
    assert evaluate(task) == evaluate(hard)


def test_a_fit_that_needs_more_iterations_gets_them_once(hard):
    assert evaluate(hard, C=(0.01,), max_iter=3) == evaluate(hard, C=(0.01,))


def test_a_fit_that_does_not_converge_is_an_error(hard):
    with pytest.raises(EvaluationError, match=r"C = 1 did not converge in 10 iterations; raise evaluator.svm.max_iter"):
        evaluate(hard, C=(1.0,), max_iter=1)


def test_convergence_is_read_off_the_gradient(blobs, monkeypatch):
    monkeypatch.setattr(svm, "TOLERANCE", 0.0)  # no finite number of steps reaches a gradient of zero
    x, y = blobs(50, 5, distance=1.0)
    assert not fit_svm(x.astype(np.float64), y, C=1.0, max_iter=200)[2]


def test_there_is_no_spread(hard):
    score = evaluate(hard)
    assert (score.std, score.over, score.n) == (None, None, 1)


@pytest.mark.parametrize("C", SvmOptions().C)
def test_every_default_strength_converges_on_few_samples_of_many_correlated_features(C):
    rng = np.random.default_rng(0)
    y = np.arange(140) % 7
    x = (rng.normal(size=(7, 20))[y] + rng.normal(size=(140, 20))) @ rng.normal(size=(20, 512)) + 0.3 * rng.normal(size=(140, 512))
    x = StandardScaler().fit_transform(x)
    W, b, converged = fit_svm(x, y, C, SvmOptions().max_iter)
    exact = LinearSVC(C=C, dual=True, tol=1e-9, max_iter=200_000, random_state=0).fit(x, y)
    t = np.where(y[:, None] == np.arange(7), 1, -1)

    def value(W, b):
        return 0.5 * ((W**2).sum() + (b**2).sum()) + C * (np.maximum(0, 1 - t * (x @ W + b)) ** 2).sum()

    assert converged
    assert value(W, b) == pytest.approx(value(exact.coef_.T, exact.intercept_), rel=1e-5)
