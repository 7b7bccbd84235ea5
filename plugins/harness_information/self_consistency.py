"""`self-consistency`: do estimators of mutual information behave on images as mutual information must? (Song and Ermon 2020,
section 5.2)

With X an image and Y its first t rows the exact value is not known, but three things are:

    1  monotone      I(X; Y) rises with t, from 0
    2  processing    I([X, X]; [Y, h(Y)]) / I(X; Y) = 1,   h(Y) being Y without its last rows
    3  additivity    I([X, X']; [Y, Y']) / I(X; Y) = 2,    X' being another image

It judges estimators and looks at no representation. One critic is trained for every bound and problem, all side by side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from harness import EvaluationError, Evaluator, Images, Items, Part, Score, Task
from harness.bounds import off_diagonal
from harness_information.estimators import TRAINED_BY
from harness_information.readings import READINGS, READINGS_OF
from harness_information.spec_evaluators import SelfConsistencyOptions
from harness_information.stacked import stacked_mlp


@dataclass(frozen=True)
class Problem:
    """Two variables made of an image and of another one, x [B, 2 D] and y [B, 2 D]; what is not shown is 0."""

    name: str
    rows: int
    """t: rows that Y shows."""
    second: str = ""
    """"processed" for [X, X] and [Y, h(Y)], "another" for [X, X'] and [Y, Y'], nothing for X and Y alone."""


def problems_of(height: int, options: SelfConsistencyOptions) -> list[Problem]:
    """The problems for images of this height: Y of each share of the rows; of the middle one also the two ratios."""
    shown = sorted({max(1, round(share * height)) for share in options.shares})
    middle = shown[len(shown) // 2]
    return [
        *(Problem(f"rows {rows}", rows) for rows in shown),
        Problem("processing", middle, "processed"),
        Problem("additivity", middle, "another"),
    ]


def variables(problem: Problem, images: Tensor, others: Tensor, dropped: int) -> tuple[Tensor, Tensor]:
    """X and y [B, 2 C H W] of a problem.

    :param images: [B, C, H, W], and `others` as many that are independent of them.
    :param dropped: rows that h takes away.
    """
    hidden = torch.zeros_like(images)
    y = _first_rows(images, problem.rows)
    match problem.second:
        case "processed":
            halves = (images, images), (y, _first_rows(images, max(0, problem.rows - dropped)))
        case "another":
            halves = (images, others), (y, _first_rows(others, problem.rows))
        case _:
            halves = (images, hidden), (y, hidden)
    x_halves, y_halves = (torch.cat([part.flatten(1) for part in half], dim=1) for half in halves)
    return x_halves, y_halves


def _first_rows(images: Tensor, rows: int) -> Tensor:
    shown = torch.zeros_like(images)
    shown[:, :, :rows] = images[:, :, :rows]
    return shown


class StackedCritics(nn.Module):
    """S separable critics side by side: x [P, B, D] and y [P, B, D] of P problems -> scores [S, B, B], S a multiple of P."""

    def __init__(self, problems: int, bounds: int, dims: int, options: SelfConsistencyOptions) -> None:
        super().__init__()
        self.bounds = bounds
        widths = (dims, options.hidden, options.hidden, options.embedding)
        self.of_x, self.of_y = (stacked_mlp(problems * bounds, widths) for _ in range(2))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """scores[b P + p, i, j]: of x_i with y_j of problem p by the critic of bound b."""
        g, h = self.of_x(x.repeat(self.bounds, 1, 1)), self.of_y(y.repeat(self.bounds, 1, 1))
        return torch.bmm(g, h.transpose(1, 2))


class SelfConsistency(Evaluator):
    """Critics of every bound on every problem, trained in one pass and read on the test part."""

    def __init__(self, options: SelfConsistencyOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """For each reading the estimates by rows shown, the largest fall between them, and the two ratios.

        Raises EvaluationError for inputs that are not images, a part smaller than a batch, or critics that diverge.
        """
        assert task.inputs is not None  # the spec needs "inputs"
        shape = task.inputs.description.shape
        if len(shape) != 3:
            raise EvaluationError(f"self-consistency reveals rows of images, and samples here have shape {shape}.")
        for part, name in ((task.train, "training"), (task.test, "test")):
            if len(part) < 2 * self.options.batch_size:
                raise EvaluationError(
                    f"self-consistency joins two batches of {self.options.batch_size} and the {name} part has {len(part)} samples; "
                    "lower evaluator.self-consistency.batch_size."
                )
        problems = problems_of(shape[1], self.options)
        dropped = max(1, round(self.options.dropped * shape[1]))
        generator = task.generator()
        critics = StackedCritics(len(problems), len(self.options.bounds), 2 * math.prod(shape), self.options).to(task.device)
        optimiser = torch.optim.Adam(critics.parameters(), lr=self.options.lr, fused=True)
        drawn = self._batches(task, task.train, generator, forever=True)
        for step, (images, others) in zip(range(self.options.steps), drawn, strict=False):
            task.progress(step, self.options.steps, "steps")
            scores = critics(*_stacked(problems, images, others, dropped))
            bounds = [
                TRAINED_BY[bound](own.diagonal()[:, None], off_diagonal(own))
                for bound, group in zip(self.options.bounds, scores.chunk(len(self.options.bounds)), strict=True)
                for own in group
            ]
            optimiser.zero_grad()
            (-torch.stack(bounds).sum()).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        estimates = self._read(task, critics, problems, dropped, generator)
        if not all(math.isfinite(value) for values in estimates.values() for value in values):
            raise EvaluationError("self-consistency diverged; lower evaluator.self-consistency.lr.")
        return [score for reading, values in estimates.items() for score in _scores(reading, problems, values)]

    @torch.no_grad()
    def _read(
        self, task: Task, critics: StackedCritics, problems: Sequence[Problem], dropped: int, generator: torch.Generator
    ) -> dict[str, list[float]]:
        """For each reading the median over test batches of its estimate of every problem; a batch of NWJ or JS may lie far off."""
        found: dict[str, list[list[Tensor]]] = {}
        for images, others in self._batches(task, task.test, generator, forever=False):
            scores = critics(*_stacked(problems, images, others, dropped)).chunk(len(self.options.bounds))
            for bound, group in zip(self.options.bounds, scores, strict=True):
                for reading in READINGS_OF[bound]:
                    name = reading if reading == bound else f"{reading} of {bound}"
                    values = [READINGS[reading](own.diagonal()[:, None], off_diagonal(own)) for own in group]
                    found.setdefault(name, []).append(values)
        return {name: torch.stack([torch.stack(row) for row in rows]).median(0).values.tolist() for name, rows in found.items()}

    def _batches(self, task: Task, part: Part, generator: torch.Generator, *, forever: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Two batches of different images at a time, epoch after epoch or once."""
        assert task.inputs is not None
        source = task.inputs.subset(part.index).to(task.device)
        while True:
            epoch = source.epoch(Items(), self.options.batch_size, generator)
            batches = (epoch[position].to(task.device) for position in range(len(part) // self.options.batch_size))
            for first, second in zip(batches, batches, strict=False):
                if not isinstance(first, Images):
                    raise EvaluationError(f"self-consistency reveals rows of images, not of a {type(first).__name__}.")
                yield first.pixels, second.pixels
            if not forever:
                return


def _stacked(problems: Sequence[Problem], images: Tensor, others: Tensor, dropped: int) -> tuple[Tensor, Tensor]:
    x, y = zip(*(variables(problem, images, others, dropped) for problem in problems), strict=True)
    return torch.stack(x), torch.stack(y)


def _scores(reading: str, problems: Sequence[Problem], values: Sequence[float]) -> list[Score]:
    """What the estimates of one reading say."""
    alone = [(problem.rows, value) for problem, value in zip(problems, values, strict=True) if not problem.second]
    of_rows = dict(alone)
    falls = [before - after for (_, before), (_, after) in pairwise(alone)]
    scores = [Score(name="estimate", of={"reading": reading, "rows": rows}, value=value) for rows, value in alone]
    scores.append(Score(name="largest_fall", of={"reading": reading}, value=max(0.0, *falls)))
    for problem, value in zip(problems, values, strict=True):
        base = of_rows[problem.rows]
        if problem.second and base > 0:
            scores.append(Score(name=problem.name, of={"reading": reading}, value=value / base))
    return scores
