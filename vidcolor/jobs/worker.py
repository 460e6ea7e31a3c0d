"""A process that makes segments on one device, for the process that runs the job.

    its stdin     Task, then runs of consecutive segments, one after the other, then None
    its stdout    Opened, then Written and Made as it goes, Idle after each run; Said; Failed

Both are pickles. It is ended by killing it: what counts as finished is in the job's folder. When
its stdin closes, whoever started it is gone, and it ends at once by itself.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from logging.handlers import QueueHandler
from pathlib import Path
from typing import Any

from vidcolor.facts import FilmFacts
from vidcolor.frames import PictureFormat, Segment, VideoInfo
from vidcolor.jobs.folder import Finished, JobFolder
from vidcolor.jobs.making import SegmentMaker
from vidcolor.media.choice import EncoderChoice
from vidcolor.settings import Settings

WRITTEN_SECONDS = 0.1
"""What was written is told no more often than this."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A film to make segments of; everything that was measured or decided about it."""

    info: VideoInfo
    facts: FilmFacts
    format: PictureFormat
    choice: EncoderChoice
    settings: Settings
    """Their device is this process's."""

    output: Path
    """Beside it lies the job's folder, which whoever started this process holds."""

    log_level: int
    """From which level on what is logged is told."""


@dataclass(frozen=True)
class Opened:
    """The network is on its device."""

    fingerprint: dict[str, Any]
    warnings: list[str]


@dataclass(frozen=True)
class Written:
    """How many pictures this process's encoders have taken so far."""

    count: int


@dataclass(frozen=True)
class Made:
    """A segment that has its marker."""

    segment: Segment
    done: Finished


@dataclass(frozen=True)
class Idle:
    """The run of segments is made."""


@dataclass(frozen=True)
class Said:
    """Something was logged."""

    record: logging.LogRecord


@dataclass(frozen=True)
class Failed:
    """Nothing more comes."""

    error: Exception


Message = Opened | Written | Made | Idle | Said | Failed


def main() -> None:
    """What the process runs."""
    starter = _Starter()
    try:
        _work(starter)
    except Exception as error:
        with suppress(OSError):
            starter.tell(Failed(portable(error)))
        starter.wait_for_the_end()


def _work(starter: _Starter) -> None:
    task = starter.next_order()
    assert isinstance(task, Task)
    _hand_on_logs(starter, task.log_level)
    from vidcolor import inference
    from vidcolor.pipeline import Colorizer

    engine = inference.open_engine(task.settings)
    colorizer = Colorizer(task.info, task.facts, task.settings, engine, task.format)
    maker = SegmentMaker(colorizer, task.choice, JobFolder(task.output))
    starter.tell(Opened(engine.fingerprint(), colorizer.warnings))
    while (segments := starter.next_order()) is not None:
        assert not isinstance(segments, Task)
        maker.make(segments, starter.made, starter.written)
        starter.tell(Written(maker.written))
        starter.tell(Idle())


class _Starter:
    """The process that started this one: its orders, and what it is told."""

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[Task | Sequence[Segment] | None] = queue.SimpleQueue()
        self._in = os.fdopen(os.dup(0), "rb")
        self._out = os.fdopen(os.dup(1), "wb")
        # What a library prints must not stand between the messages.
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        os.close(nothing)
        self._telling = threading.Lock()
        self._told = 0.0
        self._listener = threading.Thread(target=self._listen, name="orders", daemon=True)
        self._listener.start()

    def next_order(self) -> Task | Sequence[Segment] | None:
        return self._orders.get()

    def tell(self, message: Message) -> None:
        """Send a message; may be called on any thread."""
        with self._telling:
            pickle.dump(message, self._out)
            self._out.flush()

    def made(self, segment: Segment, done: Finished) -> None:
        self.tell(Made(segment, done))

    def written(self, count: int) -> None:
        if (now := time.monotonic()) - self._told >= WRITTEN_SECONDS:
            self._told = now
            self.tell(Written(count))

    def wait_for_the_end(self) -> None:
        """Wait to be killed."""
        self._listener.join()

    def _listen(self) -> None:
        """Pass orders on; without a word of farewell the starter is gone, and nobody must go on."""
        try:
            while (order := pickle.load(self._in)) is not None:
                self._orders.put(order)
            self._orders.put(None)
        except Exception:
            # At once, wherever the other threads are: what is half-written counts for nothing.
            os.kill(os.getpid(), signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)


class _Teller(QueueHandler):
    """Hands log records on, ready to be sent."""

    def __init__(self, starter: _Starter) -> None:
        super().__init__(queue.SimpleQueue())
        self._starter = starter

    def enqueue(self, record: logging.LogRecord) -> None:
        self._starter.tell(Said(record))


def _hand_on_logs(starter: _Starter, level: int) -> None:
    root = logging.getLogger()
    root.setLevel(level)
    root.addHandler(_Teller(starter))
    logging.captureWarnings(True)


def portable(error: Exception) -> Exception:
    """The error as it can be sent: with its traceback as a note, or only its words."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        copy: Exception = pickle.loads(pickle.dumps(error))
    except Exception:
        copy = RuntimeError(f"{type(error).__name__}: {error}")
        copy.__notes__ = error.__notes__
    return copy
