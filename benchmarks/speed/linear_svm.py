"""Time of one linear SVM by our solver beside scikit-learn's `LinearSVC`, on the same objective, and the value each reaches.

    python benchmarks/speed/linear_svm.py [--out FILE.json]

Both minimise the sum over classes of ½ (‖w‖² + b²) + C Σ max(0, 1 - t (w·x + b))². Samples are Gaussian classes that overlap. The
value says which fit is the better one; `LinearSVC` gets its default of 1,000 iterations.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from harness_probes.svm import fit_svm

Fit = tuple[NDArray[np.float64], NDArray[np.float64], bool]
CLASSES = 10
CASES = (
    (140, 512, 20, 1.0),
    (2000, 64, None, 1e-3),
    (2000, 64, None, 1.0),
    (2000, 512, None, 1e-3),
    (2000, 512, None, 1.0),
    (300, 1024, None, 1.0),
    (5000, 1024, None, 1.0),
)
"""Samples, features, numbers that the features are mixed from (None: as many), C."""


def samples(n: int, features: int, mixed_from: int | None) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """[n, features] standardised, [n] classes. Few numbers mixed into many features are correlated, as an encoder's are."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % CLASSES
    numbers = mixed_from or features
    x = rng.normal(size=(CLASSES, numbers))[y] + (1 if mixed_from else 3) * rng.normal(size=(n, numbers))
    if mixed_from:
        x = x @ rng.normal(size=(numbers, features)) + 0.3 * rng.normal(size=(n, features))
    return (x - x.mean(0)) / x.std(0), y


def objective(x: NDArray[np.float64], y: NDArray[np.int64], C: float, W: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """What both minimise."""
    t = np.where(y[:, None] == np.arange(CLASSES), 1.0, -1.0)
    slack = np.maximum(0.0, 1.0 - t * (x @ W + b))
    return float(0.5 * ((W**2).sum() + (b**2).sum()) + C * (slack**2).sum())


def library(dual: bool) -> Callable[[NDArray[np.float64], NDArray[np.int64], float], Fit]:
    """`LinearSVC` by its dual or its primal solver."""

    def fit(x: NDArray[np.float64], y: NDArray[np.int64], C: float) -> Fit:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model = LinearSVC(C=C, dual=dual, random_state=0).fit(x, y)
        return model.coef_.T, model.intercept_, not any(issubclass(one.category, ConvergenceWarning) for one in caught)

    return fit


SOLVERS = {
    "harness (L-BFGS, all classes at once)": lambda x, y, C: fit_svm(x, y, C, 1000),
    "LinearSVC, dual": library(dual=True),
    "LinearSVC, primal": library(dual=False),
}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the result as JSON to this file")
    chosen = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for n, features, mixed_from, C in CASES:
        x, y = samples(n, features, mixed_from)
        for name, fit in SOLVERS.items():
            started = time.perf_counter()
            W, b, converged = fit(x, y, C)
            seconds = time.perf_counter() - started
            value = objective(x, y, C, W, b)
            rows.append(
                {
                    "samples": n,
                    "features": features,
                    "C": C,
                    "solver": name,
                    "seconds": seconds,
                    "value": value,
                    "converged": converged,
                }
            )
            print(
                f"{n} x {features}, C = {C:g}  {name:38s} {seconds:7.2f} s  {value:12.4f}  {'' if converged else 'not converged'}"
            )
    if chosen.out:
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        document = {"scikit-learn": sklearn.__version__, "machine": machine, "fits": rows}
        chosen.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
