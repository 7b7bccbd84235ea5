"""The convolutional encoders of Deep InfoMax, and image-small."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from harness import Description, EncoderSpec, Images
from harness.line.checkpoints import (
    load_tensors,
    network_state,
    optimiser_state,
    restore_network,
    restore_optimiser,
    save_tensors,
)
from harness_images import encoders
from harness_images.encoders import ConvEncoder
from harness_images.spec_encoders import (
    ALEXNET_64,
    ALEXNET_64_GRADIENTS,
    CONV_28,
    DCGAN_32,
    DCGAN_32_GRADIENTS,
    DCGAN_64,
    IMAGE_SMALL,
)

ENCODERS = [DCGAN_32, CONV_28, DCGAN_64, ALEXNET_64, IMAGE_SMALL]
every_encoder = pytest.mark.parametrize("spec", ENCODERS, ids=lambda spec: spec.name)
CHANNELS_LAST = [spec for spec in ENCODERS if spec is not IMAGE_SMALL]
SMALLER = {"dcgan-32": 4, "conv-28": 4, "dcgan-64": 4, "alexnet-64": 3, "image-small": 4}


def make(spec: EncoderSpec, channels: int = 3, **options: object) -> ConvEncoder:
    """The encoder as the core builds it, from a fixed random state."""
    assert spec.shapes is not None
    side = spec.shapes[0][1]
    description = Description(kind="images", shape=(channels, side, side), samples=10, value_range=(-1.0, 1.0))
    build = getattr(encoders, spec.build.partition(":")[2])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(description, spec.options(**options), torch.Generator())


def small(spec: EncoderSpec, channels: int = 3, **options: object) -> ConvEncoder:
    """The encoder with few channels."""
    hidden = {} if spec is IMAGE_SMALL else {"hidden": 20}
    return make(spec, channels, **{"width": SMALLER[spec.name], "latent": 7, **hidden, **options})


def images(encoder: ConvEncoder, number: int = 6) -> Images:
    """Noise in the encoder's own type."""
    shape = (number, encoder.channels, encoder.side, encoder.side)
    pixels = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    return Images(index=torch.arange(number), pixels=pixels.to(encoder.output.weight.dtype))


# ------------------------------------------------------------------------------------- the published sizes


def conv(inputs: int, units: int, kernel: int, stride: int, pad: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, units, kernel, stride, pad, bias=False), nn.BatchNorm2d(units), nn.ReLU()]


def fc(inputs: int, units: int) -> list[nn.Module]:
    return [nn.Linear(inputs, units, bias=False), nn.BatchNorm1d(units), nn.ReLU()]


def pool() -> nn.Module:
    return nn.MaxPool2d(3, 2)


LITERAL = {
    "dcgan-32": lambda: {
        "local": nn.Sequential(*conv(3, 64, 4, 2, 1), *conv(64, 128, 4, 2, 1)),
        "conv": nn.Sequential(*conv(128, 256, 4, 2, 1)),
        "fc": nn.Sequential(nn.Flatten(), *fc(4096, 1024)),
        "y": nn.Linear(1024, 64),
    },
    "conv-28": lambda: {
        "local": nn.Sequential(*conv(3, 64, 5, 2, 2), *conv(64, 128, 5, 2, 2)),
        "conv": nn.Identity(),
        "fc": nn.Sequential(nn.Flatten(), *fc(6272, 1024)),
        "y": nn.Linear(1024, 64),
    },
    "dcgan-64": lambda: {
        "local": nn.Sequential(*conv(3, 64, 4, 2, 1), *conv(64, 128, 4, 2, 1), *conv(128, 256, 4, 2, 1)),
        "conv": nn.Sequential(*conv(256, 512, 4, 2, 1)),
        "fc": nn.Sequential(nn.Flatten(), *fc(8192, 1024)),
        "y": nn.Linear(1024, 64),
    },
    "alexnet-64": lambda: {
        "local": nn.Sequential(*conv(3, 96, 3, 1, 1), pool(), *conv(96, 192, 3, 1, 1), pool(), *conv(192, 384, 3, 1, 1)),
        "conv": nn.Sequential(*conv(384, 384, 3, 1, 1), *conv(384, 192, 3, 1, 1), pool()),
        "fc": nn.Sequential(nn.Flatten(), *fc(9408, 4096), *fc(4096, 4096)),
        "y": nn.Linear(4096, 64),
    },
    "image-small": lambda: {
        "local": nn.Sequential(*conv(3, 16, 3, 1, 1)),
        "conv": nn.Sequential(*conv(16, 32, 4, 2, 1)),
        "fc": nn.Sequential(nn.Flatten(), *fc(512, 128)),
        "y": nn.Linear(128, 64),
    },
}
"""Every encoder with its default options, layer by layer, for three channels. Each part reads what the one before it gives."""


