"""Critics f(x, y), which score whether x and y were drawn jointly. They are encoders of pairs with the feature "scores".

The sizes are those of Poole et al. 2019 and Song and Ermon 2020: three hidden layers of 256 ReLU units, an embedding of 32.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from harness import Description, Encoder, Pairs, UnfitError
from harness_information.spec_estimators import ConcatOptions, SeparableOptions


class Critic(Encoder):
    """Offers "scores" [B, candidates]: of each x with its own y, and then with those of the next candidates - 1 pairs of the batch.

    The y that follow in the batch, round its end, are drawn independently of x: their scores are of marginal pairs. With a batch of
    `candidates` pairs they are all others.

    :param candidates: K + 1, one joint and K marginal pairs.
    """

    def __init__(self, candidates: int) -> None:
        super().__init__()
        self.candidates = candidates
        self.feature_shapes = {"scores": (candidates,)}
        self._following = torch.empty(0, candidates, dtype=torch.int64)
        """[B, candidates] of the last batch: almost every batch has the same size."""

    def forward(self, batch: Pairs) -> dict[str, Tensor]:
        """The scores. Raises UnfitError for a batch of fewer than `candidates` pairs."""
        n = len(batch)
        if n < self.candidates:
            raise UnfitError(
                f"A batch of {n} pairs has no {self.candidates} candidates for each x; give train.batch_size and the data set "
                f"{self.candidates} pairs or more, or lower encoder.candidates."
            )
        if len(self._following) != n or self._following.device != batch.x.device:
            places = torch.arange(n, device=batch.x.device)
            self._following = (places[:, None] + torch.arange(self.candidates, device=batch.x.device)) % n
        return {"scores": self.score(batch.x.flatten(1), batch.y.flatten(1), self._following)}

    @abstractmethod
    def score(self, x: Tensor, y: Tensor, others: Tensor) -> Tensor:
        """f(x_i, y_j) for the places j = others[i, k].

        :param x: [B, Dx] and `y` [B, Dy].
        :param others: [B, candidates] int64.
        :returns: [B, candidates].
        """


class SeparableCritic(Critic):
    """f(x, y) = g(x) · h(y): two networks and one matrix product for all pairs of a batch.

    The two networks have equal layers, so each pair of layers is one batched product. Where x and y differ in size the shorter is
    filled with zeros, whose weights then never move.
    """

    def __init__(self, x_dims: int, y_dims: int, options: SeparableOptions) -> None:
        super().__init__(options.candidates)
        widths = [max(x_dims, y_dims), *[options.hidden] * options.layers, options.embedding]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for number, (fan_in, fan_out) in enumerate(pairwise(widths)):
            bounds = [1 / math.sqrt(fan_in if number else dims) for dims in (x_dims, y_dims)]
            self.weights.append(_uniform(bounds, fan_in, fan_out))
            self.biases.append(_uniform(bounds, 1, fan_out))

    def embed(self, x: Tensor, y: Tensor) -> Tensor:
        """g(x) and h(y), [2, B, embedding]."""
        dims = self.weights[0].shape[1]
        hidden = torch.stack([nn.functional.pad(part, (0, dims - part.shape[1])) for part in (x, y)])
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = torch.baddbmm(bias, hidden.relu() if number else hidden, weight)
        return hidden

    def score(self, x: Tensor, y: Tensor, others: Tensor) -> Tensor:
        """[B, candidates]."""
        g, h = self.embed(x, y)
        return cast(Tensor, (g @ h.T).gather(1, others))


class ConcatCritic(Critic):
    """f(x, y) of one network on both, for every pair anew; its first layer, W [x, y] = Wx x + Wy y, once for each sample."""

    def __init__(self, x_dims: int, y_dims: int, options: ConcatOptions) -> None:
        super().__init__(options.candidates)
        first = nn.Linear(x_dims + y_dims, options.hidden)
        self.of_x, self.of_y = nn.Linear(x_dims, options.hidden), nn.Linear(y_dims, options.hidden, bias=False)
        with torch.no_grad():
            self.of_x.weight.copy_(first.weight[:, :x_dims])
            self.of_x.bias.copy_(first.bias)
            self.of_y.weight.copy_(first.weight[:, x_dims:])
        layers: list[nn.Module] = [nn.ReLU()]
        for _ in range(options.layers - 1):
            layers += [nn.Linear(options.hidden, options.hidden), nn.ReLU()]
        self.rest = nn.Sequential(*layers, nn.Linear(options.hidden, 1))

    def score(self, x: Tensor, y: Tensor, others: Tensor) -> Tensor:
        """[B, candidates]."""
        both = self.of_x(x)[:, None] + self.of_y(y)[others]
        return cast(Tensor, self.rest(both)).squeeze(-1)


def _uniform(bounds: list[float], rows: int, columns: int) -> nn.Parameter:
    """[2, rows, columns], each of the two uniform within its bound: how torch initialises a linear layer."""
    return nn.Parameter(torch.stack([torch.empty(rows, columns).uniform_(-bound, bound) for bound in bounds]))


def build_separable(description: Description, options: SeparableOptions, generator: torch.Generator) -> SeparableCritic:
    """The encoder `separable-critic`."""
    return SeparableCritic(*_dims(description), options)


def build_concat(description: Description, options: ConcatOptions, generator: torch.Generator) -> ConcatCritic:
    """The encoder `concat-critic`."""
    return ConcatCritic(*_dims(description), options)


def _dims(description: Description) -> tuple[int, int]:
    x_dims, y_dims = description.shape
    return x_dims, y_dims
