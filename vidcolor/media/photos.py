"""Photographs: their samples as stored, what surrounds them, and writing both.

    photo = read_photo(path)
    photo.pixels                     # (h, w[, c]) uint8 or uint16, not turned
    photo.upright_size               # (width, height) as viewers show it
    write_photo(path, rgb, photo.metadata, suffix=".png")

Pillow reads and writes 8 bits; png.py and tiff.py have the rest. Resampling, turning and colour are
none of this module's business.
"""

from __future__ import annotations

import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from vidcolor.errors import OutputError, SourceError
from vidcolor.files import irregular
from vidcolor.frames import Plane
from vidcolor.media import png, tiff
from vidcolor.media.icc import srgb_profile
from vidcolor.media.metadata import Metadata, orientation, stored, without_thumbnail

FORMATS = {
    **{".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG"},
    **{".tif": "TIFF", ".tiff": "TIFF", ".webp": "WebP"},
}
"""What can be written, by suffix."""

READ_ONLY_SUFFIXES = (".bmp", ".gif")
"""Further suffixes that a folder's photographs have; their outputs are PNG files."""

DEFAULT_QUALITY = 95
"""Of JPEG and lossy WebP: lightness then errs by 0.2 and 0.4 Lab units on the average."""

MOST_PIXELS = 2**29
"""Of a picture that is read: 537 million, more than a 4 x 5 inch negative has at 4800 dpi. A few
kilobytes can promise any number of them, and they would all have to be in memory."""

READ_FORMATS = (
    *("PNG", "JPEG", "MPO", "TIFF", "WEBP", "GIF", "BMP", "DIB", "AVIF", "JPEG2000", "PPM"),
    *("TGA", "PCX", "SGI", "PSD"),
)
"""Pillow's names of the kinds that are decoded, whatever a file's suffix says: for some others it
would start programs, such as Ghostscript."""

LARGEST_SIDE = {"JPEG": 65500, "WebP": 16383}
"""Of formats that set a limit, samples."""

_JPEG_ROOM = {"exif": 65527, "xmp": 65504, "comment": 65533}
"""Bytes that one JPEG segment leaves for each."""

_PHOTOSHOP = b"Photoshop 3.0\0"


@dataclass(frozen=True, eq=False, kw_only=True)
class Photo:
    """One picture as its file has it."""

    path: Path
    pixels: Plane
    """(h, w) gray, (h, w, 2) gray with alpha, (h, w, 3) R'G'B', (h, w, 4) with alpha; uint8 or
    uint16, every code used; alpha is straight. As stored, whatever the orientation."""

    metadata: Metadata
    lossless: bool = True
    """False where the file was packed with loss."""

    pictures: int = 1
    """How many pictures the file holds; this is the first."""

    @property
    def orientation(self) -> int:
        """How viewers turn and mirror it: EXIF's 1 to 8."""
        return orientation(self.metadata.exif)

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) as viewers show it."""
        height, width = self.pixels.shape[:2]
        return (height, width) if self.orientation >= 5 else (width, height)

    @property
    def gray(self) -> bool:
        """Whether it has no channels for colour."""
        return self.pixels.ndim == 2 or self.pixels.shape[2] <= 2

    @property
    def has_alpha(self) -> bool:
        return self.pixels.ndim == 3 and self.pixels.shape[2] in (2, 4)

    @property
    def bits(self) -> int:
        return 8 * self.pixels.itemsize


def read_photo(path: Path) -> Photo:
    """The first picture of a file.

    Raises SourceError where it is missing, damaged, cut short, an animation, or of a kind that
    isn't known.
    """
    data = _bytes_of(path)
    try:
        with _at_ease():
            if data.startswith(png.SIGNATURE):
                return _read_png(path, data)
            if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
                return _read_tiff(path, data)
            return _read_other(path, data)
    except SourceError:
        raise
    except MemoryError as error:
        raise SourceError(f"{path} is larger than this machine's memory can hold.") from error
    except UnidentifiedImageError as error:
        raise SourceError(
            f"{path} isn't a picture of a known kind; expected PNG, JPEG, TIFF, WebP, GIF or BMP, "
            "and films go to `vidcolor run`."
        ) from error
    except _TooLargeError as error:
        raise SourceError(f"{path} can't be read: {error}; cut it into parts.") from error
    # Damaged files make the libraries fail in every way there is.
    except Exception as error:
        raise SourceError(
            f"{path} can't be read: {_reason(error)}; try another copy, or save it anew as PNG or "
            "TIFF of 8 or 16 bits."
        ) from error


def is_photo(path: Path) -> bool:
    """Whether a file's beginning is that of a picture."""
    try:
        if irregular(path) is not None:
            return False
        with _at_ease(), _opened(path):
            return True
    except Exception:
        return False


