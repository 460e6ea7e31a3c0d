"""What a source is: its picture's stream, size, times, colour tags and everything beside it.

    from vidcolor.media.probe import probe

    info = probe(Path("film.mp4"))
    print(info.width, info.height, info.rate, info.tags.matrix)

Headers say much and not all of it is true, so the first frames are decoded and asked too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal, cast

import av
from av.container.input import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.errors import SourceError
from vidcolor.frames import ColorTags, StreamInfo, StreamKind, VideoInfo
from vidcolor.media.hdr import hdr_of, side_data
from vidcolor.media.packets import packet_times
from vidcolor.media.pixels import bit_depth, is_full_range_by_name, is_transparent, subsampling

log = logging.getLogger(__name__)

PROBED_FRAMES = 32
"""How many first frames decide whether the decoder's times can be trusted."""

RAW_TAGS = "surrogateescape"
"""How PyAV shall take tags that aren't UTF-8, as in many old files: their bytes go through."""

_HOPELESS_PACKETS = 1000
"""Packets without a single frame after which a source counts as undecodable."""

_STILL_CODECS = frozenset({"mjpeg", "png", "bmp", "tiff", "webp", "gif", "jpeg2000", "jpegxl"})
_TEXT_CODECS = frozenset({"ansi", "bintext", "xbin", "idf"})
_SEEKABLE = frozenset({"mov", "mp4", "matroska", "webm"})


def probe(path: Path) -> VideoInfo:
    """Look at `path` and say what it is.

    Raises SourceError when it is missing, unreadable, a single picture, or holds no video that
    can be decoded.
    """
    with open_source(path) as container:
        stream = _picture_stream(container, path)
        frames = _first_frames(container, stream)
        if not frames:
            raise SourceError(
                f"{path} has a video stream but no frame of it can be decoded; it may have been "
                "cut before its first frame, so try another copy."
            )
        return _describe(path, container, stream, frames)


@contextmanager
def open_source(path: Path) -> Iterator[InputContainer]:
    """Open a source and close it whatever happens. Raises SourceError where it can't be opened."""
    if not path.exists():
        raise SourceError(f"there is no file {path}; check the name and the folder.")
    if path.is_dir():
        raise SourceError(f"{path} is a folder; expected a video file, so name one inside it.")
    try:
        container = av.open(str(path), "r", metadata_errors=RAW_TAGS)
    except PermissionError as error:
        raise SourceError(f"{path} can't be read; check its permissions.") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise SourceError(
            f"{path} is not a video FFmpeg can read ({words}); check that it is a complete film."
        ) from error
    try:
        yield container
    finally:
        container.close()


def codec_name(stream: Stream) -> str:
    """FFmpeg's name of a stream's codec, such as `h264`, whichever library decodes it."""
    if stream.codec_context is not None:
        return stream.codec_context.codec.canonical_name
    return str(stream.name or "unknown") if stream.type == "data" else "unknown"


def is_cover(stream: Stream) -> bool:
    """Whether the stream is a still picture attached to the file."""
    return stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)


def clockwise(frame: VideoFrame) -> Literal[0, 90, 180, 270]:
    """Degrees a frame must be turned clockwise to stand upright, from its display matrix."""
    # PyAV gives the display matrix's angle counter-clockwise: -90 is a picture to turn right.
    turn = round(-frame.rotation / 90) * 90 % 360
    return cast(Literal[0, 90, 180, 270], turn)


def _picture_stream(container: InputContainer, path: Path) -> VideoStream:
    if container.format.name == "image2" or container.format.name.endswith("_pipe"):
        raise SourceError(
            f"{path} is a single picture; expected a video, so use `vidcolor image` for it."
        )
    films = [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None
        and not is_cover(stream)
        and codec_name(stream) not in _TEXT_CODECS
    ]
    moving = [stream for stream in films if codec_name(stream) not in _STILL_CODECS]
    # A single JPEG beside a sound track is a sleeve, not a film; Motion JPEG has many.
    films = moving or [stream for stream in films if stream.frames != 1]
    if not films:
        kinds = {"still pictures" if s.type == "video" else s.type for s in container.streams}
        held = " and ".join(sorted(kinds)) if kinds else "nothing"
        raise SourceError(
            f"{path} holds no film, only {held}; expected a file with a video stream."
        )
    return max(films, key=_prominence)


def _prominence(stream: VideoStream) -> tuple[bool, int]:
    return (bool(stream.disposition & Disposition.default), stream.width * stream.height)


def _first_frames(container: InputContainer, stream: VideoStream) -> list[VideoFrame]:
    """Up to PROBED_FRAMES first frames; damaged packets are passed over."""
    stream.thread_type = "AUTO"
    frames: list[VideoFrame] = []
    packets = container.demux(stream)
    for _ in range(_HOPELESS_PACKETS):
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):
            break
        try:
            frames += packet.decode()
        except (av.FFmpegError, ValueError) as error:
            log.debug("a packet of %s can't be decoded: %s", container.name, error)
        if len(frames) >= PROBED_FRAMES:
            break
    return frames[:PROBED_FRAMES]


