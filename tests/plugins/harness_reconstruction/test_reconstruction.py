"""The evaluator: a decoder trained on the frozen feature, and what it makes of the test part."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from harness import EvaluationError, Part, VectorSource
from harness.line.evaluation import evaluate as evaluate_as_the_core_does
from harness_reconstruction.pairs import FeatureImagePairs
from harness_reconstruction.reconstruction import Reconstruction, compare
from harness_reconstruction.similarity import ms_ssim, ssim, ssim_dim
from harness_reconstruction.spec import ReconstructionOptions, harness_evaluators

[SPEC] = harness_evaluators()
SHORT = {"lr": 1e-2, "milestones": (), "epochs": 40, "batch_size": 30, "window": 7}


def evaluate(task, **options):
    """The scores by name."""
    metrics = evaluate_as_the_core_does(Reconstruction(ReconstructionOptions(**SHORT | options)), SPEC, task)
    return {metric.name: metric for metric in metrics}


def values(task, **options):
    return {name: metric.value for name, metric in evaluate(task, **options).items()}


@pytest.fixture
def telling(make_task, images):
    """A task whose feature holds the images."""
    return make_task(images.flatten(start_dim=1).numpy())


@pytest.fixture
def silent(make_task):
    """A task whose feature is noise."""
    return make_task(np.random.default_rng(1).normal(size=(120, 6)).astype(np.float32))


# ------------------------------------------------------------------------------------------------------ what it says


def test_images_are_recovered_from_a_feature_that_holds_them(telling, images):
    variance = images.var(dim=0).mean().item()
    found = values(telling)
    assert found["mse"] < variance / 20
    assert found["ssim"] > 0.9
    assert found["ms_ssim"] > 0.9
    assert found["ssim_dim"] > 0.9


def test_from_noise_no_more_than_the_mean_image_is_recovered(silent, images):
    found = values(silent)
    assert found["mse"] > 0.9 * images.var(dim=0).mean().item()


def test_every_metric_says_the_number_of_images_and_their_spread(telling):
    for metric in evaluate(telling).values():
        assert (metric.n, metric.over, metric.split, metric.of) == (30, "samples", "test", {})
        assert metric.std > 0


def test_a_single_test_image_has_no_spread(telling):
    test = telling.test.take(np.array([3]))
    assert {(metric.n, metric.std, metric.over) for metric in evaluate(dataclasses.replace(telling, test=test)).values()} == {
        (1, None, None)
    }


@pytest.mark.parametrize(("window", "scales", "weights"), [(7, 1, [1.0]), (3, 2, [0.1356, 0.8644])])
def test_ms_ssim_states_its_scales_and_their_weights(telling, window, scales, weights):
    found = evaluate(telling, window=window, epochs=1)
    assert found["ms_ssim"].selected == {"scales": scales, "weights": weights}
    assert {name for name, metric in found.items() if metric.selected} == {"ms_ssim"}


def test_ssim_dim_has_a_window_of_its_own(telling):
    one, other = values(telling, window=7), values(telling, window=3)
    assert one["ssim_dim"] == other["ssim_dim"]
    assert one["mse"] == other["mse"]
    assert one["ssim"] != other["ssim"]


# ----------------------------------------------------------------------------------------------------- the training


def test_the_decoder_is_that_of_a_plain_loop(telling, images):
    """Squared error summed over pixels and averaged over the batch; Adam; a tenth of the rate after every milestone."""
    found = values(telling, epochs=3, milestones=(1, 2), batch_size=64)
    decoder = nn.Linear(64, 64)
    decoder.load_state_dict(initial_weights(telling))
    generator = telling.generator()
    features = torch.from_numpy(telling.train.features)
    pixels = images[telling.train.index].flatten(start_dim=1)
    optimiser = torch.optim.Adam(decoder.parameters(), betas=(0.5, 0.999))
    for lr in (1e-2, 1e-3, 1e-4):
        optimiser.param_groups[0]["lr"] = lr
        for rows in torch.randperm(90, generator=generator).split(64):
            optimiser.zero_grad()
            ((pixels[rows] - decoder(features[rows])) ** 2).sum(dim=1).mean().backward()
            optimiser.step()
    with torch.no_grad():
        decoded = decoder(torch.from_numpy(telling.test.features)).view(-1, 1, 8, 8)
    x, y = (images[telling.test.index] + 1) / 2, (decoded + 1) / 2
    assert found["mse"] == pytest.approx((images[telling.test.index] - decoded).square().mean().item(), rel=1e-4)
    assert found["ssim"] == pytest.approx(ssim(x, y, 7).mean().item(), abs=1e-5)
    assert found["ms_ssim"] == pytest.approx(ms_ssim(x, y, 7, 1).mean().item(), abs=1e-5)
    assert found["ssim_dim"] == pytest.approx(ssim_dim(2 * x - 1, 2 * y - 1).mean().item(), abs=1e-5)


def initial_weights(task):
    """Those of the decoder that the task's cell is given."""
    kept = {}

    def noted(generator, scale):
        decoder = task.decoder(generator, scale)
        kept.update({name.removeprefix("layers.1."): value.clone() for name, value in decoder.state_dict().items()})
        return decoder

    evaluate(dataclasses.replace(task, decoder=noted), epochs=1)
    return kept


