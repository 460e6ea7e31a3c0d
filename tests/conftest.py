"""What every test starts from."""

from __future__ import annotations

import signal

import pytest


@pytest.fixture(autouse=True)
def heap_as_it_is(monkeypatch):
    """A training keeps the memory that its process frees; this process has other tests to come."""
    monkeypatch.setattr("vidcolor.heap.keep", bool)


@pytest.fixture(autouse=True, scope="session")
def interruptible():
    """Let Ctrl-C reach the programs that tests start, even where a shell has this one ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
