"""The objective mutual-information: critics that raise a bound, and the trace of what they gave on the way."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, get_args

import pytest
import torch

import harness
from harness import Description, Encoder, Items, ObjectiveContext, Pairs, Step, UnfitError
from harness.line.devices import make_fabric
from harness.line.training import Trainer, TrainOptions
from harness_information import laws
from harness_information.critics import build_separable
from harness_information.drawing import FreshPairs
from harness_information.estimators import build
from harness_information.laws import RecipeNoise
from harness_information.readings import READINGS, READINGS_OF
from harness_information.spec_estimators import Bound, MutualInformationOptions, SeparableOptions

BOUNDS = get_args(Bound)
LAW = laws.correlated(1, 0.9)
DESCRIPTION = Description(kind="pairs", shape=(1, 1), samples=100)


@pytest.fixture
def objective():
    """Builds the objective on a small critic of eight candidates: objective("mine", rate=0.5, trace=10)."""

    def make(bound="infonce", seed=0, critic=(), **options):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            sizes = {"hidden": 32, "layers": 2, "embedding": 8, "candidates": 8} | dict(critic)
            encoder = build_separable(DESCRIPTION, SeparableOptions(**sizes), torch.Generator())
            return build(
                encoder, ObjectiveContext(DESCRIPTION), MutualInformationOptions(bound=bound, **options), torch.Generator()
            ).train()

    return make


def step(index=0, n=20):
    x, y = LAW.draw(n, RecipeNoise(index))
    return Step(batch=Pairs(index=torch.arange(n), x=x, y=y), epoch=0, index=index, generator=torch.Generator())


def by_hand(bound, scores, log_average=None):
    """What is raised, from scores [N, 1 + K] in double precision and one pair at a time."""
    rows = scores.double().tolist()
    joint = [row[0] for row in rows]
    marginal = [score for row in rows for score in row[1:]]
    mean = sum(joint) / len(joint)

    def mean_exp(shift):
        return sum(math.exp(score - shift) for score in marginal) / len(marginal)

    if bound == "infonce":
        return sum(math.log(len(row)) + row[0] - math.log(sum(math.exp(score) for score in row)) for row in rows) / len(rows)
    if bound == "nwj":
        return mean - mean_exp(1)
    if bound == "dv":
        return mean - math.log(mean_exp(0))
    if bound == "mine":
        return mean - mean_exp(0) / math.exp(log_average)
    positive = sum(math.log(2) - math.log1p(math.exp(-score)) for score in joint) / len(joint)
    return positive + sum(math.log(2) - math.log1p(math.exp(score)) for score in marginal) / len(marginal)


@pytest.mark.parametrize("bound", BOUNDS)
def test_the_loss_is_minus_the_bound_of_the_batch(objective, bound):
    made, now = objective(bound), step()
    terms = made.ascent(now)
    scores = made.encoder(now.batch)["scores"].detach()
    assert terms["loss"].item() == pytest.approx(-by_hand(bound, scores, made.log_average.item()), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("bound", BOUNDS)
def test_the_estimate_is_the_critic_s_own_reading_or_of_js_the_one_that_cannot_overflow(objective, bound):
    made, now = objective(bound), step()
    estimate = made.ascent(now)["estimate"]
    scores = made.encoder(now.batch)["scores"]
    reading = "dv" if bound == "js" else READINGS_OF[bound][0]
    assert estimate.item() == pytest.approx(READINGS[reading](scores[:, :1], scores[:, 1:]).item())
    assert not estimate.requires_grad


@pytest.mark.parametrize("trace", [0, 5])
def test_a_jensen_shannon_critic_trains_on_where_its_own_reading_overflows(objective, trace):
    class Loud(torch.nn.Module):
        feature_shapes: ClassVar = {"scores": (3,)}

        def forward(self, batch):
            return {"scores": torch.tensor([[1.0, 200.0, 0.0]]).repeat(len(batch), 1)}

    made = objective("js", trace=trace)
    made.encoder = Loud()
    terms = made.ascent(step())
    assert all(value.isfinite() for value in terms.values())
    assert trace == 0 or made.trace.values[0, 0] == -math.inf


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_step_against_the_loss_raises_the_bound(objective, bound):
    made, now = objective(bound, lr=1e-3), step()
    [phase] = made.phases()
    optimiser = phase.optimiser(list(phase.parameters))
    assert optimiser.param_groups[0]["lr"] == 1e-3
    before = by_hand(bound, made.encoder(now.batch)["scores"].detach(), 0.0)
    phase.loss(now)["loss"].backward()
    optimiser.step()
    assert by_hand(bound, made.encoder(now.batch)["scores"].detach(), 0.0) > before


def test_critics_are_drawn_items_and_trained_in_one_phase(objective):
    made = objective()
    assert made.sampling == Items()
    [phase] = made.phases()
    assert {id(parameter) for parameter in phase.parameters} == {id(parameter) for parameter in made.encoder.parameters()}


# ------------------------------------------------------------------------------------------- MINE's moving average


def mean_of_exp(made, now):
    return made.encoder(now.batch)["scores"][:, 1:].detach().double().exp().mean().item()


def test_the_moving_average_begins_at_one_and_is_carried_over_steps(objective):
    made = objective("mine", rate=0.7)
    average = 1.0
    for index in range(4):
        made.ascent(step(index))
        average = 0.7 * average + 0.3 * mean_of_exp(made, step(index))
        assert made.log_average.item() == pytest.approx(math.log(average), rel=1e-4, abs=1e-6)


def test_without_a_past_the_gradient_is_that_of_dv(objective):
    made, plain = objective("mine", rate=0.0), objective("dv")
    for one in (made, plain):
        one.ascent(step(5))
        one.zero_grad()
        one.ascent(step())["loss"].backward()
    for one, other in zip(made.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-4)


def test_with_a_past_the_gradient_is_another(objective):
    made, plain = objective("mine", rate=0.9), objective("dv")
    made.log_average.fill_(2.0)
    for one in (made, plain):
        one.ascent(step())["loss"].backward()
    assert not torch.allclose(made.encoder.weights[0].grad, plain.encoder.weights[0].grad, rtol=0.1)


def test_the_moving_average_is_saved_and_restored(objective):
    made = objective("mine", trace=10)
    for index in range(3):
        made.ascent(step(index))
    fresh = objective("mine", seed=9, trace=10)
    fresh.load_state_dict(made.state_dict())
    one, other = (model.ascent(step(3)) for model in (made, fresh))
    assert one["loss"].item() == other["loss"].item()
    assert fresh.log_average.item() == made.log_average.item() != 0
    assert torch.equal(fresh.trace.values.nan_to_num(-99), made.trace.values.nan_to_num(-99))
    assert fresh.trace.values.isfinite().all(1).tolist() == [True] * 4 + [False] * 6


@pytest.mark.parametrize("bound", [bound for bound in BOUNDS if bound != "mine"])
def test_only_mine_has_a_moving_average(objective, bound):
    made = objective(bound)
    made.ascent(step())
    assert made.log_average.item() == 0


# ------------------------------------------------------------------------------------------------------------ trace


@pytest.mark.parametrize("bound", BOUNDS)
def test_the_trace_holds_what_every_reading_was_before_its_step(objective, bound):
    made = objective(bound, trace=5, lr=1e-2)
    [phase] = made.phases()
    optimiser = phase.optimiser(list(phase.parameters))
    expected = []
    for index in range(3):
        now = step(index)
        scores = made.encoder(now.batch)["scores"].detach()
        expected.append([READINGS[name](scores[:, :1], scores[:, 1:]).item() for name in READINGS_OF[bound]])
        optimiser.zero_grad()
        phase.loss(now)["loss"].backward()
        optimiser.step()
    trace = made.exports()["trace"]
    assert (trace.bound, trace.readings, trace.values.shape) == (bound, READINGS_OF[bound], (5, len(READINGS_OF[bound])))
    torch.testing.assert_close(trace.values[:3], torch.tensor(expected), atol=1e-5, rtol=1e-5)
    assert trace.values[3:].isnan().all()
    assert len({round(row[0], 6) for row in expected}) == 3


@pytest.mark.parametrize("trace", [0, 2])
def test_steps_beyond_the_trace_are_estimated_and_not_kept(objective, trace):
    made, kept = objective(trace=trace), objective(trace=100)
    for index in range(4):
        assert made.ascent(step(index))["estimate"].item() == kept.ascent(step(index))["estimate"].item()
    torch.testing.assert_close(made.trace.values, kept.trace.values[:trace])


def test_the_trainer_fills_the_trace_and_logs_its_first_reading(objective):
    made, logged = objective("js", trace=12), []
    source = FreshPairs([LAW], first=100, steps=5)
    trainer = Trainer(
        made,
        source,
        TrainOptions(epochs=2, batch_size=16),
        seed=0,
        fabric=make_fabric("cpu", "32"),
        progress=lambda steps, total, terms: logged.append(dict(terms)),
    )
    trainer.run()
    assert made.trace.values.isfinite().all(1).tolist() == [True] * 10 + [False] * 2
    assert logged


# ------------------------------------------------------------------------------------------------- what it comes to

HELD = LAW.draw(4096, RecipeNoise(77))


def estimate_of(made, reading):
    """On pairs that were never trained on, 256 at a time."""
    with torch.no_grad():
        parts = zip(torch.split(HELD[0], 256), torch.split(HELD[1], 256), strict=True)
        scores = torch.cat([made.encoder(Pairs(index=torch.arange(256), x=x, y=y))["scores"] for x, y in parts])
    return READINGS[reading](scores[:, :1], scores[:, 1:]).item()


@pytest.fixture(scope="module")
def trained():
    """A critic trained by a bound on fresh pairs of d = 1, ρ = 0.9 for some seconds, once for each bound."""
    done = {}

    def of(bound, make):
        if bound not in done:
            made = make(bound, critic={"candidates": 64}, lr=3e-3)
            options = TrainOptions(epochs=1, batch_size=64)
            Trainer(made, FreshPairs([LAW], first=100, steps=500), options, seed=0, fabric=make_fabric("cpu", "32")).run()
            done[bound] = made.eval()
        return done[bound]

    return of


@pytest.mark.parametrize(("bound", "reading"), [(bound, name) for bound in BOUNDS for name in READINGS_OF[bound]])
def test_an_easy_information_is_found_on_pairs_that_were_not_trained_on(objective, trained, bound, reading):
    # SMILE clipped at 1 is no bound and known to exceed what there is.
    above = 0.6 if reading == "smile-1" else 0.08
    value = estimate_of(trained(bound, objective), reading)
    assert LAW.mutual_information - 0.15 < value < LAW.mutual_information + above


@pytest.mark.parametrize("bound", BOUNDS)
def test_what_is_independent_is_found_to_be_so(objective, trained, bound):
    made = trained(bound, objective)
    reading = READINGS[READINGS_OF[bound][0]]
    apart = Pairs(index=torch.arange(1024), x=HELD[0][:1024], y=HELD[1][2048:3072])
    scores = made.encoder(apart)["scores"].detach()
    assert reading(scores[:, :1], scores[:, 1:]).item() < 0


# ------------------------------------------------------------------------------------------------ what it refuses


class Other(Encoder):
    """Offers a feature of this name and shape."""

    def __init__(self, name, shape):
        super().__init__()
        self.feature_shapes = {name: shape}

    def forward(self, batch):
        return {}


@pytest.mark.parametrize(("name", "shape"), [("y", (64,)), ("scores", (1,)), ("scores", (4, 4)), ("scores", ())])
def test_an_encoder_that_scores_no_candidates_is_refused(name, shape):
    with pytest.raises(UnfitError, match='^Mutual information is estimated by a critic with a feature "scores" of two candidates'):
        build(Other(name, shape), ObjectiveContext(DESCRIPTION), MutualInformationOptions(), torch.Generator())


def test_two_candidates_are_enough(objective):
    made = objective(critic={"candidates": 2})
    assert made.ascent(replace(step(), index=3))["loss"].isfinite()


def test_an_encoder_of_other_inputs_is_refused_before_anything_is_computed(tmp_path):
    with pytest.raises(harness.HarnessError):
        harness.run(method="mi-infonce", data="digits", out=tmp_path)
