"""Frames as a person sees them: RGB, upright, samples square.

    display_rgb(picture.y, (picture.u, picture.v), info)                 # as large as it is shown
    display_rgb(frame.luma, frame.chroma, info, size=(320, 180))

For looking at only: sheets, arrays, web pages. What is encoded never comes this way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcolor.color import ColorSpace
from vidcolor.frames import Plane, VideoInfo
from vidcolor.resample import Size, refit, turn


def display_rgb(
    luma: Plane,
    chroma: tuple[Plane, Plane] | None,
    info: VideoInfo,
    *,
    size: Size | None = None,
) -> NDArray[np.uint8]:
    """R'G'B' of one frame's planes, in the film's own primaries and transfer.

    luma: (height, width) of `info`. chroma: Cb and Cr at any size, None for gray. size: (width,
    height) as displayed; None is `info.upright_size`. Returns (h, w, 3) uint8. High dynamic range
    isn't tone mapped: it looks flat.
    """
    width, height = size or info.upright_size
    stored = (height, width) if info.rotation in (90, 270) else (width, height)
    space = ColorSpace(info.tags, bit_depth=info.bit_depth)
    y = refit(luma, stored)
    if chroma is None:
        gray = np.rint(space.normalize(y) * np.float32(255)).astype(np.uint8)
        return turn(np.dstack([gray] * 3), info.rotation)
    u, v = (refit(plane, stored) for plane in chroma)
    rgb = np.rint(space.rgb(y, u, v) * np.float32(255)).astype(np.uint8)
    return turn(rgb, info.rotation)
