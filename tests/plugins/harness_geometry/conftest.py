"""Tasks with known answers: from arrays, and from small images that an encoder reads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from harness import Encoder, ImageSource, Part, Task, VectorSource


def part(features, labels=None, start=0):
    return Part(features=features, labels=labels, index=np.arange(start, start + len(features), dtype=np.int64))


@pytest.fixture
def make_task():
    """Build a task from the features of its two parts, and their labels where there are some. Its inputs are no images."""

    def make(train, test, train_labels=None, test_labels=None, *, seed=0, protocol_seed=0, classes=None, device="cpu"):
        if train_labels is not None and classes is None:
            labels = np.concatenate([train_labels, test_labels])
            classes = int(labels.max()) + 1 if labels.ndim == 1 else labels.shape[1]
        return Task(
            feature="y",
            train=part(train, train_labels),
            test=part(test, test_labels, start=len(train)),
            validation=None,
            protocol_seed=protocol_seed,
            seed=seed,
            device=torch.device(device),
            classes=classes,
            inputs=VectorSource(torch.zeros(len(train) + len(test), 1)),
        )

    return make


class Linear(Encoder):
    """[B, C, H, W] -> "y" [B, D] by a fixed linear map of the pixels, in eval mode; in training mode it gives noise.

    Notes whether it was shown anything in training mode or with gradients.
    """

    def __init__(self, weights, change=lambda y: y):
        super().__init__()
        self.feature_shapes = {"y": (weights.shape[1],)}
        self.weights, self.change = nn.Parameter(weights), change
        self.careless = False

    def forward(self, batch):
        self.careless |= self.training or torch.is_grad_enabled()
        return {"y": self.change(batch.pixels.flatten(start_dim=1) @ self.weights)}


@pytest.fixture
def make_image_task():
    """Build a task whose features are those of `Linear` over images [N, C, H, W]; the first two thirds are the training part."""

    def make(pixels, weights=None, *, change=lambda y: y, seed=0, protocol_seed=0, device="cpu", value_range=None):
        pixels = torch.as_tensor(pixels, dtype=torch.float32)
        weights = torch.eye(pixels[0].numel()) if weights is None else torch.as_tensor(weights, dtype=torch.float32)
        inputs, cut = ImageSource(pixels, value_range=value_range), 2 * len(pixels) // 3
        with torch.no_grad():
            y = change(pixels.flatten(start_dim=1) @ weights).numpy()
        task = Task(
            feature="y",
            train=part(y[:cut]),
            test=part(y[cut:], start=cut),
            validation=None,
            protocol_seed=protocol_seed,
            seed=seed,
            device=torch.device(device),
            inputs=inputs,
            fresh_encoder=lambda: handed.append(Linear(weights.clone(), change)) or handed[-1],
        )
        return task, handed

    handed = []
    return make


@pytest.fixture
def images():
    """Draw `n` images [n, 1, 6, 6] of Gaussian noise."""
    return lambda n, seed=0: np.random.default_rng(seed).normal(size=(n, 1, 6, 6)).astype(np.float32)
