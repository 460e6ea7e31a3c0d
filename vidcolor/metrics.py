"""Measures of colour, on float RGB, Lab, or ab alone; of films, on one frame and the next.

    psnr(predicted, truth)                  # dB
    ssim(predicted, truth)                  # 1 when equal
    colorfulness(predicted)                 # 0 for gray, 38.3 for an average photograph
    ciede2000(lab, true_lab).mean()         # about 1 is the least a person sees
    auc(ab, true_ab, weights)               # 0.89 for gray, 150/151 when equal
    argmax_accuracy(ab, true_ab)            # the share of pixels with the same larger of a and b

    flow = FlowPair.measure(gray, next_gray)
    warp_error(rgb, next_rgb, flow)         # E_warp: flicker, nearly all of it luma's
    warp_error_ab(ab, next_ab, flow)        # flicker of colour, Lab units
    consistency.add(codes)                  # CDC, of a ColorConsistency, a frame at a time

Every input is cast to float before any subtraction: differences of uint8 wrap around.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.flow import LEAST_FLOW_SIDE, dense_flow

FloatImage = NDArray[np.float32]

SSIM_WINDOW = 7
"""Side of the square that structures are compared in, pixels; no image may be smaller."""
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2
"""What keeps the quotients finite, for values in 0..1."""

AUC_THRESHOLDS = 151
"""Errors of 0, 1, ... 150, Lab units."""

CDC_LAGS = (1, 2, 4)
"""Frames between the histograms that are compared."""


def psnr(image: FloatImage, truth: FloatImage) -> float:
    """Peak signal-to-noise ratio in dB of two RGB images (H, W, 3) in 0..1; inf when equal."""
    if image.shape != truth.shape:
        raise ValueError(f"images differ in shape: {image.shape} and {truth.shape}")
    error = float(np.mean((image.astype(np.float64) - truth.astype(np.float64)) ** 2))
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(image: FloatImage, truth: FloatImage) -> float:
    """Structural similarity of two RGB images (H, W, 3) in 0..1 (Wang et al. 2004), the mean of
    its channels: as scikit-image computes it unless told otherwise, in a flat window of 7 x 7, with
    sample covariances, over the places where the whole window lies inside.

    Raises ValueError on images that differ in shape or are smaller than the window.
    """
    if image.shape != truth.shape or min(image.shape[:2]) < SSIM_WINDOW:
        raise ValueError(
            f"images of {image.shape} and {truth.shape}; expected one shape, and sides of at least "
            f"{SSIM_WINDOW} pixels"
        )
    one, other = image.astype(np.float32), truth.astype(np.float32)
    mean, true_mean = window_mean(one), window_mean(other)
    sample = np.float32(SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1))
    variance = sample * (window_mean(one * one) - mean * mean)
    true_variance = sample * (window_mean(other * other) - true_mean * true_mean)
    covariance = sample * (window_mean(one * other) - mean * true_mean)
    alike = (2 * mean * true_mean + SSIM_C1) * (2 * covariance + SSIM_C2)
    alike /= mean * mean + true_mean * true_mean + SSIM_C1
    alike /= variance + true_variance + SSIM_C2
    inside = slice(SSIM_WINDOW // 2, -(SSIM_WINDOW // 2))
    return float(alike[inside, inside].mean(dtype=np.float64))


def window_mean(values: FloatImage) -> FloatImage:
    """Mean of the window around every pixel, (h, w, 3)."""
    return np.asarray(cv2.blur(values, (SSIM_WINDOW, SSIM_WINDOW)), np.float32)


def ciede2000(one: FloatImage, other: FloatImage) -> FloatImage:
    """The colour difference CIEDE2000 of every pixel, (h, w), of two Lab images (h, w, 3).

    CIE 142-2001 with all its weights 1, by the steps of Sharma, Wu and Dalal, "The CIEDE2000
    Color-Difference Formula" (2005).
    """
    (l1, a1, b1), (l2, a2, b2) = (np.moveaxis(x.astype(np.float32), 2, 0) for x in (one, other))
    stretched = 1.5 - 0.5 * strong_share((length(a1, b1) + length(a2, b2)) / 2)
    a1, a2 = a1 * stretched, a2 * stretched
    c1, c2 = length(a1, b1), length(a2, b2)
    h1, h2 = np.arctan2(b1, a1), np.arctan2(b2, a2)
    turn = h2 - h1
    turn -= 2 * math.pi * np.rint(turn / (2 * math.pi))
    # Gray has no hue: the mean is the other's.
    no_hue = c1 * c2 == 0
    turn[no_hue] = 0
    hue = h1 + turn / 2
    hue[no_hue] = (h1 + h2)[no_hue]
    chroma = (c1 + c2) / 2
    off_middle = ((l1 + l2) / 2 - 50) ** 2
    by_lightness = (l2 - l1) / (1 + 0.015 * off_middle / np.sqrt(20 + off_middle))
    by_chroma = (c2 - c1) / (1 + 0.045 * chroma)
    by_hue = 2 * np.sqrt(c1 * c2) * np.sin(turn / 2) / (1 + 0.015 * chroma * hue_weight(hue))
    cross = hue_rotation(hue, chroma) * by_chroma * by_hue
    squared = by_lightness**2 + by_chroma**2 + by_hue**2 + cross
    return np.asarray(np.sqrt(np.maximum(squared, 0)), np.float32)


def length(a: FloatImage, b: FloatImage) -> FloatImage:
    """As np.hypot, which is five times as slow and no better at these sizes."""
    return np.asarray(np.sqrt(a * a + b * b), np.float32)


def strong_share(chroma: NDArray[Any]) -> FloatImage:
    """CIEDE2000's share, 0 to 1, that tells strong colours from weak ones."""
    seventh = chroma**7
    return np.asarray(np.sqrt(seventh / (seventh + np.float32(25.0**7))), np.float32)


