"""`mine`: mutual information of input and representation, by the estimator of Belghazi et al. 2018 (MINE).

A statistics network T(x, y) is trained on pairs of a training sample and its representation to raise

    E_joint[T] - log E_marginal[exp(T)]          (Donsker-Varadhan)

with the gradient's denominator a moving average, the marginal pairs being those of the batch with another's representation. What is
reported is that value on the test part. Deep InfoMax's own network and schedule are lost with its evaluation script; README.md says
what stands in their place, and what the number can and cannot say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from harness import Batch, Description, EvaluationError, Evaluator, Images, Items, Pairs, Score, Task, Vectors
from harness.bounds import mine, moved_log_average
from harness_information.held_out import Standardised, confident_dv, mean_and_deviation, median_scores
from harness_information.spec_evaluators import MineOptions
from harness_information.stacked import StackedConvolutions, StackedLinear, stacked_mlp

IMAGE_UNITS = 256
"""What an image is brought to before it meets the representation."""
SCORED = 512
"""Samples scored at a time."""


class Statistics(nn.Module):
    """R statistics networks T(x, y), side by side.

    An image is brought to 256 units by convolutions, any other input is taken as it is. The first layer on both is taken apart,
    W [x, y] = Wx x + Wy y, so that a sample's two halves are computed once for all pairs that it stands in.

    :param x_shape: of one input, three numbers for an image.
    """

    def __init__(self, x_shape: tuple[int, ...], y_dims: int, options: MineOptions) -> None:
        super().__init__()
        stack = options.restarts
        image = len(x_shape) == 3
        self.trunk = StackedConvolutions(stack, cast(Any, x_shape), options.width, IMAGE_UNITS) if image else nn.Flatten()
        x_dims = IMAGE_UNITS if image else math.prod(x_shape)
        bound = 1 / math.sqrt(x_dims + y_dims)
        self.of_x = StackedLinear(stack, x_dims, options.hidden, bound=bound)
        self.of_y = StackedLinear(stack, y_dims, options.hidden, bias=False, bound=bound)
        self.head = stacked_mlp(stack, (options.hidden, options.hidden // 4, 1))

    def halves(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Of inputs [B, ...] and representations [B, D], what each brings to the joint layer, [R, B, hidden] each."""
        return self.of_x(self.trunk(x)), self.of_y(y)

    def forward(self, of_x: Tensor, of_y: Tensor) -> Tensor:
        """[R, B]: T of pairs, from the halves of their samples."""
        return cast(Tensor, self.head((of_x + of_y).relu())).squeeze(-1)


