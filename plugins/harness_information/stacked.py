"""Small networks side by side: R of the same layers, each with weights of its own, stepped as one computation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn


class StackedLinear(nn.Module):
    """R linear layers: [R, B, fan_in], or [B, fan_in] for all of them, -> [R, B, fan_out].

    :param bound: weights and biases begin uniform between -bound and bound; 1 / √fan_in by default, as torch's linear layers do.
    """

    def __init__(self, stack: int, fan_in: int, fan_out: int, *, bias: bool = True, bound: float | None = None) -> None:
        super().__init__()
        bound = 1 / math.sqrt(fan_in) if bound is None else bound
        self.weight = nn.Parameter(torch.empty(stack, fan_in, fan_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(stack, 1, fan_out).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """[R, B, fan_out]."""
        x = x.expand(len(self.weight), -1, -1) if x.ndim == 2 else x
        return torch.bmm(x, self.weight) if self.bias is None else torch.baddbmm(self.bias, x, self.weight)


def stacked_mlp(stack: int, widths: Sequence[int]) -> nn.Sequential:
    """R networks of linear layers of these widths, first to last, with ReLU between them: [R, B, first] -> [R, B, last]."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.ReLU(), StackedLinear(stack, fan_in, fan_out)]
    return nn.Sequential(*layers[1:])


class StackedConvolutions(nn.Module):
    """R convolutional networks on the same images [B, C, H, W] -> [R, B, units].

    Convolutions of 4x4 with stride 2 and ReLU halve the side until it is 4 or odd, each with twice the channels of the one before;
    then a linear layer and ReLU. The first convolution is one for all R, since the images are the same; the others are grouped.

    :param width: channels of the first.
    """

    def __init__(self, stack: int, shape: tuple[int, int, int], width: int, units: int) -> None:
        super().__init__()
        channels, *sides = shape
        self.stack = stack
        layers: list[nn.Module] = []
        groups = 1
        fan_in, fan_out = channels, width
        while not layers or (min(sides) > 4 and all(side % 2 == 0 for side in sides)):
            layers += [
                nn.Conv2d(fan_in * groups, fan_out * stack, 4, stride=2, padding=1, groups=groups),
                nn.ReLU(),
            ]
            sides = [side // 2 for side in sides]
            groups, fan_in, fan_out = stack, fan_out, 2 * fan_out
        self.convolutions = nn.Sequential(*layers)
        self.linear = StackedLinear(stack, fan_in * math.prod(sides), units)

    def forward(self, pixels: Tensor) -> Tensor:
        """[R, B, units]."""
        maps = cast(Tensor, self.convolutions(pixels))
        flat = maps.reshape(len(pixels), self.stack, -1).transpose(0, 1)
        return cast(Tensor, self.linear(flat)).relu()
