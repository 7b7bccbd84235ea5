"""Encoders of frames and their options. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated

from harness import EncoderSpec, FeatureSpec, Meta, Options

Latent = Annotated[int, Meta(ge=1, description="size of the representation y")]


class NatureOptions(Options, frozen=True, kw_only=True):
    """Options of the encoders `nature-full` and `nature-84`."""

    width: Annotated[int, Meta(ge=1, description="channels of the first convolution; the others keep their ratio to it")] = 32
    latent: Latent = 256


class ImpalaOptions(Options, frozen=True, kw_only=True):
    """Options of the encoder `impala`."""

    width: Annotated[int, Meta(ge=1, description="channels of the first stage; the others have twice as many")] = 16
    latent: Latent = 256


def _features(local: str, conv: str) -> tuple[FeatureSpec, ...]:
    return (
        FeatureSpec("y", "[B, latent] the representation, before any nonlinearity"),
        FeatureSpec("local", f"{local} the map of local features"),
        FeatureSpec("conv", f"{conv} the last feature map"),
        FeatureSpec("fc", "[B, units of conv] the last feature map as a vector, which y is a linear map of"),
    )


NATURE_FULL = EncoderSpec(
    name="nature-full",
    summary="Four convolutions for whole frames of 210x160 pixels, as in ST-DIM.",
    kinds=("frames",),
    features=_features("[B, 4 width, 11, 8]", "[B, 2 width, 9, 6]"),
    build="harness_atari.encoders:build_nature_full",
    shapes=((None, 210, 160),),
    decoder="harness_atari.decoders:mirror_decoder",
    options=NatureOptions,
)

NATURE_84 = EncoderSpec(
    name="nature-84",
    summary="Three convolutions for frames of 84x84 pixels, those of the deep Q-network.",
    kinds=("frames",),
    features=_features("[B, width, 7, 7]", "[B, width, 7, 7]"),
    build="harness_atari.encoders:build_nature_84",
    shapes=((None, 84, 84),),
    decoder="harness_atari.decoders:mirror_decoder",
    options=NatureOptions,
)

IMPALA = EncoderSpec(
    name="impala",
    summary="Residual stages as in IMPALA, four for frames of 210x160 pixels and three for 84x84.",
    kinds=("frames",),
    features=_features("[B, 2 width, 25, 19] or [B, 2 width, 9, 9]", "[B, 2 width, 12, 9] or [B, 2 width, 9, 9]"),
    build="harness_atari.encoders:build_impala",
    shapes=((None, 210, 160), (None, 84, 84)),
    decoder="harness_atari.decoders:mirror_decoder",
    options=ImpalaOptions,
)

ENCODERS = (NATURE_FULL, NATURE_84, IMPALA)

ATARI_ENCODERS: dict[str, str | tuple[str, ...]] = {"atari": ("nature-full", "nature-84")}
"""What a method on frames uses: the first that fits their size."""
