"""Chroma planes at full size, from small predicted colour and the film's luma.

    u, v = render_chroma(frame.luma, guide, ab, space, size=(960, 540), guide_space=small_space)

    ab, luma (small) -> Cb, Cr in the gamut -> slope and offset over luma -> enlarged
        -> slope x luma + offset, at full size -> held in the gamut, faded -> codes

Source: the local linear model of He, Sun and Tang, "Guided Image Filtering" (2013), in its fast
form (2015), used as pan-sharpening uses it: for detail alone.
"""

from __future__ import annotations

import threading
from itertools import repeat
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.color import ColorSpace
from vidcolor.frames import Plane
from vidcolor.resample import Image, Size, enlarge, shrink

Floats = NDArray[np.float32]

GUIDE_RADIUS = 4
"""Half side of the window that colour is compared with luma in, in samples of the small guide."""
GUIDE_EPSILON = 1e-3
"""Luma variance below which a window counts as flat (luma in 0..1)."""
GUIDE_BLUR_SHARE = 0.01
"""How blurred predicted colour is taken to be: the standard deviation as a share of the guide's
long side. On 16 natural films shrunk to 96 x 96 and enlarged again, the RMS error was 1.93 codes
with this (1.95 enlarged bilinearly, 3.00 by the guided filter itself), 2.81 (3.07, 3.62) when they
had also been blurred by one sample there, 4.21 (4.40, 4.62) when by two."""

LEAST_BLUR = 0.5
"""Standard deviation of the softened guide in the tiniest pictures, samples."""
TINY_SPREAD = 1e-7
"""Variance of chroma, in -0.5..0.5, that counts as none; a tenth of a code, squared."""
NEIGHBOURS = np.ones((5, 5), np.uint8)
"""Samples of the guide that chroma may take its extremes from."""
IN_GAMUT = 0.999
"""Gamut scale from which a colour counts as fitting."""
HELD_HALVINGS = 8
"""Saturation at the gamut's border is found to one part in 2 ** 8."""

ROUNDING = 9 / 16
"""What is added before a fraction is cut off. Means of four codes often end in a half: from there,
who reckons, and in what order, would decide."""

BAND_ROWS = 32
"""Rows rendered at a time: their temporaries stay in the processor's cache."""


def render_chroma(
    luma: Plane,
    guide: NDArray[np.uint8],
    ab: Floats,
    space: ColorSpace,
    *,
    size: tuple[int, int],
    guide_space: ColorSpace,
) -> tuple[Plane, Plane]:
    """Enlarge small colour to the chroma planes' size so that it ends where luma does.

    luma: the frame's own plane (H, W). guide: the small luma (h, w), 8 bits. ab: (2, h', w'), Lab
    units, of the same picture, no larger. size: (width, height) of the planes. Returns U and V
    codes. Shadows and highlights fade to neutral; what the gamut can't hold at its luma loses
    saturation, never hue.
    """
    y = shrink(luma, size)
    guide_light = guide_space.normalize(guide)
    soft = soften(guide_light)
    # Softened it has no more detail than colour has: chroma is reckoned at colour's size.
    codes = soft_codes(shrink(soft, ab.shape[:0:-1]), guide_space)
    chroma = enlarge(held_chroma(codes, ab, guide_space), guide.shape[::-1])
    coefficients = guided_coefficients(guide_light, soft, chroma)
    small = [plane for each in coefficients for plane in split(each)]
    planes = [enlarge(*each) for each in zip(small, repeat(size), scratch(size), strict=False)]
    slopes, offsets = planes[:2], planes[2:]
    u, v = np.empty_like(y), np.empty_like(y)
    cb, cr = (np.empty((BAND_ROWS, size[0]), np.float32) for _ in range(2))
    for top in range(0, len(y), BAND_ROWS):
        band = slice(top, top + BAND_ROWS)
        light, fade = (looked_up(table, y[band]) for table in space.light_and_fade)
        blue, red = cb[: len(light)], cr[: len(light)]
        for plane, slope, offset in zip((blue, red), slopes, offsets, strict=True):
            np.multiply(slope[band], light, out=plane)
            plane += offset[band]
        hold_in_gamut(fade, light, *rgb_extremes(blue, red, space))
        blue *= fade
        red *= fade
        u[band], v[band] = space.quantize(blue), space.quantize(red)
    return u, v


