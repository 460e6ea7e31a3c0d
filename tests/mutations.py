"""Files made wrong on purpose, the same ones every time: sizes that lie, parts twice or missing.

    mutated(film_bytes, random.Random("film.mkv 17"))

A file's parts are found by its kind (boxes, elements, chunks, segments, packets, entries), so that
most of what a parser reads first stays right and one thing in it is absurd. PNG's sums are made
right again, or no reader would look further.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

EXTREMES = (0, 1, 2, 3, 255, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE)


@dataclass(frozen=True)
class Part:
    """A piece of a file that says how long it is."""

    start: int
    inside: int
    """Where its head ends."""

    end: int


def mutated(data: bytes, chance: Random) -> bytes:
    """`data` with one to three things wrong."""
    png = data.startswith(_PNG)
    if data.startswith(b"{") and chance.random() < 0.8:
        return _wrong_json(data, chance)
    for _ in range(chance.choice((1, 1, 2, 3))):
        parts = list(parts_of(data))
        ways = _ANYWHERE if not parts or chance.random() < 0.25 else _IN_PARTS
        data = chance.choice(ways)(data, parts, chance)
    return _with_sums(data) if png and chance.random() < 0.9 else data


def parts_of(data: bytes) -> Iterator[Part]:
    """The parts of a file of a known kind; none of another."""
    for begins, finder in _FINDERS:
        if begins(data):
            yield from finder(data, 0, len(data))
            return


# What can be wrong


def _flip(data: bytes, parts: list[Part], chance: Random) -> bytes:
    raw = bytearray(data)
    reach = len(raw) if chance.random() < 0.5 else min(len(raw), 1024)
    for _ in range(chance.choice((1, 2, 8))):
        if raw:
            raw[chance.randrange(reach)] ^= chance.randrange(1, 256)
    return bytes(raw)


def _extreme(data: bytes, parts: list[Part], chance: Random) -> bytes:
    return _written(data, chance.randrange(max(1, len(data))), chance)


def _cut(data: bytes, parts: list[Part], chance: Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _splice(data: bytes, parts: list[Part], chance: Random) -> bytes:
    source, place = (chance.randrange(max(1, len(data))) for _ in range(2))
    length = chance.choice((4, 64, 500))
    return data[:place] + data[source : source + length] + data[place + length :]


def _insert(data: bytes, parts: list[Part], chance: Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.randbytes(chance.choice((1, 4, 200))) + data[place:]


def _wrong_head(data: bytes, parts: list[Part], chance: Random) -> bytes:
    part = chance.choice(parts)
    return _written(data, chance.randrange(part.start, max(part.inside, part.start + 1)), chance)


def _wrong_field(data: bytes, parts: list[Part], chance: Random) -> bytes:
    part = chance.choice(parts)
    return _written(data, chance.randrange(part.start, max(part.end, part.start + 1)), chance)


def _twice(data: bytes, parts: list[Part], chance: Random) -> bytes:
    part = chance.choice(parts)
    times = chance.choice((1, 2, 50))
    piece = data[part.start : part.end]
    return data[: part.end] + piece * (times if len(piece) < 10_000 else 1) + data[part.end :]


def _missing(data: bytes, parts: list[Part], chance: Random) -> bytes:
    part = chance.choice(parts)
    return data[: part.start] + data[part.end :]


def _exchanged(data: bytes, parts: list[Part], chance: Random) -> bytes:
    one, other = chance.choice(parts), chance.choice(parts)
    return data[: one.start] + data[other.start : other.end] + data[one.end :]


def _emptied(data: bytes, parts: list[Part], chance: Random) -> bytes:
    part = chance.choice(parts)
    return data[: part.inside] + bytes(part.end - part.inside) + data[part.end :]


_ANYWHERE = (_flip, _flip, _extreme, _cut, _splice, _insert)
_IN_PARTS = (
    *(_wrong_head, _wrong_head, _wrong_field, _wrong_field),
    *(_twice, _missing, _exchanged, _emptied),
)


def _written(data: bytes, place: int, chance: Random) -> bytes:
    """`data` with an extreme number of some length at `place`."""
    length, order = chance.choice((1, 2, 4, 4, 8)), chance.choice("<>")
    value = chance.choice((*EXTREMES, chance.getrandbits(32)))
    if length == 8 and chance.random() < 0.5:
        value |= value << 32
    code = {1: "B", 2: "H", 4: "I", 8: "Q"}[length]
    number = struct.pack(order + code, value & ((1 << 8 * length) - 1))
    return data[:place] + number + data[place + length :]


_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    1e308,
    "",
    "x" * 300,
    "../../evil",
    "\x00",
    [],
    {},
    [[]],
    {"a": 1},
)


def _wrong_json(data: bytes, chance: Random) -> bytes:
    """JSON in which one value is another, or is missing."""
    whole = json.loads(data)
    places = list(_places(whole))
    inside, key = chance.choice(places)
    if chance.random() < 0.2:
        del inside[key]
    else:
        inside[key] = chance.choice(_VALUES)
    return json.dumps(whole).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every list and table in a JSON value, with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


# Where parts are

_PNG = b"\x89PNG\r\n\x1a\n"
_HOLDING_BOXES = b"moov trak mdia minf stbl edts udta dinf moof traf mvex ilst".split()
_HOLDING_CHUNKS = (b"RIFF", b"LIST")
_HOLDING_ELEMENTS = {
    *(0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0xE1, 0x114D9B74, 0x1549A966, 0x1C53BB6B, 0xBB, 0xB7),
    *(0x1F43B675, 0xA0, 0x1941A469, 0x61A7, 0x1043A770, 0x45B9, 0xB6, 0x1254C367, 0x7373, 0x6D80),
}


def _boxes(data: bytes, start: int, end: int) -> Iterator[Part]:
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        stop = start + size
        if size < 8 or stop > end:
            return
        yield Part(start, start + 8, stop)
        if kind in _HOLDING_BOXES:
            yield from _boxes(data, start + 8, stop)
        start = stop


def _chunks(data: bytes, start: int, end: int) -> Iterator[Part]:
    while start + 8 <= end:
        kind, size = struct.unpack_from("<4sI", data, start)
        stop = min(start + 8 + size, end)
        yield Part(start, start + 8, stop)
        if kind in _HOLDING_CHUNKS:
            yield from _chunks(data, start + 12, stop)
        start = stop + size % 2


def _elements(data: bytes, start: int, end: int) -> Iterator[Part]:
    while start < end and data[start]:
        name_length = 9 - data[start].bit_length()
        at = start + name_length
        if at >= end or not data[at]:
            return
        size_length = 9 - data[at].bit_length()
        inside = at + size_length
        size = int.from_bytes(data[at:inside]) & ((1 << 7 * size_length) - 1)
        stop = end if size == (1 << 7 * size_length) - 1 else min(inside + size, end)
        yield Part(start, inside, stop)
        if int.from_bytes(data[start:at]) in _HOLDING_ELEMENTS:
            yield from _elements(data, inside, stop)
        start = stop


def _png_chunks(data: bytes, start: int, end: int) -> Iterator[Part]:
    start = len(_PNG)
    while start + 12 <= end:
        (size,) = struct.unpack_from(">I", data, start)
        stop = start + 12 + size
        if stop > end:
            return
        yield Part(start, start + 8, stop)
        start = stop


def _jpeg_segments(data: bytes, start: int, end: int) -> Iterator[Part]:
    start = 2
    while start + 4 <= end and data[start] == 0xFF:
        (size,) = struct.unpack_from(">H", data, start + 2)
        yield Part(start, start + 4, min(start + 2 + size, end))
        start += 2 + size


def _tiff_entries(data: bytes, start: int, end: int) -> Iterator[Part]:
    order = "<" if data[:1] == b"I" else ">"
    (place,) = struct.unpack_from(order + "I", data, 4)
    if place + 2 <= end:
        (count,) = struct.unpack_from(order + "H", data, place)
        for at in range(place + 2, min(place + 2 + 12 * count, end - 12), 12):
            yield Part(at, at + 8, at + 12)


def _packets(data: bytes, start: int, end: int) -> Iterator[Part]:
    yield from (Part(at, at + 4, at + 188) for at in range(0, end - 187, 188))


_FINDERS: tuple[
    tuple[Callable[[bytes], bool], Callable[[bytes, int, int], Iterator[Part]]], ...
] = (
    (lambda data: data[4:8] == b"ftyp", _boxes),
    (lambda data: data.startswith(b"RIFF"), _chunks),
    (lambda data: data.startswith(b"\x1a\x45\xdf\xa3"), _elements),
    (lambda data: data.startswith(_PNG), _png_chunks),
    (lambda data: data.startswith(b"\xff\xd8"), _jpeg_segments),
    (lambda data: data[:4] in (b"II*\0", b"MM\0*") and len(data) > 8, _tiff_entries),
    (lambda data: data[:1] == b"G" and data[188:189] == b"G", _packets),
)


def _with_sums(data: bytes) -> bytes:
    """A PNG whose chunks have the sums of what they hold now."""
    raw = bytearray(data)
    for part in _png_chunks(data, 0, len(data)):
        raw[part.end - 4 : part.end] = struct.pack(
            ">I", zlib.crc32(raw[part.start + 4 : part.end - 4])
        )
    return bytes(raw)
