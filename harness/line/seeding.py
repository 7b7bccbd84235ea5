"""Seeds: every component gets its own, derived by digest, so that adding one shifts no other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive_seed(root: int | str, label: str) -> int:
    """A 63-bit seed for the component `label` of the run with seed `root` (or of the protocol named `root`)."""
    digest = hashlib.sha256(f"{root}/{label}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@contextmanager
def isolated_randomness(seed: int) -> Iterator[None]:
    """Seed torch's and NumPy's global random states inside the block and put the caller's back afterwards.

    Ordinary torch layers draw their initial weights, and dropout its masks, from the global state; inside this block they draw
    from the component's own stream.
    """
    import numpy as np
    import torch

    numpy_state = np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)


def generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator on `device`."""
    import torch

    return torch.Generator(device).manual_seed(seed)