class Mine(Evaluator):
    """Several statistics networks trained in one pass and read on the test part."""

    def __init__(self, options: MineOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """The estimate in nats, its upper confidence limit, and what it cannot exceed to mean anything.

        Raises EvaluationError for fewer training samples than a batch, fewer than two test samples, inputs that are neither
        images nor vectors, or a network that diverges.
        """
        if len(task.train) < self.options.batch_size:
            raise EvaluationError(
                f"mine draws batches of {self.options.batch_size} and the training part has {len(task.train)} samples; lower "
                "evaluator.mine.batch_size."
            )
        if len(task.test) <= self.options.shifts:
            raise EvaluationError(
                f"mine joins each test sample with {self.options.shifts} others and the test part has {len(task.test)}; lower "
                "evaluator.mine.shifts."
            )
        scale = mean_and_deviation(task.train)
        train, test = (Standardised(part, *scale, task.device) for part in (task.train, task.test))
        assert task.inputs is not None  # the spec needs "inputs"
        network = Statistics(input_shape(task.inputs.description), len(scale[0]), self.options).to(task.device)
        trainer, generator = _Trainer(network, self.options), task.generator()
        for step, batch in zip(range(self.options.steps), self._drawn(task, generator), strict=False):
            task.progress(step, self.options.steps, "steps")
            trainer.step(inputs_of(batch), train.of(batch), drawn_shifts(len(batch), self.options.marginals, generator))
        found = self._read(task, network, test, generator)
        if not all(math.isfinite(number) for pair in found for number in pair):
            raise EvaluationError(f"mine diverged on feature {task.feature!r}; lower evaluator.mine.lr.")
        return [*median_scores(found, "information", "upper_limit"), Score(name="cap", value=math.log(len(task.test)))]

    def _drawn(self, task: Task, generator: torch.Generator) -> Iterator[Batch]:
        """Full batches of the training part's inputs, epoch after epoch."""
        assert task.inputs is not None
        source = task.inputs.subset(task.train.index).to(task.device)
        while True:
            epoch = source.epoch(Items(), self.options.batch_size, generator)
            for position in range(len(epoch)):
                batch = epoch[position].to(task.device)
                if len(batch) == self.options.batch_size:
                    yield batch

    @torch.no_grad()
    def _read(self, task: Task, network: Statistics, test: Standardised, generator: torch.Generator) -> list[tuple[float, float]]:
        """Value and upper limit of each restart on the test part."""
        assert task.inputs is not None
        halves = [
            network.halves(inputs_of(moved), test.of(moved))
            for batch in task.inputs.subset(task.test.index).in_order(SCORED)
            for moved in (batch.to(task.device),)
        ]
        of_x, of_y = (torch.cat(parts, dim=1) for parts in zip(*halves, strict=True))
        n = of_x.shape[1]
        shifts = drawn_shifts(n, self.options.shifts, generator)

        def scores(shift: int) -> Tensor:
            pieces = (slice(start, start + SCORED) for start in range(0, n, SCORED))
            other = of_y.roll(-shift, dims=1)
            return torch.cat([network(of_x[:, rows], other[:, rows]) for rows in pieces], dim=1)

        positive, negative = scores(0), torch.stack([scores(shift) for shift in shifts.tolist()], dim=-1)
        return [confident_dv(own, others) for own, others in zip(positive, negative, strict=True)]


class _Trainer:
    """Adam on all restarts at once, its rate falling along a half cosine; each restart has its own moving average."""

    def __init__(self, network: Statistics, options: MineOptions) -> None:
        self.network, self.options = network, options
        self.optimiser = torch.optim.Adam(network.parameters(), lr=options.lr, fused=True)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, options.steps)
        self.log_averages = [torch.zeros((), device=next(network.parameters()).device) for _ in range(options.restarts)]

    def step(self, x: Tensor, y: Tensor, shifts: Tensor) -> None:
        """One step: each sample with its own representation, and with those of the samples `shifts` [K] places on in the batch."""
        of_x, of_y = self.network.halves(x, y)
        others = (torch.arange(len(x), device=x.device)[:, None] + shifts.to(x.device)) % len(x)
        positive = self.network(of_x, of_y)
        negative = self.network(of_x.repeat_interleave(len(shifts), dim=1), of_y[:, others.flatten()])
        self.log_averages = [
            moved_log_average(average, scores.detach(), self.options.rate)
            for average, scores in zip(self.log_averages, negative, strict=True)
        ]
        bounds = [mine(*scores) for scores in zip(positive, negative, self.log_averages, strict=True)]
        self.optimiser.zero_grad()
        (-torch.stack(bounds).sum()).backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.schedule.step()


def drawn_shifts(n: int, count: int, generator: torch.Generator) -> Tensor:
    """`count` different ones of 1..n-1, or all of them: so many places on, n samples in a ring never meet themselves."""
    return 1 + torch.randperm(n - 1, generator=generator, device=generator.device)[:count]


def input_shape(description: Description) -> tuple[int, ...]:
    """Shape of one X: (channels, height, width) of images, (dimensions,) of vectors and of the "x" of pairs."""
    return description.shape[:1] if description.kind == "pairs" else description.shape


def inputs_of(batch: Batch) -> Tensor:
    """What X is: images [B, C, H, W], vectors [B, D], or the "x" of pairs. Raises EvaluationError for any other kind of batch."""
    match batch:
        case Images():
            return batch.pixels
        case Vectors():
            return batch.values
        case Pairs():
            return batch.x
    raise EvaluationError(f"mine estimates the information about images, vectors and pairs, not about a {type(batch).__name__}.")
