"""Spatiotemporal Deep InfoMax: against loops over places and items, and the facts it rests on."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from harness import Description, Encoder, FramePairs, FrameSource, Images, Items, ObjectiveContext, Step, TimePairs, UnfitError
from harness.contracts.training import TrainOptions
from harness.line.devices import make_fabric
from harness.line.seeding import isolated_randomness
from harness.line.training import Trainer
from harness_atari.encoders import build_nature_84, build_nature_full
from harness_atari.spec_encoders import NatureOptions
from harness_atari.spec_objectives import STDIMOptions
from harness_atari.st_dim import SpatiotemporalDIM, build

B, CHANNELS, HEIGHT, WIDTH, LATENT = 5, 6, 4, 3, 7
DESCRIPTION = Description(kind="frames", shape=(1, 8, 6), samples=40)


class TinyEncoder(Encoder):
    """Frames of 8x6 pixels to "local" [B, 6, 4, 3] and "y" [B, 7]; notes what it is given."""

    def __init__(self):
        super().__init__()
        self.feature_shapes = {"y": (LATENT,), "local": (CHANNELS, HEIGHT, WIDTH)}
        self.below = nn.Sequential(nn.Conv2d(1, CHANNELS, 4, 2, 1), nn.ReLU())
        self.above = nn.Sequential(nn.Flatten(), nn.Linear(CHANNELS * HEIGHT * WIDTH, LATENT))
        self.seen = []

    def forward(self, batch):
        self.seen.append(batch)
        local = self.below(batch.pixels)
        return {"y": self.above(local), "local": local}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def objective(**options: object) -> SpatiotemporalDIM:
    with isolated_randomness(3):
        made = build(TinyEncoder(), ObjectiveContext(DESCRIPTION), STDIMOptions(**options), torch.Generator())
        for linear in (made.from_global, made.from_local):
            if linear is not None:
                nn.init.normal_(linear.bias)
    return made


def pairs(n: int = B, seed: int = 0) -> FramePairs:
    random = torch.Generator().manual_seed(seed)
    first = torch.rand(n, 1, 8, 6, generator=random)
    second = first + 0.3 * torch.rand(n, 1, 8, 6, generator=random)
    return FramePairs(index=torch.arange(n), first=first, second=second)


def terms(made: SpatiotemporalDIM, batch: object = None) -> dict[str, torch.Tensor]:
    return dict(made.recognition(Step(batch or pairs(), 0, 0, torch.Generator())))


def by_loops(made: SpatiotemporalDIM, batch: FramePairs) -> dict[str, torch.Tensor]:
    """Both terms, one place and one item after another."""
    encoder = made.encoder
    earlier = encoder(Images(index=batch.index, pixels=batch.first))["local"]
    later = encoder(Images(index=batch.index, pixels=batch.second))
    sums = {"global-local": torch.zeros(()), "local-local": torch.zeros(())}
    for row in range(HEIGHT):
        for column in range(WIDTH):
            for i in range(len(batch)):
                predictions = {
                    "global-local": made.from_global(later["y"][i]),
                    "local-local": made.from_local(later["local"][i, :, row, column]),
                }
                for name, prediction in predictions.items():
                    logits = torch.stack([prediction @ earlier[j, :, row, column] for j in range(len(batch))])
                    sums[name] = sums[name] - logits.log_softmax(0)[i]
    means = {name: value / (HEIGHT * WIDTH * len(batch)) for name, value in sums.items()}
    return {"loss": means["global-local"] + means["local-local"], **means}


# ------------------------------------------------------------------------------------------------- against loops


def test_both_terms_are_those_of_loops_over_places_and_items():
    made = objective()
    found, expected = terms(made), by_loops(made, pairs())
    assert set(found) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)


def test_gradients_are_those_of_the_loops():
    made = objective()
    parameters = list(made.parameters())
    mine = torch.autograd.grad(terms(made)["loss"], parameters)
    expected = torch.autograd.grad(by_loops(made, pairs())["loss"], parameters)
    for one, other in zip(mine, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["global-local", "local-local"])
def test_one_term_alone_is_that_term(name):
    both, alone = objective(), objective(terms=name)
    state = {key: value for key, value in both.state_dict().items() if key in alone.state_dict()}
    alone.load_state_dict(state)
    found = terms(alone)
    assert set(found) == {"loss", name}
    assert found["loss"] == found[name]
    torch.testing.assert_close(found[name], terms(both)[name])


def test_of_the_same_frame_twice_the_earlier_one_is_itself():
    """Offset 0 draws single frames, and encodes each once."""
    static, moving, batch = objective(offset=0), objective(), pairs()
    twice = replace(batch, second=batch.first)
    once = Images(index=batch.index, pixels=batch.first)
    for name, value in terms(static, once).items():
        torch.testing.assert_close(value, terms(moving, twice)[name])
    assert [len(seen) for seen in static.encoder.seen] == [B]


# -------------------------------------------------------------------------------------------- facts about the loss


@pytest.mark.parametrize("n", [2, 64])
def test_a_map_that_predicts_nothing_costs_the_logarithm_of_the_batch_in_each_term(n):
    made = objective()
    with torch.no_grad():
        for linear in (made.from_global, made.from_local):
            linear.weight.zero_()
            linear.bias.zero_()
    found = terms(made, pairs(n))
    assert found["global-local"].item() == pytest.approx(math.log(n), rel=1e-5)
    assert found["loss"].item() == pytest.approx(2 * math.log(n), rel=1e-5)


def squares(n: int, side: int = 84, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames [n, 1, side, side] uint8 of a bright square that wanders over black, in episodes of 20 frames."""
    random = torch.Generator().manual_seed(seed)
    steps = torch.randint(-4, 5, (n, 2), generator=random)
    place = (steps.cumsum(0) + side // 2) % (side - 30)
    axis = torch.arange(side)
    inside = [(axis >= place[:, k, None]) & (axis < place[:, k, None] + 30) for k in (0, 1)]
    pixels = (inside[0][:, :, None] & inside[1][:, None, :]).to(torch.uint8) * 200
    return pixels[:, None], torch.arange(n) // 20


def test_the_published_encoder_begins_near_the_logarithm_of_the_batch():
    """2 ln 64 = 8.318 at batch 64."""
    description = Description(kind="frames", shape=(1, 210, 160), samples=65, value_range=(0.0, 1.0))
    with isolated_randomness(0):
        encoder = build_nature_full(description, NatureOptions(), torch.Generator())
        made = build(encoder, ObjectiveContext(description), STDIMOptions(), torch.Generator())
    frames = torch.nn.functional.interpolate(squares(65)[0].float() / 255, (210, 160))
    batch = FramePairs(index=torch.arange(64), first=frames[:-1], second=frames[1:])
    with torch.no_grad():
        found = terms(made, batch)
    assert found["loss"].item() == pytest.approx(2 * math.log(64), abs=0.5)


def test_a_pair_taken_apart_is_recognised_less():
    """The diagonal is the target: with the earlier frames of two pairs exchanged, a trained encoder loses."""
    made, batch = objective(lr=1e-2), pairs()
    (phase,) = made.phases()
    optimiser = phase.optimiser(list(phase.parameters))
    for _ in range(200):
        optimiser.zero_grad()
        terms(made, batch)["loss"].backward()
        optimiser.step()
    order = torch.tensor([1, 0, *range(2, B)])
    exchanged = terms(made, replace(batch, first=batch.first[order]))
    together = terms(made, batch)
    assert all(exchanged[name] > together[name] + 0.1 for name in together)


def test_the_earlier_frame_is_recognised_from_the_later_one_and_not_the_other_way_round():
    made, batch = objective(), pairs()
    backwards = replace(batch, first=batch.second, second=batch.first)
    assert abs(terms(made, batch)["loss"] - terms(made, backwards)["loss"]) > 1e-4


def test_the_order_of_the_batch_does_not_matter():
    made, batch, order = objective(), pairs(), torch.tensor([3, 0, 4, 1, 2])
    other = FramePairs(index=batch.index[order], first=batch.first[order], second=batch.second[order])
    torch.testing.assert_close(terms(made, batch)["loss"], terms(made, other)["loss"])


@pytest.mark.parametrize("name", ["from_global", "from_local"])
def test_a_bias_adds_a_number_to_every_candidate_which_does_not_cancel(name):
    made = objective()
    before = terms(made)["loss"].item()
    with torch.no_grad():
        getattr(made, name).bias.add_(1.0)
    assert abs(terms(made)["loss"].item() - before) > 1e-4


def test_all_frames_are_encoded_in_one_pass_and_gradients_reach_both_halves():
    made, batch = objective(), pairs()
    batch.first.requires_grad_()
    batch.second.requires_grad_()
    terms(made, batch)["loss"].backward()
    assert [len(seen) for seen in made.encoder.seen] == [2 * B]
    for frames in (batch.first, batch.second):
        assert (frames.grad.flatten(1) != 0).any(dim=1).all()


def test_bf16_leaves_the_scores_in_float32():
    made = objective()
    with torch.autocast("cpu", torch.bfloat16):
        found = terms(made)
    assert found["loss"].dtype == torch.float32
    torch.testing.assert_close(found["loss"], terms(made)["loss"], rtol=0.02, atol=0.02)


# ------------------------------------------------------------------------------------------------ the contract


@pytest.mark.parametrize(("offset", "sampling"), [(1, TimePairs(offset=1)), (3, TimePairs(offset=3)), (0, Items())])
def test_frames_are_drawn_as_the_offset_says(offset, sampling):
    assert objective(offset=offset).sampling == sampling


def test_everything_is_trained_in_one_phase_by_adam_with_the_published_epsilon():
    made = objective(lr=0.02)
    (phase,) = made.phases()
    parameters = list(phase.parameters)
    assert {id(one) for one in parameters} == {id(one) for one in made.parameters()}
    group = phase.optimiser(parameters).param_groups[0]
    assert (group["lr"], group["eps"], group["betas"]) == (0.02, 1e-5, (0.9, 0.999))


def test_an_encoder_without_a_map_is_refused():
    encoder = TinyEncoder()
    encoder.feature_shapes = {"y": (LATENT,)}
    with pytest.raises(UnfitError, match='"local"'):
        build(encoder, ObjectiveContext(DESCRIPTION), STDIMOptions(), torch.Generator())


@pytest.mark.parametrize("options", [{}, {"offset": 0, "terms": "global-local"}, {"terms": "local-local"}])
def test_a_short_training_on_a_wandering_square_lowers_the_loss(options):
    pixels, episodes = squares(200)
    source = FrameSource(pixels, episodes, value_range=(0.0, 1.0))
    with isolated_randomness(0):
        encoder = build_nature_84(source.description, NatureOptions(width=8, latent=32), torch.Generator())
        made = build(encoder, ObjectiveContext(source.description), STDIMOptions(lr=1e-3, **options), torch.Generator())
    trainer = Trainer(made, source, TrainOptions(epochs=15, batch_size=20), seed=0, fabric=make_fabric("cpu", "32"))
    trainer.run()
    losses = [row["recognise/loss"] for row in trainer.log]
    assert all(math.isfinite(loss) for loss in losses)
    an_epoch = len(losses) // 15
    assert sum(losses[-an_epoch:]) < 0.9 * sum(losses[:an_epoch])
