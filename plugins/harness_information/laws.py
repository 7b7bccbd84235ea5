"""Joint laws of two random vectors whose mutual information is known exactly, and what draws from them.

The tasks are those of Belghazi et al. 2018, Poole et al. 2019 and Song and Ermon 2020 (correlated Gaussians) and of Czyż et al.
2023, "Beyond Normal: On the Evaluation of Mutual Information Estimators" (all others). A law is written once, over a `Noise`
that hands it independent numbers: a torch generator for fresh pairs in training, NumPy's PCG64 for the pairs that are judged
and part of a recipe.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

Drawn = tuple[Tensor, Tensor]
"""x [n, dims] and y [n, dims] float32."""


class Noise(ABC):
    """Where a law's independent random numbers come from, float32."""

    @abstractmethod
    def uniform(self, n: int, dims: int) -> Tensor:
        """[n, dims] from the uniform law on [0, 1)."""

    @abstractmethod
    def normal(self, n: int, dims: int) -> Tensor:
        """[n, dims] from N(0, 1)."""


class TorchNoise(Noise):
    """Quick; its values may differ from one version of torch and processor to the next."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def uniform(self, n: int, dims: int) -> Tensor:
        """[n, dims]."""
        return torch.rand(n, dims, generator=self.generator)

    def normal(self, n: int, dims: int) -> Tensor:
        """[n, dims]."""
        return torch.randn(n, dims, generator=self.generator)


class RecipeNoise(Noise):
    """The same numbers everywhere: `Generator.random` of NumPy's PCG64, whose stream does not change between versions."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.Generator(np.random.PCG64(seed))

    def uniform(self, n: int, dims: int) -> Tensor:
        """[n, dims]."""
        return torch.from_numpy(self.rng.random((n, dims))).float()

    def normal(self, n: int, dims: int) -> Tensor:
        """[n, dims], by the transform of Box and Muller (1958) in double precision."""
        radius = np.sqrt(-2 * np.log1p(-self.rng.random((n, dims))))
        return torch.from_numpy(radius * np.cos(2 * np.pi * self.rng.random((n, dims)))).float()


@dataclass(frozen=True)
class Law:
    """A joint law of x and y."""

    x_dims: int
    y_dims: int
    mutual_information: float
    """I(x; y) in nats, exact."""
    draw: Callable[[int, Noise], Drawn]
    """Called as `draw(n, noise)`."""

    def mapped(self, x_map: Map, y_map: Map) -> Law:
        """The law of (f(x), g(y)), whose information is the same, f and g being one-to-one."""

        def draw(n: int, noise: Noise) -> Drawn:
            x, y = self.draw(n, noise)
            return x_map.apply(x), y_map.apply(y)

        return Law(x_map.dims(self.x_dims), y_map.dims(self.y_dims), self.mutual_information, draw)


# --------------------------------------------------------------------------------------------------------- the laws


def correlated(dims: int, rho: float) -> Law:
    """X ~ N(0, I), y = ρ x + √(1 - ρ²) ε: every coordinate of x with its own of y. I = -½ dims log(1 - ρ²)."""

    def draw(n: int, noise: Noise) -> Drawn:
        x, epsilon = noise.normal(n, dims), noise.normal(n, dims)
        return x, rho * x + math.sqrt(1 - rho**2) * epsilon

    return Law(dims, dims, -0.5 * dims * math.log1p(-(rho**2)), draw)


def correlation_of(mutual_information: float, dims: int) -> float:
    """The ρ at which `correlated` has this information, in nats: √(1 - exp(-2 I / dims))."""
    return math.sqrt(-math.expm1(-2 * mutual_information / dims))


def dense(x_dims: int, y_dims: int, rho: float) -> Law:
    """Gaussians of variance 1 in which every two coordinates, of x, of y or of both, have covariance ρ in [0, 1).

    I = ½ log(det Σx det Σy / det Σ), where k such coordinates have det = (1 - ρ)^(k - 1) (1 + (k - 1) ρ).
    """

    def log_det(k: int) -> float:
        return (k - 1) * math.log1p(-rho) + math.log1p((k - 1) * rho)

    def draw(n: int, noise: Noise) -> Drawn:
        common, own = noise.normal(n, 1), noise.normal(n, x_dims + y_dims)
        both = math.sqrt(rho) * common + math.sqrt(1 - rho) * own
        return both[:, :x_dims], both[:, x_dims:]

    return Law(x_dims, y_dims, 0.5 * (log_det(x_dims) + log_det(y_dims) - log_det(x_dims + y_dims)), draw)


def sparse(x_dims: int, y_dims: int, rho: float, pairs: int = 2) -> Law:
    """Gaussians of which the first `pairs` coordinates of x are correlated with those of y by ρ, and nothing else with anything."""

    def draw(n: int, noise: Noise) -> Drawn:
        x, y = noise.normal(n, x_dims), noise.normal(n, y_dims)
        y[:, :pairs] = rho * x[:, :pairs] + math.sqrt(1 - rho**2) * y[:, :pairs]
        return x, y

    return Law(x_dims, y_dims, -0.5 * pairs * math.log1p(-(rho**2)), draw)


