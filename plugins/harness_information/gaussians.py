"""Data sets with exactly known information: pairs from a law, the moving staircase, and equicorrelated vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from harness import Annotations, DataContext, DataSet, PairSource, Splits, UnfitError, VectorSource
from harness_information import laws
from harness_information.drawing import FreshPairs
from harness_information.laws import IDENTITY, MAPS, Law, RecipeNoise
from harness_information.naming import SEED, EquicorrelatedOptions, GaussiansOptions
from harness_information.spec_data import STAIRCASE_DIMS, StaircaseOptions

HELD = 4096
"""Pairs of each part of the staircase, at its last level."""


def law_of(settings: Mapping[str, Any]) -> Law:
    """The law of what `gaussians_settings` gives."""
    dx, dy = settings["dx"], settings["dy"]
    match settings["law"]:
        case "dense":
            law = laws.dense(dx, dy, settings["rho"])
        case "sparse":
            law = laws.sparse(dx, dy, settings["rho"])
        case "student":
            law = laws.student(dx, dy, settings["dof"])
        case "uniform":
            law = laws.uniform(settings["noise"])
        case _:
            law = laws.correlated(dx, settings["rho"] if "rho" in settings else laws.correlation_of(settings["mi"], dx))
    return law.mapped(*MAPS.get(settings["map"], (IDENTITY, IDENTITY)))


def build_gaussians(context: DataContext, options: GaussiansOptions) -> DataSet:
    """`samples` pairs to train on and as many to judge, drawn once; training sees fresh ones of the same law unless told not to."""
    law = law_of(context.settings)
    held = PairSource(*law.draw(2 * options.samples, RecipeNoise(SEED)))
    splits = _halves(options.samples)
    return DataSet(
        inputs=held,
        pretrain=FreshPairs([law], first=len(held), samples=options.samples) if options.fresh else held.subset(splits.train),
        annotations=Annotations(splits={"known-information": splits}, truth={"mutual_information": law.mutual_information}),
    )


def build_staircase(context: DataContext, options: StaircaseOptions) -> DataSet:
    """One epoch climbs all levels, `steps` batches of each; the pairs that are held are of the last level.

    Raises UnfitError where a level is there twice: estimates are told apart by it.
    """
    if len(set(options.levels)) < len(options.levels):
        raise UnfitError("A level of the staircase is there twice; give each data.levels once.")
    levels = [laws.correlated(STAIRCASE_DIMS, laws.correlation_of(level, STAIRCASE_DIMS)) for level in options.levels]
    if options.cubic:
        levels = [law.mapped(*MAPS["cubic"]) for law in levels]
    held = PairSource(*levels[-1].draw(2 * HELD, RecipeNoise(SEED)))
    truth = {f"level {number}": level for number, level in enumerate(options.levels)}
    return DataSet(
        inputs=held,
        pretrain=FreshPairs(levels, first=len(held), steps=options.steps),
        annotations=Annotations(
            splits={"staircase": _halves(HELD)},
            truth={**truth, "mutual_information": options.levels[-1], "steps": float(options.steps)},
        ),
    )


def build_equicorrelated(context: DataContext, options: EquicorrelatedOptions) -> DataSet:
    """Vectors whose every two coordinates are correlated by r: TC = -½ ((d - 1) log(1 - r) + log(1 + (d - 1) r)) nats."""
    dims, r = context.settings["d"], context.settings["r"]
    noise = RecipeNoise(SEED)
    common, own = noise.normal(2 * options.samples, 1), noise.normal(2 * options.samples, dims)
    source = VectorSource(math.sqrt(r) * common + math.sqrt(1 - r) * own)
    splits = _halves(options.samples)
    return DataSet(
        inputs=source,
        pretrain=source.subset(splits.train),
        annotations=Annotations(splits={"known-correlation": splits}, truth={"total_correlation": equicorrelation(dims, r)}),
    )


def equicorrelation(dims: int, r: float) -> float:
    """Total correlation of `dims` Gaussians, every two correlated by r, in nats."""
    return -0.5 * ((dims - 1) * math.log1p(-r) + math.log1p((dims - 1) * r))


def _halves(samples: int) -> Splits:
    return Splits(train=np.arange(samples), test=np.arange(samples, 2 * samples))
