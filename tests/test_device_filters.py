"""Filters by matrices are OpenCV's filters."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from tests.devices import device, every_device
from vidcolor.device_filters import Border, Separable, gaussian, mean, resized
from vidcolor.resample import enlarge, refit

__all__ = ["device"]

ROUNDING = 2e-5
"""Sums of float32 in another order, of values up to about 4."""


def picture(width, height, seed=0):
    return np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)


def through(separable, image, device):
    planes = torch.from_numpy(np.stack([image, 2 * image]))[None].to(device)
    first, second = separable(planes)[0].cpu().numpy()
    np.testing.assert_allclose(second, 2 * first, atol=ROUNDING)
    return first


@every_device
@pytest.mark.parametrize("size", [(40, 23), (16, 9), (3, 30), (1, 5)])
@pytest.mark.parametrize("length", [3, 9, 21])
def test_means_are_blurs(device, size, length):
    """Also in pictures that are smaller than the window."""
    image = picture(*size)
    borders: dict[Border, int] = {
        "replicated": cv2.BORDER_REPLICATE,
        "mirrored": cv2.BORDER_REFLECT_101,
    }
    for border, theirs in borders.items():
        ours = Separable.filtering(mean(length), size, device, border=border)
        wanted = cv2.blur(image, (length, length), borderType=theirs)
        np.testing.assert_allclose(through(ours, image, device), wanted, atol=ROUNDING)


@every_device
def test_gaussians_are_gaussian_blurs(device):
    image = picture(50, 31)
    wanted = cv2.GaussianBlur(image, (21, 21), 2.6, borderType=cv2.BORDER_REPLICATE)
    ours = Separable.filtering(gaussian(21, 2.6), (50, 31), device)
    np.testing.assert_allclose(through(ours, image, device), wanted, atol=ROUNDING)


@every_device
@pytest.mark.parametrize("inner", [(40, 20), (30, 50), (60, 40), (32, 24), (17, 9)])
def test_placing_is_refitting(device, inner):
    """Larger, smaller, and one of them each way; what hangs over is cut off."""
    image = picture(32, 24)
    ours = Separable.placing((32, 24), inner, (3, 5), (48, 40), device)
    wanted = np.zeros((40, 48), np.float32)
    fitted = refit(image, inner)[: 40 - 5, : 48 - 3]
    wanted[5 : 5 + fitted.shape[0], 3 : 3 + fitted.shape[1]] = fitted
    np.testing.assert_allclose(through(ours, image, device), wanted, atol=ROUNDING)


@every_device
@pytest.mark.parametrize("size", [(64, 48), (33, 50), (20, 11), (32, 24)])
def test_resizing_is_enlarging(device, size):
    image = picture(32, 24)
    planes = torch.from_numpy(image)[None, None].to(device)
    ours = resized(planes, size[::-1])[0, 0].cpu().numpy()
    np.testing.assert_allclose(ours, enlarge(image, size), atol=1e-4)
