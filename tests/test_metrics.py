"""Measures against scikit-image and a direct transcription of their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from vidcolor.metrics import FlowPair, colorfulness, psnr, warp_error_ab


def test_psnr_is_scikit_images():
    rng = np.random.default_rng(0)
    one, other = (rng.random((20, 30, 3)).astype(np.float32) for _ in range(2))
    assert psnr(one, other) == pytest.approx(peak_signal_noise_ratio(other, one, data_range=1))
    assert psnr(one, one) == math.inf
    with pytest.raises(ValueError, match="shape"):
        psnr(one, other[:10])


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
