"""What can be reconstructed from a frozen feature: squared error, SSIM and MS-SSIM."""

from __future__ import annotations

from typing import Annotated, Literal

from harness import EvaluatorSpec, Meta, MetricSpec, Options, hookimpl

Milestone = Annotated[int, Meta(ge=1)]


class ReconstructionOptions(Options, frozen=True):
    """The decoder's training as Deep InfoMax's released code sets it, and the window of SSIM."""

    lr: Annotated[float, Meta(gt=0, description="Adam's learning rate at first")] = 1e-4
    milestones: Annotated[tuple[Milestone, ...], Meta(description="epochs after which the rate is divided by ten")] = (50, 100)
    epochs: Annotated[int, Meta(ge=1, description="passes over the training part")] = 150
    batch_size: Annotated[int, Meta(ge=2, description="samples a batch")] = 64
    decoder_scale: Annotated[float, Meta(gt=0, description="the decoder's widths, in those of the encoder's mirror")] = 1.0
    window: Annotated[
        Literal[3, 5, 7, 9, 11], Meta(description="side of the window of ssim and ms_ssim, in pixels; ssim_dim always has 11")
    ] = 11


def _similarity(name: str, lower: float, description: str, *, primary: bool = False) -> MetricSpec:
    return MetricSpec(name=name, unit="1", higher_is_better=True, lower=lower, upper=1.0, primary=primary, description=description)


@hookimpl
def harness_evaluators() -> list[EvaluatorSpec]:
    """The evaluators of this plugin."""
    return [
        EvaluatorSpec(
            name="reconstruction",
            summary="A decoder trained on the frozen feature: squared error, SSIM and MS-SSIM of what it makes of the test part.",
            build="harness_reconstruction.reconstruction:Reconstruction",
            needs=("inputs", "decoder"),
            metrics=(
                _similarity("ssim", -1.0, "mean structural similarity over all valid windows of a test image", primary=True),
                _similarity("ms_ssim", 0.0, "multi-scale structural similarity, with the scales that fit the image"),
                _similarity(
                    "ssim_dim",
                    -1.0,
                    'structural similarity as Deep InfoMax\'s released code computes it; what its paper calls "MS-SSIM"',
                    primary=True,
                ),
                MetricSpec(
                    name="mse",
                    unit="1",
                    higher_is_better=False,
                    lower=0.0,
                    description="squared error of a pixel and channel, averaged, in the range that the data's pixels have",
                ),
            ),
            options=ReconstructionOptions,
            judges_constants=False,
            budgets={
                "fast": {"epochs": 3, "lr": 1e-3, "milestones": (2,), "decoder_scale": 0.25},
                "smoke": {"epochs": 1, "lr": 1e-3, "milestones": (), "decoder_scale": 0.25},
            },
            tracks=("images",),
            requires=("torchmetrics",),
        )
    ]
