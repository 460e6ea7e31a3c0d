"""PNG files chunk by chunk: 16-bit samples, and everything that surrounds samples.

    chunks = read_chunks(data)                   # (name, content), checked
    pixels = read_deep(data)                     # (h, w[, c]) uint16, c of RGB order
    write(path, pixels, metadata)

Pillow reads only the upper half of 16-bit colours, so OpenCV does that. Source: the PNG
specification, third edition (W3C, 2025).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from vidcolor.frames import Plane
from vidcolor.media.metadata import Metadata

SIGNATURE = b"\x89PNG\r\n\x1a\n"
INCHES_PER_METRE = 1 / 0.0254
_XMP = b"XML:com.adobe.xmp"

_KEPT = (b"tEXt", b"zTXt", b"iTXt", b"tIME")
_ABOUT_COLOUR = (b"gAMA", b"cHRM", b"sRGB")
"""What a PNG without a profile may say about its colours; it holds for the coloured picture too."""

LARGEST_PROFILE = 2**24
"""Bytes of a profile beyond which it is no profile."""

COMPRESSION = 3
"""zlib's level: OpenCV's own way makes 8-bit files half as large again, higher ones gain little."""


def read_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Every chunk (name, content), the samples' own content left out.

    Raises ValueError where a chunk is damaged or the file ends before its end.
    """
    found = []
    for name, content in _walk(memoryview(data)):
        found.append((name, b"" if name in (b"IDAT", b"fdAT") else bytes(content)))
    return found


def _walk(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    place, name = len(SIGNATURE), b""
    while name != b"IEND":
        if place + 12 > len(data):
            raise ValueError("the file ends too early")
        size, name = struct.unpack_from(">I4s", data, place)
        content = data[place + 8 : place + 8 + size]
        if len(content) < size or place + 12 + size > len(data):
            raise ValueError("the file ends too early")
        (given,) = struct.unpack_from(">I", data, place + 8 + size)
        if zlib.crc32(data[place + 4 : place + 8 + size]) != given:
            raise ValueError(f"its chunk {name.decode('latin-1')} is damaged")
        yield name, content
        place += 12 + size


def bit_depth(chunks: list[tuple[bytes, bytes]]) -> int:
    """Bits of a sample, 1 to 16. Raises ValueError where the header is damaged."""
    return _header(chunks)[8]


def size(chunks: list[tuple[bytes, bytes]]) -> tuple[int, int]:
    """(width, height), as the header says. Raises ValueError where it is damaged."""
    width, height = struct.unpack_from(">II", _header(chunks))
    return width, height


def _header(chunks: list[tuple[bytes, bytes]]) -> bytes:
    for name, content in chunks[:1]:
        if name == b"IHDR" and len(content) == 13:
            return content
    raise ValueError("it has no header")


def frame_count(chunks: list[tuple[bytes, bytes]]) -> int:
    """How many pictures the file holds: an animated PNG says so."""
    for name, content in chunks:
        if name == b"acTL" and len(content) == 8:
            return int(struct.unpack(">I", content[:4])[0])
    return 1


def read_deep(data: bytes) -> Plane:
    """The samples of a 16-bit PNG: gray (h, w), R'G'B' (h, w, 3), or either with alpha (h, w, 4).

    Raises ValueError where they can't be decoded.
    """
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("its samples are damaged")
    if pixels.ndim == 3:
        swap = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
        pixels = cv2.cvtColor(pixels, swap, dst=pixels)
    return np.asarray(pixels, np.uint16)


def read_metadata(chunks: list[tuple[bytes, bytes]]) -> Metadata:
    """What the chunks say about the picture; texts and the like are kept as they are."""
    first = dict(reversed(chunks))
    names = _KEPT if b"iCCP" in first else (*_KEPT, *_ABOUT_COLOUR)
    return Metadata(
        icc=_profile(first.get(b"iCCP")),
        exif=first.get(b"eXIf"),
        xmp=next((_xmp(text) for name, text in chunks if name == b"iTXt" and _xmp(text)), None),
        dpi=_resolution(first.get(b"pHYs")),
        chunks=tuple(chunk for chunk in chunks if chunk[0] in names),
    )


def _profile(content: bytes | None) -> bytes | None:
    packed = (content or b"").partition(b"\0")[2][1:]
    try:
        return zlib.decompressobj().decompress(packed, LARGEST_PROFILE) or None
    except zlib.error:
        return None


def _xmp(text: bytes) -> bytes | None:
    """The XMP that an iTXt chunk holds, if it does and isn't packed."""
    keyword, _, rest = text.partition(b"\0")
    if keyword != _XMP or rest[:1] != b"\0":
        return None
    return rest[2:].split(b"\0", 2)[-1] or None


def _resolution(content: bytes | None) -> tuple[float, float] | None:
    if content is None or len(content) != 9 or content[8] != 1:
        return None
    across, down = struct.unpack_from(">II", content)
    return (across / INCHES_PER_METRE, down / INCHES_PER_METRE) if across and down else None


def write(path: Path, pixels: Plane, metadata: Metadata) -> None:
    """Write R'G'B' (h, w, 3), or with alpha (h, w, 4), uint8 or uint16.

    Raises ValueError where PNG can't hold it, and OSError.
    """
    swap = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
    options = [cv2.IMWRITE_PNG_COMPRESSION, COMPRESSION]
    done, buffer = cv2.imencode(".png", cv2.cvtColor(pixels, swap), options)
    if not done:
        raise ValueError("the samples can't be encoded")
    # The header's chunk is always 25 bytes long and comes first.
    behind = len(SIGNATURE) + 25
    with path.open("wb") as file:
        file.write(buffer[:behind].data)
        file.writelines(_chunk(name, content) for name, content in _surrounding(metadata))
        file.write(buffer[behind:].data)


def _surrounding(metadata: Metadata) -> Iterator[tuple[bytes, bytes]]:
    """Every chunk that goes between the header and the samples, in the specification's order."""
    if metadata.icc is not None:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)
    kept = [c for c in metadata.chunks if metadata.icc is None or c[0] not in _ABOUT_COLOUR]
    yield from kept
    if metadata.dpi is not None:
        across, down = (min(round(d * INCHES_PER_METRE), 2**31 - 1) for d in metadata.dpi)
        yield b"pHYs", struct.pack(">IIB", across, down, 1)
    if metadata.exif is not None:
        yield b"eXIf", metadata.exif
    has_xmp = any(name == b"iTXt" and text.startswith(_XMP + b"\0") for name, text in kept)
    if metadata.xmp is not None and not has_xmp:
        yield b"iTXt", _XMP + bytes(5) + metadata.xmp


def _chunk(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )
