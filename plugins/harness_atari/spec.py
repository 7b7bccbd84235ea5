"""The Atari plugin's hooks: which parts it has. Imports nothing heavy."""

from __future__ import annotations

from harness import (
    DataSetFamilySpec,
    DataSetSpec,
    EncoderSpec,
    EvaluatorSpec,
    MethodSpec,
    ObjectiveSpec,
    PictureSpec,
    ProtocolSpec,
    PublishedNumber,
    SuiteSpec,
    hookimpl,
)
from harness_atari import spec_data, spec_encoders, spec_evaluators, spec_objectives, spec_pictures, spec_published


@hookimpl
def harness_datasets() -> list[DataSetSpec | DataSetFamilySpec]:
    """Games, with and without their frames."""
    return spec_data.DATASETS


@hookimpl
def harness_protocols() -> list[ProtocolSpec]:
    """How RAM variables are read off a representation, mended and as the authors' code does it."""
    return spec_data.PROTOCOLS


@hookimpl
def harness_encoders() -> list[EncoderSpec]:
    """Encoders of frames."""
    return list(spec_encoders.ENCODERS)


@hookimpl
def harness_objectives() -> list[ObjectiveSpec]:
    """Spatio-temporal Deep InfoMax and its kin."""
    return list(spec_objectives.OBJECTIVES)


@hookimpl
def harness_methods() -> list[MethodSpec]:
    """Their recipes."""
    return list(spec_objectives.METHODS)


@hookimpl
def harness_evaluators() -> list[EvaluatorSpec]:
    """Probes of RAM variables."""
    return list(spec_evaluators.EVALUATORS)


@hookimpl
def harness_pictures() -> list[PictureSpec]:
    """Where things are, and how well they are read."""
    return spec_pictures.PICTURES


@hookimpl
def harness_published() -> list[PublishedNumber]:
    """The tables of Anand et al. (2019)."""
    return spec_published.PUBLISHED


@hookimpl
def harness_suites() -> list[SuiteSpec]:
    """What computes ours beside them."""
    return spec_published.SUITES
