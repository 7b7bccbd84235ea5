"""Views of stored images: crops and mirror images of a whole batch at once, gathered straight from the stored tensor."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_offsets(count: int, height: int, width: int, side: int, generator: torch.Generator) -> Tensor:
    """Where crops of `side` begin in images of `height` x `width`, every place as likely: [count, 2] int64, row and column.

    Drawn where the generator lives.
    """
    spans = (height - side + 1, width - side + 1)
    drawn = [torch.randint(span, (count,), generator=generator, device=generator.device) for span in spans]
    return torch.stack(drawn, dim=1)


def draw_flips(count: int, generator: torch.Generator) -> Tensor:
    """Which images are mirrored, each with probability 1/2: [count] bool. Drawn where the generator lives."""
    return torch.randint(2, (count,), generator=generator, device=generator.device).bool()


def crops(pixels: Tensor, index: Tensor, offsets: Tensor, side: int) -> Tensor:
    """Square crops of some images: [B, C, side, side], of the type of `pixels`.

    :param pixels: [N, C, H, W]; no more of it is read than the crops.
    :param index: [B] int64, which images.
    :param offsets: [B, 2] int64, the row and column at which each crop begins.
    """
    windows = pixels.unfold(2, side, 1).unfold(3, side, 1)  # [N, C, H - side + 1, W - side + 1, side, side], without a copy
    return windows[index, :, offsets[:, 0], offsets[:, 1]]


def centre_crop(pixels: Tensor, side: int) -> Tensor:
    """The square in the middle of [..., H, W], without a copy: [..., side, side]; an odd margin is larger below and right."""
    top, left = ((size - side) // 2 for size in pixels.shape[-2:])
    return pixels[..., top : top + side, left : left + side]


def flips(pixels: Tensor, flipped: Tensor) -> Tensor:
    """The images [B, C, H, W], those mirrored left to right where `flipped` [B] bool says so."""
    both = torch.cat([pixels, pixels.flip(-1)])
    # Choosing among both costs a tenth of torch.where over single bytes.
    return both.index_select(0, torch.arange(len(pixels), device=pixels.device) + len(pixels) * flipped)
