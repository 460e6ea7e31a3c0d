"""Whether a file goes on to where its own headers say that it ends.

    bytes_missing(Path("half-a-download.mp4"))      # 7_340_032; 0 for a whole file

MP4, Matroska and AVI are boxes that begin with their length. Of other files nobody knows: a
broadcast ends anywhere.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_SEGMENT = b"\x18\x53\x80\x67"
_EBML = b"\x1a\x45\xdf\xa3"

_MP4_BOXES = frozenset(
    b"ftyp moov mdat free skip wide pnot udta uuid moof sidx styp mfra meta emsg prft ssix".split()
)
"""What stands at the top of such files; what is none of these isn't followed."""


def bytes_missing(path: Path) -> int:
    """How many bytes a file lacks at its end; 0 where it lacks none, or nobody knows.

    Raises OSError where it can't be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        head = file.read(12)
        if head[:4] == b"RIFF":
            end = _riff_end(file, size)
        elif head[:4] == _EBML:
            end = _matroska_end(file)
        elif head[4:8] in _MP4_BOXES:
            end = _mp4_end(file, size)
        else:
            return 0
    return max(0, end - size)


def _riff_end(file: BinaryIO, size: int) -> int:
    """End of the last of the RIFF chunks; files of more than a gigabyte have several."""
    start = end = 0
    while start + 8 <= size:
        file.seek(start)
        kind, length = struct.unpack("<4sI", file.read(8))
        # A recording that was never finished says 0.
        if kind != b"RIFF" or length == 0:
            break
        end = start + 8 + length
        start = end + length % 2
    return end


def _mp4_end(file: BinaryIO, size: int) -> int:
    end = 0
    while end + 8 <= size:
        file.seek(end)
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind not in _MP4_BOXES:
            break
        if length == 1:
            wide = file.read(8)
            if len(wide) < 8:
                break
            (length,) = struct.unpack(">Q", wide)
        if length < 8:
            break  # 0 is a box that goes to the file's end
        end += length
    return end


def _matroska_end(file: BinaryIO) -> int:
    """End of the first segment; 0 where it says that it doesn't know its length."""
    file.seek(4)
    header, known = _ebml_length(file)
    if not known:
        return 0
    file.seek(header, 1)
    if file.read(4) != _SEGMENT:
        return 0
    length, known = _ebml_length(file)
    return file.tell() + length if known else 0


def _ebml_length(file: BinaryIO) -> tuple[int, bool]:
    """A length of one to eight bytes (RFC 8794), and whether it is one."""
    first = file.read(1)
    if not first or not first[0]:
        return 0, False
    more = 8 - first[0].bit_length()
    value = first[0] & ((1 << (7 - more)) - 1)
    rest = file.read(more)
    value = value << (8 * more) | int.from_bytes(rest, "big")
    unknown = (1 << (7 * (more + 1))) - 1
    return value, value != unknown and len(rest) == more
