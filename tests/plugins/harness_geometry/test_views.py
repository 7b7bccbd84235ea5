"""Random views, and the features that an encoder gives them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from harness import EvaluationError, GraphSource
from harness_geometry import views
from harness_geometry.samples import judged_samples
from harness_geometry.spec import ViewOptions
from harness_geometry.views import encoded_views, random_views


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def every_view(image, padding, flip, fill):
    """All views of one image [C, H, W], cut out one by one."""
    _, height, width = image.shape
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)), constant_values=fill)
    cut = [padded[:, top : top + height, left : left + width] for top in range(2 * padding + 1) for left in range(2 * padding + 1)]
    return cut + [view[:, :, ::-1] for view in cut] if flip else cut


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_a_view_is_a_padded_crop_perhaps_mirrored_and_every_one_occurs(padding, flip):
    image = np.random.default_rng(0).normal(size=(2, 4, 5)).astype(np.float32)
    drawn = random_views(torch.tensor(image).expand(3000, -1, -1, -1), padding, flip, -1.0, generator())
    assert drawn.shape == (3000, 2, 4, 5)
    known = np.stack(every_view(image, padding, flip, -1.0))
    matches = (drawn.numpy()[:, None] == known).all(axis=(2, 3, 4))
    assert (matches.sum(axis=1) == 1).all()
    counts, expected = matches.sum(axis=0), 3000 / len(known)
    assert abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_without_padding_and_mirroring_a_view_is_the_image():
    pixels = torch.rand(5, 3, 4, 4)
    assert torch.equal(random_views(pixels, 0, False, 0.0, generator()), pixels)


def test_views_of_a_batch_are_drawn_apart():
    drawn = random_views(torch.rand(1, 1, 8, 8).expand(20, -1, -1, -1), 2, False, 0.0, generator())
    assert len({view.numpy().tobytes() for view in drawn}) > 10


def test_the_same_generator_gives_the_same_views():
    pixels = torch.rand(9, 1, 8, 8)
    one, same, other = (random_views(pixels, 1, True, 0.0, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def encode(task, count=3, at_most=10**6, **options):
    samples = judged_samples(task, task.test, "test", "lidar", at_most=at_most)
    return list(encoded_views(task, samples, count, ViewOptions(**options), "lidar"))


def test_every_sample_has_its_views_in_order(make_image_task, images):
    task, _ = make_image_task(images(30))
    pixels = images(30)[20:]
    found = torch.cat(encode(task, padding=1 / 6)).numpy()
    assert found.shape == (10, 3, 36)
    for sample, drawn in zip(pixels, found, strict=True):
        known = np.stack(every_view(sample, 1, False, 0.0)).reshape(9, 36)
        assert all((known == view).all(axis=1).any() for view in drawn)


def test_padding_has_the_darkest_value(make_image_task, images):
    task, _ = make_image_task(images(30), value_range=(-7.0, 7.0))
    found = torch.cat(encode(task, padding=1 / 6))
    assert (found == -7.0).any()
    assert not (found == 0.0).any()


def test_only_the_judged_samples_are_encoded(make_image_task, images):
    task, _ = make_image_task(images(30))
    assert [len(block) for block in encode(task, at_most=4)] == [4]


def test_blocks_hold_whole_samples(make_image_task, images, monkeypatch):
    task, _ = make_image_task(images(30))
    whole = torch.cat(encode(task, count=5))
    monkeypatch.setattr(views, "ENCODED", 15)
    parts = encode(task, count=5)
    assert [len(block) for block in parts] == [3, 3, 3, 1]
    assert whole.shape == torch.cat(parts).shape


def test_one_frozen_copy_of_the_encoder_is_shown_the_views_in_eval_mode(make_image_task, images):
    task, handed = make_image_task(images(30))
    before = torch.is_grad_enabled()
    blocks = encode(task)
    assert [encoder.careless for encoder in handed] == [False]
    assert not any(block.requires_grad for block in blocks)
    assert torch.is_grad_enabled() == before


def test_views_are_encoded_in_the_runs_arithmetic(make_image_task, images):
    task, _ = make_image_task(images(30), np.random.default_rng(1).normal(size=(36, 4)))
    exact = torch.cat(encode(task))
    coarse = torch.cat(encode(replace(task, autocast=partial(torch.autocast, "cpu", torch.bfloat16))))
    assert coarse.dtype == torch.float32
    assert torch.equal(coarse, coarse.bfloat16().float())
    assert not torch.equal(coarse, exact)


def test_the_seed_of_the_run_draws_the_views(make_image_task, images):
    first, same, other = (torch.cat(encode(make_image_task(images(30), seed=seed)[0])) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_options_that_leave_one_view_are_an_error(make_image_task, images):
    task, _ = make_image_task(images(30))
    with pytest.raises(
        EvaluationError, match=r"^All views of an image would be the same; set evaluator\.lidar\.padding to a pixel or more"
    ):
        encode(task, padding=0.01)
    assert encode(task, padding=0.0, flip=True)


def test_views_that_are_not_finite_are_an_error(make_image_task, images):
    # Finite on every image as it is, whose pixels are all different from the padding.
    task, _ = make_image_task(1 + abs(images(30)), change=torch.log)
    with pytest.raises(EvaluationError, match="^Feature 'y' has values that are not finite for some view"):
        encode(task)


def test_inputs_other_than_images_are_an_error(make_task):
    x = np.eye(4, dtype=np.float32)
    task = make_task(x, x)
    with pytest.raises(EvaluationError, match="^lidar needs views of images, and the data set gives batches of vectors"):
        encode(replace(task, fresh_encoder=lambda: None))
    graph = GraphSource.from_edges(torch.zeros(8, 2), torch.zeros(2, 0, dtype=torch.int64))
    with pytest.raises(EvaluationError, match="batches of graph"):
        encode(replace(task, inputs=graph, fresh_encoder=lambda: None))
