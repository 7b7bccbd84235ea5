"""Small pieces of text that several floors write alike: names as parts of paths, lengths of time, units."""

from __future__ import annotations

import re


def slug(name: str) -> str:
    """`name` with everything but letters, digits, "-", "_" and "." turned into "-": "hf:owner/set" -> "hf-owner-set"."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "unnamed"


def duration(seconds: float) -> str:
    """Such as "40 s", "21 min" or "3.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def after_number(unit: str) -> str:
    """A metric's unit as it follows a number or a name: " %"; nothing for "1", that of a pure number."""
    return "" if unit == "1" else f" {unit}"
