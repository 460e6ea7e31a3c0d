"""Measures against scikit-image and a direct transcription of their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tests.tolerances import CIEDE2000, SSIM
from vidcolor.metrics import (
    FlowPair,
    argmax_accuracy,
    auc,
    ciede2000,
    colorfulness,
    psnr,
    ssim,
    warp_error_ab,
)


def test_psnr_is_scikit_images():
    rng = np.random.default_rng(0)
    one, other = (rng.random((20, 30, 3)).astype(np.float32) for _ in range(2))
    assert psnr(one, other) == pytest.approx(peak_signal_noise_ratio(other, one, data_range=1))
    assert psnr(one, one) == math.inf
    with pytest.raises(ValueError, match="shape"):
        psnr(one, other[:10])


def image_pairs():
    """Two RGB images each, by name: alike, unlike, dark, flat."""
    rng = np.random.default_rng(3)
    smooth = np.sin(np.mgrid[:40, :52].sum(0) / 5)[..., None] * [0.2, 0.3, 0.4] + 0.5
    noise = rng.normal(0, 1, smooth.shape)
    return {
        "noisy": (smooth, smooth + 0.05 * noise),
        "equal": (smooth, smooth),
        "dark": (smooth / 100, (smooth + 0.3 * noise) / 100),
        "bright": (1 - smooth / 200, 1 - (smooth + 0.1 * noise) / 200),
        "flat": (np.full_like(smooth, 0.999), np.full_like(smooth, 0.995)),
        "unlike": (rng.random(smooth.shape), rng.random(smooth.shape)),
        "against": (smooth, 1 - smooth),
        "smallest": (smooth[:7, :8], smooth[1:8, 2:10]),
    }


@pytest.mark.parametrize("name", image_pairs())
def test_ssim_is_scikit_images(name):
    one, other = (x.clip(0, 1).astype(np.float32) for x in image_pairs()[name])
    judged = structural_similarity(
        one.astype(np.float64), other.astype(np.float64), channel_axis=2, data_range=1
    )
    assert ssim(one, other) == pytest.approx(judged, abs=SSIM)


def test_ssim_of_what_cannot_be_compared():
    image = np.zeros((20, 20, 3), np.float32)
    for one, other in ((image, image[:10]), (image[:6], image[:6])):
        with pytest.raises(ValueError, match="at least 7 pixels"):
            ssim(one, other)


SHARMA = [
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, 3.1571, -77.2803), (50, 0, -82.7485), 2.8615),
    ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0000),
    ((50, 0, 0), (50, -1, 2), 2.3669),
    ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
    ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
    ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]
"""Of the pairs published with the formula: Lab, Lab, their difference to 4 digits."""


def test_ciede2000_of_the_published_pairs():
    one, other, published = (np.array(column, np.float32) for column in zip(*SHARMA, strict=True))
    found = ciede2000(one[None], other[None])[0]
    np.testing.assert_allclose(found, published, atol=1e-4)
    np.testing.assert_allclose(ciede2000(other[None], one[None])[0], published, atol=1e-4)


@pytest.mark.parametrize("spread", [0.5, 5, 200])
def test_ciede2000_is_scikit_images(spread):
    rng = np.random.default_rng(4)
    one = rng.uniform((0, -100, -100), (100, 100, 100), (200, 200, 3)).astype(np.float32)
    one[:20, :, 1:] = 0
    other = (one + rng.uniform(-spread, spread, one.shape)).astype(np.float32)
    other[10:30, :, 1:] = 0
    judged = deltaE_ciede2000(one.astype(np.float64), other.astype(np.float64))
    error = abs(ciede2000(one, other) - judged)
    assert error.max() < CIEDE2000, np.percentile(error, [50, 99, 100])
    assert ciede2000(one, one).max() == 0


def test_auc_transcribed():
    rng = np.random.default_rng(5)
    truth = rng.uniform(-60, 60, (12, 10, 2)).astype(np.float32)
    ab = (truth + rng.normal(0, 50, truth.shape)).astype(np.float32)
    truth[:3] = np.rint(truth[:3])
    ab[:3] = truth[:3] + np.array([[[0, 0]], [[150, 0]], [[3, 4]]], np.float32)
    weights = rng.uniform(0.01, 50, (12, 10)).astype(np.float32)
    errors = np.sqrt(((ab.astype(np.float64) - truth) ** 2).sum(2))
    for given in (None, weights):
        counts = np.ones((12, 10)) if given is None else given.astype(np.float64)
        shares = [counts[errors < t].sum() / counts.sum() for t in range(151)]
        assert auc(ab, truth, given) == pytest.approx(np.mean(shares), abs=1e-6)
    assert auc(truth, truth) == pytest.approx(150 / 151)
    assert auc(truth + 150, truth) == 0


def test_argmax_accuracy_transcribed():
    rng = np.random.default_rng(6)
    ab, truth = (rng.integers(-3, 4, (30, 40, 2)).astype(np.float32) for _ in range(2))
    same = [
        np.argmax(one) == np.argmax(other)
        for one, other in zip(ab.reshape(-1, 2), truth.reshape(-1, 2), strict=True)
    ]
    assert argmax_accuracy(ab, truth) == pytest.approx(np.mean(same))
    assert 0.4 < np.mean(same) < 0.7
    assert argmax_accuracy(truth, truth) == 1


def test_colorfulness_transcribed():
    image = np.random.default_rng(1).random((16, 16, 3)).astype(np.float32)
    r, g, b = (image[..., c].astype(np.float64) * 255 for c in range(3))
    rg, yb = abs(r - g), abs(0.5 * (r + g) - b)
    expected = np.sqrt(np.var(rg) + np.var(yb)) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
    assert colorfulness(image) == pytest.approx(expected)
    assert colorfulness(np.full((8, 8, 3), 0.4, np.float32)) == 0


def moving_texture(shift):
    import cv2

    noise = np.random.default_rng(2).random((80, 140)).astype(np.float32)
    wide = (cv2.GaussianBlur(noise, (0, 0), 2) * 1400 - 600).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(wide[:, shift : shift + 120])


def test_colour_that_moves_along_has_no_warp_error():
    one, other = moving_texture(0), moving_texture(3)
    flow = FlowPair.measure(one, other)
    assert flow.visible.mean() > 0.7
    here, there = (np.dstack([g, g]).astype(np.float32) / np.float32(8) for g in (one, other))
    assert warp_error_ab(here, there, flow) < 0.7
    flat = np.zeros((80, 120, 2), np.float32)
    assert warp_error_ab(flat, flat + np.array([3, 4], np.float32), flow) == pytest.approx(5)
    assert warp_error_ab(here, here, flow) > 3 * warp_error_ab(here, there, flow)
