"""Structural similarity of images: over valid windows, at several scales, and as Deep InfoMax's released code has it.

All three give one number for each pair of images, 1 for equal ones, and treat both images of a pair alike.

    SSIM(x, y) = (2 mx my + C1) (2 cov + C2) / ((mx² + my² + C1) (vx + vy + C2))

in every window, with the means, variances and covariance that the window's weights give; C1 = 0.01² and C2 = 0.03² for images in
[0, 1] (Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural similarity", 2004,
eq. 13). The means count from black, so images in another range are brought to [0, 1] before.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the five scales of MS-SSIM, the finest first (Wang, Simoncelli and Bovik 2003, section 3.2)."""


def ssim(x: Tensor, y: Tensor, window: int) -> Tensor:
    """[B] the mean of SSIM over the channels and over all windows that lie inside the image.

    The library filters a reflected border along with the image and averages over all of it; the windows that reach into the
    border are cut off here.

    :param x: [B, C, H, W] in [0, 1].
    :param y: the same.
    :param window: side of the Gaussian window, odd, at most H and W. Its deviation is 1.5 for a side of 11, and in proportion.
    """
    _, similarity = _library(x, y, window, return_full_image=True)
    border = window // 2
    valid: Tensor = similarity[..., border : x.shape[-2] - border, border : x.shape[-1] - border]
    return valid.flatten(start_dim=1).mean(dim=1).clamp(-1, 1)


def ms_ssim(x: Tensor, y: Tensor, window: int, scales: int) -> Tensor:
    """[B] the product of contrast and structure, (2 cov + C2) / (vx + vy + C2), at all scales but the coarsest, and of SSIM there.

    Each factor is a mean over valid windows and has an exponent of `WEIGHTS`, of the finest `scales` renormalised to sum to 1. From
    scale to scale images are averaged over 2x2 pixels, a last odd row or column left out. A negative factor, whose power would be
    no real number, counts as 0. Channels are judged apart and averaged in the end, as images of their own.

    Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment", 2003, eq. 7.

    :param x: [B, C, H, W] in [0, 1].
    :param y: the same.
    :param window: as for `ssim`.
    :param scales: at most `scales_that_fit`.
    """
    batch, channels = x.shape[:2]
    x, y = x.flatten(end_dim=1)[:, None], y.flatten(end_dim=1)[:, None]
    factors = []
    for _ in range(scales - 1):
        _, contrast = _library(x, y, window, return_contrast_sensitivity=True)
        factors.append(contrast)
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    factors.append(ssim(x, y, window))
    exponents = torch.tensor(weights(scales), dtype=x.dtype, device=x.device)[:, None]
    product = (torch.stack(factors).clamp(0, 1) ** exponents).prod(dim=0)
    return product.view(batch, channels).mean(dim=1)


def scales_that_fit(side: int, window: int) -> int:
    """The number of scales, five at most, whose images of side `side`, `side` / 2, ... still hold one window."""
    scales = 1
    while scales < len(WEIGHTS) and side // 2**scales >= window:
        scales += 1
    return scales


def weights(scales: int) -> list[float]:
    """The exponents of the finest `scales` scales; they sum to 1."""
    return [weight / sum(WEIGHTS[:scales]) for weight in WEIGHTS[:scales]]


def ssim_dim(x: Tensor, y: Tensor) -> Tensor:
    """[B] the single-scale SSIM which the released code of Deep InfoMax calls `ms_ssim`, and its paper "MS-SSIM".

    Against `ssim`: the window of 11x11 pixels has deviation 11, so that it is nearly flat; images are surrounded by zeros, which
    are mid-grey, and every pixel has a window; C1 = 0.01² and C2 = 0.03², of images in [0, 1], serve images in [-1, 1].

    :param x: [B, C, H, W] in [-1, 1], of any size.
    :param y: the same.
    """
    offsets = torch.arange(-5, 6, dtype=x.dtype, device=x.device)
    taps = torch.exp(-0.5 * (offsets / 11) ** 2)
    taps = taps / taps.sum()
    maps = torch.stack([x, y, x * x, y * y, x * y])
    planes = maps.view(-1, 1, *x.shape[-2:])
    planes = F.conv2d(planes, taps.view(1, 1, 11, 1), padding=(5, 0))
    planes = F.conv2d(planes, taps.view(1, 1, 1, 11), padding=(0, 5))
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = planes.view_as(maps)
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    variances = (mean_xx - mean_x**2) + (mean_yy - mean_y**2)
    structure = (2 * (mean_xy - mean_x * mean_y) + c2) / (variances + c2)
    similarity: Tensor = luminance * structure
    return similarity.flatten(start_dim=1).mean(dim=1).clamp(-1, 1)


def _library(x: Tensor, y: Tensor, window: int, **asked: bool) -> tuple[Tensor, Tensor]:
    """The library's SSIM [B] of images in [0, 1], and what else is asked of it."""
    sigma = 0.15 * (window - 1)  # the library's Gaussian reaches to 3.5 sigma, so this decides the window: 11 for 1.5
    found: tuple[Tensor, Tensor] = structural_similarity_index_measure(
        x, y, sigma=sigma, kernel_size=window, data_range=1.0, reduction="none", **asked
    )
    return found
