from __future__ import annotations

import pytest
import torch
from torch import nn

from harness import Encoder, Items, Objective, Phase, Step


class Nothing(Encoder):
    def __init__(self):
        super().__init__()
        self.feature_shapes = {"y": (1,)}

    def forward(self, batch):
        return {"y": torch.zeros(len(batch), 1)}


class Plain(Objective):
    def phases(self):
        return []


def test_an_objective_holds_its_encoder_as_a_module():
    encoder = Nothing()
    objective = Plain(encoder, sampling=Items())
    assert dict(objective.named_children()) == {"encoder": encoder}


def test_without_a_word_the_first_phases_loss_is_watched_and_nothing_exported():
    objective = Plain(Nothing(), sampling=Items())
    assert objective.watch == ""
    assert dict(objective.exports()) == {}
    assert objective.after_step(None) is None


def test_an_objective_without_phases_method_cannot_be_made():
    with pytest.raises(TypeError, match="phases"):
        type("Incomplete", (Objective,), {})(Nothing(), sampling=Items())


def test_an_encoder_without_forward_cannot_be_made():
    with pytest.raises(TypeError, match="forward"):
        type("Incomplete", (Encoder,), {})()


def test_a_phase_runs_once_at_every_step_on_the_steps_batch_by_default():
    phase = Phase("a", [nn.Parameter(torch.zeros(1))], torch.optim.SGD, lambda step: {})
    assert (phase.every, phase.repeat, phase.fresh_batch, phase.schedule) == (1, 1, False, None)


def test_on_one_device_gathering_changes_nothing():
    tensor = torch.arange(3.0)
    assert Step(batch=None, epoch=0, index=0, generator=torch.Generator()).gather(tensor) is tensor
