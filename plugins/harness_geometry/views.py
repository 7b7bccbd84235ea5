"""Random views of images and what a frozen encoder makes of them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from harness import EvaluationError, Images, Task
from harness_geometry.samples import Samples
from harness_geometry.spec import ViewOptions

ENCODED = 512
"""Views encoded at a time."""


def random_views(pixels: Tensor, padding: int, flip: bool, fill: float, generator: torch.Generator) -> Tensor:
    """One view of each image: padded on all sides, cropped back to its size at a random place, perhaps mirrored.

    Every image has its own place, all (2 padding + 1)² of them as likely, and is mirrored left to right with probability 1/2.

    :param pixels: [B, C, H, W].
    :param padding: pixels on each side.
    :param fill: the value that padding has.
    :param generator: all randomness; drawn where it lives.
    :returns: [B, C, H, W].
    """
    count, _, height, width = pixels.shape
    windows = F.pad(pixels, (padding,) * 4, value=fill).unfold(2, height, 1).unfold(3, width, 1)  # [B, C, places, places, H, W]
    drawn = torch.randint(2 * padding + 1, (2, count), generator=generator, device=generator.device)
    top, left = drawn.to(pixels.device)
    views = windows[torch.arange(count, device=pixels.device), :, top, left]
    if not flip:
        return views
    mirrored = torch.randint(2, (count, 1, 1, 1), generator=generator, device=generator.device).bool()
    return torch.where(mirrored.to(pixels.device), views.flip(-1), views)


def encoded_views(task: Task, samples: Samples, count: int, options: ViewOptions, evaluator: str) -> Iterator[Tensor]:
    """The judged feature of `count` random views of each sample: blocks [b, count, D] float32 on the task's device.

    The samples come in the order of their places in the data set. Views are drawn on the CPU, so that they are the same on every
    device.

    :raises EvaluationError: the data set gives no images, the options leave only one view, or a value is not finite.
    """
    inputs, fresh_encoder = task.inputs, task.fresh_encoder
    assert inputs is not None  # the spec needs "inputs"
    assert fresh_encoder is not None  # and "encoder"
    description = inputs.description
    if description.kind != "images":
        raise EvaluationError(f"{evaluator} needs views of images, and the data set gives batches of {description.kind}.")
    padding = round(options.padding * min(description.shape[1:]))
    if not padding and not options.flip:
        raise EvaluationError(
            f"All views of an image would be the same; set evaluator.{evaluator}.padding to a pixel or more of its shorter side, "
            f"{min(description.shape[1:])}, or evaluator.{evaluator}.flip to true."
        )
    fill = 0.0 if description.value_range is None else description.value_range[0]
    encoder, generator = fresh_encoder().to(task.device).eval(), torch.Generator().manual_seed(task.seed)
    for batch in inputs.subset(torch.from_numpy(samples.index)).in_order(max(1, ENCODED // count)):
        on_device = batch.to(task.device)
        pixels = random_views(on_device.pixels.repeat_interleave(count, dim=0), padding, options.flip, fill, generator)
        with torch.no_grad(), task.autocast():
            features = encoder(Images(index=on_device.index.repeat_interleave(count), pixels=pixels))[task.feature]
        if not bool(features.isfinite().all()):
            raise EvaluationError(
                f"Feature {task.feature!r} has values that are not finite for some view; check that training did not diverge."
            )
        yield features.float().reshape(len(batch), count, -1)
