"""Specs of critics, the bounds that train them, the methods these make, and how they are read. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from harness import (
    EncoderSpec,
    EvaluatorSpec,
    FeatureSpec,
    Meta,
    MethodSpec,
    MetricSpec,
    ObjectiveSpec,
    Options,
    PictureSpec,
    SuiteSpec,
)

Bound = Literal["infonce", "nwj", "dv", "mine", "js"]
ReadingName = Literal["infonce", "nwj", "dv", "js", "smile-1", "smile-5"]

# ------------------------------------------------------------------------------------------------------ options


class CriticOptions(Options, frozen=True, kw_only=True):
    """Sizes of a critic."""

    hidden: Annotated[int, Meta(ge=1, description="units of each hidden layer")] = 256
    layers: Annotated[int, Meta(ge=1, description="hidden layers")] = 3
    candidates: Annotated[
        int, Meta(ge=2, description="pairs each x is scored with, one of them its own; InfoNCE cannot exceed the logarithm of it")
    ] = 64


class SeparableOptions(CriticOptions, frozen=True, kw_only=True):
    """Sizes of a separable critic."""

    embedding: Annotated[int, Meta(ge=1, description="dimensions of the inner product")] = 32


class ConcatOptions(CriticOptions, frozen=True, kw_only=True):
    """Sizes of a critic of both at once."""


class MutualInformationOptions(Options, frozen=True, kw_only=True):
    """How a critic is trained."""

    bound: Annotated[Bound, Meta(description="the bound that is maximised")] = "infonce"
    lr: Annotated[float, Meta(gt=0, description="Adam's learning rate")] = 5e-4
    rate: Annotated[float, Meta(ge=0, lt=1, description="share of the past in MINE's moving average")] = 0.9
    trace: Annotated[int, Meta(ge=0, description="first steps whose estimates are kept, one number for each way to read them")] = 0


class MutualInformationValueOptions(Options, frozen=True, kw_only=True):
    """How scores are read."""

    readings: Annotated[
        tuple[ReadingName, ...],
        Meta(description="ways to read the scores; none: those that fit the bound it was trained by, of an untrained critic all"),
    ] = ()
    block: Annotated[int, Meta(ge=2, description="rows of scores whose estimates give the spread")] = 64


class StaircaseReadingOptions(Options, frozen=True, kw_only=True):
    """Which part of each level is judged."""

    judged: Annotated[float, Meta(gt=0, le=1, description="share of a level's steps, its last ones")] = 0.25


# --------------------------------------------------------------------------------------- encoders and objective

SCORES = FeatureSpec("scores", "[N, candidates] critic scores: of x with its own y first, then with those of other pairs")

ENCODERS: list[EncoderSpec] = [
    EncoderSpec(
        name="separable-critic",
        summary="Critic g(x) · h(y): two networks of three hidden layers and an inner product.",
        kinds=("pairs",),
        features=(SCORES,),
        build="harness_information.critics:build_separable",
        options=SeparableOptions,
    ),
    EncoderSpec(
        name="concat-critic",
        summary="Critic f([x, y]): one network of three hidden layers on every pair.",
        kinds=("pairs",),
        features=(SCORES,),
        build="harness_information.critics:build_concat",
        options=ConcatOptions,
    ),
]

MUTUAL_INFORMATION = ObjectiveSpec(
    name="mutual-information",
    summary="A critic's lower bound on mutual information: InfoNCE, NWJ, DV, MINE or Jensen-Shannon.",
    build="harness_information.estimators:build",
    sampling=("items",),
    smallest_batch=2,
    options=MutualInformationOptions,
)

# ------------------------------------------------------------------------------------------------------ methods

_PAPERS = {
    "infonce": ("InfoNCE: which y of a batch belongs to x.", "van den Oord et al. 2018, arXiv:1807.03748"),
    "nwj": ("NWJ, also MINE-f and f-GAN's KL.", "Nguyen, Wainwright, Jordan 2010, IEEE Transactions on Information Theory 56(11)"),
    "dv": ("Donsker-Varadhan on the batch itself.", "Belghazi et al. 2018, ICML, arXiv:1801.04062"),
    "mine": ("Donsker-Varadhan, its gradient corrected by a moving average.", "Belghazi et al. 2018, ICML, arXiv:1801.04062"),
    "js": (
        "Jensen-Shannon training; read by NWJ at f + 1, and by SMILE clipped at 1, 5 and not at all.",
        "Poole et al. 2019, ICML, arXiv:1905.06922; Song and Ermon 2020, ICLR, arXiv:1910.06222",
    ),
}


def _estimator(bound: str, summary: str, citation: str) -> MethodSpec:
    return MethodSpec(
        name=f"mi-{bound}",
        summary=f"Estimator of mutual information. {summary}",
        objective="mutual-information",
        encoders={"synthetic": "separable-critic"},
        options={"objective": {"bound": bound}, "train": {"epochs": 125, "batch_size": 64}},
        data_options={"staircase": {"objective": {"trace": 20_000}, "train": {"epochs": 1}}},
        budgets={"fast": {"train": {"epochs": 25}}, "smoke": {"train": {"epochs": 1}}},
        data_budgets={
            "staircase": {
                "fast": {"train": {"epochs": 1}},
                "smoke": {"data": {"steps": 40}, "train": {"epochs": 1}},
            }
        },
        citation=citation,
    )


METHODS: list[MethodSpec] = [_estimator(bound, *words) for bound, words in _PAPERS.items()]

SUITE = SuiteSpec(
    name="mi-estimators",
    summary="Estimators of mutual information beside the exact value: Gaussians, other laws, and the staircase.",
    path="harness_information:suites/mi-estimators.toml",
)

# --------------------------------------------------------------------------------------------------- evaluators

ERROR = MetricSpec(
    name="error",
    unit="nats",
    higher_is_better=False,
    lower=0.0,
    primary=True,
    description="distance of the estimate from the exact value",
)
BIAS = MetricSpec(name="bias", unit="nats", higher_is_better=None, description="estimate minus the exact value")
VALUE = MetricSpec(
    name="estimate",
    unit="nats",
    higher_is_better=None,
    description="the estimate on pairs that were not trained on; its spread is over blocks of them",
)

MI_VALUE = EvaluatorSpec(
    name="mi-value",
    summary="A critic's scores of held-out pairs read as nats, beside the exact mutual information.",
    build="harness_information.values:MutualInformationValue",
    needs=("truth", "modules"),
    features=("scores",),
    metrics=(ERROR, BIAS, VALUE),
    options=MutualInformationValueOptions,
    tracks=("synthetic",),
)

STAIRCASE_READING = EvaluatorSpec(
    name="staircase",
    summary="The estimates at the end of each level of a staircase, beside its exact mutual information.",
    build="harness_information.values:StaircaseReading",
    needs=("truth", "modules"),
    features=("scores",),
    metrics=(
        ERROR,
        BIAS,
        MetricSpec(name="estimate", unit="nats", higher_is_better=None, description="median over the judged steps of a level"),
        MetricSpec(
            name="mean",
            unit="nats",
            higher_is_better=None,
            description="mean over the judged steps, and the spread between them; left out where a step is not finite",
        ),
    ),
    options=StaircaseReadingOptions,
    tracks=("synthetic",),
)

STAIRCASE_PICTURE = PictureSpec(
    name="staircase",
    summary="Estimates of every step of a staircase, raw and smoothed, with the exact value.",
    kinds=("pairs",),
    build="harness_information.pictures:staircase",
    needs=("truth", "modules"),
)
