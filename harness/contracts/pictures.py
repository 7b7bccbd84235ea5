"""What the page of `harness report` is made of: a finished run as those who draw see it, and what they draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from harness.contracts.dataset import Splits
from harness.contracts.evaluator import Score
from harness.contracts.sources import Description, Source

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """One figure of the page. Title and caption are plain text."""

    title: str
    caption: str
    """What is drawn and how, in a sentence or two."""
    figure: Figure
    """Made with `matplotlib.figure.Figure`, never with pyplot, which would keep it for ever."""


@dataclass(frozen=True)
class RunView:
    """A finished run as pictures are given it. What their spec did not declare in `needs` is not there."""

    feature: str
    """The encoder's default feature: what a decoder reads, and what a picture shows unless it says otherwise."""
    features: Callable[[str], NDArray[Any]]
    """By name, of all samples of the data set, [N, ...] float32, read-only and memory-mapped: take rows, never the whole.
    A feature that is not in the run's cache is represented when it is asked for."""
    description: Description
    """Of the data set's inputs."""
    splits: Splits
    """The protocol's parts."""
    seed: int
    """Derived from the protocol's id alone: what is drawn by lot is the same for every run, so that pages can be compared."""
    device: torch.device
    """Where the modules are."""
    labels: NDArray[Any] | None = None
    """[N] int64 classes (-1 where unknown) or [N, K] 0/1; None also where the data have none."""
    class_names: tuple[str, ...] = ()
    """Empty where classes have numbers only."""
    inputs: Source[Any] | None = None
    """All samples."""
    factors: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """By name, each [N]; empty where the data have none."""
    truth: Mapping[str, float] = field(default_factory=dict)
    """What is known exactly of the data's distribution; empty where nothing is."""
    scores: Mapping[tuple[str, str], Sequence[Score]] = field(default_factory=dict)
    """What was recorded of the run so far, by evaluator and feature."""
    modules: Mapping[str, nn.Module] = field(default_factory=dict)
    """What the run's objective exports, such as "decoder", in eval mode."""

    def sample(self, n: int) -> NDArray[np.int64]:
        """Numbers of at most `n` samples of the test part, drawn without replacement; the first of them for every smaller `n`."""
        return np.random.default_rng(self.seed).permutation(self.splits.test)[:n]

    def class_name(self, label: int) -> str:
        """A class in words, or its number."""
        return self.class_names[label] if 0 <= label < len(self.class_names) else str(label)
