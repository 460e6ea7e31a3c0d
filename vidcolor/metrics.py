"""Measures of colour, on float RGB.

    psnr(predicted, truth)        # dB
    colorfulness(predicted)       # 0 for gray, 38.3 for an average photograph

Every input is cast to float before any subtraction: differences of uint8 wrap around.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]


def psnr(image: FloatImage, truth: FloatImage) -> float:
    """Peak signal-to-noise ratio in dB of two RGB images (H, W, 3) in 0..1; inf when equal."""
    if image.shape != truth.shape:
        raise ValueError(f"images differ in shape: {image.shape} and {truth.shape}")
    error = float(np.mean((image.astype(np.float64) - truth.astype(np.float64)) ** 2))
    return math.inf if error == 0 else -10 * math.log10(error)


def colorfulness(image: FloatImage) -> float:
    """Hasler and Suesstrunk's measure (2003) of an RGB image (H, W, 3) in 0..1, with absolute
    opponent differences on the 0..255 scale, as published colorizers compute it."""
    r, g, b = (image[..., i].astype(np.float64) * 255 for i in range(3))
    rg, yb = np.abs(r - g), np.abs((r + g) / 2 - b)
    return float(math.hypot(rg.std(), yb.std()) + 0.3 * math.hypot(rg.mean(), yb.mean()))
