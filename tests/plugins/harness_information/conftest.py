"""Data sets as the catalogue gives them, and tasks with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness import DataContext, Part, Task, VectorSource
from harness.api import installed
from harness.line.seeding import isolated_randomness


@pytest.fixture
def build_data(tmp_path):
    """Builds a data set by its name: build_data("gaussians:mi=1,d=2", samples=100)."""

    def build(name, **options):
        entry = installed()[1].dataset(name)
        context = DataContext(files={}, cache=tmp_path, settings=getattr(entry.spec.recipe, "settings", {}))
        return entry.builder()(context, entry.spec.options(**options))

    return build


@pytest.fixture
def make_task():
    """Builds a task from features [n, ...] and, where there are some, the inputs of the same samples.

    The first `cut` of them are the training part (by default two of three). `order` puts each part's rows into another order.
    """

    def make(features, inputs=None, *, cut=None, seed=0, device="cpu", order=lambda index: index, **fields):
        features = np.asarray(features)
        cut = 2 * len(features) // 3 if cut is None else cut
        train, test = order(np.arange(cut)), order(np.arange(cut, len(features)))
        if inputs is not None and not hasattr(inputs, "in_order"):
            inputs = VectorSource(torch.as_tensor(np.asarray(inputs)))
        return Task(
            feature="y",
            train=Part(features=features[train], index=train),
            test=Part(features=features[test], index=test),
            validation=None,
            protocol_seed=0,
            seed=seed,
            device=torch.device(device),
            inputs=inputs,
            **fields,
        )

    return make


@pytest.fixture
def judge():
    """The scores of an evaluator by name, judged as the core does it: with the global random state seeded from the task."""

    def run(evaluator, task):
        with isolated_randomness(task.seed):
            found = list(evaluator.evaluate(task))
        names = [score.name for score in found]
        assert len(set(names)) == len(names)
        return {score.name: score for score in found}

    return run


@pytest.fixture
def gaussian():
    """Draws float32 x [n, dims] and y [n, dims], every coordinate of x correlated with its own of y by rho."""

    def draw(n, rho, dims=1, seed=0):
        rng = np.random.default_rng(seed)
        x, noise = rng.normal(size=(2, n, dims))
        return x.astype(np.float32), (rho * x + np.sqrt(1 - rho**2) * noise).astype(np.float32)

    return draw
