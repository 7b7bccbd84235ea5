"""Atari games with the variables in their RAM, and spatio-temporal Deep InfoMax (Anand et al. 2019).

`play`, `played` and `actions` are for games that a policy of your own plays; see `harness_atari.playing`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness_atari.playing import actions as actions
    from harness_atari.playing import play as play
    from harness_atari.playing import played as played

__all__ = ["actions", "play", "played"]


def __getattr__(name: str) -> Any:
    """Loaded on first use: listing imports nothing heavy."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("harness_atari.playing"), name)
