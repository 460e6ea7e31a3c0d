"""Dense optical flow between two gray pictures of any shape.

    engine = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow = dense_flow(engine, one, other)       # (h, w, 2): (dx, dy) in pixels

DIS is Kroeger et al., "Fast Optical Flow using Dense Inverse Search" (ECCV 2016).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LEAST_FLOW_SIDE = 12
"""DIS takes no picture with a side smaller than this."""

LEAST_FLOW_ROWS = 32
"""DIS reads beyond a picture that is wide and has fewer rows than this; such are made higher."""


def dense_flow(
    engine: cv2.DISOpticalFlow, start: NDArray[np.uint8], end: NDArray[np.uint8]
) -> Floats:
    """Flow (h, w, 2), pixels, from one gray picture (h, w) to another; sides of LEAST_FLOW_SIDE or
    more."""
    no_guess: Any = None  # an array here would be the flow to start from
    missing = max(0, LEAST_FLOW_ROWS - len(start))
    above, below = missing // 2, missing - missing // 2
    if missing:
        rows = ((above, below), (0, 0))
        start, end = (np.pad(luma, rows, mode="edge") for luma in (start, end))
    flow = np.asarray(engine.calc(start, end, no_guess), np.float32)
    return np.ascontiguousarray(flow[above : len(flow) - below])
