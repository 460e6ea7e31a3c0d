"""Measures against scikit-image and a direct transcription of their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from vidcolor.metrics import colorfulness, psnr


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
