"""Decoders that mirror the convolutional encoders."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import nn

from harness import Description, EncoderSpec
from harness_images.decoders import ConvDecoder
from harness_images.spec_encoders import ALEXNET_64, CONV_28, DCGAN_32, DCGAN_64, ENCODERS, IMAGE_SMALL

every_encoder = pytest.mark.parametrize("spec", ENCODERS, ids=lambda spec: spec.name)
RANGE = (-1.0, 1.0)


def attribute(path: str) -> object:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def make(
    spec: EncoderSpec,
    channels: int = 3,
    value_range: tuple[float, float] | None = RANGE,
    device: str = "cpu",
    scale: float = 1.0,
    feature: str = "y",
    **options: object,
) -> ConvDecoder:
    """The decoder of the encoder that `spec` builds with `options`, as the core builds both."""
    assert spec.shapes is not None
    side = spec.shapes[0][1]
    description = Description(kind="images", shape=(channels, side, side), samples=10, value_range=value_range)
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(0)
        encoder = attribute(spec.build)(description, spec.options(**options), torch.Generator())
        return attribute(spec.decoder)(encoder, feature, torch.Generator(), scale)


def small(spec: EncoderSpec, channels: int = 3, value_range: tuple[float, float] | None = RANGE, feature: str = "y") -> ConvDecoder:
    """The same with few channels."""
    hidden = {} if spec is IMAGE_SMALL else {"hidden": 20}
    return make(spec, channels, value_range, feature=feature, width=3, latent=7, **hidden)


def codes(number: int = 6) -> torch.Tensor:
    return torch.randn(number, 7, generator=torch.Generator().manual_seed(1))


def tconv(inputs: int, units: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(inputs, units, 4, 2, 1, bias=False), nn.BatchNorm2d(units), nn.ReLU()]


def linear(units: int, *shape: int) -> list[nn.Module]:
    return [nn.Linear(64, units, bias=False), nn.BatchNorm1d(units), nn.ReLU(), nn.Unflatten(1, shape)]


def last(inputs: int) -> nn.Module:
    return nn.Conv2d(inputs, 3, 3, 1, 1)


FOR_64 = [*linear(16384, 1024, 4, 4), *tconv(1024, 512), *tconv(512, 256), *tconv(256, 128), *tconv(128, 64), last(64)]
LITERAL = {
    "dcgan-32": [*linear(8192, 512, 4, 4), *tconv(512, 256), *tconv(256, 128), *tconv(128, 64), last(64)],
    "conv-28": [*linear(12544, 256, 7, 7), *tconv(256, 128), *tconv(128, 64), last(64)],
    "dcgan-64": FOR_64,
    "alexnet-64": FOR_64,
    "image-small": [*linear(512, 32, 4, 4), *tconv(32, 16), last(16)],
}
"""Every decoder with the default options, layer by layer, for three channels; without tanh."""


@every_encoder
def test_the_layers_are_those_written_out(spec: EncoderSpec) -> None:
    def described(layers: nn.Sequential) -> list[str]:
        return [str(layer).replace(", inplace=True", "").replace("inplace=True", "") for layer in layers]

    assert described(make(spec, device="meta").layers) == described(nn.Sequential(*LITERAL[spec.name.removesuffix("-gradients")]))


@pytest.mark.parametrize("spec", [DCGAN_32, CONV_28, IMAGE_SMALL], ids=lambda spec: spec.name)
@pytest.mark.parametrize("training", [True, False])
def test_images_are_those_of_the_decoder_written_out(spec: EncoderSpec, training: bool) -> None:
    decoder, written_out = make(spec), nn.Sequential(*LITERAL[spec.name.removesuffix("-gradients")])
    written_out.load_state_dict(dict(zip(written_out.state_dict(), decoder.state_dict().values(), strict=True)))
    y = torch.randn(3, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = written_out.train(training)(y).tanh()
        torch.testing.assert_close(decoder.train(training)(y), expected, rtol=1e-3, atol=1e-4)


def test_alexnets_decoder_is_that_of_the_other_encoder_for_its_size() -> None:
    theirs, alexnets = make(DCGAN_64, device="meta").state_dict(), make(ALEXNET_64, device="meta").state_dict()
    assert {name: tensor.shape for name, tensor in alexnets.items()} == {name: tensor.shape for name, tensor in theirs.items()}


@every_encoder
def test_a_scale_multiplies_the_widths_of_all_hidden_layers(spec: EncoderSpec) -> None:
    def channels(scale: float) -> list[int]:
        layers = make(spec, device="meta", scale=scale).layers
        return [layer.num_features for layer in layers if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]

    assert channels(0.5) == [width // 2 for width in channels(1.0)]


@every_encoder
@pytest.mark.parametrize("channels", [1, 3])
def test_y_becomes_an_image(spec: EncoderSpec, channels: int) -> None:
    assert spec.shapes is not None
    side = spec.shapes[0][1]
    assert small(spec, channels)(codes()).shape == (6, channels, side, side)


@every_encoder
@pytest.mark.parametrize("feature", ["fc", "conv", "local"])
def test_every_other_feature_becomes_an_image_too(spec: EncoderSpec, feature: str) -> None:
    assert spec.shapes is not None
    side = spec.shapes[0][1]
    description = Description(kind="images", shape=(3, side, side), samples=10, value_range=RANGE)
    hidden = {} if spec is IMAGE_SMALL else {"hidden": 20}
    encoder = attribute(spec.build)(description, spec.options(width=3, latent=7, **hidden), torch.Generator())
    values = torch.randn(6, *encoder.feature_shapes[feature], generator=torch.Generator().manual_seed(1))
    decoder = small(spec, feature=feature)
    assert decoder(values).shape == (6, 3, side, side)
    assert torch.equal(decoder.eval()(values), decoder.eval()(values.flatten(start_dim=1)))


@every_encoder
def test_only_the_first_layer_depends_on_the_feature(spec: EncoderSpec) -> None:
    def shapes(feature: str) -> dict[str, torch.Size]:
        state = make(spec, device="meta", feature=feature).state_dict()
        return {name: tensor.shape for name, tensor in state.items() if name != "layers.0.weight"}

    assert shapes("conv") == shapes("fc") == shapes("y")


@pytest.mark.parametrize("spec", [DCGAN_32, IMAGE_SMALL], ids=lambda spec: spec.name)
@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.0, 1.0), (2.0, 5.0)])
def test_decoded_pixels_lie_in_the_range_of_the_data(spec: EncoderSpec, value_range: tuple[float, float]) -> None:
    pixels = loud(small(spec, value_range=value_range))(codes(50))
    assert (pixels.min().item(), pixels.max().item()) == pytest.approx(value_range)


def test_decoded_pixels_are_unbounded_where_no_range_is_known() -> None:
    assert loud(small(DCGAN_32, value_range=None))(codes(50)).abs().max() > 10


def loud(decoder: ConvDecoder) -> ConvDecoder:
    """With the weights of the last layer a thousand times as large."""
    with torch.no_grad():
        weight = decoder.layers[-1].weight
        assert isinstance(weight, torch.Tensor)
        weight.mul_(1000)
    return decoder


@every_encoder
def test_gradients_reach_every_parameter(spec: EncoderSpec) -> None:
    decoder = small(spec)
    decoder(codes()).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in decoder.parameters())


@every_encoder
def test_kernels_lie_as_the_encoders_do(spec: EncoderSpec) -> None:
    layout = torch.contiguous_format if spec is IMAGE_SMALL else torch.channels_last
    kernels = [parameter for parameter in small(spec).parameters() if parameter.ndim == 4]
    assert all(kernel.is_contiguous(memory_format=layout) for kernel in kernels)


def test_gradients_lie_as_their_parameters_do() -> None:
    """Fused optimisers walk both in step."""
    decoder = small(DCGAN_32)
    decoder(codes()).square().sum().backward()
    assert all(parameter.grad.stride() == parameter.stride() for parameter in decoder.parameters())
