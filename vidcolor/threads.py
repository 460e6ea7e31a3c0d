"""How threads wait, quietly, and who goes first."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress


def quiet_threads() -> None:
    """Keep idle threads of torch's OpenMP from spinning: the decoder and encoder need the cores.

    Called before torch is imported, which reads the environment once. What the user set is kept,
    and where torch has been imported already it is too late. A small convolution every 10 ms on two
    threads then takes 0.2 s of CPU time in 100 rounds instead of 2.3 s.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


YIELDING = 10
"""Steps of niceness by which a thread stands back: it gets a ninth of what another on its core
gets."""


def give_way() -> None:
    """Have the calling thread, and those it starts, run where others of this process leave room.

    An encoder's threads wait for each other now and then. Work that stands back until then fills
    the gaps; work that competes before is done when they come. Decoding and analysis beside x264 on
    two cores, four pairs of runs: 1.77 cores at work instead of 1.69, 4 % less time. Linux alone
    knows niceness of threads; elsewhere, and where it isn't allowed, nothing changes.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):
            now = os.getpriority(os.PRIO_PROCESS, thread)
            os.setpriority(os.PRIO_PROCESS, thread, min(now + YIELDING, 19))
