"""Small images whose features are known, and decoders of one layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from harness import ImageSource, Part, Task

SHAPE = (1, 8, 8)


@pytest.fixture
def images():
    """[120, 1, 8, 8] in [-1, 1]: mixtures of six random pictures, so that six numbers say all of an image."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(6, *SHAPE, generator=generator) * 2 - 1
    shares = torch.rand(120, 6, generator=generator).softmax(dim=1) * torch.linspace(0.3, 1, 120)[:, None]
    return torch.einsum("nk,kchw->nchw", shares, pictures)


@pytest.fixture
def make_task(images):
    """Builds a task from features [120, ...]: 90 samples to train on and 30 to score, not in the order of their numbers."""

    def make(features, *, pixels=images, value_range=(-1.0, 1.0), seed=0, decoder=Linear, **source):
        shape = tuple(features.shape[1:])
        order = np.random.default_rng(5).permutation(len(features))
        inputs = ImageSource(pixels, value_range=value_range, **source)
        size = inputs.description.shape

        def part(index):
            return Part(features=features[index], index=index)

        return Task(
            feature="y",
            train=part(order[:90]),
            test=part(order[90:]),
            validation=None,
            protocol_seed=0,
            seed=seed,
            device=torch.device("cpu"),
            inputs=inputs,
            decoder=lambda generator, scale: decoder(shape, size),
        )

    return make


class Linear(nn.Module):
    """A feature [B, *shape] -> images [B, C, H, W] by one linear layer; counts the samples it is shown in either mode."""

    def __init__(self, shape, size=SHAPE):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), int(np.prod(size))), nn.Unflatten(1, size))
        self.shown = {True: 0, False: 0}

    def forward(self, features):
        self.shown[self.training] += len(features)
        return self.layers(features)
