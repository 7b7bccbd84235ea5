"""Streams of batches: where training is in its data, and the labels that a supervised objective may see of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.contracts.batches import Batch, Labelled
from harness.contracts.dataset import Annotations
from harness.contracts.sources import Epoch, Sampling, Source
from harness.errors import UnfitError
from harness.line.evaluation import number_of_classes
from harness.line.seeding import generator


class BatchStream:
    """Batches one after another over endless epochs; its place can be saved and found again."""

    def __init__(self, source: Source[Any], sampling: Sampling, batch_size: int, seed: int) -> None:
        self._source, self._sampling, self._batch_size = source, sampling, batch_size
        self._generator = generator(seed)
        self.epoch, self.position = 0, 0
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self._before = self._generator.get_state()
        self._batches: Epoch[Any] = self._source.epoch(self._sampling, self._batch_size, self._generator)
        if len(self._batches) == 0:
            raise UnfitError("The data set gives no batch to train on.")

    def __len__(self) -> int:
        return len(self._batches)

    @property
    def left(self) -> int:
        """Batches that this epoch still has."""
        return len(self._batches) - self.position

    def next(self) -> Any:
        """The next batch."""
        batch = self._batches[self.position]
        self.position += 1
        return batch

    def close_epoch(self) -> bool:
        """Begin the next epoch if this one is over; says whether it did."""
        if self.position < len(self._batches):
            return False
        self.epoch, self.position = self.epoch + 1, 0
        self._begin_epoch()
        return True

    def state(self) -> tuple[Tensor, list[int]]:
        """Random state at the epoch's beginning, and [epoch, position]."""
        return self._before, [self.epoch, self.position]

    def restore(self, before: Tensor, place: Sequence[int]) -> None:
        """Return to a place that `state` gave."""
        self._generator.set_state(before)
        self._begin_epoch()
        self.epoch, self.position = place


@dataclass(frozen=True)
class LabelTable:
    """Labels of the protocol's training part by sample number, for supervised objectives only."""

    labels: Tensor
    """[N] int64 classes, [N, K] float binary labels, or [N, V] int64 classes of V variables."""
    known: Tensor
    """[N] bool: samples of the training part that have a label."""
    classes: int | tuple[int, ...]
    """Number of classes or of binary labels, or that of each variable's classes."""

    @property
    def multilabel(self) -> bool:
        """Whether labels are binary ones."""
        return self.labels.is_floating_point()

    @classmethod
    def of(cls, annotations: Annotations, train: NDArray[np.int64]) -> LabelTable:
        """The labels of the training part `train`, or, where there are none, its factors; all others are blank.

        The classes of a factor are the values that it takes in the training part, in ascending order.
        """
        labels = annotations.labels
        if labels is None:
            return cls._of_factors(list(annotations.factors.values()), train)
        known = np.zeros(len(labels), dtype=bool)
        known[train] = True
        if labels.ndim == 1:
            known &= labels >= 0
            blank = torch.as_tensor(np.where(known, labels, -1), dtype=torch.int64)
            return cls(blank, torch.as_tensor(known), number_of_classes(labels))
        blank = torch.as_tensor(np.where(known[:, None], labels, -1), dtype=torch.float32)
        return cls(blank, torch.as_tensor(known), number_of_classes(labels))

    @classmethod
    def _of_factors(cls, factors: Sequence[NDArray[Any]], train: NDArray[np.int64]) -> LabelTable:
        rows = torch.as_tensor(train)
        known = torch.zeros(len(factors[0]), dtype=torch.bool)
        known[rows] = True
        labels = torch.full((len(factors[0]), len(factors)), -1, dtype=torch.int64)
        classes = []
        for column, values in enumerate(factors):
            kinds, numbers = np.unique(values[train], return_inverse=True)
            labels[rows, column] = torch.as_tensor(numbers)
            classes.append(len(kinds))
        return cls(labels, known, tuple(classes))

    def attach(self, batch: Batch) -> Labelled[Batch]:
        """The batch with the labels it may show."""
        index = batch.index.to(self.known.device)
        rows = self.known[index].nonzero().squeeze(1)
        labels = self.labels[index[rows]]
        return Labelled(batch, rows.to(batch.index.device), labels.to(batch.index.device))
