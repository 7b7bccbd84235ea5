"""Linear classifiers of many variables on the same features, trained side by side as one computation.

Each is `torch.nn.Linear` trained by cross-entropy and Adam, its learning rate lowered where the validation accuracy no longer rises
(as torch's `ReduceLROnPlateau` does) and stopped after some more such epochs: a rate and an end of its own for each. The classes of
all probes are the rows of one matrix [C, D]. A step is one product for the logits, a softmax by probe, one product for the gradient

    dW = (p - onehot)ᵀ X / B,

which needs no graph since nothing below is trained, and Adam in place. The gradient of a probe's loss stands in the probe's own
rows, and Adam treats every number by itself, so these are exactly V independent fits on the same batches. A probe that has ended is
taken out of the matrix and costs nothing from then on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.adam import adam

from harness import Progress, no_progress

EPS = 1e-5
"""Adam's."""
FACTOR = 0.2
"""What a plateau multiplies the rate by."""
PLATEAU = 5
"""Epochs in a row without a higher validation accuracy that a rate outlasts; the next one ends it."""
THRESHOLD = 1e-4
"""Relative rise below which an accuracy is no higher, for the rate alone."""
LOWEST = 1e-5
"""Rate that no plateau goes below."""
SMALLEST_CHANGE = 1e-8
"""Difference of rates below which the rate stays as it is."""

GROUP = {"cpu": 2, "cuda": 1 << 20}
"""Rows that cost as much as one more group of probes does. On CUDA calls cost more than rows, so that there is one group."""
ALIGNED = 8
"""Columns are filled up to a multiple of it: an odd number of them slows the product for the gradient down by a tenth."""
SCORED = 256
"""Samples scored at a time."""

Linear = tuple[Tensor, Tensor]
"""Weight [K, D] and bias [K] of one probe."""
Judged = Literal["best", "last"]
"""Which epoch's weights are judged: those of the highest validation accuracy, of equals the first, or those it ended with."""


@dataclass(frozen=True)
class Samples:
    """Samples with a target for each of V probes."""

    take: Callable[[Tensor], Tensor]
    """Row numbers [b] -> features [b, D], a floating type, on the probes' device."""
    targets: Tensor
    """[V, n] int64 on the device: the class, from 0, in its probe; -1 where the probe has no such class, not in training."""


@dataclass(frozen=True)
class Training:
    """How long each probe trains, how, and what is judged."""

    lr: float
    """Adam's learning rate at first."""
    epochs: int
    """At most."""
    batch_size: int
    patience: int
    """A probe ends after this many epochs in a row without a higher validation accuracy."""
    judged: Judged = "best"


@dataclass(frozen=True)
class Trained:
    """Probes, trained."""

    probes: list[Linear]
    epoch: NDArray[np.int64]
    """[V] the epoch of these weights, from 1."""
    epochs: NDArray[np.int64]
    """[V] how many were trained."""