def student(x_dims: int, y_dims: int, degrees: int) -> Law:
    """Student's t with dispersion I: independent Gaussians divided by one common √(χ²/ν), all that x and y share.

    I = f(ν) + f(ν + m + n) - f(ν + m) - f(ν + n) with f(a) = log Γ(a/2) - (a/2) ψ(a/2) (Arellano-Valle et al. 2013).
    """

    def f(a: int) -> float:
        return math.lgamma(a / 2) - a / 2 * float(torch.digamma(torch.tensor(a / 2, dtype=torch.float64)))

    def draw(n: int, noise: Noise) -> Drawn:
        scale = (noise.normal(n, degrees).square().mean(1, keepdim=True)).rsqrt()
        both = scale * noise.normal(n, x_dims + y_dims)
        return both[:, :x_dims], both[:, x_dims:]

    information = f(degrees) + f(degrees + x_dims + y_dims) - f(degrees + x_dims) - f(degrees + y_dims)
    return Law(x_dims, y_dims, information, draw)


def uniform(noise_width: float) -> Law:
    """X uniform on [0, 1), y = x + e with e uniform on [-ε, ε): I = ε - log 2ε for ε <= ½, else 1 / 4ε."""

    def draw(n: int, noise: Noise) -> Drawn:
        x, error = noise.uniform(n, 1), noise.uniform(n, 1)
        return x, x + noise_width * (2 * error - 1)

    information = noise_width - math.log(2 * noise_width) if noise_width <= 0.5 else 0.25 / noise_width
    return Law(1, 1, information, draw)


# ---------------------------------------------------------------------------------------------- one-to-one maps


@dataclass(frozen=True)
class Map:
    """A one-to-one map of vectors."""

    apply: Callable[[Tensor], Tensor]
    """[n, D] -> [n, D']."""
    dims: Callable[[int], int] = lambda dims: dims
    """D' of D."""
    only_dims: int | None = None
    """The only D it takes, where there is just one."""
    least_dims: int = 1


def normal_cdf(x: Tensor) -> Tensor:
    """Φ(x), uniform on (0, 1) for a standard normal x."""
    return cast(Tensor, torch.special.ndtr(x))


def wiggly(x: Tensor) -> Tensor:
    """A strictly rising wave: its slope is never below 0.16."""
    return x + 0.4 * torch.sin(x) + 0.2 * torch.sin(1.7 * x + 1) + 0.03 * torch.sin(3.3 * x - 2.5)


def bimodal(x: Tensor) -> Tensor:
    """F⁻¹(Φ(x)), which is standard normal before and after it an even mixture of N(-2, ½²) and N(2, ½²); F inverted on a grid."""
    grid = torch.linspace(-6, 6, 20_001, dtype=torch.float64)
    # Taken from normal scores to values directly: Φ⁻¹(F(v)) rises with v and is far from the ends of float64 here.
    score = torch.special.ndtri(0.5 * (torch.special.ndtr((grid + 2) / 0.5) + torch.special.ndtr((grid - 2) / 0.5)))
    x = x.double().clamp(float(score[1]), float(score[-2]))
    above = torch.searchsorted(score, x.contiguous()).clamp(1, len(grid) - 1)
    share = (x - score[above - 1]) / (score[above] - score[above - 1])
    return cast(Tensor, (grid[above - 1] + share * (grid[above] - grid[above - 1])).float())


def swiss_roll(x: Tensor) -> Tensor:
    """A normal number [n, 1] rolled up in the plane [n, 2]: Φ(x) is the way along the roll."""
    angle = 1.5 * math.pi * (1 + 2 * normal_cdf(x))
    return torch.cat([angle * torch.cos(angle), angle * torch.sin(angle)], dim=1) / 21


def spiral(x: Tensor) -> Tensor:
    """The plane of the first two coordinates turned by an angle of ‖x‖² / D, which no turning changes."""
    angle = x.square().mean(1)
    first, second = x[:, 0], x[:, 1]
    turned = torch.stack(
        [torch.cos(angle) * first - torch.sin(angle) * second, torch.sin(angle) * first + torch.cos(angle) * second], 1
    )
    return torch.cat([turned, x[:, 2:]], dim=1)


IDENTITY = Map(lambda x: x)

MAPS: dict[str, tuple[Map, Map]] = {
    "cubic": (IDENTITY, Map(lambda y: y**3)),
    "half-cube": (Map(lambda x: x.sign() * x.abs() ** 1.5),) * 2,
    "normal-cdf": (Map(normal_cdf),) * 2,
    "asinh": (Map(torch.asinh),) * 2,
    "wiggly": (Map(wiggly),) * 2,
    "bimodal": (Map(bimodal),) * 2,
    "spiral": (Map(spiral, least_dims=2),) * 2,
    "swiss-roll": (Map(swiss_roll, dims=lambda dims: 2, only_dims=1), IDENTITY),
}
"""By name, the map of x and that of y. "cubic" is of y alone (Poole et al. 2019)."""
