"""Intertitles: pictures of nothing but writing, which have no colour to find.

    may_be_title(small) and is_title(luma)      # light text on a dark ground, or dark on light

A judgement of one frame; `stages` lets the frames of a shot vote. A picture that is wrongly called
a title loses its colours, a title that is missed shows a tint at most: so every doubt is against.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.resample import shrink, turn

Counts = NDArray[np.int32]

LEAST_SIDE = 48
"""Pixels that writing takes at least, each way."""

TITLE_SIDE = 512
"""Long side that writing is looked for at, pixels; its strokes must not melt together."""

GROUND_LEVELS = 24
"""How far a title's ground may lie from its commonest level, for grain, vignettes and wear."""

LEAST_GROUND, LEAST_SMALL_GROUND = 0.68, 0.5
"""Share of the picture that is ground, and of a small one, where text melts into it."""

DARK_GROUND, LIGHT_GROUND = 96, 160
"""Levels up to which a ground is dark, and from which it is light."""

LEAST_CONTRAST = 40
"""Levels between the ground and the bulk of the text."""

LEAST_TEXT, MOST_TEXT = 0.0015, 0.25
"""Least and greatest share of the picture that is text."""

OTHER_SHARE = 0.02
"""Share that may differ from the ground the other way; pictures have lights and shadows."""

SOLID_SHARE = 0.25
"""Share of the text that may be wider than a stroke is, such as a border's ornaments."""

STROKE_SHARE = 0.03
"""Widest stroke, as a share of the long side."""

LEAST_LETTERS = 8
LEAST_LETTER_HEIGHT, LEAST_LETTER_AREA = 4, 6
"""Pixels of the smallest letter; less is grain."""
LETTER_FILL = 0.72
"""How much of its box a letter fills at most, the median of them: strokes leave holes and corners
empty, lights and windows don't."""

LEAST_LIKE_HEIGHT = 0.6
"""Share of the letters' area that must be in pieces of about one height."""

LINE_SHARE = 0.6
"""Share of the text's area that must lie in its lines: rows of many strokes."""
LINE_STROKES = 6
"""Strokes that a row of text has at least."""


def is_title(luma: NDArray[np.uint8], rotation: int = 0) -> bool:
    """Whether a picture (h, w) without its bars shows only writing.

    rotation: degrees that turn it upright. Some milliseconds; `may_be_title` sorts out most
    pictures first.
    """
    if min(luma.shape) < LEAST_SIDE:
        return False
    picture = turn(shrink(luma, fitted(luma.shape)), rotation)
    ground = commonest(picture)
    light_text = ground <= DARK_GROUND
    above = picture.astype(np.int16) - ground
    text = above if light_text else -above
    near = float(np.mean(np.abs(above) <= GROUND_LEVELS))
    other = float(np.mean(text < -GROUND_LEVELS))
    if near < LEAST_GROUND or other > OTHER_SHARE:
        return False
    bright = float(np.percentile(text, 99.5))
    if bright < LEAST_CONTRAST:
        return False
    mask = np.asarray(text > max(LEAST_CONTRAST / 2, bright / 2), np.uint8)
    return float(mask.mean()) <= MOST_TEXT and is_writing(mask)


def may_be_title(small: NDArray[np.uint8]) -> bool:
    """Whether enough of a small picture (h, w) is one level, dark or light."""
    if small.size == 0:
        return False
    ground = commonest(small)
    if DARK_GROUND < ground < LIGHT_GROUND:
        return False
    near = np.abs(small.astype(np.int16) - ground) <= GROUND_LEVELS
    return float(near.mean()) >= LEAST_SMALL_GROUND


def commonest(picture: NDArray[np.uint8]) -> int:
    """The level that most of a picture lies around."""
    counts = np.bincount(picture.ravel(), minlength=256).astype(np.float64)
    around = np.convolve(counts, np.ones(GROUND_LEVELS // 2 + 1), "same")
    best = np.flatnonzero(around == around.max())
    return int(best[len(best) // 2])


def is_writing(mask: NDArray[np.uint8]) -> bool:
    """Whether the marks of a mask (h, w) of 0 and 1 are letters in lines, in a border or not."""
    height, width = mask.shape
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    wide, high, area = (stats[:, c] for c in (2, 3, 4))
    inner = (wide < width / 2) & (high < height / 2) & (area >= LEAST_LETTER_AREA)
    inner[0] = False  # the ground
    text = inner.astype(np.uint8)[labels]
    size = float(text.sum())
    if size < LEAST_TEXT * mask.size:
        return False
    stroke = max(3, round(STROKE_SHARE * max(height, width)))
    solid = cv2.morphologyEx(text, cv2.MORPH_OPEN, np.ones((stroke, stroke), np.uint8))
    rises = np.count_nonzero(np.diff(text.astype(np.int8), axis=1) > 0, axis=1)
    in_lines = float(text[rises >= LINE_STROKES].sum())
    if float(solid.sum()) > SOLID_SHARE * size or in_lines < LINE_SHARE * size:
        return False
    return are_letters(wide[inner], high[inner], area[inner])


def are_letters(wide: Counts, high: Counts, area: Counts) -> bool:
    """Whether pieces of these widths, heights and areas, in pixels, have the shapes of letters."""
    tall = high >= LEAST_LETTER_HEIGHT
    wide, high, area = wide[tall], high[tall], area[tall]
    if len(area) < LEAST_LETTERS:
        return False
    middle = np.median(high)
    alike = (high > middle / 2) & (high < 2 * middle)
    fill = float(np.median(area / (wide * high)))
    return fill <= LETTER_FILL and float(area[alike].sum()) >= LEAST_LIKE_HEIGHT * float(area.sum())


def fitted(shape: tuple[int, ...]) -> tuple[int, int]:
    """(width, height) with a long side of TITLE_SIDE at most."""
    scale = min(1.0, TITLE_SIDE / max(shape))
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))
