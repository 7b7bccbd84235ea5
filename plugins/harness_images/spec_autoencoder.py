"""Specs of the objective `autoencoder` and its method. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated

from harness import Meta, MethodSpec, ObjectiveSpec, Options
from harness_images.spec_encoders import IMAGE_ENCODERS


class AutoencoderOptions(Options, frozen=True, kw_only=True):
    """Options of the objective `autoencoder`."""

    lr: Annotated[float, Meta(gt=0, description="Adam's learning rate")] = 1e-3


AUTOENCODER = ObjectiveSpec(
    name="autoencoder",
    summary="Squared error of the image decoded from y.",
    build="harness_images.autoencoder:build",
    sampling=("items",),
    needs_decoder=True,
    options=AutoencoderOptions,
)

AE = MethodSpec(
    name="ae",
    summary="Autoencoder: the representation from which the image is best reconstructed.",
    objective="autoencoder",
    encoders=IMAGE_ENCODERS,
    options={"train": {"epochs": 50, "batch_size": 64}},
    budgets={"fast": {"train": {"epochs": 10}}, "smoke": {"train": {"epochs": 1}}},
    citation="Hinton and Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural Networks, Science 313",
)
