"""Measures against scikit-image and a direct transcription of their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tests.tolerances import CIEDE2000, SSIM
from vidcolor.metrics import (
    ColorConsistency,
    FlowPair,
    argmax_accuracy,
    auc,
    ciede2000,
    colorfulness,
    psnr,
    ssim,
    warp,
    warp_error,
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


def slow_cdc(frames):
    """CDC by its definition, a number at a time, with all histograms at hand."""
    size = frames[0].shape[0] * frames[0].shape[1]
    means = []
    for channel in range(3):
        shares = [[(f[..., channel] == code).sum() / size for code in range(256)] for f in frames]
        for lag in (1, 2, 4):
            divergences = []
            for one, other in zip(shares, shares[lag:], strict=False):
                middle = [(p + q) / 2 for p, q in zip(one, other, strict=True)]
                kl = [
                    sum(p * math.log(p / m) for p, m in zip(each, middle, strict=True) if p > 0)
                    for each in (one, other)
                ]
                divergences.append(sum(kl) / 2)
            means.append(sum(divergences) / len(divergences))
    return sum(means) / len(means)


def test_color_consistency_transcribed():
    rng = np.random.default_rng(8)
    level = rng.integers(60, 190, 3)
    frames = [
        np.clip(rng.normal(level + 3 * n * np.array([1, 0, -1]), 12, (11, 13, 3)), 0, 255)
        for n in range(9)
    ]
    # A cut, a repeated frame and one flat colour.
    frames[5:] = [255 - frame for frame in frames[5:]]
    frames[3], frames[7] = frames[2], np.full((11, 13, 3), 77.0)
    codes = [frame.astype(np.uint8) for frame in frames]
    consistency = ColorConsistency()
    for count, image in enumerate(codes, 1):
        consistency.add(image)
        if count < 5:
            assert math.isnan(consistency.value)
        else:
            assert consistency.value == pytest.approx(slow_cdc(codes[:count]), rel=1e-12)


def test_color_consistency_of_extremes():
    still, switching = ColorConsistency(), ColorConsistency()
    for n in range(8):
        still.add(np.full((4, 4, 3), 9, np.uint8))
        switching.add(np.full((4, 4, 3), n, np.uint8))
    assert still.value == 0
    assert switching.value == pytest.approx(math.log(2))


def test_warp_error_transcribed():
    rng = np.random.default_rng(9)
    one, other = moving_texture(0), moving_texture(3)
    flow = FlowPair.measure(one, other)
    here, there = (rng.random((80, 120, 3)).astype(np.float32) for _ in range(2))
    warped = warp(there, flow.ahead)
    total = count = 0.0
    for y, x in zip(*np.nonzero(flow.visible), strict=True):
        for channel in range(3):
            total += (float(warped[y, x, channel]) - float(here[y, x, channel])) ** 2
            count += 1
    assert warp_error(here, there, flow) == pytest.approx(total / count, rel=1e-6)
    shown = [np.dstack([gray] * 3).astype(np.float32) / np.float32(255) for gray in (one, other)]
    assert warp_error(shown[0], shown[1], flow) < warp_error(shown[0], shown[0], flow) / 10


@pytest.mark.parametrize(("shape", "visible"), [((11, 40), False), ((14, 256), True)])
def test_flow_of_small_pictures(shape, visible):
    rng = np.random.default_rng(10)
    gray = rng.integers(0, 256, shape).astype(np.uint8)
    flow = FlowPair.measure(gray, gray)
    assert flow.ahead.shape == (*shape, 2)
    assert flow.visible.shape == shape
    assert (flow.visible.mean() > 0.9) == visible
    color = np.zeros((*shape, 3), np.float32)
    assert math.isnan(warp_error(color, color, flow)) == (not visible)
