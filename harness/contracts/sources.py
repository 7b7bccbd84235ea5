"""Sources: where inputs come from, and how they are drawn. Nothing here can carry a label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import torch
from msgspec import Struct

from harness.contracts.batches import Batch
from harness.errors import UnfitError

# ------------------------------------------------------------------------------------------------- sampling


class Sampling(Struct, frozen=True, kw_only=True):
    """How inputs are drawn. `kind` is the word that specs use."""

    kind: str


class Items(Sampling, frozen=True, kw_only=True):
    """Single samples in random order, `batch_size` at a time."""

    kind: str = "items"


class TimePairs(Sampling, frozen=True, kw_only=True):
    """Pairs of frames `offset` steps apart inside one episode; with `other`, beside each a random frame of that episode."""

    kind: str = "pairs"
    offset: int = 1
    other: bool = False


class Sequences(Sampling, frozen=True, kw_only=True):
    """`length` consecutive frames of one episode, a run starting every `stride` steps from its beginning on."""

    kind: str = "sequences"
    length: int
    stride: int = 1


class WholeGraph(Sampling, frozen=True, kw_only=True):
    """The whole graph (all graphs side by side) as one batch."""

    kind: str = "graph"


class SubGraphs(Sampling, frozen=True, kw_only=True):
    """`batch_size` root nodes with sampled neighbours: at most `fan_outs[k]` per node at distance k."""

    kind: str = "subgraphs"
    fan_outs: tuple[int, ...]


class Graphs(Sampling, frozen=True, kw_only=True):
    """`batch_size` whole graphs side by side."""

    kind: str = "graphs"


class CustomSampling(Sampling, frozen=True, kw_only=True):
    """A way of drawing that a data-set plugin defines itself."""

    settings: dict[str, Any]


# -------------------------------------------------------------------------------------------------- sources


class Description(Struct, frozen=True, kw_only=True):
    """What an encoder or objective may know of the data before it sees any."""

    kind: str
    """The kind of batch: "images", "graph", "frames", "vectors", ..."""
    shape: tuple[int, ...]
    """Shape of one sample: (channels, height, width), (features,); of pairs (dimensions of x, dimensions of y)."""
    samples: int
    """Number of samples in the data set's index space."""
    value_range: tuple[float, float] | None = None
    """Smallest and largest value an input can take, where that is known."""


B = TypeVar("B", bound=Batch)


class Epoch(ABC, Generic[B]):
    """One pass over a source with random access, so that an interrupted epoch continues at the batch it had reached."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of batches."""

    @abstractmethod
    def __getitem__(self, position: int) -> B:
        """Batch number `position`; the same each time it is asked for."""


class Source(ABC, Generic[B]):
    """Inputs held in memory as compact tensors."""

    description: Description

    @abstractmethod
    def epoch(self, sampling: Sampling, batch_size: int, generator: torch.Generator) -> Epoch[B]:
        """Draw one epoch. All its randomness comes from `generator`, and is taken when this is called.

        Raises UnfitError when the source cannot be drawn in this way.
        """

    @abstractmethod
    def in_order(self, batch_size: int) -> Iterator[B]:
        """Every sample once, in index order, without randomness."""

    def subset(self, index: Any) -> Source[B]:
        """The samples with these numbers [n], in ascending order; they keep their numbers, and the inputs are shared.

        Raises UnfitError when the source's samples cannot stand apart, as the nodes of a graph.
        """
        raise UnfitError(f"{type(self).__name__} cannot be cut into parts: its samples belong together.")

    @abstractmethod
    def to(self, device: torch.device | str) -> Source[B]:
        """The same source with its tensors on `device`, where they fit; otherwise itself."""

    @abstractmethod
    def content_sha256(self) -> str:
        """Digest of the inputs themselves."""
