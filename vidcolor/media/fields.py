"""Interlaced frames made progressive: as many frames as before, each at its own moment.

    deinterlacer = Deinterlacer("top")
    for frame in frames:
        done += deinterlacer.push(frame)      # one frame behind
    done += deinterlacer.flush()

bwdif keeps the lines of the field shown first and interpolates the others from their neighbours
above, below, before and after. It looks FIELDS_REACH_FRAMES each way, so what begins in the middle
of a film must begin that much early. Frames keep their pixel format; gray of 9 to 14 bits, which
bwdif doesn't know, passes through it in the upper bits of 16.

Frames that stay interlaced are marked so for the encoder:

    mark = FieldMarker("top", 720, 576, "yuv420p")
    packets = encoder.encode(mark(frame))
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from vidcolor.frames import FieldOrder, Fields
from vidcolor.media.pixels import planes_of

FIELDS_REACH_FRAMES = 1
"""How many neighbours on each side a deinterlaced frame depends on."""

_PARITY = {"top": "tff", "bottom": "bff", "flagged": "auto"}

_DEEP_GRAY = {"gray9le": 7, "gray10le": 6, "gray12le": 4, "gray14le": 2}
"""Formats that bwdif would have turned into RGB, and the bits they leave free of 16."""

_LEAST_COLUMNS, _LEAST_LINES = 3, 4
"""bwdif takes no smaller plane."""

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

        A frame of another size or format than the last starts the filter anew; one of a few lines
        or columns is handed back as it is.
        """
        shape = (frame.width, frame.height, frame.format.name)
        done = [] if shape == self._shape else self.flush()
        if _is_tiny(frame):
            return [*done, frame]
        if frame.format.name in _DEEP_GRAY:
            frame = _in_16_bits(frame)
        if self._graph is None:
            words = f"mode=send_frame:parity={self._parity}:deint=all"
            self._graph = _graph(frame.width, frame.height, frame.format, "bwdif", words)
            self._shape = shape
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

    def _pull(self) -> list[VideoFrame]:
        assert self._graph is not None
        done: list[VideoFrame] = []
        while True:
            try:
                frame = cast(VideoFrame, self._graph.pull())
            except (av.BlockingIOError, av.EOFError):
                return done
            name = self._shape[2] if self._shape else ""
            done.append(_out_of_16_bits(frame, name) if name in _DEEP_GRAY else frame)


class FieldMarker:
    """Marks frames of one layout as interlaced, without touching a sample."""

    def __init__(self, order: FieldOrder, width: int, height: int, pixel_format: str) -> None:
        pixels = VideoFormat(pixel_format, width, height)
        self._graph = _graph(width, height, pixels, "setfield", _PARITY[order])

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The same samples marked; its time means nothing."""
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        self._graph.push(frame)
        return cast(VideoFrame, self._graph.pull())


def flagged_order(frames: Iterable[VideoFrame]) -> FieldOrder:
    """Which lines come first by the flags of the first interlaced frame; `top` if there is none."""
    for frame in frames:
        if frame.interlaced_frame and frame.height > 1:
            # PyAV doesn't tell that flag, but FFmpeg takes frames apart by it.
            graph = _graph(frame.width, frame.height, frame.format, "separatefields")
            graph.push(frame)
            graph.push(None)
            first, second = (cast(VideoFrame, graph.pull()).planes[0] for _ in range(2))
            ahead = (second.buffer_ptr - first.buffer_ptr) * frame.planes[0].line_size
            return "top" if ahead > 0 else "bottom"
    return "top"


def _graph(
    width: int, height: int, pixels: VideoFormat, name: str, words: str | None = None
) -> av.filter.Graph:
    """One filter, from frames in to frames out."""
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add_buffer(width=width, height=height, format=pixels, time_base=Fraction(1, 25))
    between, sink = graph.add(name, words), graph.add("buffersink")
    source.link_to(between)
    between.link_to(sink)
    graph.configure()
    return graph


def _is_tiny(frame: VideoFrame) -> bool:
    pixels = frame.format
    columns = min(frame.width, pixels.chroma_width(frame.width) or frame.width)
    lines = min(frame.height, pixels.chroma_height(frame.height) or frame.height)
    return columns < _LEAST_COLUMNS or lines < _LEAST_LINES


def _in_16_bits(frame: VideoFrame) -> VideoFrame:
    luma = np.left_shift(planes_of(frame)[0], _DEEP_GRAY[frame.format.name])
    return VideoFrame.from_ndarray(luma, format="gray16le")


def _out_of_16_bits(frame: VideoFrame, name: str) -> VideoFrame:
    luma = np.right_shift(planes_of(frame)[0], _DEEP_GRAY[name])
    return VideoFrame.from_ndarray(luma, format=name)
