"""A few frames spread over a film, to measure it by.

for frame, following in sample_pairs(info): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from vidcolor.frames import BEGINNING, END, Frame, VideoInfo
from vidcolor.media.pixels import Converter
from vidcolor.media.read import frame_of, read_frames
from vidcolor.media.reader import Reader, index_packets

SAMPLED_FRAMES = 480
"""How many first frames a sampling by reading looks at."""

ENOUGH_KEYFRAMES = 8
"""Fewer keyframes than this say too little about a film."""


def sample_frames(info: VideoInfo, count: int = 24) -> Iterator[Frame]:
    """The first frames of `sample_pairs`."""
    return (frame for frame, _ in sample_pairs(info, count))


def sample_pairs(info: VideoInfo, count: int = 24) -> Iterator[tuple[Frame, Frame | None]]:
    """About `count` frames spread over the film, one at a time, the same ones every time, each
    with the one after it where there is one.

    Films of more than SAMPLED_FRAMES give the keyframe at or before each time, at the cost of a
    seek each, and only where too few seeks land are their first SAMPLED_FRAMES read. Times of
    frames in films that can't be sought exactly are those asked for. Raises SourceError when the
    file can't be opened.
    """
    duration = info.duration_seconds or 0
    if _expected_frames(info) > SAMPLED_FRAMES and duration:
        sampled = 0
        for pair in _keyframe_samples(info, count, duration):
            sampled += 1
            yield pair
        if sampled >= min(count, ENOUGH_KEYFRAMES):
            return
    spread = _spread(info, _expected_frames(info), count)
    first = next(spread, None)
    if first is None:  # the header promised more than there is
        yield from _spread(info, 1, 1)
    else:
        yield from chain([first], spread)


def _keyframe_samples(
    info: VideoInfo, count: int, duration: float
) -> Iterator[tuple[Frame, Frame | None]]:
    """The keyframe at or before the middle of each of `count` equal parts of the film, and the
    frame after it."""
    convert = Converter(info)
    span = duration / float(info.time_base)
    last = BEGINNING
    with Reader.opened(info, 0) as reader:
        reader.warm_up()
        for part in range(count):
            target = info.start_pts + round(span * (part + 0.5) / count)
            moments = reader.from_keyframe(target, END) if info.seekable else reader.near(target)
            frames = [frame_of(moment, convert) for moment in islice(moments, 2)]
            if frames and frames[0].pts > last:
                last = frames[0].pts
                yield frames[0], frames[1] if len(frames) > 1 else None


def _expected_frames(info: VideoInfo) -> int:
    """How many frames the film seems to have, from its header where that says."""
    if info.frames_from_header:
        return info.frames_from_header
    if info.duration_seconds:
        return max(1, round(info.duration_seconds * info.rate))
    return index_packets(info).frames


def _spread(info: VideoInfo, total: int, count: int) -> Iterator[tuple[Frame, Frame | None]]:
    """`count` frames evenly spread over the first `total`, or over SAMPLED_FRAMES, and the frame
    after each."""
    total = min(total, SAMPLED_FRAMES)
    wanted = {(2 * part + 1) * total // (2 * count) for part in range(count)}
    held: Frame | None = None
    for index, frame in enumerate(islice(read_frames(info), total + 1)):
        if held is not None:
            yield held, frame
        held = frame if index in wanted else None
    if held is not None:
        yield held, None
