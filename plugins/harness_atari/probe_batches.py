"""The features of a part as a probe is shown them, batch by batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BLOCK = 1 << 22
"""Values of a feature looked at together: it may be memory-mapped and larger than memory."""


class FeatureRows:
    """The features of one part, flattened, brought to float32 and to a device row by row.

    They may be memory-mapped and are not copied whole. On CUDA they are moved there where they take at most half of what is free.

    :param features: [n, ...].
    """

    def __init__(self, features: NDArray[Any], device: torch.device) -> None:
        self.dims = math.prod(features.shape[1:])
        self._host, self._device = features.reshape(len(features), self.dims), device
        self._whole = self._moved() if device.type == "cuda" else None

    def __len__(self) -> int:
        return len(self._host)

    def take(self, rows: Tensor) -> Tensor:
        """[b, D] float32 of rows [b]; a copy."""
        if self._whole is not None:
            return self._whole[rows]
        return torch.from_numpy(self._read(rows.cpu().numpy())).to(self._device)

    def constant(self) -> bool:
        """Whether all rows are the same."""
        first = self._read(slice(1))
        return all((self._read(block) == first).all() for block in self._blocks())

    def _read(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        return self._host[rows].astype(np.float32, copy=isinstance(rows, slice))

    def _blocks(self) -> list[slice]:
        step = max(1, BLOCK // max(1, self.dims))
        return [slice(start, start + step) for start in range(0, len(self), step)]

    def _moved(self) -> Tensor | None:
        if 4 * self._host.size > torch.cuda.mem_get_info(self._device)[0] // 2:
            return None
        whole = torch.empty((len(self), self.dims), device=self._device)
        for block in self._blocks():
            whole[block] = torch.from_numpy(self._read(block))
        return whole


def shuffled_pass(n: int, generator: torch.Generator) -> Tensor:
    """[n] every row number once, in random order."""
    return torch.randperm(n, generator=generator, device=generator.device)


def whole_batches(n: int, batch_size: int) -> int:
    """The samples of n that fill whole batches, or n where they fill none."""
    return n - n % batch_size or n
