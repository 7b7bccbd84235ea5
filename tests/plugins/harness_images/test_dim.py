"""Deep InfoMax: against brute-force loops, and the facts its paper rests on."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from itertools import pairwise, product

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from harness import Description, Encoder, Images, ImageSource, Items, ObjectiveContext, Step, UnfitError
from harness.bounds import BOUNDS
from harness.contracts.training import TrainOptions
from harness.line import training
from harness.line.checkpoints import network_state, read_document
from harness.line.devices import make_fabric
from harness.line.seeding import isolated_randomness
from harness.line.training import Trainer
from harness_images.coordinates import AbsoluteCoordinates, RelativeCoordinates
from harness_images.critics import ConcatCritic, DotCritic, WholeMap
from harness_images.dim import Encoded, build, draw_places, occlude
from harness_images.spec_dim import DIMOptions

N, CHANNELS, SIDE, LATENT = 5, 6, 4, 5
PLACES = SIDE * SIDE
DESCRIPTION = Description(kind="images", shape=(3, 8, 8), samples=40)
LOCAL_ONLY = {"alpha": 0.0, "beta": 1.0, "gamma": 0.0}
GLOBAL_ONLY = {"alpha": 1.0, "beta": 0.0, "gamma": 0.0}
PRIOR_ONLY = {"alpha": 0.0, "beta": 0.0, "gamma": 1.0}
EVERYTHING = {"alpha": 0.5, "beta": 0.7, "gamma": 0.3, "coordinates": "both", "coordinate_weight": 0.2, "occlusion": 0.4}


class TinyEncoder(Encoder):
    """Images of 8x8 pixels to "local" [B, 6, 4, 4] and "y" [B, 5]; notes what it is given."""

    def __init__(self):
        super().__init__()
        self.feature_shapes = {"y": (LATENT,), "local": (CHANNELS, SIDE, SIDE)}
        self.below = nn.Sequential(nn.Conv2d(3, CHANNELS, 4, 2, 1, bias=False), nn.BatchNorm2d(CHANNELS), nn.ReLU())
        self.above = nn.Sequential(nn.Flatten(), nn.Linear(CHANNELS * PLACES, LATENT))
        self.to(memory_format=torch.channels_last)
        self.seen = []

    def forward(self, batch):
        self.seen.append(batch.pixels)
        local = self.below(batch.pixels)
        return {"y": self.above(local), "local": local}

    def above_local(self, units):
        return nn.Sequential(nn.Flatten(), nn.Linear(CHANNELS * PLACES, units))


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny tensors are fastest in one thread, and the same everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def dim(encoder=TinyEncoder, **options):
    with isolated_randomness(11):
        small = {"units": 16, "hidden": 16}
        return build(encoder(), ObjectiveContext(DESCRIPTION), DIMOptions(**(small | options)), seeded())


def images(n=N, seed=0):
    return Images(index=torch.arange(n), pixels=torch.randn(n, 3, 8, 8, generator=seeded(seed)))


def step_of(objective, batch=None, seed=0):
    """A step with its shared features, as the trainer hands it to each phase."""
    step = Step(batch=batch or images(), epoch=0, index=0, generator=seeded(seed))
    return replace(step, shared=objective.shared(step))


def infomax(objective, batch=None, seed=0):
    return objective.infomax(step_of(objective, batch, seed))


# ------------------------------------------------------------------------------------- against brute-force loops


def pairs_by_loops(critic, encoded):
    """Scores {(i, place): u} of joint and {(i, j, place): u} of marginal pairs, one inner product after another."""
    f, g = critic.local_net(encoded.local), critic.global_net(encoded.y)
    n, places, _ = f.shape
    scores = {(i, j, place): g[i] @ f[j, place] for i, j, place in product(range(n), range(n), range(places))}
    joint = {(i, place): u for (i, j, place), u in scores.items() if i == j}
    return joint, {pair: u for pair, u in scores.items() if pair[0] != pair[1]}


def infonce_by_loops(joint, marginal):
    total, count = 0.0, 0
    for (i, _), u in joint.items():
        rivals = [v.exp() for (k, _, _), v in marginal.items() if k == i]
        total, count = total + (u.exp() / (u.exp() + sum(rivals))).log(), 1 + len(rivals)
    return math.log(count) + total / len(joint)


def dv_by_loops(joint, marginal):
    return sum(joint.values()) / len(joint) - (sum(u.exp() for u in marginal.values()) / len(marginal)).log()


def jsd_by_loops(joint, marginal):
    positive = sum(math.log(2) - (1 + (-u).exp()).log() for u in joint.values()) / len(joint)
    negative = sum((1 + (-u).exp()).log() + u - math.log(2) for u in marginal.values()) / len(marginal)
    return positive - negative


BY_LOOPS = {"infonce": infonce_by_loops, "dv": dv_by_loops, "jsd": jsd_by_loops}
every_loop = pytest.mark.parametrize("bound", BY_LOOPS)


@every_loop
def test_the_local_loss_is_that_of_loops_over_images_others_and_places(bound):
    objective = dim(**LOCAL_ONLY, bound=bound)
    step = step_of(objective)
    joint, marginal = pairs_by_loops(objective.local_critic, step.shared)
    assert (len(joint), len(marginal)) == (N * PLACES, N * (N - 1) * PLACES)
    torch.testing.assert_close(objective.infomax(step)["loss"], -BY_LOOPS[bound](joint, marginal), rtol=1e-4, atol=1e-5)


@every_loop
def test_the_global_loss_is_that_of_loops_over_images_and_others(bound):
    objective = dim(**GLOBAL_ONLY, bound=bound, global_critic="dot")
    step = step_of(objective)
    joint, marginal = pairs_by_loops(objective.global_critic, step.shared)
    assert (len(joint), len(marginal)) == (N, N * (N - 1))
    torch.testing.assert_close(objective.infomax(step)["loss"], -BY_LOOPS[bound](joint, marginal), rtol=1e-4, atol=1e-5)


def test_the_encoders_gradients_are_those_of_the_loops():
    objective = dim(**LOCAL_ONLY, bound="infonce")
    step, parameters = step_of(objective), list(objective.encoder.parameters())
    mine = torch.autograd.grad(objective.infomax(step)["loss"], parameters, retain_graph=True)
    expected = torch.autograd.grad(-infonce_by_loops(*pairs_by_loops(objective.local_critic, step.shared)), parameters)
    for one, other in zip(mine, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@every_loop
def test_a_critic_that_knows_nothing_has_a_bound_of_nothing(bound):
    class Indifferent(nn.Module):
        def forward(self, local, y, generator):
            return torch.zeros(64, 64), torch.zeros(64, 63 * 64)

    objective = dim(**LOCAL_ONLY, bound=bound)
    objective.local_critic = Indifferent()
    assert infomax(objective)["loss"].item() == pytest.approx(0.0, abs=1e-5)


def test_the_loss_weighs_its_terms():
    terms = infomax(dim(**EVERYTHING))
    expected = -0.5 * terms["global"] - 0.7 * terms["local"] + 0.3 * terms["prior"]
    expected = expected + 0.2 * (terms["absolute"] + terms["relative"])
    assert set(terms) == {"loss", "global", "local", "prior", "absolute", "relative"}
    torch.testing.assert_close(terms["loss"], expected)


@pytest.mark.parametrize(
    ("options", "terms"),
    [
        (LOCAL_ONLY, {"local"}),
        (GLOBAL_ONLY, {"global"}),
        (PRIOR_ONLY, {"prior"}),
        (LOCAL_ONLY | {"coordinates": "absolute"}, {"local", "absolute"}),
        (LOCAL_ONLY | {"coordinates": "relative"}, {"local", "relative"}),
        (LOCAL_ONLY | {"coordinates": "both", "coordinate_weight": 0.0}, {"local"}),
    ],
)
def test_a_term_without_weight_is_not_computed(options, terms):
    assert set(infomax(dim(**options))) == {"loss", *terms}


# ------------------------------------------------------------------------------------------ facts about the loss


def permuted(batch, order):
    return replace(batch, index=batch.index[order], pixels=batch.pixels[order])


@pytest.mark.parametrize("training_mode", [True, False])
@pytest.mark.parametrize("bound", BOUNDS)
def test_the_order_of_the_batch_does_not_matter(bound, training_mode):
    objective = dim(alpha=0.5, beta=0.5, gamma=0.1, bound=bound, global_critic="dot").train(training_mode)
    one = infomax(objective, images(8))
    other = infomax(objective, permuted(images(8), torch.randperm(8, generator=seeded(2))))
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("form", ["dot", "concat"])
def test_with_every_bound_a_first_step_is_finite(bound, form):
    trained = train(partial(dim, alpha=0.5, beta=0.5, gamma=0.1, bound=bound, critic=form), epochs=1, batch_size=40)
    (row,) = trained.trainer.log
    assert all(math.isfinite(value) for value in row.values())
    assert all(tensor.isfinite().all() for tensor in trained.weights.values())


# ------------------------------------------------------------------------------- which networks, and who owns them

OPTIONS = {
    "local": LOCAL_ONLY,
    "global": GLOBAL_ONLY,
    "prior": PRIOR_ONLY,
    "everything": EVERYTHING,
    "concat": EVERYTHING | {"critic": "concat"},
    "dot": EVERYTHING | {"global_critic": "dot"},
}
every_choice = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


@every_choice
def test_every_parameter_is_owned_by_exactly_one_phase(options):
    objective = dim(**options)
    owned = [id(parameter) for phase in objective.phases() for parameter in phase.parameters]
    assert sorted(owned) == sorted(id(parameter) for parameter in objective.parameters())


def test_the_priors_discriminator_comes_first_and_alone():
    objective = dim(**EVERYTHING)
    prior, infomax = objective.phases()
    assert (prior.name, infomax.name) == ("prior", "infomax")
    assert [id(each) for each in prior.parameters] == [id(each) for each in objective.discriminator.parameters()]


def test_without_gamma_there_is_no_discriminator_and_one_phase():
    objective = dim(**LOCAL_ONLY)
    assert objective.discriminator is None
    assert [phase.name for phase in objective.phases()] == ["infomax"]


def test_without_alpha_there_is_no_global_critic_and_without_beta_no_local_one():
    assert dim(**LOCAL_ONLY).global_critic is None
    assert dim(**GLOBAL_ONLY).local_critic is None


@pytest.mark.parametrize(
    ("options", "local", "whole"),
    [
        ({"critic": "dot", "global_critic": "concat"}, DotCritic, WholeMap),
        ({"critic": "concat", "global_critic": "dot"}, ConcatCritic, DotCritic),
    ],
)
def test_each_term_has_the_critic_that_is_asked_for(options, local, whole):
    objective = dim(alpha=1.0, **options)
    assert (type(objective.local_critic), type(objective.global_critic)) == (local, whole)


@pytest.mark.parametrize(
    ("wanted", "tasks"),
    [
        ("none", []),
        ("absolute", [AbsoluteCoordinates]),
        ("relative", [RelativeCoordinates]),
        ("both", [AbsoluteCoordinates, RelativeCoordinates]),
    ],
)
def test_the_coordinate_tasks_are_those_asked_for(wanted, tasks):
    assert [type(task) for task in dim(coordinates=wanted).coordinate_tasks.values()] == tasks


def test_every_network_is_trained_by_adam_as_published():
    for phase in dim(**EVERYTHING, lr=3e-4).phases():
        optimiser = phase.optimiser(list(phase.parameters))
        assert isinstance(optimiser, torch.optim.Adam)
        assert (optimiser.defaults["lr"], optimiser.defaults["betas"]) == (3e-4, (0.5, 0.999))
        assert optimiser.defaults["weight_decay"] == 0


def test_images_are_drawn_one_by_one_and_the_whole_loss_is_watched():
    objective = dim(**EVERYTHING)
    assert (objective.sampling, objective.watch) == (Items(), "infomax/loss")


# ------------------------------------------------------------------------------------------------- the prior


class Noting(nn.Module):
    """Does what `inner` does, and keeps what it was given."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.given = inner, []

    def forward(self, *given):
        self.given.append(given)
        return self.inner(*given)


