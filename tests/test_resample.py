"""Shrinking by halves beside reckoning each sample's share, which OpenCV does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from vidcolor.resample import HALVED_FROM, enlarge, shrink


def picture(width, height, dtype=np.uint8):
    gray = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)
    large = cv2.resize(gray, (width, height), interpolation=cv2.INTER_CUBIC)
    return (large.astype(dtype) << 2) if dtype == np.uint16 else large.astype(dtype)


def by_area(image, size):
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("size", [(256, 144), (192, 192), (128, 72), (60, 7)])
def test_far_shrinking_is_the_mean_of_what_each_sample_covers(size, dtype):
    """But for rounding at each half, and samples that two shares divide between them."""
    image = picture(1920, 1080, dtype)
    found, expected = shrink(image, size), by_area(image, size)
    assert found.dtype == dtype
    assert found.shape == expected.shape
    span = 4 if dtype == np.uint16 else 1
    away = np.abs(found.astype(float) - expected) / span
    assert away.mean() < 0.7
    assert np.percentile(away, 99) < 4


def test_a_flat_picture_stays_what_it_is():
    for value in (0, 1, 117, 255):
        assert (shrink(np.full((1080, 1920), value, np.uint8), (256, 144)) == value).all()


@pytest.mark.parametrize(
    ("side", "size"), [((638, 358), (256, 144)), ((1919, 1080), (256, 144)), ((300, 299), (60, 60))]
)
def test_near_or_odd_sizes_are_shrunk_at_once(side, size):
    image = picture(*side)
    assert side[0] / size[0] < HALVED_FROM or side[0] % 2 or side[1] % 2
    np.testing.assert_array_equal(shrink(image, size), by_area(image, size))


def test_what_is_enlarged_into_an_array_lies_there():
    image, room = picture(40, 30, np.float32), np.empty((60, 80), np.float32)
    assert enlarge(image, (80, 60), room) is room
    np.testing.assert_array_equal(room, enlarge(image, (80, 60)))
