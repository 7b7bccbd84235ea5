"""Where a run computes: what `--device` means on this machine."""

from __future__ import annotations

import pytest
import torch

from harness import UsageError
from harness.line.devices import make_fabric, resolve_device


def test_cuda_without_a_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="--device cpu"):
        make_fabric("cuda", "32")
    assert resolve_device("auto") == "cpu"
    assert resolve_device("cuda") == "cuda"


def test_auto_is_cuda_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == "cuda"
