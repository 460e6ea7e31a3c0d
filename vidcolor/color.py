"""Colour arithmetic: luma to CIE lightness, ab to Cb and Cr, what samples mean.

    space = ColorSpace(info.tags, bit_depth=8)
    lightness = space.lightness(luma)                       # 0..100
    chroma = space.chroma(space.normalize(luma), ab)        # Cb, Cr in -0.5..0.5

`rendering` makes a film's chroma planes with it. Sources: CIE Lab with D65, IEC 61966-2-1 (sRGB),
ITU-R BT.601, BT.709, BT.2020, BT.2100, ITU-T H.273 for the code points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.frames import ColorTags, Plane

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

# Luma weights (Kr, Kb) by H.273 matrix code; a code that isn't here is read as BT.709.
LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}

D65 = np.array([0.95047, 1.0, 1.08883])
XYZ_TO_709 = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)
RGB_709_TO_2020 = np.array(
    [
        [0.627404, 0.329283, 0.043313],
        [0.069097, 0.919540, 0.011362],
        [0.016391, 0.088013, 0.895595],
    ]
)

SHADOW_FADE = (0.03, 0.20)
"""Luma of standard range between which colour fades in: networks paint deep shadows blue and
red."""
HIGHLIGHT_FADE = (0.94, 1.0)
"""Luma between which colour fades out; in high dynamic range, highlights far over white."""

PQ, HLG = 16, 18
REFERENCE_WHITE_PQ = 203 / 10000
"""BT.2408: diffuse white of HDR programmes, as a share of PQ's 10,000 cd/m2."""
REFERENCE_WHITE_HLG = 0.265
"""Scene light of HLG's reference white (75 % signal)."""
HLG_GAMMA = 1.2
"""BT.2100: a screen of 1000 cd/m2 shows the scene's luminance to this power, hue kept."""
HLG_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
"""BT.2100: shares of red, green and blue in it."""

TABLE_STEPS = 4096
"""Steps of a still's tables over the square root of light: errors are far under a 16-bit code."""
GAMUT_SLACK = 2e-6
"""How far light may lie outside 0..1 and still count as inside, for the rounding of float32."""
GAMUT_HALVINGS = 12
"""Saturation at the gamut's border is found to one part in 2 ** 12."""


@dataclass(frozen=True)
class Transfer:
    """A transfer curve between code values in 0..1 and the light that a screen shows, 1.0 being
    diffuse white."""

    decode: Callable[[Floats], Floats]
    """Of gray, any shape."""

    encode: Callable[[Floats], Floats]
    """Of red, green and blue, (..., 3)."""


