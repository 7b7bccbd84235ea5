"""Decoders that mirror the encoders of frames."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from harness_atari.encoders import FrameEncoder, Shape, initialise_orthogonally


class FrameDecoder(nn.Module):
    """A feature [B, *shape] -> frames [B, C, H, W] inside the range of the data, where that is known.

    The flattened feature, a linear map to the encoder's last map, and for each of its stages, from above, a transposed convolution
    to the map that the stage reads; ReLU between all of them, a sigmoid stretched to the range at the end, no normalisation. As in
    the decoder of Anand et al. (2019), transposed convolutions begin orthogonal, and the linear map as torch's do. A residual stage
    is mirrored without its residual blocks.

    :param encoder: what gives the feature; says stages, maps and range.
    :param feature: its name, such as "y".
    :param scale: the widths of the hidden layers as a multiple of the encoder's.
    """

    def __init__(self, encoder: FrameEncoder, feature: str, scale: float) -> None:
        super().__init__()
        self.value_range = encoder.value_range
        frame, *hidden = encoder.maps
        maps = [frame, *((max(1, round(channels * scale)), height, width) for channels, height, width in hidden)]
        convolutions: list[nn.Module] = []
        for below, above, stage in reversed(list(zip(maps, maps[1:], encoder.stages, strict=False))):
            convolutions += [nn.ReLU(inplace=True), transposed(above, below, stage.kernel, stage.stride)]
        units = math.prod(maps[-1])
        linear = nn.Linear(math.prod(encoder.feature_shapes[feature]), units)
        unfold = nn.Unflatten(1, maps[-1])
        self.layers = nn.Sequential(linear, unfold, *convolutions)
        for convolution in convolutions:
            initialise_orthogonally(convolution)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, features: Tensor) -> Tensor:
        """The decoded frames."""
        pixels: Tensor = self.layers(features.flatten(start_dim=1))
        if self.value_range is None:
            return pixels
        low, high = self.value_range
        return low + (high - low) * pixels.sigmoid()


def transposed(above: Shape, below: Shape, kernel: int, stride: int) -> nn.ConvTranspose2d:
    """The transposed convolution from the map `above` to exactly the size of the map `below`, of which it was made.

    Rows and columns that the encoder's window did not reach are its output padding.
    """
    rows, columns = (after - ((before - 1) * stride + kernel) for before, after in zip(above[1:], below[1:], strict=True))
    return nn.ConvTranspose2d(above[0], below[0], kernel, stride, output_padding=(rows, columns))


def mirror_decoder(encoder: FrameEncoder, feature: str, generator: torch.Generator, scale: float) -> FrameDecoder:
    """The decoder of an encoder of frames."""
    return FrameDecoder(encoder, feature, scale)