def test_critics_and_evaluators_see_y_as_it_is_and_only_the_discriminator_its_sigmoid():
    objective = dim(alpha=1.0, beta=1.0, gamma=1.0).eval()
    for name in ("local_critic", "global_critic", "discriminator"):
        setattr(objective, name, Noting(getattr(objective, name)))
    batch = replace(images(), pixels=10 * images().pixels)
    y = objective.encoder(batch)["y"]
    assert y.min() < 0
    assert y.max() > 1
    infomax(objective, batch)
    assert torch.equal(objective.local_critic.given[0][1], y)
    assert torch.equal(objective.global_critic.given[0][1], y)
    torch.testing.assert_close(objective.discriminator.given[0][0], y.sigmoid())


@pytest.mark.parametrize("seed", range(3))
def test_with_a_fixed_discriminator_a_step_of_the_encoder_raises_its_score(seed):
    objective = dim(**PRIOR_ONLY)
    batch = images(16, seed)

    def score():
        return objective.discriminator(objective.encoder(batch)["y"].sigmoid()).mean().item()

    before = score()
    infomax(objective, batch)["loss"].backward()
    torch.optim.SGD(objective.encoder.parameters(), lr=0.1).step()
    assert score() > before


def test_the_discriminators_phase_gives_the_encoder_no_gradient():
    objective = dim(**EVERYTHING)
    objective.prior(step_of(objective))["loss"].backward()
    assert all(parameter.grad is not None for parameter in objective.discriminator.parameters())
    assert all(parameter.grad is None for parameter in objective.encoder.parameters())


