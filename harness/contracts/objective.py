"""The objective contract: phases that the one trainer steps, in order.

class Autoencoder(Objective):
    def __init__(self, encoder, decoder, lr):
        super().__init__(encoder, sampling=Items())
        self.decoder, self.lr = decoder, lr

    def phases(self):
        return [Phase("reconstruct", self.parameters(), partial(torch.optim.Adam, lr=self.lr), self.reconstruction)]

    def reconstruction(self, step):
        x = step.batch.pixels
        return {"loss": F.mse_loss(self.decoder(self.encoder(step.batch)["y"]), x)}
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from harness.contracts.encoder import Encoder
from harness.contracts.sources import Description, Sampling


@dataclass(frozen=True)
class Step:
    """What a loss may look at."""

    batch: Any
    """A `Batch`; a `Labelled` for an objective that declares `supervised`."""
    epoch: int
    """Epochs finished before this one."""
    index: int
    """Steps finished before this one, over all epochs."""
    generator: torch.Generator
    """The objective's own random stream, on the device of the batch."""
    gather: Callable[[Tensor], Tensor] = lambda tensor: tensor
    """Joins a tensor's first axis over all devices, with gradients; the identity on one device."""
    shared: Any = None
    """What `Objective.shared` gave for this batch."""


Loss = Callable[[Step], Mapping[str, Tensor]]
"""Named scalar terms of the current step. `terms["loss"]` is minimised; the others are logged."""


@dataclass(frozen=True)
class Phase:
    """One kind of update. In it only its own parameters get gradients."""

    name: str
    parameters: Iterable[nn.Parameter]
    optimiser: Callable[[list[nn.Parameter]], Optimizer]
    loss: Loss
    schedule: Callable[[Optimizer], LRScheduler] | None = None
    """Stepped once after every update of this phase."""
    every: int = 1
    """Run only at steps whose index is a multiple of this."""
    repeat: int = 1
    """Updates in a row at each of those steps."""
    fresh_batch: bool = False
    """Whether each update draws a batch of its own instead of the step's."""


@dataclass(frozen=True)
class ObjectiveContext:
    """What an objective's `build` is given besides the encoder."""

    description: Description
    classes: int | tuple[int, ...] | None = None
    """Number of classes, or that of each variable where labels are several variables' classes; None unless the objective declares
    `supervised`."""
    multilabel: bool = False
    """Whether labels are K binary ones; only ever true for a supervised objective."""
    decoder: Callable[[torch.Generator, float], nn.Module] | None = None
    """Makes the encoder's mirror decoder of its default feature, the widths of the hidden layers times a number; None unless the
    objective declares `needs_decoder`."""


class Objective(nn.Module, ABC):
    """What an encoder is trained for, with its auxiliary networks.

    Whatever must survive an interruption is a parameter or a buffer (`register_buffer`): moving averages, a momentum encoder, a
    table of targets. Those are saved and restored; any other attribute is rebuilt by `build`.
    """

    encoder: Encoder
    sampling: Sampling
    watch: str
    """The term that the stop rule watches, "phase/term"; the first phase's loss by default."""

    def __init__(self, encoder: Encoder, *, sampling: Sampling, watch: str | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.sampling = sampling
        self.watch = watch or ""

    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """The phases in the order they run in every step. Called once, before training."""

    def shared(self, step: Step) -> Any:
        """What several phases read of one batch, computed once before them and with gradients: say, the encoder's features.

        The phases find it as `step.shared`. It is computed anew for a phase that draws a fresh batch. A phase that changes what
        it was computed from must come after those that need its gradients. None by default.
        """
        return None

    def after_step(self, step: Step) -> None:
        """Update state that no gradient trains; called without gradients, after all phases of a step. Nothing by default."""

    def exports(self) -> Mapping[str, nn.Module]:
        """Modules that a loaded run offers besides the encoder.

        "decoder" maps a feature [N, ...] to inputs (`decode`); "generator" is called as `generator(n, torch_generator)` and gives
        `n` inputs (`generate`).
        """
        return {}


@dataclass(frozen=True)
class TrainingResult:
    """How a training ended."""

    epochs: int
    steps: int
    best_step: int | None
    best_value: float | None
    last_terms: Mapping[str, float] = field(default_factory=dict)
