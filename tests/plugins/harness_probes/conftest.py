"""Tasks and data with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness import Part, Task


def part(x, y, start=0):
    return Part(features=x, labels=y, index=np.arange(start, start + len(x), dtype=np.int64))


@pytest.fixture
def make_task():
    """Build a task from arrays; `validation` is a pair of features and labels, or None."""

    def make(train_x, train_y, test_x, test_y, *, validation=None, seed=0, protocol_seed=0, classes=None):
        labels = np.concatenate([train_y, test_y])
        return Task(
            feature="y",
            train=part(train_x, train_y),
            test=part(test_x, test_y, start=10**6),
            validation=None if validation is None else part(*validation, start=10**7),
            protocol_seed=protocol_seed,
            seed=seed,
            device=torch.device("cpu"),
            classes=classes or (int(labels.max()) + 1 if labels.ndim == 1 else labels.shape[1]),
        )

    return make


@pytest.fixture
def blobs():
    """Draw `n` samples of well or badly separated classes, one Gaussian each: float32 features [n, D], int64 labels [n]."""

    def draw(n, dims=8, classes=3, *, distance=20.0, seed=0):
        rng = np.random.default_rng(seed)
        centres = distance * np.linalg.qr(np.random.default_rng(99).normal(size=(dims, classes)))[0].T
        y = np.arange(n) % classes
        return (centres[y] + rng.normal(size=(n, dims))).astype(np.float32), y.astype(np.int64)

    return draw


@pytest.fixture
def separable(make_task, blobs):
    """A task every probe solves."""
    return make_task(*blobs(90), *blobs(60, seed=1))


@pytest.fixture
def hard(make_task, blobs):
    """A task that no probe solves altogether, so that scores differ."""
    return make_task(*blobs(120, distance=1.5), *blobs(300, distance=1.5, seed=1))


@pytest.fixture
def multi_label(make_task):
    """Four binary labels, each the sign of a noisy projection."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(6, 4))

    def draw(n):
        x = rng.normal(size=(n, 6)).astype(np.float32)
        return x, (x @ directions + rng.normal(size=(n, 4)) > 0.5).astype(np.int64)

    return make_task(*draw(100), *draw(150))
