from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import jsd_loss
from harness.bounds import (
    BOUNDS,
    dv,
    gan,
    infonce,
    js_information,
    jsd,
    kl,
    mine,
    moved_log_average,
    off_diagonal,
    smile,
)


def test_a_critic_that_knows_nothing_loses_log_two():
    assert jsd_loss(torch.zeros(5), torch.zeros(5)).item() == pytest.approx(math.log(2))


def test_a_perfect_critic_loses_nothing():
    assert jsd_loss(torch.full((5,), 100.0), torch.full((5,), -100.0)).item() == pytest.approx(0.0, abs=1e-30)


def test_a_critic_that_is_wrong_loses_its_margin():
    assert jsd_loss(torch.full((5,), -100.0), torch.full((5,), 100.0)).item() == pytest.approx(100.0)


def test_with_as_many_negatives_as_positives_it_is_the_binary_cross_entropy():
    generator = torch.Generator().manual_seed(0)
    positive, negative = torch.randn(2, 40, generator=generator, dtype=torch.float64)
    truth = torch.cat([torch.ones(40), torch.zeros(40)]).double()
    expected = F.binary_cross_entropy_with_logits(torch.cat([positive, negative]), truth)
    assert jsd_loss(positive, negative).item() == pytest.approx(expected.item(), rel=1e-12)


def test_positives_and_negatives_weigh_the_same_whatever_their_numbers():
    positive, negative = torch.tensor([0.3, -1.2]), torch.tensor([[0.7, 0.1, -0.4]] * 4)
    expected = 0.5 * (math.log1p(math.exp(-0.3)) + math.log1p(math.exp(1.2))) / 2
    expected += 0.5 * sum(math.log1p(math.exp(score)) for score in (0.7, 0.1, -0.4)) / 3
    assert jsd_loss(positive, negative).item() == pytest.approx(expected, rel=1e-6)


def test_its_gradients_are_those_of_the_cross_entropy():
    positive = torch.tensor([0.3, -1.2], requires_grad=True)
    negative = torch.tensor([0.5], requires_grad=True)
    jsd_loss(positive, negative).backward()
    torch.testing.assert_close(positive.grad, -0.25 * torch.sigmoid(-positive.detach()))
    torch.testing.assert_close(negative.grad, 0.5 * torch.sigmoid(negative.detach()))


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_large_scores_stay_finite(size):
    score = torch.tensor([size], requires_grad=True)
    loss = jsd_loss(score, score)
    loss.backward()
    assert math.isfinite(loss.item())
    assert math.isfinite(score.grad.item())


# The bounds, against their definitions written as slow loops


