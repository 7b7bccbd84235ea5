"""The encoders of frames: published sizes, published layers, and how their weights begin."""

from __future__ import annotations

import importlib
import math

import pytest
import torch
from torch import Tensor, nn

from harness import Description, EncoderSpec, Images
from harness_atari.encoders import FrameEncoder
from harness_atari.spec_encoders import ENCODERS, IMPALA, NATURE_84, NATURE_FULL

FULL, SMALL = (210, 160), (84, 84)
SIZES = [(NATURE_FULL, FULL), (NATURE_84, SMALL), (IMPALA, FULL), (IMPALA, SMALL)]
every_size = pytest.mark.parametrize(("spec", "size"), SIZES, ids=[f"{spec.name}-{size[0]}" for spec, size in SIZES])


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(spec: EncoderSpec, size: tuple[int, int], channels: int = 1, device: str = "cpu", **options: int) -> FrameEncoder:
    """The encoder as the core builds it, from a fixed random state."""
    module, _, name = spec.build.partition(":")
    description = Description(kind="frames", shape=(channels, *size), samples=10, value_range=(0.0, 1.0))
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(0)
        return getattr(importlib.import_module(module), name)(description, spec.options(**options), torch.Generator())


def frames(size: tuple[int, int], number: int = 2, channels: int = 1) -> Images:
    pixels = torch.rand(number, channels, *size, generator=torch.Generator().manual_seed(1))
    return Images(index=torch.arange(number), pixels=pixels)


# ------------------------------------------------------------------------------------------- the published sizes

SHAPES = {
    ("nature-full", 210): {"y": (256,), "local": (128, 11, 8), "conv": (64, 9, 6), "fc": (3456,)},
    ("nature-84", 84): {"y": (256,), "local": (32, 7, 7), "conv": (32, 7, 7), "fc": (1568,)},
    ("impala", 210): {"y": (256,), "local": (32, 25, 19), "conv": (32, 12, 9), "fc": (3456,)},
    ("impala", 84): {"y": (256,), "local": (32, 9, 9), "conv": (32, 9, 9), "fc": (2592,)},
}


@every_size
def test_features_have_the_published_shapes_in_the_order_of_the_spec(spec, size):
    encoder = make(spec, size, device="meta")
    assert encoder.feature_shapes == SHAPES[spec.name, size[0]]
    assert list(encoder.feature_shapes) == [feature.name for feature in spec.features]


@every_size
@pytest.mark.parametrize("channels", [1, 3])
def test_features_have_the_shapes_that_are_declared(spec, size, channels):
    encoder = make(spec, size, channels, width=2, latent=5)
    found = encoder(frames(size, channels=channels))
    assert {name: tuple(values.shape[1:]) for name, values in found.items()} == dict(encoder.feature_shapes)
    assert list(found) == list(encoder.feature_shapes)


@every_size
def test_the_spec_reads_the_sizes_it_is_built_for(spec, size):
    assert spec.reads((1, *size))
    assert not spec.reads((1, 64, 64))


def test_a_width_multiplies_all_channels():
    def channels(width: int) -> list[int]:
        return [shape[0] for shape in make(NATURE_FULL, FULL, device="meta", width=width).maps[1:]]

    assert (channels(32), channels(4)) == ([32, 64, 128, 64], [4, 8, 16, 8])


# ------------------------------------------------------------------------------------- the layers written out


def nature(convolutions: list[nn.Conv2d], units: int) -> nn.ModuleDict:
    return nn.ModuleDict({"convolutions": nn.ModuleList(convolutions), "y": nn.Linear(units, 256)})


LITERAL = {
    "nature-full": lambda: nature(
        [nn.Conv2d(1, 32, 8, 4), nn.Conv2d(32, 64, 4, 2), nn.Conv2d(64, 128, 4, 2), nn.Conv2d(128, 64, 3, 1)], 3456
    ),
    "nature-84": lambda: nature([nn.Conv2d(1, 32, 8, 4), nn.Conv2d(32, 64, 4, 2), nn.Conv2d(64, 32, 3, 1)], 1568),
}


