"""Freed memory is kept, so that the next picture finds it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vidcolor import memory

FAULTS = """
import resource, sys
import numpy as np
from vidcolor.memory import keep_freed_memory

def pictures():
    for _ in range(10):
        planes = [np.ones(1 << 19) for _ in range(6)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "kept":
    assert keep_freed_memory()
before = pictures()
print(pictures() - before)
"""
"""Ten times six blocks of 4 MiB, of 1,024 pages each."""


def faults(way: str) -> int:
    """Page faults once the first pictures have been made."""
    env = {key: value for key, value in os.environ.items() if key not in memory.USERS_OWN}
    command = [sys.executable, "-c", FAULTS, way]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the C library of Linux")
def test_pictures_find_the_memory_of_the_last_ones():
    assert faults("kept") < 100 < faults("given back")


@pytest.mark.parametrize("name", memory.USERS_OWN)
def test_what_the_user_chose_is_kept(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert not memory.keep_freed_memory()


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not memory.keep_freed_memory()
