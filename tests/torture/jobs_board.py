"""What a run tells of itself while it may be killed: a page of memory shared through a file.

    board = Board(path)            # the same in the process that runs and in the one that kills
    board.enter(COLOURING); board.leave(0.2)
    PHASES[board.phase]            # of a process that is dead, where it died

A run has two threads that can be in different phases; the encoder's counts where it is in one, as
what it does there is short.
"""

from __future__ import annotations

import mmap
import struct
import threading
from pathlib import Path

PHASES = (
    "opening",
    "facts",
    "indexing",
    "plan",
    "checking",
    "colouring",
    "segment commit",
    "marker",
    "join",
    "rename",
    "clean-up",
)
"""`opening` is everything before the facts and between the phases: probing, trying the encoder,
taking the lock."""

SEGMENTS = 2048
"""How many segments' counts there is room for."""

_COUNTS, _LONGEST, _OPENED = 64, 256, 512
_SIZE = _OPENED + SEGMENTS


class Board:
    """Counts of phases entered and of segments begun."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_SIZE))
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _SIZE)

    def clear(self) -> None:
        """Forget what the last run told."""
        self._page[:] = bytes(_SIZE)

    def close(self) -> None:
        self._page.close()

    def enter(self, phase: int) -> int:
        """Note that this thread is in a phase; returns the one it was in."""
        place = int(threading.current_thread().name == "encoder")
        before = self._page[place]
        self._page[place] = phase
        at = _COUNTS + 4 * phase
        self._page[at : at + 4] = struct.pack("<I", self.entered(phase) + 1)
        return before

    def leave(self, phase: int, before: int, seconds: float) -> None:
        """Note that this thread is back in `before`, and how long it was in `phase`."""
        self._page[int(threading.current_thread().name == "encoder")] = before
        at = _LONGEST + 8 * phase
        longest = struct.pack("<d", max(seconds, self.longest(phase)))
        self._page[at : at + 8] = longest

    @property
    def phase(self) -> int:
        """Where the run is, or was when it died."""
        return self._page[1] or self._page[0]

    def entered(self, phase: int) -> int:
        """How often a phase was entered."""
        at = _COUNTS + 4 * phase
        return int(struct.unpack("<I", self._page[at : at + 4])[0])

    def longest(self, phase: int) -> float:
        """Seconds of a phase's longest visit that ended."""
        at = _LONGEST + 8 * phase
        return float(struct.unpack("<d", self._page[at : at + 8])[0])

    def open_segment(self, index: int) -> None:
        """Note that a segment was begun."""
        self._page[_OPENED + index] += 1

    @property
    def opened(self) -> dict[int, int]:
        """How often each segment was begun, of those that were."""
        counts = enumerate(self._page[_OPENED:])
        return {index: count for index, count in counts if count}