def initial_probes(
    classes: Sequence[int], dims: int, generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> list[Linear]:
    """Weights and biases as `torch.nn.Linear` draws them: uniform between ±1 / √dims.

    :param classes: how many each probe has.
    :returns: on the generator's device.
    """
    bound = 1 / math.sqrt(dims)
    drawn = torch.empty(sum(classes), dims + 1, dtype=dtype, device=generator.device).uniform_(-bound, bound, generator=generator)
    return [(rows[:, :dims], rows[:, dims]) for rows in torch.split(drawn, list(classes))]


@torch.no_grad()
def train_probes(
    initial: Sequence[Linear],
    train: Samples,
    validation: Samples,
    training: Training,
    draw: Callable[[], Tensor],
    held_out: Callable[[], Tensor],
    progress: Progress = no_progress,
) -> Trained:
    """Train V probes.

    :param initial: they begin with these.
    :param draw: gives the rows of `train` that one epoch shows, in order; its last batch has what is left over.
    :param held_out: gives the rows of `validation` that the next epoch is judged by.
    :param progress: told before each epoch how many are done.
    """
    plan, stack = Plan(len(initial), training), Stack.of(initial)
    probes, live = list(initial), np.arange(len(initial))
    for epoch in range(1, training.epochs + 1):
        progress(epoch - 1, training.epochs, "epochs")
        stack.set_rates(plan.lr[live])
        stack.epoch(train, draw(), live, training.batch_size)
        better, goes_on = plan.judge(live, stack.accuracy(validation, held_out(), live))
        if epoch == training.epochs:
            goes_on[:] = False
        for place in np.flatnonzero(better if training.judged == "best" else ~goes_on).tolist():
            probes[live[place]] = stack.probe(place)
        if not goes_on.any():
            break
        if not goes_on.all():
            live, stack = live[goes_on], stack.reduced(np.flatnonzero(goes_on))
    return Trained(probes, plan.best_epoch if training.judged == "best" else plan.epochs, plan.epochs)


class Plan:
    """The learning rate of each probe, its best epoch and its end, by its validation accuracies."""

    def __init__(self, probes: int, training: Training) -> None:
        self.patience = training.patience
        self.lr = np.full(probes, training.lr)
        """[V] for the next epoch."""
        self.best_epoch = np.zeros(probes, np.int64)
        """[V] the first with the highest accuracy, from 1."""
        self.epochs = np.zeros(probes, np.int64)
        """[V] judged so far."""
        # Two memories: an end asks for any rise at all, a rate for one that is larger than a threshold.
        self._best, self._stale = np.full(probes, -math.inf), np.zeros(probes, np.int64)
        self._higher, self._flat = np.full(probes, -math.inf), np.zeros(probes, np.int64)

    def judge(self, live: NDArray[np.intp], accuracy: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Look at one more epoch.

        :param live: [L] the probes that it trained.
        :param accuracy: [L] theirs on the validation part.
        :returns: [L] which are better than ever, and [L] which go on.
        """
        self.epochs[live] += 1
        better = accuracy > self._best[live]
        self._best[live[better]] = accuracy[better]
        self.best_epoch[live[better]] = self.epochs[live[better]]
        self._stale[live] = np.where(better, 0, self._stale[live] + 1)

        higher = accuracy > self._higher[live] * (1 + THRESHOLD)
        self._higher[live[higher]] = accuracy[higher]
        self._flat[live] = np.where(higher, 0, self._flat[live] + 1)
        over = live[self._flat[live] > PLATEAU]
        self._flat[over] = 0
        lower = np.maximum(self.lr[over] * FACTOR, LOWEST)
        self.lr[over] = np.where(self.lr[over] - lower > SMALLEST_CHANGE, lower, self.lr[over])
        return better, self._stale[live] < self.patience


@dataclass(frozen=True)
class _Buffers:
    """What is computed for a number of samples is written into these."""

    x: Tensor
    """[b, columns] features, a one for the bias, and zeros."""
    logits: Tensor
    """[C, b]."""
    residual: Tensor
    """[C, b] the gradient of the loss with respect to the logits."""
    by_group: list[tuple[Tensor, Tensor]]
    """`logits` and `residual` of each group, [probes, classes, b]."""
    minus_one: Tensor
    """[V, b]."""


@dataclass(frozen=True)
class _Update:
    """Adam's update of all rows of one rate: what `torch.optim.Adam` calls, without its bookkeeping.

    Rows that do not stand side by side are different entries of each list.
    """

    lr: float
    weights: list[Tensor]
    gradients: list[Tensor]
    means: list[Tensor]
    squares: list[Tensor]
    steps: list[Tensor]

    def __call__(self) -> None:
        """In place."""
        adam(
            self.weights, self.gradients, self.means, self.squares, [], self.steps,
            fused=True, amsgrad=False, beta1=0.9, beta2=0.999, lr=self.lr, weight_decay=0.0, eps=EPS, maximize=False,
        )  # fmt: skip


class Stack:
    """Probes side by side, with what Adam remembers of them.

    A probe is a block [3, K, columns]: its weights, the running means of their gradient and those of its square. Columns are the D
    of the weight, one for the bias, and empty ones. Probes with nearly as many classes stand in one group, in which all are filled
    up to the largest by classes that never are.

    :param blocks: one for each probe.
    :param dims: D.
    :param steps: of Adam so far.
    """

    def __init__(self, blocks: Sequence[Tensor], dims: int, steps: int = 0) -> None:
        self.dims, self.steps = dims, steps
        self.sizes = [block.shape[1] for block in blocks]
        columns, device = blocks[0].shape[2], blocks[0].device
        self._groups = grouped(self.sizes, GROUP.get(device.type, GROUP["cpu"]))
        widths = [max(self.sizes[probe] for probe in group) for group in self._groups]
        rows = sum(len(group) * width for group, width in zip(self._groups, widths, strict=True))
        self.state = blocks[0].new_zeros(3, rows, columns)
        # A class that never is has the logit -∞ whatever the features are: no probability, no gradient.
        self.state[0, :, dims] = -math.inf
        self.first = [0] * len(blocks)
        """The row of each probe's class 0."""
        self._spans = []  # (first row, row after the last, probes, classes) of each group
        row = 0
        for group, width in zip(self._groups, widths, strict=True):
            self._spans.append((row, row + len(group) * width, len(group), width))
            for probe in group:
                self.first[probe] = row
                self.state[:, row : row + self.sizes[probe]] = blocks[probe]
                row += width
        self._weight, self._gradient = self.state[0], torch.zeros_like(self.state[0])
        self._offset = torch.tensor(self.first, device=device)[:, None]
        self._place = torch.tensor([probe for group in self._groups for probe in group], device=device).argsort()
        self._buffers: dict[int, _Buffers] = {}
        self._lr: NDArray[np.float64] | None = None
        self._updates: list[_Update] = []

    @classmethod
    def of(cls, probes: Sequence[Linear]) -> Stack:
        """A stack of probes that Adam has not stepped yet."""
        dims = probes[0][0].shape[1]
        columns = -(-(dims + 1) // ALIGNED) * ALIGNED
        blocks = []
        for weight, bias in probes:
            block = weight.new_zeros(3, len(weight), columns)
            block[0, :, :dims], block[0, :, dims] = weight, bias
            blocks.append(block)
        return cls(blocks, dims)

    def reduced(self, probes: NDArray[np.intp]) -> Stack:
        """A stack of some of them, as they are."""
        return Stack([self._block(probe) for probe in probes], self.dims, self.steps)

    def probe(self, probe: int) -> Linear:
        """Weight and bias of one; a copy."""
        weights = self._block(probe)[0].clone()
        return weights[:, : self.dims], weights[:, self.dims]

    def _block(self, probe: int) -> Tensor:
        return self.state[:, self.first[probe] : self.first[probe] + self.sizes[probe]]

    def set_rates(self, lr: NDArray[np.float64]) -> None:
        """Give each probe its learning rate [V]."""
        if self._lr is not None and np.array_equal(lr, self._lr):
            return
        self._lr = lr.copy()
        # Rows of one rate that stand side by side are one parameter to Adam; it steps every number by itself, however they are cut.
        order = [probe for group in self._groups for probe in group]
        starts = [i for i, probe in enumerate(order) if i == 0 or lr[probe] != lr[order[i - 1]]]
        ends = [self.first[order[i]] for i in starts[1:]] + [len(self._weight)]
        pieces: dict[float, list[slice]] = {}
        for i, end in zip(starts, ends, strict=True):
            pieces.setdefault(float(lr[order[i]]), []).append(slice(self.first[order[i]], end))
        self._updates = [
            _Update(
                rate,
                [self._weight[rows] for rows in slices],
                [self._gradient[rows] for rows in slices],
                [self.state[1, rows] for rows in slices],
                [self.state[2, rows] for rows in slices],
                [torch.tensor(float(self.steps), device=self.state.device) for _ in slices],
            )
            for rate, slices in pieces.items()
        ]

    def epoch(self, samples: Samples, rows: Tensor, live: NDArray[np.intp], batch_size: int) -> None:
        """Step through these rows of `samples`, batch by batch.

        :param live: [V] which of the samples' targets are those of the stack's probes.
        """
        targets = self._offset + samples.targets[torch.from_numpy(live).to(rows.device)[:, None], rows]
        for batch, said in zip(torch.split(rows, batch_size), torch.split(targets, batch_size, dim=1), strict=True):
            self.step(samples.take(batch), said)

    def step(self, x: Tensor, targets: Tensor) -> None:
        """One step of every probe.

        :param x: [b, D] features.
        :param targets: [V, b] the rows of the true classes.
        """
        buffers = self._logits(x)
        for logits, residual in buffers.by_group:
            torch.softmax(logits, dim=1, out=residual)
        buffers.residual.scatter_add_(0, targets, buffers.minus_one)
        torch.addmm(self._gradient, buffers.residual, buffers.x, beta=0, alpha=1 / len(x), out=self._gradient)
        for update in self._updates:
            update()
        self.steps += 1

    def accuracy(self, samples: Samples, rows: Tensor, live: NDArray[np.intp]) -> NDArray[np.float64]:
        """[V] the share of these rows for which no class has a larger logit than the true one.

        The largest logit is found ten times as quickly as the class that has it. Two classes with equal logits both count.

        :param live: [V] which of the samples' targets are those of the stack's probes.
        """
        chosen = torch.from_numpy(live).to(rows.device)[:, None]
        right = torch.zeros(len(live), dtype=torch.int64, device=rows.device)
        for some in torch.split(rows, SCORED):
            buffers, targets = self._logits(samples.take(some)), samples.targets[chosen, some]
            largest = torch.cat([logits.amax(dim=1) for logits, _ in buffers.by_group])[self._place]
            own = buffers.logits.gather(0, self._offset + targets.clamp_min(0))
            right += ((own == largest) & (targets >= 0)).sum(dim=1)
        shares: NDArray[np.float64] = right.cpu().numpy() / len(rows)
        return shares

    def predict(self, take: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """[V, b] int64 the class with the largest logit, of equals the first, for each of the rows [b]."""
        said = []
        for some in torch.split(rows, SCORED):
            buffers = self._logits(take(some))
            said.append(torch.cat([logits.argmax(dim=1) for logits, _ in buffers.by_group])[self._place])
        return torch.cat(said, dim=1)

    def _logits(self, x: Tensor) -> _Buffers:
        buffers = self._buffers.get(len(x)) or self._buffers.setdefault(len(x), self._new_buffers(len(x)))
        buffers.x[:, : self.dims] = x
        torch.mm(self._weight, buffers.x.T, out=buffers.logits)
        return buffers

    def _new_buffers(self, samples: int) -> _Buffers:
        rows, columns = self._weight.shape
        x = self._weight.new_zeros(samples, columns)
        x[:, self.dims] = 1
        logits, residual = self._weight.new_empty(2, rows, samples)

        def of_group(of: Tensor, span: tuple[int, int, int, int]) -> Tensor:
            start, end, probes, classes = span
            return of[start:end].view(probes, classes, samples)

        by_group = [(of_group(logits, span), of_group(residual, span)) for span in self._spans]
        minus_one = self._weight.new_full((1, 1), -1.0).expand(len(self.sizes), samples)
        return _Buffers(x, logits, residual, by_group, minus_one)


@torch.no_grad()
def predict(probes: Sequence[Linear], take: Callable[[Tensor], Tensor], rows: Tensor) -> NDArray[np.int64]:
    """[V, b]: the class that each probe says of each of the rows [b]."""
    said: NDArray[np.int64] = Stack.of(probes).predict(take, rows).cpu().numpy()
    return said


def grouped(sizes: Sequence[int], group: int) -> list[list[int]]:
    """Cut probes into groups, in each of which all are filled up to the largest, with the fewest rows in all.

    :param sizes: classes of each probe.
    :param group: rows that one more group is worth.
    :returns: the probes of each group; larger ones come first.
    """
    order = sorted(range(len(sizes)), key=lambda probe: -sizes[probe])
    # cheapest[j]: rows of the best cut of the first j, and where its last group begins.
    cheapest = [(0, 0)]
    for end in range(1, len(order) + 1):
        cheapest.append(min((cheapest[start][0] + (end - start) * sizes[order[start]] + group, start) for start in range(end)))
    groups: list[list[int]] = []
    end = len(order)
    while end:
        start = cheapest[end][1]
        groups.insert(0, order[start:end])
        end = start
    return groups
