"""The objective jsd-st-dim."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from harness import Description, Encoder, FramePairs, Images, ObjectiveContext, Step, TimePairs, UnfitError
from harness_atari.jsd_st_dim import BilinearScore, JensenShannonSTDIM, build
from harness_atari.spec_objectives import JSDSTDIMOptions

B, CHANNELS, HEIGHT, WIDTH, LATENT = 4, 5, 3, 2, 7
DESCRIPTION = Description(kind="frames", shape=(1, 6, 4), samples=40)


class TinyEncoder(Encoder):
    """Frames of 6x4 pixels to "local" [B, 5, 3, 2] and "y" [B, 7]; notes what it is given."""

    def __init__(self):
        super().__init__()
        self.feature_shapes = {"y": (LATENT,), "local": (CHANNELS, HEIGHT, WIDTH)}
        self.below = nn.Sequential(nn.Conv2d(1, CHANNELS, 4, 2, 1), nn.ReLU())
        self.above = nn.Sequential(nn.Flatten(), nn.Linear(CHANNELS * HEIGHT * WIDTH, LATENT))
        self.seen = []

    def forward(self, batch):
        self.seen.append(len(batch))
        local = self.below(batch.pixels)
        return {"y": self.above(local), "local": local}


def objective(**options: object) -> JensenShannonSTDIM:
    torch.manual_seed(0)
    return build(TinyEncoder(), ObjectiveContext(DESCRIPTION), JSDSTDIMOptions(**options), torch.Generator())


def triples(n: int = B) -> FramePairs:
    first, second, other = torch.randn(3, n, 1, 6, 4, generator=torch.Generator().manual_seed(1))
    return FramePairs(index=torch.arange(n), first=first, second=second, other=other)


def terms(made: JensenShannonSTDIM, batch: FramePairs | None = None) -> dict[str, torch.Tensor]:
    return dict(made.discrimination(Step(batch or triples(), 0, 0, torch.Generator())))


def test_a_bilinear_score_is_that_of_torchs_layer():
    torch.manual_seed(0)
    critic = BilinearScore(3, 4)
    a, b = torch.randn(5, 3), torch.randn(5, 4)
    torch.testing.assert_close(critic.score(critic.map(a), b), critic(a, b).squeeze(1))


def test_both_terms_are_binary_cross_entropies_by_loops_over_places_and_pairs():
    made, batch = objective(), triples()
    earlier, later, other = (
        made.encoder(Images(index=batch.index, pixels=frames)) for frames in (batch.first, batch.second, batch.other)
    )
    expected = {"global-local": 0.0, "local-local": 0.0}
    for i in range(B):
        for row in range(HEIGHT):
            for column in range(WIDTH):
                both = ((earlier["local"][i, :, row, column], 1.0), (other["local"][i, :, row, column], 0.0))
                for b, target in both:
                    scores = {
                        "global-local": nn.Bilinear.forward(made.from_global, later["y"][i], b),
                        "local-local": nn.Bilinear.forward(made.from_local, later["local"][i, :, row, column], b),
                    }
                    for name, score in scores.items():
                        share = nn.functional.binary_cross_entropy_with_logits(score, torch.tensor([target]))
                        expected[name] = expected[name] + share / (2 * B * HEIGHT * WIDTH)
    found = terms(made)
    assert set(found) == {"loss", *expected}
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)
    torch.testing.assert_close(found["loss"], expected["global-local"] + expected["local-local"])


def test_scores_that_know_nothing_cost_ln_2_in_each_term():
    made = objective()
    with torch.no_grad():
        for critic in (made.from_global, made.from_local):
            critic.weight.zero_()
            critic.bias.zero_()
    found = terms(made)
    assert [found[name].item() for name in ("global-local", "local-local")] == pytest.approx([math.log(2)] * 2)


def test_all_frames_are_encoded_in_one_pass_and_gradients_reach_all_thirds():
    made, batch = objective(), triples()
    frames = (batch.first, batch.second, batch.other)
    for one in frames:
        one.requires_grad_()
    terms(made, batch)["loss"].backward()
    assert made.encoder.seen == [3 * B]
    assert all(one.grad.flatten(1).any(dim=1).all() for one in frames)


def test_a_few_steps_lower_the_loss_and_frames_exchanged_raise_it():
    made, batch = objective(lr=1e-2), triples()
    (phase,) = made.phases()
    optimiser = phase.optimiser(list(phase.parameters))
    assert optimiser.param_groups[0]["eps"] == 1e-5
    before = terms(made)["loss"].item()
    for _ in range(100):
        optimiser.zero_grad()
        terms(made)["loss"].backward()
        optimiser.step()
    assert terms(made)["loss"].item() < 0.5 * before
    exchanged = FramePairs(index=batch.index, first=batch.other, second=batch.second, other=batch.first)
    assert terms(made, exchanged)["loss"].item() > 2 * math.log(2)


def test_a_random_frame_of_the_same_episode_is_drawn_beside_each_pair():
    assert objective(offset=2).sampling == TimePairs(offset=2, other=True)


def test_an_encoder_without_a_map_is_refused():
    encoder = TinyEncoder()
    encoder.feature_shapes = {"y": (LATENT,)}
    with pytest.raises(UnfitError, match='"local"'):
        build(encoder, ObjectiveContext(DESCRIPTION), JSDSTDIMOptions(), torch.Generator())
