"""The picture's packets of a finished film, from its segments, each at its exact time.

template = stack.enter_context(open_segment(segments[0]))
picture = add_picture(out, template.streams.video[0], info, "mp4")
depth = reorder_depth(display_ranks(segments[0]))
for seconds, packet in picture_packets(segments, info, picture, Fraction(0), depth):
    out.mux(packet)

display order   k:  0   1   2   3          pts(k) from the records
decoding order  i:  0   3   1   2          dts(i) = pts(i - depth): sorted times, shifted
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container.input import InputContainer
from av.container.output import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidcolor.errors import JobError
from vidcolor.frames import VideoInfo
from vidcolor.media.ffmpeg import open_file
from vidcolor.media.muxers import MP4_FAMILY
from vidcolor.media.probe import open_source
from vidcolor.media.reader import nominal_ticks
from vidcolor.media.write import words_of


@dataclass(frozen=True)
class SegmentFile:
    """A finished segment: its file, and its record."""

    path: Path
    pts: tuple[int, ...]
    """Times of its frames in display order, ticks of the source's time base."""

    durations: tuple[int, ...]
    extradata_sha256: str


def check_segments(segments: Sequence[SegmentFile]) -> None:
    if not segments:
        raise JobError("there are no finished segments to join; run the job first.")
    for number, segment in enumerate(segments):
        if segment.extradata_sha256 != segments[0].extradata_sha256:
            raise JobError(
                f"segment {number} ({segment.path}) was encoded with other headers than segment 0, "
                "and joined they would decode to wrong pictures; run again with --restart."
            )
        if number and segment.pts and segment.pts[0] <= segments[number - 1].pts[-1]:
            raise JobError(
                f"segment {number} ({segment.path}) doesn't begin after the one before it ends; "
                "run again with --restart."
            )


def display_ranks(segment: SegmentFile) -> list[int]:
    """For each packet in decoding order, which frame of the segment it shows.

    Raises JobError when the file doesn't hold what its record says.
    """
    with open_segment(segment) as container:
        times = [p.pts for p in container.demux(video=0) if p.size and p.pts is not None]
    if len(times) != len(segment.pts):
        raise JobError(
            f"{segment.path} holds {len(times)} frames and its record says {len(segment.pts)}; "
            "delete its record to have it made again."
        )
    rank = {time: k for k, time in enumerate(sorted(times))}
    return [rank[time] for time in times]


def open_segment(segment: SegmentFile) -> InputContainer:
    try:
        return open_file(segment.path, format="matroska")
    except (av.FFmpegError, OSError) as error:
        raise JobError(
            f"the finished segment {segment.path} can't be read ({words_of(error)}); "
            "delete its record to have it made again."
        ) from error


def reorder_depth(ranks: Sequence[int]) -> int:
    """How many frames decoding runs ahead of display."""
    return max((i - rank for i, rank in enumerate(ranks)), default=0)


class DeeperReorderError(Exception):
    """A segment's packets are reordered further than the join reckoned with."""

    def __init__(self, depth: int) -> None:
        super().__init__(depth)
        self.depth = depth


def display_matrix(info: VideoInfo) -> list[int] | None:
    """The source's display matrix, nine integers, as its first frame carries it."""
    with open_source(info.path) as source:
        stream = source.streams[info.stream_index]
        assert isinstance(stream, VideoStream)
        try:
            for frame in source.decode(stream):
                data: Any = frame.side_data.get("DISPLAYMATRIX")
                return None if data is None else np.frombuffer(bytes(data), np.int32).tolist()
        except av.FFmpegError:
            return None
    return None


def add_picture(
    out: OutputContainer, template: VideoStream, info: VideoInfo, muxer: str
) -> VideoStream:
    """The output's stream for the segments' packets; `template` is a segment's own stream."""
    picture = out.add_stream_from_template(template, opaque=True)
    picture.time_base = info.time_base
    context = picture.codec_context
    context.framerate = info.rate
    context.sample_aspect_ratio = info.sample_aspect
    if muxer in MP4_FAMILY and template.codec_context.codec.canonical_name == "hevc":
        # Apple's players take HEVC only under this name; the headers are in the container.
        context.codec_tag = "hvc1"
    elif template.codec_context.codec.canonical_name == "prores":
        # The name tells 4:4:4 from 4:2:2; without it the muxer takes the first it knows.
        context.codec_tag = template.codec_context.codec_tag
    matrix = display_matrix(info)
    if matrix is not None:
        picture.set_display_matrix(matrix)
    return picture


def picture_packets(
    segments: Sequence[SegmentFile],
    info: VideoInfo,
    picture: VideoStream,
    origin: Fraction,
    depth: int,
) -> Iterator[tuple[float, Packet[Any]]]:
    """The segments' packets, timed by the records, with when they are decoded in seconds.

    `origin` is the source's time in seconds that becomes zero. Raises DeeperReorderError where
    `depth` doesn't suffice, and JobError where a file doesn't hold what its record says.
    """
    base = info.time_base
    shift = round(origin / base)
    times = _decode_times(segments, nominal_ticks(info), depth)
    for segment in segments:
        ranks = display_ranks(segment)
        if reorder_depth(ranks) > depth:
            raise DeeperReorderError(reorder_depth(ranks))
        with open_segment(segment) as container:
            packets = (packet for packet in container.demux(video=0) if packet.size)
            for place, (rank, packet) in enumerate(zip(ranks, packets, strict=True), start=1):
                packet.time_base = base
                packet.pts = segment.pts[rank] - shift
                packet.dts = next(times) - shift
                # MP4 lets its last packet, in decoding order, say how long the last frame stays.
                last = segment is segments[-1] and place == len(ranks)
                packet.duration = segment.durations[-1 if last else rank]
                packet.stream = picture
                yield float(packet.dts * base), packet


def _decode_times(segments: Sequence[SegmentFile], step: int, depth: int) -> Iterator[int]:
    """Rising decoding times: the display times, `depth` frames earlier."""
    first = segments[0].pts[0]
    yield from (first - ahead * step for ahead in range(depth, 0, -1))
    for segment in segments:
        yield from segment.pts
