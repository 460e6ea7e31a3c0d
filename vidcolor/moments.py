"""Which frames show a film at a glance: one from each of its different shots, none of them black.

    targets = choose_moments(probe(path), 4)  # [pts, ...], rising
    for frame, picture in pairs_at(colorizer, targets): ...
    pick = RangePick(48, every_nth(48, 12))  # of a range: twelve of its 48 frames

    film      |..A..|......B......|#|.....C.....|..B..|..D..|     # is black
    shares    |            |            |            |            |
    moments         A          B            C              D

A short film is read whole and its cuts are found as colouring finds them. Of a long one some
keyframes are looked at, and pictures that differ little count as one shot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidcolor.color import ColorSpace
from vidcolor.frames import BEGINNING, END, Frame, Picture, VideoInfo
from vidcolor.media.read import read_frames
from vidcolor.media.reader import nominal_ticks
from vidcolor.media.sample import sample_frames
from vidcolor.prefetch import prefetched
from vidcolor.resample import shrink
from vidcolor.shots import LEAST_DIFFERENCE, THUMBNAIL, starts_shot, thumbnail_difference
from vidcolor.shots import REACH_FRAMES as CUT_REACH_FRAMES

if TYPE_CHECKING:
    from vidcolor.pipeline import Colorizer

READ_WHOLE_SAMPLES = 400_000_000
"""Luma samples up to which a film is read whole: about a second and a half of decoding."""

READ_AHEAD = 4
"""Frames the decoder's thread may be ahead where a film is read once."""

LOOKS_PER_MOMENT = 4
"""Keyframes looked at in a long film, for each moment wanted."""

ALIKE = 5.0
"""Mean difference of two pictures, in levels, under which they look the same at a glance."""

BLACK_LEVEL = 26.0
"""How far above black, in 8-bit levels, the brightest hundredth of a black frame stays."""

FLAT_LEVELS = 4.0
"""Standard deviation, in 8-bit levels, under which a frame shows nothing, whatever its gray."""


@dataclass(frozen=True, eq=False)
class Look:
    """One frame as a candidate."""

    pts: int
    thumbnail: NDArray[np.uint8]
    shot: int
    """Frames of one shot share this number."""

    blank: bool
    """Black, or of one gray all over."""


def choose_moments(info: VideoInfo, count: int) -> list[int]:
    """Pts of about `count` frames worth showing, rising; the same ones every time.

    Meant is the first frame at or after each: where a film can't be sought exactly, the times are
    near those of the frames looked at. Fewer where the film hasn't as many frames that show
    something. Raises SourceError when no frame of the film decodes.
    """
    frames = info.frames_from_header or round((info.duration_seconds or 0) * info.rate)
    if 0 < frames * info.width * info.height <= READ_WHOLE_SAMPLES:
        looks = list(_all_looks(info))
    else:
        looks = _sampled_looks(info, count)
    if not looks:
        return [info.start_pts]
    last = looks[-1].pts if info.duration_seconds is None else _span_end(info)
    return choose(looks, count, info.start_pts, max(last, looks[-1].pts + 1))