def hue_weight(hue: FloatImage) -> FloatImage:
    """CIEDE2000's T; hue in radians."""
    weight = 1 - 0.17 * np.cos(hue - math.radians(30)) + 0.24 * np.cos(2 * hue)
    weight += 0.32 * np.cos(3 * hue + math.radians(6)) - 0.20 * np.cos(4 * hue - math.radians(63))
    return np.asarray(weight, np.float32)


def hue_rotation(hue: FloatImage, chroma: NDArray[Any]) -> FloatImage:
    """CIEDE2000's R_T: differences of blues in hue and chroma count together; hue in radians."""
    degrees = np.degrees(hue)
    degrees = degrees - 360 * np.floor(degrees / 360)
    blue = np.exp(-(((degrees - 275) / 25) ** 2))
    return np.asarray(-2 * strong_share(chroma) * np.sin(math.radians(60) * blue), np.float32)


def auc(ab: FloatImage, truth: FloatImage, weights: FloatImage | None = None) -> float:
    """The raw accuracy's area under its curve, 0..1 (Zhang, Isola and Efros, ECCV 2016, section
    3.1): the share of pixels whose ab error is under t, averaged over t = 0, 1, ... 150.

    ab, truth: (h, w, 2), Lab units. weights: (h, w), what each pixel counts; all the same where
    they aren't given. No error is under 0, so equal planes have 150/151.
    """
    errors = length(*np.moveaxis(ab.astype(np.float32) - truth.astype(np.float32), 2, 0))
    # A pixel's share is that of the thresholds above its error.
    above = np.clip(AUC_THRESHOLDS - 1 - np.floor(errors), 0, None).astype(np.float64)
    return float(np.average(above, weights=weights)) / AUC_THRESHOLDS


def argmax_accuracy(ab: FloatImage, truth: FloatImage) -> float:
    """The share of pixels, 0..1, where the larger of a and b is the same in both (h, w, 2).

    It is what Keras calls accuracy on an output of two channels. Where they are equal it is a.
    """
    return float(np.mean((ab[..., 0] >= ab[..., 1]) == (truth[..., 0] >= truth[..., 1])))