def test_an_update_of_the_encoder_leaves_the_discriminator_as_it_is_and_the_other_way_round():
    objective, seen = dim(**EVERYTHING), []

    def note(phase):
        def loss(step):
            seen.append({name: tensor.detach().clone() for name, tensor in objective.named_parameters()})
            return phase.loss(step)

        return replace(phase, loss=loss)

    phases = [note(phase) for phase in objective.phases()]
    objective.phases = lambda: phases
    train(lambda: objective, epochs=1, batch_size=20)
    for number, (before, after) in enumerate(pairwise(seen)):
        changed = {name.split(".")[0] for name, tensor in before.items() if not torch.equal(tensor, after[name])}
        if number % 2 == 0:
            assert changed == {"discriminator"}
        else:
            assert changed == {"encoder", "local_critic", "global_critic", "coordinate_tasks"}


def test_training_for_the_prior_makes_the_sigmoid_of_y_uniform():
    """By the Kolmogorov-Smirnov distance from the uniform distribution, the mean over coordinates."""

    def distance(objective):
        with torch.no_grad():
            ordered = objective.encoder(next(source(200).in_order(200)))["y"].sigmoid().sort(dim=0).values
        return (ordered - (torch.arange(200)[:, None] + 0.5) / 200).abs().amax(dim=0).mean().item()

    untrained = distance(dim(**PRIOR_ONLY).train())
    trained = train(partial(dim, **PRIOR_ONLY, lr=4e-3), source(200), epochs=16, batch_size=50)
    assert distance(trained.objective.train()) < 0.7 * untrained


