"""Gaussian posteriors and their divergence from the prior."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from harness import Encoder, UnfitError
from harness_baselines.posterior import GaussianPosterior, kl_from_standard_normal, reparameterised


class Trunk(Encoder):
    def __init__(self, **shapes):
        super().__init__()
        self.feature_shapes = shapes

    def forward(self, batch):
        raise NotImplementedError


@pytest.mark.parametrize("mean", [-2.0, 0.0, 0.7])
@pytest.mark.parametrize("deviation", [0.1, 1.0, 3.0])
def test_the_divergence_is_the_integral(mean, deviation):
    def integrand(z):
        return norm.pdf(z, mean, deviation) * (norm.logpdf(z, mean, deviation) - norm.logpdf(z))

    expected, _ = quad(integrand, mean - 12 * deviation, mean + 12 * deviation, epsabs=1e-12, limit=200)
    found = kl_from_standard_normal(torch.tensor(mean, dtype=torch.float64), torch.tensor(deviation, dtype=torch.float64).log())
    assert found.item() == pytest.approx(expected, abs=1e-9)


def test_the_divergence_is_zero_at_the_prior_alone():
    assert kl_from_standard_normal(torch.zeros(4), torch.zeros(4)).tolist() == [0.0] * 4
    others = kl_from_standard_normal(torch.randn(100) + 3, torch.randn(100))
    assert (others > 0).all()


def test_the_mean_divergence_is_information_plus_correlation_plus_marginal_divergences():
    """E_x KL(q(z|x) ‖ p) = I(x; z) + TC(z) + Σ KL(q(z_i) ‖ p_i): five inputs, two dimensions, all densities on a fine grid."""
    random = np.random.default_rng(0)
    means, deviations = random.normal(size=(5, 2)), random.uniform(0.4, 1.2, size=(5, 2))
    mean_kl = kl_from_standard_normal(torch.tensor(means), torch.tensor(deviations).log()).sum(dim=1).mean().item()

    z = np.linspace(-9, 9, 1201)
    cell = z[1] - z[0]
    per_axis = norm.pdf(z[None, None, :], means[:, :, None], deviations[:, :, None])  # [5, 2, grid]
    conditional = per_axis[:, 0, :, None] * per_axis[:, 1, None, :]  # [5, grid, grid]
    aggregate = conditional.mean(axis=0)
    marginals = [aggregate.sum(axis=1) * cell, aggregate.sum(axis=0) * cell]

    def kl(p, q, volume):
        return float((p * (np.log(np.maximum(p, 1e-300)) - np.log(np.maximum(q, 1e-300)))).sum() * volume)

    information = np.mean([kl(density, aggregate, cell**2) for density in conditional])
    correlation = kl(aggregate, marginals[0][:, None] * marginals[1][None, :], cell**2)
    from_prior = sum(kl(marginal, norm.pdf(z), cell) for marginal in marginals)
    assert information + correlation + from_prior == pytest.approx(mean_kl, rel=1e-6)
    assert min(information, correlation, from_prior) > 0.01


def test_draws_have_the_mean_and_the_deviation():
    mean, log_deviation = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 2.0]).log()
    z = reparameterised(mean.expand(50_000, 2), log_deviation.expand(50_000, 2), torch.Generator().manual_seed(0))
    assert z.mean(dim=0).tolist() == pytest.approx([1.0, -2.0], abs=0.03)
    assert z.std(dim=0).tolist() == pytest.approx([0.5, 2.0], rel=0.02)


def test_gradients_reach_the_mean_and_the_deviation():
    mean, log_deviation = torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    noise = torch.randn(3, generator=torch.Generator().manual_seed(5))
    reparameterised(mean, log_deviation, torch.Generator().manual_seed(5)).sum().backward()
    assert mean.grad.tolist() == [1.0] * 3
    assert log_deviation.grad.tolist() == pytest.approx(noise.tolist())


def test_the_mean_is_y_and_the_deviation_is_read_off_the_hidden_layer():
    posterior = GaussianPosterior(Trunk(y=(3,), fc=(2, 4)))
    features = {"y": torch.randn(5, 3), "fc": torch.randn(5, 2, 4)}
    mean, log_deviation = posterior.moments(features)
    assert torch.equal(mean, features["y"])
    assert torch.equal(log_deviation, posterior.log_deviation(features["fc"].reshape(5, 8)))


def test_an_encoder_without_a_hidden_layer_is_refused():
    with pytest.raises(UnfitError, match='hidden layer "fc"; this encoder offers y, conv'):
        GaussianPosterior(Trunk(y=(3,), conv=(3, 4, 4)))


def test_half_precision_features_give_moments_in_full():
    posterior = GaussianPosterior(Trunk(y=(3,), fc=(4,))).bfloat16()
    moments = posterior.moments({"y": torch.randn(5, 3).bfloat16(), "fc": torch.randn(5, 4).bfloat16()})
    assert {moment.dtype for moment in moments} == {torch.float32}
    assert kl_from_standard_normal(*moments).isfinite().all()
