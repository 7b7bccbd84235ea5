"""Features checked, and a Donsker-Varadhan value with its confidence limit."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch

from harness import Part
from harness_information import held_out
from harness_information.held_out import confident_dv, mean_and_deviation, median_scores, rows_of


def part(features):
    return Part(features=features, index=np.arange(len(features)))


def features(shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) * np.geomspace(0.01, 100, shape[-1]) + rng.normal(size=shape[-1])).astype(np.float32)


# ----------------------------------------------------------------------------------------------------------- features


def test_rows_are_flattened_copies_in_float32():
    x = features((6, 2, 3)).astype(np.float16)
    x.setflags(write=False)
    rows = rows_of(part(x), np.array([4, 1]))
    assert (rows.shape, rows.dtype) == ((2, 6), torch.float32)
    assert np.array_equal(rows.numpy(), x[[4, 1]].reshape(2, 6).astype(np.float32))
    rows += 1
    assert not np.array_equal(rows.numpy(), x[[4, 1]].reshape(2, 6))


@pytest.mark.parametrize("shape", [(50, 4), (50, 2, 3)])
@pytest.mark.parametrize("block", [1, 7, 1 << 24])
def test_mean_and_deviation_are_those_of_every_column(monkeypatch, shape, block):
    monkeypatch.setattr(held_out, "BLOCK", block)
    x = features(shape)
    mean, deviation = mean_and_deviation(part(x))
    flat = x.reshape(50, -1).astype(np.float64)
    np.testing.assert_allclose(mean, flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(deviation, flat.std(0), rtol=1e-5)


def test_a_large_mean_does_not_swallow_a_small_deviation():
    x = np.float32(1e6) + features((200, 3)).round()
    _, deviation = mean_and_deviation(part(x))
    expected = x.astype(np.float64).std(0)
    np.testing.assert_allclose(deviation, np.where(expected > 0, expected, 1), rtol=1e-5)
    assert expected[-1] > 10


def test_the_deviation_of_a_constant_column_counts_as_one():
    x = features((30, 3))
    x[:, 1] = 0.1
    mean, deviation = mean_and_deviation(part(x))
    assert mean[1].item() == pytest.approx(0.1)
    assert deviation[1].item() == 1
    assert deviation[0].item() == pytest.approx(x[:, 0].astype(np.float64).std(), rel=1e-5)


# -------------------------------------------------------------------------------------------------------------- value


def scores(n, k, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(1, spread, (n,)), rng.normal(-1, spread, (n, k)) + rng.normal(0, 0.5, (n, 1))


def direct_dv(positive, negative):
    return positive.mean() - math.log(np.exp(negative).mean())


def test_the_value_is_the_donsker_varadhan_formula():
    positive, negative = scores(40, 3)
    value, _ = confident_dv(torch.tensor(positive), torch.tensor(negative))
    assert value == pytest.approx(direct_dv(positive, negative), rel=1e-6)


def test_the_limit_is_the_value_and_its_standard_error_nearly_twice():
    positive, negative = scores(40, 3)
    value, limit = confident_dv(torch.tensor(positive), torch.tensor(negative))
    weights = [sum(math.exp(score) for score in row) / 3 for row in negative]
    relative = np.array(weights) / np.mean(weights)
    error = math.sqrt(np.var(positive, ddof=1) / 40 + np.var(relative, ddof=1) / 40)
    assert limit - value == pytest.approx(1.959964 * error, rel=1e-5)


@pytest.mark.parametrize("k", [1, 5])
def test_the_standard_error_is_that_of_a_bootstrap(k):
    positive, negative = scores(2000, k)
    value, limit = confident_dv(torch.tensor(positive), torch.tensor(negative))
    rng = np.random.default_rng(1)
    again = []
    for _ in range(600):
        rows = rng.integers(0, 2000, 2000)
        others = rng.integers(0, 2000, 2000)  # scores of joint and of marginal pairs are drawn apart here
        again.append(direct_dv(positive[rows], negative[others]))
    assert (limit - value) / 1.959964 == pytest.approx(np.std(again, ddof=1), rel=0.15)


def test_the_limit_lies_above_the_information_in_about_39_of_40_cases():
    # The best critic of two correlated numbers, on 400 fresh samples of them each time.
    rho, n = 0.7, 400
    information = -0.5 * math.log(1 - rho**2)
    rng = np.random.default_rng(0)

    def log_ratio(x, y):
        return information - 0.5 * (x**2 - 2 * rho * x * y + y**2) / (1 - rho**2) + 0.5 * (x**2 + y**2)

    above, values = 0, []
    for _ in range(400):
        x, noise = rng.normal(size=(2, n))
        y = rho * x + math.sqrt(1 - rho**2) * noise
        negative = np.stack([log_ratio(x, np.roll(y, shift)) for shift in (1, 50, 200)], axis=1)
        value, limit = confident_dv(torch.tensor(log_ratio(x, y)), torch.tensor(negative))
        values.append(value)
        above += limit > information
    assert np.mean(values) == pytest.approx(information, abs=0.01)
    assert 0.94 < above / 400 < 1


def test_large_scores_do_not_overflow():
    positive, negative = scores(40, 3)
    moved = confident_dv(torch.tensor(positive + 500).float(), torch.tensor(negative + 500).float())
    assert moved == pytest.approx(confident_dv(torch.tensor(positive), torch.tensor(negative)), abs=1e-3)


# ----------------------------------------------------------------------------------------------------------- restarts


@pytest.mark.parametrize(
    ("found", "value", "limit"),
    [
        ([(3.0, 3.5), (1.0, 9.0), (2.0, 2.1)], 2.0, 2.1),
        ([(3.0, 3.5), (1.0, 1.5), (2.0, 2.1), (4.0, 5.0)], 2.0, 2.1),
        ([(3.0, 3.5), (1.0, 1.5)], 1.0, 1.5),
    ],
)
def test_the_median_restart_is_reported_with_its_own_limit(found, value, limit):
    first, second = median_scores(found, "information", "upper_limit")
    assert (first.name, first.value, second.name, second.value) == ("information", value, "upper_limit", limit)
    values = [each for each, _ in found]
    assert first.std == pytest.approx(np.std(values, ddof=1))
    assert (first.over, first.n, first.selected) == ("restarts", len(found), {"restarts": values})


def test_one_restart_has_no_spread():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, _ = median_scores([(1.0, 2.0)], "information", "upper_limit")
    assert (first.value, first.std, first.over, first.n, first.selected) == (1.0, None, None, 1, {})
