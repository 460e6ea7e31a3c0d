"""Facts of one photograph: real colour, a print's tone, and the frame around the picture.

    facts = still_facts(pixels, space)
    facts.colored       # True for a photograph in colour
    facts.box           # the picture inside its paper border, mount or black bars

What is no picture is kept from the network, which would take it for sky or snow, and stays neutral.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vidcolor.color import RgbSpace
from vidcolor.facts import GRAY_CHROMA, TINT_RESIDUAL, Box, tint_residual
from vidcolor.frames import Plane
from vidcolor.resample import shrink

Floats = NDArray[np.float32]

COLOUR_SIZE = (96, 72)
"""(width, height) at which a picture is searched for real colour."""

UNEVEN_RESIDUAL, ACROSS_RESIDUAL = 4.5, 1.65
"""As facts.TINT_RESIDUAL, for prints that faded unevenly: in all, and across their one hue. Of 10
toned photographs TINT_RESIDUAL alone takes 8, with these it takes all; of 3,900 photographs in
colour 0.7 and 1.6 in a hundred."""
OPPOSITE_SHARE = 0.02
"""Most of an unevenly toned print that may have the opposite hue, seen as colour."""

FRAME_SIDE = 512
"""Long side at which a frame is looked for; its edges are then found to the sample."""
FRAME_SPREAD = 6.0
"""Lightness that the middle four fifths of a line of the frame may span: paper is grainy, and may
bear writing."""
FRAME_DRIFT = 4.0
"""Lightness by which a line of the frame may differ from the frame's level."""
FRAME_MOST = 0.6
"""Share of a side's lines that may belong to the frame."""
PICTURE_DEPTH = 0.03
"""How deep inside a frame its contents are looked at, as a share of the side: prints lie askew."""
PICTURE_SHARE = 0.4
"""Least share of those contents that stand out from the frame. Around a print nearly all does;
around a bird in the sky, nearly none."""
BLACK_BAR, WHITE_BAR = 10.0, 97.0
"""Lightness of bars on two sides alone: sky and sea are neither."""


@dataclass(frozen=True, kw_only=True)
class StillFacts:
    """What holds for one picture."""

    box: Box
    """The picture inside its frame, as stored; the whole where there is none."""

    chroma: float
    """Mean Lab chroma of its own colour, 0 for gray."""

    toned: bool
    """Whether that colour is a print's tone."""

    @property
    def colored(self) -> bool:
        """Whether it is a photograph in colour; sepia and tints count as black and white."""
        return self.chroma > GRAY_CHROMA and not self.toned


def still_facts(pixels: Plane, space: RgbSpace) -> StillFacts:
    """Measure gray (h, w) or R'G'B' (h, w, 3), uint8 or uint16."""
    box = frame_box(pixels, space)
    if pixels.ndim == 2:
        return StillFacts(box=box, chroma=0.0, toned=False)
    size = (min(COLOUR_SIZE[0], pixels.shape[1]), min(COLOUR_SIZE[1], pixels.shape[0]))
    lab = space.lab(shrink(pixels, size)).reshape(-1, 3)
    chroma = float(np.hypot(lab[:, 1], lab[:, 2]).mean())
    return StillFacts(box=box, chroma=chroma, toned=chroma > GRAY_CHROMA and is_toned(lab))


def is_toned(lab: Floats) -> bool:
    """Whether the colour of samples (n, 3: L, a, b) is a print's tone, evenly faded or not.

    An even tone depends on the lightness alone. An uneven one is stronger here than there, and yet
    of one hue: little of it lies across the mean colour's direction, or opposite to it.
    """
    residual = tint_residual(lab)
    if residual <= TINT_RESIDUAL:
        return True
    a, b = lab[:, 1:].mean(0) / max(float(np.hypot(*lab[:, 1:].mean(0))), 1e-6)
    along, across = lab[:, 1] * a + lab[:, 2] * b, lab[:, 2] * a - lab[:, 1] * b
    turned = np.stack([lab[:, 0], np.zeros_like(across), across], 1)
    return bool(
        residual <= UNEVEN_RESIDUAL
        and tint_residual(turned) <= ACROSS_RESIDUAL
        and np.mean(along < -GRAY_CHROMA) <= OPPOSITE_SHARE
    )


