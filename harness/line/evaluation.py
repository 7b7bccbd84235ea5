"""Evaluation: one evaluator on one feature, and the check of what it returns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from harness.contracts.dataset import Annotations, Splits
from harness.contracts.encoder import Encoder
from harness.contracts.evaluator import Evaluator, Part, Score, Task
from harness.contracts.progress import Progress, now_and_then
from harness.contracts.sources import Source
from harness.contracts.specs import EvaluatorSpec, MetricSpec
from harness.errors import EvaluationError
from harness.ledger.records import Metric
from harness.line.seeding import derive_seed, isolated_randomness

_COMPARED = 1024
"""Samples looked at together: a feature may be memory-mapped and larger than memory."""


def make_task(
    spec: EvaluatorSpec,
    feature: str,
    array: NDArray[Any],
    annotations: Annotations,
    splits: Splits,
    *,
    protocol_id: str,
    seed: int,
    device: torch.device,
    inputs: Source[Any],
    fresh_encoder: Callable[[], Encoder],
    autocast: Callable[[], AbstractContextManager[Any]],
    decoder: Callable[[torch.Generator, float], nn.Module],
    modules: Mapping[str, nn.Module],
    progress: Progress,
) -> Task:
    """What an evaluator is given: the feature, and of everything else only what its spec says it needs.

    Raises EvaluationError where it does not judge features that are the same for every sample, and this one is.
    """
    needs = set(spec.needs)
    labels = annotations.labels if "labels" in needs else None
    factors = annotations.factors if "factors" in needs else {}

    def part(index: NDArray[np.int64]) -> Part:
        return Part(
            features=array[_rows(index)],
            index=index,
            labels=None if labels is None else labels[index],
            factors={name: values[index] for name, values in factors.items()},
        )

    train, test = part(splits.train), part(splits.test)
    if not spec.judges_constants:
        _require_varied(spec.name, feature, {"training": train, "test": test})
    return Task(
        feature=feature,
        train=train,
        test=test,
        validation=None if splits.validation is None else part(splits.validation),
        protocol_seed=derive_seed(protocol_id, "validation"),
        seed=derive_seed(seed, f"evaluator/{spec.name}/{feature}"),
        device=device,
        classes=None if labels is None else number_of_classes(labels),
        truth=annotations.truth if "truth" in needs else {},
        inputs=inputs if "inputs" in needs else None,
        fresh_encoder=fresh_encoder if "encoder" in needs else None,
        autocast=autocast,
        decoder=decoder if "decoder" in needs else None,
        modules=modules if "modules" in needs else {},
        progress=now_and_then(progress),
    )


def _require_varied(evaluator: str, feature: str, parts: Mapping[str, Part]) -> None:
    for name, part in parts.items():
        blocks = (part.features[start : start + _COMPARED] for start in range(0, len(part), _COMPARED))
        if len(part) > 1 and not any(bool((block != part.features[:1]).any()) for block in blocks):
            raise EvaluationError(
                f"Feature {feature!r} is the same for every sample of the {name} part, which leaves {evaluator} nothing to judge; "
                "check that the encoder did not collapse."
            )


def _rows(index: NDArray[np.int64]) -> Any:
    """`index` as a slice where its numbers stand in a row, so that taking them copies nothing."""
    first, last = int(index[0]), int(index[-1])
    contiguous = last - first + 1 == len(index) and bool((np.diff(index) == 1).all())
    return slice(first, last + 1) if contiguous else index


def number_of_classes(labels: NDArray[Any]) -> int:
    """Classes of [N] class numbers, or K of [N, K] binary labels."""
    return int(labels.shape[1]) if labels.ndim == 2 else int(labels.max()) + 1


def evaluate(evaluator: Evaluator, spec: EvaluatorSpec, task: Task) -> tuple[Metric, ...]:
    """The metrics of one cell. Raises EvaluationError when a value is not what the spec allows; the evaluator's own errors pass."""
    with isolated_randomness(derive_seed(task.seed, "global")):
        scores = evaluator.evaluate(task)
    return check_scores(spec, scores)


def check_scores(spec: EvaluatorSpec, scores: Any) -> tuple[Metric, ...]:
    """Turn scores into metrics, or raise EvaluationError naming the evaluator and what is wrong."""
    who = f"Evaluator {spec.name}"
    if not isinstance(scores, Sequence) or not all(isinstance(score, Score) for score in scores):
        raise EvaluationError(f"{who} returned {type(scores).__name__} where a list of Score was expected.")
    if not scores:
        raise EvaluationError(f"{who} returned no score.")
    declared = {metric.name: metric for metric in spec.metrics}
    keys = [(score.name, repr(sorted(score.of.items()))) for score in scores]
    if len(set(keys)) < len(keys):
        raise EvaluationError(f"{who} returned the same metric twice.")
    return tuple(_checked(who, declared, score) for score in scores)


def _checked(who: str, declared: Mapping[str, MetricSpec], score: Score) -> Metric:
    metric = declared.get(score.name)
    if metric is None:
        raise EvaluationError(f"{who} returned {score.name!r}, which its spec does not declare.")
    try:
        value, std = float(score.value), None if score.std is None else float(score.std)
    except (TypeError, ValueError):
        raise EvaluationError(f"{who}: {score.name} is {score.value!r} with spread {score.std!r}, not numbers.") from None
    if not math.isfinite(value):
        raise EvaluationError(f"{who}: {score.name} is {value}.")
    if (metric.lower is not None and value < metric.lower) or (metric.upper is not None and value > metric.upper):
        raise EvaluationError(f"{who}: {score.name} = {value} lies outside [{metric.lower}, {metric.upper}].")
    if std is not None and not (math.isfinite(std) and std >= 0):
        raise EvaluationError(f"{who}: the spread of {score.name} is {std}.")
    checked = Metric(
        name=score.name,
        value=value,
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
        primary=metric.primary,
        split=score.split,
        of=score.of,
        std=std,
        over=score.over,
        n=score.n,
        selected=score.selected,
    )
    try:
        return msgspec.json.decode(msgspec.json.encode(checked, enc_hook=_plain), type=Metric)
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"{who}: what it says of {score.name} does not fit into a record: {error}.") from None


def _plain(value: Any) -> Any:
    """A NumPy number as a plain one."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON")