def soft_codes(light: Floats, space: ColorSpace) -> NDArray[np.uint8]:
    """Luma codes of light in 0..1, for a space of 8 bits."""
    codes = light * np.float32(space.luma_span) + np.float32(space.luma_offset + ROUNDING)
    return codes.astype(np.uint8)


def looked_up(table: Floats, codes: Plane) -> Floats:
    """The entries of a table that has one for every value of the codes' dtype."""
    return cast(Floats, cv2.LUT(codes, table))


def scratch(size: Size) -> list[Floats]:
    """Four planes of `size`, this thread's own, for what is done with before the next picture.

    They are large: taken anew for each, their memory would come from the system page by page.
    """
    kept: list[Floats] = getattr(_of_thread, "scratch", [])
    if not kept or kept[0].shape[::-1] != size:
        kept = _of_thread.scratch = [np.empty(size[::-1], np.float32) for _ in range(4)]
    return kept


_of_thread = threading.local()


def held_chroma(luma: NDArray[np.uint8], ab: Floats, space: ColorSpace) -> Floats:
    """`ColorSpace.chroma` of colours as saturated as the gamut allows at their luma, of the hue
    that was asked for.

    luma: codes (h, w). ab: (2, h, w). Returns (h, w, 2). Scaling Cb and Cr instead would keep the
    hue of the matrix, but turn CIE's by up to 37 degrees, blues into purples.
    """
    chroma = space.chroma(luma, ab)
    out = gamut_scale(space.normalize(luma), chroma[..., 0], chroma[..., 1], space) < IN_GAMUT
    if out.any():
        codes, wanted = luma[out][None], ab[:, out][:, None]
        light = space.normalize(codes)
        inside, step = np.zeros_like(light), np.float32(1)
        for _ in range(HELD_HALVINGS):
            step *= np.float32(0.5)
            tried = space.chroma(codes, wanted * (inside + step))
            fit = gamut_scale(light, tried[..., 0], tried[..., 1], space) >= IN_GAMUT
            inside = np.where(fit, inside + step, inside)
        chroma[out] = space.chroma(codes, wanted * inside)[0]
    return chroma


def guided_coefficients(guide: Floats, soft: Floats, chroma: Floats) -> tuple[Floats, Floats]:
    """Slope and offset (h, w, 2) of chroma over luma around each pixel: slope x guide + offset is
    the chroma with the edges of the guide.

    guide: (h, w) in 0..1; soft: the same softened; chroma: (h, w, 2), as blurred as that.

        chroma + slope x (guide - softened guide)

    The slope is that of the guided filter (He et al. 2013, equation 5), measured against a guide as
    blurred as the chroma is, and lessened by how much of the chroma luma explains (r squared). What
    luma doesn't explain stays as it is, where the guided filter would smooth it away; and colour
    goes no further than the colours beside it, so that no halo stands at an edge.
    """
    mean = box(soft)
    spread = box(soft * soft) - mean * mean + np.float32(GUIDE_EPSILON)
    # A plane at a time: numpy is slow over pairs.
    planes = [guided_plane(guide, soft, mean, spread, plane) for plane in split(chroma)]
    slopes, offsets = zip(*planes, strict=True)
    return np.asarray(cv2.merge(slopes), np.float32), np.asarray(cv2.merge(offsets), np.float32)


def split(planes: Floats) -> list[Floats]:
    """(h, w, n) -> n of (h, w)."""
    return cast(list[Floats], cv2.split(planes))