def losses(photo: Photo, suffix: str) -> list[str]:
    """What of a photograph an output of this suffix can't hold, as sentences; mostly none.

    Raises OutputError where it can't hold the picture itself.
    """
    kind, said = FORMATS[suffix.lower()], []
    largest = LARGEST_SIDE.get(kind)
    if largest is not None and max(photo.pixels.shape[:2]) > largest:
        width, height = photo.upright_size
        raise OutputError(
            f"{photo.path} is {width} x {height}, and {kind} holds up to {largest} a side; give "
            "the output a name with .png or .tif with -o."
        )
    if photo.pictures > 1:
        said.append(f"{photo.path} holds {photo.pictures} pictures; only the first is colorized.")
    if kind in ("JPEG", "WebP") and photo.bits > 8:
        said.append(
            f"{photo.path} has {photo.bits} bits a sample, and {kind} keeps 8 of them; .png and "
            ".tif keep all."
        )
    if kind == "JPEG" and photo.has_alpha:
        said.append(f"{photo.path} is transparent in places, which JPEG can't be.")
    if kind == "JPEG" and (names := [n.upper() for n in _too_long(photo.metadata)]):
        said.append(f"{' and '.join(names)} of {photo.path} are too long for JPEG, and left out.")
    return said


def write_photo(
    path: Path,
    pixels: Plane,
    metadata: Metadata,
    *,
    suffix: str,
    quality: int = DEFAULT_QUALITY,
    lossless: bool = False,
) -> None:
    """Write R'G'B' (h, w, 3), or with alpha (h, w, 4), in the format of `suffix`.

    pixels: uint8 or uint16. quality: 1 to 100, for JPEG and WebP; lossless: for WebP. What the
    format can't hold is left out; see `losses`. Raises OSError, and OutputError where the samples
    can't be encoded.
    """
    kind = FORMATS[suffix.lower()]
    try:
        if kind == "PNG":
            png.write(path, pixels, metadata)
        elif kind == "TIFF":
            tiff.write(path, pixels, metadata)
        else:
            image = Image.fromarray(to_8_bits(pixels[..., :3] if kind == "JPEG" else pixels))
            options = _jpeg_options if kind == "JPEG" else _webp_options
            image.save(path, kind, quality=quality, **options(metadata, lossless))
    except (ValueError, struct.error, cv2.error) as error:
        raise OutputError(f"{path} can't be written as {kind}: {_reason(error)}.") from error


def to_8_bits(pixels: Plane) -> Plane:
    """Samples rounded to 8 bits; those that have 8 as they are."""
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels, np.uint8)
    return np.asarray(cv2.convertScaleAbs(np.ascontiguousarray(pixels), alpha=1 / 257), np.uint8)


def _bytes_of(path: Path) -> bytes:
    try:
        if (kind := irregular(path)) not in (None, "a folder"):
            raise SourceError(f"{path} is {kind}; expected a file, so save the picture as one.")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise SourceError(f"{path} doesn't exist; check its name.") from error
    except IsADirectoryError as error:
        raise SourceError(f"{path} is a folder, not a picture.") from error
    except OSError as error:
        raise SourceError(f"{path} can't be read: {error.strerror}.") from error
    if not data:
        raise SourceError(f"{path} is empty (0 bytes); try another copy of the picture.")
    return data


