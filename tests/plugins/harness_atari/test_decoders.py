"""Decoders that mirror the encoders of frames."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import nn

from harness import Description, EncoderSpec
from harness_atari.decoders import FrameDecoder
from harness_atari.spec_encoders import IMPALA, NATURE_84, NATURE_FULL

FULL, SMALL = (210, 160), (84, 84)
SIZES = [(NATURE_FULL, FULL), (NATURE_84, SMALL), (IMPALA, FULL), (IMPALA, SMALL)]
every_size = pytest.mark.parametrize(("spec", "size"), SIZES, ids=[f"{spec.name}-{size[0]}" for spec, size in SIZES])
RANGE = (0.0, 1.0)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def attribute(path: str) -> object:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def make(
    spec: EncoderSpec,
    size: tuple[int, int],
    *,
    channels: int = 1,
    value_range: tuple[float, float] | None = RANGE,
    device: str = "cpu",
    scale: float = 1.0,
    feature: str = "y",
    **options: int,
) -> FrameDecoder:
    """The decoder of the encoder that `spec` builds, as the core builds both."""
    description = Description(kind="frames", shape=(channels, *size), samples=10, value_range=value_range)
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(0)
        encoder = attribute(spec.build)(description, spec.options(**options), torch.Generator())
        return attribute(spec.decoder)(encoder, feature, torch.Generator(), scale)


def small(spec: EncoderSpec, size: tuple[int, int], **details: object) -> FrameDecoder:
    return make(spec, size, width=2, latent=7, **details)


def codes(number: int = 3, size: int = 7) -> torch.Tensor:
    return torch.randn(number, size, generator=torch.Generator().manual_seed(1))


def tconv(inputs: int, outputs: int, kernel: int, stride: int, padding: tuple[int, int] = (0, 0)) -> nn.Module:
    return nn.ConvTranspose2d(inputs, outputs, kernel, stride, output_padding=padding)


def rectified(*layers: nn.Module) -> list[nn.Module]:
    return [each for layer in layers for each in (nn.ReLU(), layer)]


LITERAL = {
    ("nature-full", 210): lambda: nn.Sequential(
        nn.Linear(256, 64 * 9 * 6),
        nn.Unflatten(1, (64, 9, 6)),
        *rectified(tconv(64, 128, 3, 1), tconv(128, 64, 4, 2), tconv(64, 32, 4, 2, (1, 1)), tconv(32, 1, 8, 4, (2, 0))),
    ),
    ("nature-84", 84): lambda: nn.Sequential(
        nn.Linear(256, 32 * 7 * 7),
        nn.Unflatten(1, (32, 7, 7)),
        *rectified(tconv(32, 64, 3, 1), tconv(64, 32, 4, 2), tconv(32, 1, 8, 4)),
    ),
    ("impala", 210): lambda: nn.Sequential(
        nn.Linear(256, 32 * 12 * 9),
        nn.Unflatten(1, (32, 12, 9)),
        *rectified(tconv(32, 32, 3, 2), tconv(32, 32, 3, 2), tconv(32, 16, 3, 2, (1, 0)), tconv(16, 1, 3, 2, (1, 1))),
    ),
    ("impala", 84): lambda: nn.Sequential(
        nn.Linear(256, 32 * 9 * 9),
        nn.Unflatten(1, (32, 9, 9)),
        *rectified(tconv(32, 32, 3, 2, (1, 1)), tconv(32, 16, 3, 2), tconv(16, 1, 3, 2, (1, 1))),
    ),
}
"""Every decoder with the default options, layer by layer; without the sigmoid."""


@every_size
def test_frames_are_those_of_the_decoder_written_out(spec, size):
    with torch.device("meta"):
        written_out = LITERAL[spec.name, size[0]]()
    decoder = make(spec, size)
    state = dict(zip(written_out.state_dict(), (tensor.contiguous() for tensor in decoder.state_dict().values()), strict=True))
    written_out.load_state_dict(state, assign=True)
    with torch.no_grad():
        expected = written_out(codes(2, 256)).sigmoid()
        torch.testing.assert_close(decoder(codes(2, 256)), expected, rtol=1e-4, atol=1e-5)


@every_size
@pytest.mark.parametrize("channels", [1, 3])
def test_y_becomes_a_frame_of_the_size_that_was_encoded(spec, size, channels):
    assert small(spec, size, channels=channels)(codes()).shape == (3, channels, *size)


@every_size
@pytest.mark.parametrize("feature", ["local", "conv", "fc"])
def test_every_other_feature_becomes_a_frame_too(spec, size, feature):
    description = Description(kind="frames", shape=(1, *size), samples=10, value_range=RANGE)
    encoder = attribute(spec.build)(description, spec.options(width=2, latent=7), torch.Generator())
    values = torch.randn(2, *encoder.feature_shapes[feature], generator=torch.Generator().manual_seed(1))
    assert small(spec, size, feature=feature)(values).shape == (2, 1, *size)


@every_size
def test_a_scale_multiplies_the_widths_of_all_hidden_layers(spec, size):
    def channels(scale: float) -> list[int]:
        layers = make(spec, size, device="meta", scale=scale).layers
        return [layer.in_channels for layer in layers if isinstance(layer, nn.ConvTranspose2d)]

    assert channels(0.5) == [width // 2 for width in channels(1.0)]
    assert set(channels(1e-6)) == {1}


@pytest.mark.parametrize("value_range", [(0.0, 1.0), (-1.0, 1.0), (2.0, 5.0)])
def test_decoded_pixels_lie_in_the_range_of_the_data(value_range):
    pixels = loud(small(NATURE_84, SMALL, value_range=value_range))(codes(20))
    assert (pixels.min().item(), pixels.max().item()) == pytest.approx(value_range)


def test_decoded_pixels_are_unbounded_where_no_range_is_known():
    assert loud(small(NATURE_84, SMALL, value_range=None))(codes(20)).abs().max() > 10


def loud(decoder: FrameDecoder) -> FrameDecoder:
    """With the weights of the last layer a hundred thousand times as large."""
    with torch.no_grad():
        decoder.layers[-1].weight.mul_(1e5)
    return decoder


@every_size
def test_transposed_convolutions_begin_orthogonal_with_the_gain_of_a_relu(spec, size):
    for layer in make(spec, size).layers:
        if isinstance(layer, nn.ConvTranspose2d):
            rows = layer.weight.detach().flatten(1)
            rows = rows if len(rows) <= rows.shape[1] else rows.T
            torch.testing.assert_close(rows @ rows.T, 2 * torch.eye(len(rows)), rtol=0, atol=1e-4)
            assert not layer.bias.any()


@every_size
def test_gradients_reach_every_parameter_and_lie_as_they_do(spec, size):
    decoder = small(spec, size)
    decoder(codes()).square().sum().backward()
    for parameter in decoder.parameters():
        assert parameter.grad is not None
        assert parameter.grad.any()
        assert parameter.grad.stride() == parameter.stride() or parameter.is_contiguous()
