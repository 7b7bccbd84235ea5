"""f-divergences: what their variational bounds are made of (Nowozin et al. 2016, table 2; its supplement for Neyman's χ²).

D_f(P‖Q) = E_Q[f(r)] with r = p/q, and for every function T with values in the domain of the conjugate f*,

    D_f(P‖Q) >= E_P[T] - E_Q[f*(T)],  with equality at T = f'(r).

A critic gives a raw score v; T = g(v) maps it into the domain. `harness.bounds` has each of these bounds in a form that is
stable for large scores; here are the pieces: g, f* and the density ratio r that a score stands for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Pointwise = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class FDivergence:
    """A row of the table. All functions are pointwise, on tensors of any shape."""

    f: Pointwise
    """The convex f with f(1) = 0, of a density ratio; GAN's has f(1) = -log 4."""
    output: Pointwise
    """g: a raw score -> T in the domain of f*."""
    conjugate: Pointwise
    """f*, of a T in its domain."""
    density_ratio: Pointwise
    """(f*)'(g(v)): the density ratio p/q that a raw score v says, which is p/q itself for the best critic."""
    threshold: float
    """f'(1): a T above it says that a sample is likelier under P."""

    def bound(self, positive: Tensor, negative: Tensor) -> Tensor:
        """E_P[g(v)] - E_Q[f*(g(v))] by the table's own formulae; `harness.bounds.BOUNDS` has it in a stable form."""
        return self.output(positive).mean() - self.conjugate(self.output(negative)).mean()


F_DIVERGENCES: Mapping[str, FDivergence] = {
    "kl": FDivergence(
        f=lambda r: torch.special.xlogy(r, r),
        output=lambda v: v,
        conjugate=lambda t: torch.exp(t - 1),
        density_ratio=lambda v: torch.exp(v - 1),
        threshold=1.0,
    ),
    "reverse-kl": FDivergence(
        f=lambda r: -torch.log(r),
        output=lambda v: -torch.exp(-v),
        conjugate=lambda t: -1 - torch.log(-t),
        density_ratio=torch.exp,
        threshold=-1.0,
    ),
    "pearson-chi2": FDivergence(
        f=lambda r: (r - 1).square(),
        output=lambda v: v,
        conjugate=lambda t: t.square() / 4 + t,
        density_ratio=lambda v: 1 + v / 2,  # below 0 where v < -2, which no ratio is: the critic is not at its best there
        threshold=0.0,
    ),
    "neyman-chi2": FDivergence(
        f=lambda r: (1 - r).square() / r,
        output=lambda v: -torch.expm1(v),
        conjugate=lambda t: 2 - 2 * torch.sqrt(1 - t),
        density_ratio=lambda v: torch.exp(-v / 2),
        threshold=0.0,
    ),
    "squared-hellinger": FDivergence(
        f=lambda r: (torch.sqrt(r) - 1).square(),
        output=lambda v: -torch.expm1(-v),
        conjugate=lambda t: t / (1 - t),
        density_ratio=lambda v: torch.exp(2 * v),
        threshold=0.0,
    ),
    "jsd": FDivergence(  # twice the Jensen-Shannon divergence
        f=lambda r: torch.special.xlogy(r, r) - (r + 1) * torch.log((r + 1) / 2),
        output=lambda v: math.log(2) + F.logsigmoid(v),
        conjugate=lambda t: -torch.log(2 - torch.exp(t)),
        density_ratio=torch.exp,
        threshold=0.0,
    ),
    "gan": FDivergence(  # twice the Jensen-Shannon divergence less log 4
        f=lambda r: torch.special.xlogy(r, r) - (r + 1) * torch.log(r + 1),
        output=F.logsigmoid,
        conjugate=lambda t: -torch.log(-torch.expm1(t)),
        density_ratio=torch.exp,
        threshold=-math.log(2),
    ),
}
"""The seven rows, by the names that `harness.bounds.BOUNDS` uses."""
