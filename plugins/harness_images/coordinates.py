"""Coordinate tasks of Deep InfoMax: predict from (y, c_l) where a place lies, and from (y, c_l, c_m) how far two places are apart.

Hjelm et al. 2019, section 4.3; the network of the absolute task as in rdevon/DIM, `coordinates.py`, with as many hidden units as
outputs. The relative task was not released; it has the same form, with the 2M - 1 differences of rows, and of columns, as classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness_images.critics import Places, ResidualNet


class AbsoluteCoordinates(nn.Module):
    """Row and column of each place of an M x M map, as two M-way classifications."""

    def __init__(self, channels: int, latent: int, side: int) -> None:
        super().__init__()
        self.places = Places()
        self.net = ResidualNet(channels + latent, 2 * side, 2 * side)

    def forward(self, local: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """Cross-entropy of rows plus that of columns, in nats, each averaged over the places of `local` [N, C, M, M]."""
        images, _, side, _ = local.shape
        logits = self.net(torch.cat([self.places(local), _everywhere(y, side)], dim=2))
        place = torch.arange(side * side, device=y.device).expand(images, -1)
        return _cross_entropies(logits, place // side, place % side)


class RelativeCoordinates(nn.Module):
    """Differences of row and of column between each place and one drawn from its image, as two (2M - 1)-way classifications."""

    def __init__(self, channels: int, latent: int, side: int) -> None:
        super().__init__()
        differences = 2 * side - 1
        self.places = Places()
        self.net = ResidualNet(2 * channels + latent, 2 * differences, 2 * differences)

    def forward(self, local: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """Cross-entropy of row differences plus that of column differences, in nats, averaged over the places of `local`."""
        images, _, side, _ = local.shape
        vectors, places = self.places(local), side * side
        other = torch.rand(images, places, generator=generator, device=y.device).argsort(dim=1)
        first = torch.arange(images, device=y.device)[:, None] * places
        there = F.embedding(first + other, vectors.flatten(0, 1))
        logits = self.net(torch.cat([vectors, there, _everywhere(y, side)], dim=2))
        here = torch.arange(places, device=y.device)
        return _cross_entropies(logits, here // side - other // side + side - 1, here % side - other % side + side - 1)


def _everywhere(y: Tensor, side: int) -> Tensor:
    """The vectors [N, D] at every place: [N, M M, D]."""
    return y[:, None].expand(-1, side * side, -1)


def _cross_entropies(logits: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Two softmaxes over the halves of `logits` [N, M M, 2 K] against classes [N, M M]."""
    of_rows, of_columns = logits.float().flatten(0, 1).chunk(2, dim=1)
    return F.cross_entropy(of_rows, rows.flatten()) + F.cross_entropy(of_columns, columns.flatten())
