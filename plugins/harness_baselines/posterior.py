"""Encoders of a distribution: q(z|x) = N(mean, diag(deviation²)), for the VAE and for ALI."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from harness import Encoder, UnfitError


class GaussianPosterior(nn.Module):
    """From an encoder's features to the mean and the log-deviation of z.

    The mean is the encoder's own linear map to "y"; a second linear map from the same hidden units "fc" gives log sigma, so that
    both heads stand on one trunk and the representation is the posterior mean.

    :raises UnfitError: for an encoder without a vector "y" and a hidden layer "fc".
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        (latent,) = encoder.shape_of("y", "D")
        if "fc" not in encoder.feature_shapes:
            raise UnfitError(
                'A Gaussian encoder reads its log-deviation off the hidden layer "fc"; this encoder offers '
                f"{', '.join(encoder.feature_shapes)}."
            )
        self.log_deviation = nn.Linear(math.prod(encoder.feature_shapes["fc"]), latent)

    def moments(self, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """(mean, log sigma) of z, [N, D] each, in float32."""
        return features["y"].float(), self.log_deviation(features["fc"].flatten(start_dim=1)).float()


def reparameterised(mean: Tensor, log_deviation: Tensor, generator: torch.Generator) -> Tensor:
    """A draw, mean + sigma · noise with noise from N(0, I). Kingma and Welling 2014, section 2.4."""
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    return mean + log_deviation.exp() * noise


def kl_from_standard_normal(mean: Tensor, log_deviation: Tensor) -> Tensor:
    """KL(N(mean, sigma²) ‖ N(0, 1)) in nats of every sample and dimension: ½ (sigma² + mean² - 2 log sigma - 1).

    :param mean: any shape.
    :param log_deviation: log sigma, not log sigma².
    """
    return 0.5 * ((2 * log_deviation).exp() + mean.square() - 1) - log_deviation
