"""`fine-tune`: the trained encoder and a small net on the judged feature, trained together on the labelled training part.

The semi-supervised comparison of Hjelm et al. (2019) on STL-10, whose judged feature is the last convolutional layer. The run's own
encoder is left alone; a copy is trained. The epoch is chosen by validation, as in `mlp`; the paper does not say how it stops.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from harness import Batch, Encoder, Evaluator, Items, Score, Source, Task
from harness_probes.mlp import accuracy, require_finite, small_net, train_to_best
from harness_probes.samples import LabelledRows, fit_and_validation_rows, labelled_rows, require_classes
from harness_probes.spec import FineTuneOptions

SCORED = 256
"""Samples scored at a time."""


class FineTune(Evaluator):
    """The encoder and net of the epoch with the best validation accuracy, scored on the test part once."""

    def __init__(self, options: FineTuneOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """The test accuracy.

        Raises EvaluationError for several binary labels or a net that diverges, UnfitError for inputs that are not drawn one by
        one, as the nodes of a graph.
        """
        (fit, validation), test = fit_and_validation_rows(task), labelled_rows(task, task.test, "test")
        require_classes(fit, "fine-tune")
        assert task.inputs is not None  # the spec needs "inputs"
        assert task.fresh_encoder is not None  # and "encoder"
        inputs = task.inputs.to(task.device)
        drawn, held_out, judged = (InputBatches(inputs, rows, task.device) for rows in (fit, validation, test))
        net = OnEncoder(task.fresh_encoder(), task.feature, task.classes, self.options).to(task.device)
        generator = task.generator()
        shown = partial(drawn.shuffled, self.options.batch_size, generator)
        epoch = train_to_best(net, self.options, shown, held_out.in_order, task.progress)
        require_finite(net, "fine-tune", task.feature)
        return [Score(name="accuracy", value=accuracy(net, judged.in_order()), selected={"epoch": epoch})]


class OnEncoder(nn.Module):
    """A batch -> [B, classes] logits of a small net on one feature of an encoder, trained together."""

    def __init__(self, encoder: Encoder, feature: str, classes: int | None, options: FineTuneOptions) -> None:
        super().__init__()
        self.encoder, self.feature = encoder, feature
        self.head = small_net(math.prod(encoder.feature_shapes[feature]), classes, options)

    def forward(self, batch: Batch) -> Tensor:
        """The logits."""
        logits: Tensor = self.head(self.encoder(batch)[self.feature].flatten(start_dim=1))
        return logits


class InputBatches:
    """The inputs of labelled samples as pairs of a batch and its classes [B], on the task's device."""

    def __init__(self, inputs: Source[Any], samples: LabelledRows, device: torch.device) -> None:
        self.source, self.device = inputs.subset(torch.from_numpy(samples.index)), device
        self.labels = torch.full((inputs.description.samples,), -1)
        self.labels[samples.index] = torch.from_numpy(samples.y)

    def shuffled(self, batch_size: int, generator: torch.Generator) -> Iterator[tuple[Batch, Tensor]]:
        """One epoch in random order."""
        epoch = self.source.epoch(Items(), batch_size, generator)
        return (self._labelled(epoch[position]) for position in range(len(epoch)))

    def in_order(self) -> Iterator[tuple[Batch, Tensor]]:
        """Every sample once, in large batches."""
        return (self._labelled(batch) for batch in self.source.in_order(SCORED))

    def _labelled(self, batch: Any) -> tuple[Batch, Tensor]:
        return batch.to(self.device), self.labels[batch.index.cpu()].to(self.device)
