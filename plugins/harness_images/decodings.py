"""Pictures of what a run's decoder and generator make: reconstructions, samples, latent traversals."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness import Picture, RunView
from harness_images.mosaic import GAP, mosaic, pixels_of, shown

PER_LINE = 12
RECONSTRUCTED = 24
SAMPLED = 60
TRAVERSED = 10
"""Dimensions of y that are walked along."""
STEPS = np.linspace(-3, 3, 11)
"""Where the walk stops, in standard deviations."""
SPREAD_OVER = 2000
"""Test samples over which those are taken."""


def reconstructions(view: RunView) -> list[Picture]:
    """Test images above what the run's decoder makes of their default feature; nothing where the run has no decoder."""
    if "decoder" not in view.modules:
        return []
    numbers = np.sort(view.sample(RECONSTRUCTED))
    numbers = numbers[: max(1, len(numbers) // PER_LINE) * PER_LINE]  # whole lines
    columns = min(PER_LINE, len(numbers))
    pairs = np.stack([shown(view, pixels_of(view, numbers)), shown(view, decoded(view, view.features(view.feature)[numbers]))])
    pairs = pairs.reshape(2, -1, columns, *pairs.shape[2:]).swapaxes(0, 1)  # [lines, 2, columns, H, W] or [..., 3]
    images = pairs.reshape(-1, *pairs.shape[2:])
    tall = images.shape[2] / images.shape[3]
    down = np.arange(len(images)) * (tall + GAP) + np.arange(len(images)) // 2 * 3 * GAP
    figure, _ = mosaic(images, np.arange(columns) * (1 + GAP), down, head=0.0)
    caption = (
        f"{len(numbers)} test images drawn by lot, the same for every run; below each, the image that the decoder makes of its "
        f"{view.feature}."
    )
    return [Picture("Reconstructions", caption, figure)]


def samples(view: RunView) -> list[Picture]:
    """Images drawn from the run's generator; nothing where it has none."""
    if "generator" not in view.modules:
        return []
    with torch.no_grad():
        drawn = view.modules["generator"](SAMPLED, torch.Generator(view.device).manual_seed(view.seed))
    images = shown(view, drawn.float().cpu().numpy())
    images = images.reshape(-1, PER_LINE, *images.shape[1:])
    tall = images.shape[2] / images.shape[3]
    figure, _ = mosaic(images, np.arange(PER_LINE) * (1 + GAP), np.arange(len(images)) * (tall + GAP), head=0.0)
    caption = f"{SAMPLED} images that the generator makes of noise, from the same random numbers for every run."
    return [Picture("Samples", caption, figure)]


def traversals(view: RunView) -> list[Picture]:
    """What the decoder makes of one test image's default feature when a single dimension of it is changed; a line for each of the
    dimensions that vary most. Nothing where the run has no decoder, or the feature is no vector.
    """
    features = view.features(view.feature)
    if "decoder" not in view.modules or features.ndim != 2:
        return []
    seen = np.array(features[np.sort(view.sample(SPREAD_OVER))])
    mean, deviation = seen.mean(axis=0), seen.std(axis=0)
    dimensions = np.argsort(-deviation, kind="stable")[:TRAVERSED]
    walk = np.tile(features[view.sample(1)[0]], (len(dimensions), len(STEPS), 1))
    for line, dimension in enumerate(dimensions):
        walk[line, :, dimension] = mean[dimension] + STEPS * deviation[dimension]
    images = shown(view, decoded(view, walk.reshape(-1, walk.shape[-1])))
    images = images.reshape(len(dimensions), len(STEPS), *images.shape[1:])
    tall = images.shape[2] / images.shape[3]
    across, down = 1.6 + np.arange(len(STEPS)) * (1 + GAP), np.arange(len(images)) * (tall + GAP)
    figure, axes = mosaic(images, across, down, head=0.5)
    for line, dimension in enumerate(dimensions):
        axes.text(1.4, down[line] + tall / 2, f"{view.feature}[{dimension}]", ha="right", va="center", fontsize=8)
    for column in (0, len(STEPS) // 2, len(STEPS) - 1):
        axes.text(across[column] + 0.5, -0.15, f"{STEPS[column]:+.0f} sd" if STEPS[column] else "mean", ha="center", fontsize=8)
    caption = (
        f"Decoded {view.feature} of one test image, one of its dimensions set from three standard deviations below its mean to "
        f"three above, over test images; the {len(dimensions)} of {features.shape[1]} dimensions that vary most."
    )
    return [Picture("Latent traversals", caption, figure)]


def decoded(view: RunView, features: NDArray[Any]) -> NDArray[np.float32]:
    """[n, C, H, W] that the run's decoder makes of features [n, ...]."""
    with torch.no_grad():
        values = torch.from_numpy(np.array(features, dtype=np.float32)).to(view.device)
        images: NDArray[np.float32] = view.modules["decoder"](values).float().cpu().numpy()
    return images