# ---------------------------------------------------------------------------------------- what a step computes


@pytest.mark.parametrize(("occlusion", "passes"), [(0.0, 1), (0.4, 2)])
def test_a_step_passes_its_batch_through_the_encoder_once_or_twice_where_a_part_is_hidden(occlusion, passes):
    trained = train(partial(dim, **(EVERYTHING | {"occlusion": occlusion})), epochs=1, batch_size=10)
    assert trained.result.steps == 4
    assert len(trained.objective.encoder.seen) == 4 * passes
    assert trained.objective.encoder.below[1].num_batches_tracked.item() == 4 * passes


def test_each_critics_batch_statistics_are_taken_once_a_step():
    trained = train(partial(dim, alpha=1.0, beta=1.0, global_critic="dot"), epochs=1, batch_size=10)
    tracked = [buffer.item() for name, buffer in trained.objective.named_buffers() if name.endswith("num_batches_tracked")]
    assert tracked == [4, 4, 4, 4]  # the encoder, both local nets, and the global net of y


class Counting(TorchDispatchMode):
    """Counts tensor operations."""

    def __init__(self):
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.operations += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("critic", ["dot", "concat"])
def test_more_images_take_no_more_operations(critic):
    """There is no Python loop over samples."""
    counts = []
    for n in (4, 12):
        objective = dim(**EVERYTHING, critic=critic, places=6, negatives=5)
        with Counting() as counting:
            step = step_of(objective, images(n))
            objective.prior(step)
            objective.infomax(step)
        counts.append(counting.operations)
    assert counts[0] == counts[1]


