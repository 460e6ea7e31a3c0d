"""Parts of films that no encoder at hand writes, byte by byte.

Path("subtitles.sup").write_bytes(picture_subtitles(((0.2, 0.6), (0.9, 1.3))))
Path("captioned.m2v").write_bytes(with_captions(Path("film.m2v").read_bytes()))
write_packed(Path("film.m4v"), Path("packed.avi"))
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av

_CLOCK = 90_000
_WIDTH, _HEIGHT = 160, 120
_LEFT, _TOP, _WIDE, _HIGH = 40, 96, 80, 16


def picture_subtitles(lines: Iterable[tuple[float, float]]) -> bytes:
    """Subtitles as pictures, as Blu-ray has them: white boxes, each from and to a time in seconds.

    Segments as in US patent 2009/0185789, which FFmpeg's reader of `.sup` follows.
    """
    out = b""
    window = struct.pack(">BBHHHH", 1, 0, _LEFT, _TOP, _WIDE, _HIGH)
    palette = bytes((0, 0, *(1, 235, 128, 128, 255)))
    row = bytes((0, 0x80 | 63, 1, 0, 0x80 | _WIDE - 63, 1, 0, 0))
    drawing = struct.pack(">HH", _WIDE, _HIGH) + row * _HIGH
    shape = struct.pack(">HBB", 0, 0, 0xC0) + len(drawing).to_bytes(3, "big") + drawing
    for number, (start, end) in enumerate(lines):
        placed = struct.pack(">HBBHH", 0, 0, 0, _LEFT, _TOP)
        parts = (
            (0x16, _composition(2 * number, 0x80, 1) + placed),
            (0x17, window),
            (0x14, palette),
            (0x15, shape),
            (0x80, b""),
        )
        out += b"".join(_segment(start, kind, body) for kind, body in parts)
        gone = ((0x16, _composition(2 * number + 1, 0, 0)), (0x17, window), (0x80, b""))
        out += b"".join(_segment(end, kind, body) for kind, body in gone)
    return out


def _composition(number: int, state: int, objects: int) -> bytes:
    return struct.pack(">HHBHBBBB", _WIDTH, _HEIGHT, 0x10, number, state, 0, 0, objects)


def _segment(seconds: float, kind: int, body: bytes) -> bytes:
    return b"PG" + struct.pack(">IIBH", round(seconds * _CLOCK), 0, kind, len(body)) + body


_FIRST_SLICE = b"\0\0\1\1"
_USER_DATA = b"\0\0\1\xb2"


def with_captions(mpeg2: bytes) -> bytes:
    """An MPEG-2 stream with closed captions at every picture, two letters and other ones each
    (ATSC A/53 part 4)."""
    start, *pictures = mpeg2.split(_FIRST_SLICE)
    for number, picture in enumerate(pictures):
        letters = (_LETTERS[number % len(_LETTERS)], _LETTERS[number // len(_LETTERS)])
        caption = _USER_DATA + b"GA94\x03" + bytes((0x41, 0xFF, 0xFC, *letters, 0xFF))
        start += caption + _FIRST_SLICE + picture
    return start


_LETTERS = [code if code.bit_count() % 2 else code | 0x80 for code in range(0x41, 0x5B)]
"""A to Z, each with the bit that makes its number of ones odd."""


_VOP = b"\0\0\1\xb6"
_EMPTY_VOP = _VOP + bytes((0b01_0_1_0000, 0b0_1_0_01111))
"""A P picture whose only word is that it isn't coded; its time has the five bits of 25 a second."""


def write_packed(stream: Path, output: Path) -> None:
    """A raw MPEG-4 stream of 25 frames a second as DivX 5 put them into AVI."""
    with av.open(str(stream)) as source, av.open(str(output), "w") as out:
        video = out.add_stream_from_template(source.streams.video[0])
        for number, data in enumerate(packed(stream.read_bytes())):
            packet = av.Packet(data)
            packet.stream, packet.time_base = video, Fraction(1, 25)
            packet.pts = packet.dts = number
            packet.is_keyframe = number == 0
            out.mux(packet)


def packed(mpeg4: bytes) -> Iterator[bytes]:
    """Packets of a raw MPEG-4 stream: a picture shares one with the B picture that is shown before
    it, and an empty one follows, so that there are as many packets as pictures."""
    pictures = list(pictures_of(mpeg4))
    place = pictures[0].index(_VOP)
    mark = _USER_DATA + b"DivX503b1393p"
    pictures[0] = pictures[0][:place] + mark + pictures[0][place:]
    for picture, after in zip(pictures, [*pictures[1:], b""], strict=True):
        if is_b(picture):
            yield _EMPTY_VOP
        else:
            yield picture + after if is_b(after) else picture


def pictures_of(mpeg4: bytes) -> Iterator[bytes]:
    """The pictures of a raw stream, each with the headers before it."""
    headers = b""
    for part in re.split(b"(?=\0\0\1)", mpeg4):
        headers += part
        if part.startswith(_VOP):
            yield headers
            headers = b""


def is_b(picture: bytes) -> bool:
    """Whether a picture of MPEG-4 is of the kind that others are shown after."""
    place = picture.find(_VOP)
    return place >= 0 and picture[place + 4] >> 6 == 2