class ColorSpace:
    """What one film's samples mean, from its tags and its depth."""

    def __init__(self, tags: ColorTags, *, bit_depth: int) -> None:
        self.tags = tags
        self.bit_depth = bit_depth
        scale = 1 << (bit_depth - 8)
        self.luma_offset = 0.0 if tags.full_range else 16.0 * scale
        self.luma_span = float((1 << bit_depth) - 1) if tags.full_range else 219.0 * scale
        self.chroma_center = 128 * scale
        self.chroma_span = float((1 << bit_depth) - 1) if tags.full_range else 224.0 * scale
        self.kr, self.kb = LUMA_WEIGHTS.get(tags.matrix, LUMA_WEIGHTS[1])
        self.transfer = TRANSFERS.get(tags.transfer, SRGB)
        rgb = XYZ_TO_709
        if tags.primaries == 9:
            rgb = RGB_709_TO_2020 @ rgb
        self._light_to_rgb = (rgb * D65).astype(np.float32)

    def normalize(self, luma: Plane | Floats) -> Floats:
        """Luma codes -> 0..1 between black and white, clipped; float32, same shape."""
        values = (luma.astype(np.float32) - self.luma_offset) / np.float32(self.luma_span)
        return np.clip(values, 0, 1, out=values)

    @cached_property
    def light_and_fade(self) -> tuple[Floats, Floats]:
        """Tables for cv2.LUT, an entry for every value of the planes' dtype: `normalize` of it, and
        `tone_fade` of that."""
        codes = np.arange(1 << (8 if self.bit_depth == 8 else 16), dtype=np.float32)
        light = self.normalize(codes)
        return light, tone_fade(light, self.shadow_fade)

    @cached_property
    def shadow_fade(self) -> tuple[float, float]:
        """SHADOW_FADE as luma of this film's transfer curve, at the same light."""
        if self.transfer is SRGB:
            return SHADOW_FADE
        light = srgb_decode(np.array(SHADOW_FADE, np.float32))
        low, high = self.transfer.encode(np.stack([light] * 3, axis=-1))[:, 0]
        return float(low), float(high)

    @cached_property
    def _cube_root_table(self) -> Floats:
        """(2**bit_depth,) f(Y/Yn) of CIE Lab for every luma code taken as gray."""
        codes = np.arange(1 << self.bit_depth, dtype=np.float32)
        return lab_root(self.transfer.decode(self.normalize(codes)))

    @cached_property
    def _light_table(self) -> Floats:
        """(2**bit_depth,) Y/Yn for every luma code taken as gray."""
        return lab_cube(self._cube_root_table)

    def lightness(self, luma: Plane) -> Floats:
        """CIE L (0..100) of luma codes taken as gray; float32, same shape."""
        return np.clip(116 * self._cube_root_table[luma] - 16, 0, 100)

    def chroma(self, luma: Plane, ab: Floats) -> Floats:
        """Cb and Cr of the colours Lab(L of luma as gray, a, b).

        luma: codes (h, w). ab: (2, h, w), Lab units.
        Returns (h, w, 2) float32, -0.5..0.5 inside the gamut, not clipped outside it.
        """
        fy = self._cube_root_table[luma]
        light = cv2.merge(
            [
                lab_cube(fy + ab[0] * np.float32(1 / 500)),
                self._light_table[luma],
                lab_cube(fy - ab[1] * np.float32(1 / 200)),
            ]
        )
        rgb = self.transfer.encode(np.asarray(cv2.transform(light, self._light_to_rgb), np.float32))
        return np.asarray(cv2.transform(rgb, self._rgb_to_chroma), np.float32)

    @cached_property
    def _rgb_to_chroma(self) -> Floats:
        kr, kb = self.kr, self.kb
        luma = np.array([kr, 1 - kr - kb, kb])
        cb = (np.array([0, 0, 1]) - luma) / (2 * (1 - kb))
        cr = (np.array([1, 0, 0]) - luma) / (2 * (1 - kr))
        return np.stack([cb, cr]).astype(np.float32)

    def quantize(self, chroma: Floats) -> Plane:
        """One plane of Cb or Cr in -0.5..0.5 -> codes, rounded to nearest and clipped."""
        if self.bit_depth == 8:  # one pass; chroma codes are never negative
            return np.asarray(
                cv2.convertScaleAbs(chroma, alpha=self.chroma_span, beta=self.chroma_center),
                np.uint8,
            )
        codes = chroma * np.float32(self.chroma_span) + np.float32(self.chroma_center + 0.5)
        limit = (1 << self.bit_depth) - 1
        return np.asarray(np.clip(codes, 0, limit), np.uint16)

    def rgb(self, y: Plane, u: Plane, v: Plane) -> Floats:
        """R'G'B' (h, w, 3) in 0..1 of three planes of one size, clipped to the gamut."""
        scale = np.float32(1 / self.chroma_span)
        cb, cr = ((plane.astype(np.float32) - self.chroma_center) * scale for plane in (u, v))
        luma = self.normalize(y)
        red, blue = luma + 2 * (1 - self.kr) * cr, luma + 2 * (1 - self.kb) * cb
        green = (luma - self.kr * red - self.kb * blue) / (1 - self.kr - self.kb)
        return np.asarray(np.clip(np.dstack([red, green, blue]), 0, 1), np.float32)

    def planes_with_lightness(self, luma: Plane, ab: Floats) -> tuple[Plane, Floats]:
        """The published networks' way: keep CIE L and let luma follow the colour.

        luma: codes (H, W). ab: (2, H, W). Returns the new luma codes (H, W) and Cb, Cr
        (H, W, 2) float32 of the same size, both inside the gamut (RGB clipped).
        """
        fy = self._cube_root_table[luma]
        light = cv2.merge(
            [
                lab_cube(fy + ab[0] / np.float32(500)),
                lab_cube(fy),
                lab_cube(fy - ab[1] / np.float32(200)),
            ]
        )
        rgb = self.transfer.encode(np.asarray(cv2.transform(light, self._light_to_rgb), np.float32))
        np.clip(rgb, 0, 1, out=rgb)
        weights = np.array([[self.kr, 1 - self.kr - self.kb, self.kb]], np.float32)
        y = np.asarray(cv2.transform(rgb, weights), np.float32)
        codes = np.rint(y * np.float32(self.luma_span) + np.float32(self.luma_offset))
        dtype = np.uint8 if self.bit_depth == 8 else np.uint16
        chroma = np.asarray(cv2.transform(rgb, self._rgb_to_chroma), np.float32)
        return codes.reshape(luma.shape).astype(dtype), chroma


