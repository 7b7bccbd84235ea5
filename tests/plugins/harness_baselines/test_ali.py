"""The objective ali."""

from __future__ import annotations

from dataclasses import replace

import torch


def test_the_code_of_an_image_is_drawn_and_the_rest_is_bigan(baseline, step):
    made, now = baseline("ali").eval(), step()
    pairs = made.shared(now)
    mean, before_sigmoid = made.infer.posterior.moments(made.encoder(now.batch))
    source = step().generator
    drawn = mean + before_sigmoid.sigmoid() * torch.randn(12, 6, generator=source)
    assert torch.allclose(pairs.z[:12], drawn, atol=1e-6)
    assert torch.equal(pairs.z[12:], torch.randn(12, 6, generator=source))


def test_the_head_of_the_deviation_is_trained_with_encoder_and_generator(baseline):
    made = baseline("ali")
    judge, others = made.phases()
    trained = {id(parameter) for parameter in others.parameters}
    assert {id(parameter) for parameter in made.infer.parameters()} <= trained
    assert not trained & {id(parameter) for parameter in judge.parameters}


def test_gradients_reach_the_head_of_the_deviation(baseline, step):
    made, now = baseline("ali"), step()
    made.fooling(replace(now, shared=made.shared(now)))["loss"].backward()
    assert made.infer.posterior.log_deviation.weight.grad.abs().sum() > 0


def test_no_deviation_is_above_the_priors_however_far_its_head_goes(baseline, step):
    made, now = baseline("ali").eval(), step()
    with torch.no_grad():
        made.infer.posterior.log_deviation.bias.fill_(100.0)  # an exponential would overflow
    mean = made.encoder(now.batch)["y"]
    z = made.infer(made.encoder(now.batch), now.generator)
    noise = torch.randn(12, 6, generator=step().generator)
    assert torch.allclose(z, mean + noise, atol=1e-5)


def test_it_trains_without_nan(baseline, step, train):
    terms = train(baseline("ali"), [step(seed=number) for number in range(5)])
    assert all(torch.isfinite(torch.tensor(list(found.values()))).all() for found in terms)
