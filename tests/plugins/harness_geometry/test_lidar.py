"""LiDAR."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from harness import EvaluationError
from harness_geometry.lidar import DELTA, Lidar, discriminant_spectrum
from harness_geometry.rank import smoothed_rank
from harness_geometry.spec import LidarOptions

CPU = torch.device("cpu")


def evaluate(task, **options):
    return Lidar(LidarOptions(**{"views": 4} | options)).evaluate(task)


def spectrum(z, blocks=1):
    """The eigenvalues for features [n, q, D], handed over in that many blocks."""
    z = torch.as_tensor(z, dtype=torch.float32)
    return discriminant_spectrum(z.chunk(blocks), z.shape[2], CPU)


def one_by_one(z):
    """The definition with explicit covariances, a sample and a view at a time; LiDAR and the eigenvalues, ascending."""
    z = np.asarray(z, np.float32).astype(np.float64)
    n, q, dims = z.shape
    means = [sum(z[i, j] for j in range(q)) / q for i in range(n)]
    mean = sum(means) / n
    between, within = np.zeros((dims, dims)), np.zeros((dims, dims))
    for i in range(n):
        between += np.outer(means[i] - mean, means[i] - mean) / (n - 1)
        for j in range(q):
            within += np.outer(z[i, j] - means[i], z[i, j] - means[i]) / (n * (q - 1))
    within += 1e-4 * np.eye(dims)
    values, vectors = np.linalg.eigh(within)
    root = vectors / np.sqrt(values) @ vectors.T
    eigenvalues = np.clip(np.linalg.eigvalsh(root @ between @ root), 0, None)
    p = eigenvalues / eigenvalues.sum() + 1e-7
    return math.exp(-sum(each * math.log(each) for each in p)), eigenvalues


def noisy(n, q, dims, spread=1.0, seed=0):
    """Features [n, q, dims]: a Gaussian centre for each sample and views around it."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1, dims)) * np.geomspace(1, 0.1, dims) + spread * rng.normal(size=(n, q, dims))


@pytest.mark.parametrize("shape", [(40, 5, 6), (8, 5, 20), (12, 2, 12)], ids=["more samples", "more dimensions", "as many"])
def test_the_value_is_that_of_explicit_covariances(shape):
    z = noisy(*shape)
    value, eigenvalues = one_by_one(z)
    found = spectrum(z)
    assert found.shape == (shape[2],)
    np.testing.assert_allclose(np.sort(found.numpy()), eigenvalues, rtol=1e-6, atol=1e-8 * eigenvalues.max())
    assert smoothed_rank(found) == pytest.approx(value, rel=1e-6)


def test_delta_is_part_of_the_value():
    z = noisy(40, 5, 6, spread=1e-2)  # a variance of views equal to delta
    assert DELTA == 1e-4
    np.testing.assert_allclose(np.sort(spectrum(z).numpy()), one_by_one(z)[1], rtol=1e-5)


def test_directions_that_only_views_differ_in_hardly_count():
    # Three directions tell samples apart, each as well as the others; in ten more only views differ, and much.
    rng = np.random.default_rng(0)
    z = 0.1 * rng.normal(size=(2000, 10, 13))
    z[:, :, :3] += np.linalg.qr(rng.normal(size=(2000, 3)))[0][:, None] * math.sqrt(2000)
    z[:, :, 3:] *= 1000
    assert smoothed_rank(spectrum(z)) == pytest.approx(3, abs=0.1)


def test_directions_count_by_how_far_samples_stand_apart_in_units_of_their_views():
    # Without noise of the estimate: centres ±a_k e_k and views ±s_k e_k in every direction k, so that λ_k ∝ (a_k / s_k)².
    a, s = np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 4.0])
    centres = np.concatenate([np.diag(a), -np.diag(a)])
    z = centres[:, None] + np.concatenate([np.diag(s), -np.diag(s)])
    share = (a / s) ** 2 / ((a / s) ** 2).sum()
    assert smoothed_rank(spectrum(z)) == pytest.approx(math.exp(-(share * np.log(share)).sum()), rel=1e-3)


def test_samples_on_a_line_have_rank_one():
    z = np.random.default_rng(0).normal(size=(50, 1, 1)) * np.ones((50, 3, 8))
    z[:, :, 0] += 1e-6 * np.random.default_rng(1).normal(size=(50, 3))
    assert smoothed_rank(spectrum(z)) == pytest.approx(1, abs=1e-3)