def choose(looks: Sequence[Look], count: int, start: int, end: int) -> list[int]:
    """`count` of the looks, one in each share of [start, end) where one fits, near its middle.

    Where none fits there one from elsewhere takes its place: of a shot that isn't shown yet before
    another of the same, and a picture like one that is shown only where nothing else is left. What
    shows nothing is never taken, unless nothing else is there.
    """
    middles = [start + (2 * n + 1) * (end - start) // (2 * count) for n in range(count)]
    own_share, anywhere = (end - start) / (2 * count), end - start
    lit = [look for look in looks if not look.blank]
    chosen: list[Look] = []

    def fits(look: Look, least: float, other_shot: bool) -> bool:
        return all(
            thumbnail_difference(look.thumbnail, other.thumbnail) >= least
            and not (other_shot and look.shot == other.shot)
            for other in chosen
        )

    def take(reach: float, least: float, *, other_shot: bool = False) -> None:
        for middle in list(middles):
            near = sorted(lit, key=lambda look: abs(look.pts - middle))
            within = (k for k in near if abs(k.pts - middle) <= reach and k not in chosen)
            best = next((k for k in within if fits(k, least, other_shot)), None)
            if best is not None:
                chosen.append(best)
                middles.remove(middle)

    for least in (LEAST_DIFFERENCE, ALIKE):
        take(own_share, least, other_shot=True)
        take(anywhere, least, other_shot=True)
    for reach in (own_share, anywhere):
        take(reach, LEAST_DIFFERENCE)
        take(reach, ALIKE)
    take(own_share, 0)
    take(anywhere, 0)
    return sorted(look.pts for look in chosen or [looks[len(looks) // 2]])


def _all_looks(info: VideoInfo) -> Iterator[Look]:
    """Every frame of a film, its shots told apart as the pipeline does."""
    frames = [(frame.pts, _thumbnail(frame, info)) for frame in read_frames(info)]
    pictures = [picture for _, picture in frames]
    shot = 0
    for n, (pts, picture) in enumerate(frames):
        around = pictures[max(0, n - CUT_REACH_FRAMES) : n + 1 + CUT_REACH_FRAMES]
        shot += n > 0 and starts_shot(around, min(n, CUT_REACH_FRAMES))
        yield Look(pts, picture, shot, _is_blank(picture, info))


def _sampled_looks(info: VideoInfo, count: int) -> list[Look]:
    """Keyframes spread over a film; a picture unlike the last one counts as another shot."""
    frames = [
        (frame.pts, _thumbnail(frame, info))
        for frame in sample_frames(info, LOOKS_PER_MOMENT * count)
    ]
    if len(frames) < 2 * count and info.seekable and info.duration_seconds:
        frames = _with_more(info, frames, count)
    looks: list[Look] = []
    for pts, picture in frames:
        shot = 0
        if looks:
            change = thumbnail_difference(looks[-1].thumbnail, picture) >= LEAST_DIFFERENCE
            shot = looks[-1].shot + change
        looks.append(Look(pts, picture, shot, _is_blank(picture, info)))
    return looks


Pictures = list[tuple[int, NDArray[np.uint8]]]
"""Pts and thumbnails."""


def _with_more(info: VideoInfo, frames: Pictures, count: int) -> Pictures:
    """Frames from between, where keyframes are few; each costs a seek and some decoding."""
    end = _span_end(info)
    found = dict(frames)
    for n in range(count):
        middle = info.start_pts + (2 * n + 1) * (end - info.start_pts) // (2 * count)
        for frame in islice(read_frames(info, middle, END), 1):
            found.setdefault(frame.pts, _thumbnail(frame, info))
    return sorted(found.items())


def _span_end(info: VideoInfo) -> int:
    return info.start_pts + round((info.duration_seconds or 0) / info.time_base)


def _thumbnail(frame: Frame, info: VideoInfo) -> NDArray[np.uint8]:
    small = shrink(frame.luma, THUMBNAIL)
    return (small >> (info.bit_depth - 8)).astype(np.uint8)


def _is_blank(picture: NDArray[np.uint8], info: VideoInfo) -> bool:
    space = ColorSpace(info.tags, bit_depth=8)
    brightest = float(np.percentile(picture, 99)) - space.luma_offset
    return brightest < BLACK_LEVEL or float(picture.std()) < FLAT_LEVELS


def pairs_at(colorizer: Colorizer, targets: Sequence[int]) -> Generator[tuple[Frame, Picture]]:
    """The first frame at or after each pts, with its picture.

    Each costs a window of neighbours: from a stream of its own, from one stream where windows would
    overlap, or, where the film can't be sought, from one reading of it all. Raises as
    `Colorizer.pairs`.
    """
    # Imported here because it brings torch, which choosing doesn't need.
    from vidcolor.pipeline import REACH_FRAMES

    window = (2 * REACH_FRAMES + 1) * nominal_ticks(colorizer.info)
    if targets[-1] - targets[0] <= window * len(targets):
        yield from _from_one_stream(colorizer, targets)
    elif colorizer.info.seekable:
        for target in targets:
            yield from _from_one_stream(colorizer, [target])
    else:
        yield from _from_one_reading(colorizer, targets, REACH_FRAMES)


def _from_one_stream(
    colorizer: Colorizer, targets: Sequence[int]
) -> Iterator[tuple[Frame, Picture]]:
    pick = MomentsPick(targets)
    with closing(colorizer.pairs(targets[0], END, wanted=pick)) as pairs:
        for frame, picture in pairs:
            yield frame, picture
            if frame.pts >= targets[-1]:
                return


def _from_one_reading(
    colorizer: Colorizer, targets: Sequence[int], reach: int
) -> Iterator[tuple[Frame, Picture]]:
    """`reach` frames on either side of each target are held whole, and coloured by themselves."""
    held: deque[Frame] = deque(maxlen=2 * reach + 1)
    last = BEGINNING
    source = prefetched(colorizer.read(BEGINNING, END), READ_AHEAD, thread_name="decode")
    with closing(source) as frames:
        for target in targets:
            while (at := _first_from(held, target)) is None or len(held) - at <= reach:
                if (frame := next(frames, None)) is None:
                    break
                held.append(frame)
            if (at := _first_from(held, target)) is None:
                return
            window = list(held)[: at + reach + 1]
            pts = window[at].pts
            if pts > last:
                yield from colorizer.pairs(pts, pts + 1, frames=iter(window))
            last = pts


def _first_from(frames: Sequence[Frame], target: int) -> int | None:
    """Index of the first frame at or after a pts."""
    return next((n for n, frame in enumerate(frames) if frame.pts >= target), None)


# Of a range: asked for each of its frames in order, a pick says which are wanted.


class RangePick:
    """Wants the tiles of a range, and counts all its frames.

    The range's last frame is wanted too where its number is known, as a stream that has yielded it
    can be ended.
    """

    def __init__(self, limit: int | None, is_tile: Callable[[int, int], bool]) -> None:
        """limit: frames of the range, None where it has an end. `is_tile` is given a frame's number
        in the range and its pts."""
        self.tiles: set[int] = set()
        """Pts of the tiles met so far."""
        self.last: int | None = None
        """Pts of the last of `limit` frames, once it was met."""
        self._limit, self._is_tile = limit, is_tile
        self._asked = 0

    @property
    def frames(self) -> int:
        """Frames of the range met so far."""
        return self._asked if self._limit is None else min(self._asked, self._limit)

    def __call__(self, pts: int) -> bool:
        number = self._asked
        self._asked += 1
        if self._limit is not None and number >= self._limit:
            return False
        if number + 1 == self._limit:
            self.last = pts
        if self._is_tile(number, pts):
            self.tiles.add(pts)
        return pts in self.tiles or pts == self.last


def every_frame(number: int, pts: int) -> bool:
    """All of a range."""
    return True


def every_nth(frames: int, tiles: int) -> Callable[[int, int], bool]:
    """At most `tiles` of a number of frames, evenly spread, the first included."""
    tiles = min(tiles, frames)
    numbers = {n * frames // tiles for n in range(tiles)}
    return lambda number, pts: number in numbers


def evenly_in_time(start: int, end: int, tiles: int, tolerance: int) -> Callable[[int, int], bool]:
    """The first frame in each of `tiles` equal parts of [start, end).

    tolerance: ticks that a frame may come too early, as containers round times.
    """
    reached = -1

    def is_tile(number: int, pts: int) -> bool:
        nonlocal reached
        part = min((pts - start + tolerance) * tiles // (end - start), tiles - 1)
        new = part > reached
        reached = max(reached, part)
        return new

    return is_tile


class MomentsPick:
    """Wants the first frame at or after each of some pts."""

    def __init__(self, targets: Sequence[int]) -> None:
        self._targets = deque(targets)

    def __call__(self, pts: int) -> bool:
        if not self._targets or pts < self._targets[0]:
            return False
        while self._targets and self._targets[0] <= pts:
            self._targets.popleft()
        return True
