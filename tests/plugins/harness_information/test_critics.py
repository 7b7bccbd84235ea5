"""Critics: scores of pairs, each x with its own y first and then with those that follow in the batch."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from harness import Description, Pairs, UnfitError
from harness_information.critics import build_concat, build_separable
from harness_information.spec_estimators import ConcatOptions, SeparableOptions

BUILDERS = {"separable": (build_separable, SeparableOptions), "concat": (build_concat, ConcatOptions)}


@pytest.fixture
def critic():
    """Builds a critic: critic("separable", x_dims=3, y_dims=2, candidates=5)."""

    def build(kind, x_dims=3, y_dims=2, seed=0, **options):
        make, options_class = BUILDERS[kind]
        description = Description(kind="pairs", shape=(x_dims, y_dims), samples=100)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return make(description, options_class(**{"hidden": 8, "candidates": 5} | options), torch.Generator())

    return build


def pairs(n, x_dims=3, y_dims=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Pairs(
        index=torch.arange(n), x=torch.randn(n, x_dims, generator=generator), y=torch.randn(n, y_dims, generator=generator)
    )


def separable_score(made, x, y):
    """g(x) · h(y) of one pair, layer by layer, the weights that only the zeros would meet cut off."""
    sides = []
    for side, values in enumerate((x, y)):
        hidden = values
        for number, (weight, bias) in enumerate(zip(made.weights, made.biases, strict=True)):
            hidden = (hidden if number == 0 else hidden.relu()) @ weight[side, : len(hidden)] + bias[side, 0]
        sides.append(hidden)
    return sides[0] @ sides[1]


def plain_network(made):
    """One network on [x, y] with a concat critic's weights."""
    first = nn.Linear(made.of_x.in_features + made.of_y.in_features, made.of_x.out_features)
    with torch.no_grad():
        first.weight.copy_(torch.cat([made.of_x.weight, made.of_y.weight], dim=1))
        first.bias.copy_(made.of_x.bias)
    return nn.Sequential(first, *made.rest)


def concat_score(made, x, y):
    return plain_network(made)(torch.cat([x, y])).squeeze()


SCORES = {"separable": separable_score, "concat": concat_score}


@pytest.mark.parametrize("dims", [(3, 2), (2, 5), (4, 4)], ids=["x larger", "y larger", "alike"])
@pytest.mark.parametrize("n", [5, 9])
@pytest.mark.parametrize("kind", BUILDERS)
def test_scores_are_those_of_each_x_with_its_own_y_and_the_next_ones(critic, kind, n, dims):
    made, batch = critic(kind, *dims), pairs(n, *dims)
    scores = made(batch)["scores"]
    assert scores.shape == (n, 5)
    for i in range(n):
        for k in range(5):
            expected = SCORES[kind](made, batch.x[i], batch.y[(i + k) % n])
            torch.testing.assert_close(scores[i, k], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", BUILDERS)
def test_in_a_batch_of_as_many_pairs_as_candidates_every_other_pair_is_one(critic, kind):
    made = critic(kind)
    whole = made(pairs(5))["scores"]
    every = torch.stack([torch.stack([SCORES[kind](made, x, y) for y in pairs(5).y]) for x in pairs(5).x])
    torch.testing.assert_close(whole.sort(1).values, every.sort(1).values, atol=1e-5, rtol=1e-5)


def test_a_concat_critic_is_one_plain_network(critic):
    made, batch = critic("concat", layers=2), pairs(9)
    plain = plain_network(made)
    assert [type(layer).__name__ for layer in plain] == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    torch.testing.assert_close(made(batch)["scores"][:, :1], plain(torch.cat([batch.x, batch.y], dim=1)))


@pytest.mark.parametrize("kind", BUILDERS)
def test_vectors_in_several_dimensions_are_flattened(critic, kind):
    made, flat = critic(kind, 6, 2), pairs(7, 6, 2)
    shaped = Pairs(index=flat.index, x=flat.x.reshape(7, 2, 3), y=flat.y.reshape(7, 2, 1))
    assert torch.equal(made(shaped)["scores"], made(flat)["scores"])


@pytest.mark.parametrize("kind", BUILDERS)
def test_scores_are_the_only_feature(critic, kind):
    made = critic(kind, candidates=7)
    assert made.feature_shapes == {"scores": (7,)}
    assert list(made(pairs(7))) == ["scores"]


@pytest.mark.parametrize("kind", BUILDERS)
def test_a_batch_of_fewer_pairs_than_candidates_is_refused(critic, kind):
    with pytest.raises(UnfitError) as caught:
        critic(kind)(pairs(4))
    assert str(caught.value) == (
        "A batch of 4 pairs has no 5 candidates for each x; give train.batch_size and the data set 5 pairs or more, or lower "
        "encoder.candidates."
    )


def layers(*widths):
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(widths))