def guided_plane(
    guide: Floats, soft: Floats, mean: Floats, spread: Floats, chroma: Floats
) -> tuple[Floats, Floats]:
    """Slope and offset (h, w) of one plane of chroma. mean, spread: of the softened guide over the
    window."""
    mean_chroma = box(chroma)
    covariance = box(chroma * soft) - mean_chroma * mean
    chroma_spread = box(chroma * chroma) - mean_chroma * mean_chroma
    slope = np.asarray(covariance / spread, np.float32)
    explained = slope * covariance
    explained /= np.maximum(chroma_spread, 0) + np.float32(TINY_SPREAD)
    slope *= np.clip(explained, 0, 1, out=explained)
    slope *= within_neighbours(chroma, slope * (guide - soft))
    slope = np.asarray(cv2.blur(slope, (3, 3), borderType=cv2.BORDER_REPLICATE), np.float32)
    return slope, np.asarray(chroma - slope * soft, np.float32)


def within_neighbours(chroma: Floats, detail: Floats) -> Floats:
    """Factors 0..1 that keep chroma + detail, (h, w), between the least and the greatest chroma
    around."""
    least, greatest = cv2.erode(chroma, NEIGHBOURS), cv2.dilate(chroma, NEIGHBOURS)
    room = np.where(detail > 0, greatest - chroma, chroma - least)
    size = np.abs(detail)
    return np.asarray(np.minimum(room, size) / np.maximum(size, np.float32(1e-9)), np.float32)


def soften(guide: Image) -> Image:
    """Blur a guide (h, w) as much as predicted colour is taken to be."""
    sigma = max(LEAST_BLUR, GUIDE_BLUR_SHARE * max(guide.shape))
    return cast(Image, cv2.GaussianBlur(guide, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def box(values: Floats) -> Floats:
    """Mean over the guide's window, edges replicated."""
    side = 2 * GUIDE_RADIUS + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)


def gamut_scale(y: Floats, cb: Floats, cr: Floats, space: ColorSpace) -> Floats:
    """The largest factor, at most 1, that keeps R'G'B' of (y, cb, cr) within 0..1."""
    return scale_within(y, *rgb_extremes(cb, cr, space))


def scale_within(y: Floats, most: Floats, least: Floats) -> Floats:
    """`gamut_scale` of what `rgb_extremes` gives."""
    # At least the room itself, so that the quotients below are at most 1.
    above = np.maximum(most, 1 - y)
    below = np.maximum(-least, y)
    tiny = np.float32(1e-6)
    scale = np.minimum((1 - y + tiny) / (above + tiny), (y + tiny) / (below + tiny))
    return np.asarray(scale, np.float32)


def hold_in_gamut(factor: Floats, y: Floats, most: Floats, least: Floats) -> None:
    """Multiply factors (h, w) by `scale_within`, most of which is 1 in most pictures."""
    out = np.flatnonzero((most > 1 - y) | (-least > y))
    if len(out) > FEW_SHARE * y.size:
        factor *= scale_within(y, most, least)
    elif len(out):
        factor.ravel()[out] *= scale_within(*(each.ravel()[out] for each in (y, most, least)))


FEW_SHARE = 0.05
"""Share of samples up to which picking them out is quicker than reckoning all."""


def rgb_extremes(cb: Floats, cr: Floats, space: ColorSpace) -> tuple[Floats, Floats]:
    """The most and the least that R'G'B' of (y, cb, cr) differs from y."""
    red = cr * np.float32(2 * (1 - space.kr))
    blue = cb * np.float32(2 * (1 - space.kb))
    green = red * np.float32(-space.kr / (1 - space.kr - space.kb))
    green -= blue * np.float32(space.kb / (1 - space.kr - space.kb))
    most, least = np.maximum(red, green), np.minimum(red, green)
    return np.maximum(most, blue, out=most), np.minimum(least, blue, out=least)
