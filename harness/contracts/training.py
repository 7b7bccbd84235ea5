"""Options of the trainer, the part `train` of a request."""

from __future__ import annotations

from typing import Annotated

from harness.contracts.options import Meta, Options


class TrainOptions(Options, frozen=True, kw_only=True):
    """How long and how exactly to train; the method's recipe gives the values."""

    epochs: Annotated[int, Meta(ge=1, description="epochs at most")] = 100
    batch_size: Annotated[int, Meta(ge=1, description="samples a batch; without meaning for a whole graph")] = 64
    patience: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description="stop after this many epochs in a row without a new lowest value of the watched term, on the validation "
            "inputs where the data set keeps some; none: never"
        ),
    ] = None
    restore_best: Annotated[bool, Meta(description="end with the weights that gave the lowest watched value")] = False
    compile: Annotated[bool, Meta(description="compile every phase's loss with torch.compile")] = False
