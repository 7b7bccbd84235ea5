"""The objective global-t-dim."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from harness import Description, Encoder, FramePairs, ObjectiveContext, Step, TimePairs, UnfitError
from harness_atari.global_t_dim import GlobalTemporalDIM, build
from harness_atari.spec_objectives import GlobalTDIMOptions

B, LATENT = 5, 7
DESCRIPTION = Description(kind="frames", shape=(1, 4, 4), samples=40)


class TinyEncoder(Encoder):
    """Frames of 4x4 pixels to "y" [B, 7]; notes what it is given."""

    def __init__(self):
        super().__init__()
        self.feature_shapes = {"y": (LATENT,)}
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(16, LATENT))
        self.seen = []

    def forward(self, batch):
        self.seen.append(len(batch))
        return {"y": self.net(batch.pixels)}


def objective(**options: object) -> GlobalTemporalDIM:
    torch.manual_seed(0)
    made = build(TinyEncoder(), ObjectiveContext(DESCRIPTION), GlobalTDIMOptions(**options), torch.Generator())
    nn.init.normal_(made.predict.bias)
    return made


def step(n: int = B) -> Step:
    first, second = torch.randn(2, n, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    return Step(FramePairs(index=torch.arange(n), first=first, second=second), 0, 0, torch.Generator())


def test_the_loss_is_that_of_a_loop_over_pairs():
    made, batch, total = objective(), step().batch, 0.0
    earlier, later = made.encoder.net(batch.first), made.encoder.net(batch.second)
    for i in range(B):
        logits = torch.stack([made.predict(later[i]) @ earlier[j] for j in range(B)])
        total = total - logits.log_softmax(0)[i] / B
    torch.testing.assert_close(made.recognition(step())["loss"], total)


def test_a_map_that_predicts_nothing_costs_the_logarithm_of_the_batch():
    made = objective()
    with torch.no_grad():
        made.predict.weight.zero_()
        made.predict.bias.zero_()
    assert made.recognition(step(64))["loss"].item() == pytest.approx(math.log(64), rel=1e-5)


def test_all_frames_are_encoded_in_one_pass_and_gradients_reach_both_halves():
    made, one = objective(), step()
    one.batch.first.requires_grad_()
    one.batch.second.requires_grad_()
    made.recognition(one)["loss"].backward()
    assert made.encoder.seen == [2 * B]
    assert all(frames.grad.flatten(1).any(dim=1).all() for frames in (one.batch.first, one.batch.second))


def test_a_few_steps_lower_the_loss():
    made = objective(lr=1e-2)
    (phase,) = made.phases()
    optimiser = phase.optimiser(list(phase.parameters))
    assert optimiser.param_groups[0]["eps"] == 1e-5
    before = phase.loss(step())["loss"].item()
    for _ in range(50):
        optimiser.zero_grad()
        phase.loss(step())["loss"].backward()
        optimiser.step()
    assert phase.loss(step())["loss"].item() < 0.5 * before


def test_pairs_are_drawn_at_the_offset():
    assert objective(offset=2).sampling == TimePairs(offset=2)


def test_an_encoder_without_a_vector_is_refused():
    encoder = TinyEncoder()
    encoder.feature_shapes = {"local": (3, 2, 2)}
    with pytest.raises(UnfitError, match='"y"'):
        build(encoder, ObjectiveContext(DESCRIPTION), GlobalTDIMOptions(), torch.Generator())
