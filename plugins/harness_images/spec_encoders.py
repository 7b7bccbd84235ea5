"""Encoders of images and their options. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from harness import EncoderSpec, FeatureSpec, Meta, Options

Latent = Annotated[int, Meta(ge=1, description="size of the representation y")]


class ConvEncoderOptions(Options, frozen=True, kw_only=True):
    """Options of the encoders `dcgan-32`, `conv-28` and `dcgan-64`."""

    width: Annotated[int, Meta(ge=1, description="channels of the first convolution; each further one has twice as many")] = 64
    hidden: Annotated[int, Meta(ge=1, description="units of the hidden layer")] = 1024
    latent: Latent = 64


class AlexNetOptions(Options, frozen=True, kw_only=True):
    """Options of the encoder `alexnet-64`."""

    width: Annotated[
        int, Meta(ge=1, description="channels of the first convolution; the others have 2, 4, 4 and 2 times as many")
    ] = 96
    hidden: Annotated[int, Meta(ge=1, description="units of each of the two hidden layers")] = 4096
    latent: Latent = 64
    init: Annotated[
        Literal["default", "normal-0.02"],
        Meta(description="how weights begin: as torch's layers do, or all from a normal distribution of deviation 0.02"),
    ] = "default"


class SmallEncoderOptions(Options, frozen=True, kw_only=True):
    """Options of the encoder `image-small`."""

    width: Annotated[int, Meta(ge=1, description="channels of the first convolution; the second has twice as many")] = 16
    latent: Latent = 64


def _features(fc: str, conv: str, local: str) -> tuple[FeatureSpec, ...]:
    return (
        FeatureSpec("y", "[B, latent] the representation, before any nonlinearity"),
        FeatureSpec("fc", f"{fc} the last hidden layer"),
        FeatureSpec("conv", f"{conv} the last feature map"),
        FeatureSpec("local", f"{local} the map of local features"),
    )


DCGAN_32 = EncoderSpec(
    name="dcgan-32",
    summary="Three convolutions and a hidden layer for images of 32x32 pixels, as in Deep InfoMax.",
    kinds=("images",),
    features=_features("[B, hidden]", "[B, 4 width, 4, 4]", "[B, 2 width, 8, 8]"),
    build="harness_images.encoders:build_dcgan_32",
    shapes=((None, 32, 32),),
    decoder="harness_images.decoders:mirror_decoder",
    smallest_batch=2,
    options=ConvEncoderOptions,
)

CONV_28 = EncoderSpec(
    name="conv-28",
    summary="Two convolutions and a hidden layer for images of 28x28 pixels, as in Deep InfoMax.",
    kinds=("images",),
    features=_features("[B, hidden]", "[B, 2 width, 7, 7]", "[B, 2 width, 7, 7]"),
    build="harness_images.encoders:build_conv_28",
    shapes=((None, 28, 28),),
    decoder="harness_images.decoders:mirror_decoder",
    smallest_batch=2,
    options=ConvEncoderOptions,
)

DCGAN_64 = EncoderSpec(
    name="dcgan-64",
    summary="Four convolutions and a hidden layer for images of 64x64 pixels, as in Deep InfoMax.",
    kinds=("images",),
    features=_features("[B, hidden]", "[B, 8 width, 4, 4]", "[B, 4 width, 8, 8]"),
    build="harness_images.encoders:build_dcgan_64",
    shapes=((None, 64, 64),),
    decoder="harness_images.decoders:mirror_decoder",
    smallest_batch=2,
    options=ConvEncoderOptions,
)

ALEXNET_64 = EncoderSpec(
    name="alexnet-64",
    summary="Five convolutions and two hidden layers like AlexNet's for images of 64x64 pixels, as in Deep InfoMax.",
    kinds=("images",),
    features=_features("[B, hidden]", "[B, 2 width, 7, 7]", "[B, 4 width, 15, 15]"),
    build="harness_images.encoders:build_alexnet_64",
    shapes=((None, 64, 64),),
    decoder="harness_images.decoders:alexnet_decoder",
    smallest_batch=2,
    options=AlexNetOptions,
)


def _behind_a_gradient_filter(plain: EncoderSpec) -> EncoderSpec:
    return msgspec.structs.replace(
        plain,
        name=f"{plain.name}-gradients",
        summary=f"{plain.name} behind a fixed filter of horizontal and vertical differences, as in Noise as Targets.",
        build=f"{plain.build}_gradients",
    )


DCGAN_32_GRADIENTS = _behind_a_gradient_filter(DCGAN_32)
ALEXNET_64_GRADIENTS = _behind_a_gradient_filter(ALEXNET_64)

IMAGE_SMALL = EncoderSpec(
    name="image-small",
    summary="Two convolutions and a hidden layer for images of 8x8 pixels.",
    kinds=("images",),
    features=_features("[B, 8 width]", "[B, 2 width, 4, 4]", "[B, width, 8, 8]"),
    build="harness_images.encoders:build_small",
    shapes=((None, 8, 8),),
    decoder="harness_images.decoders:mirror_decoder",
    smallest_batch=2,
    options=SmallEncoderOptions,
)

ENCODERS = (DCGAN_32, CONV_28, DCGAN_64, ALEXNET_64, DCGAN_32_GRADIENTS, ALEXNET_64_GRADIENTS, IMAGE_SMALL)

IMAGE_ENCODERS: dict[str, str | tuple[str, ...]] = {
    "stl10": "alexnet-64",
    "tiny-imagenet": "alexnet-64",
    "images": ("dcgan-32", "conv-28", "dcgan-64", "image-small"),
}
"""What a method on images uses, as Hjelm et al. (2019) do: by data set, elsewhere the first that fits the images' size."""
