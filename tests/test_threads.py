"""Work beside the encoder stands back; nobody else does."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from vidcolor import pipeline
from vidcolor.prefetch import prefetched
from vidcolor.threads import YIELDING, give_way

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows niceness of threads")


def niceness():
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def on_a_thread(work):
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def after(times):
    for _ in range(times):
        give_way()
    return niceness()


@linux
def test_a_thread_stands_back_and_no_other_one():
    before = niceness()
    assert on_a_thread(lambda: after(1)) == min(before + YIELDING, 19)
    assert niceness() == before


@linux
def test_those_it_starts_stand_back_with_it():
    before = niceness()

    def work():
        give_way()
        return on_a_thread(niceness)

    assert on_a_thread(work) == min(before + YIELDING, 19)


@linux
def test_there_is_an_end_to_it():
    assert on_a_thread(lambda: after(5)) == 19


def test_where_it_isn_t_allowed_nothing_changes(monkeypatch):
    def refuse(*words):
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    monkeypatch.setattr(sys, "platform", "linux")
    before = niceness()
    give_way()
    assert niceness() == before


@linux
def test_decoding_stands_back_and_who_takes_its_frames_does_not():
    before = niceness()
    seen = []

    def frames():
        for number in range(3):
            seen.append(niceness())
            yield number

    made = prefetched(pipeline.standing_back(frames()), 2, thread_name="made")
    assert list(made) == [0, 1, 2]
    assert seen == [min(before + YIELDING, 19)] * 3
    assert niceness() == before
