"""What surrounds a picture's samples: profile, EXIF, XMP, IPTC, resolution; and EXIF itself.

    metadata = Metadata(icc=profile, exif=without_thumbnail(block), dpi=(300, 300))
    orientation(metadata.exif)            # 1 to 8
    exif = Directory.read(tiff_file).picked(DESCRIBING).block()

An EXIF block is a small TIFF file: one reader and one writer of directories serve both. Values stay
the bytes they were; nothing is interpreted, so nothing is lost. Sources: TIFF 6.0, Exif 2.32.

    block:  II * 8 | entries of directory 0 | next | values | Exif directory | GPS directory
                                               `-- the thumbnail's directory, in a camera's file
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

Image = TypeVar("Image", bound=NDArray[Any])

ORIENTATION = 274
EXIF_DIRECTORY, GPS_DIRECTORY, INTEROP_DIRECTORY = 34665, 34853, 40965
DIRECTORIES = (EXIF_DIRECTORY, GPS_DIRECTORY, INTEROP_DIRECTORY)
"""Tags whose value is the place of another directory."""

DESCRIBING = frozenset(
    (
        *(269, 270, 271, 272, ORIENTATION, 285, 305, 306, 315, 316, 33432),
        *(18246, 18249, 40091, 40092, 40093, 40094, 40095),
        EXIF_DIRECTORY,
        GPS_DIRECTORY,
    )
)
"""Tags of a TIFF file's directory that describe the picture, not how its samples lie in the file:
title, maker, date, author, copyright, rating and the like."""

_STEPS = {
    **{1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1)},
    **{5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)},
}
"""The way down and right through the samples by orientation; from 5 on rows and columns are
exchanged first."""

MOST_ENTRIES = 4096
"""More entries than any real directory has: a damaged count."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_BIG_SIZES = _SIZES | {16: 8, 17: 8, 18: 8}
"""Bytes of one value by the type's code."""

_SHORT, _LONG = 3, 4

Data = bytes | memoryview | mmap.mmap


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a file says about its picture, in the form that every format here can carry."""

    icc: bytes | None = None
    """The ICC profile."""

    exif: bytes | None = None
    """The EXIF block, from its byte order mark on, without a thumbnail."""

    xmp: bytes | None = None
    iptc: bytes | None = None
    """Photoshop's resource blocks, which hold IPTC captions; JPEG and TIFF carry them."""

    iim: bytes | None = None
    """IPTC captions as a TIFF tag of their own; TIFF carries them."""

    dpi: tuple[float, float] | None = None
    """Samples per inch, across and down."""

    comment: bytes | None = None
    """JPEG's own comment."""

    chunks: tuple[tuple[bytes, bytes], ...] = ()
    """(name, content) of a PNG's texts, date and the like; PNG carries them."""


@dataclass(frozen=True)
class Entry:
    """One entry of a directory."""

    kind: int
    """The type's code: 2 is text, 3 a short, 4 a long, 7 bytes."""

    count: int
    value: bytes
    """Packed, in the directory's byte order."""


@dataclass
class Directory:
    """A TIFF directory with those its entries lead to."""

    order: Literal["<", ">"]
    """The byte order of every value."""

    entries: dict[int, Entry] = field(default_factory=dict)
    """By tag, without the pointers to `below`."""

    below: dict[int, Directory] = field(default_factory=dict)

    @classmethod
    def read(cls, data: Data) -> Directory:
        """The first directory of a TIFF file or of an EXIF block without its `Exif\\0\\0`.

        Entries that can't be read are left out. Raises ValueError where it is none.
        """
        order, big, first = _header(data)
        return _read_directory(data, order, first, big=big)

    def picked(self, tags: frozenset[int]) -> Directory:
        """Only these tags of this directory, and all of what they lead to."""
        return Directory(
            self.order,
            {tag: entry for tag, entry in self.entries.items() if tag in tags},
            {tag: below for tag, below in self.below.items() if tag in tags},
        )

    def number(self, tag: int) -> int | None:
        """The first value of a tag of shorts or longs."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in (_SHORT, _LONG) or entry.count < 1:
            return None
        form = "H" if entry.kind == _SHORT else "I"
        return int(struct.unpack_from(self.order + form, entry.value)[0])

    def block(self) -> bytes:
        """As an EXIF block, without the `Exif\\0\\0` that a JPEG puts before it."""
        mark = b"II" if self.order == "<" else b"MM"
        return mark + struct.pack(self.order + "HI", 42, 8) + self.packed(8)

    def packed(self, offset: int) -> bytes:
        """The directory, its values and those below, as they stand at `offset` (even) of a file."""
        tags = sorted((*self.entries, *self.below))
        behind = offset + 2 + 12 * len(tags) + 4
        table, values = struct.pack(self.order + "H", len(tags)), b""
        for tag in tags:
            entry = self.entries.get(tag) or Entry(_LONG, 1, b"")
            value = entry.value
            if tag in self.below:
                place = behind + len(values)
                values += self.below[tag].packed(place)
                value = struct.pack(self.order + "I", place)
            elif len(value) > 4:
                place = behind + len(values)
                values += value + b"\0" * (len(value) % 2)
                value = struct.pack(self.order + "I", place)
            table += struct.pack(self.order + "HHI", tag, entry.kind, entry.count) + value.ljust(
                4, b"\0"
            )
        return table + struct.pack(self.order + "I", 0) + values


def orientation(exif: bytes | None) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none, or nonsense."""
    try:
        number = Directory.read(exif).number(ORIENTATION) if exif else None
    except ValueError:
        return 1
    return number if number is not None and 1 <= number <= 8 else 1


