"""Contrastive predictive coding of sequences of frames."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from harness import Description, Encoder, FrameSequences, ObjectiveContext, Sequences, Step, UnfitError
from harness_atari.cpc import ContrastivePredictiveCoding, build
from harness_atari.spec_objectives import CPCOptions

B, LENGTH, LATENT = 3, 6, 4
DESCRIPTION = Description(kind="frames", shape=(1, 3, 3), samples=40)


class TinyEncoder(Encoder):
    """Frames of 3x3 pixels to "y" [B, 4]; notes what it is given."""

    def __init__(self):
        super().__init__()
        self.feature_shapes = {"y": (LATENT,)}
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(9, LATENT))
        self.seen = []

    def forward(self, batch):
        self.seen.append(len(batch))
        return {"y": self.net(batch.pixels)}


def objective(**options: object) -> ContrastivePredictiveCoding:
    torch.manual_seed(0)
    small = {"sequence_length": LENGTH, "stride": 2, "predict_every": 2, "gru_size": 5, "gru_layers": 2}
    return build(TinyEncoder(), ObjectiveContext(DESCRIPTION), CPCOptions(**(small | options)), torch.Generator())


def step(n: int = B, length: int = LENGTH) -> Step:
    frames = torch.randn(n, length, 1, 3, 3, generator=torch.Generator().manual_seed(1))
    return Step(FrameSequences(index=torch.arange(n) * length, frames=frames), 0, 0, torch.Generator())


def contexts_by_loop(made: ContrastivePredictiveCoding, y: torch.Tensor) -> torch.Tensor:
    """[L, H] of one sequence y [L, D], frame by frame."""
    state, found = None, []
    for frame in y:
        output, state = made.gru(frame[None], state)
        found.append(output[0])
    return torch.stack(found)


def test_the_loss_is_that_of_loops_over_steps_sequences_and_frames():
    made = objective()
    y = [made.encoder.net(sequence) for sequence in step().batch.frames]
    contexts = [contexts_by_loop(made, sequence) for sequence in y]
    steps = []
    for ahead, linear in zip((1, 3, 5), made.predict, strict=True):
        candidates = [(b, s + ahead) for b in range(B) for s in range(LENGTH - ahead)]
        total = 0.0
        for b, later in candidates:
            predicted = linear(contexts[b][later - ahead])
            logits = torch.stack([predicted @ y[other][frame] for other, frame in candidates])
            total = total - logits.log_softmax(0)[candidates.index((b, later))]
        steps.append(total / len(candidates))
    found = made.recognition(step())
    torch.testing.assert_close(found["loss"], sum(steps), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["nearest"], steps[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["farthest"], steps[-1], rtol=1e-4, atol=1e-5)


def test_the_published_steps_are_every_fourth_of_ninety_nine():
    made = objective(sequence_length=100, predict_every=4)
    assert list(made.steps) == [1 + step for step in range(0, 99, 4)]
    assert len(made.predict) == 25


def test_maps_that_predict_nothing_cost_the_logarithm_of_the_candidates():
    made = objective()
    with torch.no_grad():
        for linear in made.predict:
            linear.weight.zero_()
            linear.bias.zero_()
    expected = [math.log(B * (LENGTH - ahead)) for ahead in (1, 3, 5)]
    found = made.recognition(step())
    assert found["loss"].item() == pytest.approx(sum(expected), rel=1e-5)
    assert (found["nearest"].item(), found["farthest"].item()) == pytest.approx((expected[0], expected[-1]), rel=1e-5)


def test_a_context_knows_nothing_of_what_comes_after_it():
    made, one, other = objective(), step(), step()
    other.batch.frames[:, 4:] += 1.0
    contexts = [made.gru(made.encoder.net(each.batch.frames.flatten(0, 1)).view(B, LENGTH, LATENT))[0] for each in (one, other)]
    assert torch.equal(contexts[0][:, :4], contexts[1][:, :4])
    assert not torch.equal(contexts[0][:, 4:], contexts[1][:, 4:])


def test_all_frames_are_encoded_in_one_pass_and_gradients_reach_all_of_them():
    made, one = objective(), step()
    one.batch.frames.requires_grad_()
    made.recognition(one)["loss"].backward()
    assert made.encoder.seen == [B * LENGTH]
    assert one.batch.frames.grad.flatten(2).any(dim=2).all()
    assert all(parameter.grad is not None for parameter in made.parameters())


def test_a_few_steps_lower_the_loss_with_adams_own_epsilon():
    made = objective(lr=1e-2)
    (phase,) = made.phases()
    optimiser = phase.optimiser(list(phase.parameters))
    assert optimiser.param_groups[0]["eps"] == 1e-8
    before = phase.loss(step())["loss"].item()
    for _ in range(60):
        optimiser.zero_grad()
        phase.loss(step())["loss"].backward()
        optimiser.step()
    assert phase.loss(step())["loss"].item() < 0.7 * before


def test_sequences_are_drawn_with_the_length_and_stride_of_the_options():
    assert objective(sequence_length=8, stride=3).sampling == Sequences(length=8, stride=3)


def test_an_encoder_without_a_vector_is_refused():
    encoder = TinyEncoder()
    encoder.feature_shapes = {"local": (3, 2, 2)}
    with pytest.raises(UnfitError, match='"y"'):
        build(encoder, ObjectiveContext(DESCRIPTION), CPCOptions(), torch.Generator())