class RgbSpace:
    """What the R'G'B' or gray samples of one still mean: tone curves, and primaries under a white.

        space = RgbSpace.srgb()
        root = space.root(pixels)                    # of gray or R'G'B', 8 or 16 bits
        rgb = space.rgb(root, a, b)                  # 0..1, the lightness of `root`

    Lightness travels as `lab_root` of the relative luminance, from 4/29 to 1: L is 116 root - 16.
    """

    def __init__(self, curves: Doubles, to_xyz: Doubles, gray: Doubles | None = None) -> None:
        """curves: (3, 65536) light in 0..1 of every 16-bit code of R, G and B, never falling.
        to_xyz: (3, 3) from light to XYZ; what R = G = B = 1 gives is the white of Lab.
        gray: (65536,) light of every code of a gray picture, where that is another one.
        """
        to_xyz = to_xyz / to_xyz.sum(1, keepdims=True)
        self._curves = curves.astype(np.float32)
        self._to_xyz = to_xyz.astype(np.float32)
        self._to_rgb = np.linalg.inv(to_xyz).astype(np.float32)
        lightest = np.tensordot(to_xyz[1], curves, 1) if gray is None else gray
        self._gray_roots = lab_root(lightest.astype(np.float32))
        # Over the square root of light, curves of every kind are close to straight between entries.
        light = np.linspace(0, 1, TABLE_STEPS + 1) ** 2
        codes = np.linspace(0, 1, curves.shape[1])
        self._encode = [np.interp(light, c, codes).astype(np.float32) for c in curves]
        self._root = lab_root(light.astype(np.float32))

    @classmethod
    def srgb(cls) -> RgbSpace:
        """IEC 61966-2-1, with its own white, D65."""
        codes = np.linspace(0, 1, 1 << 16)
        curve = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
        return cls(np.stack([curve] * 3), np.linalg.inv(XYZ_TO_709))

    def root(self, pixels: Plane) -> Floats:
        """`lab_root` of the luminance of gray (h, w) or R'G'B' (h, w, 3); uint8 or uint16."""
        step = 257 if pixels.dtype == np.uint8 else 1
        if pixels.ndim == 2:
            return np.asarray(self._gray_roots[::step][pixels], np.float32)
        shares = self._to_xyz[1][:, None] * self._curves[:, ::step]
        light = shares[0][pixels[..., 0]]
        light += shares[1][pixels[..., 1]]
        light += shares[2][pixels[..., 2]]
        return look_up(self._root, np.sqrt(light))

    def lab(self, pixels: Plane) -> Floats:
        """CIE Lab (h, w, 3) of gray (h, w) or R'G'B' (h, w, 3); uint8 or uint16."""
        root = self.root(pixels)
        if pixels.ndim == 2:
            return np.dstack([116 * root - 16, np.zeros_like(root), np.zeros_like(root)])
        step = 257 if pixels.dtype == np.uint8 else 1
        light = np.dstack([self._curves[c, ::step][pixels[..., c]] for c in range(3)])
        x, _, z = np.moveaxis(lab_root(np.asarray(light @ self._to_xyz.T, np.float32)), 2, 0)
        return np.dstack([116 * root - 16, 500 * (x - root), 200 * (root - z)])

    def rgb(self, root: Floats, a: Floats, b: Floats) -> Floats:
        """R'G'B' (h, w, 3) in 0..1 of the colours with this lightness, all (h, w).

        Colours out of the gamut lose saturation until they are in it, never lightness.
        """
        light = self._light(root, a, b)
        out = ~fits(light)
        if out.any():
            light[:, out] = self._held(root[out], a[out], b[out])
        np.sqrt(np.clip(light, 0, 1, out=light), out=light)
        return np.dstack([look_up(table, u) for table, u in zip(self._encode, light, strict=True)])

    def _light(self, root: Floats, a: Floats, b: Floats) -> Floats:
        """Light of R, G and B, (3, ...), of colours (...) of CIE Lab; not clipped."""
        xyz = np.empty((3, root.size), np.float32)
        xyz[0] = lab_cube(root + a * np.float32(1 / 500)).ravel()
        xyz[1] = lab_cube(root).ravel()
        xyz[2] = lab_cube(root - b * np.float32(1 / 200)).ravel()
        return (self._to_rgb @ xyz).reshape(3, *root.shape)

    def _held(self, root: Floats, a: Floats, b: Floats) -> Floats:
        """As `_light` of colours (n,), each as saturated as the gamut allows, found by halving."""
        inside = np.zeros_like(root)
        step = np.float32(1)
        for _ in range(GAMUT_HALVINGS):
            step *= np.float32(0.5)
            tried = inside + step
            inside = np.where(fits(self._light(root, tried * a, tried * b)), tried, inside)
        return self._light(root, inside * a, inside * b)


