"""Colour arithmetic against outside judges: scikit-image's Lab and the standards' own formulas."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import color as judge

from tests import tolerances
from vidcolor.color import SHADOW_FADE, ColorSpace, tone_fade
from vidcolor.frames import ColorTags
from vidcolor.rendering import gamut_scale, render_chroma

BT709 = ColorTags(matrix=1, primaries=1, transfer=1, full_range=False)
BT601 = ColorTags(matrix=6, primaries=6, transfer=6, full_range=False)
JPEG = ColorTags(matrix=5, primaries=1, transfer=13, full_range=True)
PQ_2020 = ColorTags(matrix=9, primaries=9, transfer=16, full_range=False)
HLG_2020 = ColorTags(matrix=9, primaries=9, transfer=18, full_range=False)
ALL = [BT709, BT601, JPEG, PQ_2020, HLG_2020]


def rgb_of(y, chroma, space):
    """R'G'B' (h, w, 3) of luma in 0..1 and Cb, Cr, straight from the matrix's definition."""
    cb, cr = chroma[..., 0].astype(np.float64), chroma[..., 1].astype(np.float64)
    red, blue = y + 2 * (1 - space.kr) * cr, y + 2 * (1 - space.kb) * cb
    green = (y - space.kr * red - space.kb * blue) / (1 - space.kr - space.kb)
    return np.stack([red, green, blue], -1)


@pytest.mark.parametrize("tags", [BT709, BT601, JPEG])
@pytest.mark.parametrize("bit_depth", [8, 10])
def test_lightness_of_gray_is_cie_lightness(tags, bit_depth):
    space = ColorSpace(tags, bit_depth=bit_depth)
    codes = np.arange(1 << bit_depth, dtype=np.uint8 if bit_depth == 8 else np.uint16)
    gray = space.normalize(codes).astype(np.float64)
    expected = judge.rgb2lab(np.repeat(gray[None, :, None], 3, axis=2))[0, :, 0]
    np.testing.assert_allclose(space.lightness(codes), expected, atol=tolerances.LAB)


@pytest.mark.parametrize("tags", [BT709, BT601, JPEG])
def test_chroma_is_that_of_the_lab_color(tags):
    space = ColorSpace(tags, bit_depth=8)
    luma = np.full((1, 5), 128, np.uint8)
    ab = np.array([[[0, 20, -15, 10, 5]], [[0, 10, 15, -20, 25]]], np.float32)
    lab = np.dstack([space.lightness(luma), ab[0], ab[1]]).astype(np.float64)
    rgb = judge.lab2rgb(lab)
    y = rgb @ [space.kr, 1 - space.kr - space.kb, space.kb]
    cb = (rgb[..., 2] - y) / (2 * (1 - space.kb))
    cr = (rgb[..., 0] - y) / (2 * (1 - space.kr))
    np.testing.assert_allclose(
        space.chroma(luma, ab), np.stack([cb, cr], -1), atol=tolerances.CHROMA
    )


@pytest.mark.parametrize("tags", ALL)
@pytest.mark.parametrize("bit_depth", [8, 10, 12])
def test_no_color_is_exactly_neutral(tags, bit_depth):
    space, small = ColorSpace(tags, bit_depth=bit_depth), ColorSpace(tags, bit_depth=8)
    codes = np.random.default_rng(0).integers(0, 1 << bit_depth, (48, 64))
    luma = codes.astype(np.uint8) if bit_depth == 8 else codes.astype(np.uint16)
    guide = (luma[::4, ::4] >> (bit_depth - 8)).astype(np.uint8)
    ab = np.zeros((2, 12, 16), np.float32)
    planes = render_chroma(luma, guide, ab, space, size=(32, 24), guide_space=small)
    for plane in planes:
        assert plane.shape == (24, 32)
        assert np.all(plane == 128 << (bit_depth - 8)), np.unique(plane)


@pytest.mark.parametrize("tags", ALL)
def test_a_colored_sky_is_blue_in_every_space(tags):
    """The sign and rough size of a saturated colour survive each transfer curve and matrix."""
    space = ColorSpace(tags, bit_depth=8)
    luma = np.full((1, 1), 130, np.uint8)
    cb, cr = space.chroma(luma, np.array([[[-5.0]], [[-35.0]]], np.float32))[0, 0]
    assert 0.03 < cb < 0.4
    assert -0.35 < cr < 0


def test_gamut_scale_holds_rgb_inside_and_keeps_direction():
    space = ColorSpace(BT709, bit_depth=8)
    rng = np.random.default_rng(1)
    y = rng.random((64, 64), np.float32)
    cb, cr = ((rng.random((64, 64), np.float32) - 0.5) * 1.4 for _ in range(2))
    scale = gamut_scale(y, cb, cr, space)
    rgb = rgb_of(y, np.dstack([cb * scale, cr * scale]), space)
    assert rgb.min() > -tolerances.GAMUT
    assert rgb.max() < 1 + tolerances.GAMUT
    assert np.all(scale <= 1)
    assert np.all(scale >= 0)
    inside = rgb_of(y, np.dstack([cb, cr]), space)
    fits = (inside.min(-1) > 0.001) & (inside.max(-1) < 0.999)
    assert fits.any()
    np.testing.assert_array_equal(scale[fits], 1)


def test_shadows_and_highlights_fade_to_neutral():
    fade = tone_fade(np.linspace(0, 1, 101, dtype=np.float32))
    assert fade[0] == fade[3] == fade[100] == 0
    np.testing.assert_array_equal(fade[20:94], 1)
    assert np.all(np.diff(fade[:50]) >= 0)


WHITE = 203
"""BT.2408: cd/m2 of diffuse white in high dynamic range."""


def shown_pq(code):
    """BT.2100 table 4: cd/m2 of code values."""
    root = code ** (1 / 78.84375)
    light = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return 10000 * light ** (1 / 0.1593017578125)


def shown_hlg(code):
    """BT.2100 table 5: cd/m2 on a screen of 1000, of code values (..., 3)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    luminance = scene @ [0.2627, 0.6780, 0.0593]
    return 1000 * luminance[..., None] ** 0.2 * scene


