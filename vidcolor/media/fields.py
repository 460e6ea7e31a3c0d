"""Interlaced frames made progressive: as many frames as before, each at its own moment.

    deinterlacer = Deinterlacer("top")
    for frame in frames:
        done += deinterlacer.push(frame)      # one frame behind
    done += deinterlacer.flush()

bwdif keeps the lines of the field shown first and interpolates the others from their neighbours
above, below, before and after. It looks FIELDS_REACH_FRAMES each way, so what begins in the middle
of a film must begin that much early.
"""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
from av.video.frame import VideoFrame

from vidcolor.frames import Fields

FIELDS_REACH_FRAMES = 1
"""How many neighbours on each side a deinterlaced frame depends on."""

_PARITY = {"top": "tff", "bottom": "bff", "flagged": "auto"}

_Shape = tuple[int, int, str]


class Deinterlacer:
    """A bwdif filter that hands frames back in order, one for one."""

    def __init__(self, fields: Fields) -> None:
        self._parity = _PARITY[fields]
        self._graph: av.filter.Graph | None = None
        self._shape: _Shape | None = None
        self._pushed = 0

    def push(self, frame: VideoFrame) -> list[VideoFrame]:
        """Take a frame; returns what is done by it. Times of frames mean nothing here: count.

        A frame of another size or format than the last starts the filter anew.
        """
        shape = (frame.width, frame.height, frame.format.name)
        done = [] if shape == self._shape else self.flush()
        if self._graph is None:
            self._graph, self._shape = self._new_graph(frame), shape
        frame.pts, frame.time_base = self._pushed, Fraction(1, 25)
        self._pushed += 1
        self._graph.push(frame)
        return done + self._pull()

    def flush(self) -> list[VideoFrame]:
        """Returns what the filter still holds."""
        if self._graph is None:
            return []
        self._graph.push(None)
        done = self._pull()
        self._graph = self._shape = None
        return done

    def _new_graph(self, frame: VideoFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        graph.threads = 1
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=Fraction(1, 25),
        )
        bwdif = graph.add("bwdif", f"mode=send_frame:parity={self._parity}:deint=all")
        sink = graph.add("buffersink")
        source.link_to(bwdif)
        bwdif.link_to(sink)
        graph.configure()
        return graph

    def _pull(self) -> list[VideoFrame]:
        assert self._graph is not None
        done: list[VideoFrame] = []
        while True:
            try:
                done.append(cast(VideoFrame, self._graph.pull()))
            except (av.BlockingIOError, av.EOFError):
                return done
