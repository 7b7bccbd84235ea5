"""The objective `supervised`: the encoder trained with labels, for comparison.

The recipe is that of Kipf and Welling, "Semi-Supervised Classification with Graph Convolutional Networks" (2017): cross-entropy
on the labelled samples, Adam, an L2 penalty, dropout. README.md says where it differs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import Batch, Encoder, Items, Labelled, Objective, ObjectiveContext, Phase, PluginError, Step, WholeGraph
from harness_reference.spec import SupervisedOptions


class Supervised(Objective):
    """A linear head on the encoder's default feature; steps carry `Labelled` batches.

    :param classes: number of classes, or of binary labels; of several variables that of each, whose heads stand side by side.
    :param multilabel: whether labels are binary ones [M, K] instead of class numbers [M] or [M, V].
    """

    def __init__(
        self, encoder: Encoder, classes: int | tuple[int, ...], multilabel: bool, on_graph: bool, options: SupervisedOptions
    ) -> None:
        super().__init__(encoder, sampling=WholeGraph() if on_graph else Items())
        self.feature, shape = next(iter(encoder.feature_shapes.items()))
        self.classes = classes
        self.head = nn.Linear(math.prod(shape), classes if isinstance(classes, int) else sum(classes))
        self.multilabel = multilabel
        self.options = options

    def phases(self) -> Sequence[Phase]:
        """One: encoder and head together."""
        adam = partial(torch.optim.Adam, lr=self.options.lr, weight_decay=self.options.weight_decay)
        return [Phase("classify", self.parameters(), adam, self.classification)]

    def classification(self, step: Step) -> Mapping[str, Tensor]:
        """The mean loss over the labelled rows of the batch, and over its binary labels or variables; 0 without any."""
        batch: Labelled[Batch] = step.batch
        features = self.encoder(batch.inputs)[self.feature].flatten(start_dim=1)
        logits = self.head(drop(features[batch.rows], self.options.dropout, step.generator))
        if self.multilabel:
            losses = F.binary_cross_entropy_with_logits(logits, batch.labels.to(logits), reduction="none")
        elif not isinstance(self.classes, int):
            heads = zip(logits.split(self.classes, dim=1), batch.labels.unbind(dim=1), strict=True)
            losses = torch.stack([F.cross_entropy(head, labels, reduction="none") for head, labels in heads])
        else:
            losses = F.cross_entropy(logits, batch.labels, reduction="none")
        return {"loss": losses.sum() / max(losses.numel(), 1)}


def drop(units: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Dropout (Srivastava et al. 2014) from `generator`: a `share` of `units` becomes 0, the rest is divided by 1 - `share`."""
    if share == 0:
        return units
    kept = torch.rand(units.shape, generator=generator, device=units.device) >= share
    return units * kept / (1 - share)


def build(encoder: Encoder, context: ObjectiveContext, options: SupervisedOptions, generator: torch.Generator) -> Supervised:
    """The objective `supervised`. Raises PluginError when the core does not say how many classes there are."""
    if context.classes is None:
        raise PluginError("harness_reference", "the objective supervised needs the number of classes.")
    return Supervised(encoder, context.classes, context.multilabel, context.description.kind == "graph", options)
