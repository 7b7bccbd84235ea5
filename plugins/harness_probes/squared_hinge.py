"""The squared hinge loss with an L2 penalty, minimised for all classes against the rest at once.

    P(θ) = ½ ‖θ‖² + C Σᵢ max(0, 1 - tᵢ θ·xᵢ)²,   tᵢ = ±1,

for each class. It is the objective of LIBLINEAR's machines (Fan et al. 2008, "LIBLINEAR", eq. 3) and so of scikit-learn's
`LinearSVC`, which penalises the bias as the weight of one more column of ones. P is convex and piecewise quadratic; its Hessian is
I + 2C Σ xᵢxᵢᵀ over the active samples, those within the margin. Newton's method (Keerthi and DeCoste 2005, "A modified finite
Newton method") ends in few steps from a good start: the minimum at a tenth of C, roughly found. A step solves a class by
factorisation over its active samples where that is the quicker way, and the others together by conjugate gradients, preconditioned
by a factorisation of the Gram matrix of all samples, which is made once for every C.

Convergence is a duality gap: at dual variables αᵢ = 2C max(0, 1 - tᵢ θ·xᵢ), feasible for every θ, the gap is exactly ½ ‖∇P(θ)‖².
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

Floats = NDArray[Any]
"""float32 or float64, as the samples are."""
Inverse = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""A matrix [D, D], or a map close to it, times [D, K]."""

GAP = 1e-6
"""Converged means: P is within this part of itself of its minimum, by its duality gap."""
ROUGH_GAP = 1e-2
"""The same of a fit that is only to start another."""
SMALL = 10.0
"""C times columns up to which zero is a good start."""
FORCING = 0.1
"""Conjugate gradients end when they have solved a Newton step up to this part of the gradient's norm."""
PRODUCT = 14
"""What a step of conjugate gradients costs a class, times n D: multiplications that a factorisation makes in that time."""
ROWS = 1 << 11
"""Samples multiplied in one piece; sums over pieces are in float64."""
INNER_STEPS = 250
"""Steps of conjugate gradients within one of Newton's method, at most."""
EXPECTED_INNER_STEPS = 7
"""What a class is thought to need before it has made any."""


@dataclass(frozen=True)
class Fit:
    """Weights θ of every class, and whether each is within `GAP` of the minimum."""

    weights: NDArray[np.float64]
    """[D, K]."""
    converged: bool
    steps: int
    """Newton steps that were made, those to a start among them."""


