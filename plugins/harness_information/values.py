"""`mi-value` and `staircase`: estimates of mutual information beside the exact value."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from harness import EvaluationError, Evaluator, Score, Task
from harness_information.estimators import Trace
from harness_information.readings import READINGS, READINGS_OF
from harness_information.spec_estimators import MutualInformationValueOptions, StaircaseReadingOptions


class MutualInformationValue(Evaluator):
    """The scores of the test part read in nats: all of them at once, and block by block for the spread."""

    def __init__(self, options: MutualInformationValueOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """For each reading the estimate, its error and its bias.

        Raises EvaluationError for a feature that is not scores, fewer rows than two blocks, or a data set without the exact value.
        """
        scores = torch.from_numpy(np.array(task.test.features, dtype=np.float32))
        if scores.ndim != 2 or scores.shape[1] < 2:
            raise EvaluationError(f"mi-value reads a critic's scores [N, candidates]; feature {task.feature!r} is none.")
        if len(scores) < 2 * self.options.block:
            raise EvaluationError(
                f"mi-value needs two blocks of {self.options.block} rows for a spread and has {len(scores)} rows; lower "
                "evaluator.mi-value.block."
            )
        truth = _truth(task, "mutual_information")
        trace = task.modules.get("trace")
        fitting = READINGS_OF[trace.bound] if isinstance(trace, Trace) else tuple(READINGS)
        found: list[Score] = []
        for name in self.options.readings or fitting:
            value = float(READINGS[name](scores[:, :1], scores[:, 1:]))
            if not math.isfinite(value):  # the exponential of NWJ or JS overflowed, which says nothing of the other readings
                continue
            blocks = [float(READINGS[name](rows[:, :1], rows[:, 1:])) for rows in torch.split(scores, self.options.block)]
            spread = float(np.std(blocks, ddof=1))
            found += _compared({"reading": name}, value, truth)
            found.append(Score(name="estimate", of={"reading": name}, value=value, std=spread, over="samples", n=len(blocks)))
        if not found:
            raise EvaluationError(
                "The estimate is not a number: an exponential of the scores overflows, as NWJ's may on heavy tails."
            )
        return found


class StaircaseReading(Evaluator):
    """Medians, means and spreads of the trace's estimates over the last steps of each level."""

    def __init__(self, options: StaircaseReadingOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """For each reading and level the median, its error and its bias, and the mean with the spread between steps.

        Raises EvaluationError for a run that kept no estimates, or ended before the last level did.
        """
        trace, steps = task.modules.get("trace"), int(_truth(task, "steps"))
        levels = [value for name, value in task.truth.items() if name.startswith("level ")]
        if not isinstance(trace, Trace) or len(trace.values) < len(levels) * steps:
            raise EvaluationError(
                f"The staircase has {len(levels) * steps} steps, and this run did not keep their estimates; train a method of "
                f"this track with -o objective.trace={len(levels) * steps}."
            )
        values = trace.values.detach().cpu().numpy()[: len(levels) * steps].reshape(len(levels), steps, -1)
        if np.isnan(values).any():
            raise EvaluationError("Training ended before the staircase did, or an estimate is not a number; train for one epoch.")
        judged = values[:, steps - max(2, round(steps * self.options.judged)) :]
        found: list[Score] = []
        for column, name in enumerate(trace.readings):
            for truth, level in zip(levels, judged[:, :, column], strict=True):
                found += _level({"reading": name, "level": truth}, level, truth)
        return found


def _level(of: dict[str, object], steps: NDArray[np.float32], truth: float) -> list[Score]:
    median, n = float(np.median(steps)), len(steps)
    scores = [*_compared(of, median, truth), Score(name="estimate", of=of, value=median, n=n)]
    if np.isfinite(steps).all():  # an exponential of NWJ or JS may overflow in a single step, which says nothing of the others
        scores.append(Score(name="mean", of=of, value=float(steps.mean()), std=float(steps.std(ddof=1)), over="samples", n=n))
    return scores


def _compared(of: dict[str, object], value: float, truth: float) -> list[Score]:
    return [Score(name="error", of=of, value=abs(value - truth)), Score(name="bias", of=of, value=value - truth)]


def _truth(task: Task, name: str) -> float:
    if name not in task.truth:
        raise EvaluationError(f"The data set does not say its exact {name.replace('_', ' ')}.")
    return task.truth[name]
