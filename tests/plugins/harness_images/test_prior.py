"""Prior matching: against loops over samples, and against the encoder that helps its discriminator instead of fooling it."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harness_images.prior import PriorDiscriminator, discriminator_loss, fooling_loss

N, LATENT = 7, 4


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def y_of(n=N, seed=1, scale=1.5):
    return scale * torch.randn(n, LATENT, generator=seeded(seed))


def noise_of(seed, n=N):
    """What a discriminator's loss with this seed takes for samples of the prior."""
    return torch.rand(n, LATENT, generator=seeded(seed))


@pytest.fixture
def discriminator():
    """Smooth and small, with scores well away from 0 on either side."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = nn.Sequential(nn.Linear(LATENT, 6), nn.Tanh(), nn.Linear(6, 1))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(3)
    return net


def log_d(score):
    return math.log(1 / (1 + math.exp(-score)))


def gradient_norms(discriminator, samples):
    """||d score / d sample||² of each sample, computed alone, with a graph."""
    norms = []
    for sample in samples:
        alone = sample[None].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(alone).sum(), alone, create_graph=True)
        norms.append(gradient.square().sum())
    return torch.stack(norms)


# --------------------------------------------------------------------------------- the discriminator's loss


def test_the_loss_is_the_binary_cross_entropy_of_noise_and_sigmoid_y(discriminator):
    y = y_of()
    real = [discriminator(sample).item() for sample in noise_of(5)]
    fake = [discriminator(sample).item() for sample in 1 / (1 + (-y).exp())]
    expected = -sum(log_d(score) for score in real) / N - sum(log_d(-score) for score in fake) / N
    assert discriminator_loss(discriminator, y, 0.0, seeded(5))["loss"].item() == pytest.approx(expected, rel=1e-5)


def test_the_noise_is_uniform_in_the_unit_cube():
    seen = []

    def note(samples):
        seen.append(samples.detach())
        return samples.sum(dim=1, keepdim=True)

    discriminator_loss(note, y_of(2000), 0.0, seeded())
    noise = seen[0][:2000]
    assert noise.min() >= 0
    assert noise.max() < 1
    assert ks_distance(noise) < 1.95 / 2000**0.5  # 1 in 1000 of uniform samples is farther


def test_the_penalty_is_the_mean_over_all_samples_of_their_own_gradients_norm(discriminator):
    y = y_of()
    norms = gradient_norms(discriminator, torch.cat([noise_of(5), y.sigmoid()]))
    terms = discriminator_loss(discriminator, y, 0.3, seeded(5))
    torch.testing.assert_close(terms["penalty"], norms.mean())


def test_the_penalty_is_not_that_of_the_last_sample_shared_by_all(discriminator):
    """rdevon/DIM differentiates the last sample's output alone and divides by the number of samples."""
    y = y_of()
    real, fake = gradient_norms(discriminator, noise_of(5)), gradient_norms(discriminator, y.sigmoid())
    quirk = ((real[-1] + fake[-1]) / 2 / N).item()
    assert discriminator_loss(discriminator, y, 1.0, seeded(5))["penalty"].item() > 3 * quirk


def test_noise_and_sigmoid_y_have_half_the_penalty_each(discriminator):
    y = y_of()
    halves = [0.5 * gradient_norms(discriminator, samples).mean() for samples in (noise_of(5), y.sigmoid())]
    torch.testing.assert_close(discriminator_loss(discriminator, y, 1.0, seeded(5))["penalty"], sum(halves))


@pytest.mark.parametrize("penalty", [0.016, 1.0, 7.0])
def test_the_penalty_is_added_with_its_weight(discriminator, penalty):
    without = discriminator_loss(discriminator, y_of(), 0.0, seeded(5))["loss"]
    terms = discriminator_loss(discriminator, y_of(), penalty, seeded(5))
    torch.testing.assert_close(terms["loss"], without + penalty * terms["penalty"])


def test_without_a_weight_there_is_no_penalty(discriminator):
    assert set(discriminator_loss(discriminator, y_of(), 0.0, seeded())) == {"loss", "real", "fake"}