@pytest.mark.parametrize(("tags", "shown"), [(PQ_2020, shown_pq), (HLG_2020, shown_hlg)])
def test_colors_of_high_range_are_those_of_standard_range(tags, shown):
    """What a screen shows, beside diffuse white, is the colour that was asked for."""
    space = ColorSpace(tags, bit_depth=10)
    codes = np.arange(64, 940, dtype=np.uint16)
    gray = shown(np.repeat(space.normalize(codes).astype(float)[:, None], 3, axis=1))[:, 0] / WHITE
    curve = 116 * np.where(gray > 216 / 24389, np.cbrt(gray), gray * 841 / 108 + 4 / 29) - 16
    np.testing.assert_allclose(space.lightness(codes), np.clip(curve, 0, 100), atol=0.2)
    luma = codes[(curve > 20) & (curve < 110)][:, None]
    angles = np.arange(0, 2 * np.pi, np.pi / 8)
    ab = np.stack([20 * np.cos(angles), 20 * np.sin(angles)])
    wide = np.repeat(luma, len(angles), axis=1)
    asked = np.repeat(ab[:, None, :], len(luma), axis=1).astype(np.float32)
    rgb = rgb_of(space.normalize(wide).astype(float), space.chroma(wide, asked), space)
    xyz = shown(rgb) / WHITE @ BT2020_TO_XYZ.T
    lab = judge.xyz2lab(xyz)
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    np.testing.assert_allclose(chroma, 20, rtol=tolerances.KEPT_LUMA_CHROMA)
    turned = np.arctan2(lab[..., 2], lab[..., 1]) - angles
    turned = np.degrees((turned + np.pi) % (2 * np.pi) - np.pi)
    assert np.abs(turned).max() < tolerances.KEPT_LUMA_HUE
    true = np.repeat(curve[(curve > 20) & (curve < 110)][:, None], len(angles), axis=1)
    assert np.abs(lab[..., 0] - true).max() < tolerances.KEPT_LUMA_LIGHTNESS


BT2020_TO_XYZ = np.array(
    [
        [0.636958, 0.144617, 0.168881],
        [0.262700, 0.677998, 0.059302],
        [0.000000, 0.028073, 1.060985],
    ]
)


@pytest.mark.parametrize(("tags", "shown"), [(PQ_2020, shown_pq), (HLG_2020, shown_hlg)])
def test_shadows_of_the_same_light_fade_alike(tags, shown):
    space = ColorSpace(tags, bit_depth=10)
    luma = np.linspace(0.05, 0.5, 300, dtype=np.float32)
    light = shown(np.repeat(luma.astype(float)[:, None], 3, axis=1))[:, 0] / WHITE
    low, high = SHADOW_FADE[0] / 12.92, ((SHADOW_FADE[1] + 0.055) / 1.055) ** 2.4
    fade = tone_fade(luma, space.shadow_fade)
    assert np.all(fade[light > high * 1.01] == 1)
    assert np.all(fade[light < low / 2] < 0.02)
    assert np.all(np.diff(fade) >= 0)
    assert ColorSpace(BT709, bit_depth=10).shadow_fade == SHADOW_FADE


def test_color_ends_where_the_object_ends():
    """A coloured disc, known only at an eighth of the size, must not bleed over its edge."""
    ys, xs = np.mgrid[:256, :256]
    disc = (ys - 128) ** 2 + (xs - 128) ** 2 < 80**2
    luma = np.where(disc, 150, 80).astype(np.uint8)
    space = ColorSpace(BT709, bit_depth=8)
    share = disc.reshape(32, 8, 32, 8).mean((1, 3)).astype(np.float32)
    guide = luma.reshape(32, 8, 32, 8).mean((1, 3)).round().astype(np.uint8)
    ab = np.stack([30 * share, 20 * share])
    _, v = render_chroma(luma, guide, ab, space, size=(128, 128), guide_space=space)
    small = disc[::2, ::2]
    ring = (np.hypot(ys - 128, xs - 128)[::2, ::2] > 83) & (
        np.hypot(ys - 128, xs - 128)[::2, ::2] < 96
    )
    core = np.median(v[small].astype(int)) - 128
    spill = np.abs(v[ring].astype(int) - 128).mean()
    assert core > 12, core
    assert spill < 0.25 * core, (spill, core)


def test_lightness_mode_keeps_cie_lightness():
    space = ColorSpace(BT709, bit_depth=8)
    luma = np.tile(np.linspace(60, 200, 32).astype(np.uint8), (8, 1))
    ab = np.broadcast_to(np.array([15, 10], np.float32)[:, None, None], (2, 8, 32)).copy()
    y, chroma = space.planes_with_lightness(luma, ab)
    rgb = np.clip(rgb_of(space.normalize(y), chroma, space), 0, 1)
    lab = judge.rgb2lab(rgb)
    assert np.abs(lab[..., 0] - space.lightness(luma)).max() < tolerances.LIGHTNESS_8_BITS
    assert np.abs(lab[..., 1] - 15).max() < 1.5