# ------------------------------------------------------------------------------------------------------ places


def numbered(n=N):
    """A map [n, 2, 4, 4] that says at every place which image it is of, and which place it is."""
    number = torch.arange(n)[:, None, None].expand(n, SIDE, SIDE)
    place = torch.arange(PLACES).view(SIDE, SIDE).expand(n, SIDE, SIDE)
    return torch.stack([number, place], dim=1).float()


@pytest.mark.parametrize("places", [1, 5, PLACES - 1])
def test_so_many_places_of_each_image_are_drawn_and_none_twice(places):
    drawn = draw_places(numbered(), places, seeded())
    assert drawn.shape == (N, 2, places, 1)
    assert torch.equal(drawn[:, 0].squeeze(2), torch.arange(N).float()[:, None].expand(N, places))
    assert all(len(set(row)) == places for row in drawn[:, 1].squeeze(2).tolist())


@pytest.mark.parametrize("places", [None, PLACES, 1000])
def test_all_places_are_the_map_as_it_is(places):
    assert torch.equal(draw_places(numbered(), places, seeded()), numbered())


def test_every_place_is_drawn_equally_often_and_for_every_image_anew():
    drawn = draw_places(numbered(4000), 4, seeded())[:, 1].squeeze(2)
    counts = drawn.long().flatten().bincount(minlength=PLACES).double()
    assert ((counts - 1000).square() / 1000).sum() < 37.7  # χ² with 15 degrees of freedom: 1 in 1000 is above


def test_a_map_in_either_memory_format_gives_the_same_places():
    local = torch.randn(N, CHANNELS, SIDE, SIDE, generator=seeded())
    other = local.to(memory_format=torch.channels_last)
    assert torch.equal(draw_places(local, 5, seeded(1)), draw_places(other, 5, seeded(1)))


def test_the_local_critic_sees_the_drawn_places_and_the_global_one_the_whole_map():
    objective = dim(alpha=1.0, beta=1.0, places=3)
    objective.local_critic, objective.global_critic = Noting(objective.local_critic), Noting(objective.global_critic)
    infomax(objective)
    assert objective.local_critic.given[0][0].shape == (N, CHANNELS, 3, 1)
    assert objective.global_critic.given[0][0].shape == (N, CHANNELS, SIDE, SIDE)


