"""The graphs plugin's hooks: which parts it has. Imports nothing heavy."""

from __future__ import annotations

from harness import (
    DataSetSpec,
    EncoderSpec,
    MethodSpec,
    ObjectiveSpec,
    ProtocolSpec,
    PublishedNumber,
    SuiteSpec,
    hookimpl,
)
from harness_graphs import spec_data, spec_dgi, spec_encoders, spec_published


@hookimpl
def harness_datasets() -> list[DataSetSpec]:
    """Citation graphs, and generated graphs that need no file."""
    return spec_data.DATASETS


@hookimpl
def harness_protocols() -> list[ProtocolSpec]:
    """How graphs are judged."""
    return spec_data.PROTOCOLS


@hookimpl
def harness_encoders() -> list[EncoderSpec]:
    """Graph encoders."""
    return spec_encoders.ENCODERS


@hookimpl
def harness_objectives() -> list[ObjectiveSpec]:
    """Deep Graph Infomax."""
    return spec_dgi.OBJECTIVES


@hookimpl
def harness_methods() -> list[MethodSpec]:
    """Its two recipes."""
    return spec_dgi.METHODS


@hookimpl
def harness_suites() -> list[SuiteSpec]:
    """The published table, and the part of it that stands on the leaderboard."""
    return spec_published.SUITES


@hookimpl
def harness_published() -> list[PublishedNumber]:
    """The rows of the paper's transductive table whose methods stand on our board."""
    return spec_published.PUBLISHED
