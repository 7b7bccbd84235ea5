"""The objective denoising-autoencoder."""

from __future__ import annotations

import pytest
import torch

import harness
from harness import OptionError
from harness.contracts.options import resolve_options
from harness_baselines.denoising import mask, salt_and_pepper
from harness_baselines.spec import DenoisingOptions

KINDS = ["masking", "gaussian", "salt-and-pepper"]


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("corruption", KINDS)
def test_without_noise_the_loss_and_the_random_stream_are_the_autoencoders(baseline, step, corruption):
    denoising, plain = baseline("denoising-autoencoder", corruption=corruption, noise=0.0), baseline("autoencoder")
    one, other = step(), step()
    assert torch.equal(denoising.reconstruction(one)["loss"], plain.reconstruction(other)["loss"])
    assert torch.equal(one.generator.get_state(), other.generator.get_state())


def test_without_noise_a_whole_run_is_the_autoencoders_bit_for_bit(tmp_path):
    request = {"data": "digits", "budget": "smoke", "evaluators": ["knn"], "references": False, "out": tmp_path}
    harness.run(method="ae", **request)
    harness.run(method="dae", options={"objective.noise": 0.0}, **request)
    models = []
    for method in ("ae", "dae"):
        (folder,) = (tmp_path / "digits").glob(f"{method}-s0-*")
        trained = harness.load(folder)
        models.append([*trained.encoder.state_dict().values(), *trained.modules["decoder"].state_dict().values()])
    assert all(torch.equal(one, other) for one, other in zip(*models, strict=True))


@pytest.mark.parametrize("corruption", KINDS)
def test_the_encoder_sees_the_corrupted_image_and_the_clean_one_is_decoded(baseline, step, corruption):
    made, now = baseline("denoising-autoencoder", corruption=corruption, noise=0.4).eval(), step()
    corrupted = made.corrupt(now.batch.pixels, step().generator)
    assert not torch.equal(corrupted, now.batch.pixels)
    seen = harness.Images(index=now.batch.index, pixels=corrupted)
    decoded = made.decoder(made.encoder(seen)["y"])
    expected = (now.batch.pixels - decoded).square().sum() / 12
    assert made.reconstruction(now)["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_masking_blanks_whole_pixels_of_a_share():
    x = torch.ones(200, 3, 16, 16)
    masked = mask(x, 0.3, generator())
    assert set(masked.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(masked[:, 0], masked[:, 2])
    assert (masked == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)


def test_salt_and_pepper_are_the_ends_of_the_range_and_equally_many():
    x = torch.full((200, 3, 16, 16), 0.25)
    noisy = salt_and_pepper(x, 0.4, (-1.0, 2.0), generator())
    assert torch.equal(noisy[:, 0], noisy[:, 1])
    for value, share in ((-1.0, 0.2), (2.0, 0.2), (0.25, 0.6)):
        assert (noisy == value).float().mean().item() == pytest.approx(share, abs=0.01)


def test_gaussian_noise_has_the_deviation_asked_for(baseline):
    made = baseline("denoising-autoencoder", corruption="gaussian", noise=0.3)
    noise = made.corrupt(torch.zeros(100, 1, 8, 8), generator())
    assert noise.std().item() == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize("corruption", ["masking", "salt-and-pepper"])
def test_a_share_above_one_is_refused(corruption):
    with pytest.raises(OptionError, match="noise is the share of corrupted pixels here, at most 1, not 1.5"):
        resolve_options("objective", DenoisingOptions, {"corruption": corruption, "noise": 1.5})


def test_the_deviation_of_normal_noise_may_be_above_one():
    assert resolve_options("objective", DenoisingOptions, {"corruption": "gaussian", "noise": 1.5}).noise == 1.5
