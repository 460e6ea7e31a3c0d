"""Memory that is free, given back to the system.

    give_back()

An encoder's hundreds of megabytes are freed in pieces, between others that stay; the next one's
don't always fit into the holes. glibc keeps those until it is told not to.
"""

from __future__ import annotations

import ctypes
import sys


def give_back() -> bool:
    """Have the C library return what it holds without need; whether it did.

    Only glibc can be asked. It takes some milliseconds, and what is needed again has to be fetched
    anew: not for every frame.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    return bool(trim(0)) if trim else False