class SquaredHinge:
    """Samples and classes to fit; the Gram matrix is kept between fits at several C."""

    def __init__(self, x: Floats, y: NDArray[np.int64]) -> None:
        """
        :param x: [n, D] float32 or float64, with a column of ones where there is to be a bias; not copied.
        :param y: [n] classes 0..K-1, each present.
        """
        self.x = x
        self.t = np.where(y[:, None] == np.arange(int(y.max()) + 1), 1, -1).astype(x.dtype)

    @cached_property
    def gram(self) -> Gram:
        """The Gram matrix of all samples."""
        return Gram(self.x)

    def fit(self, C: float, max_steps: int, start: NDArray[np.float64] | None = None, gap: float = GAP) -> Fit:
        """Minimise P of every class.

        :param max_steps: steps of Newton's method, at most; as many again for each start that has to be found.
        :param start: [D, K] weights to begin at, such as those of a smaller C. By default they are found: zero where C is small for
            the number of columns, otherwise the fit at a tenth of C to within `ROUGH_GAP`.
        :param gap: the duality gap, as a part of P, that is asked for.
        """
        D, K = self.x.shape[1], self.t.shape[1]
        before = 0
        if start is None and C * D > SMALL:
            rough = self.fit(C / 10, max_steps, gap=ROUGH_GAP)
            start, before = rough.weights, rough.steps
        theta = np.zeros((D, K)) if start is None else start.copy()
        margins = self.t * self._forward(theta)
        inner_steps = np.full(K, EXPECTED_INNER_STEPS)
        preconditioner = _SharedInverse(self, C)
        for step in range(max_steps + 1):
            slack = np.maximum(0, 1 - margins)
            gradient = theta - 2 * C * self._back(self.t * slack)
            value = 0.5 * (theta**2).sum(axis=0) + C * (slack**2).sum(axis=0, dtype=np.float64)
            left = np.flatnonzero(0.5 * (gradient**2).sum(axis=0) > gap * value)
            if not len(left) or step == max_steps:
                break
            active = slack > 0
            counts = active.sum(axis=0)
            few = counts * np.minimum(counts, D) <= PRODUCT * len(self.x) * inner_steps
            for k in left[few[left]]:
                direction = -Gram(self.x[active[:, k]]).inverse(2 * C)(gradient[:, k : k + 1])
                self._advance(theta, margins, np.array([k]), direction, self._forward(direction), C)
            many = left[~few[left]]
            if len(many):
                precondition = preconditioner.at(float(counts[many].mean()) / len(self.x))
                enough = np.maximum(gap * value, FORCING**2 * (gradient**2).sum(axis=0))
                direction, along, inner_steps[many] = self._conjugate_gradients(
                    gradient[:, many], active[:, many], C, precondition, enough[many]
                )
                self._advance(theta, margins, many, direction, along, C)
        return Fit(theta, not len(left), before + step)

    def _conjugate_gradients(
        self,
        gradient: NDArray[np.float64],
        active: NDArray[np.bool_],
        C: float,
        precondition: Inverse,
        enough: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], Floats, NDArray[np.int64]]:
        """Solve H d = -gradient for every class, roughly.

        :param enough: [K] a class stops when its squared residual is this small.
        :returns: [D, K] d, [n, K] x d, and [K] the steps that a class took.
        """
        d, along = np.zeros_like(gradient), np.zeros(active.shape, self.x.dtype)
        steps = np.zeros(len(enough), np.int64)
        residual = -gradient
        p = precondition(residual)
        rz = (residual * p).sum(axis=0)
        live = np.arange(len(enough))
        for _ in range(INNER_STEPS):
            steps[live] += 1
            xp = self._forward(p[:, live])
            hp = p[:, live] + 2 * C * self._back(active[:, live] * xp)
            rate = rz[live] / (p[:, live] * hp).sum(axis=0)
            d[:, live] += rate * p[:, live]
            along[:, live] += rate.astype(along.dtype) * xp
            residual[:, live] -= rate * hp
            live = live[(residual[:, live] ** 2).sum(axis=0) > enough[live]]
            if not len(live):
                break
            z = precondition(residual[:, live])
            before, rz[live] = rz[live], (residual[:, live] * z).sum(axis=0)
            p[:, live] = z + rz[live] / before * p[:, live]
        return d, along, steps

    def _advance(
        self,
        theta: NDArray[np.float64],
        margins: Floats,
        classes: NDArray[np.intp],
        direction: NDArray[np.float64],
        along: Floats,
        C: float,
    ) -> None:
        """Move some classes to the minimum along their directions, in place."""
        along = self.t[:, classes] * along
        for i, k in enumerate(classes):
            rate = line_minimum(theta[:, k], direction[:, i], 1 - margins[:, k], along[:, i], C)
            theta[:, k] += rate * direction[:, i]
            margins[:, k] += margins.dtype.type(rate) * along[:, i]

    def _forward(self, weights: NDArray[np.float64]) -> Floats:
        """[n, K] x weights."""
        products: Floats = self.x @ weights.astype(self.x.dtype)
        return products

    def _back(self, pull: Floats) -> NDArray[np.float64]:
        """[D, K] xᵀ pull."""
        total = np.zeros((pull.shape[1], self.x.shape[1]))
        for start in range(0, len(self.x), ROWS):
            # This way round, few rows times many, BLAS is several times quicker than with the transposed samples on the left.
            total += np.ascontiguousarray(pull[start : start + ROWS].T) @ self.x[start : start + ROWS]
        return total.T