def _read_png(path: Path, data: bytes) -> Photo:
    chunks = png.read_chunks(data)
    if (frames := png.frame_count(chunks)) > 1:
        raise animation_error(path, frames)
    metadata = _without_stale(png.read_metadata(chunks))
    _refuse_size(*png.size(chunks))
    if png.bit_depth(chunks) == 16:
        pixels = png.read_deep(data)
    else:
        with _opened(BytesIO(data)) as image:
            pixels = _samples(image)
    return Photo(path=path, pixels=pixels, metadata=metadata)


def _opened(file: Path | BytesIO) -> Image.Image:
    return Image.open(file, formats=_known_formats())


@cache
def _known_formats() -> tuple[str, ...]:
    """Those of READ_FORMATS that Pillow knows here; it would stumble over another's name."""
    Image.init()
    return tuple(kind for kind in READ_FORMATS if kind in Image.ID)


def _refuse_size(width: int, height: int) -> None:
    """Raise _TooLargeError for more samples than any scan has."""
    if width * height > MOST_PIXELS:
        raise _TooLargeError(
            f"it says that it is {width} x {height}, and up to {MOST_PIXELS // 10**6} million "
            "pixels are taken"
        )


class _TooLargeError(ValueError):
    """What a header promises can't be meant, or would fill the memory."""


def _read_tiff(path: Path, data: bytes) -> Photo:
    metadata = _without_stale(tiff.read_metadata(data))
    with tiff.open_page(data) as page:
        _refuse_size(page.imagewidth, page.imagelength * page.imagedepth)
        deep = tiff.is_deep(page)
        if deep:
            pixels = tiff.read_deep(data, page)
    if not deep:
        with _opened(BytesIO(data)) as image:
            # Pillow turns a TIFF upright as it loads it, and forgets that it did.
            turned = image.getexif().get(274, 1)
            pixels = stored(_samples(image), turned if turned in range(1, 9) else 1)
    return Photo(path=path, pixels=pixels, metadata=metadata, pictures=tiff.count_pages(data))


def _read_other(path: Path, data: bytes) -> Photo:
    with _opened(BytesIO(data)) as image:
        pictures = getattr(image, "n_frames", 1)
        # An MPO is a JPEG with small or second views behind it, and moves no more than that.
        if pictures > 1 and image.format != "MPO":
            raise animation_error(path, pictures)
        pixels = _samples(image)
        metadata = _without_stale(_metadata_of(image))
        lossy = image.format in ("JPEG", "MPO", "AVIF") or (
            image.format == "WEBP" and not _is_lossless_webp(data)
        )
    return Photo(path=path, pixels=pixels, metadata=metadata, lossless=not lossy, pictures=pictures)


def animation_error(path: Path, frames: int) -> SourceError:
    """What to say of a film among pictures."""
    return SourceError(
        f"{path} is an animation of {frames} frames, not a picture; `vidcolor run` colorizes "
        "animated GIF and PNG files whole."
    )


def _samples(image: Image.Image) -> Plane:
    """An opened picture's samples, as `Photo.pixels` has them. Raises ValueError, OSError."""
    _refuse_size(*image.size)
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    clear = "transparency" in image.info
    if image.mode == "CMYK":
        image = _rgb_of_cmyk(image)
    elif image.mode in ("1", "L"):
        image = image.convert("LA" if clear else "L")
    elif image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.upper())
    elif image.mode in ("P", "PA", "RGB", "RGBX", "YCbCr"):
        image = image.convert("RGBA" if clear or image.mode == "PA" else "RGB")
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        raise ValueError(
            f"its samples are of the kind {image.mode}, not 8 or 16 bits of gray or RGB"
        )
    return np.asarray(image, np.uint8)