def frame_box(pixels: Plane, space: RgbSpace) -> Box:
    """The picture inside a uniform frame, or inside black or white bars; else the whole.

    A frame may lie in another one, as a print with a border does on a scanner's glass.
    """
    height, width = pixels.shape[:2]
    box = Box(top=0, bottom=height, left=0, right=width)
    for _ in range(2):
        inner = pixels[box.top : box.bottom, box.left : box.right]
        top, right, bottom, left = _margins(inner, space)
        if top == right == bottom == left == 0:
            break
        box = Box(
            top=box.top + top,
            bottom=box.bottom - bottom,
            left=box.left + left,
            right=box.right - right,
        )
    return box


def _margins(pixels: Plane, space: RgbSpace) -> tuple[int, int, int, int]:
    """Lines of the outermost frame: from the top, the right, the bottom and the left."""
    height, width = pixels.shape[:2]
    scale = min(1.0, FRAME_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = _lightness(shrink(_contiguous(pixels), size), space)
    counts = _frame_lines(small)
    if min(small.shape) < 16 or not any(counts):
        return 0, 0, 0, 0
    levels = [float(np.median(np.rot90(small, k)[0])) for k in range(4)]
    found = [
        _exactly(np.rot90(pixels, k), n, np.rot90(small, k).shape[0], levels[k], space) if n else 0
        for k, n in enumerate(counts)
    ]
    return found[0], found[1], found[2], found[3]


def _frame_lines(small: Floats) -> list[int]:
    """Lines of `small` (h, w) that are frame, counted from the top, right, bottom and left."""
    sides = [np.rot90(small, k) for k in range(4)]
    levels = [float(np.median(side[0])) for side in sides]
    counts = [_leading(side, level) for side, level in zip(sides, levels, strict=True)]
    if max(levels) - min(levels) > FRAME_DRIFT or not all(counts):
        # Not all around: bars above and below, or left and right, or none.
        dull = [BLACK_BAR < level < WHITE_BAR for level in levels]
        for k in (0, 1):
            if dull[k] or dull[k + 2] or not (counts[k] and counts[k + 2]):
                counts[k] = counts[k + 2] = 0
    for k in (0, 1):
        if counts[k] + counts[k + 2] > FRAME_MOST * len(sides[k]):
            return [0, 0, 0, 0]
    return counts if _holds_picture(small, counts, levels) else [0, 0, 0, 0]


def _leading(side: Floats, level: float) -> int:
    """How many lines from the first on are frame of this level."""
    low, middle, high = np.percentile(side, (10, 50, 90), axis=1)
    is_frame = (high - low <= FRAME_SPREAD) & (abs(middle - level) <= FRAME_DRIFT)
    return len(side) if is_frame.all() else int(np.argmin(is_frame))


def _holds_picture(small: Floats, counts: list[int], levels: list[float]) -> bool:
    """Whether what lies inside the frame stands out from it all along its edges."""
    height, width = small.shape
    inner = small[counts[0] : height - counts[2], counts[3] : width - counts[1]]
    shares = []
    for k, count in enumerate(counts):
        if count:
            side = np.rot90(inner, k)
            line = side[min(round(PICTURE_DEPTH * len(side)), len(side) - 1)]
            shares.append(float(np.mean(abs(line - levels[k]) > FRAME_SPREAD)))
    return bool(shares) and float(np.mean(shares)) >= PICTURE_SHARE


def _exactly(pixels: Plane, lines: int, of: int, level: float, space: RgbSpace) -> int:
    """The frame's lines at full size, from their count among the `of` lines of a small one."""
    scale = len(pixels) / of
    first, last = int((lines - 1) * scale), min(int((lines + 2) * scale) + 1, len(pixels))
    strip = _contiguous(pixels[first:last])
    narrow = shrink(strip, (min(FRAME_SIDE, strip.shape[1]), len(strip)))
    return first + _leading(_lightness(narrow, space), level)


def _contiguous(pixels: Plane) -> Plane:
    return cast(Plane, np.ascontiguousarray(pixels))


def _lightness(pixels: Plane, space: RgbSpace) -> Floats:
    return np.asarray(116 * space.root(pixels) - 16, np.float32)
