"""Decoders that mirror the convolutional encoders."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from harness_images.encoders import ConvEncoder


class ConvDecoder(nn.Module):
    """A feature [B, *shape] -> images [B, C, S, S] inside the range of the data, where that is known.

    The decoder of Hjelm et al.'s own baselines: the flattened feature, a linear map to the smallest feature map, transposed
    convolutions that each double its side and halve its channels, each with batch normalisation and ReLU and without a bias, then a
    3x3 convolution to the image and tanh, stretched to the range. The smallest map is 4x4 for S = 8, 32 and 64, and 7x7 for S = 28.

    :param encoder: what gives the feature; says the size and range of the images, and how maps lie in memory.
    :param feature: its name, such as "y".
    :param width: channels of the last, largest map.
    """

    def __init__(self, encoder: ConvEncoder, feature: str, width: int) -> None:
        super().__init__()
        self.value_range = encoder.value_range
        side, channels = encoder.side, width
        while side % 2 == 0 and side > 4:
            side, channels = side // 2, channels * 2
        units = channels * side * side
        layers: list[nn.Module] = [
            nn.Linear(math.prod(encoder.feature_shapes[feature]), units, bias=False),
            nn.BatchNorm1d(units),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (channels, side, side)),
        ]
        while channels > width:
            layers += [
                nn.ConvTranspose2d(channels, channels // 2, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(channels // 2),
                nn.ReLU(inplace=True),
            ]
            channels //= 2
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, encoder.channels, 3, padding=1))
        self.to(memory_format=encoder.memory_format)  # type: ignore[call-overload]

    def forward(self, features: Tensor) -> Tensor:
        """The decoded images."""
        pixels: Tensor = self.layers(features.flatten(start_dim=1))
        if self.value_range is None:
            return pixels
        low, high = self.value_range
        return (high + low) / 2 + (high - low) / 2 * pixels.tanh()


def mirror_decoder(encoder: ConvEncoder, feature: str, generator: torch.Generator, scale: float) -> ConvDecoder:
    """The decoder of an encoder of halving convolutions; its largest map has the channels of the encoder's first, times `scale`."""
    return ConvDecoder(encoder, feature, max(1, round(encoder.width * scale)))


def alexnet_decoder(encoder: ConvEncoder, feature: str, generator: torch.Generator, scale: float) -> ConvDecoder:
    """The decoder of `alexnet-64`: that of `dcgan-64`, 64 channels standing beside the encoder's 96, times `scale`."""
    return ConvDecoder(encoder, feature, max(1, round(encoder.width * 2 // 3 * scale)))
