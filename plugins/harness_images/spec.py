"""Specs of the image data sets, encoders, objectives and methods. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated

from harness import (
    DataSetSpec,
    EncoderSpec,
    FeatureSpec,
    GeneratedRecipe,
    Meta,
    MethodSpec,
    ObjectiveSpec,
    Options,
    ProtocolSpec,
    hookimpl,
)


class SmallEncoderOptions(Options, frozen=True, kw_only=True):
    """Options of the encoder `image-small`."""

    width: Annotated[int, Meta(ge=1, description="channels of the first convolution; the second has twice as many")] = 16
    latent: Annotated[int, Meta(ge=1, description="size of the representation y")] = 64


class AutoencoderOptions(Options, frozen=True, kw_only=True):
    """Options of the objective `autoencoder`."""

    lr: Annotated[float, Meta(gt=0, description="Adam's learning rate")] = 1e-3


HOLDOUT = ProtocolSpec(
    name="digits-holdout",
    version=1,
    summary="digits, 500 images held out",
    track="images",
    splits="500 of the 1797 images are the test part, the others the training part, each class in proportion; "
    "drawn once from the protocol's id, the same for every run. Training sees the training part only.",
    preprocessing="pixels 0..16 become -1..1",
    evaluators=("svm", "logistic-lbfgs", "knn"),
)

DIGITS_RECIPE = GeneratedRecipe(
    generator="sklearn.datasets.load_digits",
    settings={
        # Of the pixels [1797, 8, 8] and then the labels [1797], one byte each.
        "sha256": "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826",
    },
)

DIGITS = DataSetSpec(
    name="digits",
    summary="1797 handwritten digits, 8x8 pixels, embedded in scikit-learn",
    track="images",
    kind="images",
    build="harness_images.digits:build",
    recipe=DIGITS_RECIPE,
    protocols=("digits-holdout",),
    sampling=("items",),
    shape=(1, 8, 8),
    samples=1797,
    classes=10,
    requires=("sklearn",),
    licence="CC BY 4.0",
    citation="Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository",
)

IMAGE_SMALL = EncoderSpec(
    name="image-small",
    summary="two convolutions and a hidden layer for images of 8x8 pixels",
    kinds=("images",),
    features=(
        FeatureSpec("y", "[B, latent] the representation, before any nonlinearity"),
        FeatureSpec("fc", "[B, 8 width] the hidden layer"),
        FeatureSpec("conv", "[B, 2 width, 4, 4] the last feature map"),
    ),
    build="harness_images.encoders:build_small",
    shapes=((None, 8, 8),),
    decoder="harness_images.encoders:mirror_decoder",
    options=SmallEncoderOptions,
)

AUTOENCODER = ObjectiveSpec(
    name="autoencoder",
    summary="squared error of the image decoded from y",
    build="harness_images.autoencoder:build",
    sampling=("items",),
    needs_decoder=True,
    options=AutoencoderOptions,
)

AE = MethodSpec(
    name="ae",
    summary="autoencoder: the representation from which the image is best reconstructed",
    objective="autoencoder",
    encoders={"images": "image-small"},
    options={"train": {"epochs": 50, "batch_size": 64}},
    budgets={"fast": {"train": {"epochs": 10}}, "smoke": {"train": {"epochs": 1}}},
    citation="Hinton and Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural Networks, Science 313",
)


@hookimpl
def harness_datasets() -> list[DataSetSpec]:
    """`digits`."""
    return [DIGITS]


@hookimpl
def harness_protocols() -> list[ProtocolSpec]:
    """`digits-holdout`."""
    return [HOLDOUT]


@hookimpl
def harness_encoders() -> list[EncoderSpec]:
    """`image-small`."""
    return [IMAGE_SMALL]


@hookimpl
def harness_objectives() -> list[ObjectiveSpec]:
    """`autoencoder`."""
    return [AUTOENCODER]


@hookimpl
def harness_methods() -> list[MethodSpec]:
    """`ae`."""
    return [AE]
