"""`reconstruction`: what a decoder makes of the frozen feature, beside the image that the feature came from.

The comparison that Hjelm et al., "Learning deep representations by mutual information estimation and maximization" (2019), report
as "MS-SSIM": a decoder of the encoder's mirror layout is trained on the training part under squared error, then scored on the test
part once. No label is looked at.

Initial weights come from torch's own random state, which the core seeds for each cell, the order of samples from the task's
generator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from harness import Description, EvaluationError, Evaluator, Progress, Score, Task
from harness_reconstruction.pairs import FeatureImagePairs
from harness_reconstruction.similarity import ms_ssim, scales_that_fit, ssim, ssim_dim, weights
from harness_reconstruction.spec import ReconstructionOptions

SCORED = 256
"""Images scored at a time."""


class Reconstruction(Evaluator):
    """Squared error, SSIM, MS-SSIM and the released code's own SSIM of a trained decoder's test images."""

    def __init__(self, options: ReconstructionOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """The mean of each over the test images, their spread beside it; `selected` of ms_ssim has its scales and their weights.

        Raises EvaluationError for images without a known range or too small for a window, a training part smaller than a batch,
        or a decoder that diverges.
        """
        assert task.inputs is not None  # the spec needs "inputs"
        assert task.decoder is not None  # and "decoder"
        value_range, scales = self._range_and_scales(task.inputs.description)
        if len(task.train) < self.options.batch_size:
            raise EvaluationError(
                f"The training part has {len(task.train)} samples, fewer than a batch of {self.options.batch_size}; "
                f"lower evaluator.reconstruction.batch_size."
            )
        inputs = task.inputs.to(task.device)
        decoder = task.decoder(torch.Generator().manual_seed(task.seed), self.options.decoder_scale).to(task.device)
        train(decoder, FeatureImagePairs(task.train, inputs, task.device), self.options, task.generator(), task.progress)
        if not all(bool(tensor.isfinite().all()) for tensor in decoder.state_dict().values()):
            raise EvaluationError(f"reconstruction diverged on feature {task.feature!r}; lower evaluator.reconstruction.lr.")
        found = compare(decoder, FeatureImagePairs(task.test, inputs, task.device), value_range, self.options.window, scales)
        stated = {"ms_ssim": {"scales": scales, "weights": [round(weight, 4) for weight in weights(scales)]}}
        return [score(name, values, stated.get(name, {})) for name, values in found.items()]

    def _range_and_scales(self, description: Description) -> tuple[tuple[float, float], int]:
        """The range of the images' pixels, and how many scales of MS-SSIM fit them."""
        window = self.options.window
        if len(description.shape) != 3:
            raise EvaluationError(
                f"reconstruction compares images [channels, height, width], and samples here have shape {description.shape}."
            )
        if description.value_range is None:
            raise EvaluationError("The range of the images' pixels is not known; state a value range where the data set is made.")
        _, height, width = description.shape
        side = min(height, width)
        if side < window:
            largest = side - 1 + side % 2
            advice = f"the largest that fits is evaluator.reconstruction.window={largest}" if largest >= 3 else "none fits them"
            raise EvaluationError(f"Images of {height} x {width} pixels are too small for an SSIM window of {window}; {advice}.")
        return description.value_range, scales_that_fit(side, window)


def train(
    decoder: nn.Module,
    pairs: FeatureImagePairs,
    options: ReconstructionOptions,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Lower ||x - decoded||², summed over an image's pixels and channels and averaged over the batch, by Adam."""
    optimiser = torch.optim.Adam(decoder.parameters(), lr=options.lr, betas=(0.5, 0.999), fused=True)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, options.milestones, gamma=0.1)
    decoder.train()
    for epoch in range(options.epochs):
        progress(epoch, options.epochs, "epochs")
        for features, pixels in pairs.shuffled(options.batch_size, generator):
            optimiser.zero_grad()
            loss = (pixels - decoder(features)).square().sum() / len(pixels)
            loss.backward()
            optimiser.step()
        schedule.step()


@torch.no_grad()
def compare(
    decoder: nn.Module, pairs: FeatureImagePairs, value_range: tuple[float, float], window: int, scales: int
) -> dict[str, Tensor]:
    """Each metric's value of every image, [n] float64 on the CPU; the decoder is in eval mode."""
    decoder.eval()
    low, high = value_range
    found: dict[str, list[Tensor]] = {"ssim": [], "ms_ssim": [], "ssim_dim": [], "mse": []}
    for features, pixels in pairs.in_order(SCORED):
        decoded = decoder(features)
        x, y = ((_exact(images) - low) / (high - low) for images in (pixels, decoded))
        found["ssim"].append(ssim(x, y, window))
        found["ms_ssim"].append(ms_ssim(x, y, window, scales))
        found["ssim_dim"].append(ssim_dim(2 * x - 1, 2 * y - 1))
        found["mse"].append((pixels - decoded).square().flatten(start_dim=1).mean(dim=1))
    return {name: torch.cat(values).double().cpu() for name, values in found.items()}


def score(name: str, values: Tensor, stated: Mapping[str, Any]) -> Score:
    """The mean of a metric over images [n], with their spread where there are several."""
    several = len(values) > 1
    return Score(
        name=name,
        value=float(values.mean()),
        std=float(values.std()) if several else None,
        over="samples" if several else None,
        n=len(values),
        selected=stated,
    )


def _exact(images: Tensor) -> Tensor:
    """Float64 on a GPU, whose convolutions may round float32 to ten bits; the windows' variances are small differences."""
    return images.double() if images.is_cuda else images
