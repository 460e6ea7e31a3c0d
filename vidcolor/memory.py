"""Memory that is freed stays at hand.

Every picture's arrays are as large as the last one's. The C library of Linux hands such blocks back
to the system as they are freed, and takes them anew, empty page by empty page, for the next
picture: 3,000 page faults a frame of 1080p, which cost as much time as a third of its rendering.
"""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of malloc.h."""

KEPT = 256 << 20
"""Bytes of freed memory that aren't given back; a film of 2160p turns over less."""
LARGEST = 32 << 20
"""Bytes of the largest block that is kept; glibc takes no greater number."""

USERS_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
"""Variables of the environment by which a user has chosen otherwise."""


def keep_freed_memory() -> bool:
    """Have the C library keep freed memory; returns whether it does so from now on.

    Only glibc can be asked. No result depends on it.
    """
    if sys.platform != "linux" or any(name in os.environ for name in USERS_OWN):
        return False
    choose = getattr(ctypes.CDLL(None), "mallopt", None)
    if choose is None:
        return False
    return bool(choose(M_MMAP_THRESHOLD, LARGEST) and choose(M_TRIM_THRESHOLD, KEPT))
