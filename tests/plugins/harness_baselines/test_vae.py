"""The objective vae."""

from __future__ import annotations

import pytest
import torch

from harness_baselines.posterior import kl_from_standard_normal


def test_the_loss_is_the_squared_error_of_a_decoded_draw_and_beta_divergences(baseline, step):
    made = baseline("vae", beta=3.0).eval()
    now = step()
    terms = made.negative_elbo(now)
    mean, log_deviation = made.posterior.moments(made.encoder(now.batch))
    noise = torch.randn(12, 6, generator=step().generator)
    decoded = made.decoder(mean + log_deviation.exp() * noise)
    error = (now.batch.pixels - decoded).square().sum().item() / 12
    kl = kl_from_standard_normal(mean, log_deviation).sum().item() / 12
    assert terms["squared error"].item() == pytest.approx(error, rel=1e-5)
    assert terms["kl"].item() == pytest.approx(kl, rel=1e-5)
    assert terms["loss"].item() == pytest.approx(error + 3 * kl, rel=1e-5)


def test_unused_dimensions_are_counted(baseline, step):
    made, now = baseline("vae"), step()
    with torch.no_grad():
        made.encoder.output.weight[:4] = 0  # the first four means are 0 for every image, and their deviations 1
        made.encoder.output.bias[:4] = 0
        made.posterior.log_deviation.weight[:4] = 0
        made.posterior.log_deviation.bias[:4] = 0
        made.encoder.output.bias[4:] = 2
    assert made.negative_elbo(now)["unused dimensions"].item() == 4


def test_all_networks_are_trained_in_one_phase(baseline):
    made = baseline("vae")
    (phase,) = made.phases()
    assert {id(parameter) for parameter in phase.parameters} == {id(parameter) for parameter in made.parameters()}


def test_a_larger_beta_ends_with_less_information(baseline, step, train):
    def kl(beta):
        made = baseline("vae", beta=beta, lr=3e-3)
        return train(made, [step(seed=number % 4) for number in range(60)])[-1]["elbo/kl"]

    assert kl(30.0) < 0.5 * kl(0.1)


def test_training_lowers_the_loss(baseline, step, train):
    terms = train(baseline("vae", lr=3e-3), [step(seed=0)] * 60)
    assert terms[-1]["elbo/loss"] < 0.7 * terms[0]["elbo/loss"]


def test_the_decoder_and_samples_of_it_are_exported(baseline):
    made = baseline("vae").eval()
    exported = made.exports()
    assert exported["decoder"] is made.decoder
    assert exported["generator"](3, torch.Generator().manual_seed(0)).shape == (3, 1, 8, 8)
