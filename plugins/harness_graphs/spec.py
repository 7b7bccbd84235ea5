"""Specs (being written)."""
from __future__ import annotations
from typing import Annotated, Literal
from harness import Meta, Options
class GCNOptions(Options, frozen=True, kw_only=True):
    hidden: int = 512
    layers: int = 1
    slopes: Literal["shared", "per-channel"] = "shared"
    propagation: Literal["symmetric", "mean"] = "symmetric"
class GraphMeanOptions(Options, frozen=True, kw_only=True):
    hidden: int = 512
    layers: int = 3
    slopes: Literal["shared", "per-channel"] = "shared"
class DGIOptions(Options, frozen=True, kw_only=True):
    lr: float = 1e-3
    loss: Literal["bce","log-sigmoid-sum"] = "bce"
    bilinear_init: str = "tensor"
    bilinear_bias: bool = True
    corruption: str = "row_shuffle"
    corruption_rate: float|None = None
    sampling: str = "graph"
    fan_outs: tuple[int, ...] = (10,10,25)
