"""Convolutional encoders of Deep InfoMax.

Hjelm et al., "Learning deep representations by mutual information estimation and maximization" (2019), with the sizes of the
authors' own code: convolutions and hidden layers, each with batch normalisation and ReLU and so without a bias, and a plain linear
map to y. One class builds them all; the sizes of each stand in its build function at the end.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import Description, Encoder, Images
from harness_images.spec_encoders import AlexNetOptions, ConvEncoderOptions, SmallEncoderOptions


@dataclass(frozen=True)
class Stage:
    """A convolution with batch normalisation and ReLU, then max-pooling 3x3 with stride 2 where `pool` says so."""

    channels: int
    kernel: int
    stride: int
    padding: int
    pool: bool = False

    def side(self, before: int) -> int:
        """The side of the map it gives, from the side of the one it reads."""
        after = (before + 2 * self.padding - self.kernel) // self.stride + 1
        return (after - 3) // 2 + 1 if self.pool else after


class ConvEncoder(Encoder):
    """Stages of convolution, hidden layers and a linear map to y, for images [B, C, S, S].

    Features: "y" [B, latent], before any nonlinearity; "fc" [B, units], the last hidden layer; "conv" [B, channels, side, side],
    the map of the last stage; "local", of the same form, the map of stage number `local`.

    :param description: of the images; its shape is (C, S, S).
    :param stages: from below.
    :param local: the stage that gives the local features, counted from 1.
    :param hidden: units of each hidden layer.
    :param init: "normal-0.02" draws all weights of convolutions and linear maps from N(0, 0.02²), as BiGAN and the authors' first
        code did for AlexNet; "default" is torch's own initialisation.
    :param gradients: the first convolution sees horizontal and vertical differences of the images, as in `GradientFilter`.
    :param memory_format: of maps and kernels. Convolutions are quicker with the channels last.
    """

    def __init__(
        self,
        description: Description,
        stages: Sequence[Stage],
        *,
        local: int,
        hidden: Sequence[int],
        latent: int,
        init: Literal["default", "normal-0.02"] = "default",
        gradients: bool = False,
        memory_format: torch.memory_format = torch.channels_last,
    ) -> None:
        super().__init__()
        self.channels, self.side, _ = description.shape
        self.value_range, self.width, self.latent = description.value_range, stages[0].channels, latent
        self.init, self.memory_format = init, memory_format

        maps = [(self.channels, self.side, self.side)]
        for stage in stages:
            side = stage.side(maps[-1][-1])
            maps.append((stage.channels, side, side))
        self.feature_shapes = {"y": (latent,), "fc": (hidden[-1],), "conv": maps[-1], "local": maps[local]}

        self.filter = GradientFilter(self.channels) if gradients else None
        below = _convolutions(2 if gradients else self.channels, stages[:local])
        self.convolutions = nn.Sequential(*below, *_convolutions(maps[local][0], stages[local:]))
        self.layers_below = len(below)
        self.hidden = nn.Sequential(*_hidden([math.prod(maps[-1]), *hidden]))
        self.output = nn.Linear(hidden[-1], latent)
        _initialise(self, init)
        self.to(memory_format=memory_format)  # type: ignore[call-overload]

    def forward(self, batch: Images) -> dict[str, Tensor]:
        """The features of a batch of images."""
        pixels = batch.pixels if self.filter is None else self.filter(batch.pixels)
        pixels = pixels.contiguous(memory_format=self.memory_format)
        local = self.convolutions[: self.layers_below](pixels)
        conv = self.convolutions[self.layers_below :](local)
        fc = self.hidden(conv.flatten(start_dim=1))
        return {"y": self.output(fc), "fc": fc, "conv": conv, "local": local}

    def above_local(self, units: int, generator: torch.Generator | None = None) -> nn.Module:
        """The layers above the local features once more, with weights of their own and `units` outputs in place of y.

        They map the feature "local" to [B, units]. Weights are drawn from `generator`, one of the CPU's; without it from torch's
        global state, as those of any layer.
        """
        with _drawing_from(generator):
            layers = copy.deepcopy([*list(self.convolutions)[self.layers_below :], nn.Flatten(), *self.hidden])
            for layer in layers:
                if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm1d | nn.BatchNorm2d):
                    layer.reset_parameters()
            above = nn.Sequential(*layers, nn.Linear(self.output.in_features, units))
            _initialise(above, self.init)
        return above


class GradientFilter(nn.Module):
    """[B, C, H, W] -> [B, 2, H, W]: horizontal and vertical differences, summed over the channels, by Sobel's kernel over three.

    Fixed. It hides colours, in which Bojanowski and Joulin (2017) and others saw a shortcut.
    """

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        horizontal = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 3
        self.register_buffer("kernel", torch.stack([horizontal, horizontal.T])[:, None].repeat(1, channels, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """The differences; beyond the border the images are 0."""
        return F.conv2d(pixels, self.kernel, padding=1)


def _convolutions(channels: int, stages: Sequence[Stage]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for stage in stages:
        convolution = nn.Conv2d(channels, stage.channels, stage.kernel, stage.stride, stage.padding, bias=False)
        layers += [convolution, nn.BatchNorm2d(stage.channels), nn.ReLU(inplace=True)]
        if stage.pool:
            layers.append(nn.MaxPool2d(3, stride=2))
        channels = stage.channels
    return layers


def _hidden(units: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in pairwise(units):
        layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU(inplace=True)]
    return layers


def _initialise(network: nn.Module, init: Literal["default", "normal-0.02"]) -> None:
    if init == "normal-0.02":
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, std=0.02)


@contextmanager
def _drawing_from(generator: torch.Generator | None) -> Iterator[None]:
    """Inside, layers draw their weights from `generator`; None: from torch's global state."""
    if generator is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.set_state(generator.get_state())
        yield
        generator.set_state(torch.default_generator.get_state())