def test_drawn_places_and_negatives_count_as_they_say():
    objective, shapes = dim(**LOCAL_ONLY, places=3, negatives=7), []

    def bound(positive, negative):
        shapes.extend([positive.shape, negative.shape])
        return positive.mean()

    objective.bound = bound
    infomax(objective)
    assert shapes == [(N, 3), (N, 7)]


def test_the_coordinate_tasks_see_the_whole_map_also_where_places_are_drawn():
    objective = dim(**EVERYTHING, places=3)
    objective.coordinate_tasks["absolute"] = Noting(objective.coordinate_tasks["absolute"])
    infomax(objective)
    assert objective.coordinate_tasks["absolute"].given[0][0].shape == (N, CHANNELS, SIDE, SIDE)


# --------------------------------------------------------------------------------------------------- occlusion


def hidden(batch, size, seed=0):
    """Where pixels changed: [B, H, W]. No pixel of these images has its image's mean colour."""
    changed = occlude(batch, size, seeded(seed)).pixels != batch.pixels
    assert torch.equal(changed.all(dim=1), changed.any(dim=1))
    return changed.any(dim=1)


@pytest.mark.parametrize(("size", "side"), [(0.05, 1), (0.25, 2), (0.4, 3), (0.5, 4), (0.99, 8)])
def test_one_square_of_the_asked_side_is_hidden_in_every_image(size, side):
    changed = hidden(images(50), size)
    for axis in (1, 2):
        lines = changed.any(dim=3 - axis)
        assert (lines.sum(dim=1) == side).all()
        assert ((lines[:, 1:] != lines[:, :-1]).sum(dim=1) <= 2).all()  # they lie next to each other
    assert (changed.sum(dim=(1, 2)) == side * side).all()


def test_the_square_is_filled_with_the_images_own_mean_colour():
    batch = images(50)
    pixels, changed = occlude(batch, 0.4, seeded()).pixels, hidden(batch, 0.4)
    for before, after, mask in zip(batch.pixels, pixels, changed, strict=True):
        expected = torch.stack([colour.mean() for colour in before])
        torch.testing.assert_close(after[:, mask], expected[:, None].expand(3, 9))


def test_every_place_of_the_square_is_equally_likely():
    """χ² of 36 places has 35 degrees of freedom: above 66.6 in one of a thousand draws."""
    changed = hidden(images(3600), 0.4)
    top, left = changed.any(dim=2).int().argmax(dim=1), changed.any(dim=1).int().argmax(dim=1)
    counts = (6 * top + left).bincount(minlength=36).double()
    assert counts.shape == (36,)
    assert ((counts - 100).square() / 100).sum() < 66.6


def test_hiding_leaves_the_batch_as_it_was():
    batch = images()
    other = occlude(batch, 0.4, seeded())
    assert torch.equal(batch.pixels, images().pixels)
    assert torch.equal(other.index, batch.index)


def test_an_oblong_image_is_hidden_inside_its_borders():
    wide = Images(index=torch.arange(200), pixels=torch.randn(200, 1, 4, 12, generator=seeded()))
    changed = hidden(wide, 0.5)
    assert (changed.sum(dim=(1, 2)) == 4).all()
    assert changed.any(dim=(0, 1)).all()
    assert changed.any(dim=(0, 2)).all()


def test_local_vectors_are_of_the_whole_image_and_y_of_the_rest():
    objective = dim(**EVERYTHING).eval()
    batch = images()
    shared = step_of(objective, batch, seed=7).shared
    assert torch.equal(shared.local, objective.encoder(batch)["local"])
    assert torch.equal(shared.y, objective.encoder(occlude(batch, 0.4, seeded(7)))["y"])
    assert not torch.equal(shared.y, objective.encoder(batch)["y"])


def test_without_occlusion_both_are_of_the_whole_image():
    objective = dim(**LOCAL_ONLY).eval()
    batch = images()
    shared, features = step_of(objective, batch).shared, objective.encoder(batch)
    assert torch.equal(shared.local, features["local"])
    assert torch.equal(shared.y, features["y"])


