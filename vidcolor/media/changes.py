"""What changes in the middle of a film, and what becomes of it: told once.

    changes = Changes(info)
    for frame in frames:
        changes.look(frame, context.sample_aspect_ratio)

A recording may go on from one broadcast into the next, which has another size or shape. The film in
colour has one throughout: the Converter brings every picture to it, and here it is said aloud.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from av.video.frame import VideoFrame

from vidcolor.frames import VideoInfo
from vidcolor.media.pixels import bit_depth, is_full_range

log = logging.getLogger(__name__)

_told: set[tuple[Path, str]] = set()
"""What has been said of which film; a run opens its source many times."""


class Changes:
    """Looks at every decoded frame of one reading."""

    def __init__(self, info: VideoInfo) -> None:
        self._info = info
        self._aspect: Fraction | None = None
        self._last: tuple[object, ...] = ()

    def look(self, frame: VideoFrame, aspect: Fraction | None) -> None:
        """Warn of what this frame has unlike the film; `aspect` is its samples', None for 1:1."""
        aspect = Fraction(aspect or 1)
        shape = frame.width, frame.height, frame.format.name, int(frame.color_range), aspect
        if shape == self._last:
            return
        self._last = shape
        self._aspect = self._aspect or aspect
        for sentence in self._sentences(frame, aspect):
            if (self._info.path, sentence) not in _told:
                _told.add((self._info.path, sentence))
                log.warning("%s", sentence)

    def _sentences(self, frame: VideoFrame, aspect: Fraction) -> Iterator[str]:
        info, bits = self._info, bit_depth(frame.format)
        full = is_full_range(frame, info)
        size = f"{info.width}x{info.height}"
        if (frame.width, frame.height) != (info.width, info.height):
            yield (
                f"{info.path} has frames of {size} and of {frame.width}x{frame.height}; all become "
                f"{size}, so the luma of some is scaled."
            )
        if bits > info.bit_depth:
            yield (
                f"{info.path} has frames of {info.bit_depth} and of {bits} bits; all become "
                f"{info.bit_depth}, so the luma of some is rounded."
            )
        if full != info.tags.full_range and info.subsampling != "rgb":
            ranges = ("full", "limited") if info.tags.full_range else ("limited", "full")
            yield (
                f"{info.path} has frames of {ranges[0]} and of {ranges[1]} range; all become "
                f"{ranges[0]}, so the luma of some is converted."
            )
        if aspect != self._aspect and self._aspect is not None:
            yield (
                f"the samples of {info.path} change their aspect from {_ratio(self._aspect)} to "
                f"{_ratio(aspect)}; the film in colour says {_ratio(info.sample_aspect)} "
                "throughout, so some of it looks wider or narrower than it was."
            )


def _ratio(aspect: Fraction) -> str:
    return f"{aspect.numerator}:{aspect.denominator}"
