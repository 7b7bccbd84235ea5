"""The smoothed rank of a spectrum, which RankMe and LiDAR have in common."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-7
"""Added to every share of the spectrum, as in RankMe."""


def smoothed_rank(spectrum: Tensor) -> float:
    """exp(-Σ p_k log p_k) with p_k = v_k / Σ v + ε: r where r values are equal and the others zero.

    Roy and Vetterli (2007) without ε; Garrido et al. (2023), eq. 1, with it. ε moves the value by a share of about D ε log D, and
    may carry it out of the range from 1 to D by that much.

    :param spectrum: [D] singular values or eigenvalues, none negative, not all zero.
    """
    p = spectrum / spectrum.sum() + EPSILON
    return float(torch.exp(-(p * p.log()).sum()))
