"""Specs of the data sets whose information is known exactly, and of their protocols. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated

from harness import DataSetFamilySpec, DataSetSpec, GeneratedRecipe, Meta, Options, ProtocolSpec
from harness_information.naming import SEED

STAIRCASE_DIMS = 20

Nats = Annotated[float, Meta(gt=0, le=100)]


class StaircaseOptions(Options, frozen=True, kw_only=True):
    """Options of the moving staircase."""

    levels: Annotated[tuple[Nats, ...], Meta(min_length=1, description="mutual information of each level, in nats")] = (
        2.0,
        4.0,
        6.0,
        8.0,
        10.0,
    )
    steps: Annotated[int, Meta(ge=4, description="batches of each level")] = 4000
    cubic: Annotated[bool, Meta(description="y -> y³ in every coordinate, which changes no information")] = False


KNOWN_INFORMATION = ProtocolSpec(
    name="known-information",
    summary="Pairs of exactly known mutual information; estimates are read on pairs that training never saw.",
    track="synthetic",
    splits="as many pairs to train on as to judge by, drawn once from the recipe; critics train on fresh pairs of the same law",
    preprocessing="none",
    evaluators=("mi-value",),
)

KNOWN_CORRELATION = ProtocolSpec(
    name="known-correlation",
    summary="Vectors of exactly known total correlation, half of them held out.",
    track="synthetic",
    splits="as many vectors to train on as to judge by, drawn once from the recipe",
    preprocessing="none",
    evaluators=("ndm",),
)

STAIRCASE_PROTOCOL = ProtocolSpec(
    name="staircase",
    summary="One critic follows a mutual information that rises in steps; every step's estimate is of a fresh batch.",
    track="synthetic",
    splits="fresh pairs in every step, so that an estimate is of pairs not trained on; the last quarter of each level is judged",
    preprocessing="none",
    evaluators=("staircase",),
)

STAIRCASE = DataSetSpec(
    name="staircase",
    summary="Correlated Gaussians of 20 dimensions whose mutual information rises from 2 to 10 nats while a critic trains.",
    track="synthetic",
    kind="pairs",
    build="harness_information.gaussians:build_staircase",
    recipe=GeneratedRecipe(
        generator="harness_information.gaussians", settings={"law": "staircase", "d": STAIRCASE_DIMS, "seed": SEED}
    ),
    protocols=("staircase",),
    sampling=("items",),
    shape=(STAIRCASE_DIMS, STAIRCASE_DIMS),
    annotations=("truth",),
    options=StaircaseOptions,
    citation="Poole, Ozair, van den Oord, Alemi, Tucker (2019), On Variational Bounds of Mutual Information, ICML",
)

GAUSSIANS = DataSetFamilySpec(
    prefix="gaussians",
    summary="Pairs of vectors of exactly known mutual information: correlated, dense, sparse, student, uniform, and maps of them.",
    resolve="harness_information.naming:resolve_gaussians",
    example="gaussians:mi=6",
)

EQUICORRELATED = DataSetFamilySpec(
    prefix="equicorrelated",
    summary="Gaussian vectors, every two coordinates equally correlated, of exactly known total correlation.",
    resolve="harness_information.naming:resolve_equicorrelated",
    example="equicorrelated:d=10,r=0.5",
)

DATASETS: list[DataSetSpec | DataSetFamilySpec] = [STAIRCASE, GAUSSIANS, EQUICORRELATED]
PROTOCOLS: list[ProtocolSpec] = [KNOWN_INFORMATION, KNOWN_CORRELATION, STAIRCASE_PROTOCOL]
