"""Memory of the process: what tensors free is kept for the next ones."""

from __future__ import annotations

import ctypes
import functools
import logging

_LOG = logging.getLogger(__name__)

# Parameters of mallopt(3), from malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST = 2**31 - 1


@functools.cache
def keep_freed_memory() -> bool:
    """Tell the C library not to hand freed memory back to the system; says whether it could be told.

    Every step of a training frees the tensors that the next one allocates again. Above a threshold glibc gives each back and asks
    for it anew, and the system clears it page by page when it is touched: on a CPU about a tenth of a convolutional network's
    step. The process then keeps what it once needed. Numbers do not change. Elsewhere than with glibc nothing happens.
    """
    try:
        library = ctypes.CDLL(None)
        return bool(library.mallopt(_TRIM_THRESHOLD, _LARGEST)) and bool(library.mallopt(_MMAP_THRESHOLD, _LARGEST))
    except (OSError, AttributeError, TypeError):
        _LOG.debug("The C library has no mallopt, so freed memory is given back.")
        return False
