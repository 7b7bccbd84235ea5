"""`ram-supervised`: an encoder of its own for each RAM variable, trained by the variable's values; what labels give.

The row "supervised" of Anand, Racah et al. (2019): encoder and linear classifier of one variable are trained together, as their
probes are: cross-entropy, Adam, the rate lowered and the end chosen by the validation accuracy. Nothing is shared between
variables. Every one begins with a copy of the run's encoder, which is untrained in the row `random`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import Batch, Encoder, EvaluationError, FrameSource, Images, Task
from harness_atari.probe_batches import shuffled_pass
from harness_atari.ram_probe import Frames, RamProbe, Said, constant, targets
from harness_atari.stacked_probes import EPS, SCORED, Plan, Training


class SupervisedRam(RamProbe):
    """Encoders and classifiers of the best validation epoch, variable after variable."""

    name = "ram-supervised"

    def _trained(self, task: Task, train: Frames, held_out: Frames, test: Frames) -> Said:
        """Train an encoder for every variable that varies in the training part; what it and the others say.

        Raises EvaluationError for inputs that are no frames, and for networks that diverge.
        """
        if not isinstance(task.inputs, FrameSource):
            raise EvaluationError(f"{self.name} trains encoders on frames, and this data set has none; take ram-probe.")
        assert task.fresh_encoder is not None  # the spec needs "encoder"
        frames, generator, training = task.inputs.to(task.device), task.generator(), self._training()
        said = constant(train, np.arange(len(test)))
        classes = self._classes(train)
        for number, (variable, its) in enumerate(classes.items()):
            shown, judged_by, tested = (
                LabelledFrames(
                    frames,
                    torch.from_numpy(part.index).to(frames.index.device),
                    targets(part.values[[variable]], [its], task.device)[0],
                )
                for part in (train, held_out, test)
            )
            net = LinearOnEncoder(task.fresh_encoder(), task.feature, len(its)).to(task.device)
            before, total = number * training.epochs, len(classes) * training.epochs

            def advanced(epoch: int, before: int = before, total: int = total) -> None:
                task.progress(before + epoch, total, "epochs of encoders")

            epoch, epochs = train_to_best(net, shown, judged_by, training, generator, advanced)
            if not all(bool(tensor.isfinite().all()) for tensor in net.state_dict().values()):
                raise EvaluationError(f"{self.name} diverged; lower evaluator.{self.name}.lr.")
            said.values[variable] = its[predict(net, tested).cpu().numpy()]
            said.selected[variable] = {"epoch": epoch, "epochs": epochs}
        return said


class LinearOnEncoder(nn.Module):
    """A batch -> [B, classes] logits of a linear layer on one feature of an encoder, trained together."""

    def __init__(self, encoder: Encoder, feature: str, classes: int) -> None:
        super().__init__()
        self.encoder, self.feature = encoder, feature
        self.head = nn.Linear(math.prod(encoder.feature_shapes[feature]), classes)

    def forward(self, batch: Batch) -> Tensor:
        """The logits."""
        logits: Tensor = self.head(self.encoder(batch)[self.feature].flatten(start_dim=1))
        return logits


@dataclass(frozen=True)
class LabelledFrames:
    """Frames of one part, with the classes of one variable."""

    source: FrameSource
    index: Tensor
    """[n] numbers of the frames, where the source is."""
    targets: Tensor
    """[n] classes on the networks' device; -1 for a value that is not among them."""

    def __len__(self) -> int:
        return len(self.index)

    def batches(self, rows: Tensor, batch_size: int) -> Iterator[tuple[Images, Tensor]]:
        """These rows in order, with their classes, on the networks' device."""
        for some in torch.split(rows, batch_size):
            number = self.index[some.to(self.index.device)]
            pixels = self.source.pixels(number).to(self.targets.device)
            yield Images(index=number.to(self.targets.device), pixels=pixels), self.targets[some]

    def in_order(self) -> Iterator[tuple[Images, Tensor]]:
        """Every frame once, in large batches."""
        return self.batches(torch.arange(len(self), device=self.targets.device), SCORED)


def train_to_best(
    net: nn.Module,
    train: LabelledFrames,
    validation: LabelledFrames,
    training: Training,
    generator: torch.Generator,
    advanced: Callable[[int], None],
) -> tuple[int, int]:
    """Train until the validation accuracy no longer rises; the net ends with the weights of its best epoch.

    :param advanced: told how many epochs are done before each.
    :returns: that epoch, from 1, and how many were trained.
    """
    plan, only = Plan(1, training), np.zeros(1, np.intp)
    optimiser = torch.optim.Adam(net.parameters(), lr=training.lr, eps=EPS, fused=True)
    best = {}
    for epoch in range(training.epochs):
        advanced(epoch)
        optimiser.param_groups[0]["lr"] = float(plan.lr[0])
        net.train()
        for images, classes in train.batches(shuffled_pass(len(train), generator), training.batch_size):
            optimiser.zero_grad()
            F.cross_entropy(net(images), classes).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        right = predict(net, validation) == validation.targets
        better, goes_on = plan.judge(only, np.array([float(right.double().mean())]))
        if better[0]:
            best = copy.deepcopy(net.state_dict())
        if not goes_on[0]:
            break
    net.load_state_dict(best)
    return int(plan.best_epoch[0]), int(plan.epochs[0])


@torch.no_grad()
def predict(net: nn.Module, frames: LabelledFrames) -> Tensor:
    """[n] the class with the largest logit, of equals the first, in eval mode."""
    net.eval()
    return torch.cat([net(images).argmax(dim=1) for images, _ in frames.in_order()])