# ------------------------------------------------------------------------------------------------------ refusals


def encoder_with(shapes):
    class Other(TinyEncoder):
        def __init__(self):
            super().__init__()
            self.feature_shapes = shapes

    return Other


def test_an_encoder_without_a_local_map_is_refused():
    with pytest.raises(UnfitError) as caught:
        dim(encoder_with({"y": (LATENT,), "fc": (7,)}))
    assert str(caught.value) == (
        f'An encoder with a feature "local" [C, M, M] is needed; this one offers "y" [{LATENT}], "fc" [7].'
    )


@pytest.mark.parametrize("shapes", [{"local": (6, 4, 4)}, {"y": (5,), "local": (6,)}, {"y": (5, 1, 1), "local": (6, 4, 4)}])
def test_features_of_another_form_are_refused(shapes):
    with pytest.raises(UnfitError, match="An encoder with a feature .* is needed"):
        dim(encoder_with(shapes))


def test_a_local_map_that_is_not_square_is_refused():
    with pytest.raises(UnfitError, match=r'needs a square map "local" \[C, M, M\]; this encoder\'s is 4 by 3\.'):
        dim(encoder_with({"y": (LATENT,), "local": (6, 4, 3)}))


class Simple(TinyEncoder):
    """An encoder that does not say which layers lie above its local map."""

    @property
    def above_local(self):
        raise AttributeError("above_local")


def test_a_global_dot_product_critic_needs_an_encoder_that_tells_its_upper_layers():
    with pytest.raises(UnfitError) as caught:
        dim(Simple, alpha=1.0, global_critic="dot")
    assert str(caught.value) == (
        "The encoder has no `above_local`, which a global dot-product critic needs; use objective.global_critic=concat."
    )


@pytest.mark.parametrize("options", [{"alpha": 1.0, "global_critic": "concat"}, {"alpha": 0.0, "global_critic": "dot"}])
def test_any_other_choice_does_not(options):
    assert infomax(dim(Simple, **options))["loss"].isfinite()


# -------------------------------------------------------------------------------------------------- training


class Trained:
    def __init__(self, trainer, result):
        self.trainer, self.objective, self.result = trainer, trainer.objective, result
        self.weights = {name: tensor.detach().clone() for name, tensor in network_state(trainer.objective).items()}


def source(n=40, seed=3):
    return ImageSource(torch.randn(n, 3, 8, 8, generator=seeded(seed)))


def train(make, data=None, *, seed=0, precision="32", checkpoint=None, stop_after=None, **options):
    """Train the objective that `make()` gives; `stop_after` interrupts it when so many steps are in the checkpoint."""

    def interrupt(step, total, terms):
        if step - 1 == stop_after:
            raise KeyboardInterrupt

    trainer = Trainer(
        make(),
        data or source(),
        TrainOptions(**({"epochs": 2, "batch_size": 9} | options)),
        seed=seed,
        fabric=make_fabric("cpu", precision),
        checkpoint=checkpoint,
        checkpoint_every_s=1e9 if stop_after is None else 0.0,
        progress=interrupt,
    )
    return Trained(trainer, trainer.run())


def assert_same_bits(one, other):
    assert one.weights.keys() == other.weights.keys()
    for name, tensor in one.weights.items():
        assert torch.equal(tensor, other.weights[name]), name
    assert json.dumps(one.trainer.log) == json.dumps(other.trainer.log)
    assert torch.equal(one.trainer.generator.get_state(), other.trainer.generator.get_state())


def test_the_same_seed_gives_the_same_bits_and_another_others():
    one, again, other = (train(partial(dim, **EVERYTHING), seed=seed, epochs=1) for seed in (4, 4, 5))
    assert_same_bits(one, again)
    assert not torch.equal(one.weights["encoder.above.1.weight"], other.weights["encoder.above.1.weight"])