def written_out(encoder: ConvEncoder, name: str) -> nn.ModuleDict:
    """The encoder written out, with our weights."""
    with torch.device("meta"):
        literal = nn.ModuleDict(LITERAL[name]())
    names, weights = literal.state_dict(), encoder.state_dict().values()
    assert [tensor.shape for tensor in names.values()] == [tensor.shape for tensor in weights]
    literal.load_state_dict(dict(zip(names, (weight.contiguous() for weight in weights), strict=True)), assign=True)
    return literal


def features_of_the_literal(literal: nn.ModuleDict, x: Tensor) -> dict[str, Tensor]:
    features = {}
    for name, part in literal.items():
        x = features[name] = part(x)
    return features


@every_encoder
def test_every_feature_is_that_of_the_encoder_written_out(spec: EncoderSpec) -> None:
    encoder = make(spec).double()
    literal, batch = written_out(encoder, spec.name), images(encoder, 3)
    for training in (True, False):
        with torch.no_grad():
            features = encoder.train(training)(batch)
            expected = features_of_the_literal(literal.train(training), batch.pixels)
        for name, feature in features.items():
            torch.testing.assert_close(feature, expected[name], msg=lambda text, of=(name, training): f"{of}: {text}")


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        (DCGAN_32, 16 * (3 * 64 + 64 * 128 + 128 * 256) + 4096 * 1024 + 2 * (64 + 128 + 256 + 1024) + 1024 * 64 + 64),
        (CONV_28, 25 * (3 * 64 + 64 * 128) + 6272 * 1024 + 2 * (64 + 128 + 1024) + 1024 * 64 + 64),
        (
            DCGAN_64,
            16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 8192 * 1024 + 2 * (64 + 128 + 256 + 512 + 1024) + 1024 * 64 + 64,
        ),
        (
            ALEXNET_64,
            9 * (3 * 96 + 96 * 192 + 192 * 384 + 384 * 384 + 384 * 192)
            + (9408 + 4096) * 4096
            + 2 * (96 + 192 + 384 + 384 + 192 + 4096 + 4096)
            + 4096 * 64
            + 64,
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_number_of_parameters(spec: EncoderSpec, count: int) -> None:
    """Kernels, hidden layers, scale and shift of batch normalisation, y."""
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in make(spec).parameters()) == count


