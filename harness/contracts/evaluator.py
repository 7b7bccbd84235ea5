"""The evaluator contract: from a frozen representation to scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray
from torch import nn

from harness.contracts.encoder import Encoder
from harness.contracts.progress import Progress, no_progress
from harness.contracts.sources import Source
from harness.contracts.strata import draw_by_class


@dataclass(frozen=True)
class Part:
    """One split of the data as an evaluator sees it."""

    features: NDArray[Any]
    """[n, ...] float32: the judged feature, every value finite, read-only; memory-mapped where the part's samples stand in a row,
    so that it may be larger than what should be copied."""
    index: NDArray[np.int64]
    """[n] each sample's place in the data set."""
    labels: NDArray[Any] | None = None
    """[n] int64 classes or [n, K] 0/1; None unless the evaluator needs "labels"."""
    factors: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """By name, each [n]; empty unless the evaluator needs "factors"."""

    def take(self, rows: NDArray[np.int64]) -> Part:
        """The part made of these rows."""
        return Part(
            features=self.features[rows],
            index=self.index[rows],
            labels=None if self.labels is None else self.labels[rows],
            factors={name: values[rows] for name, values in self.factors.items()},
        )

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True)
class Task:
    """All that an evaluator is given. What it did not declare in `needs` is not there."""

    feature: str
    train: Part
    test: Part
    validation: Part | None
    """The protocol's own validation part, or None; see `fit_and_validation`."""
    protocol_seed: int
    """Derived from the protocol's id alone: the same for every run."""
    seed: int
    """Derived from the run's seed and the evaluator's name: for initialisations and shuffles."""
    device: torch.device
    classes: int | None = None
    """Number of classes over the whole data set (or of binary labels); None without "labels"."""
    truth: Mapping[str, float] = field(default_factory=dict)
    inputs: Source[Any] | None = None
    fresh_encoder: Callable[[], Encoder] | None = None
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    """A context in which the encoder computes in the run's own arithmetic, as it did for the judged feature."""
    decoder: Callable[[torch.Generator, float], nn.Module] | None = None
    """Makes a fresh decoder of the judged feature, [B, *shape] -> inputs, on the CPU: the layers of the encoder's mirror decoder,
    the widths of the hidden ones times a number. Its weights come from torch's own state or the generator, one of the CPU's."""
    modules: Mapping[str, nn.Module] = field(default_factory=dict)
    progress: Progress = no_progress
    """Told how far a long evaluation is."""

    def fit_and_validation(self, fraction: float = 0.1) -> tuple[Part, Part]:
        """The training part without, and the validation part for choosing hyper-parameters.

        Where the protocol names no validation part, a stratified `fraction` of the training part is drawn from the protocol's id,
        so that every run is tuned on the same samples.
        """
        if self.validation is not None:
            return self.train, self.validation
        fit, held_out = self.validation_rows(fraction)
        return self.train.take(fit), self.train.take(held_out)

    def validation_rows(self, fraction: float = 0.1) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The same draw as row numbers of the training part: those to fit, and those to choose hyper-parameters by.

        For features that are too large to be copied. Meant for protocols that name no validation part.
        """
        return draw_by_class(self.train.labels, len(self.train), fraction, self.protocol_seed)

    def generator(self) -> torch.Generator:
        """A fresh torch generator on `device`, seeded for this evaluator and run."""
        return torch.Generator(self.device).manual_seed(self.seed)


class Score(Struct, frozen=True, kw_only=True):
    """One metric's value. Unit, direction and bounds are those of the metric's spec."""

    name: str
    value: float
    std: float | None = None
    """Sample standard deviation over `over`; never the spread over encoders."""
    over: Literal["probes", "restarts", "samples"] | None = None
    n: int = 1
    """Number of values behind `value`."""
    split: str = "test"
    of: Mapping[str, Any] = {}
    """What the number is of, where there are several: {"variable": "player_x"}, {"scale": 2}."""
    selected: Mapping[str, Any] = {}
    """Hyper-parameters chosen on the validation part, e.g. {"C": 0.1}."""


class Evaluator(ABC):
    """Judges one feature of one run. Pure: all randomness comes from the task's seeds."""

    @abstractmethod
    def evaluate(self, task: Task) -> Sequence[Score]:
        """The scores of one cell. Raise EvaluationError (or anything) to fail the cell; other cells go on."""