def scores_of_a_batch(n: int = 4, places: int = 3, seed: int = 0) -> torch.Tensor:
    """[n, n, places]: sample i scored with sample j at each place."""
    return torch.randn(n, n, places, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pairs(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Joint pairs i = j [N, L] and marginal pairs i ≠ j [N, (N-1) L]."""
    return scores.diagonal().T, off_diagonal(scores)


def loops(scores):
    """The same pairs as rows of scalars."""
    n, _, places = scores.shape
    positive = [[scores[i, i, place] for place in range(places)] for i in range(n)]
    negative = [[scores[i, j, place] for j in range(n) if j != i for place in range(places)] for i in range(n)]
    return positive, negative


def mean(values):
    return sum(values) / len(values)


def flat(rows):
    return [score for row in rows for score in row]


def slow_dv(positive, negative):
    return mean(flat(positive)) - mean([score.exp() for score in flat(negative)]).log()


def slow_infonce(positive, negative):
    values = []
    for row, rivals in zip(positive, negative, strict=True):
        for score in row:
            values.append((score.exp() / mean([score.exp(), *(rival.exp() for rival in rivals)])).log())
    return mean(values)


class Row(NamedTuple):
    """A row of the table of f-divergences: D_f(P‖Q) = E_Q[f(p/q)], and the scores v at which its bound is tight."""

    f: Callable
    g: Callable
    conjugate: Callable
    optimum: Callable


F_DIVERGENCES = {
    "kl": Row(
        f=lambda u: u * u.log(),
        g=lambda v: v,
        conjugate=lambda t: (t - 1).exp(),
        optimum=lambda u: 1 + u.log(),
    ),
    "reverse-kl": Row(
        f=lambda u: -u.log(),
        g=lambda v: -(-v).exp(),
        conjugate=lambda t: -1 - (-t).log(),
        optimum=lambda u: u.log(),
    ),
    "pearson-chi2": Row(
        f=lambda u: (u - 1) ** 2,
        g=lambda v: v,
        conjugate=lambda t: t**2 / 4 + t,
        optimum=lambda u: 2 * (u - 1),
    ),
    "neyman-chi2": Row(
        f=lambda u: (1 - u) ** 2 / u,
        g=lambda v: 1 - v.exp(),
        conjugate=lambda t: 2 - 2 * (1 - t).sqrt(),
        optimum=lambda u: -2 * u.log(),
    ),
    "squared-hellinger": Row(
        f=lambda u: (u.sqrt() - 1) ** 2,
        g=lambda v: 1 - (-v).exp(),
        conjugate=lambda t: t / (1 - t),
        optimum=lambda u: u.log() / 2,
    ),
    "jsd": Row(
        f=lambda u: u * u.log() - (u + 1) * ((u + 1) / 2).log(),
        g=lambda v: math.log(2) - (1 + (-v).exp()).log(),
        conjugate=lambda t: -(2 - t.exp()).log(),
        optimum=lambda u: u.log(),
    ),
    "gan": Row(
        f=lambda u: u * u.log() - (u + 1) * (u + 1).log(),
        g=lambda v: -(1 + (-v).exp()).log(),
        conjugate=lambda t: -(1 - t.exp()).log(),
        optimum=lambda u: u.log(),
    ),
}


def slow_f_divergence(row):
    def bound(positive, negative):
        return mean([row.g(score) for score in flat(positive)]) - mean([row.conjugate(row.g(score)) for score in flat(negative)])

    return bound


SLOW = {"dv": slow_dv, "infonce": slow_infonce} | {name: slow_f_divergence(row) for name, row in F_DIVERGENCES.items()}

every_bound = pytest.mark.parametrize("name", BOUNDS)


def test_the_bounds_have_the_names_that_options_use():
    assert list(BOUNDS) == [
        "dv", "infonce", "jsd", "gan", "kl", "reverse-kl", "squared-hellinger", "pearson-chi2", "neyman-chi2",
    ]  # fmt: skip


@every_bound
def test_a_bound_is_that_of_its_definition(name):
    scores = scores_of_a_batch()
    torch.testing.assert_close(BOUNDS[name](*pairs(scores)), SLOW[name](*loops(scores)), rtol=1e-12, atol=1e-12)


@every_bound
def test_gradients_are_those_of_its_definition(name):
    scores = scores_of_a_batch().requires_grad_()
    (fast,) = torch.autograd.grad(BOUNDS[name](*pairs(scores)), scores)
    (slow,) = torch.autograd.grad(SLOW[name](*loops(scores)), scores)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-12)


@every_bound
def test_the_order_of_samples_and_places_does_not_matter(name):
    scores = scores_of_a_batch(n=5)
    order = torch.tensor([3, 0, 4, 2, 1])
    reordered = scores[order][:, order][:, :, [2, 0, 1]]
    torch.testing.assert_close(BOUNDS[name](*pairs(reordered)), BOUNDS[name](*pairs(scores)))


@pytest.mark.parametrize("name", ["dv", "infonce"])
def test_adding_a_constant_to_every_score_changes_nothing(name):
    scores = scores_of_a_batch()
    torch.testing.assert_close(BOUNDS[name](*pairs(scores + 3.7)), BOUNDS[name](*pairs(scores)))


@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_adding_a_constant_changes_every_other_bound(name):
    scores = scores_of_a_batch()
    assert BOUNDS[name](*pairs(scores + 0.5)).item() != pytest.approx(BOUNDS[name](*pairs(scores)).item(), abs=1e-3)


def test_infonce_is_free_of_a_constant_per_row_and_dv_is_not():
    scores = scores_of_a_batch()
    shifted = scores + torch.arange(4.0, dtype=torch.float64)[:, None, None]
    torch.testing.assert_close(infonce(*pairs(shifted)), infonce(*pairs(scores)))
    assert dv(*pairs(shifted)).item() != pytest.approx(dv(*pairs(scores)).item(), abs=1e-3)


# Known answers


@pytest.mark.parametrize("constant", [0.0, 2.5])
@pytest.mark.parametrize("name", ["dv", "infonce"])
def test_equal_scores_know_nothing(name, constant):
    assert BOUNDS[name](*pairs(torch.full((6, 6, 4), constant))).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("name", ["jsd", "reverse-kl", "squared-hellinger", "pearson-chi2", "neyman-chi2"])
def test_zero_scores_know_nothing(name):
    assert BOUNDS[name](*pairs(torch.zeros(6, 6, 4))).item() == pytest.approx(0.0, abs=1e-6)


def test_the_threshold_of_kl_is_one():
    assert kl(*pairs(torch.ones(6, 6, 4))).item() == pytest.approx(0.0, abs=1e-6)


def test_zero_scores_give_the_gan_value_minus_log_four():
    assert gan(*pairs(torch.zeros(6, 6, 4))).item() == pytest.approx(-math.log(4), abs=1e-6)


def test_infonce_of_equal_scores_is_a_cross_entropy_of_log_4033_for_64_images_of_64_places():
    positive, negative = pairs(torch.zeros(64, 64, 64))
    cross_entropy = math.log(1 + negative.shape[1]) - infonce(positive, negative).item()
    assert cross_entropy == pytest.approx(math.log(4033), abs=1e-5)


def test_jsd_is_twice_log_two_less_jsd_loss():
    positive, negative = pairs(scores_of_a_batch())
    torch.testing.assert_close(jsd(positive, negative), 2 * (math.log(2) - jsd_loss(positive, negative)))


def test_jsd_is_gan_and_log_four():
    positive, negative = pairs(scores_of_a_batch())
    torch.testing.assert_close(jsd(positive, negative), gan(positive, negative) + math.log(4))


def test_infonce_is_a_cross_entropy_over_one_positive_and_the_negatives_of_its_row():
    positive, negative = pairs(scores_of_a_batch(n=5, places=4))
    logits = torch.cat([positive.reshape(20, 1), negative.repeat_interleave(4, dim=0)], dim=1)
    assert logits.shape == (20, 1 + 4 * 4)
    expected = math.log(17) - F.cross_entropy(logits, torch.zeros(20, dtype=torch.long))
    torch.testing.assert_close(infonce(positive, negative), expected)


def test_infonce_agrees_with_the_form_that_sets_scores_of_the_own_image_to_minus_ten():
    n, places = 64, 4
    scores = scores_of_a_batch(n, places)
    masked = scores.clone()
    masked[range(n), range(n)] = -10.0
    losses = []
    for i in range(n):
        for place in range(places):
            logits = torch.cat([scores[i, i, place].reshape(1), masked[i].flatten()])
            losses.append(-logits.log_softmax(0)[0])
    clean = math.log(1 + (n - 1) * places) - infonce(*pairs(scores))
    assert clean.item() == pytest.approx(mean(losses).item(), abs=1e-6)


def test_dv_takes_one_mean_over_the_negatives_of_all_rows():
    positive, negative = pairs(scores_of_a_batch())
    torch.testing.assert_close(dv(positive.flip(0), negative.reshape(2, -1)), dv(positive, negative))


def test_infonce_of_no_negatives_is_zero():
    assert infonce(torch.tensor([[0.3, 2.0]]), torch.empty(1, 0)).item() == 0.0


# The best critic of two distributions over three values. Repeating each value as often as it is probable makes means expectations.

SYMMETRIC = ([5, 3, 2], [2, 3, 5])
ASYMMETRIC = ([5, 4, 1], [1, 2, 7])
cases = pytest.mark.parametrize("counts", [SYMMETRIC, ASYMMETRIC], ids=["symmetric", "asymmetric"])


def probabilities(counts):
    p, q = torch.tensor(counts, dtype=torch.float64) / 10
    return p, q


def drawn(critic, counts):
    """Scores [2, 5] of ten draws of P, and of ten draws of Q."""
    p, q = (critic.repeat_interleave(torch.tensor(count)).reshape(2, 5) for count in counts)
    return p, q


def divergence(name, counts):
    p, q = probabilities(counts)
    return (q * F_DIVERGENCES[name].f(p / q)).sum().item()


def best_critic(name, counts):
    p, q = probabilities(counts)
    return F_DIVERGENCES[name].optimum(p / q)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kl", 0.274887),
        ("reverse-kl", 0.274887),
        ("pearson-chi2", 0.63),
        ("neyman-chi2", 0.63),
        ("squared-hellinger", 0.135089),
        ("jsd", 0.132829),
        ("gan", -1.253466),
    ],
)
def test_the_best_critic_reaches_the_known_divergence(name, value):
    assert BOUNDS[name](*drawn(best_critic(name, SYMMETRIC), SYMMETRIC)).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kl", 0.5 * math.log(5) + 0.4 * math.log(2) - 0.1 * math.log(7)),
        ("reverse-kl", 0.7 * math.log(7) - 0.1 * math.log(5) - 0.2 * math.log(2)),
        ("pearson-chi2", 0.25 / 0.1 + 0.16 / 0.2 + 0.01 / 0.7 - 1),
        ("neyman-chi2", 0.01 / 0.5 + 0.04 / 0.4 + 0.49 / 0.1 - 1),
        ("squared-hellinger", 2 - 2 * (math.sqrt(0.05) + math.sqrt(0.08) + math.sqrt(0.07))),
    ],
)
def test_the_best_critic_reaches_the_divergence_of_an_asymmetric_pair(name, value):
    assert BOUNDS[name](*drawn(best_critic(name, ASYMMETRIC), ASYMMETRIC)).item() == pytest.approx(value, rel=1e-12)


@cases
@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_the_best_critic_reaches_the_divergence(name, counts):
    assert BOUNDS[name](*drawn(best_critic(name, counts), counts)).item() == pytest.approx(divergence(name, counts), rel=1e-12)


@cases
@pytest.mark.parametrize("name", F_DIVERGENCES)
def test_the_best_critic_is_stationary(name, counts):
    critic = best_critic(name, counts).requires_grad_()
    (gradient,) = torch.autograd.grad(BOUNDS[name](*drawn(critic, counts)), critic)
    torch.testing.assert_close(gradient, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-12)


@cases
def test_the_best_critic_of_dv_reaches_kl_whatever_its_constant(counts):
    p, q = probabilities(counts)
    assert dv(*drawn((p / q).log() + 1.3, counts)).item() == pytest.approx(divergence("kl", counts), rel=1e-12)


@cases
def test_the_best_critic_of_infonce_reaches_kl_with_many_negatives(counts):
    p, q = probabilities(counts)
    positive, negative = drawn((p / q).log(), counts)
    value = infonce(positive.reshape(1, 10), negative.reshape(1, 10).expand(100_000, 10).reshape(1, -1))
    assert value.item() == pytest.approx(divergence("kl", counts), abs=1e-5)


any_score = st.floats(-20, 20)


@given(critic=st.lists(any_score, min_size=3, max_size=3), name=st.sampled_from(list(F_DIVERGENCES)))
@settings(max_examples=100)
def test_no_critic_exceeds_the_divergence(critic, name):
    value = BOUNDS[name](*drawn(torch.tensor(critic, dtype=torch.float64), ASYMMETRIC)).item()
    assert value <= divergence(name, ASYMMETRIC) + 1e-9 * abs(value) + 1e-8


@given(critic=st.lists(any_score, min_size=3, max_size=3))
@settings(max_examples=50)
def test_dv_is_at_least_kl_and_at_most_the_divergence(critic):
    sample = drawn(torch.tensor(critic, dtype=torch.float64), ASYMMETRIC)
    assert kl(*sample).item() - 1e-9 <= dv(*sample).item() <= divergence("kl", ASYMMETRIC) + 1e-9


@given(positive=st.lists(any_score, min_size=1, max_size=4), negative=st.lists(any_score, min_size=1, max_size=6))
@settings(max_examples=100)
def test_no_scores_exceed_a_cap(positive, negative):
    sample = torch.tensor([positive]), torch.tensor([negative])
    caps = {"infonce": math.log(1 + len(negative)), "jsd": 2 * math.log(2), "gan": 0.0, "squared-hellinger": 2.0}
    assert {name: cap for name, cap in caps.items() if BOUNDS[name](*sample).item() > cap + 1e-6} == {}


@pytest.mark.parametrize(("name", "cap"), [("infonce", math.log(10)), ("jsd", 2 * math.log(2)), ("gan", 0.0)])
def test_a_critic_that_is_sure_and_right_reaches_the_cap(name, cap):
    assert BOUNDS[name](torch.full((4, 3), 100.0), torch.full((4, 9), -100.0)).item() == pytest.approx(cap, abs=1e-6)


# Readings of a trained critic, and the gradient of MINE


@cases
def test_js_information_of_the_best_critic_is_kl(counts):
    p, q = probabilities(counts)
    assert js_information(*drawn((p / q).log(), counts)).item() == pytest.approx(divergence("kl", counts), rel=1e-12)


@cases
def test_kl_of_log_ratios_themselves_is_lower_by_one_over_e(counts):
    p, q = probabilities(counts)
    critic = drawn((p / q).log(), counts)
    assert js_information(*critic).item() - kl(*critic).item() == pytest.approx(1 / math.e, rel=1e-12)


def test_js_information_of_bfloat16_adds_its_one_in_float32():
    scores = torch.tensor([[257.0]], dtype=torch.bfloat16), torch.tensor([[-50.0]], dtype=torch.bfloat16)
    assert js_information(*scores).item() == scores[0].float().item() + 1


@cases
def test_smile_without_a_clip_is_dv(counts):
    p, q = probabilities(counts)
    critic = drawn((p / q).log(), counts)
    assert smile(*critic, clip=100.0).item() == dv(*critic).item()


def test_smile_clips_negatives_alone():
    positive, negative = torch.tensor([[3.0, 7.0]]), torch.tensor([[-4.0, 0.5, 9.0]])
    expected = 5.0 - math.log((math.exp(-1) + math.exp(0.5) + math.exp(1)) / 3)
    assert smile(positive, negative, clip=1.0).item() == pytest.approx(expected, rel=1e-6)


def test_smile_exceeds_the_information_where_the_ratio_exceeds_the_clip():
    p, q = probabilities(ASYMMETRIC)
    critic = drawn((p / q).log(), ASYMMETRIC)
    assert smile(*critic, clip=0.5).item() > divergence("kl", ASYMMETRIC) + 0.05


def test_the_gradient_of_mine_is_that_of_dv_where_the_average_is_the_batch_s_own():
    positive, negative = (scores.requires_grad_() for scores in pairs(scores_of_a_batch()))
    own = negative.detach().exp().mean().log()
    expected = torch.autograd.grad(dv(positive, negative), (positive, negative))
    torch.testing.assert_close(torch.autograd.grad(mine(positive, negative, own), (positive, negative)), expected)


def test_the_gradient_of_mine_divides_by_the_moving_average():
    positive, negative = torch.tensor([[0.3]]), torch.tensor([[1.0, -2.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(mine(positive, negative, torch.tensor(5.0).log()), negative)
    torch.testing.assert_close(gradient, -negative.detach().exp() / 2 / 5)


def test_the_denominator_of_mine_has_a_floor():
    scores = torch.zeros(1, 1), torch.full((1, 1), -20.0)
    assert mine(*scores, torch.tensor(-50.0)).item() == pytest.approx(-math.exp(-20) / 1e-4, rel=1e-5)


def test_the_moving_average_is_that_of_a_slow_loop():
    batches, average, log_average = scores_of_a_batch().exp().log(), 1.0, torch.tensor(0.0, dtype=torch.float64)
    for batch in batches:
        average = 0.9 * average + 0.1 * mean([math.exp(score) for score in batch.flatten().tolist()])
        log_average = moved_log_average(log_average, batch, 0.9)
    assert log_average.item() == pytest.approx(math.log(average), rel=1e-12)


def test_the_moving_average_of_large_scores_is_finite():
    moved = moved_log_average(torch.tensor(0.0), torch.full((2, 3), 1e4), 0.9)
    assert moved.item() == pytest.approx(1e4 + math.log(0.1), rel=1e-6)


def test_a_moving_average_without_a_past_is_the_batch_s_own():
    negative = torch.tensor([[0.5, -1.0]], dtype=torch.float64)
    assert moved_log_average(torch.tensor(3.0), negative, 0.0).item() == pytest.approx(negative.exp().mean().log().item())


def test_the_moving_average_passes_no_gradient():
    assert not moved_log_average(torch.tensor(0.0), torch.zeros(2, 2, requires_grad=True), 0.9).requires_grad


# Precision


@every_bound
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(name, dtype):
    positive, negative = (scores.to(dtype) for scores in pairs(scores_of_a_batch()))
    bound = BOUNDS[name](positive, negative)
    assert bound.dtype == torch.float32
    assert torch.equal(bound, BOUNDS[name](positive.float(), negative.float()))


@every_bound
def test_bfloat16_scores_give_about_the_bound_of_float32(name):
    positive, negative = (scores.float() for scores in pairs(scores_of_a_batch(n=8)))
    exact = BOUNDS[name](positive, negative).item()
    assert BOUNDS[name](positive.bfloat16(), negative.bfloat16()).item() == pytest.approx(exact, rel=0.01, abs=0.01)


@every_bound
def test_autocast_changes_nothing(name):
    positive, negative = (scores.float() for scores in pairs(scores_of_a_batch()))
    with torch.autocast("cpu", torch.bfloat16):
        bound = BOUNDS[name](positive, negative)
    assert torch.equal(bound, BOUNDS[name](positive, negative))


def test_an_exponential_beyond_float16_is_finite():
    assert kl(torch.zeros(1, 1), torch.full((1, 1), 14.0, dtype=torch.float16)).item() == pytest.approx(-math.exp(13))


@pytest.mark.parametrize("name", ["dv", "infonce", "jsd", "gan", "pearson-chi2"])
@pytest.mark.parametrize("positive", [1e4, -1e4])
@pytest.mark.parametrize("negative", [1e4, -1e4])
def test_large_scores_give_the_bound_of_double_precision_and_finite_gradients(name, positive, negative):
    scores = torch.full((2, 3), positive, requires_grad=True), torch.full((2, 4), negative, requires_grad=True)
    bound = BOUNDS[name](*scores)
    bound.backward()
    exact = BOUNDS[name](*(score.detach().double() for score in scores)).item()
    assert bound.item() == pytest.approx(exact, rel=1e-6, abs=1e4 * torch.finfo(torch.float32).eps)
    assert all(score.grad.isfinite().all() for score in scores)


@pytest.mark.parametrize(
    ("name", "positive", "negative", "value"),
    [
        ("kl", 1e4, -1e4, 1e4),
        ("kl", 0.0, 1e4, -math.inf),
        ("reverse-kl", 1e4, -1e4, 1e4 + 1),
        ("reverse-kl", -1e4, 0.0, -math.inf),
        ("squared-hellinger", 1e4, -1e4, 2.0),
        ("squared-hellinger", -1e4, 0.0, -math.inf),
        ("squared-hellinger", 0.0, 1e4, -math.inf),
        ("neyman-chi2", -1e4, 0.0, 1.0),
        ("neyman-chi2", 1e4, 0.0, -math.inf),
        ("neyman-chi2", 0.0, 1e4, math.inf),
        ("neyman-chi2", 1e4, 1e4, math.nan),
    ],
)
def test_a_bound_with_an_exponential_overflows_only_where_it_says_so(name, positive, negative, value):
    bound = BOUNDS[name](torch.tensor([[positive]]), torch.tensor([[negative]])).item()
    assert bound == pytest.approx(value, nan_ok=True)


def test_all_bounds_compile_without_a_graph_break():
    def all_bounds(scores):
        return torch.stack([bound(*pairs(scores)) for bound in BOUNDS.values()])

    scores = scores_of_a_batch()
    torch.testing.assert_close(torch.compile(all_bounds, fullgraph=True, backend="eager")(scores), all_bounds(scores))


# The negatives of a batch

shapes = pytest.mark.parametrize("shape", [(2, 2), (5, 5), (2, 2, 3), (4, 4, 1), (4, 4, 6), (3, 3, 2, 5)])


@shapes
def test_off_diagonal_leaves_out_each_sample_with_itself(shape):
    scores = torch.arange(math.prod(shape)).reshape(shape)
    expected = [[other for j in range(shape[0]) if j != i for other in scores[i, j].flatten().tolist()] for i in range(shape[0])]
    assert off_diagonal(scores).tolist() == expected


@shapes
def test_off_diagonal_counts_n_times_n_minus_one_times_the_places(shape):
    n, _, *places = shape
    assert off_diagonal(torch.zeros(shape)).shape == (n, (n - 1) * math.prod(places))


def test_off_diagonal_of_scores_that_are_not_contiguous():
    scores = scores_of_a_batch().permute(1, 0, 2)
    assert torch.equal(off_diagonal(scores), off_diagonal(scores.contiguous()))


def test_the_gradient_of_off_diagonal_is_nothing_on_the_diagonal_and_one_elsewhere():
    scores = torch.zeros(4, 4, 2, requires_grad=True)
    off_diagonal(scores).sum().backward()
    assert torch.equal(scores.grad, (1 - torch.eye(4))[:, :, None].expand(4, 4, 2))


@pytest.mark.parametrize("n", [0, 1])
def test_off_diagonal_of_less_than_two_samples_is_refused(n):
    with pytest.raises(ValueError, match=f"^A batch of {n} has no negatives: give two samples or more.$"):
        off_diagonal(torch.zeros(n, n, 3))


@pytest.mark.parametrize("shape", [(4,), (4, 5), (2, 3, 2)])
def test_off_diagonal_of_scores_that_are_not_square_is_refused(shape):
    with pytest.raises(ValueError, match=r"^Scores must be \[N, N, ...\]"):
        off_diagonal(torch.zeros(shape))
