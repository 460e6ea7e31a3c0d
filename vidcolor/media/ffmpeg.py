"""How FFmpeg is let near a file: by a plain name, and with nothing but that file to open.

    with open_file(Path("film.mp4")) as container: ...
    plain_name(Path("concat:1.mkv"))  # '/films/concat:1.mkv'
    find_ffmpeg()  # PosixPath('/usr/bin/ffmpeg'), for what PyAV can't do

A media file is a stranger's. Some kinds are lists of other files or of addresses, which FFmpeg
would go and open whatever the list's own name is; some names are patterns or commands to it. So
only kinds are read that hold all they are about, and only from plain files.
"""

from __future__ import annotations

import os
import shutil
import warnings
from functools import cache
from pathlib import Path
from typing import BinaryIO

import av
from av.codec.hwaccel import HWAccel
from av.container.input import InputContainer
from av.format import ContainerFormat

from vidcolor.errors import OutputError

RAW_TAGS = "surrogateescape"
"""How PyAV shall take tags that aren't UTF-8, as in many old files: their bytes go through."""

MOST_STREAMS = 1000
"""Tracks and attached files of a film: FFmpeg's own limit, which no real film comes near."""

MOST_SIDE, MOST_PIXELS = 16384, 2**27
"""Of a picture, samples: what x264 takes, and 16K (15360 x 8640). A larger one is a damaged or a
malicious header: a frame of it would be half a gigabyte, and many are in memory at a time."""

NO_FILE = 0x1
"""AVFMT_NOFILE, FFmpeg's flag of kinds that open by themselves what they read or write."""

_REFERRING = frozenset({"concat", "dash", "hls", "imf", "sdp", "vobsub", "webm_dash_manifest"})
"""Kinds that name other files or addresses; besides them there are those that open what they read
by themselves, as FFmpeg's flag says of devices, image sequences, scripts and network streams."""

_LISTS = {
    b"#EXTM3U": "a playlist (M3U, HLS)",
    b"ffconcat": "a playlist (ffconcat)",
    b"[playlist]": "a playlist (PLS)",
    b"[Reference]": "a playlist (ASX)",
    b"<asx": "a playlist (ASX)",
    b"<ASX": "a playlist (ASX)",
    b"<smil": "a playlist (SMIL)",
    b"<MPD": "a playlist (DASH)",
    b"v=0": "the description of a network stream (SDP)",
    b"# VobSub index": "the index of a DVD's subtitles",
}
"""How lists of other files or addresses begin."""

_HEAD_BYTES = 4096

_PICTURES = frozenset({".jpg", ".jpeg"})
"""Such a file is one picture, whatever lies behind it."""


def open_file(
    path: Path, *, format: str | None = None, accelerator: HWAccel | None = None
) -> InputContainer:
    """Open an untrusted file, and nothing that it or its name refers to.

    `format` is FFmpeg's name of the only kind it may be; `accelerator` is what decodes its films
    instead of the processor. Raises what PyAV raises.
    """
    try:
        return _opened(plain_name(path), format, accelerator)
    except av.ArgumentError:
        # What FFmpeg says of a kind that isn't allowed. A name like `a%03d.png` is a pattern of
        # many files to it; then the content alone tells the kind.
        with path.open("rb") as file:
            content = None if format else _kind_of(file)
        if content is None:
            raise
        if content == "mjpeg" and path.suffix.lower() in _PICTURES:
            content = "jpeg_pipe"
    return _opened(plain_name(path), content, accelerator)


def _opened(name: str, format: str | None, accelerator: HWAccel | None) -> InputContainer:
    return av.open(
        name,
        "r",
        format=format,
        options={"max_pixels": str(MOST_PIXELS)},
        container_options=reading_options(),
        metadata_errors=RAW_TAGS,
        hwaccel=accelerator,
    )


def reading_options() -> dict[str, str]:
    """The options with which FFmpeg, as a library or a program, opens nothing but one file."""
    return {
        "protocol_whitelist": "file",
        "format_whitelist": _allowed(),
        "max_streams": str(MOST_STREAMS),
    }


@cache
def _allowed() -> str:
    """FFmpeg's names of all kinds of file that hold what they are about, with commas."""
    names = []
    for name in sorted(av.formats_available):
        try:
            opens_itself = ContainerFormat(name, "r").flags & NO_FILE
        except ValueError:
            continue  # written only
        if not opens_itself and _REFERRING.isdisjoint(name.split(",")):
            names.append(name)
    return ",".join(names)


class _Nameless:
    """A file that tells FFmpeg no name to draw conclusions from."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _kind_of(file: BinaryIO) -> str | None:
    """FFmpeg's name of a file's kind by its content; None where that isn't allowed or known."""
    try:
        with av.open(_Nameless(file), "r", container_options=reading_options()) as container:
            return container.format.name.split(",")[0]
    except (av.FFmpegError, OSError, ValueError):
        return None


def list_of_others(path: Path) -> str | None:
    """What a file is called that only names other files or addresses; None for any other."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError:
        return None
    begins = (name for start, name in _LISTS.items() if head.startswith(start))
    inside = (name for start, name in _LISTS.items() if start[:1] == b"<" and start in head)
    return next(begins, None) or (next(inside, None) if head.startswith(b"<") else None)


def find_ffmpeg() -> Path:
    """The ffmpeg to run: $VIDCOLOR_FFMPEG, else the one on PATH, else imageio-ffmpeg's own.

    Raises OutputError when the variable names no program, or there is none at all.
    """
    given = os.environ.get("VIDCOLOR_FFMPEG")
    if given:
        found = shutil.which(given)
        if found is None:
            raise OutputError(
                f"VIDCOLOR_FFMPEG is {given!r}, which is no program; "
                "set it to the path of ffmpeg or unset it."
            )
        return Path(found)
    on_path = shutil.which("ffmpeg")
    return Path(on_path) if on_path else _bundled()


def plain_name(path: Path) -> str:
    """A file's name as FFmpeg can't take it for anything else.

    Without the folders before it `concat:1.mkv` is a protocol, and `-film.mkv` an option.
    """
    return str(path.absolute())


def _bundled() -> Path:
    try:
        import imageio_ffmpeg

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Path(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError, OSError) as error:
        raise OutputError(
            "there is no ffmpeg on PATH and none comes with imageio-ffmpeg; "
            "install ffmpeg or set VIDCOLOR_FFMPEG to its path."
        ) from error