@pytest.mark.parametrize(("critic", "stop_after"), [("dot", 1), ("dot", 7), ("concat", 4)])
def test_a_resumed_training_ends_in_the_same_bits(critic, stop_after, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_SHOWN_EVERY_S", 0.0)
    make = partial(dim, **EVERYTHING, critic=critic, global_critic=critic, places=6, negatives=20, lr=1e-3)
    checkpoint = tmp_path / "training.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(make, checkpoint=checkpoint, stop_after=stop_after)
    assert read_document(checkpoint)["step"] == stop_after
    uninterrupted = train(make)
    assert uninterrupted.result.steps == 10
    assert_same_bits(train(make, checkpoint=checkpoint), uninterrupted)


def test_weights_that_lie_channels_last_are_among_those_resumed():
    weight = dim().encoder.below[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()


@pytest.mark.parametrize("critic", ["dot", "concat"])
def test_in_bfloat16_the_losses_are_near_those_of_float32(critic):
    full, half = (
        train(partial(dim, **EVERYTHING, critic=critic, global_critic=critic), precision=precision, epochs=1)
        for precision in ("32", "bf16")
    )
    for exact, near in zip(full.trainer.log, half.trainer.log, strict=True):
        for term in ("prior/loss", "infomax/loss", "infomax/local", "infomax/global", "infomax/prior", "infomax/absolute"):
            assert near[term] == pytest.approx(exact[term], rel=0.02, abs=0.02)


# ----------------------------------------------------------------------------- training on images of eight clusters


def clusters(each=8):
    prototypes = torch.randn(8, 3, 8, 8, generator=seeded(6))
    return (prototypes + 0.1 * torch.randn(each, 8, 3, 8, 8, generator=seeded(7))).flatten(0, 1)


CLUSTERED = {"alpha": 0.5, "beta": 0.5, "gamma": 0.0, "global_critic": "dot", "lr": 3e-3}
ONE_OF_EACH = Images(index=torch.arange(8), pixels=clusters()[:8])


@pytest.fixture(scope="module", params=BY_LOOPS)
def trained(request):
    """A bound's name, and the objective after 100 steps with it."""
    make = partial(dim, **CLUSTERED, bound=request.param)
    return request.param, train(make, ImageSource(clusters()), epochs=25, batch_size=16).objective


def test_training_raises_both_bounds(trained):
    bound, objective = trained
    before, after = infomax(dim(**CLUSTERED, bound=bound), ONE_OF_EACH), infomax(objective, ONE_OF_EACH)
    assert after["local"] > before["local"] + 0.1
    assert after["global"] > before["global"] + 0.1


def test_after_training_the_global_vectors_of_other_images_raise_the_loss(trained):
    _, objective = trained
    step = step_of(objective, ONE_OF_EACH)
    right = objective.infomax(step)
    wrong = objective.infomax(replace(step, shared=Encoded(local=step.shared.local, y=step.shared.y.roll(1, dims=0))))
    assert wrong["loss"] > right["loss"] + 0.5
    assert wrong["local"] < right["local"]
    assert wrong["global"] < right["global"]


def test_after_training_other_images_altogether_do_not(trained):
    _, objective = trained
    shifted = infomax(objective, permuted(ONE_OF_EACH, torch.arange(8).roll(1)))
    torch.testing.assert_close(shifted["loss"], infomax(objective, ONE_OF_EACH)["loss"], rtol=1e-4, atol=1e-4)


def test_a_concatenating_critic_tells_clusters_apart_and_nothing_where_all_images_are_alike():
    make = partial(dim, **LOCAL_ONLY, bound="jsd", critic="concat", lr=3e-3)
    apart, alike = (
        train(make, ImageSource(pixels), epochs=20, batch_size=16).trainer.log[-1]["infomax/local"]
        for pixels in (clusters(), torch.ones(64, 3, 8, 8))
    )
    assert apart > 0.2
    assert alike == pytest.approx(0, abs=0.01)
