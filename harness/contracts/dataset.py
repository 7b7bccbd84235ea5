"""Data sets: inputs on one side, annotations on the other.

The trainer is handed `pretrain`, a `Source`, and nothing else: that is the label firewall. `annotations` go to evaluators, and, for
objectives that declare `supervised = True`, the labels of the protocol's training part go into `Labelled` batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.progress import Progress, no_progress
from harness.contracts.sources import Source
from harness.contracts.specs import DataSetSpec, ProtocolSpec


@dataclass(frozen=True)
class DataContext:
    """What a data set's `build` is given."""

    files: Mapping[str, Path]
    """The recipe's files by their spec path, found and checked against their sha256."""
    cache: Path
    """A folder of the data set's own for what it decodes; everything in it can be deleted."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Those of a `GeneratedRecipe`: all that a data set of a family knows of its name."""
    protocol: str = ""
    """Name of the protocol that it is built for, which may say more than the parts: which factors are judged, say."""
    progress: Progress = no_progress
    """Told how far a long preparation is."""


@dataclass(frozen=True)
class Splits:
    """Sample numbers of each part, as int64 arrays. The parts do not overlap."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    validation: NDArray[np.int64] | None = None
    """None where the protocol names no validation part; evaluators then draw one from the training part."""

    def parts(self) -> dict[str, NDArray[np.int64]]:
        """The parts that exist, by name."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: index for name, index in named.items() if index is not None}


@dataclass(frozen=True)
class Annotations:
    """All that is known of the samples besides the inputs."""

    splits: Mapping[str, Splits]
    """By protocol name."""
    labels: NDArray[Any] | None = None
    """[N] int64 class numbers (-1 where unknown), or [N, K] 0/1 for K binary labels."""
    class_names: tuple[str, ...] = ()
    factors: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Ground-truth factors or variables by name, each [N]."""
    truth: Mapping[str, float] = field(default_factory=dict)
    """Exact quantities known of the distribution, such as {"mutual_information": 6.0}."""


@dataclass(frozen=True)
class DataSet:
    """A loaded data set."""

    inputs: Source[Any]
    """All samples; what is represented and judged."""
    annotations: Annotations
    pretrain: Source[Any]
    """What training may see. The same object as `inputs` in the transductive case, else a part of it, or samples that are
    never judged; those are numbered from the number of inputs on."""
    labelled: Source[Any] | None = None
    """What a supervised objective draws from, where `pretrain` holds samples without labels; None: `pretrain`."""
    validation: Source[Any] | None = None
    """Inputs kept from training, on which the stop rule watches its term once an epoch; None: it watches the training."""


@dataclass(frozen=True)
class UserData:
    """A data set made in Python, given to `harness.run(data=...)`."""

    spec: DataSetSpec
    """Its recipe must tell its content, such as by a digest: data of one name and recipe are taken for the same."""
    build: Callable[[DataContext, Any], DataSet]
    """Called with the context and the options of the spec."""
    protocol: ProtocolSpec | None = None
    """A protocol of its own, which its spec names; None where it is judged by installed ones."""
