"""What old film stock makes of colours: another lightness, a curve, softness, grain.

    lightness = age(rgb, lightness, np.random.default_rng(0))

The wear that comes later, to the print, is in `samples`.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.color import rgb_to_lab

LUMA_709 = np.array([0.2126, 0.7152, 0.0722], np.float32)

FloatImage = NDArray[np.float32]


def age(crop: FloatImage, lightness: FloatImage, rng: np.random.Generator) -> FloatImage:
    """What an old film might have made of `crop`: L (S, S) in 0..100."""
    if rng.random() < 0.5:
        lightness = emulsion(crop, rng)
    contrast, gamma = rng.uniform(0.75, 1.2), np.exp(rng.uniform(-0.3, 0.3))
    mean = float(lightness.mean())
    lightness = np.clip((lightness - mean) * contrast + mean + rng.uniform(-6, 6), 0, 100)
    lightness = 100 * (lightness / 100) ** gamma
    if rng.random() < 0.5:
        lightness = soften(lightness, rng.uniform(0.4, 1.4))
    if rng.random() < 0.6:
        lightness = lightness + grain(lightness.shape, rng)
    return np.clip(lightness, 0, 100).astype(np.float32)


def emulsion(crop: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Lightness through a random spectral response: early film was blind to red."""
    weights = rng.dirichlet(6 * LUMA_709 + 0.6).astype(np.float32)
    gray = np.repeat((crop @ weights)[..., None], 3, axis=2)
    return rgb_to_lab(np.ascontiguousarray(gray))[..., 0]


def grain(shape: tuple[int, ...], rng: np.random.Generator) -> FloatImage:
    """Noise in L units, fine or clumped."""
    noise = rng.standard_normal(shape).astype(np.float32)
    if rng.random() < 0.5:
        noise = 2 * soften(noise, 0.8)
    return np.asarray(noise * rng.uniform(0.5, 5.0), np.float32)


def soften(plane: FloatImage, sigma: float) -> FloatImage:
    """Gaussian blur of a plane (h, w); sigma in pixels."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)
