"""Convolutional encoders, with decoders that mirror them.

The stages are those of the encoders of Hjelm et al., "Learning deep representations by mutual information estimation and
maximization" (2019): convolutions that halve the side, a hidden layer, each with batch normalisation and ReLU and no bias before
it, and a plain linear map to y.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness import Description, Encoder, Images
from harness_images.spec import SmallEncoderOptions


class SmallEncoder(Encoder):
    """For images [B, C, 8, 8]: "y" [B, latent], "fc" [B, 8 width], "conv" [B, 2 width, 4, 4]."""

    def __init__(self, channels: int, value_range: tuple[float, float] | None, width: int, latent: int) -> None:
        super().__init__()
        self.channels, self.value_range, self.width, self.latent = channels, value_range, width, latent
        self.feature_shapes = {"y": (latent,), "fc": (8 * width,), "conv": (2 * width, 4, 4)}
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
        )
        self.hidden = nn.Sequential(nn.Linear(2 * width * 16, 8 * width, bias=False), nn.BatchNorm1d(8 * width), nn.ReLU())
        self.output = nn.Linear(8 * width, latent)

    def forward(self, batch: Images) -> dict[str, Tensor]:
        """The features of a batch of images."""
        conv = self.convolutions(batch.pixels)
        fc = self.hidden(conv.flatten(start_dim=1))
        return {"y": self.output(fc), "fc": fc, "conv": conv}


class SmallDecoder(nn.Module):
    """y [B, latent] -> images [B, C, 8, 8] inside the range of the data, where that is known.

    As in Hjelm et al.'s own baselines: linear to the last feature map, one transposed convolution for each halving, a 3x3
    convolution to the channels, tanh.
    """

    def __init__(self, channels: int, value_range: tuple[float, float] | None, width: int, latent: int) -> None:
        super().__init__()
        self.value_range = value_range
        self.layers = nn.Sequential(
            nn.Linear(latent, 2 * width * 16, bias=False),
            nn.BatchNorm1d(2 * width * 16),
            nn.ReLU(),
            nn.Unflatten(1, (2 * width, 4, 4)),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, channels, 3, padding=1),
        )

    def forward(self, y: Tensor) -> Tensor:
        """The decoded images."""
        pixels: Tensor = self.layers(y)
        if self.value_range is None:
            return pixels
        low, high = self.value_range
        return (high + low) / 2 + (high - low) / 2 * pixels.tanh()


def build_small(description: Description, options: SmallEncoderOptions, generator: torch.Generator) -> SmallEncoder:
    """The encoder `image-small`."""
    return SmallEncoder(description.shape[0], description.value_range, options.width, options.latent)


def mirror_decoder(encoder: SmallEncoder, generator: torch.Generator) -> SmallDecoder:
    """The decoder that goes with `image-small`."""
    return SmallDecoder(encoder.channels, encoder.value_range, encoder.width, encoder.latent)
