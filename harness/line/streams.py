"""Streams of batches: where training is in its data, and the labels that a supervised objective may see of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from harness.contracts.batches import Batch, Labelled
from harness.contracts.sources import Epoch, Sampling, Source
from harness.errors import UnfitError
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
    """[N] int64 or [N, K] float."""
    known: Tensor
    """[N] bool: samples of the training part that have a label."""

    def attach(self, batch: Batch) -> Labelled[Batch]:
        """The batch with the labels it may show."""
        index = batch.index.to(self.known.device)
        rows = self.known[index].nonzero().squeeze(1)
        labels = self.labels[index[rows]]
        return Labelled(batch, rows.to(batch.index.device), labels.to(batch.index.device))
