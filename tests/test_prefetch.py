"""Items in order, errors to the caller, threads joined, never further ahead than asked."""

from __future__ import annotations

import threading
import time

import pytest

from vidcolor.prefetch import prefetched


def alive():
    return [t for t in threading.enumerate() if t.name == "made"]


def test_all_items_in_order():
    assert list(prefetched(iter(range(50)), 3, thread_name="made")) == list(range(50))
    assert list(prefetched(iter([]), 1, thread_name="made")) == []
    assert list(prefetched(iter([None, 1, None]), 1, thread_name="made")) == [None, 1, None]
    assert not alive()


def test_the_error_comes_after_the_items_before_it():
    def failing():
        yield 1
        yield 2
        raise OSError("gone")

    stream = prefetched(failing(), 2, thread_name="made")
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(OSError, match="gone"):
        next(stream)
    assert not alive()


def test_closing_early_closes_the_source_and_joins_the_thread():
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    stream = prefetched(endless(), 2, thread_name="made")
    assert next(stream) == 0
    stream.close()
    assert closed.is_set()
    assert not alive()


def test_an_interrupt_as_the_thread_starts_leaves_no_thread(monkeypatch):
    closed, started = threading.Event(), threading.Thread.start

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    def interrupted(thread):
        started(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(prefetched(endless(), 2, thread_name="made"))
    assert closed.is_set()
    assert not alive()


def test_never_further_ahead_than_the_limit():
    made = 0

    def counted():
        nonlocal made
        for i in range(100):
            made = i + 1
            yield i

    stream = prefetched(counted(), 3, thread_name="made")
    next(stream)
    time.sleep(0.2)
    assert made <= 1 + 3 + 1  # yielded, waiting, and one in the thread's hand
    stream.close()
