"""`logistic`: the linear probe of Deep Graph Infomax (Veličković et al. 2019), as its authors released it.

Softmax regression on the frozen feature, which is not normalised: weight Xavier-uniform, bias zero; 100 full-batch steps of Adam
at rate 0.01 on the mean cross-entropy, no weight decay; test accuracy of the last iterate; mean and sample standard deviation
over 50 fresh initialisations. For K binary labels: mean binary cross-entropy, threshold ½, micro-F1. `logistic-standardised` is the
same on features standardised by column.

All probes are one computation. They stand side by side in one [D, C·P] matrix. The gradient of the sum of their losses is each
probe's own gradient in its own columns, and Adam treats every number by itself, so these are exactly P independent fits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness import EvaluationError, Evaluator, Score, Task
from harness_probes.samples import labelled_samples, metric_name, score_predictions
from harness_probes.spec import LogisticOptions

MEMORY = 1 << 28
"""Numbers held at a time; more probes than fit are trained one group after the other."""


class LogisticProbes(Evaluator):
    """Reports the mean over initialisations; `std` is their spread, not that over encoders."""

    def __init__(self, options: LogisticOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """One score over all probes. Raises EvaluationError for features that are unfit or make the probes diverge."""
        train, test = labelled_samples(task, task.train, "training"), labelled_samples(task, task.test, "test")
        outputs = task.classes if train.y.ndim == 1 else train.y.shape[1]
        assert outputs is not None
        train_x, test_x = standardised(train.x, test.x) if self.options.standardise else (train.x, test.x)
        # torch.tensor copies: features may be read-only, which torch cannot express.
        x, y = torch.tensor(train_x, device=task.device), torch.tensor(train.y, device=task.device)
        generator = task.generator()
        scores: list[NDArray[np.float64]] = []
        for probes in _groups(self.options.probes, len(train.x), x.shape[1], outputs):
            weight = torch.stack([xavier_uniform(outputs, x.shape[1], generator) for _ in range(probes)])
            weight, bias = train_probes(x, y, weight, self.options.steps, self.options.lr)
            if not (weight.isfinite().all() and bias.isfinite().all()):
                raise EvaluationError(f"The logistic probes diverged on feature {task.feature!r}; lower evaluator.logistic.lr.")
            scores.append(score_predictions(predict(test_x, weight, bias, multi_label=test.multi_label), test.y))
        values = np.concatenate(scores)
        std = float(values.std(ddof=1)) if len(values) > 1 else None
        return [Score(name=metric_name(test), value=float(values.mean()), std=std, over="probes", n=len(values))]


def standardised(train: NDArray[np.float32], test: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Both parts with the mean of every column of `train` subtracted, divided by its deviation; that of a constant column is 1."""
    mean, deviation = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    scale = np.where(deviation > 0, deviation, 1.0)
    return ((train - mean) / scale).astype(np.float32), ((test - mean) / scale).astype(np.float32)


def xavier_uniform(outputs: int, inputs: int, generator: torch.Generator) -> Tensor:
    """[outputs, inputs] weight of one linear layer, U(±√(6 / (inputs + outputs))) (Glorot & Bengio 2010, eq. 16)."""
    bound = math.sqrt(6 / (inputs + outputs))
    return torch.empty(outputs, inputs, device=generator.device).uniform_(-bound, bound, generator=generator)


def train_probes(x: Tensor, y: Tensor, weight: Tensor, steps: int, lr: float) -> tuple[Tensor, Tensor]:
    """Train P probes from the given weights and zero biases.

    :param x: [n, D] features.
    :param y: [n] int64 classes, or [n, K] bool.
    :param weight: [P, C, D] initial weights, one `torch.nn.Linear(D, C).weight` per probe; C is K for binary labels.
    :param steps: full-batch steps.
    :param lr: Adam's learning rate.
    :returns: trained weights [P, C, D] and biases [P, C].
    """
    probes, outputs, inputs = weight.shape
    n = len(x)
    # Columns are ordered (class, probe), so that softmax over classes runs along contiguous probes.
    W = weight.permute(2, 1, 0).reshape(inputs, outputs * probes).contiguous()
    b = W.new_zeros(outputs * probes)
    if y.ndim == 1:
        target = torch.nn.functional.one_hot(y, outputs).to(x.dtype).unsqueeze(2)
        mean_over = n
    else:
        target = y.to(x.dtype).unsqueeze(2)
        mean_over = n * outputs
    optimiser = torch.optim.Adam([W, b], lr=lr, fused=True)
    xT = x.T.contiguous() / mean_over
    for _ in range(steps):
        logits = torch.addmm(b, x, W).view(n, outputs, probes)
        # The gradient of either cross-entropy with respect to its logits is (probability - target) / count.
        residual = torch.softmax(logits, dim=1) if y.ndim == 1 else torch.sigmoid(logits)
        residual = residual.sub_(target).view(n, outputs * probes)
        W.grad = xT @ residual
        b.grad = residual.sum(dim=0) / mean_over
        optimiser.step()
    trained = W.view(inputs, outputs, probes).permute(2, 1, 0)
    return trained, b.view(outputs, probes).T


def predict(x: NDArray[np.float32], weight: Tensor, bias: Tensor, *, multi_label: bool) -> NDArray[np.int64] | NDArray[np.bool_]:
    """What P probes say of n samples: [P, n] classes, or with `multi_label` [P, n, K] bool (probability above ½).

    :param x: [n, D] features.
    :param weight: [P, C, D].
    :param bias: [P, C].
    """
    probes, outputs, inputs = weight.shape
    W, b = weight.reshape(probes * outputs, inputs).T, bias.reshape(probes * outputs)
    rows = max(1, MEMORY // 4 // (probes * outputs + inputs))
    said: list[Tensor] = []
    for start in range(0, len(x), rows):
        logits = torch.addmm(b, torch.tensor(x[start : start + rows], device=W.device), W).view(-1, probes, outputs)
        said.append((logits > 0 if multi_label else logits.argmax(dim=2)).cpu())
    predicted: NDArray[np.int64] | NDArray[np.bool_] = torch.cat(said).transpose(0, 1).numpy()
    return predicted


def _groups(probes: int, n: int, inputs: int, outputs: int) -> Iterator[int]:
    """Sizes of the groups of probes trained together, so that logits, weights and Adam's state stay within `MEMORY` numbers."""
    each = outputs * (3 * n + 5 * inputs)
    size = min(probes, max(1, MEMORY // each))
    return (min(size, probes - start) for start in range(0, probes, size))
