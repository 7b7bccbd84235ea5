"""`mlp` and `mlp-paper`: the small net by which Deep InfoMax judges frozen features (Hjelm et al. 2019, and the released code).

    Linear(D -> 200) -> dropout 0.1 -> batch normalisation -> ReLU -> Linear(200 -> classes)

on the flattened feature as it is, by cross-entropy and Adam. Nothing is standardised: the released code does not, and the batch
normalisation after the first layer does it for what that layer makes of the feature. `mlp-paper` reports what the paper does, the
mean test accuracy of the last 100 of 1,000 epochs. `mlp` stops on a validation part and reads the test part once.

Initial weights and dropout come from torch's own random state, which the core seeds for each cell, the order of samples from the
task's generator.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import EvaluationError, Evaluator, Progress, Score, Task
from harness_probes.samples import LabelledRows, fit_and_validation_rows, labelled_rows, require_classes
from harness_probes.spec import FineTuneOptions, MlpOptions, MlpPaperOptions, SmallNetOptions

SCORED = 1024
"""Samples scored at a time."""

Batches = Iterable[tuple[Any, Tensor]]
"""Inputs of a net, and the classes [B] it should say."""


class MlpProbe(Evaluator):
    """The net of the epoch with the best validation accuracy, scored on the test part once."""

    def __init__(self, options: MlpOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """The test accuracy, its mean and spread where there are several restarts; `selected` has the epochs.

        Raises EvaluationError for several binary labels, unfit features, or a net that diverges.
        """
        (fit, validation), test = fit_and_validation_rows(task), labelled_rows(task, task.test, "test")
        require_classes(fit, "mlp")
        drawn, held_out, judged = (FeatureBatches(rows, task.device) for rows in (fit, validation, test))
        generator = task.generator()
        accuracies, epochs = [], []
        for _ in range(self.options.restarts):
            net = small_net(drawn.dims, task.classes, self.options).to(task.device)
            shown = partial(drawn.shuffled, self.options.batch_size, generator)
            epochs.append(train_to_best(net, self.options, shown, held_out.in_order, task.progress))
            require_finite(net, "mlp", task.feature)
            accuracies.append(accuracy(net, judged.in_order()))
        several = len(accuracies) > 1
        return [
            Score(
                name="accuracy",
                value=float(np.mean(accuracies)),
                std=float(np.std(accuracies, ddof=1)) if several else None,
                over="restarts" if several else None,
                n=len(accuracies),
                selected={"epoch": epochs if several else epochs[0]},
            )
        ]


class PaperMlp(Evaluator):
    """The mean over the last epochs of one net. Nothing is chosen by the test part, but it is looked at in each of these epochs."""

    def __init__(self, options: MlpPaperOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """The mean test accuracy; the lowest and the highest one are in `selected`. Epochs of one net are no sample: no spread.

        Raises EvaluationError for several binary labels, unfit features, or a net that diverges.
        """
        train, test = labelled_rows(task, task.train, "training"), labelled_rows(task, task.test, "test")
        require_classes(train, "mlp-paper")
        drawn, judged = FeatureBatches(train, task.device), FeatureBatches(test, task.device)
        net, generator = small_net(drawn.dims, task.classes, self.options).to(task.device), task.generator()
        optimiser = torch.optim.Adam(net.parameters(), lr=self.options.lr, fused=True)
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, self.options.milestones, gamma=0.1)
        accuracies = []
        for epoch in range(self.options.epochs):
            task.progress(epoch, self.options.epochs, "epochs")
            train_epoch(net, optimiser, drawn.shuffled(self.options.batch_size, generator))
            schedule.step()
            if epoch >= self.options.epochs - self.options.averaged:
                accuracies.append(accuracy(net, judged.in_order()))
        require_finite(net, "mlp-paper", task.feature)
        extremes = {"lowest": min(accuracies), "highest": max(accuracies)}
        return [Score(name="accuracy", value=float(np.mean(accuracies)), n=len(accuracies), selected=extremes)]


def small_net(inputs: int, classes: int | None, options: SmallNetOptions) -> nn.Sequential:
    """[B, inputs] -> [B, classes] logits, its layers in the order of the released code."""
    assert classes is not None  # `labelled_rows` refuses a task without
    return nn.Sequential(
        nn.Linear(inputs, options.hidden),
        nn.Dropout(options.dropout),
        nn.BatchNorm1d(options.hidden),
        nn.ReLU(),
        nn.Linear(options.hidden, classes),
    )


class FeatureBatches:
    """Labelled samples of one part as batches ([B, D] float32, [B]) on a device.

    The features are gathered batch by batch. On CUDA they are moved there whole where they take at most half of what is free.
    """

    def __init__(self, samples: LabelledRows, device: torch.device) -> None:
        self.samples, self.device = samples, device
        self.dims = samples.x(slice(1)).shape[1]
        self.y = torch.from_numpy(samples.y).to(device)
        self._whole = self._moved() if device.type == "cuda" else None

    def shuffled(self, batch_size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Every sample once in random order; a single one left over is not drawn, since batch normalisation needs two."""
        order = torch.randperm(len(self.samples), generator=generator, device=generator.device)
        return (self._gather(rows) for rows in torch.split(order, batch_size) if len(rows) > 1)

    def in_order(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every sample once, in large batches."""
        return (self._gather(rows) for rows in torch.split(torch.arange(len(self.samples), device=self.device), SCORED))

    def _gather(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        if self._whole is not None:
            return self._whole[rows], self.y[rows]
        return torch.from_numpy(self.samples.x(rows.cpu().numpy())).to(self.device), self.y[rows]

    def _moved(self) -> Tensor | None:
        n = len(self.samples)
        if 4 * n * self.dims > torch.cuda.mem_get_info(self.device)[0] // 2:
            return None
        whole = torch.empty((n, self.dims), device=self.device)
        for start in range(0, n, SCORED):
            block = slice(start, start + SCORED)
            whole[block] = torch.from_numpy(self.samples.x(block))
        return whole


def train_epoch(net: nn.Module, optimiser: torch.optim.Optimizer, batches: Batches) -> None:
    """One step on the mean cross-entropy of each batch."""
    net.train()
    for inputs, y in batches:
        optimiser.zero_grad()
        F.cross_entropy(net(inputs), y).backward()  # type: ignore[no-untyped-call]
        optimiser.step()


@torch.no_grad()
def accuracy(net: nn.Module, batches: Batches) -> float:
    """Samples whose class the net says in eval mode, in %."""
    net.eval()
    right = torch.cat([net(inputs).argmax(dim=1) == y for inputs, y in batches])
    return 100 * int(right.sum()) / len(right)


def train_to_best(
    net: nn.Module,
    options: MlpOptions | FineTuneOptions,
    drawn: Callable[[], Batches],
    validation: Callable[[], Batches],
    progress: Progress,
) -> int:
    """Train at each learning rate until the validation accuracy no longer rises, the next going on from the best weights so far.

    :param drawn: gives the batches of one epoch.
    :param validation: gives the validation part.
    :returns: the epoch whose weights the net ends with, counted from 1 over all rates: the first with the highest accuracy.
    """
    best, best_epoch, kept, epoch = -1.0, 0, {}, 0
    for lr in options.lr:
        optimiser = torch.optim.Adam(net.parameters(), lr=lr, fused=True)
        stale = 0
        for _ in range(options.epochs):
            progress(epoch, options.epochs * len(options.lr), "epochs")
            train_epoch(net, optimiser, drawn())
            epoch, stale = epoch + 1, stale + 1
            found = accuracy(net, validation())
            if found > best:
                best, best_epoch, kept, stale = found, epoch, copy.deepcopy(net.state_dict()), 0
            if stale == options.patience:
                break
        net.load_state_dict(kept)
    return best_epoch


def require_finite(net: nn.Module, probe: str, feature: str) -> None:
    """Raise EvaluationError where a weight is not finite."""
    if not all(bool(tensor.isfinite().all()) for tensor in net.state_dict().values()):
        raise EvaluationError(f"{probe} diverged on feature {feature!r}; lower evaluator.{probe}.lr.")
