"""What the network and the flow are shown of worn film: less grain, fewer scratches.

    seen = calm(small)                              # for flow and for telling frames alike
    lightness = space.lightness(unscratched(view))  # for the network

The film's own luma is never touched; these are copies at analysis and at network size.

Measured with the bundled network on 14 natural films, 16 frames of each, aged by grain of so many
levels and by five jittering scratches and some dirt, at the default settings: how far the colour
strays from that predicted for the clean film (RMS, Lab), its distance to the truth, and E_warp_ab.

    film                    none                    both
    clean                   0.00 / 15.56 / 0.253    0.00 / 15.56 / 0.245
    grain 8                 3.49 / 15.63 / 0.373    3.48 / 15.64 / 0.341 (`calm` alone)
    scratches               5.89 / 16.02 / 0.395    1.79 / 15.41 / 0.380
    grain 4 and scratches   6.05 / 15.88 / 0.423    2.81 / 15.46 / 0.379

The network isn't shown less grain: it learned from grain, and medians of 3 and 5, Gaussians of 0.7
and 1, and a median with a Gaussian all left its colour further from the clean film's on the mean of
those films (grain 8: 4.4 to 8.3 instead of 3.5), though on one of a quiet room they halved the
distance. Bilateral, Wiener, self-guided and non-local means filters did no better on the few films
they were tried on.
"""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.frames import Plane

CALM_BLUR = 0.8
"""Standard deviation of the blur after the median, pixels."""

SCRATCH_REACH = 3
"""Half the width, in samples, that a scratch stands out from: it is 3 samples wide at most."""

SCRATCH_SHARE = 0.5
"""How high the stretch is, as a share of the picture's height, that a scratch must run through:
much longer than most things that are upright and thin."""

SCRATCH_CAP = 10.0
"""Levels that one sample may stand out by and count: a bright thing is no longer for that."""

SCRATCH_LEVELS = (6.5, 8.5)
"""Mean levels a stretch stands out by, between which repair sets in: two thirds of it and more
must stand out."""


def calm(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A small luma (h, w) with less grain: a median of 3 x 3, then a slight blur."""
    median = cv2.medianBlur(np.ascontiguousarray(small), 3)
    return np.asarray(cv2.GaussianBlur(median, (0, 0), CALM_BLUR), np.uint8)


def unscratched(view: Plane, bit_depth: int = 8) -> Plane:
    """A view (h, w), codes of `bit_depth`, upright, without thin upright lines that run through
    half of it: there each sample becomes the median of its row's neighbours.

    A new array where there is a scratch; else the view itself.
    """
    level = np.float32(1 << (bit_depth - 8))
    row = row_median(view).astype(np.float32)
    out = np.clip((view - row) / level, -SCRATCH_CAP, SCRATCH_CAP).astype(np.float32)
    stretch = max(1, round(SCRATCH_SHARE * len(view))) | 1
    # Reflected, so that the stretch at the picture's edge is of the same scratch.
    mean = cv2.blur(out, (1, stretch), borderType=cv2.BORDER_REFLECT)
    low, high = SCRATCH_LEVELS
    share = np.clip((np.abs(mean) - low) / (high - low), 0, 1).astype(np.float32)
    if not share.any():
        return view
    share = cv2.dilate(share, np.ones((1, 3), np.uint8))
    repaired = np.rint(view + share * (row - view))
    return repaired.astype(np.uint8) if view.dtype == np.uint8 else repaired.astype(np.uint16)


def row_median(view: Plane) -> Plane:
    """Each sample's median over its row's neighbours, SCRATCH_REACH either way; mirrored at the
    edges, the outermost sample once."""
    width, reach = view.shape[1], SCRATCH_REACH
    kind = cv2.BORDER_REFLECT_101 if width > reach else cv2.BORDER_REPLICATE
    padded = cv2.copyMakeBorder(view, 0, 0, reach, reach, kind)
    shifted = [padded[:, n : n + width] for n in range(2 * reach + 1)]
    for one, other in MEDIAN_EXCHANGES:
        less, more = shifted[one], shifted[other]
        shifted[one], shifted[other] = np.minimum(less, more), np.maximum(less, more)
    return cast(Plane, shifted[reach])


MEDIAN_EXCHANGES = (
    (0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6),
    (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4),
)  # fmt: skip
"""Pairs to put in order, one after the other, so that the fourth of seven is their median: whole
planes at a time, where sorting each sample's seven takes six times as long."""
