"""Specs of the probes of RAM variables. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from harness import EvaluatorSpec, Meta, MetricSpec, Options

Classes = Annotated[
    Literal["seen", "all"],
    Meta(description="classes of a probe: the values that its variable has in the training part, or all 256 of a byte"),
]


class RamProbeOptions(Options, frozen=True, kw_only=True):
    """A linear classifier for each variable."""

    lr: Annotated[
        float, Meta(gt=0, description="Adam's learning rate at first; a plateau of the validation accuracy divides it by five")
    ] = 3e-4
    epochs: Annotated[int, Meta(ge=1, description="passes over the training part, at most")] = 100
    batch_size: Annotated[int, Meta(ge=1, description="frames a step")] = 64
    patience: Annotated[
        int, Meta(ge=1, description="a probe ends after this many epochs in a row without a higher validation accuracy")
    ] = 15
    classes: Classes = "seen"


class LegacyRamProbeOptions(RamProbeOptions, frozen=True, kw_only=True):
    """The same with the classes of the paper's code."""

    classes: Classes = "all"


def _share(name: str, description: str, *, primary: bool = False) -> MetricSpec:
    return MetricSpec(name=name, unit="1", higher_is_better=True, lower=0.0, upper=1.0, primary=primary, description=description)


METRICS = (
    _share(
        "f1",
        "mean over the categories that have variables of the mean over their variables of the F1 of each value, weighted by how "
        "often it is true in the test part",
        primary=True,
    ),
    _share("accuracy", "the same mean of the share of test frames whose value is predicted"),
    _share("category_f1", "mean weighted F1 over the variables of one category; a variable in two counts in both"),
    _share("category_accuracy", "mean accuracy over the variables of one category"),
    _share("variable_f1", "weighted F1 of one variable"),
    _share("variable_accuracy", "share of test frames whose value of one variable is predicted"),
)

BUDGETS = {"fast": {"lr": 1e-3}, "smoke": {"lr": 3e-3}}
"""No budget shortens the probes, which end by themselves. But an epoch of fewer frames has fewer steps, and at the rate of the
paper's 50,000 frames many a probe would end before its accuracy has begun to rise; so the rate grows as an epoch's steps fall."""

RAM_PROBE = EvaluatorSpec(
    name="ram-probe",
    summary="A linear probe for each RAM variable, weights of its best validation epoch; F1 by category.",
    build="harness_atari.ram_probe:RamProbe",
    needs=("factors",),
    metrics=METRICS,
    options=RamProbeOptions,
    budgets=BUDGETS,
    tracks=("atari",),
)

RAM_PROBE_LEGACY = EvaluatorSpec(
    name="ram-probe-legacy",
    summary="The same as the paper's code has it: frames of all parts drawn with replacement, weights of the last epoch.",
    build="harness_atari.ram_probe:LegacyRamProbe",
    needs=("factors", "inputs"),
    metrics=METRICS,
    options=LegacyRamProbeOptions,
    budgets=BUDGETS,
    tracks=("atari",),
)

RAM_SUPERVISED = EvaluatorSpec(
    name="ram-supervised",
    summary="An encoder of its own for each RAM variable, trained by the variable's values; F1 by category.",
    build="harness_atari.ram_supervised:SupervisedRam",
    needs=("factors", "inputs", "encoder"),
    metrics=METRICS,
    options=RamProbeOptions,
    tracks=("atari",),
)

EVALUATORS: list[EvaluatorSpec] = [RAM_PROBE, RAM_PROBE_LEGACY, RAM_SUPERVISED]
