"""Separable filters and resampling of pictures on a device, as products of matrices.

    soften = Separable.filtering(gaussian(21, 3.2), (320, 180), device)
    soft = soften(planes)                   # (B, c, 180, 320) -> the same

A filter of any length costs the same, its border is in the matrices, and what OpenCV does to the
identity is the matrix of what OpenCV does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vidcolor.resample import Size, refit

Floats = NDArray[np.float32]
Border = Literal["replicated", "mirrored"]
"""What is taken to lie outside: the nearest sample, or the picture again, turned over at its last
one (OpenCV's BORDER_REPLICATE and BORDER_REFLECT_101)."""


@dataclass(frozen=True, slots=True)
class Separable:
    """A linear map of pictures that treats rows and columns apart."""

    down: Tensor
    """(h', h)."""

    across: Tensor
    """(w, w')."""

    @classmethod
    def of(cls, down: Floats, across: Floats, device: torch.device) -> Separable:
        """From matrices (h', h) and (w', w), whose rows say what each sample is made of."""
        ours = (torch.from_numpy(np.ascontiguousarray(each)) for each in (down, across.T))
        return cls(*(each.to(device) for each in ours))

    @classmethod
    def filtering(
        cls, kernel: Floats, size: Size, device: torch.device, *, border: Border = "replicated"
    ) -> Separable:
        """Of pictures of `size` (width, height): sums by `kernel`, of odd length, each way."""
        width, height = size
        return cls.of(banded(kernel, height, border), banded(kernel, width, border), device)

    @classmethod
    def placing(
        cls, source: Size, inner: Size, corner: tuple[int, int], size: Size, device: torch.device
    ) -> Separable:
        """Of pictures of the size `source`: resampled to `inner` as `resample.refit` does it, and
        laid at `corner` (left, top) of a picture of `size`, which is 0 elsewhere and cuts off what
        doesn't fit. Sizes are (width, height)."""
        across, down = (
            placed(resampling(before, after), start, whole)
            for before, after, start, whole in zip(source, inner, corner, size, strict=True)
        )
        return cls.of(down, across, device)

    def __call__(self, planes: Tensor) -> Tensor:
        """(B, c, h, w) -> (B, c, h', w')."""
        return self.down @ (planes @ self.across)


def banded(kernel: Floats, side: int, border: Border) -> Floats:
    """(side, side): row n sums by `kernel` around n."""
    reach = len(kernel) // 2
    matrix = np.zeros((side, side), np.float32)
    rows = np.arange(side)
    for offset, share in zip(range(-reach, reach + 1), kernel, strict=True):
        np.add.at(matrix, (rows, inside(rows + offset, side, border)), share)
    return matrix


def inside(places: NDArray[np.int64], side: int, border: Border) -> NDArray[np.int64]:
    """Which of `side` samples stand for those at `places`."""
    if border == "replicated" or side == 1:
        return np.clip(places, 0, side - 1)
    period = 2 * (side - 1)
    turned = np.abs(places) % period
    return np.asarray(np.minimum(turned, period - turned), np.int64)


def resampling(before: int, after: int) -> Floats:
    """(after, before): what `resample.refit` makes of a line of samples."""
    return refit(np.eye(before, dtype=np.float32), (after, before)).T


def placed(matrix: Floats, start: int, whole: int) -> Floats:
    """The rows of `matrix` from row `start` on among `whole` rows, the others 0."""
    found = np.zeros((whole, matrix.shape[1]), np.float32)
    found[start : start + len(matrix)] = matrix[: whole - start]
    return found


def gaussian(length: int, sigma: float) -> Floats:
    return np.asarray(cv2.getGaussianKernel(length, sigma), np.float32)[:, 0]


def mean(length: int) -> Floats:
    return np.full(length, 1 / length, np.float32)


def resized(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """`resample.enlarge` of (B, c, h, w) to `size`, (height, width)."""
    if planes.shape[2:] == size:
        return planes
    return F.interpolate(planes, size, mode="bilinear", align_corners=False)
