"""What the plugin offers. Imports nothing heavy: this module is loaded by every `harness` command."""

from __future__ import annotations

from typing import Annotated, Literal

from harness import (
    DataSetSpec,
    EncoderSpec,
    EvaluatorSpec,
    FeatureSpec,
    GeneratedRecipe,
    Meta,
    MethodSpec,
    MetricSpec,
    ObjectiveSpec,
    Options,
    ProtocolSpec,
    hookimpl,
)

# ------------------------------------------------------------------------------------------------------ data

BANDS_SETTINGS = {"seed": 20, "spread": 2.0, "noise": 1.0}

BANDS_HALF = ProtocolSpec(
    name="bands-half",
    summary="The first half is for training, the second for testing.",
    track="synthetic",
    splits="samples 0 to 299 are the training part, 300 to 599 the test part; all inputs are seen in training, without labels",
    preprocessing="none",
    evaluators=("harness_stranger/nearest-mean",),
)

BANDS = DataSetSpec(
    name="bands",
    summary="600 vectors of 16 numbers in 4 classes; the classes differ along 2 hidden directions.",
    track="synthetic",
    kind="vectors",
    build="harness_stranger.data:build_bands",
    recipe=GeneratedRecipe(generator="harness_stranger.bands", settings=BANDS_SETTINGS),
    protocols=("harness_stranger/bands-half",),
    sampling=("items",),
    shape=(16,),
    samples=600,
    classes=4,
    licence="none needed",
)


@hookimpl
def harness_datasets() -> list[DataSetSpec]:
    """Our data set."""
    return [BANDS]


@hookimpl
def harness_protocols() -> list[ProtocolSpec]:
    """How it is to be judged."""
    return [BANDS_HALF]


# ---------------------------------------------------------------------------------------------------- method


class VectorMlpOptions(Options, frozen=True, kw_only=True):
    """Options of the encoder; each description is what `harness show vector-mlp` prints."""

    hidden: Annotated[int, Meta(ge=1, description="units of the hidden layer")] = 64
    latent: Annotated[int, Meta(ge=1, description="length of the representation y")] = 8


class DenoiseOptions(Options, frozen=True, kw_only=True):
    """Options of the objective."""

    lr: Annotated[float, Meta(gt=0, description="Adam's learning rate")] = 1e-3
    noise: Annotated[float, Meta(ge=0, description="standard deviation of the noise added to the inputs")] = 0.5


VECTOR_MLP = EncoderSpec(
    name="vector-mlp",
    summary="A perceptron with one hidden layer.",
    kinds=("vectors",),
    features=(FeatureSpec("y", "[B, latent] the representation, linear"), FeatureSpec("hidden", "[B, hidden] after the ReLU")),
    build="harness_stranger.encoder:build_vector_mlp",
    options=VectorMlpOptions,
)

DENOISE = ObjectiveSpec(
    name="denoise",
    summary="Reconstruct a vector from the representation of a noisy copy.",
    build="harness_stranger.denoise:build_denoise",
    sampling=("items",),
    options=DenoiseOptions,
)

DENOISING = MethodSpec(
    name="denoising",
    summary="A denoising autoencoder for vectors.",
    objective="harness_stranger/denoise",
    encoders={"synthetic": "harness_stranger/vector-mlp"},
    options={"train": {"epochs": 60, "batch_size": 50}},
    budgets={"fast": {"train": {"epochs": 20}}, "smoke": {"train": {"epochs": 2}}},
    citation="Vincent et al. (2008), Extracting and Composing Robust Features with Denoising Autoencoders, ICML",
)


@hookimpl
def harness_encoders() -> list[EncoderSpec]:
    """Our encoder."""
    return [VECTOR_MLP]


@hookimpl
def harness_objectives() -> list[ObjectiveSpec]:
    """Our objective."""
    return [DENOISE]


@hookimpl
def harness_methods() -> list[MethodSpec]:
    """Our method: the two together, and how long they train."""
    return [DENOISING]


# ------------------------------------------------------------------------------------------------- evaluator


class NearestMeanOptions(Options, frozen=True, kw_only=True):
    """Options of the evaluator."""

    distance: Annotated[Literal["euclidean", "cosine"], Meta(description="how far a sample is from a class mean")] = "euclidean"


NEAREST_MEAN = EvaluatorSpec(
    name="nearest-mean",
    summary="Accuracy of the nearest class mean; nothing is trained.",
    build="harness_stranger.nearest_mean:NearestMean",
    needs=("labels",),
    metrics=(
        MetricSpec(
            name="accuracy",
            unit="%",
            higher_is_better=True,
            lower=0.0,
            upper=100.0,
            primary=True,
            description="share of the test part whose nearest class mean is the right one",
        ),
    ),
    options=NearestMeanOptions,
)


@hookimpl
def harness_evaluators() -> list[EvaluatorSpec]:
    """Our evaluator."""
    return [NEAREST_MEAN]
