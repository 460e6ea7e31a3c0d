"""What PyAV doesn't tell of an MP4 or QuickTime file, or can't: its boxes, read and amended.

    names_any_tag(Path("film.mov"))             # True: its tags are `mdta`, under names of any kind
    subtitle_sizes(Path("film.mp4"))            # [(720, 576)] of its tracks of pictures
    set_subtitle_sizes(Path("out.mp4"), [(720, 576)])

A box is its size in four bytes, its kind in four, and what it holds, often other boxes (ISO/IEC
14496-12).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_FIXED = 1 << 16
"""One, as these files write numbers with a fraction of 16 bits."""

_HANDLER_PLACE = 8
"""Bytes of a handler's box before what it handles."""


@dataclass(frozen=True)
class _Box:
    kind: bytes
    start: int
    end: int
    """Half-open, of what it holds."""


def names_any_tag(path: Path) -> bool:
    """Whether a file keeps its own tags under names of any kind, not iTunes' fixed ones."""
    with path.open("rb") as file:
        for meta in [*_found(file, b"moov", b"meta"), *_found(file, b"moov", b"udta", b"meta")]:
            # QuickTime's has no version before its boxes.
            file.seek(meta.start + 4)
            shift = 0 if file.read(4) == b"hdlr" else 4
            for box in _boxes(file, meta.start + shift, meta.end):
                if box.kind == b"hdlr" and _handled(file, box) == b"mdta":
                    return True
    return False


def subtitle_sizes(path: Path) -> list[tuple[int, int]]:
    """Width and height of each track of subtitles that are pictures, in the file's order."""
    with path.open("rb") as file:
        sizes = []
        for place in _size_places(file):
            file.seek(place)
            width, height = struct.unpack(">II", file.read(8))
            sizes.append((width // _FIXED, height // _FIXED))
        return sizes


def set_subtitle_sizes(path: Path, sizes: Sequence[tuple[int, int] | None]) -> None:
    """Write the sizes of all such tracks, in the file's order, over those it has."""
    with path.open("r+b") as file:
        for place, size in zip(list(_size_places(file)), sizes, strict=False):
            if size is not None:
                file.seek(place)
                file.write(struct.pack(">II", size[0] * _FIXED, size[1] * _FIXED))


def _size_places(file: BinaryIO) -> Iterator[int]:
    """Where width and height of these tracks are written."""
    for track in _found(file, b"moov", b"trak"):
        handlers = _found(file, b"mdia", b"hdlr", within=track)
        if any(_handled(file, handler) == b"subp" for handler in handlers):
            # They are the last of a track's header.
            yield from (header.end - 8 for header in _found(file, b"tkhd", within=track))


def _handled(file: BinaryIO, handler: _Box) -> bytes:
    file.seek(handler.start + _HANDLER_PLACE)
    return file.read(4)


def _found(file: BinaryIO, *kinds: bytes, within: _Box | None = None) -> Iterator[_Box]:
    """The boxes at the end of a path of kinds."""
    if within is None:
        within = _Box(b"", 0, file.seek(0, 2))
    for box in _boxes(file, within.start, within.end):
        if box.kind == kinds[0]:
            if len(kinds) == 1:
                yield box
            else:
                yield from _found(file, *kinds[1:], within=box)


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[_Box]:
    """The boxes that follow each other in [start, end); what is no box ends them."""
    while start + 8 <= end:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            size, head = int.from_bytes(file.read(8)), 16
        elif size == 0:
            size = end - start
        if size < head or start + size > end:
            return
        yield _Box(kind, start + head, start + size)
        start += size
