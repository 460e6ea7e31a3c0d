"""What a picture's samples mean by its ICC profile, and the profile to give the coloured one.

    meaning = meaning_of(icc, gray=pixels.ndim == 2)
    meaning.space.root(pixels)        # lightness, in the profile's own tone curve and primaries
    meaning.icc                       # to embed: the same bytes, or sRGB's after a gray profile

Read are the profiles that cameras, scanners and editors embed: RGB as a matrix with tone curves,
and gray as a tone curve. Other RGB profiles (tables) are taken to mean nearly sRGB and are kept.
Source: ICC.1:2010 (profile version 4.3), which reads version 2 as well; its Lab is that of D50.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache

import numpy as np

from vidcolor.color import Doubles, RgbSpace, lab_cube

Curve = Doubles
"""(65536,) light in 0..1 of every 16-bit code."""

CODES = np.linspace(0, 1, 1 << 16)
_HEADER = 128
_PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}
"""How many numbers each type of parametric curve has."""

LARGEST_DIP = 0.01
"""How far a tone curve may fall below where it was: measured curves are noisy, and pieces of
formulas meet with rounding."""

LEAST_DETERMINANT = 1e-4
"""Primaries nearer to one line than this are no primaries; sRGB's measure 0.2."""


@dataclass(frozen=True)
class Meaning:
    """What samples mean, and how to say so in the output."""

    space: RgbSpace
    icc: bytes | None
    """The profile to embed, or None where the source has none."""


def meaning_of(icc: bytes | None, *, gray: bool) -> Meaning:
    """How to read gray or R'G'B' samples with this profile, and the profile for R'G'B' ones.

    A gray profile can't describe colours: the lightness is read through it, and the output gets
    sRGB's profile. So does a picture whose profile is for other samples than it has.
    """
    if icc is None:
        return Meaning(srgb_without_profile(), None)
    kind = icc[16:20]
    if kind == b"RGB ":
        try:
            return Meaning(rgb_space(icc), icc)
        except (ValueError, struct.error):
            return Meaning(srgb_without_profile(), icc)
    curve = None
    if kind == b"GRAY" and gray:
        try:
            curve = gray_curve(icc)
        except (ValueError, struct.error):
            curve = None
    return Meaning(rgb_space(srgb_profile(), curve), srgb_profile())


@cache
def srgb_without_profile() -> RgbSpace:
    return RgbSpace.srgb()


@cache
def srgb_profile() -> bytes:
    """sRGB's own profile; the same bytes every time."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    made_in_2000 = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    return bytes(profile[:24] + made_in_2000 + profile[36:])


def rgb_space(icc: bytes, gray: Curve | None = None) -> RgbSpace:
    """The space of an RGB profile of matrix and curves; `gray` as in RgbSpace.

    Raises ValueError, or struct.error, where it is of another kind or damaged.
    """
    tags = _tags(icc)
    curves = [_curve(_tag(icc, tags, name)) for name in (b"rTRC", b"gTRC", b"bTRC")]
    matrix = np.stack([_xyz(_tag(icc, tags, name)) for name in (b"rXYZ", b"gXYZ", b"bXYZ")], 1)
    if abs(np.linalg.det(matrix)) < LEAST_DETERMINANT or matrix.sum(1).min() <= 0:
        raise ValueError("its primaries span no colours")
    return RgbSpace(np.stack(curves), matrix, gray)


def gray_curve(icc: bytes) -> Curve:
    """Light of every code of a gray profile. Raises ValueError or struct.error on a damaged one."""
    curve = _curve(_tag(icc, _tags(icc), b"kTRC"))
    if icc[20:24] != b"Lab ":
        return curve
    # Here the curve leads to L, in hundredths.
    root = ((curve * 100 + 16) / 116).astype(np.float32)
    return np.clip(lab_cube(root), 0, 1).astype(np.float64)


def _tags(icc: bytes) -> dict[bytes, tuple[int, int]]:
    """Place and size of each tag by its name."""
    (count,) = struct.unpack_from(">I", icc, _HEADER)
    if count > 1000:
        raise ValueError(f"a profile of {count} tags")
    rows = (struct.unpack_from(">4sII", icc, _HEADER + 4 + 12 * i) for i in range(count))
    return {name: (place, size) for name, place, size in rows}


def _tag(icc: bytes, tags: dict[bytes, tuple[int, int]], name: bytes) -> bytes:
    if name not in tags:
        raise ValueError(f"it has no {name.decode('latin-1')}")
    place, size = tags[name]
    return icc[place : place + size]


def _xyz(tag: bytes) -> Curve:
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536


def _curve(tag: bytes) -> Curve:
    """A tone curve as a table. Raises ValueError where it falls, or hardly rises."""
    if tag[:4] == b"curv":
        curve = _sampled_curve(tag)
    elif tag[:4] == b"para":
        curve = _parametric_curve(tag)
    else:
        raise ValueError(f"a tone curve of the kind {tag[:4]!r}")
    curve = np.clip(curve, 0, 1)
    rising = np.maximum.accumulate(curve)
    if not np.isfinite(curve).all() or (rising - curve).max() > LARGEST_DIP or curve[-1] < 0.5:
        raise ValueError("a tone curve that falls")
    return rising


def _sampled_curve(tag: bytes) -> Curve:
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return CODES.copy()
    samples = np.array(struct.unpack_from(f">{count}H", tag, 12), np.float64)
    if count == 1:
        return np.asarray(CODES ** float(samples[0] / 256))
    return np.interp(CODES, np.linspace(0, 1, count), samples / 65535)


def _parametric_curve(tag: bytes) -> Curve:
    """The formulas of ICC.1:2010, table 65: a power above d (or -b/a), a line or level below."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    if kind not in _PARAMETERS:
        raise ValueError(f"a parametric curve of type {kind}")
    given = np.array(struct.unpack_from(f">{_PARAMETERS[kind]}i", tag, 12)) / 65536
    g, a, b, c, d, e, f = (*given, *np.zeros(7))[:7]
    if kind == 0:
        return np.asarray(CODES**g)
    if kind in (1, 2):
        # Type 2 has one more number, added throughout.
        c, d, e, f = 0.0, -b / a if a else 0.0, given[3] if kind == 2 else 0.0, 0.0
        f = e
    upper = np.maximum(a * CODES + b, 0) ** g + e
    return np.asarray(np.where(d <= CODES, upper, c * CODES + f))
