"""`alignment-uniformity`: how near two views of a sample lie, and how evenly samples cover the sphere (Wang and Isola 2020).

    L_align   = E ‖f(x) - f(x⁺)‖²                   x, x⁺ two random views of a test sample (α = 2)
    L_uniform = log E exp(-2 ‖f(x) - f(y)‖²)        x, y two different test samples (t = 2)

with f the feature divided by its length. Alignment needs views and is reported on images; uniformity is judged on the feature as it
was represented, without views, on every track.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from harness import Evaluator, Score, Task
from harness_geometry.samples import judged_samples
from harness_geometry.spec import ALIGNMENT, UNIFORMITY, AlignmentUniformityOptions
from harness_geometry.views import encoded_views

NAME = "alignment-uniformity"
T = 2.0
"""t of L_uniform."""
PAIRS = 1 << 21
"""Pairs looked at together."""


class AlignmentUniformity(Evaluator):
    """Uniformity, and alignment where there are images."""

    def __init__(self, options: AlignmentUniformityOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """The two losses; ± of alignment is over samples. Raises EvaluationError for fewer than two samples."""
        samples = judged_samples(task, task.test, "test", NAME, at_most=self.options.samples)
        points = torch.empty(len(samples), samples.dims, device=task.device)
        for block in samples.blocks():
            points[block] = on_sphere(torch.from_numpy(samples.x(block)).to(task.device))
        scores = [Score(name=UNIFORMITY.name, value=uniformity(points), selected={"samples": len(samples)})]
        assert task.inputs is not None  # the spec needs "inputs"
        if task.inputs.description.kind == "images":
            del points  # as large as the views that are encoded next
            distances = torch.cat([squared_distances(pair) for pair in encoded_views(task, samples, 2, self.options, NAME)])
            value, std = float(distances.mean()), float(distances.std())
            scores.append(Score(name=ALIGNMENT.name, value=value, std=std, over="samples", n=len(distances)))
        return scores


def on_sphere(x: Tensor) -> Tensor:
    """[..., D] float32 -> the same divided by their lengths. A vector of zeros has no direction and stays at zero."""
    # In float64, where no square of a float32 overflows or vanishes.
    return F.normalize(x.double(), dim=-1, eps=torch.finfo(torch.float64).tiny).float()


def squared_distances(pairs: Tensor) -> Tensor:
    """‖f(x) - f(x⁺)‖² of each pair: [b, 2, D] features -> [b] float64, from 0 to 4."""
    first, second = on_sphere(pairs).double().unbind(dim=1)
    return (first - second).square().sum(dim=-1).clamp(max=4.0)  # rounding must not leave the range


def uniformity(points: Tensor) -> float:
    """Logarithm of the mean of exp(-2 ‖x - y‖²) over all pairs of different points, from -8 to 0.

    :param points: [n, D] float32 on the unit sphere, n at least 2.
    """
    n, squares = len(points), points.square().sum(dim=1)
    rows = max(1, PAIRS // n)
    total = torch.zeros((), dtype=torch.float64, device=points.device)
    for start in range(0, n, rows):
        block = slice(start, start + rows)
        # Every pair once: of a block's points with those from its first on, what stands right of the diagonal.
        distances = squares[block, None] + squares[start:] - 2 * points[block] @ points[start:].T
        total += distances.clamp_(min=0.0, max=4.0).double().mul_(-T).exp_().triu_(diagonal=1).sum()
    value = float(torch.log(total / (n * (n - 1) / 2)))
    return min(max(value, -4 * T), 0.0)  # rounding must not leave the range
