"""Resampling of planes and images, typed: what goes in comes out, at another size.

    small = shrink(luma, (256, 144))     # (width, height), by area
    wide = enlarge(ab, (480, 270))       # bilinear

OpenCV does the work and keeps the dtype; its own stubs forget it.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

Image = TypeVar("Image", bound=NDArray[Any])
Size = tuple[int, int]
"""(width, height), as OpenCV has it."""


def shrink(image: Image, size: Size) -> Image:
    """Resample (h, w[, c]) to `size` by area: the mean of what each sample covers.

    A picture many times as large is halved first, which is quick: reckoning each of its samples'
    shares takes ten times as long, and differs by rounding and by the samples on borders.
    """
    while is_far_from(image, size):
        image = cv2.resize(image, half_of(image), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if image.shape[1::-1] == size:
        return image
    return cast(Image, cv2.resize(image, size, interpolation=cv2.INTER_AREA))


HALVED_FROM = 4
"""Times that a picture is larger, both ways, from which on it is halved first."""


def is_far_from(image: NDArray[Any], size: Size) -> bool:
    """Whether an image of even sides is so large that halving it still leaves detail to spare."""
    height, width = image.shape[:2]
    times = min(width / size[0], height / size[1])
    return bool(times >= HALVED_FROM and width % 2 == 0 and height % 2 == 0)


def half_of(image: NDArray[Any]) -> Size:
    return image.shape[1] // 2, image.shape[0] // 2


def enlarge(image: Image, size: Size, into: Image | None = None) -> Image:
    """Resample (h, w[, c]) to `size` bilinearly; in `into`, an array of that size and kind, where
    one is given."""
    if image.shape[1::-1] == size:
        return image
    return cast(Image, cv2.resize(image, size, dst=into, interpolation=cv2.INTER_LINEAR))


def refit(image: Image, size: Size) -> Image:
    """Resample (h, w[, c]) to `size`: by area where a side shrinks, bilinearly where it grows.

    Area alone won't do: where it enlarges it leaves blocks.
    """
    return enlarge(shrink(image, least(image, size)), size)


def stretch(image: Image, size: Size) -> Image:
    """Resample (h, w[, c]) to `size`: by area where a side shrinks, by cubic where it grows."""
    smaller = shrink(image, least(image, size))
    if smaller.shape[1::-1] == size:
        return smaller
    return cast(Image, cv2.resize(smaller, size, interpolation=cv2.INTER_CUBIC))


def least(image: NDArray[Any], size: Size) -> Size:
    """The smaller of the image's side and `size`'s, each way."""
    return min(image.shape[1], size[0]), min(image.shape[0], size[1])


def turn(image: Image, degrees: int) -> Image:
    """Turn (h, w[, c]) clockwise by a multiple of 90 degrees; contiguous."""
    return cast(Image, np.ascontiguousarray(np.rot90(image, -degrees // 90)))