def count(made):
    return sum(parameter.numel() for parameter in made.parameters())


def test_the_published_sizes_are_the_defaults():
    made = {}
    for kind, (build, options) in BUILDERS.items():
        made[kind] = build(Description(kind="pairs", shape=(20, 20), samples=100), options(), torch.Generator())
    assert count(made["separable"]) == 2 * layers(20, 256, 256, 256, 32)
    assert count(made["concat"]) == layers(40, 256, 256, 256, 1)
    assert {critic.candidates for critic in made.values()} == {64}


def test_sizes_follow_the_options(critic):
    assert count(critic("separable", 3, 3, hidden=7, layers=2, embedding=4)) == 2 * layers(3, 7, 7, 4)
    assert count(critic("separable", 3, 3, hidden=7, layers=1, embedding=4)) == 2 * layers(3, 7, 4)
    assert count(critic("concat", 3, 2, hidden=7, layers=2)) == layers(5, 7, 7, 1)
    assert count(critic("concat", 3, 2, hidden=7, layers=1)) == layers(5, 7, 1)


@pytest.mark.parametrize("kind", BUILDERS)
def test_gradients_reach_every_layer_of_both_sides(critic, kind):
    made = critic(kind, 3, 3, hidden=32)
    scores = made(pairs(20, 3, 3))["scores"]
    (scores[:, 0].mean() - scores[:, 1:].exp().mean()).backward()
    for parameter in made.parameters():
        for side in parameter.grad if kind == "separable" else [parameter.grad]:
            assert float(side.abs().max()) > 0


def test_weights_that_only_meet_the_filling_zeros_never_move(critic):
    made = critic("separable", 2, 5)
    before = made.weights[0].detach().clone()
    optimiser = torch.optim.Adam(made.parameters(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        made(pairs(9, 2, 5))["scores"].square().mean().backward()
        optimiser.step()
    moved = (made.weights[0] != before).any(2)
    assert moved.tolist() == [[True, True, False, False, False], [True] * 5]


@pytest.mark.parametrize("dims", [(3, 12), (12, 3), (12, 12), (3, 3)])
def test_layers_begin_as_torch_s_linear_layers_do(critic, dims):
    # Hidden layers of 12 units, as many as the larger input has.
    made = critic("separable", *dims, hidden=12, layers=3, embedding=400)
    fan_ins = [dims, (12, 12), (12, 12), (12, 12)]
    for weight, bias, sides in zip(made.weights, made.biases, fan_ins, strict=True):
        for side, fan_in in enumerate(sides):
            bound = 1 / math.sqrt(fan_in)
            assert 0.85 * bound < float(weight[side, :fan_in].detach().abs().max()) <= bound
            assert float(bias[side].detach().abs().max()) <= bound


def test_a_concat_critic_s_first_layer_begins_as_one_layer_on_both_would(critic):
    made = critic("concat", 3, 13, hidden=200)
    for part in (made.of_x.weight, made.of_x.bias, made.of_y.weight):
        assert 0.9 / 4 < float(part.detach().abs().max()) <= 1 / 4
    assert made.of_y.bias is None
    alike = critic("concat", 3, 3)
    assert not torch.equal(alike.of_x.weight, alike.of_y.weight)


@pytest.mark.parametrize("kind", BUILDERS)
def test_torch_s_random_state_decides_the_weights(critic, kind):
    one, same, other = (critic(kind, seed=seed)(pairs(9))["scores"] for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", BUILDERS)
def test_a_gpu_gives_the_same_scores(critic, kind):
    made = critic(kind)
    here = made(pairs(9))["scores"]
    there = made.to("cuda")(pairs(9).to("cuda"))["scores"]
    torch.testing.assert_close(there.cpu(), here, atol=1e-4, rtol=1e-4)
