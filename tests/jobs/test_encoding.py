"""The encoder's thread: always ended, errors carried over, segments closed at their borders."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from vidcolor.frames import Picture, Segment
from vidcolor.jobs.encoding import QUEUED_PICTURES, SegmentEncoder

SEGMENTS = (Segment(0, 0, 10), Segment(1, 10, 20), Segment(2, 20, 30))
PLANE = np.zeros((2, 2), np.uint8)


def picture(pts):
    return Picture(pts, 1, PLANE, PLANE, PLANE)


class Writer:
    """Stands for a SegmentWriter: keeps pts, and fails or waits when told to."""

    def __init__(self, fail_at=None, gate=None, fail_on_close=False):
        self.pts, self.aborted = [], False
        self.fail_at, self.gate, self.fail_on_close = fail_at, gate, fail_on_close

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        self.aborted = error is not None

    def write(self, picture):
        if self.gate is not None:
            self.gate.wait(10)
        if picture.pts == self.fail_at:
            raise ValueError("broken encoder")
        self.pts.append(picture.pts)

    def close(self):
        if self.fail_on_close:
            raise ValueError("broken close")
        return self.pts


class Log:
    """Collects commits; builds the encoder under test."""

    def __init__(self, **options):
        self.commits, self.writers, self.options = {}, [], options

    def open(self, segment):
        self.writers.append(Writer(**self.options))
        return self.writers[-1]

    def commit(self, segment, record):
        self.commits[segment.index] = record

    def encoder(self, segments=SEGMENTS):
        return SegmentEncoder(segments, self.open, self.commit)


def threads_left():
    return [thread for thread in threading.enumerate() if thread.name == "encoder"]


@pytest.fixture(autouse=True)
def no_thread_stays():
    yield
    assert not threads_left()


def test_pictures_go_to_their_segments():
    log = Log()
    with log.encoder() as encoder:
        for pts in range(0, 30, 2):
            encoder.put(picture(pts))
    assert log.commits == {
        0: [0, 2, 4, 6, 8],
        1: [10, 12, 14, 16, 18],
        2: [20, 22, 24, 26, 28],
    }
    assert encoder.written == 15


def test_segments_without_a_picture_are_committed_empty():
    log = Log()
    with log.encoder() as encoder:
        encoder.put(picture(12))
    assert log.commits == {0: None, 1: [12], 2: None}


def test_no_picture_at_all():
    log = Log()
    with log.encoder():
        pass
    assert log.commits == {0: None, 1: None, 2: None}


@pytest.mark.parametrize("options", [{"fail_at": 12}, {"fail_on_close": True}])
def test_a_failing_encoder_stops_the_caller_soon(options):
    log = Log(**options)
    put = []

    def feed(encoder):
        for number in range(1000):
            encoder.put(picture(min(number, 29)))
            put.append(number)
            time.sleep(0.001)

    with pytest.raises(ValueError, match="broken"), log.encoder() as encoder:
        feed(encoder)
    assert 1 not in log.commits
    assert log.writers[-1].aborted
    assert len(put) < 500


def test_a_failure_in_the_very_last_close_is_raised():
    log = Log(fail_on_close=True)
    with pytest.raises(ValueError, match="broken close"), log.encoder(SEGMENTS[:1]) as encoder:
        encoder.put(picture(1))
    assert log.commits == {}


def test_an_interrupt_abandons_the_segment_at_hand_only():
    log = Log()

    def interrupted(encoder):
        for pts in range(15):
            encoder.put(picture(pts))
        while encoder.written < 15:
            time.sleep(0.001)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), log.encoder() as encoder:
        interrupted(encoder)
    assert list(log.commits) == [0]
    assert log.writers[-1].aborted


def test_an_interrupt_while_the_queue_is_full():
    gate = threading.Event()
    log = Log(gate=gate)

    def interrupted(encoder):
        for pts in range(QUEUED_PICTURES + 1):
            encoder.put(picture(pts))
        threading.Timer(0.05, gate.set).start()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), log.encoder() as encoder:
        interrupted(encoder)
    assert log.commits == {}


def test_the_queue_is_bounded():
    gate = threading.Event()
    log = Log(gate=gate)
    put = []

    def feed():
        with log.encoder() as encoder:
            for pts in range(20):
                encoder.put(picture(pts))
                put.append(pts)

    feeder = threading.Thread(target=feed)
    feeder.start()
    time.sleep(0.2)
    # One in the writer's hands, the queue full.
    assert len(put) <= QUEUED_PICTURES + 1
    gate.set()
    feeder.join(10)
    assert len(put) == 20


def test_a_picture_behind_the_last_segment_is_no_silent_loss():
    log = Log()
    with pytest.raises(AssertionError, match="behind every segment"), log.encoder() as encoder:
        encoder.put(picture(99))


def test_an_interrupt_as_the_thread_starts_leaves_no_thread(monkeypatch):
    log, started = Log(), threading.Thread.start

    def interrupted(thread):
        started(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt), log.encoder():
            pass
    for thread in threads_left():
        thread.join(5)
    assert (log.writers, log.commits) == ([], {})


def test_an_interrupt_while_the_end_is_waited_for_abandons_the_last_segment(monkeypatch):
    gate, joined = threading.Event(), threading.Thread.join
    log = Log(gate=gate)
    waits = iter((True, False))

    def interrupted(thread, timeout=None):
        if next(waits):
            raise KeyboardInterrupt
        gate.set()
        joined(thread, timeout)

    def interrupt_at_the_end():
        with log.encoder() as encoder:
            encoder.put(picture(25))
            while not log.writers:
                time.sleep(0.001)
            monkeypatch.setattr(threading.Thread, "join", interrupted)

    with pytest.raises(KeyboardInterrupt):
        interrupt_at_the_end()
    monkeypatch.undo()
    assert 2 not in log.commits
    assert log.writers[0].aborted