def colorfulness(image: FloatImage) -> float:
    """Hasler and Suesstrunk's measure (2003) of an RGB image (H, W, 3) in 0..1, with absolute
    opponent differences on the 0..255 scale, as published colorizers compute it."""
    r, g, b = (image[..., i].astype(np.float64) * 255 for i in range(3))
    rg, yb = np.abs(r - g), np.abs((r + g) / 2 - b)
    return float(math.hypot(rg.std(), yb.std()) + 0.3 * math.hypot(rg.mean(), yb.mean()))


class ColorConsistency:
    """CDC, the colour distribution consistency of a film (Liu et al., TCVC, 2021; NTIRE 2023): how
    much the histograms of its colours change from frame to frame.

        consistency = ColorConsistency()
        for rgb in frames: consistency.add(rgb)
        consistency.value

    Jensen-Shannon divergences, with natural logarithms, of the 256-bin histograms of each 8-bit
    channel, 1, 2 and 4 frames apart: the mean over the frames, then over distances and channels.
    Only the last four frames' histograms are held. The truth's isn't 0, and gray scores well.
    """

    def __init__(self) -> None:
        self._last: deque[NDArray[np.float64]] = deque(maxlen=max(CDC_LAGS))
        self._sums = dict.fromkeys(CDC_LAGS, 0.0)
        self._frames = 0

    def add(self, image: NDArray[np.uint8]) -> None:
        """The film's next frame, (h, w, 3) codes of R'G'B'."""
        shares = histograms(image)
        for lag in CDC_LAGS:
            if len(self._last) >= lag:
                self._sums[lag] += float(jensen_shannon(self._last[-lag], shares).mean())
        self._last.append(shares)
        self._frames += 1

    @property
    def value(self) -> float:
        """CDC of the frames so far, 0 to ln 2; nan of fewer than five."""
        if self._frames <= max(CDC_LAGS):
            return math.nan
        return float(np.mean([sum_ / (self._frames - lag) for lag, sum_ in self._sums.items()]))


def histograms(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(3, 256): the share of pixels of an image (h, w, 3) that have each code, by channel."""
    counts = [np.bincount(image[..., c].ravel(), minlength=256) for c in range(3)]
    return np.asarray(np.stack(counts) / (image.shape[0] * image.shape[1]), np.float64)


def jensen_shannon(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Jensen-Shannon divergence of distributions (..., n) along their last axis, in nats."""
    middle = (one + other) / 2
    divergence = np.zeros(one.shape[:-1])
    for each in (one, other):
        # Where a share is 0 it adds nothing, whatever the logarithm is.
        ratio = np.divide(each, middle, out=np.ones_like(each), where=each > 0)
        divergence += (each * np.log(ratio)).sum(-1) / 2
    return divergence


def warp_error(one: FloatImage, other: FloatImage, flow: FlowPair) -> float:
    """E_warp (Lai et al., ECCV 2018) between a frame and the next: the mean of the squared
    differences, over visible pixels and channels, once the next one is warped back.

    one, other: RGB (h, w, 3) in 0..1. flow: measured on the gray frames. nan where no pixel is
    visible. It depends on the flow, so it compares within this program only; nearly all of it is
    luma's.
    """
    squared = (warp(other, flow.ahead) - one).astype(np.float64) ** 2
    kept = flow.visible
    return float(squared[kept].mean()) if kept.any() else math.nan


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
        """DIS flow at its medium preset between two gray frames (h, w), with Lai's two tests.

        In a picture with a side under LEAST_FLOW_SIDE nothing is visible.
        """
        if min(one.shape) < LEAST_FLOW_SIDE:
            return cls(np.zeros((*one.shape, 2), np.float32), np.zeros(one.shape, np.bool_))
        engine = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        ahead = dense_flow(engine, one, other)
        back = warp(dense_flow(engine, other, one), ahead)
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