def _describe(
    path: Path, container: InputContainer, stream: VideoStream, frames: list[VideoFrame]
) -> VideoInfo:
    first = frames[0]
    pts = [frame.pts for frame in frames if frame.pts is not None]
    families = set(container.format.name.split(","))
    rate = _rate(stream)
    # The reader fills in what is missing between times, and tells apart what is equal.
    timed = bool(pts) and all(a <= b for a, b in pairwise(pts))
    rising = timed and len(set(pts)) == len(frames)
    start = _first_time(frames, stream, rate) if timed else _first_packet_time(path, stream.index)
    return VideoInfo(
        path=path,
        container=container.format.name,
        stream_index=stream.index,
        codec=codec_name(stream),
        width=first.width,
        height=first.height,
        sample_aspect=Fraction(stream.sample_aspect_ratio or 1),
        rotation=clockwise(first),
        rate=rate,
        time_base=stream.time_base or Fraction(1) / rate,
        start_pts=start,
        duration_seconds=_duration(container, stream),
        frames_from_header=_frame_count(stream),
        pixel_format=first.format.name,
        bit_depth=bit_depth(first.format),
        subsampling=subsampling(first.format),
        tags=color_tags(stream, first),
        times_from="decoder" if timed else "packets",
        seekable=rising and bool(families & _SEEKABLE),
        streams=tuple(_stream_info(other) for other in container.streams),
        hdr=hdr_of(first),
        # FFmpeg's own decoder of VP8 and VP9 doesn't show the alpha that this tag promises.
        transparent=stream.metadata.get("alpha_mode") == "1" or any(map(is_transparent, frames)),
        captioned=any(data.type is SideDataType.A53_CC for f in frames for data in side_data(f)),
        flagged_interlaced=2 * sum(frame.interlaced_frame for frame in frames) > len(frames),
    )


def _first_time(frames: list[VideoFrame], stream: VideoStream, rate: Fraction) -> int:
    """Pts of the first frame; where it has none, counted back from the first that has one."""
    ahead, pts = next((n, f.pts) for n, f in enumerate(frames) if f.pts is not None)
    return pts - ahead * max(1, round(1 / (rate * (stream.time_base or 1 / rate))))


def _first_packet_time(path: Path, index: int) -> int:
    """Pts of the first frame by the packets; what has been read already can't always be sought."""
    with open_source(path) as fresh:
        stream = fresh.streams[index]
        times = packet_times(fresh, stream).times if isinstance(stream, VideoStream) else ()
    if not times:
        raise SourceError(
            f"the frames of {path} have no times that can be read; copy it into Matroska first."
        )
    return times[0]


def _rate(stream: VideoStream) -> Fraction:
    """The first believable rate among the header's guesses; 25 where there is none."""
    for guess in (stream.guessed_rate, stream.average_rate, stream.base_rate):
        if guess and 0 < guess <= 1000:
            return Fraction(guess)
    return Fraction(25)


def _duration(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _frame_count(stream: VideoStream) -> int | None:
    if stream.frames > 0:
        return stream.frames
    tagged = stream.metadata.get("NUMBER_OF_FRAMES", "")
    return int(tagged) if tagged.isdecimal() and int(tagged) > 0 else None


def _stream_info(stream: Stream) -> StreamInfo:
    known = ("video", "audio", "subtitle", "attachment", "data")
    kind = stream.type if stream.type in known else "data"
    return StreamInfo(
        index=stream.index,
        kind=cast(StreamKind, kind),
        codec=codec_name(stream),
        language=stream.metadata.get("language"),
        title=stream_title(stream),
        cover=is_cover(stream),
    )


def stream_title(stream: Stream) -> str | None:
    """A track's title; MP4 calls it `name`, Matroska `title`."""
    return stream.metadata.get("title") or stream.metadata.get("name") or None


def color_tags(stream: VideoStream, frame: VideoFrame) -> ColorTags:
    """The stream's colour tags, guesses made for what is unspecified.

    Untagged is BT.709 from 720 lines up, else BT.601; primaries and transfer follow the matrix.
    """
    context = stream.codec_context
    matrix = _first_tag(frame.colorspace, context.colorspace)
    if matrix is None:
        matrix = _matrix_by_size(frame.height)
    primaries = _first_tag(frame.color_primaries, context.color_primaries)
    transfer = _first_tag(frame.color_trc, context.color_trc)
    guessed_primaries, guessed_transfer = _COMPANIONS.get(matrix, (1, 1))
    return ColorTags(
        matrix=matrix,
        primaries=primaries if primaries is not None else guessed_primaries,
        transfer=transfer if transfer is not None else guessed_transfer,
        full_range=_full_range(stream, frame),
    )


_COMPANIONS = {1: (1, 1), 4: (4, 4), 5: (5, 6), 6: (6, 6), 7: (7, 7), 9: (9, 14), 10: (9, 14)}
"""Matrix -> the primaries and transfer it usually comes with (ITU-T H.273 code points)."""


def _first_tag(*tags: int) -> int | None:
    # 0 is RGB or reserved, 2 unspecified, 3 reserved: none of them says what YCbCr means.
    return next((int(tag) for tag in tags if int(tag) not in (0, 2, 3)), None)


def _matrix_by_size(lines: int) -> int:
    if lines >= 720:
        return 1
    return 5 if lines in (288, 576) else 6


def _full_range(stream: VideoStream, frame: VideoFrame) -> bool:
    if subsampling(frame.format) == "rgb":
        return False  # it is read as limited-range luma and chroma, whatever its own samples span
    for tag in (int(frame.color_range), int(stream.codec_context.color_range)):
        if tag in (1, 2):
            return tag == 2
    return is_full_range_by_name(frame.format)
