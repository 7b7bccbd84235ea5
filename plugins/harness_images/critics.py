"""Critics of Deep InfoMax: networks that score pairs of a local vector and a global vector.

Both forms answer with the scores of joint pairs, [N, P], and of marginal pairs, [N, K], grouped by the N images whose global
vector is scored, as `harness.bounds` takes them. A global critic is a critic of a map with a single place.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import bounds

Scores = tuple[Tensor, Tensor]
"""Scores of joint pairs [N, P] and of marginal pairs [N, K]."""


class ResidualNet(nn.Module):
    """A net applied to every vector [..., C] -> [..., units], normalised over the units.

    Main branch: linear map, batch normalisation, ReLU, linear map with a bias. Shortcut: one linear map, begun as a noisy identity
    where it is wide enough. LayerNorm of their sum. (rdevon/DIM, `mi_networks.py`, where the maps are 1x1 convolutions)
    """

    def __init__(self, channels: int, hidden: int, units: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Linear(channels, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True), nn.Linear(hidden, units)
        )
        self.shortcut = nn.Linear(channels, units, bias=False)
        if units >= channels:
            nn.init.uniform_(self.shortcut.weight, -0.01, 0.01)
            with torch.no_grad():
                self.shortcut.weight[range(channels), range(channels)] = 1.0
        self.norm = nn.LayerNorm(units)

    def forward(self, vectors: Tensor) -> Tensor:
        """The embedding of every vector."""
        rows = vectors.flatten(0, -2)
        embedded: Tensor = self.norm(self.main(rows) + self.shortcut(rows))
        return embedded.view(*vectors.shape[:-1], -1)


class Places(nn.Module):
    """The vectors of a map, place by place: [N, C, H, W] -> [N, H W, C]. No copy where the map lies channels last."""

    def forward(self, local: Tensor) -> Tensor:
        """Place row * W + column is that of the map's row and column."""
        return local.permute(0, 2, 3, 1).flatten(1, 2)


class DotCritic(nn.Module):
    """Encode and dot product: u_ijl = <g(y_i), f(c_jl)>, of every global vector with every place of every image.

    :param local_net: a map [N, C, H, W] -> its places' embeddings [N, L, U].
    :param global_net: [N, D] -> [N, U].
    :param negatives: marginal pairs drawn for each global vector in every step; None takes all (N - 1) L of the batch.
    """

    def __init__(self, local_net: nn.Module, global_net: nn.Module, negatives: int | None) -> None:
        super().__init__()
        self.local_net, self.global_net, self.negatives = local_net, global_net, negatives

    def forward(self, local: Tensor, y: Tensor, generator: torch.Generator) -> Scores:
        """Scores of the places of `local` [N, C, H, W] and the vectors `y` [N, D]."""
        f, g = self.local_net(local), self.global_net(y)
        images, places, units = f.shape
        with torch.autocast(y.device.type, enabled=False):  # scores reach the number of units: too large for 8 bits of bf16
            scores = (g.float() @ f.reshape(-1, units).float().T).view(images, images, places)
        negative = bounds.off_diagonal(scores)
        if self.negatives is not None and self.negatives < negative.shape[1]:
            drawn = torch.rand(negative.shape, generator=generator, device=negative.device).topk(self.negatives, dim=1).indices
            negative = negative.gather(1, drawn)
        return scores.diagonal().T, negative


class ConcatCritic(nn.Module):
    """Concatenate and convolve: two hidden layers on (c_l, y) at every place.

    Marginal pairs give every place the global vector of another image: a different one from place to place, never the image's own.
    The first layer is applied to both parts apart, W [c; y] = W_c c + W_y y, so that joint and marginal pairs share W_c c.

    :param permutations: other images with which each place is paired.
    """

    def __init__(self, channels: int, latent: int, hidden: int, permutations: int) -> None:
        super().__init__()
        self.permutations = permutations
        self.on_local = nn.Linear(channels, hidden, bias=False)
        self.on_global = nn.Linear(latent, hidden)
        for parameter in (self.on_local.weight, *self.on_global.parameters()):  # as one layer of channels + latent inputs
            nn.init.uniform_(parameter, -((channels + latent) ** -0.5), (channels + latent) ** -0.5)
        relu = partial(nn.ReLU, inplace=True)
        self.rest = nn.Sequential(relu(), nn.Conv2d(hidden, hidden, 1), relu(), nn.Conv2d(hidden, 1, 1))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, local: Tensor, y: Tensor, generator: torch.Generator) -> Scores:
        """Scores of the places of `local` [N, C, H, W] and the vectors `y` [N, D]."""
        images, _, height, width = local.shape
        c, g = self.on_local(local.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), self.on_global(y)
        positive: Tensor = self.rest(c + g[:, :, None, None])
        negative = []
        for _ in range(self.permutations):
            partner, place_of = other_images(images, height * width, generator, y.device)
            foreign = F.embedding(partner.view(images, height, width), g).permute(0, 3, 1, 2)
            scores = self.rest(c + foreign).flatten(1)
            negative.append(scores.gather(0, place_of))  # from the rows of the place's image to those of the global vector
        return positive.flatten(1), torch.cat(negative, dim=1)


class WholeMap(nn.Module):
    """A concatenating critic of the whole local map, flattened to one place."""

    def __init__(self, critic: ConcatCritic) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, local: Tensor, y: Tensor, generator: torch.Generator) -> Scores:
        """Scores of the maps `local` [N, C, H, W] and the vectors `y` [N, D]."""
        scores: Scores = self.critic(local.flatten(1)[:, :, None, None], y, generator)
        return scores


def other_images(images: int, places: int, generator: torch.Generator, device: torch.device) -> tuple[Tensor, Tensor]:
    """For each place an independent random cycle through all images: each image's successor, and each image's predecessor.

    Both are [images, places] image numbers, and inverse to each other at every place. No image is its own successor, and every
    other one is equally likely. Raises ValueError for a single image.
    """
    if images < 2:
        raise ValueError("Marginal pairs need a batch of two images or more.")
    order = torch.rand(images, places, generator=generator, device=device).argsort(dim=0)
    after, before = order.roll(-1, dims=0), order.roll(1, dims=0)
    return torch.empty_like(order).scatter_(0, order, after), torch.empty_like(order).scatter_(0, order, before)
