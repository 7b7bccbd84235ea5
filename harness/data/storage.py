"""How sources hold inputs: compactly, on a device where they fit, with a digest of what they are."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.errors import UnfitError

_CHUNK = 1 << 24  # bytes digested at a time, so that the digest of a large data set copies little of it


class PixelScale:
    """A linear map from stored pixel values to the floats that batches carry.

    :param stored: smallest and largest stored value, e.g. (0, 255); None: values are passed on as they are.
    :param delivered: what these two become. Where `stored` is None it only states what is known of the values.
    """

    def __init__(self, stored: tuple[float, float] | None, delivered: tuple[float, float] | None) -> None:
        self.stored, self.delivered = stored, delivered

    @classmethod
    def of(cls, pixels: Tensor, stored: tuple[float, float] | None, delivered: tuple[float, float] | None) -> PixelScale:
        """The map for `pixels`: uint8 is by default 0 to 255 and becomes 0 to 1; float is by default passed on as it is.

        Raises UnfitError when a stored range is given for float pixels without saying what it becomes, or is empty.
        """
        if pixels.dtype == torch.uint8:
            stored, delivered = stored or (0, 255), delivered or (0.0, 1.0)
        if stored is not None and delivered is None:
            raise UnfitError("A stored range of pixels was given without a value range; say what it becomes.")
        if stored is not None and stored[0] >= stored[1]:
            raise UnfitError(f"The stored range {stored} of pixels is empty; give the smallest value, then the largest.")
        return cls(stored, delivered)

    def __call__(self, pixels: Tensor) -> Tensor:
        """Stored pixels of any shape -> float32 of the same shape. The two ends are met exactly."""
        values = pixels.to(torch.float32, copy=True)
        if self.stored is None or self.delivered is None:
            return values
        (darkest, brightest), (low, high) = self.stored, self.delivered
        return values.sub_(darkest).div_(brightest - darkest).mul_(high - low).add_(low)

    def __repr__(self) -> str:
        return f"{self.stored}->{self.delivered}"


def as_tensor(array: Tensor | NDArray[Any]) -> Tensor:
    """A tensor over the memory of `array`, also of a read-only one: what holds inputs never writes to them."""
    if isinstance(array, Tensor):
        return array
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(array)


def content_sha256(tensors: Sequence[Tensor], index: Tensor, note: str = "") -> str:
    """Digest of the type, shape and bytes of the samples `index` [n] of each of `tensors` [N, ...], and of `note`."""
    digest = hashlib.sha256(note.encode())
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{(index.shape[0], *tensor.shape[1:])}".encode())
        for rows in torch.split(index, max(1, _CHUNK // max(1, tensor[:1].nbytes))):
            digest.update(tensor.index_select(0, rows).cpu().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fits(device: torch.device | str, *tensors: Tensor) -> bool:
    """Whether `tensors` take at most half of what is free on `device`; always true off the GPU."""
    device = torch.device(device)
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return sum(tensor.nbytes for tensor in tensors) <= free // 2
