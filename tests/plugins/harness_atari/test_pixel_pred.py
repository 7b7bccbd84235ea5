"""The objective pixel-pred."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from harness import Description, Encoder, FramePairs, Images, ObjectiveContext, PluginError, Step, TimePairs, UnfitError
from harness_atari.decoders import mirror_decoder
from harness_atari.encoders import build_nature_84
from harness_atari.pixel_pred import PixelPrediction, build
from harness_atari.spec_encoders import NatureOptions
from harness_atari.spec_objectives import PixelPredOptions

B = 3
DESCRIPTION = Description(kind="frames", shape=(1, 84, 84), samples=40, value_range=(0.0, 1.0))


class Watched(Encoder):
    """An encoder that notes what it is given."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.inner, self.feature_shapes = encoder, encoder.feature_shapes
        self.seen: list[Tensor] = []

    def forward(self, batch):
        self.seen.append(batch.pixels)
        return self.inner(batch)


def objective(**options: object) -> PixelPrediction:
    torch.manual_seed(0)
    encoder = build_nature_84(DESCRIPTION, NatureOptions(width=4, latent=8), torch.Generator())
    context = ObjectiveContext(DESCRIPTION, decoder=lambda generator, scale: mirror_decoder(encoder, "y", generator, scale))
    return build(Watched(encoder), context, PixelPredOptions(**options), torch.Generator())


def step() -> Step:
    first, second = torch.rand(2, B, 1, 84, 84, generator=torch.Generator().manual_seed(1))
    return Step(FramePairs(index=torch.arange(B), first=first, second=second), 0, 0, torch.Generator())


def test_the_loss_is_the_mean_squared_error_of_the_next_frame():
    made, batch = objective(), step().batch
    y = made.encoder(Images(index=batch.index, pixels=batch.first))["y"]
    predicted = made.decoder(nn.functional.linear(y, made.advance.weight, made.advance.bias))
    pixels = zip(predicted.flatten().tolist(), batch.second.flatten().tolist(), strict=True)
    expected = sum((a - b) ** 2 for a, b in pixels) / (B * 84 * 84)
    assert made.prediction(step())["loss"].item() == pytest.approx(expected, rel=1e-4)


def test_only_the_earlier_frame_is_encoded():
    made, one = objective(), step()
    made.prediction(one)
    assert [torch.equal(seen, one.batch.first) for seen in made.encoder.seen] == [True]


def test_a_few_steps_lower_the_loss():
    made = objective(lr=3e-3)
    (phase,) = made.phases()
    parameters = list(phase.parameters)
    assert {id(one) for one in parameters} == {id(one) for one in made.parameters()}
    optimiser = phase.optimiser(parameters)
    assert optimiser.param_groups[0]["eps"] == 1e-5
    black = Step(FramePairs(index=torch.arange(B), first=step().batch.first, second=torch.zeros(B, 1, 84, 84)), 0, 0, None)
    before = phase.loss(black)["loss"].item()
    for _ in range(20):
        optimiser.zero_grad()
        phase.loss(black)["loss"].backward()
        optimiser.step()
    assert phase.loss(black)["loss"].item() < 0.5 * before


def test_the_exported_decoder_gives_the_next_frame():
    made, batch = objective(), step().batch
    y = made.encoder(Images(index=batch.index, pixels=batch.first))["y"]
    found = nn.functional.mse_loss(made.exports()["decoder"](y), batch.second)
    torch.testing.assert_close(found, made.prediction(step())["loss"])


def test_the_decoder_has_the_width_that_is_asked_for():
    def units(scale: float) -> int:
        layers = objective(decoder_scale=scale).decoder.modules()
        return next(layer.out_features for layer in layers if isinstance(layer, nn.Linear))

    assert units(2.0) == 2 * units(1.0)


def test_pairs_are_drawn_at_the_offset():
    assert objective(offset=2).sampling == TimePairs(offset=2)


def test_without_a_decoder_it_is_the_cores_fault():
    encoder = build_nature_84(DESCRIPTION, NatureOptions(width=4), torch.Generator())
    with pytest.raises(PluginError, match="mirror decoder"):
        build(encoder, ObjectiveContext(DESCRIPTION), PixelPredOptions(), torch.Generator())


def test_an_encoder_without_a_vector_is_refused():
    encoder = build_nature_84(DESCRIPTION, NatureOptions(width=4), torch.Generator())
    encoder.feature_shapes = {"local": (4, 7, 7)}
    with pytest.raises(UnfitError, match='"y"'):
        build(encoder, ObjectiveContext(DESCRIPTION), PixelPredOptions(), torch.Generator())
