"""Cuts: where one shot ends and the next begins, decided from a few frames around.

    pictures = [thumbnail(small) for small in ...]   # a frame and up to REACH_FRAMES either side
    starts_shot(pictures, at)                        # whether the frame `at` of them starts a shot

Old film flickers, jumps and repeats frames, so no difference of levels tells a cut: brightness
jumps by 24 levels within a shot, and a cut in fog by 6. What tells one is that the parts of a
picture are nowhere to be found in the picture before:

    +---+---+---+---+      each block is looked for in the other picture, a little around its
    |   |   | # |   |      place, by normalised correlation: flicker, of the frame or of a part,
    +---+---+---+---+      changes nothing, and what moved is found where it went
    |   |   |   |   |
    +---+---+---+---+

A frame starts a shot when it is unlike the last, more so than its neighbours are among each
other, and no frame just before the two is like one just after: a flash comes and goes. Fades are
no cuts; a shot starts where a picture comes out of the black (or white) that another went into.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

THUMBNAIL = (80, 60)
"""(width, height) of the picture differences are taken on."""

REACH_FRAMES = 3
"""Frames on either side that a decision looks at."""

LEAST_DIFFERENCE = 14.0
"""Mean difference, in 8-bit levels, of two pictures that differ at a glance."""

REPEATED = 0.25
"""Mean difference below which a frame repeats the last one and says nothing of motion."""

SEARCHED = (48, 36)
"""(width, height) of the picture blocks are looked for in."""

BLOCK = 12
"""Side of a block, in samples of SEARCHED: a quarter of the picture's width."""

SEARCH = 8
"""How far a block is looked for, each way: a sixth of the picture's width per frame."""

GRAIN_LEVELS = 2.0
"""Standard deviation of a block, in levels, that may be mere grain and counts for nothing."""

BLANK_LEVELS = 4.0
"""Standard deviation of a picture, in levels, under which it is black, white or one gray."""

LEAST_CHANGE = 3.0
"""Mean difference, in levels, under which two pictures are of one shot without a look."""

LEAST_DECORRELATION = 0.2
"""1 - correlation of two pictures under which they are of one shot without a search."""

FOUND_SHARE = 0.75
"""Share of the blocks, those best found, that counts: the rest may have just come into view."""

UNLIKE = 0.2
"""Unlikeness from which two neighbours may be of two shots. Within the shots of 32 clips (7,100
pairs) it reached 0.16; of 1,500 pairs from two clips, the second given the first's brightness and
contrast, half of them at a third of it and all under grain, 1 in 100 stayed below."""

STANDS_OUT = 1.5
"""How many times more unlike than its neighbours a cut is."""


def thumbnail(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The 80 x 60 gray picture of a small luma (h, w), 8 bits."""
    return np.asarray(cv2.resize(small, THUMBNAIL, interpolation=cv2.INTER_AREA), np.uint8)


def thumbnail_difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean absolute difference in levels, 0..255."""
    return float(cv2.norm(one, other, cv2.NORM_L1)) / one.size


def starts_shot(pictures: Sequence[NDArray[np.uint8]], at: int) -> bool:
    """Whether the thumbnail `at` starts a shot that the one before isn't part of.

    pictures: thumbnails in the film's order, REACH_FRAMES on either side of `at`, fewer at the
    film's ends.
    """
    if at == 0:
        return True
    last, here = pictures[at - 1], pictures[at]
    if thumbnail_difference(last, here) < LEAST_CHANGE or is_blank(here):
        return False
    before = [p for p in pictures[:at] if not is_blank(p)]
    after = [here] + [p for p in pictures[at + 1 :] if not is_blank(p)]
    if is_blank(last):
        return all(unlikeness(p, here) > UNLIKE for p in before)
    if decorrelation(last, here) < LEAST_DECORRELATION:
        return False
    change = unlikeness(last, here)
    if change < UNLIKE or change < STANDS_OUT * max(_step(before[::-1]), _step(after)):
        return False
    returns = [(last, p) for p in after[1:]] + [(p, here) for p in before[:-1]]
    return all(unlikeness(one, other) > UNLIKE for one, other in returns)


def is_blank(picture: NDArray[np.uint8]) -> bool:
    """Whether a thumbnail shows nothing: black, white or one gray."""
    return float(cv2.meanStdDev(picture)[1][0, 0]) < BLANK_LEVELS


def decorrelation(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """1 - correlation of two thumbnails, 0..2: nothing for pictures that differ in brightness and
    contrast alone, and a cheap bound on how unlike they are."""
    return 1 - float(cv2.matchTemplate(one, other, cv2.TM_CCOEFF_NORMED)[0, 0])


def unlikeness(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """How little of a thumbnail is found in another, 0 (all of it, moved perhaps) to 1.

    The mean of 1 - the best normalised correlation of each block of the one with more texture,
    over the FOUND_SHARE best found, weighted by the root of the block's standard deviation above
    grain. What is found in less contrast than grain's counts for less.
    """
    plain, rich = (cv2.resize(p, SEARCHED, interpolation=cv2.INTER_AREA) for p in (one, other))
    if cv2.meanStdDev(plain)[1] > cv2.meanStdDev(rich)[1]:
        plain, rich = rich, plain
    width, height = SEARCHED
    missed = []
    for top in range(0, height, BLOCK):
        for left in range(0, width, BLOCK):
            block = rich[top : top + BLOCK, left : left + BLOCK]
            texture = float(cv2.meanStdDev(block)[1][0, 0]) - GRAIN_LEVELS
            if texture > 0:
                region = plain[
                    max(0, top - SEARCH) : top + BLOCK + SEARCH,
                    max(0, left - SEARCH) : left + BLOCK + SEARCH,
                ]
                scores = cv2.matchTemplate(region, block, cv2.TM_CCOEFF_NORMED)
                _, found, _, (x, y) = cv2.minMaxLoc(scores)
                # On even ground a mere trace of the block would be found, however faint.
                contrast = cv2.meanStdDev(region[y : y + BLOCK, x : x + BLOCK])[1][0, 0]
                found *= min(1.0, float(contrast) / GRAIN_LEVELS)
                missed.append((1 - max(0.0, found), math.sqrt(texture)))
    return _mean_of_least(missed, FOUND_SHARE)


def _mean_of_least(weighted: list[tuple[float, float]], share: float) -> float:
    """Mean of (value, weight) pairs over the least values that make up a share of the weight."""
    left = counted = share * sum(weight for _, weight in weighted)
    total = 0.0
    for value, weight in sorted(weighted):
        total += value * min(weight, left)
        left -= min(weight, left)
    return total / counted if counted else 0.0


def _step(pictures: Sequence[NDArray[np.uint8]]) -> float:
    """Unlikeness of the first of some thumbnails to the next that isn't a repetition of it."""
    for other in pictures[1:]:
        if thumbnail_difference(pictures[0], other) > REPEATED:
            return unlikeness(pictures[0], other)
    return 0.0
