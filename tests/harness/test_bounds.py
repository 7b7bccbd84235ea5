from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from harness import jsd_loss


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
