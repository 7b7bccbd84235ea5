"""Epochs over numbered samples: a drawn order, cut into batches that are gathered when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.contracts.batches import Batch
from harness.contracts.sources import Epoch, Sampling
from harness.errors import UnfitError

B = TypeVar("B", bound=Batch)


class IndexEpoch(Epoch[B]):
    """One pass over `order`, `batch_size` samples at a time.

    Every sample is drawn once. The last batch may be smaller; a single sample left over is not drawn in this epoch, because
    batch statistics and batch negatives need two, unless it is all there is.

    :param order: [n] int64 sample numbers in the order they are drawn.
    :param gather: makes the batch of some sample numbers.
    """

    def __init__(self, order: Tensor, batch_size: int, gather: Callable[[Tensor], B]) -> None:
        full, rest = divmod(order.shape[0], batch_size)
        self._order, self._batch_size, self._gather = order, batch_size, gather
        self._batches = full + int(rest > 1 or (rest == 1 and full == 0))

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, position: int) -> B:
        """Batch number `position`. Raises IndexError past either end, so an epoch can be iterated."""
        if not 0 <= position < self._batches:
            raise IndexError(f"The epoch has batches 0 to {self._batches - 1}, not {position}.")
        start = position * self._batch_size
        return self._gather(self._order[start : start + self._batch_size])


def shuffled(index: Tensor, generator: torch.Generator) -> Tensor:
    """`index` [n] in a random order, on its own device.

    The permutation is drawn where the generator lives and then moved, so a CPU generator gives the same order on every device.
    """
    order = torch.randperm(index.shape[0], generator=generator, device=generator.device)
    return index[order.to(index.device)]


def in_order(index: Tensor, batch_size: int, gather: Callable[[Tensor], B]) -> Iterator[B]:
    """Batches of `index` [n] as it stands; the last one may be smaller, even a single sample."""
    for rows in torch.split(index, batch_size):
        yield gather(rows)


def members(chosen: Tensor | NDArray[np.int64], held: Tensor) -> Tensor:
    """The sample numbers `chosen` [m] in ascending order, on the device of `held` [n], the numbers a source has.

    Raises UnfitError when one is not held or occurs twice.
    """
    index = torch.as_tensor(chosen, device=held.device)
    if index.ndim != 1 or index.is_floating_point() or index.is_complex() or index.dtype == torch.bool:
        raise UnfitError(f"A subset is a one-dimensional array of sample numbers, not {index.dtype} of shape {tuple(index.shape)}.")
    index = index.long().sort().values
    if bool((index.diff() == 0).any()):
        raise UnfitError("A subset names a sample twice; pass each sample number once.")
    if not bool(torch.isin(index, held).all()):
        raise UnfitError("A subset names samples that the source does not have; pass numbers out of its own index.")
    return index


def cannot_draw(source: str, sampling: Sampling, ways: str) -> UnfitError:
    """The error for a sampling that a source does not offer."""
    return UnfitError(f"{source} cannot be drawn as {sampling.kind!r}; {ways}.")


def wrong_form(source: str, expected: str, tensor: Tensor) -> UnfitError:
    """The error for a tensor of the wrong form."""
    return UnfitError(f"{source} takes {expected}, not {tensor.dtype} of shape {tuple(tensor.shape)}.")
