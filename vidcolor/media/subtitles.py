"""Text subtitles turned into the kind another container holds.

    with converted(Path("film.mkv"), [2, 3], "mov_text", beside=Path("film.color.mp4")) as tracks:
        tracks[2]  # an av stream of mov_text, its times those of the source

PyAV can't do this; the ffmpeg program can.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import ffmpeg
from av.container.input import InputContainer
from av.packet import Packet
from av.stream import Stream

from vidcolor.errors import OutputError
from vidcolor.frames import VideoInfo
from vidcolor.media.ffmpeg import find_ffmpeg, open_file, plain_name, reading_options
from vidcolor.media.mp4 import subtitle_sizes
from vidcolor.media.probe import codec_name

TEXT_CODECS = frozenset(
    {"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text", "microdvd", "sami", "subviewer"}
)
"""Subtitles that are words, which can be turned into each other; the rest are pictures."""


_PALETTE = re.compile(rb"palette:((?:\s*[0-9a-fA-F]{6},?){16})")
_SIZE = re.compile(rb"size:\s*(\d+)x(\d+)")


class ConversionError(OutputError):
    """Subtitles can't be turned into what the output holds; the film can do without them."""


@contextmanager
def converted(
    source: Path, indexes: Sequence[int], codec: str, beside: Path
) -> Iterator[dict[int, Stream]]:
    """The subtitle streams `indexes` of `source` as `codec`, in a temporary file beside `beside`.

    Raises ConversionError when ffmpeg is missing or fails.
    """
    if not indexes:
        yield {}
        return
    # MP4 is the only home of mov_text, and Matroska takes the others with exact times.
    suffix = ".mp4" if codec == "mov_text" else ".mkv"
    # A job knows by the name that a killed run left it.
    prefix = f"{beside.name}.subtitles-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=beside.parent) as folder:
        target = Path(folder) / f"subtitles{suffix}"
        _run_ffmpeg(source, indexes, codec, target)
        with _opened(target, source) as container:
            found = container.streams.subtitles
            if len(found) != len(indexes):
                raise ConversionError(
                    f"ffmpeg turned {len(found)} of {len(indexes)} subtitle tracks of {source}."
                )
            yield dict(zip(indexes, found, strict=True))


@contextmanager
def converted_line(
    source: Path, indexes: Sequence[int], codec: str, beside: Path
) -> Iterator[dict[int, Stream]]:
    """As `converted`, with one made-up line for all tracks: whether it can be done is found out at
    once, without reading the film. Raises ConversionError."""
    if not indexes:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix=".subtitles-", dir=beside.parent) as folder:
        line = Path(folder) / "line.srt"
        line.write_text("1\n00:00:00,000 --> 00:00:01,000\nA line.\n", encoding="ascii")
        with converted(line, [0], codec, beside) as found:
            yield dict.fromkeys(indexes, found[0])


@contextmanager
def _opened(target: Path, source: Path) -> Iterator[InputContainer]:
    try:
        container = open_file(target)
    except (av.FFmpegError, OSError) as error:
        # Of tracks without a single line ffmpeg writes nothing at all.
        raise ConversionError(f"the subtitle tracks of {source} hold no line.") from error
    with container:
        yield container


def missing_ffmpeg() -> str | None:
    """A sentence for when there is no ffmpeg to turn subtitles with."""
    try:
        find_ffmpeg()
    except OutputError as error:
        return f"the subtitles are left out: {error}"
    return None


def _run_ffmpeg(source: Path, indexes: Sequence[int], codec: str, target: Path) -> None:
    film = ffmpeg.input(plain_name(source), **reading_options())
    command = ffmpeg.output(
        *(film[str(index)] for index in indexes),
        plain_name(target),
        # Without copyts the first line would move to zero.
        **{"c:s": codec, "copyts": None, "map_chapters": "-1"},
    ).global_args("-nostdin", "-loglevel", "error")
    try:
        command.run(cmd=str(find_ffmpeg()), capture_stdout=True, capture_stderr=True)
    except OutputError as error:
        raise ConversionError(str(error)) from error
    except ffmpeg.Error as error:
        words = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        raise ConversionError(
            f"ffmpeg can't turn the subtitles of {source} into {codec}: "
            f"{words[-1] if words else 'it said nothing'}."
        ) from error


def mp4_palette(header: bytes | None) -> bytes | None:
    """The palette of a DVD's subtitles as MP4 keeps it, from the text that is their header.

    Each colour is a zero byte, Y, Cr and Cb. FFmpeg's muxer should do this and puts the text there.
    """
    found = _PALETTE.search(header or b"")
    if found is None:
        return header
    palette = b""
    for color in re.findall(rb"[0-9a-fA-F]{6}", found[1]):
        red, green, blue = bytes.fromhex(color.decode())
        y = 16 + (65.738 * red + 129.057 * green + 25.064 * blue) / 256
        cr = 128 + (112.439 * red - 94.154 * green - 18.285 * blue) / 256
        cb = 128 + (-37.945 * red - 74.494 * green + 112.439 * blue) / 256
        palette += bytes((0, round(y), round(cr), round(cb)))
    return palette


def dvd_sizes(path: Path, streams: Iterable[Stream]) -> list[tuple[int, int] | None]:
    """For each DVD's subtitle track among the `streams` of the film at `path`, the size of the
    picture it is made for, in pixels; None where nothing says so."""
    all_sizes: dict[int, tuple[int, int] | None] = {}
    boxes = iter(subtitle_sizes(path))
    wanted = [stream for stream in streams if codec_name(stream) == "dvd_subtitle"]
    for stream in wanted[0].container.streams.subtitles if wanted else ():
        if codec_name(stream) == "dvd_subtitle":
            told = _SIZE.search(stream.codec_context.extradata or b"")
            boxed = next(boxes, None)
            all_sizes[stream.index] = (int(told[1]), int(told[2])) if told else boxed
    return [all_sizes[stream.index] for stream in wanted]


def without_lines(
    packets: Iterable[Packet[Any]],
    indexes: Collection[int],
    span: tuple[Fraction, Fraction | None],
    overlaps: Counter[int],
) -> Iterator[Packet[Any]]:
    """`packets` without the lines of the streams in `indexes`, of which is counted, by stream, how
    many end after the next has begun, within `span` in seconds: MP4 shows one at a time."""
    ends: dict[int, int] = {}
    for packet in packets:
        index = packet.stream_index
        if index not in indexes:
            yield packet
        elif packet.size and packet.pts is not None:
            seconds = packet.pts * packet.time_base
            if span[0] <= seconds and (span[1] is None or seconds < span[1]):
                overlaps[index] += packet.pts < ends.get(index, packet.pts)
            ends[index] = packet.pts + (packet.duration or 0)


def shortened_lines(info: VideoInfo, overlaps: Counter[int]) -> Iterator[str]:
    """A sentence for each subtitle track with lines that overlap, by their number."""
    for index, count in sorted(overlaps.items()):
        stream = next(each for each in info.streams if each.index == index)
        lines = f"{count} lines end" if count > 1 else "a line ends"
        if count:
            yield (
                f"subtitle track {index} ({stream.codec}): {lines} when the next begins, for MP4 "
                "shows one at a time."
            )
