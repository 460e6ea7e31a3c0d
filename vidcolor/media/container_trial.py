"""Whether a container holds an encoder's pictures, found out by writing a few into memory.

    with trial_segment(info, choice) as segment:
        held = try_container(info, Path("film.color.mp4"), choice, segment)
    held.refusal   # None, or why it doesn't take them
    held.warnings  # what of them it doesn't keep

FFmpeg writes many a file that comes back as something else, or at other times.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av

from vidcolor.frames import ColorTags, VideoInfo
from vidcolor.media.choice import EncoderChoice, picture_format
from vidcolor.media.muxers import muxer_of
from vidcolor.media.probe import color_tags
from vidcolor.media.reader import nominal_ticks
from vidcolor.media.segments import (
    SegmentFile,
    add_picture,
    display_ranks,
    open_segment,
    picture_packets,
    reorder_depth,
)
from vidcolor.media.write import SegmentWriter, gray_picture, listening, reason_of

_HALF_FRAMES = (0, 2, 5, 7, 10)
"""When the pictures of a trial are shown: a container must keep uneven times, too."""

_NEAR_SECONDS = Fraction(2, 1000)
"""Times may be rounded to milliseconds, at both ends of a gap."""


@dataclass(frozen=True)
class Held:
    """What becomes of an encoder's pictures in a container."""

    refusal: str | None = None
    """Why it doesn't take them."""

    warnings: tuple[str, ...] = ()
    """A sentence for each thing it doesn't keep of them."""


@dataclass(frozen=True)
class _Back:
    """What was read of a trial."""

    codecs: frozenset[str]
    tags: ColorTags
    times: tuple[Fraction, ...]
    """Seconds, of the frames that have a time."""


@contextmanager
def trial_segment(info: VideoInfo, choice: EncoderChoice) -> Iterator[SegmentFile]:
    """A segment of a few gray pictures, in a temporary folder.

    Raises EncoderError where the encoder doesn't open.
    """
    layout = picture_format(info, choice)
    with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder:
        path = Path(folder) / "try.mkv"
        with listening(), SegmentWriter(path, info, layout, choice) as writer:
            for ticks in _trial_ticks(info):
                writer.write(gray_picture(layout, info.start_pts + ticks))
            record = writer.close()
        yield SegmentFile(path, record.pts, record.durations, record.extradata_sha256)


def try_container(
    info: VideoInfo, output: Path, choice: EncoderChoice, segment: SegmentFile
) -> Held:
    """Put a trial's segment of `choice` into `output`'s kind of file, and read it.

    Raises OutputError for a suffix no muxer knows.
    """
    muxer = muxer_of(output)
    memory = io.BytesIO()
    with listening():
        try:
            codec = _mux(segment, info, muxer, memory)
            memory.seek(0)
            back = _read(memory)
        except (av.FFmpegError, OSError, ValueError) as error:
            return Held(reason_of(error))
    if back is None or codec not in back.codecs:
        return Held("they come back as something else")
    if info.tags.full_range and not back.tags.full_range:
        return Held("they come back as pictures of limited range")
    return Held(warnings=tuple(_losses(info, back, choice.codec, output.suffix)))


def _trial_ticks(info: VideoInfo) -> list[int]:
    return [halves * nominal_ticks(info) // 2 for halves in _HALF_FRAMES]


def _mux(segment: SegmentFile, info: VideoInfo, muxer: str, memory: io.BytesIO) -> str:
    """Write the segment's packets as the join does; returns their codec's name."""
    depth, origin = reorder_depth(display_ranks(segment)), info.start_pts * info.time_base
    with open_segment(segment) as template, av.open(memory, "w", format=muxer) as trial:
        picture = add_picture(trial, template.streams.video[0], info, muxer)
        for _, packet in picture_packets([segment], info, picture, origin, depth):
            trial.mux(packet)
        return template.streams.video[0].codec_context.codec.canonical_name


def _read(memory: io.BytesIO) -> _Back | None:
    """What is found there; None where no picture is."""
    with av.open(memory, "r") as back:
        films = [stream for stream in back.streams.video if stream.codec_context is not None]
        frames = list(back.decode(films[0])) if films else []
        if not frames:
            return None
        times = (
            frame.pts * frame.time_base
            for frame in frames
            if frame.pts is not None and frame.time_base is not None
        )
        return _Back(
            codecs=frozenset(film.codec_context.codec.canonical_name for film in films),
            tags=color_tags(films[0], frames[0]),
            times=tuple(Fraction(time) for time in times),
        )


def _losses(info: VideoInfo, back: _Back, codec: str, suffix: str) -> list[str]:
    said = []
    lost = _lost_tags(info.tags, back.tags)
    if lost:
        said.append(
            f"{codec} in {suffix} files has no place for the picture's colour tags "
            f"({', '.join(lost)}), and players will guess them; use .mkv or another --codec."
        )
    shown = [ticks * info.time_base for ticks in _trial_ticks(info)]
    pairs = zip(_gaps(back.times), _gaps(shown), strict=False)
    moved = any(abs(new - old) > _NEAR_SECONDS for new, old in pairs)
    if moved or len(back.times) != len(shown):
        said.append(
            f"{suffix} files don't keep each frame's own time: where frames come unevenly, they "
            "will be moved; use .mkv or .mp4."
        )
    return said


def _gaps(times: Sequence[Fraction]) -> list[Fraction]:
    return [b - a for a, b in pairwise(times)]


def _lost_tags(wanted: ColorTags, found: ColorTags) -> list[str]:
    """Names of the tags that mean something else now."""
    pairs = {
        "matrix": (wanted.matrix, found.matrix, _SAME_MATRICES),
        "primaries": (wanted.primaries, found.primaries, _SAME_PRIMARIES),
        "transfer": (wanted.transfer, found.transfer, _SAME_TRANSFERS),
    }
    return [
        name for name, (old, new, same) in pairs.items() if old != new and not {old, new} <= same
    ]


_SAME_MATRICES, _SAME_PRIMARIES, _SAME_TRANSFERS = {5, 6}, {6, 7}, {1, 6, 14, 15}
"""Code points of ITU-T H.273 that mean the same."""
