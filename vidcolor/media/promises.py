"""What packets promise: frames at their times; and which promises a damaged film doesn't keep.

    promises = Promises()
    promises.put(packet.pts)            # before the decoder is given a packet
    promises.doubt()                    # it complains
    promises.broken(last, frame.pts)    # (1024, 1536): lost between two frames

A packet without a frame is no damage: some show nothing. Only near a complaint is it a frame lost.
"""

from __future__ import annotations

import heapq
from collections import deque

_DOUBT_PACKETS = 64
"""How far from the packet that has come when a decoder complains the cause may be: as many as its
threads and the reordering of frames may hold, with room to spare."""

_DOUBTS_KEPT = 2 * _DOUBT_PACKETS
"""Those before are further away."""


class Promises:
    """Times of packets at which no frame has been shown yet."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, int]] = []
        """Heap of times, each with its packet's number."""
        self._packets = 0
        self._doubts: deque[int] = deque(maxlen=_DOUBTS_KEPT)
        """How many packets had come when the decoder complained, rising."""

    def put(self, pts: int | None) -> None:
        """The decoder is given a packet; `pts` is None where it shows nothing or has no time."""
        self._packets += 1
        if pts is not None:
            heapq.heappush(self._kept, (pts, self._packets))

    def doubt(self) -> None:
        """Something about the packet just given, or one a few before it, is wrong."""
        self._doubts.append(self._packets)

    def any_after(self, last: int) -> bool:
        return any(time > last for time, _ in self._kept)

    def forget(self, pts: int) -> None:
        """A packet's time turned out to be wrong."""
        self._kept = [(time, number) for time, number in self._kept if time != pts]
        heapq.heapify(self._kept)

    def broken(self, last: int, pts: int) -> tuple[int, ...]:
        """Times between two frames shown one after the other at which a frame was lost.

        All up to `pts` are done with.
        """
        lost: list[int] = []
        while self._kept and self._kept[0][0] <= pts:
            time, number = heapq.heappop(self._kept)
            fresh = last < time < pts and time not in lost[-1:]
            if fresh and any(abs(number - doubt) <= _DOUBT_PACKETS for doubt in self._doubts):
                lost.append(time)
        return tuple(lost)