def fits(light: Floats) -> NDArray[np.bool_]:
    """Whether colours, as light of R, G and B (3, ...), lie in the gamut; (...)."""
    least, most = light.min(0), light.max(0)
    return np.asarray((least >= -GAMUT_SLACK) & (most <= 1 + GAMUT_SLACK), np.bool_)


def look_up(table: Floats, x: Floats) -> Floats:
    """Values of a table over 0..1 with even steps, straight between its entries."""
    place = x * np.float32(len(table) - 1)
    before = np.minimum(place.astype(np.int32), len(table) - 2)
    place -= before
    found = np.diff(table)[before]
    found *= place
    found += table[before]
    return np.asarray(found, np.float32)


def rgb_to_lab(rgb: Floats) -> Floats:
    """sRGB (h, w, 3) in 0..1 -> CIE Lab (h, w, 3), float32."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), np.float32)


def lab_to_rgb(lab: Floats) -> Floats:
    """CIE Lab (h, w, 3) -> sRGB (h, w, 3), clipped to 0..1, float32."""
    return np.asarray(np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1), np.float32)


def lab_root(light: Floats) -> Floats:
    """f of CIE Lab: the cube root with its straight toe; light relative to white."""
    toe = light * np.float32(841 / 108) + np.float32(4 / 29)
    return np.where(light > 216 / 24389, np.cbrt(light), toe).astype(np.float32)


def lab_cube(f: Floats) -> Floats:
    """The inverse of `lab_root`."""
    toe = (f - np.float32(4 / 29)) * np.float32(108 / 841)
    return np.where(f > 6 / 29, f * f * f, toe)


def srgb_decode(code: Floats) -> Floats:
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


def srgb_encode(light: Floats) -> Floats:
    """Odd about zero, so that colours outside the gamut keep their direction."""
    size = np.abs(light)
    curve = np.asarray(cv2.pow(size, 1 / 2.4), np.float32) * np.float32(1.055) - np.float32(0.055)
    return np.copysign(np.where(size <= 0.0031308, size * np.float32(12.92), curve), light)


def pq_decode(code: Floats) -> Floats:
    root = np.clip(code, 0, 1) ** (1 / 78.84375)
    light = (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578)
    return np.asarray(light / REFERENCE_WHITE_PQ, np.float32)


def pq_encode(light: Floats) -> Floats:
    power = np.clip(light * REFERENCE_WHITE_PQ, 0, 1) ** 0.1593017578
    return np.asarray(
        ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375, np.float32
    )


HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073


def hlg_decode(code: Floats) -> Floats:
    upper = (np.exp((np.maximum(code, 0.5) - HLG_C) / HLG_A) + HLG_B) / 12
    scene = np.where(code <= 0.5, code * code / 3, upper)
    return np.asarray((scene / REFERENCE_WHITE_HLG) ** HLG_GAMMA, np.float32)


def hlg_encode(light: Floats) -> Floats:
    luminance = np.maximum(light @ HLG_LUMINANCE, 1e-6)[..., None]
    scene = light * luminance ** np.float32(1 / HLG_GAMMA - 1) * REFERENCE_WHITE_HLG
    scene = np.maximum(scene, 0)
    upper = HLG_A * np.log(np.maximum(12 * scene, 1) - HLG_B) + HLG_C
    return np.asarray(np.where(scene <= 1 / 12, np.sqrt(3 * scene), upper), np.float32)


SRGB = Transfer(srgb_decode, srgb_encode)
"""Every standard-range curve is read as sRGB's: it is what the networks learned from, and what
screens show BT.709 and BT.601 with, near enough."""
TRANSFERS = {PQ: Transfer(pq_decode, pq_encode), HLG: Transfer(hlg_decode, hlg_encode)}


def tone_fade(y: Floats, shadow: tuple[float, float] = SHADOW_FADE) -> Floats:
    """Factor 0..1 that takes colour out of deep shadows and burnt highlights.

    shadow: the luma between which colour fades in.
    """
    low, high = (np.float32(edge) for edge in shadow)
    rise = np.clip((y - low) / (high - low), 0, 1)
    rise *= rise * (3 - 2 * rise)
    low, high = (np.float32(edge) for edge in HIGHLIGHT_FADE)
    return np.asarray(rise * np.clip((high - y) / (high - low), 0, 1), np.float32)
