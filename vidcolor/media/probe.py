"""What a source is: its picture's stream, size, times, colour tags and everything beside it.

    from vidcolor.media.probe import probe

    info = probe(Path("film.mp4"))
    print(info.width, info.height, info.rate, info.tags.matrix)

Headers say much and not all of it is true, so the first frames are decoded and asked too.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal, cast

import av
from av.codec.hwaccel import HWAccel
from av.container.input import InputContainer
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidcolor.color import LUMA_WEIGHTS
from vidcolor.errors import SourceError
from vidcolor.files import irregular
from vidcolor.frames import ColorTags, StreamInfo, StreamKind, VideoInfo
from vidcolor.media.captions import captions_of
from vidcolor.media.clock import BROADCAST, Clock, guessed_seconds
from vidcolor.media.ffmpeg import MOST_PIXELS, MOST_SIDE, MOST_STREAMS, list_of_others, open_file
from vidcolor.media.fields import flagged_order
from vidcolor.media.hdr import hdr_of, scene_notes
from vidcolor.media.packets import packet_times
from vidcolor.media.pixels import bit_depth, is_full_range_by_name, is_transparent, subsampling
from vidcolor.media.views import views_of

log = logging.getLogger(__name__)

PROBED_FRAMES = 32
"""How many first frames decide whether the decoder's times can be trusted."""

_HOPELESS_PACKETS = 1000
"""Packets without a single frame after which a source counts as undecodable."""

_LEAST_TIMES = 16
"""Among fewer times a wrong one can't be told from two that are in another order."""

_STILL_CODECS = frozenset({"mjpeg", "png", "bmp", "tiff", "webp", "gif", "jpeg2000", "jpegxl"})
_TEXT_CODECS = frozenset({"ansi", "bintext", "xbin", "idf"})
_MOTION_JPEG_SUFFIXES = frozenset({".mjpeg", ".mjpg"})
"""Bare pictures behind each other, which FFmpeg takes for a single one."""
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
def open_source(path: Path, accelerator: HWAccel | None = None) -> Iterator[InputContainer]:
    """Open a source and close it whatever happens. Raises SourceError where it can't be opened."""
    _refuse_irregular(path)
    try:
        container = open_file(path, accelerator=accelerator)
    except PermissionError as error:
        raise SourceError(f"{path} can't be read; check its permissions.") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    try:
        _refuse_crowd(path, container)
        for stream in container.streams.video:
            if stream.codec_context is not None:
                # A picture may also grow in the middle of a film.
                stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
        yield container
    finally:
        container.close()


