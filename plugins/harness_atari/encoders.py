"""Encoders of frames: the convolutions of the deep Q-network, larger ones for whole frames, and residual stages.

Mnih et al., "Human-level control through deep reinforcement learning" (2015) for `nature-84`; Anand, Racah et al., "Unsupervised
State Representation Learning in Atari" (2019) for `nature-full`; Espeholt et al., "IMPALA" (2018) for `impala`. All are in the form
that Anand et al. give them: `nature-84` ends in half as many channels as its model. One class holds them: stages of which each
makes the map smaller, and a linear map to y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import Description, Encoder, Images
from harness_atari.spec_encoders import ImpalaOptions, NatureOptions

Shape = tuple[int, int, int]
"""Channels, height and width of a map."""


@dataclass(frozen=True)
class Stage:
    """How a stage makes a map smaller: a window of `kernel` x `kernel` that moves by `stride`, with nothing beyond the border."""

    channels: int
    kernel: int
    stride: int

    def shape(self, before: Shape) -> Shape:
        """The shape of the map it gives, from that of the one it reads."""
        height, width = ((side - self.kernel) // self.stride + 1 for side in before[1:])
        return self.channels, height, width


class FrameEncoder(Encoder):
    """Stages and a linear map to y, for frames [B, C, H, W].

    Features: "y" [B, latent], before any nonlinearity; "local", the map of stage number `local` after its ReLU; "conv", the map of
    the last stage after its ReLU; "fc", the same as a vector.

    :param description: of the frames; its shape is (C, H, W).
    :param stages: from below, for its mirror.
    :param layers: the network of each stage.
    :param local: the stage that gives the local features, counted from 1.
    :param orthogonal: whether all weights begin orthogonal, instead of as torch's layers do.
    """

    def __init__(
        self,
        description: Description,
        stages: Sequence[Stage],
        layers: Sequence[nn.Module],
        *,
        local: int,
        latent: int,
        orthogonal: bool,
    ) -> None:
        super().__init__()
        self.value_range, self.stages, self.stages_below = description.value_range, tuple(stages), local
        self.maps = maps_of(description, stages)
        """The shapes of the frame and of the map after each stage."""
        units = math.prod(self.maps[-1])
        self.feature_shapes = {"y": (latent,), "local": self.maps[local], "conv": self.maps[-1], "fc": (units,)}
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(units, latent)
        if orthogonal:
            initialise_orthogonally(self)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # in which convolutions are quicker

    def forward(self, batch: Images) -> dict[str, Tensor]:
        """The features of a batch of frames."""
        pixels = batch.pixels.contiguous(memory_format=torch.channels_last)
        local = self.layers[: self.stages_below](pixels)
        conv = self.layers[self.stages_below :](local)
        fc = conv.flatten(start_dim=1)
        return {"y": self.output(fc), "local": local, "conv": conv, "fc": fc}


class ResidualBlock(nn.Module):
    """[B, C, H, W] -> the same shape: ReLU of the map plus two convolutions of it, with a ReLU between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = same_convolution(channels, channels), same_convolution(channels, channels)

    def forward(self, maps: Tensor) -> Tensor:
        """The map of a block."""
        return F.relu_(maps + self.second(F.relu_(self.first(maps))))


def same_convolution(before: int, after: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size: the map is mirrored at its border."""
    return nn.Conv2d(before, after, 3, padding=1, padding_mode="reflect")


def maps_of(description: Description, stages: Sequence[Stage]) -> list[Shape]:
    """The shapes of a frame and of the map after each stage."""
    channels, height, width = description.shape
    maps: list[Shape] = [(channels, height, width)]
    for stage in stages:
        maps.append(stage.shape(maps[-1]))
    return maps


def initialise_orthogonally(network: nn.Module) -> None:
    """Weights of every convolution and linear map orthogonal with the gain of a ReLU, √2, and biases 0. Saxe et al. 2014."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.orthogonal_(layer.weight, gain=math.sqrt(2))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


# ------------------------------------------------------------------------------------------------- the encoders


def build_nature_full(description: Description, options: NatureOptions, generator: torch.Generator) -> FrameEncoder:
    """The encoder `nature-full`: of frames of 210x160 pixels maps of 51x39, 24x18, 11x8 (local) and 9x6."""
    width = options.width
    stages = [Stage(width, 8, 4), Stage(2 * width, 4, 2), Stage(4 * width, 4, 2), Stage(2 * width, 3, 1)]
    return _nature(description, stages, options)


def build_nature_84(description: Description, options: NatureOptions, generator: torch.Generator) -> FrameEncoder:
    """The encoder `nature-84`: of frames of 84x84 pixels maps of side 20, 9 and 7 (local)."""
    width = options.width
    return _nature(description, [Stage(width, 8, 4), Stage(2 * width, 4, 2), Stage(width, 3, 1)], options)


def _nature(description: Description, stages: Sequence[Stage], options: NatureOptions) -> FrameEncoder:
    """A convolution with ReLU at each stage, of which the third gives the local features."""
    maps = maps_of(description, stages)
    layers = [
        nn.Sequential(nn.Conv2d(before[0], stage.channels, stage.kernel, stage.stride), nn.ReLU(inplace=True))
        for before, stage in zip(maps, stages, strict=False)
    ]
    return FrameEncoder(description, stages, layers, local=3, latent=options.latent, orthogonal=True)


def build_impala(description: Description, options: ImpalaOptions, generator: torch.Generator) -> FrameEncoder:
    """The encoder `impala`: of 210x160 pixels maps of 104x79, 51x39, 25x19 (local) and 12x9; of 84x84 of side 41, 20 and 9 (local).

    A stage is a convolution that keeps the size, max-pooling, ReLU and two residual blocks; a ReLU between the blocks would change
    nothing, as a block ends in one. Weights begin as torch's layers do. Anand et al. end in a ReLU; our y is taken before it.
    """
    channels = [options.width, *[2 * options.width] * (3 if description.shape[1] > 84 else 2)]
    stages = [Stage(units, 3, 2) for units in channels]
    maps = maps_of(description, stages)
    layers = [
        nn.Sequential(
            same_convolution(before[0], stage.channels),
            nn.MaxPool2d(stage.kernel, stage.stride),
            nn.ReLU(inplace=True),
            ResidualBlock(stage.channels),
            ResidualBlock(stage.channels),
        )
        for before, stage in zip(maps, stages, strict=False)
    ]
    return FrameEncoder(description, stages, layers, local=3, latent=options.latent, orthogonal=False)
