"""Random places in random episodes, as the code of Anand, Racah et al. (2019) draws them.

Episodes are drawn with equal probability and with replacement, then a place in each: what lies in a short episode is drawn more
often than what lies in a long one.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def draw_places(places: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """[count] numbers of episodes, and of a place in each, from 0.

    :param places: [E] int64: how many places each episode has; one with none is never drawn, and one of them has some.
    :param generator: on the device of `places`, or one of the CPU's.
    """
    able = places.nonzero().squeeze(1)
    episode = able[below(torch.full((count,), len(able), device=places.device), generator)]
    return episode, below(places[episode], generator)


def below(limits: Tensor, generator: torch.Generator) -> Tensor:
    """Whole numbers, each from 0 to its limit [n] - 1 with equal probability, where the limits are."""
    share = torch.rand(len(limits), dtype=torch.float64, generator=generator, device=generator.device)
    return (share.to(limits.device) * limits).long()


class EpisodeDraws:
    """Random frames of random episodes.

    :param episodes: [n] the episode of each row.
    """

    def __init__(self, episodes: NDArray[np.int64], device: torch.device) -> None:
        _, number, lengths = np.unique(episodes, return_inverse=True, return_counts=True)
        self._rows = torch.from_numpy(np.argsort(number, kind="stable")).to(device)
        self._lengths = torch.from_numpy(lengths).to(device)
        self._starts = self._lengths.cumsum(0) - self._lengths

    def draw(self, draws: int, generator: torch.Generator) -> Tensor:
        """[draws] row numbers.

        :param generator: one on the device.
        """
        episode, step = draw_places(self._lengths, draws, generator)
        return self._rows[self._starts[episode] + step]
