"""How a trained critic's scores are read as nats, and which readings fit which training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor

from harness.bounds import dv, infonce, js_information, kl, smile

Reading = Callable[[Tensor, Tensor], Tensor]
"""Called as `reading(positive [N, 1], negative [N, K])`; a scalar in nats."""

READINGS: Mapping[str, Reading] = {
    "infonce": infonce,
    "nwj": kl,
    "dv": dv,
    "js": js_information,
    "smile-1": partial(smile, clip=1.0),
    "smile-5": partial(smile, clip=5.0),
}

READINGS_OF: Mapping[str, tuple[str, ...]] = {
    "infonce": ("infonce",),
    "nwj": ("nwj", "dv"),
    "dv": ("dv",),
    "mine": ("dv",),
    "js": ("js", "smile-1", "smile-5", "dv"),
}
"""By training bound, its own reading first. A critic of InfoNCE is free up to a constant per x and one of DV up to one
constant, which `nwj`, `js` and `smile` would take for nats; one of NWJ has its optimum at 1 + log r, one of `js` at log r. DV
of the latter is SMILE without a clip."""
