"""The Lab arithmetic of stills against scikit-image, and its promise: lightness stays."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import color as judge

from tests import tolerances
from tests.pictures import ADOBE, P3, colours, rgb_profile
from vidcolor.color import RgbSpace, look_up
from vidcolor.media.icc import rgb_space

SPACES = {
    "srgb": RgbSpace.srgb(),
    "adobe": rgb_space(rgb_profile(ADOBE, gamma=2.19921875)),
    "p3": rgb_space(rgb_profile(P3)),
}


def random_lab(reach, shape=(90, 110)):
    """lab_root of the lightness, a and b: float32 planes."""
    rng = np.random.default_rng(0)
    lightness = rng.uniform(1, 99, shape)
    a, b = rng.uniform(-reach, reach, (2, *shape))
    return ((lightness + 16) / 116).astype(np.float32), a.astype(np.float32), b.astype(np.float32)


def codes(rgb, bits):
    return np.rint(rgb * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


@pytest.mark.parametrize("bits", [8, 16])
def test_lab_is_scikit_images(bits):
    pixels = codes(colours(60, 40) / 65535, bits)
    expected = judge.rgb2lab(pixels / (2**bits - 1))
    found = RgbSpace.srgb().lab(pixels)
    np.testing.assert_allclose(found, expected, atol=tolerances.STILL_LAB)
    np.testing.assert_allclose(
        116 * RgbSpace.srgb().root(pixels) - 16, expected[..., 0], atol=tolerances.STILL_LAB
    )


def test_colours_in_the_gamut_are_the_ones_asked_for():
    root, a, b = random_lab(8)
    middle = (root > 0.5) & (root < 0.9)
    found = judge.rgb2lab(RgbSpace.srgb().rgb(root, a, b).astype(np.float64))
    wanted = np.dstack([116 * root - 16, a, b])
    np.testing.assert_allclose(found[middle], wanted[middle], atol=tolerances.STILL_LAB)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("bits", [8, 16])
def test_lightness_stays_whatever_the_colour(name, bits):
    space = SPACES[name]
    root, a, b = random_lab(90)
    rgb = space.rgb(root, a, b)
    assert rgb.min() >= 0
    assert rgb.max() <= 1
    error = np.abs(116 * (space.root(codes(rgb, bits)) - root))
    assert error.max() < tolerances.STILL_LIGHTNESS[bits], np.percentile(error, (50, 99, 100))
    assert error.mean() < tolerances.STILL_LIGHTNESS_MEAN[bits]


def test_out_of_the_gamut_saturation_falls_and_hue_stays():
    root, a, b = random_lab(90)
    found = judge.rgb2lab(RgbSpace.srgb().rgb(root, a, b).astype(np.float64))
    wanted, kept = np.hypot(a, b), np.hypot(found[..., 1], found[..., 2])
    assert (kept <= wanted * 1.002 + 0.05).all()
    assert (kept < 0.9 * wanted).mean() > 0.3, "too few colours lay outside to tell"
    seen = kept > 5
    turn = np.angle(np.exp(1j * (np.arctan2(b, a) - np.arctan2(found[..., 2], found[..., 1]))))
    assert np.abs(turn[seen]).max() < 0.01
    # As far out as it goes: one of the channels is at its end.
    rgb = RgbSpace.srgb().rgb(root, a, b)[kept < 0.9 * wanted]
    at_the_end = np.minimum(rgb.min(-1), 1 - rgb.max(-1))
    assert np.percentile(at_the_end, 99) < 0.02


@pytest.mark.parametrize("name", SPACES)
def test_every_gray_comes_back_as_it_was(name):
    space = SPACES[name]
    ramp = np.arange(65536, dtype=np.uint16)[None]
    for pixels in (ramp, np.dstack([ramp] * 3)):
        root = space.root(pixels)
        back = codes(space.rgb(root, np.zeros_like(root), np.zeros_like(root)), 16)
        error = np.abs(back.astype(int) - ramp[..., None])[0].max(1)
        assert error[256:].max() <= 1
        # A pure power is infinitely steep at black.
        assert error[:256].max() <= 8
        assert (np.ptp(back.astype(int), axis=2) == 0).mean() > 0.999


def test_look_up_is_straight_between_entries():
    table = np.array([0, 1, 4, 9], np.float32)
    x = np.array([0, 1 / 6, 1 / 3, 0.5, 1], np.float32)
    np.testing.assert_allclose(look_up(table, x), [0, 0.5, 1, 2.5, 9], rtol=1e-6)
