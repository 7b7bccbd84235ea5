"""The stop rule: when training ends, and which weights it ends with."""

from __future__ import annotations

import math

from torch import Tensor, nn

from harness.contracts.training import TrainOptions
from harness.line import checkpoints


class StopRule:
    """Follows the watched term: the lowest mean over an epoch, and how many epochs have passed since.

    The value of an epoch is known, and the weights that gave it are kept, *before* the epoch's last update of the watched phase,
    as in the reference code of Deep Graph Infomax, where an epoch is one step.
    """

    def __init__(self, options: TrainOptions) -> None:
        self.patience, self.restore_best = options.patience, options.restore_best
        self.best_value, self.best_step, self.waited = math.inf, -1, 0
        self.best: dict[str, Tensor] = {}

    @property
    def active(self) -> bool:
        """Whether there is anything to follow."""
        return self.patience is not None or self.restore_best

    def observe(self, value: float, step: int, network: nn.Module) -> bool:
        """Take in the value of an epoch whose last step is `step`; True means: stop before updating."""
        if value < self.best_value:
            self.best_value, self.best_step, self.waited = value, step, 0
            if self.restore_best:
                self._keep(network)
            return False
        self.waited += 1
        return self.patience is not None and self.waited >= self.patience

    def _keep(self, network: nn.Module) -> None:
        for name, tensor in checkpoints.network_state(network).items():
            kept = self.best.get(name)
            if kept is not None and kept.shape == tensor.shape and kept.dtype == tensor.dtype:
                kept.copy_(tensor.detach())
            else:
                self.best[name] = tensor.detach().clone()
