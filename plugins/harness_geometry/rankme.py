"""`rankme`: the effective rank of the features (Garrido et al. 2023, eq. 1).

    RankMe(Z) = exp(-Σ_k p_k log p_k),   p_k = σ_k(Z) / ‖σ(Z)‖₁ + 10⁻⁷,   k = 1 .. min(n, D)

with σ the singular values of the n x D features as they are: neither centred nor scaled.

They are the square roots of the eigenvalues of ZᵀZ, or of ZZᵀ where there are fewer samples than dimensions, summed over blocks in
float64. That halves the digits: what is below 10⁻⁸ of the largest singular value is lost. It is enough here, because features are
float32, so that singular values below about 6·10⁻⁸ of the largest are their rounding, and because ε keeps shares that small from
counting. The SVD itself of 25,600 x 4,096 takes several times as long and a copy of everything.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness import Evaluator, Score, Task
from harness_geometry.rank import smoothed_rank
from harness_geometry.samples import Samples, judged_samples
from harness_geometry.spec import RankMeOptions


class RankMe(Evaluator):
    """One deterministic answer; there is no spread."""

    def __init__(self, options: RankMeOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """The effective rank and its bound. Raises EvaluationError for fewer than two samples."""
        part, name = (task.train, "training") if self.options.part == "train" else (task.test, "test")
        samples = judged_samples(task, part, name, "rankme", at_most=self.options.samples)
        size = {"samples": len(samples), "dimensions": samples.dims}
        value = smoothed_rank(singular_values(samples, task.device))
        return [
            Score(name="rankme", value=value, split=self.options.part, selected=size),
            Score(name="bound", value=float(min(size.values())), split=self.options.part),
        ]


def singular_values(samples: Samples, device: torch.device) -> Tensor:
    """[min(n, D)] float64, ascending. Holds the smaller of the two Gram matrices, 134 MB for 4,096, and one block of features."""
    n, dims = len(samples), samples.dims
    gram = torch.zeros(min(n, dims), min(n, dims), dtype=torch.float64, device=device)
    if dims <= n:
        for block in samples.blocks():
            x = torch.from_numpy(samples.x(block)).to(device, torch.float64)
            gram.addmm_(x.T, x)
    else:
        for block in samples.column_blocks():
            x = torch.from_numpy(samples.x(columns=block)).to(device, torch.float64)
            gram.addmm_(x, x.T)
    eigenvalues: Tensor = torch.linalg.eigvalsh(gram)
    return eigenvalues.clamp_(min=0).sqrt_()
