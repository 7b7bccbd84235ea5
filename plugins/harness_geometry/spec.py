"""Judges of a representation by its geometry: effective rank, alignment, uniformity, clusters. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from harness import EvaluatorSpec, Meta, MetricSpec, Options, hookimpl

# ------------------------------------------------------------------------------------------------------ options


class RankMeOptions(Options, frozen=True):
    """RankMe."""

    samples: Annotated[
        int, Meta(ge=2, description="samples judged, at most; drawn once from the protocol's id where there are more")
    ] = 25_600
    part: Annotated[Literal["train", "test"], Meta(description="part of the data they are taken from; the paper takes train")] = (
        "train"
    )


class ViewOptions(Options, frozen=True):
    """Random views of an image: it is padded with its darkest value and cropped back to its size at a random place."""

    padding: Annotated[
        float,
        Meta(ge=0, le=0.5, description="padding on each side, as a share of the image's shorter side: 4 pixels of 32 by default"),
    ] = 0.125
    flip: Annotated[
        bool, Meta(description="mirror each view left to right with probability 1/2; for photographs, not for digits or letters")
    ] = False


class AlignmentUniformityOptions(ViewOptions, frozen=True):
    """Alignment and uniformity."""

    samples: Annotated[
        int, Meta(ge=2, description="test samples judged, at most; drawn once from the protocol's id where there are more")
    ] = 10_000


class LidarOptions(ViewOptions, frozen=True):
    """LiDAR."""

    samples: Annotated[
        int, Meta(ge=2, description="training samples judged, at most; drawn once from the protocol's id where there are more")
    ] = 1000
    views: Annotated[int, Meta(ge=2, description="random views of each sample")] = 50


class ClusteringOptions(Options, frozen=True):
    """k-means against the labels."""

    samples: Annotated[
        int, Meta(ge=2, description="training samples fitted, at most; drawn once from the protocol's id where there are more")
    ] = 10_000
    restarts: Annotated[int, Meta(ge=1, description="clusterings, each with its own seed; mean and spread are over them")] = 10
    n_init: Annotated[
        int, Meta(ge=1, description="starting points of one clustering; that of the smallest sum of squared distances is kept")
    ] = 3
    standardise: Annotated[bool, Meta(description="mean 0 and deviation 1 for every column, by the samples fitted")] = False


# ------------------------------------------------------------------------------------------------------ metrics

RANKME = MetricSpec(
    name="rankme",
    unit="1",
    higher_is_better=True,
    lower=0.0,
    primary=True,
    description="effective rank of the features, from 1 to the metric `bound`",
)
LIDAR = MetricSpec(
    name="lidar",
    unit="1",
    higher_is_better=True,
    lower=0.0,
    primary=True,
    description="effective rank of what tells samples apart whatever their view, from 1 to the metric `bound`",
)
BOUND = MetricSpec(
    name="bound",
    unit="1",
    higher_is_better=None,
    lower=1.0,
    description="largest value the rank can take, by the number of dimensions and of samples",
)
UNIFORMITY = MetricSpec(
    name="uniformity",
    unit="1",
    higher_is_better=False,
    lower=-8.0,
    upper=0.0,
    primary=True,
    description="logarithm of the mean of exp(-2 d²) over pairs of test samples at distance d on the unit sphere",
)
ALIGNMENT = MetricSpec(
    name="alignment",
    unit="1",
    higher_is_better=False,
    lower=0.0,
    upper=4.0,
    description="mean squared distance on the unit sphere of two random views of a test sample; reported on images",
)
NMI = MetricSpec(
    name="nmi",
    unit="1",
    higher_is_better=True,
    lower=0.0,
    upper=1.0,
    primary=True,
    description="mutual information of clusters and classes over the mean of their entropies",
)
ARI = MetricSpec(
    name="ari",
    unit="1",
    higher_is_better=True,
    lower=-0.5,
    upper=1.0,
    description="adjusted Rand index: pairs of test samples on which clusters and classes agree, 0 at chance",
)

# --------------------------------------------------------------------------------------------------- evaluators


@hookimpl
def harness_evaluators() -> list[EvaluatorSpec]:
    """The evaluators of this plugin."""
    return [
        EvaluatorSpec(
            name="rankme",
            summary="RankMe, the effective rank of the features; no labels.",
            build="harness_geometry.rankme:RankMe",
            needs=(),
            metrics=(RANKME, BOUND),
            options=RankMeOptions,
            judges_constants=False,
            budgets={"fast": {"samples": 10_000}, "smoke": {"samples": 1000}},
        ),
        EvaluatorSpec(
            name="alignment-uniformity",
            summary="How near two views of an image lie, and how evenly samples cover the unit sphere; no labels.",
            build="harness_geometry.alignment_uniformity:AlignmentUniformity",
            needs=("inputs", "encoder"),
            metrics=(UNIFORMITY, ALIGNMENT),
            options=AlignmentUniformityOptions,
            judges_constants=False,
            budgets={"smoke": {"samples": 500}},
        ),
        EvaluatorSpec(
            name="lidar",
            summary="LiDAR, the effective rank of what tells images apart whatever their view; no labels.",
            build="harness_geometry.lidar:Lidar",
            needs=("inputs", "encoder"),
            metrics=(LIDAR, BOUND),
            options=LidarOptions,
            judges_constants=False,
            budgets={"fast": {"views": 10}, "smoke": {"samples": 100, "views": 5}},
            tracks=("images",),
        ),
        EvaluatorSpec(
            name="clustering",
            summary="k-means with a cluster for each class, against the labels by NMI and ARI.",
            build="harness_geometry.clustering:Clustering",
            needs=("labels",),
            metrics=(NMI, ARI),
            options=ClusteringOptions,
            judges_constants=False,
            budgets={"fast": {"restarts": 3, "n_init": 1}, "smoke": {"samples": 1000, "restarts": 2, "n_init": 1}},
            requires=("sklearn",),
        ),
    ]
