"""Segments written on a thread of their own, so that colouring never waits for the encoder.

    with SegmentEncoder(segments, open_writer, commit) as encoder:
        for picture in pictures:
            encoder.put(picture)

    caller: put put put ... end marker | queue of QUEUED_PICTURES | thread: encode, close, commit

Leaving the block in peace writes what is queued and commits the last segment; leaving it by an
exception abandons the segment at hand. Either way the thread has ended.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from vidcolor.frames import Picture, Segment

if TYPE_CHECKING:
    from vidcolor.media.write import SegmentRecord, SegmentWriter

QUEUED_PICTURES = 3
"""Full-size pictures that may wait for the encoder."""

OpenWriter = Callable[[Segment], "AbstractContextManager[SegmentWriter]"]
Commit = Callable[[Segment, "SegmentRecord | None"], None]


class SegmentEncoder:
    """Encodes a stream of pictures into the consecutive segments it runs through."""

    def __init__(
        self, segments: Sequence[Segment], open_writer: OpenWriter, commit: Commit
    ) -> None:
        """`commit` is called on the thread for each segment in turn, with None where no picture
        fell into it."""
        self.written = 0
        """Pictures the encoder has taken so far."""
        self._todo = deque(segments)
        self._open_writer, self._commit = open_writer, commit
        self._queue: queue.Queue[Picture | None] = queue.Queue(QUEUED_PICTURES)
        self._abandoned = threading.Event()
        self._error: BaseException | None = None
        # A daemon, so that a second Ctrl-C while this one is joined can end the process.
        self._thread = threading.Thread(target=self._work, name="encoder", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._thread.start()
        except BaseException:
            # An interrupt may have come before the thread was known to live; the end it is told of
            # must not look like the film's.
            self._abandoned.set()
            self._queue.put(None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._abandoned.set()
        try:
            self._end()
        except BaseException:
            # Interrupted as it waited: the last segment is abandoned, too.
            self._abandoned.set()
            self._end()
            raise
        if error is None and self._error is not None:
            raise self._error

    def _end(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def put(self, picture: Picture) -> None:
        """Queue a picture, waiting for room. Raises what has failed on the thread."""
        if self._error is not None:
            raise self._error
        self._queue.put(picture)

    def _work(self) -> None:
        pictures = iter(self._queue.get, None)
        try:
            self._write_all(pictures)
        except BaseException as error:
            self._error = error
        # Takes what is still queued after an error, so that the caller's put never waits forever.
        for _ in pictures:
            pass

    def _write_all(self, pictures: Iterator[Picture]) -> None:
        waiting = next(pictures, None)
        while self._todo and not self._abandoned.is_set():
            segment = self._todo.popleft()
            if waiting is None or waiting.pts >= segment.end:
                self._commit(segment, None)
                continue
            with self._open_writer(segment) as writer:
                while waiting is not None and waiting.pts < segment.end:
                    writer.write(waiting)
                    self.written += 1
                    waiting = next(pictures, None)
                    if self._abandoned.is_set():
                        raise _AbandonedError
                record = writer.close()
            self._commit(segment, record)
        assert waiting is None or self._abandoned.is_set(), "a picture lies behind every segment"


class _AbandonedError(Exception):
    """Leaves a writer's block without finishing its segment."""
