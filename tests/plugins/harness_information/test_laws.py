"""Laws of exactly known information: the numbers, the draws behind them, and maps that change neither."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.stats
import torch

from harness_information import laws, naming
from harness_information.laws import MAPS, RecipeNoise, TorchNoise

NOISES = {"torch": lambda seed: TorchNoise(torch.Generator().manual_seed(seed)), "recipe": RecipeNoise}
N = 40_000


@pytest.fixture(params=NOISES)
def noise(request):
    """Makes a noise of either kind."""
    return NOISES[request.param]


def drawn(law, noise, n=N, seed=3):
    """X and y together, [n, x_dims + y_dims] in double precision."""
    return torch.cat(law.draw(n, noise(seed)), dim=1).double()


# -------------------------------------------------------------------------------------------- where numbers come from


def test_uniform_numbers_are_uniform(noise):
    x = noise(0).uniform(5000, 2)
    assert (x.shape, x.dtype) == ((5000, 2), torch.float32)
    assert scipy.stats.kstest(x.flatten().double(), "uniform").pvalue > 0.001


def test_normal_numbers_are_normal_and_independent(noise):
    x = noise(0).normal(5000, 2)
    assert (x.shape, x.dtype) == ((5000, 2), torch.float32)
    assert scipy.stats.kstest(x.flatten().double(), "norm").pvalue > 0.001
    assert abs(float(torch.corrcoef(x.T)[0, 1])) < 4 / math.sqrt(5000)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(noise):
    one, same, other = ([noise(seed).normal(9, 2), noise(seed).uniform(9, 2)] for seed in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_noise_moves_on(noise):
    source = noise(0)
    assert not torch.equal(source.normal(9, 1), source.normal(9, 1))
    assert not torch.equal(source.uniform(9, 1), source.uniform(9, 1))


def test_recipe_numbers_are_those_of_the_published_generator():
    plain = np.random.Generator(np.random.PCG64(11))
    first, radius, angle = plain.random((4, 3)), plain.random((4, 3)), plain.random((4, 3))
    noise = RecipeNoise(11)
    assert torch.equal(noise.uniform(4, 3), torch.tensor(first, dtype=torch.float32))
    expected = [
        [math.sqrt(-2 * math.log(1 - radius[i, j])) * math.cos(2 * math.pi * angle[i, j]) for j in range(3)] for i in range(4)
    ]
    torch.testing.assert_close(noise.normal(4, 3), torch.tensor(expected))


# ------------------------------------------------------------------------------------ information: published numbers

PUBLISHED = {
    "1x1 normal": (laws.correlated(1, 0.75), 0.4133),
    "uniform, noise 0.1": (laws.uniform(0.1), 1.7094),
    "uniform, noise 0.75": (laws.uniform(0.75), 0.3333),
    "student 1x1, 1": (laws.student(1, 1, 1), 0.2242),
    "student 2x2, 1": (laws.student(2, 2, 1), 0.4319),
    "student 2x2, 2": (laws.student(2, 2, 2), 0.1931),
    "student 3x3, 2": (laws.student(3, 3, 2), 0.2909),
    "student 3x3, 3": (laws.student(3, 3, 3), 0.1787),
    "student 5x5, 2": (laws.student(5, 5, 2), 0.4482),
    "student 5x5, 3": (laws.student(5, 5, 3), 0.2985),
    "dense 2x2": (laws.dense(2, 2, 0.5), 0.2939),
    "dense 3x3": (laws.dense(3, 3, 0.5), 0.4133),
    "dense 5x5": (laws.dense(5, 5, 0.5), 0.5928),
    "dense 25x25": (laws.dense(25, 25, 0.5), 1.2922),
    "dense 50x50": (laws.dense(50, 50, 0.5), 1.6243),
    "sparse 2x2": (laws.sparse(2, 2, 0.8), 1.0217),
    "sparse 5x3": (laws.sparse(5, 3, 0.8), 1.0217),
}


@pytest.mark.parametrize(("law", "expected"), PUBLISHED.values(), ids=PUBLISHED)
def test_the_information_is_the_published_one(law, expected):
    assert law.mutual_information == pytest.approx(expected, abs=5.1e-5)


@pytest.mark.parametrize(("level", "rho"), [(2, 0.4258), (4, 0.5742), (6, 0.6717), (8, 0.7421), (10, 0.7951)])
def test_the_correlations_of_the_staircase_are_the_published_ones(level, rho):
    assert laws.correlation_of(level, 20) == pytest.approx(rho, abs=5.1e-5)
    assert laws.correlated(20, laws.correlation_of(level, 20)).mutual_information == pytest.approx(level, rel=1e-12)


def test_no_information_is_no_correlation():
    assert laws.correlation_of(0.0, 3) == 0
    for law in (laws.correlated(3, 0.0), laws.dense(3, 2, 0.0), laws.sparse(3, 2, 0.0)):
        assert law.mutual_information == 0


# ------------------------------------------------------------------------------- information: computed in another way


def one_to_one_covariance(x_dims, y_dims, rho, pairs):
    """Variances of 1; the first `pairs` coordinates of x are correlated with those of y."""
    sigma = torch.eye(x_dims + y_dims, dtype=torch.float64)
    for k in range(pairs):
        sigma[k, x_dims + k] = sigma[x_dims + k, k] = rho
    return sigma


def equal_covariance(dims, rho):
    """Variances of 1, and all covariances the same."""
    return torch.eye(dims, dtype=torch.float64) * (1 - rho) + rho


GAUSSIANS = {
    "correlated": (laws.correlated(3, -0.6), one_to_one_covariance(3, 3, -0.6, 3)),
    "dense": (laws.dense(2, 4, 0.3), equal_covariance(6, 0.3)),
    "sparse": (laws.sparse(2, 5, -0.7), one_to_one_covariance(2, 5, -0.7, 2)),
    "sparse, three pairs": (laws.sparse(4, 3, 0.5, pairs=3), one_to_one_covariance(4, 3, 0.5, 3)),
}


@pytest.mark.parametrize(("law", "sigma"), GAUSSIANS.values(), ids=GAUSSIANS)
def test_the_information_of_gaussians_is_that_of_determinants(law, sigma):
    m = law.x_dims
    parts = (sigma[:m, :m], sigma[m:, m:], sigma)
    of_x, of_y, of_both = (float(torch.linalg.slogdet(part).logabsdet) for part in parts)
    assert law.mutual_information == pytest.approx(0.5 * (of_x + of_y - of_both), rel=1e-12)


@pytest.mark.parametrize(("law", "sigma"), GAUSSIANS.values(), ids=GAUSSIANS)
def test_gaussians_are_drawn_with_their_covariance(law, sigma, noise):
    both = drawn(law, noise)
    assert float(both.mean(0).abs().max()) < 5 / math.sqrt(N)
    assert float((torch.cov(both.T) - sigma).abs().max()) < 5 * math.sqrt(2 / N)


@pytest.mark.parametrize(("law", "sigma"), GAUSSIANS.values(), ids=GAUSSIANS)
def test_gaussians_are_drawn_gaussian(law, sigma, noise):
    direction = torch.linspace(1, 2, len(sigma), dtype=torch.float64)
    along = drawn(law, noise, n=5000) @ direction / torch.sqrt(direction @ sigma @ direction)
    assert scipy.stats.kstest(along, "norm").pvalue > 0.001


@pytest.mark.parametrize(("x_dims", "y_dims", "degrees"), [(1, 1, 1), (2, 2, 2), (3, 1, 4), (5, 5, 3)], ids=str)
def test_the_information_of_student_s_law_is_the_mean_logarithm_of_its_density_ratio(x_dims, y_dims, degrees, noise):
    law = laws.student(x_dims, y_dims, degrees)
    both = drawn(law, noise, n=20_000).numpy()

    def log_density(values):
        return scipy.stats.multivariate_t(np.zeros(values.shape[1]), df=degrees).logpdf(values)

    log_ratio = log_density(both) - log_density(both[:, :x_dims]) - log_density(both[:, x_dims:])
    assert law.mutual_information == pytest.approx(log_ratio.mean(), abs=4 * log_ratio.std() / math.sqrt(len(both)))


def test_every_coordinate_of_student_s_law_is_student_s(noise):
    for column in drawn(laws.student(2, 1, 3), noise, n=5000).T:
        assert scipy.stats.kstest(column, "t", args=(3,)).pvalue > 0.001


@pytest.mark.parametrize("width", [0.05, 0.1, 0.5, 0.75, 3.0])
def test_the_information_of_the_uniform_law_is_the_integral_of_its_densities(width):
    # I = h(y) - h(e), with e uniform on an interval of 2ε and y = x + e, whose density is the overlap of two intervals over 2ε.
    y = np.linspace(-width, 1 + width, 400_001)
    density = (np.minimum(1, y + width) - np.maximum(0, y - width)) / (2 * width)
    inside = density > 0
    entropy = np.trapezoid(np.where(inside, -density * np.log(np.where(inside, density, 1)), 0), y)
    assert laws.uniform(width).mutual_information == pytest.approx(entropy - math.log(2 * width), abs=1e-5)


def test_the_uniform_law_is_drawn_as_it_says(noise):
    x, y = laws.uniform(0.75).draw(5000, noise(0))
    assert scipy.stats.kstest(x.flatten().double(), "uniform").pvalue > 0.001
    error = ((y - x) / 1.5 + 0.5).flatten().double()
    assert scipy.stats.kstest(error, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(x.flatten(), error)[0, 1]) < 4 / math.sqrt(5000)


# --------------------------------------------------------------------------------------------------- one-to-one maps

LINE = torch.linspace(-5, 5, 2001)[:, None]


def of_x(name):
    return MAPS[name][0].apply


def of_y(name):
    return MAPS[name][1].apply


INVERSES = {
    "cubic": lambda y: y.sign() * y.abs() ** (1 / 3),
    "half-cube": lambda y: y.sign() * y.abs() ** (2 / 3),
    "asinh": torch.sinh,
    "normal-cdf": torch.special.ndtri,
}


def test_the_names_of_maps_are_those_that_arguments_may_hold():
    assert tuple(MAPS) == naming.MAP_NAMES


@pytest.mark.parametrize("name", INVERSES)
def test_a_map_of_numbers_is_undone_by_its_inverse(name):
    torch.testing.assert_close(INVERSES[name](of_y(name)(LINE.double())), LINE.double(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["cubic", "half-cube", "normal-cdf", "asinh", "wiggly", "bimodal"])
def test_a_map_of_numbers_rises_strictly(name):
    line = LINE[abs(LINE) < 3.5][:, None] if name == "normal-cdf" else LINE  # further out 32-bit numbers are too coarse for Φ
    assert bool((of_y(name)(line).diff(dim=0) > 0).all())


@pytest.mark.parametrize("name", ["half-cube", "normal-cdf", "asinh", "wiggly", "bimodal", "spiral"])
def test_x_and_y_are_mapped_alike(name):
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(of_x(name)(x), of_y(name)(x))
    assert not torch.allclose(of_x(name)(x), x, atol=0.01)


@pytest.mark.parametrize("name", ["half-cube", "normal-cdf", "asinh", "wiggly", "bimodal"])
def test_every_coordinate_is_mapped_by_itself(name):
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(of_x(name)(x), torch.stack([of_x(name)(column) for column in x.T], dim=1))


def test_cubic_leaves_x_and_the_swiss_roll_y_as_it_is():
    assert torch.equal(of_x("cubic")(LINE), LINE)
    assert torch.equal(of_y("swiss-roll")(LINE), LINE)


def test_the_slope_of_the_wave_is_never_below_its_promise():
    x = torch.linspace(-50, 50, 200_001, dtype=torch.float64)
    slope = laws.wiggly(x).diff() / x.diff()
    assert float(slope.min()) > 0.16
    assert float(slope.max()) > 1.5


def test_bimodal_numbers_have_the_distribution_function_of_the_mixture():
    x = LINE.flatten()
    mixed = laws.bimodal(x).double()
    mixture = 0.5 * scipy.stats.norm.cdf(mixed, -2, 0.5) + 0.5 * scipy.stats.norm.cdf(mixed, 2, 0.5)
    np.testing.assert_allclose(scipy.stats.norm.ppf(mixture), x, atol=2e-3)
    assert laws.bimodal(torch.tensor([0.0])).item() == pytest.approx(0, abs=1e-6)


def test_bimodal_takes_numbers_far_out():
    ends = laws.bimodal(torch.tensor([-7.0, -6.0, 6.0, 7.0])).tolist()
    assert all(low < high for low, high in pairwise(ends))
    assert ends[3] == pytest.approx(2 + 0.5 * scipy.stats.norm.isf(2 * scipy.stats.norm.sf(7.0)), abs=1e-3)


@pytest.mark.parametrize("dims", [2, 5])
def test_a_spiral_is_turned_back_by_the_length_that_turning_leaves(dims):
    x = torch.randn(500, dims, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turned = laws.spiral(x)
    torch.testing.assert_close(turned.norm(dim=1), x.norm(dim=1))
    assert torch.equal(turned[:, 2:], x[:, 2:])
    back = torch.complex(turned[:, 0], turned[:, 1]) * torch.exp(-1j * turned.square().sum(1) / dims)
    torch.testing.assert_close(torch.stack([back.real, back.imag], 1), x[:, :2])
    assert float((turned - x)[:, :2].abs().max()) > 1


def test_a_swiss_roll_is_unrolled_by_the_distance_from_its_middle():
    rolled = laws.swiss_roll(LINE.double())
    assert rolled.shape == (len(LINE), 2)
    angle = 21 * rolled.norm(dim=1)
    torch.testing.assert_close(rolled, torch.stack([angle * angle.cos(), angle * angle.sin()], 1) / 21)
    along = (angle / (1.5 * math.pi) - 1) / 2
    torch.testing.assert_close(torch.special.ndtri(along), LINE.flatten().double(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", MAPS)
def test_a_mapped_law_has_the_same_information_and_the_dimensions_it_declares(name, noise):
    base = laws.sparse(2, 3, 0.8) if name == "spiral" else laws.correlated(1, 0.75)
    mapped = base.mapped(*MAPS[name])
    assert mapped.mutual_information == base.mutual_information
    x, y = mapped.draw(50, noise(0))
    assert (x.shape, y.shape) == ((50, mapped.x_dims), (50, mapped.y_dims))
    assert (x.dtype, y.dtype) == (torch.float32, torch.float32)
    assert (mapped.x_dims, mapped.y_dims) == ((2, 1) if name == "swiss-roll" else (base.x_dims, base.y_dims))


@pytest.mark.parametrize("name", MAPS)
def test_a_mapped_law_maps_what_the_law_draws(name):
    base = laws.sparse(2, 3, 0.8) if name == "spiral" else laws.correlated(1, 0.75)
    x, y = base.draw(50, RecipeNoise(4))
    mapped_x, mapped_y = base.mapped(*MAPS[name]).draw(50, RecipeNoise(4))
    assert torch.equal(mapped_x, of_x(name)(x))
    assert torch.equal(mapped_y, of_y(name)(y))
