"""TIFF files: 16-bit samples, the tags that describe the picture, and writing.

    with open_page(data) as page:                # the first picture
        pixels = read_deep(data, page)           # (h, w[, c]) uint16, as stored
    metadata = read_metadata(data)
    write(path, pixels, metadata)

Pillow reads only the upper half of 16-bit colours, so tifffile does that, and OpenCV where the
compression is one tifffile lacks (LZW). Source: TIFF 6.0.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile

from vidcolor.frames import Plane
from vidcolor.media.metadata import (
    DESCRIBING,
    Directory,
    Entry,
    Metadata,
    orientation,
    stored,
    without_thumbnail,
)

XMP, IIM, IPTC, ICC = 700, 33723, 34377, 34675
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
PREMULTIPLIED, STRAIGHT = 1, 2
"""What an extra sample says: alpha, with or without the colour multiplied by it."""

LARGEST_CLASSIC = 2**32 - 2**25
"""Bytes of samples from which tifffile writes a BigTIFF, whose directories have another form."""

_UNSIGNED = 1
_BAND_ROWS = 256
_BYTE, _UNDEFINED = 1, 7


@contextmanager
def open_page(data: bytes) -> Iterator[Any]:
    """The first page of a TIFF file, as tifffile has it.

    Raises ValueError where there is none, or the file ends before the page's samples do.
    """
    with tifffile.TiffFile(BytesIO(data)) as file:
        if not file.pages:
            raise ValueError("it holds no picture")
        page = file.pages[0]
        ends = (at + n for at, n in zip(page.dataoffsets, page.databytecounts, strict=False))
        if max(ends, default=0) > len(data):
            raise ValueError("the file ends too early")
        yield page


def count_pages(data: bytes) -> int:
    """How many pictures the file holds, small copies of them included."""
    with tifffile.TiffFile(BytesIO(data)) as file:
        return len(file.pages)


def is_deep(page: Any) -> bool:
    """Whether the samples have 16 bits; up to 8 is left to Pillow.

    Raises ValueError on any other kind of sample, and on 16 bits of anything but gray and RGB.
    """
    bits, kind = page.bitspersample, page.sampleformat
    if kind != _UNSIGNED or bits not in (1, 2, 4, 8, 16):
        words = {1: "whole-number", 2: "signed", 3: "floating-point"}.get(kind, "unusual")
        raise ValueError(f"it has {words} samples of {bits} bits, not of 8 or 16")
    if bits == 16 and page.photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB):
        raise ValueError(f"its 16-bit samples are neither gray nor RGB, but {page.photometric!r}")
    return bool(bits == 16)


def read_deep(data: bytes, page: Any) -> Plane:
    """The 16-bit samples of a page as stored: gray or R'G'B', each with straight alpha if any.

    (h, w), or (h, w, 2..4). Raises ValueError where they can't be decoded.
    """
    try:
        pixels = page.asarray()
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        pixels = _read_with_opencv(data, page)
    if page.planarconfig == 2 and pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, 2)
    if pixels.ndim not in (2, 3):
        raise ValueError(f"its samples have the shape {pixels.shape}")
    if page.photometric == WHITE_IS_ZERO:
        pixels = np.invert(pixels)
    if pixels.ndim == 2:
        return np.asarray(pixels, np.uint16)
    colours = 3 if page.photometric == RGB else 1
    alpha = next((x for x in page.extrasamples if x in (PREMULTIPLIED, STRAIGHT)), None)
    kept = [*range(colours), *([] if alpha is None else [colours + page.extrasamples.index(alpha)])]
    if kept != list(range(pixels.shape[2])):
        pixels = pixels[..., kept]
    if alpha == PREMULTIPLIED:
        _divide_by_alpha(pixels)
    return np.asarray(pixels, np.uint16)


def _read_with_opencv(data: bytes, page: Any) -> Plane:
    if page.planarconfig == 2 or page.samplesperpixel not in (1, 3, 4):
        raise ValueError(f"its layout with the compression {page.compression.name} isn't known")
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("its samples are damaged")
    if pixels.ndim == 3:
        swap = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
        pixels = cv2.cvtColor(pixels, swap, dst=pixels)
    # OpenCV turns a TIFF upright even where it is told not to.
    exif = read_metadata(data).exif
    return np.asarray(stored(pixels, orientation(exif)), np.uint16)


def _divide_by_alpha(pixels: Plane) -> None:
    """Premultiplied colours (h, w, c + alpha) to straight ones, in place."""
    for top in range(0, len(pixels), _BAND_ROWS):
        band = pixels[top : top + _BAND_ROWS]
        alpha = np.maximum(band[..., -1:].astype(np.uint32), 1)
        colour = (band[..., :-1].astype(np.uint32) * 65535 + alpha // 2) // alpha
        band[..., :-1] = np.minimum(colour, 65535)


def read_metadata(data: bytes) -> Metadata:
    """What the first directory says about the picture. Raises ValueError where there is none."""
    directory = Directory.read(memoryview(data))
    about = directory.picked(DESCRIBING)

    def value(tag: int) -> bytes | None:
        return directory.entries[tag].value if tag in directory.entries else None

    return Metadata(
        icc=value(ICC),
        exif=about.block() if about.entries or about.below else None,
        xmp=value(XMP),
        iptc=value(IPTC),
        iim=value(IIM),
        dpi=_resolution(directory),
    )


def _resolution(directory: Directory) -> tuple[float, float] | None:
    unit = {2: 1.0, 3: 2.54}.get(directory.number(296) or 2)
    found = []
    for tag in (282, 283):
        entry = directory.entries.get(tag)
        if unit is None or entry is None or len(entry.value) < 8:
            return None
        above, below = struct.unpack_from(directory.order + "II", entry.value)
        if above == 0 or below == 0:
            return None
        found.append(unit * above / below)
    return (found[0], found[1]) if min(found) > 1 else None


def write(path: Path, pixels: Plane, metadata: Metadata) -> None:
    """Write R'G'B' (h, w, 3), or with alpha (h, w, 4), uint8 or uint16, packed without loss.

    Past 4 GiB only profile and resolution go along. Raises OSError.
    """
    said = _described(metadata)
    tifffile.imwrite(
        path,
        pixels,
        byteorder=said.order,
        photometric="rgb",
        planarconfig="contig",
        extrasamples=["unassalpha"] if pixels.shape[2] == 4 else None,
        compression="zlib",
        predictor=True,
        metadata=None,
        software=False,
        iccprofile=metadata.icc,
        resolution=metadata.dpi,
        resolutionunit="INCH" if metadata.dpi else "NONE",
    )
    if pixels.nbytes < LARGEST_CLASSIC:
        _describe(path, said)


def _described(metadata: Metadata) -> Directory:
    """The tags that describe the picture, from its EXIF block and the rest."""
    said = Directory("<")
    if metadata.exif is not None:
        try:
            said = Directory.read(without_thumbnail(metadata.exif)).picked(DESCRIBING)
        except ValueError:
            said = Directory("<")
    for tag, content in ((XMP, metadata.xmp), (IIM, metadata.iim), (IPTC, metadata.iptc)):
        if content is not None:
            kind = _BYTE if tag == XMP else _UNDEFINED
            said.entries[tag] = Entry(kind, len(content), content)
    return said


def _describe(path: Path, said: Directory) -> None:
    """Add tags to a file's directory: write it anew behind the samples, and lead there.

    tifffile itself writes no EXIF and GPS directories.
    """
    with path.open("r+b") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            directory = Directory.read(data)
        directory.entries |= said.entries
        directory.below |= said.below
        end = file.seek(0, os.SEEK_END)
        end += file.write(b"\0" * (end % 2))
        file.write(directory.packed(end))
        file.seek(4)
        file.write(struct.pack(said.order + "I", end))