def upright(image: Image, orientation: int) -> Image:
    """Stored samples (h, w[, c]) as the EXIF orientation has them shown; contiguous."""
    down, right = _STEPS[orientation]
    turned: Any = image.swapaxes(0, 1) if orientation >= 5 else image
    return cast(Image, np.ascontiguousarray(turned[::down, ::right]))


def stored(image: Image, orientation: int) -> Image:
    """The way back from `upright`; contiguous."""
    down, right = _STEPS[orientation]
    turned: Any = image[::down, ::right]
    return cast(Image, np.ascontiguousarray(turned.swapaxes(0, 1) if orientation >= 5 else turned))


def stored_place(row: int, column: int, size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Row and column in the stored samples of a place in the upright (height, width)."""
    down, right = _STEPS[orientation]
    row = row if down == 1 else size[0] - 1 - row
    column = column if right == 1 else size[1] - 1 - column
    return (column, row) if orientation >= 5 else (row, column)


def without_thumbnail(exif: bytes) -> bytes:
    """The block without the way to its thumbnail, which still shows the picture without colour.

    Nothing else changes, not even a byte's place: makers' notes hold places.
    """
    try:
        order, big, first = _header(exif)
        (count,) = struct.unpack_from(order + "H", exif, first)
        after = first + 2 + 12 * count
        struct.unpack_from(order + "I", exif, after)
    except (ValueError, struct.error):
        return exif
    return exif if big else exif[:after] + bytes(4) + exif[after + 4 :]


def _header(data: Data) -> tuple[Literal["<", ">"], bool, int]:
    """Byte order, whether it is a BigTIFF, and the place of the first directory."""
    order: Literal["<", ">"] = "<" if bytes(data[:2]) == b"II" else ">"
    try:
        version, first = struct.unpack_from(order + "HI", data, 2)
        if version == 43:
            (first,) = struct.unpack_from(order + "Q", data, 8)
    except struct.error as error:
        raise ValueError("too short for a TIFF header") from error
    if bytes(data[:2]) not in (b"II", b"MM") or version not in (42, 43):
        raise ValueError("no TIFF header")
    return order, version == 43, int(first)


def _read_directory(
    data: Data, order: Literal["<", ">"], place: int, *, big: bool, depth: int = 0
) -> Directory:
    head, row, inline = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    directory = Directory(order)
    try:
        (count,) = struct.unpack_from(order + head, data, place)
    # A damaged place may be larger than any address.
    except (struct.error, OverflowError) as error:
        raise ValueError("a directory lies outside the data") from error
    if count > MOST_ENTRIES:
        raise ValueError(f"a directory of {count} entries")
    place += struct.calcsize(order + head)
    step = struct.calcsize(order + row) + inline
    for at in range(place, min(place + count * step, len(data) - step + 1), step):
        tag, kind, number = struct.unpack_from(order + row, data, at)
        size = _BIG_SIZES.get(kind, 0) * number
        start = at + step - inline
        if size > inline:
            (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, start)
        if size == 0 or start + size > len(data):
            continue
        entry = Entry(kind, number, bytes(data[start : start + size]))
        if tag in DIRECTORIES and depth < 2:
            pointer = int.from_bytes(entry.value, "little" if order == "<" else "big")
            try:
                below = _read_directory(data, order, pointer, big=big, depth=depth + 1)
            except ValueError:
                continue
            directory.below[tag] = below
        elif kind in _SIZES:
            directory.entries[tag] = entry
    return directory