def _refuse_irregular(path: Path) -> None:
    """Raise SourceError where nothing bears the name, or no regular file does."""
    try:
        kind = irregular(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            if path.is_symlink():
                raise SourceError(
                    f"{path} is a link to a file that isn't there; give the film itself."
                ) from error
            raise SourceError(f"there is no file {path}; check the name and the folder.") from error
        raise SourceError(f"{path} can't be read: {error.strerror}.") from error
    if kind == "a folder":
        raise SourceError(f"{path} is a folder; expected a video file, so name one inside it.")
    if kind is not None:
        raise SourceError(
            f"{path} is {kind}; expected a file, as a film is read more than once, so save it as "
            "one first."
        )


def _unreadable(path: Path, error: Exception) -> SourceError:
    """What to say of a file that FFmpeg doesn't open."""
    if (told := _list_error(path)) is not None:
        return told
    words = getattr(error, "strerror", None) or str(error)
    return SourceError(
        f"{path} is not a video FFmpeg can read ({words}); check that it is a complete film."
    )


def _list_error(path: Path) -> SourceError | None:
    """What to say of a list of other files; None for any other file."""
    if (kind := list_of_others(path)) is None:
        return None
    return SourceError(
        f"{path} is {kind}: it only names other files or addresses, and those are never opened; "
        "give the film itself, downloaded first or made into one file."
    )


def _refuse_crowd(path: Path, container: InputContainer) -> None:
    if len(container.streams) >= MOST_STREAMS:
        raise SourceError(
            f"{path} says that it has {len(container.streams)} tracks and attached files or more; "
            f"fewer than {MOST_STREAMS} are taken, so its header may be damaged."
        )


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
    if container.format.name == "webp_pipe":
        raise SourceError(
            f"{path} is a WebP picture; use `vidcolor image` for it or, if it moves, make a GIF or "
            "PNG animation of it first."
        )
    moving_pictures = path.suffix.lower() in _MOTION_JPEG_SUFFIXES
    single = container.format.name.endswith("_pipe") and not moving_pictures
    if container.format.name == "image2" or single:
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
    if any(stream.codec_context is None for stream in container.streams.video) and not films:
        raise SourceError(
            f"{path} holds video of a kind that FFmpeg can't decode here; have the program it "
            "comes from write it as H.264 or FFV1."
        )
    if not films and (told := _list_error(path)) is not None:
        raise told
    if not films:
        kinds = {"still pictures" if s.type == "video" else s.type for s in container.streams}
        held = " and ".join(sorted(kinds)) if kinds else "nothing"
        raise SourceError(
            f"{path} holds no film, only {held}; expected a file with a video stream."
        )
    picture = max(films, key=_prominence)
    _refuse_size(path, picture.width, picture.height)
    return picture


def _refuse_size(path: Path, width: int, height: int) -> None:
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        raise SourceError(
            f"{path} says that its pictures are {width} x {height}; up to {MOST_SIDE} samples a "
            f"side and {MOST_PIXELS // 10**6} million in all are taken, so its header may be "
            "damaged."
        )


def words_on_films(info: VideoInfo) -> str | None:
    """A sentence for a source that holds several films, of which one is the film."""
    others = _TEXT_CODECS | {"unknown"}
    if info.codec not in _STILL_CODECS:
        others |= _STILL_CODECS
    films = [s for s in info.streams if s.kind == "video" and not s.cover and s.codec not in others]
    if len(films) < 2:
        return None
    return (
        f"{info.path} holds {len(films)} films; only stream {info.stream_index} ({info.codec}, "
        f"{info.width}x{info.height}), its main one, is coloured."
    )


def _prominence(stream: VideoStream) -> tuple[bool, int]:
    return (bool(stream.disposition & Disposition.default), stream.width * stream.height)


def _first_frames(
    container: InputContainer, stream: VideoStream, enough: int = PROBED_FRAMES
) -> list[VideoFrame]:
    """Up to `enough` frames; damaged packets are passed over."""
    stream.thread_type = "AUTO"
    frames: list[VideoFrame] = []
    packets = Clock(container, stream).packets()
    for _ in range(_HOPELESS_PACKETS):
        if (packet := next(packets, None)) is None:
            break
        try:
            frames += packet.decode()
        except (av.FFmpegError, ValueError) as error:
            log.debug("a packet of %s can't be decoded: %s", container.name, error)
        if len(frames) >= enough:
            break
    return frames[:enough]


def _describe(
    path: Path, container: InputContainer, stream: VideoStream, frames: list[VideoFrame]
) -> VideoInfo:
    first, aspect = frames[0], Fraction(stream.sample_aspect_ratio or 1)
    if (later := _later_picture(path, container, stream, first)) is not None:
        first, aspect = later
    pts = [frame.pts for frame in frames if frame.pts is not None]
    families = set(container.format.name.split(","))
    rate = _rate(stream, pts)
    # The reader fills in what is missing between times, and tells apart what is equal.
    stray = _stray(pts)
    timed = bool(pts) and (stray is not None or all(a <= b for a, b in pairwise(pts)))
    rising = timed and stray is None and len(set(pts)) == len(frames)
    told = frames if stray != 0 else frames[1:]
    start = _first_time(told, stream, rate) if timed else _first_packet_time(path, stream.index)
    if stray == 0:
        start -= max(1, round(1 / (rate * (stream.time_base or 1 / rate))))
    guessed = guessed_seconds(container, stream)
    return VideoInfo(
        path=path,
        container=container.format.name,
        stream_index=stream.index,
        codec=codec_name(stream),
        width=first.width,
        height=first.height,
        sample_aspect=aspect,
        rotation=clockwise(first),
        rate=rate,
        time_base=stream.time_base or Fraction(1) / rate,
        start_pts=start,
        duration_seconds=guessed or _duration(container, stream, start),
        frames_from_header=_frame_count(stream),
        pixel_format=first.format.name,
        bit_depth=bit_depth(first.format),
        subsampling=subsampling(first.format),
        tags=color_tags(stream, first),
        times_from="decoder" if timed else "packets",
        seekable=rising and bool(families & _SEEKABLE),
        streams=tuple(_stream_info(other) for other in container.streams),
        foreign_matrix=_foreign_matrix(stream, first),
        hdr=hdr_of(first),
        # FFmpeg's own decoder of VP8 and VP9 doesn't show the alpha that this tag promises.
        transparent=stream.metadata.get("alpha_mode") == "1" or any(map(is_transparent, frames)),
        views=views_of(first),
        views_tagged="stereo_mode" in stream.metadata,
        scene_notes=scene_notes(frames),
        captioned=any(map(captions_of, frames)),
        # FFmpeg's frame of interlaced HEVC is a single field, which has no other in it.
        flagged_interlaced=codec_name(stream) != "hevc"
        and 2 * sum(frame.interlaced_frame for frame in frames) > len(frames),
        flagged_order=flagged_order(frames),
        clock_jumps=guessed is not None,
    )


def _later_picture(
    path: Path, container: InputContainer, stream: VideoStream, first: VideoFrame
) -> tuple[VideoFrame, Fraction] | None:
    """A frame from the middle of a broadcast, and its samples' aspect, where it is unlike the
    first.

    A recording may begin with the end of what was on before, in another size or shape.
    """
    if container.format.name not in BROADCAST or not container.duration:
        return None
    aspect = stream.codec_context.sample_aspect_ratio
    with open_source(path) as fresh:
        other = fresh.streams[stream.index]
        assert isinstance(other, VideoStream)
        with suppress(av.FFmpegError):
            fresh.seek((container.start_time or 0) + container.duration // 2)
        frames = _first_frames(fresh, other, enough=1)
        shape = other.codec_context.sample_aspect_ratio
    if not frames or (_shape(frames[0]), shape) == (_shape(first), aspect):
        return None
    return frames[0], Fraction(shape or 1)


def _shape(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _first_time(frames: list[VideoFrame], stream: VideoStream, rate: Fraction) -> int:
    """Pts of the first frame; where it has none, counted back from the first that has one."""
    ahead, pts = next((n, f.pts) for n, f in enumerate(frames) if f.pts is not None)
    return pts - ahead * max(1, round(1 / (rate * (stream.time_base or 1 / rate))))


def _stray(pts: list[int]) -> int | None:
    """Which time, by its place, is wrong among many that rise but for it; None where none is, or
    more are."""
    falls = [place for place, (a, b) in enumerate(pairwise(pts)) if a > b]
    if len(falls) != 1 or len(pts) < _LEAST_TIMES:
        return None
    (place,) = falls
    for each in (place, place + 1):
        rest = pts[:each] + pts[each + 1 :]
        if all(a < b for a, b in pairwise(rest)):
            return each
    return None


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


def _rate(stream: VideoStream, pts: list[int]) -> Fraction:
    """The first believable rate among the header's guesses, else that of the first frames; 25
    where there is none."""
    for guess in (stream.guessed_rate, stream.average_rate, stream.base_rate):
        if guess and 0 < guess <= 1000:
            return Fraction(guess)
    gaps = sorted(b - a for a, b in pairwise(pts) if b > a)
    if gaps and stream.time_base:
        return 1 / (gaps[len(gaps) // 2] * stream.time_base)
    return Fraction(25)


def _duration(container: InputContainer, stream: VideoStream, start: int) -> float | None:
    """Seconds of the picture as the headers tell; where they tell of the file, from the picture's
    begin to the file's end."""
    name = container.format.name
    from_zero = name.startswith(("matroska", "nut"))
    # Where a format has no length for a stream, FFmpeg gives it the file's.
    own = not from_zero and name not in BROADCAST
    if own and stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if not container.duration:
        return None
    begin = start * (stream.time_base or Fraction(0))
    if not from_zero:
        begin -= Fraction(container.start_time or 0, av.time_base)
    return max(0.0, container.duration / av.time_base - float(begin)) or None


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
    """The stream's colour tags, guesses made for what is unspecified, and a matrix that colours
    can be made for.

    Untagged is BT.709 from 720 lines up, else BT.601; primaries and transfer follow the matrix.
    """
    context = stream.codec_context
    primaries = _first_tag(frame.color_primaries, context.color_primaries)
    matrix = _first_tag(frame.colorspace, context.colorspace)
    if matrix is None:
        matrix = _matrix_by_size(frame.height)
    elif matrix not in LUMA_WEIGHTS:
        matrix = 9 if primaries == 9 else 1
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


def _foreign_matrix(stream: VideoStream, frame: VideoFrame) -> int | None:
    matrix = _first_tag(frame.colorspace, stream.codec_context.colorspace)
    rgb = subsampling(frame.format) == "rgb"
    return None if rgb or matrix in LUMA_WEIGHTS else matrix


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