@pytest.mark.parametrize(
    ("spec", "shapes"),
    [
        (DCGAN_32, {"y": (64,), "fc": (1024,), "conv": (256, 4, 4), "local": (128, 8, 8)}),
        (CONV_28, {"y": (64,), "fc": (1024,), "conv": (128, 7, 7), "local": (128, 7, 7)}),
        (DCGAN_64, {"y": (64,), "fc": (1024,), "conv": (512, 4, 4), "local": (256, 8, 8)}),
        (ALEXNET_64, {"y": (64,), "fc": (4096,), "conv": (192, 7, 7), "local": (384, 15, 15)}),
        (IMAGE_SMALL, {"y": (64,), "fc": (128,), "conv": (32, 4, 4), "local": (16, 8, 8)}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_shapes_by_default(spec: EncoderSpec, shapes: dict[str, tuple[int, ...]]) -> None:
    with torch.device("meta"):
        assert make(spec).feature_shapes == shapes


# --------------------------------------------------------------------------------------------- features


@every_encoder
@pytest.mark.parametrize("channels", [1, 3])
def test_every_feature_has_the_shape_declared(spec: EncoderSpec, channels: int) -> None:
    encoder = small(spec, channels)
    shapes = {name: tuple(feature.shape) for name, feature in encoder(images(encoder)).items()}
    assert shapes == {name: (6, *shape) for name, shape in encoder.feature_shapes.items()}


@every_encoder
def test_features_come_in_the_order_of_the_spec(spec: EncoderSpec) -> None:
    encoder = small(spec)
    declared = [feature.name for feature in spec.features]
    assert list(encoder.feature_shapes) == list(encoder(images(encoder))) == declared == ["y", "fc", "conv", "local"]


@every_encoder
def test_y_is_a_linear_map_of_the_last_hidden_layer(spec: EncoderSpec) -> None:
    encoder = small(spec)
    features = encoder(images(encoder))
    torch.testing.assert_close(features["y"], features["fc"] @ encoder.output.weight.T + encoder.output.bias)
    assert features["y"].min() < 0


@every_encoder
@pytest.mark.parametrize("feature", ["fc", "conv", "local"])
def test_the_other_features_are_rectified(spec: EncoderSpec, feature: str) -> None:
    encoder = small(spec)
    values = encoder(images(encoder))[feature]
    assert values.min() >= 0
    assert values.max() > 0


@every_encoder
def test_in_eval_mode_a_sample_does_not_depend_on_its_batch(spec: EncoderSpec) -> None:
    encoder = small(spec).eval()
    batch = images(encoder)
    alone = Images(index=batch.index[:1], pixels=batch.pixels[:1])
    for name, feature in encoder(alone).items():
        torch.testing.assert_close(feature, encoder(batch)[name][:1], rtol=1e-4, atol=1e-5)


@every_encoder
def test_where_batch_normalisation_follows_there_is_no_bias(spec: EncoderSpec) -> None:
    *hidden, output = [layer for layer in small(spec).modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    norms = [layer for layer in small(spec).modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert [layer.bias for layer in hidden] == [None] * len(norms)
    assert output.bias is not None


@every_encoder
def test_gradients_of_y_reach_every_parameter(spec: EncoderSpec) -> None:
    encoder = small(spec)
    encoder(images(encoder))["y"].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in encoder.parameters())


@every_encoder
def test_reading_a_batch_leaves_it_as_it_is(spec: EncoderSpec) -> None:
    encoder = small(spec)
    batch = images(encoder)
    before = batch.pixels.clone()
    encoder(batch)
    assert torch.equal(batch.pixels, before)


# ---------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize("spec", [DCGAN_32, CONV_28, DCGAN_64], ids=lambda spec: spec.name)
def test_width_doubles_from_convolution_to_convolution(spec: EncoderSpec) -> None:
    widths = [layer.out_channels for layer in make(spec, width=5, hidden=9).modules() if isinstance(layer, nn.Conv2d)]
    assert widths == [5, 10, 20, 40][: len(widths)]


def test_alexnets_other_convolutions_follow_the_first() -> None:
    widths = [layer.out_channels for layer in make(ALEXNET_64, width=5, hidden=9).modules() if isinstance(layer, nn.Conv2d)]
    assert widths == [5, 10, 20, 20, 10]


@every_encoder
def test_latent_is_the_size_of_y(spec: EncoderSpec) -> None:
    assert small(spec, latent=11).feature_shapes["y"] == (11,)


@pytest.mark.parametrize("spec", CHANNELS_LAST, ids=lambda spec: spec.name)
def test_hidden_is_the_size_of_fc(spec: EncoderSpec) -> None:
    assert small(spec, hidden=13).feature_shapes["fc"] == (13,)


def test_alexnet_has_two_hidden_layers() -> None:
    sizes = [layer.out_features for layer in small(ALEXNET_64, hidden=13).modules() if isinstance(layer, nn.Linear)]
    assert sizes == [13, 13, 7]


def test_normal_weights_have_the_deviation_of_bigan() -> None:
    for layer in make(ALEXNET_64, width=12, hidden=300, init="normal-0.02").modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            error = 5 / layer.weight.numel() ** 0.5
            assert layer.weight.std().item() == pytest.approx(0.02, rel=error)
            assert layer.weight.mean().item() == pytest.approx(0, abs=0.02 * error)


def test_default_weights_are_those_of_torch() -> None:
    """Uniform within 1 / sqrt(inputs)."""
    weight = make(ALEXNET_64, width=12, hidden=300).hidden[0].weight
    assert isinstance(weight, Tensor)
    bound = weight.shape[1] ** -0.5
    assert 0.99 * bound < weight.abs().max().item() <= bound


# ------------------------------------------------------------------------------- layers above the local map


@every_encoder
def test_the_layers_above_map_the_local_features_to_as_many_units_as_asked(spec: EncoderSpec) -> None:
    encoder = small(spec)
    assert encoder.above_local(9)(encoder(images(encoder))["local"]).shape == (6, 9)


@every_encoder
@pytest.mark.parametrize("training", [True, False])
def test_with_the_encoders_weights_the_layers_above_give_y(spec: EncoderSpec, training: bool) -> None:
    encoder = small(spec)
    encoder(images(encoder))  # so that the running averages of batch normalisation are not those they begin with
    above = encoder.above_local(encoder.latent).train(training)
    state, whole = above.state_dict(), list(encoder.state_dict().values())
    above.load_state_dict(dict(zip(state, whole[len(whole) - len(state) :], strict=True)))
    features = encoder.train(training)(images(encoder))
    torch.testing.assert_close(above(features["local"]), features["y"])


@every_encoder
def test_the_layers_above_have_weights_of_their_own(spec: EncoderSpec) -> None:
    encoder = small(spec)
    mine = {id(tensor) for tensor in network_state(encoder).values()}
    assert not mine & {id(tensor) for tensor in network_state(encoder.above_local(9)).values()}


@every_encoder
def test_the_layers_above_begin_afresh(spec: EncoderSpec) -> None:
    encoder = small(spec)
    encoder(images(encoder))
    above = encoder.above_local(encoder.latent)
    theirs, ours = list(above.modules()), list(encoder.modules())
    for layer in theirs:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            same_kind = [mine.weight for mine in ours if type(mine) is type(layer)]
            assert not any(torch.equal(layer.weight, weight) for weight in same_kind)
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert not layer.running_mean.any()


def test_the_layers_above_are_drawn_from_the_generator() -> None:
    encoder = small(DCGAN_32)
    generator = torch.Generator().manual_seed(5)
    first, second = encoder.above_local(9, generator), encoder.above_local(9, generator)
    again = encoder.above_local(9, torch.Generator().manual_seed(5))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(second.parameters()))


def test_a_generator_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    small(DCGAN_32).above_local(9, torch.Generator().manual_seed(5))
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_generator_the_global_random_state_is_drawn_from() -> None:
    encoder = small(DCGAN_32)
    drawn = []
    for _ in range(2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            drawn.append(encoder.above_local(9))
    assert all(torch.equal(a, b) for a, b in zip(drawn[0].parameters(), drawn[1].parameters(), strict=True))


def test_the_layers_above_begin_as_the_encoder_does() -> None:
    above = make(ALEXNET_64, width=12, hidden=300, init="normal-0.02").above_local(50)
    deviations = [layer.weight.std().item() for layer in above.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert deviations == pytest.approx([0.02] * 5, rel=0.05)


# ---------------------------------------------------------------------------------------- layout in memory


def channels_last(network: nn.Module) -> bool:
    kernels = [parameter for parameter in network.parameters() if parameter.ndim == 4]
    return all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)


@pytest.mark.parametrize("spec", CHANNELS_LAST, ids=lambda spec: spec.name)
@pytest.mark.parametrize("channels", [1, 3])
def test_maps_and_kernels_lie_with_their_channels_last(spec: EncoderSpec, channels: int) -> None:
    encoder = small(spec, channels)
    features = encoder(images(encoder))
    assert channels_last(encoder)
    assert channels_last(encoder.above_local(9))
    assert all(features[name].is_contiguous(memory_format=torch.channels_last) for name in ("conv", "local"))


@pytest.mark.parametrize("spec", CHANNELS_LAST, ids=lambda spec: spec.name)
def test_gradients_lie_as_their_parameters_do(spec: EncoderSpec) -> None:
    """Fused optimisers walk both in step."""
    encoder = small(spec)
    encoder(images(encoder))["y"].square().sum().backward()
    assert all(parameter.grad.stride() == parameter.stride() for parameter in encoder.parameters())


@every_encoder
def test_a_checkpoint_brings_back_the_weights_and_keeps_the_layout(spec: EncoderSpec, tmp_path: Path) -> None:
    trained, fresh = small(spec), small(spec)
    trained(images(trained))
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(1)
    save_tensors(tmp_path / "checkpoint.safetensors", network_state(trained), {})
    strides = [parameter.stride() for parameter in fresh.parameters()]
    restore_network(fresh, load_tensors(tmp_path / "checkpoint.safetensors")[0])
    assert all(torch.equal(a, b) for a, b in zip(network_state(trained).values(), network_state(fresh).values(), strict=True))
    assert [parameter.stride() for parameter in fresh.parameters()] == strides


@pytest.mark.parametrize("spec", CHANNELS_LAST, ids=lambda spec: spec.name)
def test_training_goes_on_from_a_checkpoint_as_if_it_had_not_stopped(spec: EncoderSpec, tmp_path: Path) -> None:
    def step(encoder: ConvEncoder, optimiser: torch.optim.Optimizer) -> None:
        optimiser.zero_grad()
        encoder(images(encoder))["y"].square().sum().backward()
        optimiser.step()

    on, stopped, resumed = small(spec), small(spec), small(spec)
    adams = [torch.optim.Adam(encoder.parameters(), lr=0.01, fused=True) for encoder in (on, stopped, resumed)]
    step(on, adams[0])
    step(stopped, adams[1])
    tensors, document = optimiser_state("train", adams[1], None)
    save_tensors(tmp_path / "checkpoint.safetensors", network_state(stopped) | tensors, document)
    saved, document = load_tensors(tmp_path / "checkpoint.safetensors")
    restore_network(resumed, {name: tensor for name, tensor in saved.items() if name not in tensors})
    restore_optimiser("train", adams[2], None, saved, document)
    step(on, adams[0])
    step(resumed, adams[2])
    assert all(torch.equal(a, b) for a, b in zip(on.parameters(), resumed.parameters(), strict=True))


# --------------------------------------------------------------------------------------- behind a gradient filter


def test_the_filter_takes_differences_of_neighbours_over_three_and_sums_the_channels() -> None:
    ramp = torch.arange(6.0).expand(1, 3, 5, 6)  # rises by 1 from column to column, in each of three channels
    horizontal, vertical = encoders.GradientFilter(3)(ramp)[0]
    assert horizontal[1:-1, 1:-1] == pytest.approx(torch.full((3, 4), 3 * (1 + 2 + 1) * 2 / 3))
    assert vertical[1:-1, 1:-1] == pytest.approx(torch.zeros(3, 4), abs=1e-5)
    turned = encoders.GradientFilter(3)(ramp.transpose(2, 3))[0]
    assert torch.allclose(turned[1], horizontal.T, atol=1e-5)


def test_the_filter_sees_no_brightness_and_is_not_trained() -> None:
    filtered = encoders.GradientFilter(3)
    assert torch.allclose(filtered(torch.full((2, 3, 6, 6), 0.7))[:, :, 1:-1, 1:-1], torch.zeros(2, 2, 4, 4), atol=1e-6)
    assert list(filtered.parameters()) == []


@pytest.mark.parametrize(
    ("spec", "plain"), [(DCGAN_32_GRADIENTS, DCGAN_32), (ALEXNET_64_GRADIENTS, ALEXNET_64)], ids=lambda spec: spec.name
)
def test_behind_the_filter_stands_the_plain_encoder(spec: EncoderSpec, plain: EncoderSpec) -> None:
    options = {"width": 3, "hidden": 20, "latent": 7}
    filtered, two_channels = make(spec, **options).eval(), make(plain, channels=2, **options).eval()
    weights = {name: tensor for name, tensor in filtered.state_dict().items() if name != "filter.kernel"}
    two_channels.load_state_dict(weights)
    batch = images(filtered)
    assert filtered.filter is not None
    seen = Images(index=batch.index, pixels=filtered.filter(batch.pixels))
    for name, feature in two_channels(seen).items():
        assert torch.equal(filtered(batch)[name], feature)
    assert filtered.feature_shapes == two_channels.feature_shapes


# ------------------------------------------------------------------------------------------- image-small


def test_the_names_in_a_checkpoint_of_image_small() -> None:
    """Committed records hold digests of checkpoints under these names, in this order."""
    assert [name for name, _ in small(IMAGE_SMALL).named_parameters()] == [
        "convolutions.0.weight",
        "convolutions.1.weight",
        "convolutions.1.bias",
        "convolutions.3.weight",
        "convolutions.4.weight",
        "convolutions.4.bias",
        "hidden.0.weight",
        "hidden.1.weight",
        "hidden.1.bias",
        "output.weight",
        "output.bias",
    ]


def test_image_small_computes_to_the_bit_what_its_layers_do_with_channels_first() -> None:
    encoder = make(IMAGE_SMALL)
    batch = images(encoder, 64)
    expected = features_of_the_literal(written_out(encoder, "image-small"), batch.pixels)
    assert all(torch.equal(feature, expected[name]) for name, feature in encoder(batch).items())