# ------------------------------------------------------------------------------------------------- the encoders


def build_dcgan_32(
    description: Description, options: ConvEncoderOptions, generator: torch.Generator, *, gradients: bool = False
) -> ConvEncoder:
    """The encoder `dcgan-32`: maps of side 16, 8 (local) and 4."""
    width = options.width
    stages = [Stage(width, 4, 2, 1), Stage(2 * width, 4, 2, 1), Stage(4 * width, 4, 2, 1)]
    return ConvEncoder(description, stages, local=2, hidden=[options.hidden], latent=options.latent, gradients=gradients)


def build_dcgan_32_gradients(description: Description, options: ConvEncoderOptions, generator: torch.Generator) -> ConvEncoder:
    """The encoder `dcgan-32-gradients`: `dcgan-32` behind a gradient filter."""
    return build_dcgan_32(description, options, generator, gradients=True)


def build_conv_28(description: Description, options: ConvEncoderOptions, generator: torch.Generator) -> ConvEncoder:
    """The encoder `conv-28`: maps of side 14 and 7 (local)."""
    width = options.width
    stages = [Stage(width, 5, 2, 2), Stage(2 * width, 5, 2, 2)]
    return ConvEncoder(description, stages, local=2, hidden=[options.hidden], latent=options.latent)


def build_dcgan_64(description: Description, options: ConvEncoderOptions, generator: torch.Generator) -> ConvEncoder:
    """The encoder `dcgan-64`: maps of side 32, 16, 8 (local) and 4."""
    width = options.width
    stages = [Stage(width, 4, 2, 1), Stage(2 * width, 4, 2, 1), Stage(4 * width, 4, 2, 1), Stage(8 * width, 4, 2, 1)]
    return ConvEncoder(description, stages, local=3, hidden=[options.hidden], latent=options.latent)


def build_alexnet_64(
    description: Description, options: AlexNetOptions, generator: torch.Generator, *, gradients: bool = False
) -> ConvEncoder:
    """The encoder `alexnet-64`: maps of side 31, 15, 15 (local), 15 and 7."""
    width = options.width
    stages = [
        Stage(width, 3, 1, 1, pool=True),
        Stage(2 * width, 3, 1, 1, pool=True),
        Stage(4 * width, 3, 1, 1),
        Stage(4 * width, 3, 1, 1),
        Stage(2 * width, 3, 1, 1, pool=True),
    ]
    return ConvEncoder(
        description,
        stages,
        local=3,
        hidden=[options.hidden, options.hidden],
        latent=options.latent,
        init=options.init,
        gradients=gradients,
    )


def build_alexnet_64_gradients(description: Description, options: AlexNetOptions, generator: torch.Generator) -> ConvEncoder:
    """The encoder `alexnet-64-gradients`: `alexnet-64` behind a gradient filter."""
    return build_alexnet_64(description, options, generator, gradients=True)


def build_small(description: Description, options: SmallEncoderOptions, generator: torch.Generator) -> ConvEncoder:
    """The encoder `image-small`: maps of side 8 (local) and 4."""
    width = options.width
    stages = [Stage(width, 3, 1, 1), Stage(2 * width, 4, 2, 1)]
    return ConvEncoder(
        description,
        stages,
        local=1,
        hidden=[8 * width],
        latent=options.latent,
        memory_format=torch.contiguous_format,  # as its records were computed: the other order of memory rounds otherwise
    )
