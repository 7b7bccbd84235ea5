"""The encoder image-small and its mirror decoder."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness import Description, Images
from harness_images.encoders import SmallEncoder, build_small, mirror_decoder
from harness_images.spec import IMAGE_SMALL, SmallEncoderOptions


def small(channels: int = 1, value_range: tuple[float, float] | None = (-1.0, 1.0), **options: int) -> SmallEncoder:
    description = Description(kind="images", shape=(channels, 8, 8), samples=10, value_range=value_range)
    return build_small(description, SmallEncoderOptions(**options), torch.Generator())


def images(channels: int = 1) -> Images:
    pixels = torch.rand(6, channels, 8, 8, generator=torch.Generator().manual_seed(0))
    return Images(index=torch.arange(6), pixels=pixels)


@pytest.mark.parametrize(("channels", "options"), [(1, {}), (3, {}), (1, {"width": 5, "latent": 7})])
def test_every_feature_has_the_shape_declared(channels: int, options: dict[str, int]) -> None:
    encoder = small(channels, **options)
    shapes = {name: tuple(feature.shape) for name, feature in encoder(images(channels)).items()}
    assert shapes == {name: (6, *shape) for name, shape in encoder.feature_shapes.items()}


def test_features_come_in_the_order_of_the_spec() -> None:
    assert list(small().feature_shapes) == [feature.name for feature in IMAGE_SMALL.features]


def test_options_set_width_and_size_of_y() -> None:
    assert small(width=5, latent=7).feature_shapes == {"y": (7,), "fc": (40,), "conv": (10, 4, 4)}


def test_y_is_a_linear_map_of_the_hidden_layer() -> None:
    encoder = small().eval()
    features = encoder(images())
    assert torch.allclose(features["y"], features["fc"] @ encoder.output.weight.T + encoder.output.bias, atol=1e-6)


def test_hidden_features_are_rectified() -> None:
    features = small()(images())
    assert features["fc"].min() >= 0
    assert features["conv"].min() >= 0


def test_in_eval_mode_a_sample_does_not_depend_on_its_batch() -> None:
    encoder, batch = small().eval(), images()
    alone = Images(index=batch.index[:1], pixels=batch.pixels[:1])
    assert torch.allclose(encoder(alone)["y"], encoder(batch)["y"][:1], atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_decoder_maps_y_to_an_image(channels: int) -> None:
    encoder = small(channels, width=5, latent=7)
    decoder = mirror_decoder(encoder, torch.Generator())
    assert decoder(encoder(images(channels))["y"]).shape == (6, channels, 8, 8)


@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.0, 1.0), (2.0, 5.0)])
def test_decoded_pixels_lie_in_the_range_of_the_data(value_range: tuple[float, float]) -> None:
    decoder = mirror_decoder(small(value_range=value_range), torch.Generator())
    with torch.no_grad():
        last = decoder.layers[-1]
        assert isinstance(last, nn.Conv2d)
        last.weight.mul_(1000)
        pixels = decoder(torch.randn(50, 64, generator=torch.Generator().manual_seed(0)))
    assert (pixels.min().item(), pixels.max().item()) == pytest.approx(value_range)


def test_decoded_pixels_are_unbounded_where_no_range_is_known() -> None:
    decoder = mirror_decoder(small(value_range=None), torch.Generator())
    with torch.no_grad():
        last = decoder.layers[-1]
        assert isinstance(last, nn.Conv2d)
        last.weight.mul_(1000)
        assert decoder(torch.randn(50, 64, generator=torch.Generator().manual_seed(0))).abs().max() > 10


def test_the_decoder_has_weights_of_its_own() -> None:
    encoder = small()
    mine = {id(parameter) for parameter in encoder.parameters()}
    assert not mine & {id(parameter) for parameter in mirror_decoder(encoder, torch.Generator()).parameters()}
