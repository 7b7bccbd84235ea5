"""Specs of the reference rows and of the parts they are made of. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated

from harness import EncoderSpec, FeatureSpec, Meta, MethodSpec, ObjectiveSpec, Options, hookimpl


class SupervisedOptions(Options, frozen=True, kw_only=True):
    """Options of the objective `supervised`."""

    lr: Annotated[float, Meta(gt=0, description="Adam's learning rate")] = 1e-2
    weight_decay: Annotated[float, Meta(ge=0, description="L2 penalty on all weights, as Adam adds it to the gradient")] = 5e-4
    dropout: Annotated[float, Meta(ge=0, lt=1, description="share of the feature's units dropped before the linear head")] = 0.5


IDENTITY = EncoderSpec(
    name="identity",
    summary="The inputs themselves, flattened.",
    kinds=("*",),
    features=(FeatureSpec("input", "[B, D] each sample's input as one vector; of a pair of frames the first"),),
    build="harness_reference.encoders:build_identity",
)

CONSTANT = EncoderSpec(
    name="constant",
    summary="The same number for every sample.",
    kinds=("*",),
    features=(FeatureSpec("constant", "[B, 1] ones", constant=True),),
    build="harness_reference.encoders:build_constant",
)

NONE = ObjectiveSpec(
    name="none",
    summary="No training: the encoder as it was initialised.",
    build="harness_reference.none:build",
    sampling=(),
)

SUPERVISED = ObjectiveSpec(
    name="supervised",
    summary="Cross-entropy of a linear head on the encoder's default feature; sees training labels.",
    build="harness_reference.supervised:build",
    sampling=("graph", "items"),
    supervised=True,
    options=SupervisedOptions,
)

RANDOM_METHOD = MethodSpec(
    name="random",
    summary="The compared method's encoder, untrained.",
    objective="none",
    encoders={"*": "*"},  # "*" as a value: the encoder, with its options, of the method it is compared with
    reference="with-every-run",
)

RAW_METHOD = MethodSpec(
    name="raw",
    summary="The inputs themselves as the representation.",
    objective="none",
    encoders={"*": "identity"},
    features=("input",),
    reference="with-every-run",
)

MAJORITY_METHOD = MethodSpec(
    name="majority",
    summary="A constant as the representation: what a probe reaches without looking.",
    objective="none",
    encoders={"*": "constant"},
    features=("constant",),
    reference="with-every-run",
)

SUPERVISED_METHOD = MethodSpec(
    name="supervised",
    summary="The encoder trained with the labels of the training part.",
    objective="supervised",
    encoders={
        "graphs": "gcn",
        "stl10": "alexnet-64",
        "tiny-imagenet": "alexnet-64",
        "images": ("dcgan-32", "conv-28", "dcgan-64", "image-small"),
        "atari": ("nature-full", "nature-84"),
    },
    options={"train": {"epochs": 200, "batch_size": 64}},
    data_options={
        "images": {"objective": {"lr": 1e-4, "weight_decay": 0.0, "dropout": 0.1}},
        "atari": {"objective": {"lr": 3e-4, "weight_decay": 0.0, "dropout": 0.0}, "train": {"epochs": 100}},
    },
    budgets={"fast": {"train": {"epochs": 50}}, "smoke": {"train": {"epochs": 2}}},
    data_budgets={
        "images": {"fast": {"train": {"epochs": 7}}},
        "digits": {"fast": {"train": {"epochs": 50}}},
        "atari": {"fast": {"train": {"epochs": 10}}},
    },
    reference="on-request",
)


@hookimpl
def harness_encoders() -> list[EncoderSpec]:
    """`identity` and `constant`."""
    return [IDENTITY, CONSTANT]


@hookimpl
def harness_objectives() -> list[ObjectiveSpec]:
    """`none` and `supervised`."""
    return [NONE, SUPERVISED]


@hookimpl
def harness_methods() -> list[MethodSpec]:
    """The reference rows."""
    return [RANDOM_METHOD, RAW_METHOD, MAJORITY_METHOD, SUPERVISED_METHOD]
