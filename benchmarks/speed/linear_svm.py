"""Time of one linear SVM by our solver beside scikit-learn's `LinearSVC`, on the same objective, and the value each reaches.

    python benchmarks/speed/linear_svm.py [--features conv.npy --labels labels.npy] [--out FILE.json]

Both minimise the sum over classes of ½ (‖w‖² + b²) + C Σ max(0, 1 - t (w·x + b))². Samples are Gaussian classes that overlap, or
the features of a run, `RUN/features/NAME.npy`, and the labels of as many samples. Every fit starts from nothing, our Gram matrix
included, with one thread. The value says which fit is the better one. `LinearSVC` gets its default of 1,000 iterations, and is
given up when it has taken `--patience` times as long as ours.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from harness_probes.squared_hinge import SquaredHinge

Samples = tuple[NDArray[Any], NDArray[np.int64]]
"""[n, D + 1] standardised features and a column of ones, [n] classes."""
Fit = tuple[NDArray[np.float64], bool]
"""[D + 1, K] weights, the biases last, and whether the solver says that it converged."""
CLASSES = 10
MADE = (
    (140, 512, 20, 1.0),
    (2000, 64, None, 1e-3),
    (2000, 64, None, 1.0),
    (2000, 512, None, 1e-3),
    (2000, 512, None, 1.0),
    (300, 1024, None, 1.0),
    (5000, 1024, None, 1.0),
)
"""Samples, features, numbers that the features are mixed from (None: as many), C."""
REAL = (2e-3, 1.0)
"""C on the features of a run."""


def made(n: int, features: int, mixed_from: int | None) -> Samples:
    """Few numbers mixed into many features are correlated, as an encoder's are."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % CLASSES
    numbers = mixed_from or features
    x = rng.normal(size=(CLASSES, numbers))[y] + (1 if mixed_from else 3) * rng.normal(size=(n, numbers))
    if mixed_from:
        x = x @ rng.normal(size=(numbers, features)) + 0.3 * rng.normal(size=(n, features))
    return np.column_stack([(x - x.mean(0)) / x.std(0), np.ones(n)]), y


def real(features: Path, labels: Path, n: int) -> Samples:
    """The first n samples, in float32 as the probe computes with so many."""
    y = np.load(labels)[:n].astype(np.int64)
    flat = np.load(features, mmap_mode="r")[:n].reshape(n, -1)
    mean, std = flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64)
    x = np.ones((n, flat.shape[1] + 1), np.float32)
    for start in range(0, n, 1000):
        x[start : start + 1000, :-1] = (flat[start : start + 1000] - mean) / np.where(std > 0, std, 1)
    return x, y


def objective(x: NDArray[Any], y: NDArray[np.int64], C: float, weights: NDArray[np.float64]) -> float:
    """What both minimise, in float64."""
    value = 0.5 * float((weights**2).sum())
    for start in range(0, len(x), 1000):
        t = np.where(y[start : start + 1000, None] == np.arange(weights.shape[1]), 1.0, -1.0)
        slack = np.maximum(0.0, 1.0 - t * (x[start : start + 1000].astype(np.float64) @ weights))
        value += C * float((slack**2).sum())
    return value


def ours(x: NDArray[Any], y: NDArray[np.int64], C: float) -> Fit:
    """The probe's solver."""
    fit = SquaredHinge(x, y).fit(C, 100)
    return fit.weights, fit.converged


def library(dual: bool) -> Callable[[NDArray[Any], NDArray[np.int64], float], Fit]:
    """`LinearSVC` by its dual or its primal solver; it adds the column of ones itself."""

    def fit(x: NDArray[Any], y: NDArray[np.int64], C: float) -> Fit:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model = LinearSVC(C=C, dual=dual, random_state=0).fit(x[:, :-1], y)
        converged = not any(issubclass(one.category, ConvergenceWarning) for one in caught)
        return np.vstack([model.coef_.T, model.intercept_]), converged

    return fit


SOLVERS = {"harness": ours, "LinearSVC, dual": library(dual=True), "LinearSVC, primal": library(dual=False)}


def timed(solver: str, x: NDArray[Any], y: NDArray[np.int64], C: float, limit: float | None) -> dict[str, Any]:
    """Seconds, value and convergence of one fit in a process of its own; after `limit` seconds it is given up."""
    here, there = multiprocessing.Pipe(duplex=False)

    def work() -> None:
        with threadpool_limits(1):
            started = time.perf_counter()
            weights, converged = SOLVERS[solver](x, y, C)
            seconds = time.perf_counter() - started
        there.send({"seconds": seconds, "value": objective(x, y, C, weights), "converged": converged})

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    there.close()
    found = here.recv() if here.poll(limit) else {"seconds": None, "given_up_after": limit, "value": None, "converged": False}
    process.kill()
    process.join()
    return {"samples": len(x), "features": x.shape[1] - 1, "C": C, "solver": solver, **found}


def cases(chosen: argparse.Namespace) -> Iterator[tuple[str, Samples, float]]:
    """What to fit, one after the other."""
    for n, features, mixed_from, C in MADE:
        yield "Gaussian classes", made(n, features, mixed_from), C
    if chosen.features:
        samples = real(chosen.features, chosen.labels, chosen.samples)
        for C in REAL:
            yield "features of a run", samples, C


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, help="features of a run")
    parser.add_argument("--labels", type=Path, help="[n] classes of their samples, NumPy")
    parser.add_argument("--samples", type=int, default=50_000, help="how many of them, from the first; default 50,000")
    parser.add_argument("--patience", type=float, default=4.0, help="times our time that the library gets; default 4")
    parser.add_argument("--out", type=Path, help="write the result as JSON to this file")
    chosen = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for data, (x, y), C in cases(chosen):
        limit = None
        for solver in SOLVERS:
            row = {"data": data, **timed(solver, x, y, C, limit)}
            rows.append(row)
            limit = limit or max(30.0, chosen.patience * row["seconds"])
            result = f"given up after {limit:.0f} s" if row["seconds"] is None else f"{row['seconds']:7.2f} s  {row['value']:12.4f}"
            doubt = "" if row["converged"] or row["seconds"] is None else "  not converged"
            print(f"{data:18s} {len(x):6d} x {row['features']:4d}, C = {C:<5g}  {solver:18s} {result}{doubt}", flush=True)
    if chosen.out:
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        document = {"scikit-learn": sklearn.__version__, "machine": machine, "threads": 1, "fits": rows}
        chosen.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