def test_where_views_are_all_alike_it_is_the_rank_between_samples():
    centres = np.linalg.qr(np.random.default_rng(0).normal(size=(60, 5)))[0]
    centres = np.linalg.qr(centres - centres.mean(axis=0))[0]
    assert smoothed_rank(spectrum(np.repeat(centres[:, None], 3, axis=1))) == pytest.approx(5, rel=1e-3)


def test_rotation_and_shift_change_nothing():
    z = noisy(40, 5, 6)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    assert smoothed_rank(spectrum(z @ turn + 3)) == pytest.approx(smoothed_rank(spectrum(z)), rel=1e-4)


def test_the_size_of_a_block_does_not_matter():
    z = noisy(30, 4, 5)
    np.testing.assert_allclose(spectrum(z, blocks=7), spectrum(z), rtol=1e-9)


def test_samples_that_views_alone_tell_apart_are_an_error():
    z = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]], [[0.0, 2.0], [0.0, -2.0]]])
    with pytest.raises(EvaluationError, match="^The views of every sample have the same mean"):
        spectrum(z)


def test_a_covariance_that_cannot_be_inverted_is_an_error():
    # Whole numbers, which float32 does not round; views move along one line.
    rng = np.random.default_rng(0)
    z = rng.integers(-9, 9, (9, 1, 6)) + rng.integers(-9, 9, (9, 3, 1))
    assert smoothed_rank(spectrum(z)) > 1
    with pytest.raises(EvaluationError, match=r"^lidar cannot invert the covariance of views: 0\.0001 is lost beside variances of"):
        spectrum(2.0**27 * z)


def test_large_values_are_no_hindrance_where_views_differ_in_every_dimension_that_is_used():
    z = noisy(40, 5, 6)
    z[:, :, 2] = 0
    assert smoothed_rank(spectrum(1e12 * z)) == pytest.approx(smoothed_rank(spectrum(1e3 * z)), rel=1e-5)


def test_the_evaluator_judges_views_of_the_training_part(make_image_task, images):
    pixels, weights = images(90), np.random.default_rng(1).normal(size=(36, 4))
    score, bound = evaluate(make_image_task(pixels, weights, seed=5)[0], padding=1 / 6)
    top, left = torch.randint(3, (2, 240), generator=torch.Generator().manual_seed(5)).tolist()  # 60 samples, 4 views
    padded = np.pad(pixels, ((0, 0), (0, 0), (1, 1), (1, 1)))
    z = [padded[v // 4, 0, top[v] : top[v] + 6, left[v] : left[v] + 6].reshape(-1) @ weights for v in range(240)]
    assert score.value == pytest.approx(one_by_one(np.reshape(z, (60, 4, 4)))[0], rel=1e-5)
    assert (score.name, score.split) == ("lidar", "train")
    assert score.selected == {"samples": 60, "views": 4, "dimensions": 4}
    assert (bound.name, bound.value) == ("bound", 4)


def test_the_bound_is_one_less_than_the_samples_where_these_are_few(make_image_task, images):
    score, bound = evaluate(make_image_task(images(90))[0], samples=10)
    assert bound.value == 9
    assert score.value < 9


def test_the_same_seed_gives_the_same_score_and_another_other_views(make_image_task, images):
    task, _ = make_image_task(images(90))
    assert evaluate(task) == evaluate(task)
    assert evaluate(task) != evaluate(dataclasses.replace(task, seed=1))


def test_views_that_are_all_the_same_are_an_error(make_image_task, images):
    with pytest.raises(EvaluationError, match="same mean, which leaves lidar nothing to judge"):
        evaluate(make_image_task(images(90), np.zeros((36, 2)))[0])


def test_data_without_images_are_an_error(make_task):
    x = np.eye(4, dtype=np.float32)
    with pytest.raises(EvaluationError, match="^lidar needs views of images"):
        evaluate(dataclasses.replace(make_task(x, x), fresh_encoder=lambda: None))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same(make_image_task, images):
    here, there = (evaluate(make_image_task(images(90), device=device)[0])[0] for device in ("cpu", "cuda"))
    assert there.value == pytest.approx(here.value, rel=1e-4)
