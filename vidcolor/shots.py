"""Cuts: where one shot ends and the next begins, decided from a few frames around.

    differences = [...]                      # thumbnail_difference of each frame to the last
    is_cut(differences[i-3:i], differences[i], differences[i+1:i+4])

Old film flickers, jumps and repeats frames, so no fixed threshold works: a cut must stand out
from its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

THUMBNAIL = (80, 60)
"""(width, height) of the picture differences are taken on."""

REACH_FRAMES = 3
"""Differences on either side that a decision looks at."""

LEAST_DIFFERENCE = 14.0
"""Mean difference, in 8-bit levels, below which nothing is a cut."""

REPEATED = 0.25
"""Mean difference below which a frame repeats the last one and says nothing of motion."""


def thumbnail(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The 80 x 60 gray picture of a small luma (h, w), 8 bits."""
    return np.asarray(cv2.resize(small, THUMBNAIL, interpolation=cv2.INTER_AREA), np.uint8)


def thumbnail_difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean absolute difference in levels, 0..255."""
    return float(cv2.norm(one, other, cv2.NORM_L1)) / one.size


def is_cut(before: Sequence[float], here: float, after: Sequence[float]) -> bool:
    """Whether a frame starts a shot.

    here: its difference to the last frame. before, after: the differences of the frames around
    it, nearest last and nearest first, up to REACH_FRAMES each, fewer at the film's ends.
    A cut is large, large beside the local median, and larger than its neighbours; repeated
    frames are passed over, or each would make its neighbour stand out.
    """
    if here < LEAST_DIFFERENCE:
        return False
    moving_before = [d for d in before if d > REPEATED]
    moving_after = [d for d in after if d > REPEATED]
    around = moving_before + moving_after
    if not around:
        return True
    neighbours = moving_before[-1:] + moving_after[:1]
    return here > 4 * median(around) + 3 and here > 1.8 * max(neighbours)
