"""RankMe and the smoothed rank."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from harness_geometry import samples
from harness_geometry.rank import EPSILON, smoothed_rank
from harness_geometry.rankme import RankMe
from harness_geometry.spec import RankMeOptions


@pytest.fixture
def rankme(make_task):
    """RankMe of these features as a training part."""

    def value(x, **options):
        return evaluate(make_task(x, x), **options)[0].value

    return value


def evaluate(task, **options):
    return RankMe(RankMeOptions(**options)).evaluate(task)


def orthogonal(n, dims, seed=0):
    """[n, dims] with orthonormal columns."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n, dims)))[0]


def with_spectrum(sigma, n=60, dims=40, seed=0):
    """[n, dims] float32 with these singular values."""
    r = len(sigma)
    return (orthogonal(n, r, seed) * sigma @ orthogonal(dims, r, seed + 1).T).astype(np.float32)


def by_the_formula(x):
    """The definition, one singular value at a time."""
    sigma = np.linalg.svd(x.reshape(len(x), -1).astype(np.float64), compute_uv=False)
    entropy = 0.0
    for s in sigma:
        p = s / sigma.sum() + 1e-7
        entropy -= p * math.log(p)
    return math.exp(entropy)


@pytest.mark.parametrize("r", [1, 2, 7, 40])
def test_equal_singular_values_count_one_each(rankme, r):
    assert rankme(with_spectrum(np.full(r, 3.0))) == pytest.approx(r, rel=1e-3)


def test_a_matrix_of_rank_one_has_rank_one(rankme):
    assert rankme(np.outer(np.arange(1, 31), np.arange(1, 11)).astype(np.float32)) == pytest.approx(1, abs=1e-3)


def test_an_isotropic_gaussian_nearly_fills_its_dimensions(rankme):
    x = np.random.default_rng(0).normal(size=(5000, 20)).astype(np.float32)
    assert 19.9 < rankme(x) < 20


@pytest.mark.parametrize("shape", [(200, 30), (30, 200), (50, 50)], ids=["tall", "wide", "square"])
def test_the_value_is_that_of_the_formula(rankme, shape):
    x = np.random.default_rng(0).normal(size=shape) * np.geomspace(1, 1e-3, shape[1])
    assert rankme(x.astype(np.float32)) == pytest.approx(by_the_formula(x.astype(np.float32)), rel=1e-6)


def test_a_spectrum_down_to_the_rounding_of_float32_is_read_well_enough(rankme):
    x = with_spectrum(np.geomspace(1, 1e-9, 40))
    assert rankme(x) == pytest.approx(by_the_formula(x), rel=1e-5)


def test_a_large_mean_that_dwarfs_the_rest_is_read_well_enough(rankme):
    x = 1e4 + np.random.default_rng(0).normal(size=(500, 30)).astype(np.float32)
    assert rankme(x) == pytest.approx(by_the_formula(x), rel=1e-5)


def test_rotation_and_scale_change_nothing(rankme):
    x = np.random.default_rng(0).normal(size=(100, 12)) * np.geomspace(1, 0.05, 12)
    value = rankme(x.astype(np.float32))
    assert rankme((x @ orthogonal(12, 12)).astype(np.float32)) == pytest.approx(value, rel=1e-5)
    assert rankme((1e-12 * x).astype(np.float32)) == pytest.approx(value, rel=1e-5)
    assert rankme((1e12 * x).astype(np.float32)) == pytest.approx(value, rel=1e-5)


def test_the_features_are_not_centred(rankme):
    x = 100 + np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    assert rankme(x) < 1.5
    assert rankme(x - x.mean(axis=0)) > 4.5


@pytest.mark.parametrize("shape", [(90, 7), (9, 70)], ids=["tall", "wide"])
def test_the_size_of_a_block_does_not_matter(rankme, monkeypatch, shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    whole = rankme(x)
    monkeypatch.setattr(samples, "BLOCK", 20)
    assert rankme(x) == pytest.approx(whole, rel=1e-9)


def test_epsilon_is_the_paper_s():
    shares = np.array([0.7, 0.3, 0.0])
    p = shares + EPSILON
    assert smoothed_rank(torch.tensor(5 * shares)) == pytest.approx(math.exp(-(p * np.log(p)).sum()), rel=1e-12)
    assert EPSILON == 1e-7


def test_the_bound_is_the_smaller_of_samples_and_dimensions(make_task):
    x = np.random.default_rng(0).normal(size=(50, 4, 5)).astype(np.float32)
    value, bound = evaluate(make_task(x, x))
    assert (value.name, bound.name, bound.value) == ("rankme", "bound", 20)
    assert value.selected == {"samples": 50, "dimensions": 20}
    assert evaluate(make_task(x, x), samples=10)[1].value == 10


def test_the_training_part_is_judged_unless_the_test_part_is_asked_for(make_task):
    rank_2, rank_5 = with_spectrum(np.ones(2)), with_spectrum(np.ones(5))
    train, test = evaluate(make_task(rank_2, rank_5))[0], evaluate(make_task(rank_2, rank_5), part="test")[0]
    assert (train.split, train.value) == ("train", pytest.approx(2, rel=1e-3))
    assert (test.split, test.value) == ("test", pytest.approx(5, rel=1e-3))


def test_the_run_s_seed_changes_nothing(make_task):
    x = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)
    task = make_task(x, x)
    assert evaluate(task, samples=10) == evaluate(dataclasses.replace(task, seed=1), samples=10)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("shape", [(200, 30), (30, 200)], ids=["tall", "wide"])
def test_a_gpu_gives_the_same(make_task, shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    here, there = evaluate(make_task(x, x))[0], evaluate(make_task(x, x, device="cuda"))[0]
    assert there.value == pytest.approx(here.value, rel=1e-9)