class _SharedInverse:
    """The preconditioner of all classes together: (I + 2C a xᵀx)⁻¹, where a share a of the samples is active in the mean."""

    def __init__(self, problem: SquaredHinge, C: float) -> None:
        self._problem, self._C = problem, C
        self._share = 0.0

    def at(self, share: float) -> Inverse:
        """The inverse for a share; factorised anew only where that has changed by half."""
        if not self._share / 1.5 <= share <= self._share * 1.5:
            self._share = share
            self._inverse = self._problem.gram.inverse(2 * self._C * share)
        return self._inverse


class Gram:
    """rowsᵀ rows or rows rowsᵀ, whichever is smaller, and inverses made of it."""

    def __init__(self, rows: Floats) -> None:
        """:param rows: [m, D]."""
        self.rows = rows
        m, D = rows.shape
        self._matrix = np.zeros((min(m, D), min(m, D)))
        if m < D:
            for start in range(0, D, ROWS):
                part = rows[:, start : start + ROWS]
                self._matrix += part @ part.T
        else:
            for start in range(0, m, ROWS):
                part = rows[start : start + ROWS]
                self._matrix += part.T @ part

    def inverse(self, scale: float) -> Inverse:
        """The map g ↦ (I + scale rowsᵀ rows)⁻¹ g of [D, K]; by the identity of Woodbury where the rows are few."""
        if self.rows.shape[0] < self.rows.shape[1]:
            solve_inner = _solver(self._matrix, 1 / scale)

            def apply(g: NDArray[np.float64]) -> NDArray[np.float64]:
                solved = solve_inner((self.rows @ g.astype(self.rows.dtype)).astype(np.float64))
                inner: NDArray[np.float64] = g - (np.ascontiguousarray(solved.T.astype(self.rows.dtype)) @ self.rows).T
                return inner

            return apply
        return _solver(scale * self._matrix, 1.0)


def _solver(matrix: NDArray[np.float64], ridge: float) -> Inverse:
    """(matrix + ridge I)⁻¹. A matrix that is not positive definite, for its rounding, gets a ridge that makes it so."""
    try:
        factor = cho_factor(matrix + ridge * np.eye(len(matrix)), overwrite_a=True, check_finite=False)
    except LinAlgError:
        return _solver(matrix, 10 * ridge)

    def solve(g: NDArray[np.float64]) -> NDArray[np.float64]:
        solved: NDArray[np.float64] = cho_solve(factor, g, check_finite=False)
        return solved

    return solve


def line_minimum(theta: Floats, direction: Floats, room: Floats, along: Floats, C: float) -> float:
    """The s ≥ 0 that minimises ½ ‖θ + s d‖² + C Σᵢ max(0, roomᵢ - s alongᵢ)², exactly.

    The derivative is continuous, increasing and linear between the places where a sample enters or leaves the margin.

    :param theta: [D] and `direction` [D] one along which the objective falls.
    :param room: [n] 1 minus the margins at s = 0, and `along` [n] the margins' change per unit of s.
    """
    room, along = room.astype(np.float64), along.astype(np.float64)
    inside = room > 0
    at_zero = theta @ direction - 2 * C * (along[inside] @ room[inside])
    slope = direction @ direction + 2 * C * (along[inside] @ along[inside])
    crosses = inside == (along > 0)
    crosses &= along != 0
    a, r = along[crosses], room[crosses]
    places = r / a
    order = np.argsort(places)
    sign = np.where(inside[crosses], -1.0, 1.0)[order]
    a, r, places = a[order], r[order], places[order]
    at_zero = at_zero + np.concatenate([[0.0], np.cumsum(sign * -2 * C * a * r)])
    slope = slope + np.concatenate([[0.0], np.cumsum(sign * 2 * C * a * a)])
    piece = int(np.searchsorted(at_zero[:-1] + slope[:-1] * places >= 0, True))
    return max(0.0, float(-at_zero[piece] / slope[piece]))
