"""The objective autoencoder."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from harness import Batch, Description, Encoder, Images, Items, ObjectiveContext, PluginError, Step
from harness_baselines.autoencoder import Autoencoder, build
from harness_baselines.spec import AutoencoderOptions

DESCRIPTION = Description(kind="images", shape=(2, 8, 8), samples=5)


class Summary(Encoder):
    """y is the sum of an image's pixels, times a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_shapes = {"y": (1,)}
        self.weight = nn.Parameter(torch.tensor(0.01))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(batch, Images)
        return {"y": self.weight * batch.pixels.sum(dim=(1, 2, 3)).unsqueeze(1)}


class Flat(nn.Module):
    """Every pixel becomes y plus a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.tensor(0.5))

    def forward(self, y: Tensor) -> Tensor:
        return (y + self.bias).reshape(-1, 1, 1, 1).expand(-1, 2, 8, 8)


def autoencoder(lr: float = 1e-3) -> Autoencoder:
    context = ObjectiveContext(description=DESCRIPTION, decoder=lambda generator, scale: Flat())
    return build(Summary(), context, AutoencoderOptions(lr=lr), torch.Generator())


def step() -> Step:
    pixels = torch.rand(5, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    return Step(batch=Images(index=torch.arange(5), pixels=pixels), epoch=0, index=0, generator=torch.Generator())


def test_the_loss_is_the_squared_error_summed_over_an_image_and_averaged_over_the_batch() -> None:
    batch = step().batch
    total = 0.0
    for image in batch.pixels.double():
        decoded = 0.01 * image.sum().item() + 0.5
        for pixel in image.flatten().tolist():
            total += (pixel - decoded) ** 2
    assert autoencoder().reconstruction(step())["loss"].item() == pytest.approx(total / 5, rel=1e-5)


def test_a_perfect_reconstruction_costs_nothing() -> None:
    pixels = torch.full((3, 2, 8, 8), 0.25)
    made = autoencoder()
    with torch.no_grad():
        made.encoder.weight.fill_(0.0)
        made.decoder.bias.fill_(0.25)
    batch = Images(index=torch.arange(3), pixels=pixels)
    assert made.reconstruction(Step(batch, 0, 0, torch.Generator()))["loss"].item() == 0.0


def test_gradients_are_those_of_the_formula() -> None:
    """d/db of the mean over images of sum (x - wS - b)^2 is -2 mean sum (x - wS - b)."""
    made, pixels = autoencoder(), step().batch.pixels
    made.reconstruction(step())["loss"].backward()
    error = pixels - (0.01 * pixels.sum(dim=(1, 2, 3)) + 0.5).reshape(-1, 1, 1, 1)
    assert made.decoder.bias.grad.item() == pytest.approx(-2 * error.sum().item() / 5, rel=1e-5)


def test_encoder_and_decoder_are_trained_together_in_one_phase() -> None:
    made = autoencoder()
    (phase,) = made.phases()
    assert {id(parameter) for parameter in phase.parameters} == {id(made.encoder.weight), id(made.decoder.bias)}


def test_the_learning_rate_reaches_the_optimiser() -> None:
    (phase,) = autoencoder(lr=0.02).phases()
    assert phase.optimiser(list(phase.parameters)).param_groups[0]["lr"] == 0.02


def test_images_are_drawn_one_by_one() -> None:
    assert autoencoder().sampling == Items()


def test_the_decoder_is_exported() -> None:
    made = autoencoder()
    assert made.exports() == {"decoder": made.decoder}


def test_without_a_decoder_it_is_the_cores_fault() -> None:
    with pytest.raises(PluginError, match="mirror decoder"):
        build(Summary(), ObjectiveContext(description=DESCRIPTION), AutoencoderOptions(), torch.Generator())


def test_a_few_steps_lower_the_loss() -> None:
    made = autoencoder(lr=0.05)
    (phase,) = made.phases()
    optimiser = phase.optimiser(list(phase.parameters))
    before = phase.loss(step())["loss"].item()
    for _ in range(50):
        optimiser.zero_grad()
        phase.loss(step())["loss"].backward()
        optimiser.step()
    assert phase.loss(step())["loss"].item() < 0.5 * before
