"""The objective bigan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
import torch.nn.functional as F

from harness import Description, ObjectiveContext, UnfitError
from harness_baselines import bigan
from harness_baselines.bigan import JointDiscriminator, wasserstein
from harness_baselines.spec import BiGANOptions, Divergence

NAMES = [name for name in bigan.DIVERGENCES if name != "infonce"]


def with_shared(made, now):
    return replace(now, shared=made.shared(now))


def test_pairs_are_encoded_then_generated(baseline, step):
    made, now = baseline("bigan").eval(), step()
    pairs = made.shared(now)
    noise = torch.randn(12, 6, generator=step().generator)
    assert torch.equal(pairs.x[:12], now.batch.pixels)
    assert torch.equal(pairs.z[:12], made.encoder(now.batch)["y"])
    assert torch.equal(pairs.z[12:], noise)
    assert torch.allclose(pairs.x[12:], made.generator(noise))


def test_the_discriminators_loss_is_cross_entropy_and_penalty(baseline, step):
    made = baseline("bigan", penalty=0.7).eval()
    now = with_shared(made, step())
    terms = made.discrimination(now)
    scores = made.discriminator(now.shared.x, now.shared.z)
    truth = torch.cat([torch.ones(12, 1), torch.zeros(12, 1)])
    assert terms["value"].item() == pytest.approx(-2 * F.binary_cross_entropy_with_logits(scores, truth).item(), rel=1e-5)
    assert terms["loss"].item() == pytest.approx(0.7 * terms["penalty"].item() - terms["value"].item(), rel=1e-5)


def test_encoder_and_generator_lower_what_the_discriminator_raises(baseline, step):
    made = baseline("bigan", penalty=0.0)
    now = with_shared(made, step())
    assert made.fooling(now)["loss"].item() == pytest.approx(-made.discrimination(now)["loss"].item(), rel=1e-6)


@pytest.mark.parametrize("divergence", ["gan", "wasserstein", "kl"])
def test_the_encoder_lowers_the_scores_of_its_pairs_and_the_generator_raises_those_of_its_own(baseline, step, divergence):
    made = baseline("bigan", divergence=divergence).eval()
    now = with_shared(made, step())
    x, z = now.shared.x.detach().requires_grad_(), now.shared.z.detach().requires_grad_()
    scores = made.discriminator(x, z)
    made.divergence(*scores.chunk(2)).backward()
    with torch.no_grad():
        moved_code = torch.cat([z[:12] - 0.05 * z.grad[:12] / z.grad[:12].norm(), z[12:]])
        moved_image = torch.cat([x[:12], x[12:] - 0.05 * x.grad[12:] / x.grad[12:].norm()])
        assert made.discriminator(x, moved_code)[:12].mean() < scores[:12].mean()
        assert made.discriminator(moved_image, z)[12:].mean() > scores[12:].mean()


def test_each_networks_gradient_is_that_of_its_own_term(baseline, step):
    """The encoder's is that of E_P[log D], the generator's that of E_Q[log(1 - D)]: one phase is as good as two."""
    made = baseline("bigan").eval()
    now = with_shared(made, step())
    networks = {"encoder": list(made.encoder.parameters()), "generator": list(made.generator.parameters())}
    together = torch.autograd.grad(made.fooling(now)["loss"], [*networks["encoder"], *networks["generator"]], retain_graph=True)
    positive, negative = made.discriminator(now.shared.x, now.shared.z).chunk(2)
    apart = [
        *torch.autograd.grad(F.logsigmoid(positive).mean(), networks["encoder"], retain_graph=True),
        *torch.autograd.grad(F.logsigmoid(-negative).mean(), networks["generator"]),
    ]
    assert all(torch.allclose(one, other, atol=1e-7) for one, other in zip(together, apart, strict=True))


def test_the_discriminator_judges_every_pair_by_itself():
    judge = JointDiscriminator((3, 16, 16), 4, 8)
    x, z = torch.randn(6, 3, 16, 16), torch.randn(6, 4)
    one_by_one = torch.cat([judge(x[i : i + 1], z[i : i + 1]) for i in range(6)])
    assert torch.allclose(judge(x, z), one_by_one, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "channels", "sides"),
    [
        ((1, 8, 8), [8], 4),
        ((1, 28, 28), [8, 16, 32], 3),
        ((3, 32, 32), [8, 16, 32], 4),
        ((3, 64, 64), [8, 16, 32, 64], 4),
        ((1, 84, 84), [8, 16, 32, 64, 64], 2),
    ],
)
def test_its_convolutions_halve_images_of_any_size_to_four_or_less(shape, channels, sides):
    judge = JointDiscriminator(shape, 4, 8)
    convolutions = [layer for layer in judge.on_x if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == channels
    (first_linear,) = (layer for layer in judge.on_x if isinstance(layer, torch.nn.Linear))
    assert first_linear.in_features == channels[-1] * sides**2
    assert judge(torch.zeros(2, *shape), torch.zeros(2, 4)).shape == (2, 1)


def test_the_signal_keeps_its_size_through_its_layers():
    torch.manual_seed(0)
    judge = JointDiscriminator((3, 32, 32), 64, 32)
    scores = judge(torch.randn(200, 3, 32, 32), torch.randn(200, 64))
    assert 0.3 < scores.std() < 3


def test_it_depends_on_both_parts_of_a_pair():
    judge = JointDiscriminator((1, 8, 8), 4, 8)
    x, z = torch.randn(2, 1, 8, 8), torch.randn(2, 4)
    assert not torch.allclose(judge(x, z), judge(x.flip(0), z))
    assert not torch.allclose(judge(x, z), judge(x, z.flip(0)))


@pytest.mark.parametrize("divergence", NAMES)
def test_every_divergence_trains(baseline, step, train, divergence):
    made = baseline("bigan", divergence=divergence)
    terms = train(made, [step(seed=number) for number in range(3)])
    assert all(torch.isfinite(torch.tensor(list(found.values()))).all() for found in terms)


def test_the_options_offer_every_divergence_but_infonce():
    assert sorted(get_args(Divergence)) == sorted(NAMES)


def test_wasserstein_is_the_difference_of_means():
    assert wasserstein(torch.tensor([3.0, 5.0]), torch.tensor([1.0])).item() == 3.0


def test_training_finds_the_inverse_of_the_generator(baseline, step, train):
    """Codes of generated images come to lie nearer their noise than chance has it."""
    made = baseline("bigan", latent=2, lr=2e-3)
    train(made, [step(n=64, seed=number) for number in range(100)])
    z = torch.randn(256, 2, generator=torch.Generator().manual_seed(9))
    made.eval()
    with torch.no_grad():
        image = made.generator(z)
        found = made.encoder(replace(step().batch, pixels=image, index=torch.arange(256)))["y"]
    correlations = [torch.stack([z[:, axis], found[:, axis]]).corrcoef()[0, 1].item() for axis in range(2)]
    assert min(correlations) > 0.2


def test_the_generator_decodes_and_samples(baseline):
    made = baseline("bigan").eval()
    exported = made.exports()
    assert exported["decoder"] is made.generator
    assert exported["generator"](3, torch.Generator()).shape == (3, 1, 8, 8)


def test_inputs_that_are_no_images_are_refused(baseline):
    made = baseline("bigan")
    context = ObjectiveContext(Description(kind="vectors", shape=(9,), samples=4), decoder=lambda generator, scale: made.generator)
    with pytest.raises(UnfitError, match=r"reads inputs \[C, H, W\]; these are \[9\]"):
        bigan.build(made.encoder, context, BiGANOptions(), torch.Generator())


def test_a_new_adversarial_method_is_one_short_file():
    assert len(Path(bigan.__file__).read_text().splitlines()) <= 150