@pytest.mark.parametrize(("spec", "size"), SIZES[:2], ids=["nature-full", "nature-84"])
def test_nature_is_the_network_written_out(spec, size):
    encoder, literal = make(spec, size), LITERAL[spec.name]()
    literal.load_state_dict(dict(zip(literal.state_dict(), encoder.state_dict().values(), strict=True)))
    maps = [frames(size).pixels]
    for convolution in literal["convolutions"]:
        maps.append(convolution(maps[-1]).relu())
    expected = {"y": literal["y"](maps[-1].flatten(1)), "local": maps[3], "conv": maps[-1], "fc": maps[-1].flatten(1)}
    for name, values in encoder(frames(size)).items():
        torch.testing.assert_close(values, expected[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [FULL, SMALL])
def test_impala_is_the_network_written_out(size):
    encoder = make(IMPALA, size, width=2, latent=5)
    weights = list(encoder.parameters())

    def convolved(maps: Tensor) -> Tensor:
        weight, bias = weights.pop(0), weights.pop(0)
        padded = nn.functional.pad(maps, (1, 1, 1, 1), mode="reflect")
        return nn.functional.conv2d(padded, weight, bias)

    maps = [frames(size).pixels]
    while len(weights) > 2:
        inner = nn.functional.max_pool2d(convolved(maps[-1]), 3, stride=2)
        for _ in range(2):
            inner = inner.relu()
            inner = (convolved(convolved(inner).relu()) + inner).relu()
        maps.append(inner)
    expected = {"y": nn.functional.linear(maps[-1].flatten(1), *weights), "local": maps[3], "conv": maps[-1]}
    found = encoder(frames(size))
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-4, atol=1e-5)


@every_size
def test_y_is_no_rectified_vector(spec, size):
    assert (make(spec, size, width=2, latent=20)(frames(size))["y"] < 0).any()


# ------------------------------------------------------------------------------------------ how weights begin


@pytest.mark.parametrize(("spec", "size"), SIZES[:2], ids=["nature-full", "nature-84"])
def test_weights_of_nature_begin_orthogonal_with_the_gain_of_a_relu_and_biases_at_zero(spec, size):
    layers = [layer for layer in make(spec, size).modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(layers) == len(LITERAL[spec.name]()["convolutions"]) + 1
    for layer in layers:
        rows = layer.weight.detach().flatten(1)
        rows = rows if len(rows) <= rows.shape[1] else rows.T
        torch.testing.assert_close(rows @ rows.T, 2 * torch.eye(len(rows)), rtol=0, atol=1e-4)
        assert not layer.bias.any()


@every_size
def test_the_same_random_state_gives_the_same_weights(spec, size):
    one, other = make(spec, size, width=2), make(spec, size, width=2)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


# -------------------------------------------------------------------------------------------- how maps lie


@every_size
def test_gradients_lie_as_their_parameters_do_and_reach_all_of_them(spec, size):
    """Fused optimisers walk both in step."""
    encoder = make(spec, size, width=8, latent=5)
    encoder(frames(size))["y"].square().sum().backward()
    for parameter in encoder.parameters():
        assert parameter.grad is not None
        assert parameter.grad.any()
        assert parameter.grad.stride() == parameter.stride() or parameter.is_contiguous()


def test_local_vectors_lie_side_by_side():
    local = make(NATURE_FULL, FULL, width=2)(frames(FULL))["local"]
    assert local.is_contiguous(memory_format=torch.channels_last)


def test_two_batches_in_one_pass_are_two_passes():
    encoder, batch = make(NATURE_84, SMALL, width=4), frames(SMALL, 6)
    halves = [encoder(Images(index=batch.index[part], pixels=batch.pixels[part])) for part in (slice(0, 3), slice(3, 6))]
    for name, values in encoder(batch).items():
        torch.testing.assert_close(values, torch.cat([half[name] for half in halves]), rtol=1e-4, atol=1e-5)


def test_every_encoder_reads_frames_and_only_those():
    assert {spec.kinds for spec in ENCODERS} == {("frames",)}


def test_signals_keep_their_size_through_nature():
    """The reason for a gain of √2: the mean square of y is that of the pixels to an order of magnitude."""
    batch = frames(FULL, 4)
    y = make(NATURE_FULL, FULL)(batch)["y"]
    assert 0.1 < math.sqrt(y.square().mean().item() / batch.pixels.square().mean().item()) < 10