@pytest.fixture
def watched(telling):
    """The task, the decoders that were handed out, and what was asked for."""
    handed, asked = [], []

    def decoder(generator, scale):
        asked.append((generator.device.type, scale))
        handed.append(telling.decoder(generator, scale))
        return handed[-1]

    return dataclasses.replace(telling, decoder=decoder), handed, asked


def test_one_decoder_of_the_widths_asked_for_is_trained_on_the_training_part_and_scored_once(watched):
    task, handed, asked = watched
    evaluate(task, epochs=5, decoder_scale=0.5)
    assert asked == [("cpu", 0.5)]
    assert handed[0].shown == {True: 5 * 90, False: 30}


def test_a_map_reaches_the_decoder_as_a_map(make_task, images):
    seen = set()

    class Decoder(nn.Module):
        def __init__(self, shape, size):
            super().__init__()
            self.layer = nn.Conv2d(4, 1, 1)

        def forward(self, features):
            seen.add(tuple(features.shape[1:]))
            return self.layer(features)

    evaluate(make_task(images.expand(-1, 4, -1, -1).numpy(), decoder=Decoder), epochs=1)
    assert seen == {(4, 8, 8)}


def test_the_same_seed_gives_the_same_scores(telling):
    assert evaluate(telling, epochs=2) == evaluate(telling, epochs=2)


def test_another_seed_gives_other_scores(telling):
    assert values(telling, epochs=2) != values(dataclasses.replace(telling, seed=1), epochs=2)


def test_scores_do_not_depend_on_labels(telling):
    def with_labels(part):
        return dataclasses.replace(part, labels=np.arange(len(part)) % 3)

    labelled = dataclasses.replace(telling, train=with_labels(telling.train), test=with_labels(telling.test), classes=3)
    assert evaluate(labelled, epochs=2) == evaluate(telling, epochs=2)
    assert set(SPEC.needs) == {"inputs", "decoder"}


def test_what_it_is_given_is_left_alone(telling, images):
    before = telling.train.features.copy(), images.clone()
    telling.train.features.setflags(write=False)
    evaluate(telling, epochs=2)
    assert np.array_equal(telling.train.features, before[0])
    assert torch.equal(images, before[1])


def test_mapped_features_give_the_same_scores(telling, tmp_path):
    def mapped(part, name):
        np.save(tmp_path / name, part.features)
        return dataclasses.replace(part, features=np.load(tmp_path / name, mmap_mode="r"))

    task = dataclasses.replace(telling, train=mapped(telling.train, "train.npy"), test=mapped(telling.test, "test.npy"))
    assert evaluate(task, epochs=2) == evaluate(telling, epochs=2)


