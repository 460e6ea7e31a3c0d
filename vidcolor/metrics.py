"""Measures of colour, on float RGB.

    psnr(predicted, truth)        # dB
    colorfulness(predicted)       # 0 for gray, 38.3 for an average photograph

Every input is cast to float before any subtraction: differences of uint8 wrap around.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
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


def warp_error_ab(one: FloatImage, other: FloatImage, flow: FlowPair) -> float:
    """How far colour strays from what it is on between two frames: E_warp (Lai et al., ECCV
    2018) over the ab planes alone, as a root mean square in Lab units.

    one, other: ab (h, w, 2) of a frame and the next. flow: measured on the gray frames. Pixels
    that are hidden or at a motion boundary don't count; nan where none is left. The figure
    depends on the flow, so it compares within this program only.
    """
    carried = warp(other, flow.ahead)
    squared = np.sum((carried - one).astype(np.float64) ** 2, 2)
    kept = flow.visible
    return float(np.sqrt(squared[kept].mean())) if kept.any() else math.nan


@dataclass(frozen=True)
class FlowPair:
    """Flow from a frame to the next, and where it can be believed."""

    ahead: FloatImage
    """(h, w, 2): (dx, dy) in pixels."""

    visible: NDArray[np.bool_]
    """(h, w): seen in both frames, and not at the border of a motion."""

    @classmethod
    def measure(cls, one: NDArray[np.uint8], other: NDArray[np.uint8]) -> FlowPair:
        """DIS flow at its medium preset between two gray frames (h, w), with Lai's two tests."""
        engine = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        no_guess: Any = None
        ahead = np.asarray(engine.calc(one, other, no_guess), np.float32)
        back = warp(np.asarray(engine.calc(other, one, no_guess), np.float32), ahead)
        lengths = np.sum(ahead**2, 2), np.sum(back**2, 2)
        hidden = np.sum((ahead + back) ** 2, 2) > 0.01 * (lengths[0] + lengths[1]) + 0.5
        slopes = [np.sum(np.square(np.gradient(ahead[..., c])), 0) for c in (0, 1)]
        border = slopes[0] + slopes[1] > 0.01 * lengths[0] + 0.002
        return cls(ahead, ~(hidden | border | leaves(ahead)))


def leaves(flow: FloatImage) -> NDArray[np.bool_]:
    """(h, w): where following `flow` leads out of the picture."""
    h, w = flow.shape[:2]
    ys, xs = np.mgrid[:h, :w].astype(np.float32)
    x, y = xs + flow[..., 0], ys + flow[..., 1]
    return np.asarray((x < 0) | (x > w - 1) | (y < 0) | (y > h - 1))


def warp(image: FloatImage, flow: FloatImage) -> FloatImage:
    """`image` (h, w, c) of the later frame seen from the earlier one's grid, bilinear."""
    h, w = flow.shape[:2]
    ys, xs = np.mgrid[:h, :w].astype(np.float32)
    moved = cv2.remap(image, xs + flow[..., 0], ys + flow[..., 1], cv2.INTER_LINEAR)
    return np.asarray(moved, np.float32)
