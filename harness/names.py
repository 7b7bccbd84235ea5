"""Names as parts of file and folder names."""

from __future__ import annotations

import re


def slug(name: str) -> str:
    """`name` with everything but letters, digits, "-", "_" and "." turned into "-": "hf:owner/set" -> "hf-owner-set"."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "unnamed"
