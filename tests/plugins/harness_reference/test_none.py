"""The objective none."""

from __future__ import annotations

import torch

from harness import Description, ObjectiveContext, Options
from harness_reference.encoders import Constant
from harness_reference.none import build


def test_it_has_no_phases_and_exports_nothing() -> None:
    context = ObjectiveContext(description=Description(kind="vectors", shape=(2,), samples=3))
    objective = build(Constant(), context, Options(), torch.Generator())
    assert list(objective.phases()) == []
    assert objective.exports() == {}


def test_it_keeps_the_encoder_it_is_given() -> None:
    encoder = Constant()
    context = ObjectiveContext(description=Description(kind="vectors", shape=(2,), samples=3))
    assert build(encoder, context, Options(), torch.Generator()).encoder is encoder
