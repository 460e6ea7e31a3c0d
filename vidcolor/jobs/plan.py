"""Where a film is cut: the range asked for, and the segments that range is made of.

    start, end = cut_range(Moment.parse("1:30"), None, times, info)
    segments = plan_segments(times, keyframes, info, 10.0, start, end)

    frames    |.........k..............k.........k......|
    segments  [0       )[1             )[2              )     k is a keyframe

The plan depends on the source's packet times and the length alone, and is made before colouring.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from vidcolor.errors import UsageError
from vidcolor.frames import BEGINNING, END, Segment, VideoInfo

KEYFRAME_REACH = Fraction(1, 4)
"""How far from its even place a border may move to a keyframe, in segment lengths."""

SHORTEST_LAST = Fraction(1, 2)
"""A rest shorter than this many segment lengths joins the segment before it."""

_CLOCK = re.compile(r"(?:(?:(\d+):)?([0-5]?\d):)([0-5]?\d(?:\.\d*)?)")
_SECONDS = re.compile(r"\d+(?:\.\d*)?|\.\d+")
_FRAME = re.compile(r"(\d+)f")


@dataclass(frozen=True)
class Moment:
    """A point of a film as a person names it: seconds after its first frame, or a frame."""

    seconds: Fraction | None = None
    frame: int | None = None
    """Counted from 0 in the order frames are shown."""

    @classmethod
    def parse(cls, text: str) -> Moment:
        """Read seconds, [H:]MM:SS.mmm, or a frame number with a trailing `f`.

        Raises UsageError on anything else.
        """
        text = text.strip()
        if match := _FRAME.fullmatch(text):
            return cls(frame=int(match[1]))
        if match := _CLOCK.fullmatch(text):
            hours, minutes, seconds = match.groups()
            whole = int(hours or 0) * 3600 + int(minutes) * 60
            return cls(seconds=whole + Fraction(seconds))
        if _SECONDS.fullmatch(text):
            return cls(seconds=Fraction(text))
        raise UsageError(
            f"{text!r} isn't a time; give seconds (12.5), H:MM:SS.mmm (0:01:30.5), "
            "or a frame number with a trailing f (300f)."
        )

    def pts(self, times: Sequence[int], info: VideoInfo) -> int:
        """The least pts at or after this moment; END for a frame the film doesn't have."""
        if self.frame is not None:
            return int(times[self.frame]) if self.frame < len(times) else END
        assert self.seconds is not None
        ticks = self.seconds / info.time_base
        return info.start_pts - (-ticks.numerator // ticks.denominator)

    def __str__(self) -> str:
        if self.frame is not None:
            return f"{self.frame}f"
        assert self.seconds is not None
        digits = f"{float(self.seconds):.6f}".rstrip("0").rstrip(".")
        return f"{digits} s"


def cut_range(
    start: Moment | None, end: Moment | None, times: Sequence[int], info: VideoInfo
) -> tuple[int, int]:
    """The half-open pts range between two moments; None is the film's own beginning or end.

    Raises UsageError when no frame lies between them.
    """
    first = BEGINNING if start is None else start.pts(times, info)
    last = END if end is None else end.pts(times, info)
    if start is not None and first > times[-1]:
        shown = float((times[-1] - info.start_pts) * info.time_base)
        raise UsageError(
            f"--start {start} lies beyond the film's end: its last frame, {len(times) - 1}f, "
            f"is at {shown:.3f} s; give an earlier start."
        )
    if bisect_left(times, first) >= bisect_left(times, last):
        raise UsageError(
            f"no frame lies between --start {start or '0 s'} and --end {end}; "
            "the end must come after the start, and itself isn't part of the range."
        )
    return first, END if last > times[-1] else last


def plan_segments(
    times: Sequence[int],
    keyframes: Sequence[int],
    info: VideoInfo,
    seconds: float,
    start: int = BEGINNING,
    end: int = END,
) -> tuple[Segment, ...]:
    """Cut [start, end) into segments of about `seconds`, each with at least one frame.

    `times` and `keyframes` are sorted pts. A border is a displayed frame's pts: a keyframe's
    where one lies within KEYFRAME_REACH of its even place, else the first frame's from there on.
    Raises UsageError when the range holds no frame.
    """
    shown = times[bisect_left(times, start) : bisect_left(times, end)]
    if len(shown) == 0:
        raise UsageError("the range holds no frame; give a longer one.")
    length = Fraction(seconds).limit_denominator(1000) / info.time_base
    borders = [int(shown[0])]
    while (border := _next_border(shown, keyframes, borders[-1], length)) is not None:
        borders.append(border)
    edges = [start, *borders[1:], end]
    return tuple(Segment(i, *edges[i : i + 2]) for i in range(len(borders)))


def _next_border(
    times: Sequence[int], keyframes: Sequence[int], last: int, length: Fraction
) -> int | None:
    """The border after `last`, or None when the rest is the last segment."""
    target = last + length
    at = bisect_left(times, target)
    if at == len(times):
        return None
    reach = length * KEYFRAME_REACH
    low = bisect_left(keyframes, max(target - reach, times[0]))
    high = bisect_right(keyframes, min(target + reach, times[-1]))
    near = [int(k) for k in keyframes[low:high] if k > last and _shown(times, k)]
    border = min(near, key=lambda k: abs(k - target)) if near else int(times[at])
    return border if times[-1] - border >= length * SHORTEST_LAST else None


def _shown(times: Sequence[int], pts: int) -> bool:
    at = bisect_left(times, pts)
    return at < len(times) and times[at] == pts
