"""Batches: small typed containers of inputs with the sample's index and no place for a label.

A batch class cannot declare a field that would hold a label: `Batch` refuses such a class when it is defined. What supervised
objectives get is `Labelled`, which wraps a batch and is not one.
"""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from torch import Tensor

from harness.contracts.sparse import SparseMatrix

LABEL_WORDS = frozenset({"label", "labels", "target", "targets", "annotation", "annotations", "truth", "factors"})


@dataclass(frozen=True, eq=False)
class Batch:
    """Base of all batches. A subclass is a frozen dataclass of tensors."""

    kind: ClassVar[str] = ""

    index: Tensor
    """[B] int64: each sample's place in the data set."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        fields = {name for base in cls.__mro__ for name in inspect.get_annotations(base)}
        forbidden = [name for name in fields if LABEL_WORDS.intersection(name.lower().split("_"))]
        if forbidden:
            raise TypeError(f"{cls.__name__} declares {', '.join(sorted(forbidden))}: a batch has no place for labels.")

    def __len__(self) -> int:
        return int(self.index.shape[0])

    def to(self, device: torch.device | str) -> Self:
        """The same batch with every tensor on `device`."""
        moved = {
            field.name: value.to(device)
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), Tensor | SparseMatrix) and value.device != torch.device(device)
        }
        return dataclasses.replace(self, **moved) if moved else self  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Vectors(Batch):
    """Plain vectors."""

    kind = "vectors"
    values: Tensor
    """[B, D] float."""


@dataclass(frozen=True, eq=False)
class Pairs(Batch):
    """Pairs of two variables, drawn jointly: what a critic scores. "x" is the input and "y" what is known of it."""

    kind = "pairs"
    x: Tensor
    """[B, ...] float."""
    y: Tensor
    """[B, ...] float."""


@dataclass(frozen=True, eq=False)
class Images(Batch):
    """Images."""

    kind = "images"
    pixels: Tensor
    """[B, C, H, W] float, in the range that the data set's description states."""


@dataclass(frozen=True, eq=False)
class FramePairs(Batch):
    """Two frames of the same episode, a fixed number of steps apart."""

    kind = "frames"
    first: Tensor
    """[B, C, H, W] float; `index` refers to this frame."""
    second: Tensor
    """[B, C, H, W] float."""
    other: Tensor | None = None
    """[B, C, H, W] float: a frame drawn at random from the same episode; None unless the sampling asks for it."""

    def images(self) -> Images:
        """All frames side by side, for one pass of an encoder: B first ones, B second ones and, where there are any, B others.

        The index is that of the first frames, over again.
        """
        frames = [self.first, self.second] + ([] if self.other is None else [self.other])
        return Images(index=self.index.repeat(len(frames)), pixels=torch.cat(frames))


@dataclass(frozen=True, eq=False)
class FrameSequences(Batch):
    """Runs of consecutive frames, each inside one episode."""

    kind = "frames"
    frames: Tensor
    """[B, L, C, H, W] float; `index` refers to the first frame of each run."""

    def images(self) -> Images:
        """All B * L frames side by side, run after run, for one pass of an encoder."""
        length = self.frames.shape[1]
        steps = torch.arange(length, device=self.index.device)
        return Images(index=(self.index[:, None] + steps).flatten(), pixels=self.frames.flatten(0, 1))


@dataclass(frozen=True, eq=False)
class Graph(Batch):
    """A whole graph, a sampled sub-graph, or several graphs side by side (block-diagonal).

    Nodes are rows. In a sampled sub-graph the first `roots` nodes are the samples of the batch and the others their
    sampled neighbourhood; elsewhere every node is a sample. `len(batch)` is the number of nodes.
    """

    kind = "graph"
    x: Tensor | SparseMatrix
    """[N, F] node features, dense or sparse."""
    adjacency: SparseMatrix
    """[N, N] edge weights (1 for an unweighted graph), row i = edges into node i, without added self-loops."""
    graph: Tensor | None = None
    """[N] int64: which graph each node belongs to; None for one graph."""
    roots: int | None = None
    """Number of leading nodes that are samples; None for all."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_derived", {})

    def propagation(self, normalisation: str) -> SparseMatrix:
        """The matrix that spreads node vectors along edges, computed once per graph.

        "symmetric" is D^-1/2 (A + I) D^-1/2 (Kipf and Welling 2017, eq. 2); "mean" is D^-1 (A + I).
        """
        derived: dict[str, SparseMatrix] = self._derived  # type: ignore[attr-defined]
        if normalisation not in derived:
            derived[normalisation] = self.adjacency.with_self_loops().normalised(normalisation)
        return derived[normalisation]


B_co = TypeVar("B_co", bound=Batch, covariant=True)


@dataclass(frozen=True, eq=False)
class Labelled(Generic[B_co]):
    """What a supervised objective gets: a batch and the labels of some of its samples. Not a `Batch` on purpose."""

    inputs: B_co
    rows: Tensor
    """[M] int64: places inside the batch that carry a label of the protocol's training part."""
    labels: Tensor
    """[M] int64 class numbers, [M, K] float for K binary labels, or [M, V] int64 class numbers of V variables."""
