"""The objective `nat`: noise as targets.

Bojanowski and Joulin, "Unsupervised Learning by Predicting Noise" (2017). Every image has a fixed random target on the unit
sphere; the encoder moves its normalised y towards it, and in every third epoch the targets of a batch are exchanged among its
images so that they fit best. The set of targets never changes, only who has which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from harness import Encoder, Items, Objective, ObjectiveContext, Phase, Step
from harness_baselines.spec import NATOptions


class NoiseAsTargets(Objective):
    """An encoder, and a table of which target each sample has.

    :param samples: numbers that samples can have; those that training does not see keep their target.
    :param generator: draws the targets and who has which at first.
    """

    targets: Tensor
    """[samples, D] of length one, never changed."""
    target_of: Tensor
    """[samples] int64: the target of each sample; always a permutation."""

    def __init__(self, encoder: Encoder, samples: int, options: NATOptions, generator: torch.Generator) -> None:
        super().__init__(encoder, sampling=Items())
        self.options = options
        (latent,) = encoder.shape_of("y", "D")
        noise = torch.randn(samples, latent, generator=generator)
        self.register_buffer("targets", F.normalize(noise))
        self.register_buffer("target_of", torch.randperm(samples, generator=generator))

    def phases(self) -> Sequence[Phase]:
        """One: the encoder."""
        adam = partial(torch.optim.Adam, lr=self.options.lr, betas=(0.5, 0.999), fused=True)
        optimiser = partial(torch.optim.SGD, lr=self.options.lr) if self.options.optimiser == "sgd" else adam
        return [Phase("match", self.encoder.parameters(), optimiser, self.distance)]

    def distance(self, step: Step) -> Mapping[str, Tensor]:
        """The squared distance between normalised y and targets, *summed* over the batch; before it, perhaps, re-assignment.

        Beside it the mean cosine, which ranges from 0 for unrelated vectors to 1.
        """
        y = F.normalize(self.encoder(step.batch)["y"].float())
        index = step.batch.index
        if step.epoch % self.options.every == 0:
            self.reassign(index, y.detach())
        targets = self.targets[self.target_of[index]]
        return {"loss": (y - targets).square().sum(), "cosine": (y.detach() * targets).sum(dim=1).mean()}

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # SciPy
    def reassign(self, index: Tensor, y: Tensor) -> None:
        """Exchange the targets of a batch among its samples for the largest sum of inner products, by the Hungarian algorithm.

        Of unit vectors that is the smallest sum of squared distances.

        :param index: [N] the batch's sample numbers.
        :param y: [N, D] their representations, of length one.
        """
        held = self.target_of[index]
        gain = y @ self.targets[held].T  # [sample, target]
        if not gain.isfinite().all():
            return  # training has diverged: the loss says so, and there is no best assignment
        _, chosen = linear_sum_assignment(gain.double().cpu().numpy(), maximize=True)  # rows come in order
        self.target_of[index] = held[torch.from_numpy(chosen).to(held.device)]


def build(encoder: Encoder, context: ObjectiveContext, options: NATOptions, generator: torch.Generator) -> NoiseAsTargets:
    """The objective `nat`. Raises UnfitError for an encoder without a vector "y"."""
    return NoiseAsTargets(encoder, context.description.samples, options, generator)
