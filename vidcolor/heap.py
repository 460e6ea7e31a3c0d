"""Memory that is free: given back to the system, or kept for what comes next.

    give_back()
    keep()

An encoder's hundreds of megabytes are freed in pieces, between others that stay; the next one's
don't always fit into the holes. glibc keeps those until it is told not to.
"""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""glibc's numbers for mallopt(3): most free bytes at the heap's end, and most blocks outside it."""
LARGEST_INT = 2**31 - 1


def give_back() -> bool:
    """Have the C library return what it holds without need; whether it did.

    Only glibc can be asked. It takes some milliseconds, and what is needed again has to be fetched
    anew: not for every frame.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    return bool(trim(0)) if trim else False


def keep() -> bool:
    """Have the C library keep what is freed, for the rest of this process; whether it will.

    By itself glibc fetches every large block anew from the system and clears it page by page, which
    took a quarter of a training step. For processes that allocate the same blocks over and over and
    may hold their peak.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, LARGEST_INT))
