"""`lidar`: the effective rank of what tells samples apart whatever their view (Thilak et al. 2023, eqs. 1-4).

Every sample is a class, and its q random views are the members of it. With z_ij the feature of view j of sample i, m_i its mean
over views and m the mean over all,

    Σ_b = 1/(n-1) Σ_i (m_i - m)(m_i - m)ᵀ                    between samples
    Σ_w = 1/(n(q-1)) Σ_ij (z_ij - m_i)(z_ij - m_i)ᵀ + δ I    within samples, over their views
    LiDAR = exp(-Σ_k p_k log p_k),   p_k = λ_k / ‖λ‖₁ + 10⁻⁷,   λ the D eigenvalues of Σ_w^-½ Σ_b Σ_w^-½

The eigenvalues are those of L⁻¹ Σ_b L⁻ᵀ with Σ_w = L Lᵀ, a similar matrix, whose factor L⁻¹ (m_i - m) is D x n: of its two Gram
matrices the smaller one is decomposed. All of it in float64.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from harness import EvaluationError, Evaluator, Score, Task
from harness_geometry.rank import smoothed_rank
from harness_geometry.samples import judged_samples
from harness_geometry.spec import LidarOptions
from harness_geometry.views import encoded_views

DELTA = 1e-4
"""δ, what keeps the covariance within samples invertible."""


class Lidar(Evaluator):
    """One number for one draw of views; there is no spread."""

    def __init__(self, options: LidarOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """The effective rank and its bound.

        Raises EvaluationError for data without images, or fewer than two samples.
        """
        samples = judged_samples(task, task.train, "training", "lidar", at_most=self.options.samples)
        views = encoded_views(task, samples, self.options.views, self.options, "lidar")
        value = smoothed_rank(discriminant_spectrum(views, samples.dims, task.device))
        size = {"samples": len(samples), "views": self.options.views, "dimensions": samples.dims}
        return [
            Score(name="lidar", value=value, split="train", selected=size),
            Score(name="bound", value=float(min(len(samples) - 1, samples.dims)), split="train"),
        ]


def discriminant_spectrum(blocks: Iterable[Tensor], dims: int, device: torch.device) -> Tensor:
    """The eigenvalues of Σ_w^-½ Σ_b Σ_w^-½: [D] float64. Holds Σ_w and its factor, 134 MB each for 4,096 dimensions.

    :param blocks: [b, q, D] features on `device` of q views of b samples each, two samples or more in all.
    :raises EvaluationError: all samples have the same mean, or the covariance within samples cannot be inverted in float64.
    """
    means, within, freedom = [], torch.zeros(dims, dims, dtype=torch.float64, device=device), 0
    for block in blocks:
        mean = block.double().mean(dim=1)
        residuals = (block - mean[:, None]).flatten(end_dim=1)
        within.addmm_(residuals.T, residuals)
        means.append(mean)
        freedom += len(residuals) - len(mean)
    within.div_(freedom).diagonal().add_(DELTA)
    between = torch.cat(means)
    between -= between.mean(dim=0)
    n = len(between)
    factor, failure = torch.linalg.cholesky_ex(within)
    # What is left of a dimension when those before it are known, as a share of its variance; below the rounding it is noise.
    left = (factor.diagonal().square() / within.diagonal()).min()
    if int(failure) or float(left) < dims * torch.finfo(torch.float64).eps:
        largest = float(within.diagonal().max())
        raise EvaluationError(
            f"lidar cannot invert the covariance of views: {DELTA} is lost beside variances of up to {largest:.2g}."
        )
    whitened = torch.linalg.solve_triangular(factor, between.T, upper=False)  # [D, n]
    gram = whitened @ whitened.T if dims <= n else whitened.T @ whitened
    eigenvalues = torch.linalg.eigvalsh(gram).clamp_(min=0) / (n - 1)
    if not float(eigenvalues.sum()) > 0:
        raise EvaluationError("The views of every sample have the same mean, which leaves lidar nothing to judge.")
    return F.pad(eigenvalues, (0, dims - len(eigenvalues)))  # the others are zero
