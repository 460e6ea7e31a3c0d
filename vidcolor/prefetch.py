"""An iterator run in a thread of its own, a bounded number of items ahead.

for frame in prefetched(read_frames(info), 4, thread_name="decode"):
    ...
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


_STARTING_SECONDS = 1.0
"""Within this a thread that was started runs; longer is waited only for one that never was."""


class _End:
    """Closes the queue; carries the error that ended the iterator, if one did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def prefetched(items: Iterator[T], limit: int, *, thread_name: str) -> Generator[T]:
    """Yield what `items` yields, made in a thread at most `limit` items ahead.

    The iterator's error is raised here. Closing this generator closes `items` and joins the
    thread.
    """
    ready: queue.Queue[T | _End] = queue.Queue(limit)
    running, stop = threading.Event(), threading.Event()

    def work() -> None:
        running.set()
        end = _End()
        try:
            for item in items:
                ready.put(item)
                if stop.is_set():
                    return
        except BaseException as error:
            end = _End(error)
        finally:
            close = getattr(items, "close", None)
            if close:
                close()
            ready.put(end)

    worker = threading.Thread(target=work, name=thread_name, daemon=True)
    try:
        worker.start()
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        # An interrupt may have come before the thread was known to live.
        running.wait(_STARTING_SECONDS)
        while worker.is_alive():
            with suppress(queue.Empty):
                ready.get(timeout=0.05)
        worker.join()