def test_the_discriminators_gradients_are_those_of_the_loops(discriminator):
    y, parameters = y_of(), list(discriminator.parameters())
    mine = torch.autograd.grad(discriminator_loss(discriminator, y, 0.8, seeded(5))["loss"], parameters, allow_unused=True)
    real, fake = noise_of(5), y.sigmoid()
    loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake)).mean()
    loss = loss + 0.8 * gradient_norms(discriminator, torch.cat([real, fake])).mean()
    expected = torch.autograd.grad(loss, parameters, allow_unused=True)
    for one, other in zip(mine, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_discriminator_gives_y_no_gradient(discriminator):
    y = y_of().requires_grad_()
    discriminator_loss(discriminator, y, 1.0, seeded())["loss"].backward()
    assert y.grad is None


def test_the_accuracies_are_those_of_each_kind():
    def first_coordinate(samples):
        return samples[:, :1] - 0.5

    y = torch.tensor([[-1.0], [-2.0], [-3.0], [4.0]]).expand(4, LATENT)
    terms = discriminator_loss(first_coordinate, y, 0.0, seeded(5))
    assert terms["fake"].item() == 0.75
    assert terms["real"].item() == (noise_of(5, 4)[:, 0] > 0.5).float().mean().item()


# --------------------------------------------------------------------------------------- the encoder's loss


def test_the_encoders_loss_is_minus_the_mean_log_of_what_the_discriminator_thinks(discriminator):
    y = y_of()
    expected = -sum(log_d(discriminator(sample.sigmoid()).item()) for sample in y) / N
    assert fooling_loss(discriminator, y).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_a_step_down_the_encoders_loss_raises_the_discriminators_score_of_every_y(discriminator, seed):
    y = y_of(seed=seed).requires_grad_()
    before = discriminator(y.sigmoid())
    fooling_loss(discriminator, y).backward()
    after = discriminator((y - 0.1 * y.grad).sigmoid())
    assert (after > before).all()


def test_the_two_losses_pull_the_score_of_y_in_opposite_directions(discriminator):
    scores = torch.zeros(N, 1, requires_grad=True)
    judging = torch.autograd.grad(discriminator_loss(lambda _: torch.cat([scores, scores]), y_of(), 0.0, seeded())["loss"], scores)
    fooling = torch.autograd.grad(fooling_loss(lambda _: scores, y_of()), scores)
    torch.testing.assert_close(judging[0], torch.zeros(N, 1))  # the same scores of both kinds: nothing to tell apart
    assert (fooling[0] < 0).all()


# --------------------------------------------------------------------------------------------- the network


def test_the_discriminator_has_the_published_layers():
    sizes = [(layer.in_features, layer.out_features) for layer in PriorDiscriminator(64) if isinstance(layer, nn.Linear)]
    assert sizes == [(64, 1000), (1000, 200), (200, 1)]
    assert [type(layer) for layer in PriorDiscriminator(64)] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]


def test_a_samples_score_does_not_depend_on_the_others():
    net, samples = PriorDiscriminator(LATENT), noise_of(0)
    torch.testing.assert_close(net(samples), torch.cat([net(sample[None]) for sample in samples]))


# ----------------------------------------------------------------------------------------- what it comes to


def ks_distance(samples):
    """Kolmogorov-Smirnov distance from the uniform distribution on [0, 1], the mean over coordinates."""
    n = samples.shape[0]
    ordered = samples.sort(dim=0).values
    steps = torch.arange(n + 1)[:, None] / n
    return torch.maximum((steps[1:] - ordered).amax(dim=0), (ordered - steps[:-1]).amax(dim=0)).mean().item()


def test_the_ks_distance_of_evenly_spaced_samples_is_half_a_step():
    assert ks_distance((torch.arange(10)[:, None] + 0.5) / 10) == pytest.approx(0.05)
    assert ks_distance(torch.full((10, 2), 0.5)) == pytest.approx(0.5)


@pytest.fixture(scope="module")
def matched():
    """An encoder trained to match the prior alone: (KS distance before, after, the discriminator's accuracy at every step)."""
    generator = seeded(4)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        encoder = nn.Linear(8, LATENT)
        judge = nn.Sequential(nn.Linear(LATENT, 64), nn.ReLU(), nn.Linear(64, 1))
    with torch.no_grad():
        encoder.weight.mul_(0.3)
    optimisers = [torch.optim.Adam(net.parameters(), lr=rate, betas=(0.5, 0.999)) for net, rate in ((judge, 1e-2), (encoder, 5e-3))]
    held_out, accuracies = torch.randn(1000, 8, generator=generator), []
    before = ks_distance(encoder(held_out).detach().sigmoid())
    for _ in range(240):
        y = encoder(torch.randn(64, 8, generator=generator))
        terms = discriminator_loss(judge, y, 1.0, generator)
        optimisers[0].zero_grad()
        terms["loss"].backward()
        optimisers[0].step()
        accuracies.append((0.5 * (terms["real"] + terms["fake"])).item())
        optimisers[1].zero_grad()
        fooling_loss(judge, y).backward()
        optimisers[1].step()
    return before, ks_distance(encoder(held_out).detach().sigmoid()), accuracies


def test_training_makes_the_sigmoid_of_y_uniform(matched):
    before, after, _ = matched
    assert before > 0.4
    assert after < 0.1


def test_the_discriminators_accuracy_falls_towards_one_half(matched):
    _, _, accuracies = matched
    early, late = sum(accuracies[20:40]) / 20, sum(accuracies[-40:]) / 40
    assert early > 0.7
    assert late == pytest.approx(0.5, abs=0.06)
