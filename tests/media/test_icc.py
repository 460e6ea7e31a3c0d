"""Profiles: what they say of samples, with Little CMS as the outside judge."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from tests import tolerances
from tests.pictures import (
    ADOBE,
    P3,
    colours,
    gamma_tag,
    gray_profile,
    lab_by_lcms,
    parametric_tag,
    profile,
    rgb_profile,
    sampled_tag,
)
from vidcolor.color import RgbSpace
from vidcolor.media.icc import gray_curve, meaning_of, rgb_space, srgb_profile

RGB_PROFILES = {
    "srgb": srgb_profile(),
    "adobe": rgb_profile(ADOBE, gamma=2.19921875),
    "p3": rgb_profile(P3),
    "gamma 1.8": rgb_profile(P3, gamma=1.8),
}
GRAY_PROFILES = {
    "gamma 2.2": gray_profile(gamma_tag(2.2)),
    "dot gain": gray_profile(sampled_tag(np.linspace(0, 1, 64) ** 1.7)),
    "straight in L": gray_profile(sampled_tag(np.linspace(0, 1, 256)), pcs=b"Lab "),
}


@pytest.mark.parametrize("name", RGB_PROFILES)
def test_colours_mean_what_little_cms_says(name):
    icc = RGB_PROFILES[name]
    pixels = (colours(120, 90) >> 8).astype(np.uint8)
    meaning = meaning_of(icc, gray=False)
    difference = np.abs(meaning.space.lab(pixels) - lab_by_lcms(pixels, icc))
    assert difference[..., 0].max() < tolerances.LITTLE_CMS_L, difference.max((0, 1))
    assert difference[..., 1:].max() < tolerances.LITTLE_CMS_AB, difference.max((0, 1))
    assert meaning.icc == icc


@pytest.mark.parametrize("name", GRAY_PROFILES)
def test_gray_means_what_little_cms_says_and_becomes_srgb(name):
    icc = GRAY_PROFILES[name]
    ramp = np.arange(256, dtype=np.uint8)[None]
    meaning = meaning_of(icc, gray=True)
    lab = meaning.space.lab(ramp)
    assert np.abs(lab - lab_by_lcms(ramp, icc))[..., 0].max() < tolerances.LITTLE_CMS_L
    assert meaning.icc == srgb_profile()
    # The output's numbers, read by the profile that it gets, show the same gray.
    rgb = meaning.space.rgb(meaning.space.root(ramp), np.zeros_like(lab[..., 0]), lab[..., 1])
    shown = lab_by_lcms(np.rint(rgb * 255).astype(np.uint8), srgb_profile())
    assert np.abs(shown - lab).max() < tolerances.LITTLE_CMS_L + 0.3


@pytest.mark.parametrize(
    ("kind", "parameters", "formula"),
    [
        (0, (1.8,), lambda x: x**1.8),
        (1, (2.0, 0.9, 0.1), lambda x: np.where(x >= -0.1 / 0.9, (0.9 * x + 0.1) ** 2, 0)),
        (2, (2.0, 0.8, -0.1, 0.2), lambda x: np.maximum(0.8 * x - 0.1, 0) ** 2 + 0.2),
        (
            3,
            (2.4, 0.95, 0.05, 0.07, 0.0625),
            lambda x: np.where(x < 0.0625, 0.07 * x, (0.95 * x + 0.05) ** 2.4),
        ),
        (
            4,
            (2.4, 0.9, 0.05, 0.08, 0.0625, 0.03, 0.01),
            lambda x: np.where(x < 0.0625, 0.08 * x + 0.01, (0.9 * x + 0.05) ** 2.4 + 0.03),
        ),
    ],
)
def test_parametric_curves_follow_the_standards_formulas(kind, parameters, formula):
    curve = gray_curve(gray_profile(parametric_tag(kind, parameters)))
    np.testing.assert_allclose(curve, formula(np.linspace(0, 1, 65536)), atol=5e-5)


def test_samples_without_a_profile_are_srgb_under_their_own_white():
    meaning = meaning_of(None, gray=False)
    assert meaning.icc is None
    pixels = (colours(40, 30) >> 8).astype(np.uint8)
    np.testing.assert_array_equal(meaning.space.lab(pixels), RgbSpace.srgb().lab(pixels))


@pytest.mark.parametrize(
    "icc",
    [
        profile(b"RGB ", {b"A2B0": b"mft2" + bytes(60)}),
        rgb_profile(((0.5, 0.5, 0.5), (0.3, 0.3, 0.3), (0.1, 0.1, 0.1)), gamma=2.2),
        rgb_profile(P3, gamma=2.2)[:300],
        rgb_profile(P3, gamma=2.2)[:130],
    ],
    ids=["tables", "primaries on one point", "cut short", "no tags"],
)
def test_an_rgb_profile_that_cant_be_read_is_kept(icc):
    meaning = meaning_of(icc, gray=False)
    assert meaning.icc == icc
    pixels = (colours(40, 30) >> 8).astype(np.uint8)
    np.testing.assert_array_equal(meaning.space.lab(pixels), RgbSpace.srgb().lab(pixels))
    with pytest.raises((ValueError, struct.error)):
        rgb_space(icc)


@pytest.mark.parametrize("gray", [True, False])
@pytest.mark.parametrize(
    "icc", [b"too short", profile(b"CMYK", {}), gray_profile(sampled_tag(np.linspace(1, 0, 9)))]
)
def test_a_profile_for_other_samples_gives_way_to_srgbs(icc, gray):
    meaning = meaning_of(icc, gray=gray)
    assert meaning.icc == srgb_profile()
    ramp = np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_allclose(
        meaning.space.lab(ramp), RgbSpace.srgb().lab(ramp), atol=tolerances.LAB
    )


def test_srgbs_profile_is_the_same_every_time():
    before = srgb_profile()
    srgb_profile.cache_clear()
    assert srgb_profile() == before
