"""Freed memory goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vidcolor.heap import give_back, keep

PIECE, PIECES = 64 << 10, 2000


def resident():
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked")
def test_what_is_free_between_what_stays_is_given_back():
    pieces = [np.ones(PIECE, np.uint8) for _ in range(PIECES)]
    kept = pieces[::20]
    del pieces
    before = resident()
    assert give_back()
    assert before - resident() > PIECE * PIECES // 2
    assert all(piece.all() for piece in kept)


KEPT = """
import numpy as np
from pathlib import Path
from vidcolor.heap import keep

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

assert keep()
block = np.ones(64 << 20, np.uint8)
before = resident()
del block
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked")
def test_a_process_that_keeps_what_it_frees():
    """For good, so in a process of its own."""
    found = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, check=True)
    assert int(found.stdout) < 1 << 20


def test_elsewhere_nothing_is_asked(monkeypatch):
    monkeypatch.setattr("vidcolor.heap.sys.platform", "win32")
    assert not give_back()
    assert not keep()