def _rgb_of_cmyk(image: Image.Image) -> Image.Image:
    """Printing colours as sRGB, through their profile where there is one."""
    icc = image.info.get("icc_profile")
    if icc is None:
        return image.convert("RGB")
    try:
        inks, srgb = (ImageCms.ImageCmsProfile(BytesIO(p)) for p in (icc, srgb_profile()))
        converted = ImageCms.profileToProfile(image, inks, srgb, outputMode="RGB")
    except ImageCms.PyCMSError:
        return image.convert("RGB")
    assert converted is not None
    return converted


def _metadata_of(image: Image.Image) -> Metadata:
    """What Pillow found around the samples of anything but PNG and TIFF."""
    info: dict[Any, Any] = image.info
    iptc = b"".join(
        segment[len(_PHOTOSHOP) :]
        for name, segment in getattr(image, "applist", ())
        if name == "APP13" and segment.startswith(_PHOTOSHOP)
    )
    return Metadata(
        icc=info.get("icc_profile") or None,
        exif=info.get("exif") or None,
        xmp=info.get("xmp") or None,
        iptc=iptc or None,
        dpi=_positive(info.get("dpi")),
        comment=info.get("comment") or None,
    )


def _positive(dpi: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 < across < 1e6 and 1 < down < 1e6 else None


def _without_stale(metadata: Metadata) -> Metadata:
    """Without the thumbnail, and the EXIF block from its byte order mark on."""
    exif = metadata.exif
    while exif is not None and exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    return replace(metadata, exif=without_thumbnail(exif) if exif else None)


def _is_lossless_webp(data: bytes) -> bool:
    place = 12
    while place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        if name == b"VP8L":
            return True
        place += 8 + size + size % 2
    return False


def _jpeg_options(metadata: Metadata, lossless: bool) -> dict[str, Any]:
    given: dict[str, Any] = {"subsampling": 0, "extra": _app13(metadata.iptc)}
    exif = b"Exif\0\0" + metadata.exif if metadata.exif else None
    parts = {"exif": exif, "xmp": metadata.xmp, "comment": metadata.comment}
    given |= {
        name: part for name, part in parts.items() if part and name not in _too_long(metadata)
    }
    if metadata.icc is not None:
        given["icc_profile"] = metadata.icc
    if metadata.dpi is not None:
        given["dpi"] = metadata.dpi
    return given


def _too_long(metadata: Metadata) -> list[str]:
    """The parts that don't fit into one JPEG segment each."""
    return [name for name, room in _JPEG_ROOM.items() if len(getattr(metadata, name) or b"") > room]


def _app13(iptc: bytes | None) -> bytes:
    """JPEG segments that hold Photoshop's resource blocks."""
    room, segments = 65533 - len(_PHOTOSHOP), b""
    for place in range(0, len(iptc or b""), room):
        part = _PHOTOSHOP + (iptc or b"")[place : place + room]
        segments += b"\xff\xed" + struct.pack(">H", len(part) + 2) + part
    return segments


def _webp_options(metadata: Metadata, lossless: bool) -> dict[str, Any]:
    given: dict[str, Any] = {"lossless": lossless, "method": 4, "exact": True}
    for name, part in (
        ("icc_profile", metadata.icc),
        ("exif", metadata.exif),
        ("xmp", metadata.xmp),
    ):
        if part is not None:
            given[name] = part
    return given


def _reason(error: Exception) -> str:
    """A library's own words, as part of a sentence."""
    words = str(error).strip().splitlines()
    return words[0].rstrip(".") if words else type(error).__name__


@contextmanager
def _at_ease() -> Iterator[None]:
    """Let pictures of any size be opened, as people scan large negatives; and keep libraries from
    printing what is raised as an error, or doesn't matter."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    opencv = cv2.utils.logging
    level = opencv.setLogLevel(opencv.LOG_LEVEL_SILENT)
    log = logging.getLogger("tifffile")
    disabled, log.disabled = log.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
        opencv.setLogLevel(level)
        log.disabled = disabled
