"""The image plugin's hooks: which parts it has. Imports nothing heavy."""

from __future__ import annotations

from harness import (
    DataSetFamilySpec,
    DataSetSpec,
    EncoderSpec,
    MethodSpec,
    ObjectiveSpec,
    PictureSpec,
    ProtocolSpec,
    PublishedNumber,
    SuiteSpec,
    hookimpl,
)
from harness_images import spec_data, spec_dim, spec_encoders, spec_pictures, spec_published


@hookimpl
def harness_datasets() -> list[DataSetSpec | DataSetFamilySpec]:
    """Named image data sets, and those of the hub and in folders."""
    return [*spec_data.DATASETS, *spec_data.FAMILIES]


@hookimpl
def harness_protocols() -> list[ProtocolSpec]:
    """How images are judged."""
    return spec_data.PROTOCOLS


@hookimpl
def harness_encoders() -> list[EncoderSpec]:
    """Convolutional encoders by image size."""
    return list(spec_encoders.ENCODERS)


@hookimpl
def harness_objectives() -> list[ObjectiveSpec]:
    """`dim`."""
    return [spec_dim.DIM]


@hookimpl
def harness_methods() -> list[MethodSpec]:
    """Deep InfoMax in its variants."""
    return spec_dim.METHODS


@hookimpl
def harness_pictures() -> list[PictureSpec]:
    """What the page of an image run shows."""
    return spec_pictures.pictures()


@hookimpl
def harness_suites() -> list[SuiteSpec]:
    """Tables of the Deep InfoMax paper."""
    return spec_published.SUITES


@hookimpl
def harness_published() -> list[PublishedNumber]:
    """The numbers of those tables."""
    return spec_published.published()
