"""The solver of linear machines with squared hinge loss."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from harness_probes import squared_hinge
from harness_probes.spec import SvmOptions
from harness_probes.squared_hinge import GAP, Gram, SquaredHinge, line_minimum

MAX_STEPS = SvmOptions().max_iter


def with_ones(x, dtype=np.float64):
    return np.column_stack([x, np.ones(len(x))]).astype(dtype)


def objective(x, y, C, weights):
    """[K] the stated objective, sample by sample."""
    values = []
    for k in range(y.max() + 1):
        theta = weights[:, k]
        loss = sum(max(0.0, 1 - (1 if label == k else -1) * float(theta @ row)) ** 2 for row, label in zip(x, y, strict=True))
        values.append(0.5 * theta @ theta + C * loss)
    return np.array(values)


def by_library(x, y, C, dual):
    """Weights of scikit-learn's machine; it adds the column of ones itself."""
    model = LinearSVC(C=C, dual=dual, tol=1e-9, max_iter=200_000, random_state=0).fit(x, y)
    return np.vstack([model.coef_.T, model.intercept_])


@pytest.fixture(params=["whichever is quicker", "factorisation", "conjugate gradients"])
def way(request, monkeypatch):
    """The way in which a step of Newton's method is solved."""
    product = {"whichever is quicker": squared_hinge.PRODUCT, "factorisation": np.inf, "conjugate gradients": 0}[request.param]
    monkeypatch.setattr(squared_hinge, "PRODUCT", product)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("C", [1e-4, 2e-3, 1.0])
@pytest.mark.parametrize(("n", "dims"), [(200, 10), (40, 120)], ids=["more samples", "more dimensions"])
def test_the_solution_is_that_of_scikit_learn(blobs, n, dims, C):
    x, y = blobs(n, dims, classes=4, distance=1.5)
    fit = SquaredHinge(with_ones(x), y).fit(C, MAX_STEPS)
    exact = by_library(x.astype(np.float64), y, C, dual=n < dims)
    assert fit.converged
    np.testing.assert_allclose(fit.weights, exact, atol=2e-3 * np.abs(exact).max())
    lowest = objective(with_ones(x), y, C, exact)
    assert (objective(with_ones(x), y, C, fit.weights) <= lowest * (1 + 2 * GAP)).all()


@pytest.mark.parametrize("C", SvmOptions().C)
def test_every_default_strength_converges_on_few_samples_of_many_correlated_features(C):
    rng = np.random.default_rng(0)
    y = np.arange(140) % 7
    x = (rng.normal(size=(7, 20))[y] + rng.normal(size=(140, 20))) @ rng.normal(size=(20, 512)) + 0.3 * rng.normal(size=(140, 512))
    x = StandardScaler().fit_transform(x)
    fit = SquaredHinge(with_ones(x), y).fit(C, MAX_STEPS)
    assert fit.converged
    exact = objective(with_ones(x), y, C, by_library(x, y, C, dual=True)).sum()
    assert objective(with_ones(x), y, C, fit.weights).sum() == pytest.approx(exact, rel=2 * GAP)


@pytest.mark.parametrize("C", [2e-3, 1.0])
def test_float32_reaches_the_same_minimum(blobs, C):
    x, y = blobs(2000, 100, classes=10, distance=0.5)
    fits = [SquaredHinge(with_ones(x, dtype), y).fit(C, MAX_STEPS) for dtype in (np.float32, np.float64)]
    assert all(fit.converged for fit in fits)
    single, double = (objective(with_ones(x), y, C, fit.weights) for fit in fits)
    np.testing.assert_allclose(single, double, rtol=2 * GAP)


def test_convergence_is_the_gap_between_primal_and_dual(blobs):
    x, y = blobs(60, 5, distance=1.0)
    C, x = 0.3, with_ones(x)
    rough = SquaredHinge(x, y).fit(C, MAX_STEPS, gap=1e-2)
    t = np.where(y[:, None] == np.arange(3), 1, -1)
    alpha = 2 * C * np.maximum(0, 1 - t * (x @ rough.weights))
    dual = alpha.sum(0) - 0.5 * ((x.T @ (t * alpha)) ** 2).sum(0) - (alpha**2).sum(0) / (4 * C)
    primal = objective(x, y, C, rough.weights)
    assert rough.converged
    assert (primal - dual >= 0).all()
    assert (primal - dual <= 1e-2 * primal).all()


def test_too_few_steps_are_not_called_converged(blobs):
    x, y = blobs(200, 10, distance=1.0)
    fit = SquaredHinge(with_ones(x), y).fit(0.1, 1)
    assert not fit.converged


def test_a_start_near_the_minimum_saves_steps(blobs):
    x, y = blobs(300, 20, distance=1.0)
    problem = SquaredHinge(with_ones(x), y)
    cold = problem.fit(0.1, MAX_STEPS)
    assert problem.fit(0.1, MAX_STEPS, cold.weights).steps == 0
    assert problem.fit(0.11, MAX_STEPS, cold.weights).steps < cold.steps


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)], ids=["more rows", "more columns"])
def test_gram_inverts_the_ridge_of_its_rows(shape):
    rng = np.random.default_rng(0)
    rows, g = rng.normal(size=shape), rng.normal(size=(shape[1], 3))
    gram = Gram(rows)
    for scale in (0.1, 10.0):
        exact = np.linalg.solve(np.eye(shape[1]) + scale * rows.T @ rows, g)
        np.testing.assert_allclose(gram.inverse(scale)(g), exact, atol=1e-12)


def test_gram_sums_over_pieces(monkeypatch):
    monkeypatch.setattr(squared_hinge, "ROWS", 4)
    test_gram_inverts_the_ridge_of_its_rows((30, 8))
    test_gram_inverts_the_ridge_of_its_rows((8, 30))


def test_a_matrix_that_rounding_made_indefinite_still_gives_an_inverse():
    rows = np.ones((2, 2))
    gram = Gram(rows)
    gram._matrix -= 2 * np.eye(2)
    assert np.isfinite(gram.inverse(1.0)(np.eye(2))).all()


@pytest.mark.parametrize("seed", range(20))
def test_the_line_minimum_is_exact(seed):
    rng = np.random.default_rng(seed)
    theta, room, along = rng.normal(size=5), rng.normal(size=40), rng.normal(size=40)
    along[:5] = 0  # samples that the direction does not move
    C = 10.0 ** rng.uniform(-3, 1)
    direction = rng.normal(size=5)

    def value(s):
        return 0.5 * ((theta + s * direction) ** 2).sum() + C * (np.maximum(0, room - s * along) ** 2).sum()

    if value(1e-6) > value(0):
        direction, along = -direction, -along
    exact = minimize_scalar(value, bounds=(0, 50), method="bounded", options={"xatol": 1e-10}).x
    assert line_minimum(theta, direction, room, along, C) == pytest.approx(exact, abs=1e-5)
