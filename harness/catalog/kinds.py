"""The kinds of parts, and what each is called."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from harness.contracts.specs import (
    DataSetFamilySpec,
    DataSetSpec,
    EncoderSpec,
    EvaluatorSpec,
    MethodSpec,
    ObjectiveSpec,
    PictureSpec,
    ProtocolSpec,
    Spec,
    SuiteSpec,
)

Kind = Literal["dataset", "family", "encoder", "objective", "method", "protocol", "evaluator", "picture", "suite"]
AnySpec = Spec | DataSetFamilySpec

SPECS: dict[Kind, type[Struct]] = {
    "dataset": DataSetSpec,
    "family": DataSetFamilySpec,
    "encoder": EncoderSpec,
    "objective": ObjectiveSpec,
    "method": MethodSpec,
    "protocol": ProtocolSpec,
    "evaluator": EvaluatorSpec,
    "picture": PictureSpec,
    "suite": SuiteSpec,
}

WORDS: dict[Kind, str] = {"dataset": "data set", "family": "data-set family"}
"""What messages call a kind, where that is not the kind itself."""

USER = "user"
"""Package and distribution of what a user brings at run time; no plugin's package may be called so."""


def kind_of(spec: AnySpec) -> Kind:
    """The kind of part that a spec describes."""
    return next(kind for kind, spec_type in SPECS.items() if isinstance(spec, spec_type))


def name_of(spec: AnySpec) -> str:
    """A spec's name, or a family's prefix."""
    return spec.prefix if isinstance(spec, DataSetFamilySpec) else spec.name
