"""Tiny photographs made in code, with the profiles and tags that real ones carry.

gray = soft_gray(120, 90)                    # (90, 120) uint16
icc = rgb_profile(ADOBE, gamma=2.2)
exif = exif_block(orientation=6, thumbnail=True)
"""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

# Columns are the XYZ of R, G and B under D50, as ICC profiles of these spaces hold them.
ADOBE = ((0.60974, 0.20528, 0.14919), (0.31111, 0.62567, 0.06322), (0.01947, 0.06087, 0.74457))
P3 = ((0.51512, 0.29198, 0.15710), (0.24120, 0.69225, 0.06657), (-0.00105, 0.04189, 0.78407))
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""g, a, b, c, d of a parametric curve of type 3."""


def soft_gray(
    width: int, height: int, *, low: float = 0.05, high: float = 0.95
) -> NDArray[np.uint16]:
    """Soft hills of gray with a sharp disc, every 16-bit code possible between `low` and `high`."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    hills = np.sin(9 * x) * np.cos(7 * y) + np.sin(23 * (x + y)) / 3
    hills[np.hypot(x - 0.5 * width / max(width, height), y - 0.3) < 0.12] += 1.5
    hills = (hills - hills.min()) / max(np.ptp(hills), 1e-9)
    return np.asarray(np.rint((low + (high - low) * hills) * 65535), np.uint16)


def colours(width: int, height: int) -> NDArray[np.uint16]:
    """R'G'B' (height, width, 3) of many hues."""
    planes = [
        soft_gray(width, height),
        soft_gray(width, height)[::-1],
        soft_gray(width, height)[:, ::-1],
    ]
    return np.dstack(planes)


def rgb_profile(
    columns: tuple[tuple[float, float, float], ...],
    *,
    gamma: float | None = None,
    parameters: tuple[float, ...] = SRGB_CURVE,
) -> bytes:
    """A matrix profile; its curves are a gamma, or else a parametric curve of type 3."""
    curve = gamma_tag(gamma) if gamma else parametric_tag(3, parameters)
    tags = {
        b"rXYZ": xyz_tag([row[0] for row in columns]),
        b"gXYZ": xyz_tag([row[1] for row in columns]),
    }
    tags |= {b"bXYZ": xyz_tag([row[2] for row in columns])}
    return profile(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def gray_profile(curve: bytes, *, pcs: bytes = b"XYZ ") -> bytes:
    """A gray profile with this tone curve's tag."""
    return profile(b"GRAY", {b"kTRC": curve}, pcs=pcs)


def profile(space: bytes, tags: dict[bytes, bytes], *, pcs: bytes = b"XYZ ") -> bytes:
    """A whole ICC profile of version 4 around these tags."""
    text = "made".encode("utf-16-be")
    said = b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(text), 28) + text
    tags = {b"desc": said, b"cprt": said, b"wtpt": xyz_tag((0.9642, 1.0, 0.8249))} | tags
    place, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, place + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(
        ">I4sI4s4s4s", place + len(body), bytes(4), 0x04200000, b"mntr", space, pcs
    )
    header += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    header += struct.pack(">iii", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def xyz_tag(values: tuple[float, ...] | list[float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in values))


def gamma_tag(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def sampled_tag(samples: NDArray[np.float64]) -> bytes:
    """A tone curve of samples in 0..1."""
    codes = np.rint(samples * 65535).astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", len(codes)) + codes.tobytes()


def parametric_tag(kind: int, parameters: tuple[float, ...]) -> bytes:
    fixed = (round(v * 65536) for v in parameters)
    return b"para" + bytes(4) + struct.pack(f">HH{len(parameters)}i", kind, 0, *fixed)


def exif_block(*, orientation: int = 1, thumbnail: bool = False, order: str = "<") -> bytes:
    """An EXIF block with a maker, a place on Earth, an exposure, and a thumbnail if wanted."""
    exif = Image.Exif()
    exif.endian = order
    exif[274], exif[271], exif[315] = orientation, "Kamera", "A. Author"
    exif.get_ifd(0x8769)[0x829A] = 0.0025
    exif.get_ifd(0x8769)[0x9003] = "1931:07:04 10:20:30"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (48.0, 51.0, 30.0)
    block = exif.tobytes()[6:]
    if not thumbnail:
        return block
    small = BytesIO()
    Image.new("L", (16, 12), 90).save(small, "JPEG")
    first = struct.unpack_from(order + "I", block, 4)[0]
    after = first + 2 + 12 * struct.unpack_from(order + "H", block, first)[0]
    place = len(block) + len(block) % 2
    entries = ((0x103, 3, 1, 6), (0x201, 4, 1, place + 42), (0x202, 4, 1, len(small.getvalue())))
    directory = struct.pack(order + "H", 3)
    directory += b"".join(
        struct.pack(order + "HHI", *e[:3])
        + struct.pack(order + ("HH" if e[1] == 3 else "I"), *([e[3], 0] if e[1] == 3 else [e[3]]))
        for e in entries
    )
    directory += bytes(4)
    block = block[:after] + struct.pack(order + "I", place) + block[after + 4 :]
    return block.ljust(place, b"\0") + directory + small.getvalue()


def lab_by_lcms(pixels: NDArray[np.uint8], icc: bytes) -> NDArray[np.float64]:
    """CIE Lab (D50) of R'G'B' (h, w, 3) or gray (h, w) by Little CMS, L in steps of 0.4."""
    image = Image.fromarray(pixels)
    source = ImageCms.ImageCmsProfile(BytesIO(icc))
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB", 5000))
    how = ImageCms.buildTransform(
        source, lab, image.mode, "LAB", ImageCms.Intent.RELATIVE_COLORIMETRIC
    )
    converted = ImageCms.applyTransform(image, how)
    assert converted is not None
    planes = np.asarray(converted)
    ab = planes[..., 1:].view(np.int8).astype(np.float64)
    return np.dstack([planes[..., 0] * (100 / 255), ab])
