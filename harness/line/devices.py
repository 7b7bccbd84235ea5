"""Devices and precision, by Lightning Fabric."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric

from harness.errors import UsageError


def make_fabric(device: str, precision: str) -> Fabric:
    """A single-device Fabric. `device` is "cpu" or "cuda"; `precision` "32" or "bf16".

    Raises UsageError when there is no CUDA device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("There is no CUDA device here; use --device cpu or --device auto.")
    return Fabric(accelerator=device, devices=1, precision="bf16-mixed" if precision == "bf16" else "32-true")


def resolve_device(device: str) -> str:
    """The device that `--device` means: "auto" is "cuda" where there is one, else "cpu"."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"
