"""The information plugin's hooks: which parts it has. Imports nothing heavy."""

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
    SuiteSpec,
    hookimpl,
)
from harness_information import spec_data, spec_estimators, spec_evaluators


@hookimpl
def harness_datasets() -> list[DataSetSpec | DataSetFamilySpec]:
    """Data whose information is known exactly."""
    return spec_data.DATASETS


@hookimpl
def harness_protocols() -> list[ProtocolSpec]:
    """How estimates of it are judged."""
    return spec_data.PROTOCOLS


@hookimpl
def harness_encoders() -> list[EncoderSpec]:
    """Critics."""
    return spec_estimators.ENCODERS


@hookimpl
def harness_objectives() -> list[ObjectiveSpec]:
    """`mutual-information`."""
    return [spec_estimators.MUTUAL_INFORMATION]


@hookimpl
def harness_methods() -> list[MethodSpec]:
    """Estimators of mutual information."""
    return spec_estimators.METHODS


@hookimpl
def harness_evaluators() -> list[EvaluatorSpec]:
    """What reads critics, and what estimates the information of any representation."""
    return [spec_estimators.MI_VALUE, spec_estimators.STAIRCASE_READING, *spec_evaluators.EVALUATORS]


@hookimpl
def harness_pictures() -> list[PictureSpec]:
    """The staircase."""
    return [spec_estimators.STAIRCASE_PICTURE]


@hookimpl
def harness_suites() -> list[SuiteSpec]:
    """All estimators on all laws."""
    return [spec_estimators.SUITE]