# ------------------------------------------------------------------------------------------------- ranges of pixels


def compared(make_task, x, y, value_range):
    """The mean scores of reconstructions `y` of images `x`."""
    task = make_task(y.flatten(start_dim=1).numpy(), pixels=x, value_range=value_range)
    pairs = FeatureImagePairs(Part(features=y.numpy(), index=np.arange(len(y))), task.inputs, task.device)
    return {name: found.mean().item() for name, found in compare(nn.Identity(), pairs, value_range, 7, 1).items()}


def test_similarities_do_not_depend_on_the_range_and_mse_is_in_its_square(make_task, images):
    noisy = (images + 0.2 * torch.randn(images.shape, generator=torch.Generator().manual_seed(3))).clamp(-1, 1)
    signed = compared(make_task, images, noisy, (-1.0, 1.0))
    bytes_ = compared(make_task, (images + 1) * 127.5, (noisy + 1) * 127.5, (0.0, 255.0))
    assert bytes_.pop("mse") == pytest.approx(127.5**2 * signed.pop("mse"), rel=1e-4)
    assert bytes_ == pytest.approx(signed, abs=1e-4)


def test_scores_are_those_of_the_measures_on_images_from_black_to_white(make_task, images):
    noisy = images.flip(0)
    found = compared(make_task, images, noisy, (-1.0, 1.0))
    assert found["ssim"] == pytest.approx(ssim((images + 1) / 2, (noisy + 1) / 2, 7).mean().item(), abs=1e-6)
    assert found["ssim_dim"] == pytest.approx(ssim_dim(images, noisy).mean().item(), abs=1e-6)
    assert found["mse"] == pytest.approx((images - noisy).square().mean().item(), rel=1e-5)


# -------------------------------------------------------------------------------------------------------- bad input


def refused(task, sentence, **options):
    with pytest.raises(EvaluationError) as caught:
        evaluate(task, **options)
    assert str(caught.value) == sentence


def test_fewer_samples_than_a_batch_are_refused(telling):
    sentence = "The training part has 90 samples, fewer than a batch of 91; lower evaluator.reconstruction.batch_size."
    refused(telling, sentence, batch_size=91)
    evaluate(telling, batch_size=90, epochs=1)


@pytest.mark.parametrize(
    ("side", "window", "advice"),
    [
        (8, 11, "the largest that fits is evaluator.reconstruction.window=7"),
        (8, 9, "the largest that fits is evaluator.reconstruction.window=7"),
        (7, 9, "the largest that fits is evaluator.reconstruction.window=7"),
        (3, 5, "the largest that fits is evaluator.reconstruction.window=3"),
        (2, 3, "none fits them"),
    ],
)
def test_images_smaller_than_a_window_are_refused_with_the_largest_that_fits(make_task, side, window, advice):
    task = make_task(np.random.default_rng(0).normal(size=(120, 6)), pixels=torch.zeros(120, 3, side, side + 1))
    refused(task, f"Images of {side} x {side + 1} pixels are too small for an SSIM window of {window}; {advice}.", window=window)


def test_images_without_a_known_range_are_refused(make_task):
    task = make_task(np.random.default_rng(0).normal(size=(120, 6)), value_range=None)
    refused(task, "The range of the images' pixels is not known; state a value range where the data set is made.")


def test_inputs_that_are_no_images_are_refused(telling):
    vectors = VectorSource(torch.zeros(120, 5), value_range=(0.0, 1.0))
    sentence = "reconstruction compares images [channels, height, width], and samples here have shape (5,)."
    refused(dataclasses.replace(telling, inputs=vectors), sentence)


def test_a_decoder_that_diverges_is_an_error(make_task, images):
    task = make_task(1e20 * images.flatten(start_dim=1).numpy())
    refused(task, "reconstruction diverged on feature 'y'; lower evaluator.reconstruction.lr.", epochs=3)
