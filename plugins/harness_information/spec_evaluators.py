"""Specs of the evaluators that estimate what a representation holds. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from harness import EvaluatorSpec, Meta, MetricSpec, Options

Milestone = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(gt=0, le=1)]


class MineOptions(Options, frozen=True, kw_only=True):
    """The statistics network and its training."""

    steps: Annotated[int, Meta(ge=1, description="training steps; the value grows with them")] = 20_000
    batch_size: Annotated[
        int, Meta(ge=2, description="pairs a step, each joined with its own and with another's representation")
    ] = 128
    restarts: Annotated[int, Meta(ge=1, description="networks trained side by side; the median is reported, and the spread")] = 3
    lr: Annotated[float, Meta(gt=0, description="Adam's learning rate at first; it falls to 0 along a half cosine")] = 5e-4
    rate: Annotated[
        float, Meta(ge=0, lt=1, description="share of the past in the moving average of the gradient's denominator")
    ] = 0.9
    width: Annotated[int, Meta(ge=1, description="channels of the first convolution on images; each further one doubles them")] = 64
    hidden: Annotated[int, Meta(ge=4, description="units of the joint layer; the next has a quarter of them")] = 512
    marginals: Annotated[int, Meta(ge=1, description="marginal pairs for each sample of a batch, at most all others of it")] = 16
    shifts: Annotated[int, Meta(ge=1, description="marginal pairs for each held-out sample")] = 10


class NdmOptions(Options, frozen=True, kw_only=True):
    """The discriminator of Deep InfoMax's neural dependency measure and its training."""

    steps: Annotated[int, Meta(ge=1, description="training steps; at a large total correlation they decide the value")] = 1000
    batch_size: Annotated[int, Meta(ge=2, description="representations a step, and as many shuffled ones")] = 10_000
    lr: Annotated[float, Meta(gt=0, description="Adam's learning rate at first")] = 1e-4
    milestones: Annotated[tuple[Milestone, ...], Meta(description="steps after which the rate is divided by ten")] = (500, 750)
    restarts: Annotated[int, Meta(ge=1, description="networks trained side by side; the median is reported, and the spread")] = 1


class SelfConsistencyOptions(Options, frozen=True, kw_only=True):
    """Critics on parts of images."""

    bounds: Annotated[
        tuple[Literal["infonce", "nwj", "dv", "js"], ...], Meta(min_length=1, description="bounds that critics are trained by")
    ] = ("infonce", "nwj", "dv", "js")
    shares: Annotated[tuple[Share, ...], Meta(min_length=2, description="shares of the rows that Y shows, rounded to rows")] = (
        0.1,
        0.2,
        0.35,
        0.5,
        0.75,
        1.0,
    )
    dropped: Annotated[float, Meta(gt=0, lt=1, description="share of the rows that h(Y) lacks")] = 0.1
    steps: Annotated[int, Meta(ge=1, description="training steps")] = 20_000
    batch_size: Annotated[int, Meta(ge=2, description="images a step; InfoNCE cannot exceed the logarithm of it")] = 64
    lr: Annotated[float, Meta(gt=0, description="Adam's learning rate")] = 5e-4
    hidden: Annotated[int, Meta(ge=1, description="units of each of two hidden layers")] = 256
    embedding: Annotated[int, Meta(ge=1, description="dimensions of the inner product")] = 32


def _estimate(name: str, description: str, primary: bool = False) -> MetricSpec:
    return MetricSpec(name=name, unit="nats", higher_is_better=None, primary=primary, description=description)


MINE = EvaluatorSpec(
    name="mine",
    summary="Mutual information of input and representation, estimated by a network (MINE) and read on held-out data.",
    build="harness_information.mine:Mine",
    needs=("inputs",),
    metrics=(
        _estimate(
            "information", "estimated I(X; Y): the Donsker-Varadhan value on the test part, median over restarts", primary=True
        ),
        _estimate("upper_limit", "upper end of the 95 % confidence interval of that value, by the spread over test samples"),
        _estimate("cap", "logarithm of the number of test samples: what is estimated beyond it certifies nothing"),
    ),
    options=MineOptions,
    judges_constants=False,
    budgets={
        "fast": {"steps": 2000, "width": 32},
        "smoke": {"steps": 30, "width": 8, "hidden": 64, "restarts": 2, "shifts": 2},
    },
    tracks=("images", "atari", "synthetic"),
)

NDM = EvaluatorSpec(
    name="ndm",
    summary="Dependence between the coordinates of a representation (total correlation), estimated by a network on held-out data.",
    build="harness_information.ndm:Ndm",
    needs=(),
    metrics=(
        _estimate("dependence", "estimated total correlation: the Donsker-Varadhan value on the test part", primary=True),
        _estimate("dependence_sigmoid", "the same of the representation after a sigmoid, which changes no total correlation"),
        _estimate("upper_limit", "upper end of the 95 % confidence interval of `dependence`, by the spread over test samples"),
        _estimate("upper_limit_sigmoid", "the same of `dependence_sigmoid`"),
    ),
    options=NdmOptions,
    judges_constants=False,
    budgets={"fast": {"steps": 250}, "smoke": {"steps": 10, "batch_size": 256}},
)

SELF_CONSISTENCY = EvaluatorSpec(
    name="self-consistency",
    summary="Whether estimators of mutual information behave as it must, on rows of images; looks at no representation.",
    build="harness_information.self_consistency:SelfConsistency",
    needs=("inputs",),
    features=("input",),
    metrics=(
        MetricSpec(
            name="processing",
            unit="1",
            higher_is_better=None,
            primary=True,
            description="I([X, X]; [Y, h(Y)]) / I(X; Y), which is 1; left out where the estimate of I(X; Y) is not above 0",
        ),
        MetricSpec(
            name="additivity",
            unit="1",
            higher_is_better=None,
            primary=True,
            description="I([X, X']; [Y, Y']) / I(X; Y) of independent images, which is 2; left out likewise",
        ),
        _estimate("largest_fall", "largest fall of the estimate while more rows are shown, which is 0"),
        _estimate("estimate", "estimated I(X; Y) of an image and its first rows: the median over test batches"),
    ),
    options=SelfConsistencyOptions,
    budgets={"fast": {"steps": 2000}, "smoke": {"steps": 20, "batch_size": 16, "hidden": 32}},
    tracks=("images",),
)

EVALUATORS: list[EvaluatorSpec] = [MINE, NDM, SELF_CONSISTENCY]
