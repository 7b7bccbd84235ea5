"""`ndm`: the neural dependency measure of Deep InfoMax (Hjelm et al. 2019, section 4.1): how much a representation's coordinates
depend on one another.

    NDM estimates KL( p(y) ‖ Π p(y_i) ), the total correlation

with a discriminator that tells representations from such whose every coordinate was shuffled over the batch by itself. It is
trained by the f-GAN bound of the KL divergence and read by that of Donsker and Varadhan, on the test part. README.md says what
it is not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from harness import EvaluationError, Evaluator, Score, Task
from harness.bounds import kl
from harness_information.held_out import confident_dv, median_scores, rows_of
from harness_information.spec_evaluators import NdmOptions
from harness_information.stacked import stacked_mlp

HIDDEN = (1000, 200)
"""Units of the discriminator's layers, as in the released code."""
CHUNK = 1000
"""Rows of a batch computed together: their gradients add up to those of the batch, and their activations stay in the cache."""


class Ndm(Evaluator):
    """Discriminators of the representation as it is and after a sigmoid, trained in one pass."""

    def __init__(self, options: NdmOptions) -> None:
        self.options = options

    def evaluate(self, task: Task) -> Sequence[Score]:
        """The dependence in nats without and with the sigmoid, each with its upper confidence limit.

        Raises EvaluationError for fewer training samples than a batch, a representation of one coordinate, or a network that
        diverges.
        """
        options = self.options
        dims = math.prod(task.train.features.shape[1:])
        if len(task.train) < options.batch_size:
            raise EvaluationError(
                f"ndm draws batches of {options.batch_size} and the training part has {len(task.train)} samples; lower "
                "evaluator.ndm.batch_size, which changes what is measured."
            )
        if dims < 2 or len(task.test) < 2:
            raise EvaluationError(
                f"ndm needs two coordinates and two test samples; feature {task.feature!r} has {dims} of {len(task.test)}."
            )
        train, generator = rows_of(task.train, slice(None)).to(task.device), task.generator()
        network = stacked_mlp(2 * options.restarts, (dims, *HIDDEN, 1)).to(task.device)
        optimiser = torch.optim.Adam(network.parameters(), lr=options.lr, fused=True)
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, options.milestones, gamma=0.1)
        for step in range(options.steps):
            task.progress(step, options.steps, "steps")
            rows = torch.randperm(len(train), generator=generator, device=generator.device)[: options.batch_size]
            y = train[rows.to(task.device)]
            optimiser.zero_grad()
            for pair in zip(torch.split(y, CHUNK), torch.split(shuffled(y, generator), CHUNK), strict=True):
                positive, negative = (network(both_forms(values, options.restarts)) for values in pair)
                bounds = torch.stack([kl(*scores) for scores in zip(positive, negative, strict=True)])
                (-bounds.sum() * len(pair[0]) / len(y)).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        found = self._read(rows_of(task.test, slice(None)).to(task.device), network, generator)
        if not all(math.isfinite(number) for pair in found for number in pair):
            raise EvaluationError(f"ndm diverged on feature {task.feature!r}; lower evaluator.ndm.lr.")
        as_it_is, after_sigmoid = found[: options.restarts], found[options.restarts :]
        return [
            *median_scores(as_it_is, "dependence", "upper_limit"),
            *median_scores(after_sigmoid, "dependence_sigmoid", "upper_limit_sigmoid"),
        ]

    @torch.no_grad()
    def _read(self, y: Tensor, network: torch.nn.Module, generator: torch.Generator) -> list[tuple[float, float]]:
        """Value and upper limit of each network on the test part [n, D]."""
        positive, negative = (
            torch.cat([network(both_forms(rows, self.options.restarts)) for rows in torch.split(values, CHUNK)], dim=1)
            for values in (y, shuffled(y, generator))
        )
        return [confident_dv(own[:, 0], others) for own, others in zip(positive, negative, strict=True)]


def both_forms(y: Tensor, restarts: int) -> Tensor:
    """[2 restarts, B, D]: representations as they are, then after a sigmoid, for `restarts` networks each."""
    return torch.stack([y, y.sigmoid()]).repeat_interleave(restarts, dim=0)


def shuffled(y: Tensor, generator: torch.Generator) -> Tensor:
    """[B, D]: every column of y in a random order of its own, which leaves the law of each coordinate and no dependence."""
    keys = torch.rand(y.shape[1], y.shape[0], generator=generator, device=generator.device).to(y.device)
    return y.T.gather(1, keys.argsort(1)).T
