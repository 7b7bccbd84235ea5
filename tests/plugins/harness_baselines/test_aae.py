"""The objective aae."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F


def test_the_discriminator_is_updated_first_and_on_a_fresh_batch(baseline):
    made = baseline("aae")
    judge, coders = made.phases()
    assert (judge.name, judge.fresh_batch, coders.name, coders.fresh_batch) == ("discriminate", True, "reconstruct", False)
    assert {id(p) for p in judge.parameters} == {id(p) for p in made.discriminator.parameters()}
    assert {id(p) for p in coders.parameters} == {id(p) for p in [*made.encoder.parameters(), *made.decoder.parameters()]}


def test_the_discriminators_loss_is_cross_entropy_and_penalty(baseline, step):
    made, now = baseline("aae", penalty=0.7).eval(), step()
    terms = made.discrimination(now)
    y = made.encoder(now.batch)["y"].detach().requires_grad_()
    prior = torch.randn(12, 6, generator=step().generator).requires_grad_()
    on_prior, on_y = made.discriminator(prior), made.discriminator(y)
    cross_entropy = F.binary_cross_entropy_with_logits(on_prior, torch.ones(12, 1)) + F.binary_cross_entropy_with_logits(
        on_y, torch.zeros(12, 1)
    )
    slopes = torch.autograd.grad(on_prior.sum() + on_y.sum(), [prior, y], retain_graph=True)
    penalty = sum(slope.square().sum().item() for slope in slopes) / 24
    assert terms["value"].item() == pytest.approx(-cross_entropy.item(), rel=1e-5)
    assert terms["penalty"].item() == pytest.approx(penalty, rel=1e-5)
    assert terms["loss"].item() == pytest.approx(cross_entropy.item() + 0.7 * penalty, rel=1e-5)


def test_the_coders_loss_is_the_squared_error_and_the_non_saturating_term(baseline, step):
    made, now = baseline("aae", weight=2.5).eval(), step()
    terms = made.reconstruction(now)
    y = made.encoder(now.batch)["y"]
    error = (now.batch.pixels - made.decoder(y)).square().sum().item() / 12
    fooled = -torch.log(torch.sigmoid(made.discriminator(y))).mean().item()
    assert terms["loss"].item() == pytest.approx(error + 2.5 * fooled, rel=1e-5)


def test_the_encoder_raises_the_discriminators_score_of_its_codes(baseline, step):
    made, now = baseline("aae"), step()
    made.decoder.requires_grad_(False)
    y = made.encoder(now.batch)["y"].detach().requires_grad_()
    F.softplus(-made.discriminator(y)).mean().backward()
    before, after = made.discriminator(y).mean(), made.discriminator(y - 0.1 * y.grad / y.grad.norm()).mean()
    assert after > before


def test_no_gradient_of_the_discriminators_loss_reaches_the_encoder(baseline, step):
    made = baseline("aae")
    made.discrimination(step())["loss"].backward()
    assert all(parameter.grad is None for parameter in made.encoder.parameters())


def test_codes_end_with_the_moments_of_the_prior(baseline, step, train):
    """Two-dimensional codes of many images: mean 0, deviation 1, no correlation, as far as an adversary sees."""
    made = baseline("aae", latent=2, lr=2e-3, weight=20.0)
    train(made, [step(n=128, seed=number % 8) for number in range(300)])
    made.eval()
    with torch.no_grad():
        y = torch.cat([made.encoder(step(n=128, seed=number).batch)["y"] for number in range(8)])
    assert y.mean(dim=0).abs().max() < 0.35
    assert ((y.std(dim=0) - 1).abs() < 0.35).all()
    assert abs(y.T.corrcoef()[0, 1]) < 0.35


def test_the_loss_of_a_discriminator_that_knows_nothing_is_log_four(baseline, step):
    made = baseline("aae")
    with torch.no_grad():
        made.discriminator[-1].weight.zero_()
        made.discriminator[-1].bias.zero_()
    assert made.discrimination(replace(step(), shared=None))["value"].item() == pytest.approx(-math.log(4), rel=1e-6)


def test_the_decoder_and_samples_of_it_are_exported(baseline):
    made = baseline("aae").eval()
    assert made.exports()["decoder"] is made.decoder
    assert made.exports()["generator"](4, torch.Generator()).shape == (4, 1, 8, 8)
