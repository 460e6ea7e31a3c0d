"""How far a hint's colour reaches: over its object, up to the object's edges.

    ab = with_hints(ab, lightness, [((40, 25), (12.0, 30.0))])

A network hears a hint only as well as it was trained to. What its answer still lacks at the hint is
added here, less and less the further a place lies from it: steps to a neighbour cost little on
smooth ground and much where lightness or the network's colours change, and the cheapest path
counts. So a hint fills the coat it was put on and stops at its collar.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.resample import enlarge, shrink

Floats = NDArray[np.float32]
Placed = tuple[tuple[float, float], tuple[float, float]]
"""A hint: (across, down) in 0..1, and (a, b)."""

GRID_SIDE = 128
"""Long side of the grid that paths are sought on."""
REACH = 0.25
"""Of the grid's long side: on even ground a hint's share falls to 1/e over this distance."""
LIGHTNESS_EDGE, COLOUR_EDGE = 10.0, 10.0
"""Change of L, and of a and b, within one step that costs as much as that distance. Costs grow
with its square, so that a sharp edge stops what soft shading lets pass."""

_DIAGONAL = 2**0.5
_STEPS = (
    *((0, 1, 1.0), (1, 0, 1.0), (0, -1, 1.0), (-1, 0, 1.0)),
    *((1, 1, _DIAGONAL), (1, -1, _DIAGONAL), (-1, 1, _DIAGONAL), (-1, -1, _DIAGONAL)),
)


def with_hints(ab: Floats, lightness: Floats, hints: Sequence[Placed]) -> Floats:
    """Colours that are the hints' own at the hints, and the given ones out of their reach.

    ab: (h, w, 2) in Lab units. lightness: (h, w), 0..100, of the same picture. Returns (h, w, 2).
    """
    height, width = lightness.shape
    scale = min(1.0, GRID_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    ground = shrink(np.dstack([lightness, ab]), size)
    # Grain, lace and spots are no edges.
    ground[..., 0] = cv2.medianBlur(np.ascontiguousarray(ground[..., 0]), 5)
    shares, missing = [], []
    for (across, down), wanted in hints:
        row, column = int(down * size[1]), int(across * size[0])
        shares.append(np.exp(-(_costs(ground, row, column) ** 2)))
        missing.append(np.array(wanted, np.float32) - ground[row, column, 1:])
    together = np.maximum(np.sum(shares, 0), 1)[..., None]
    added = sum(s[..., None] * m for s, m in zip(shares, missing, strict=True)) / together
    return ab + enlarge(np.asarray(added, np.float32), (width, height))


def _costs(ground: Floats, row: int, column: int) -> Floats:
    """Cost of the cheapest path (Dijkstra) to each place of `ground` (h, w, 3) from one of them."""
    height, width = ground.shape[:2]
    even = 1 / (REACH * max(height, width))
    edges = np.array([LIGHTNESS_EDGE, COLOUR_EDGE, COLOUR_EDGE], np.float32)
    scaled = ground / edges
    toll = {}
    for down, right, length in _STEPS:
        moved = np.roll(scaled, (-down, -right), (0, 1))
        toll[down, right] = (((moved - scaled) ** 2).sum(2) / length + even * length).tolist()
    costs = np.full((height, width), np.inf).tolist()
    costs[row][column] = 0.0
    ahead = [(0.0, row, column)]
    while ahead:
        cost, y, x = heapq.heappop(ahead)
        if cost > costs[y][x]:
            continue
        for down, right, _ in _STEPS:
            v, u = y + down, x + right
            if 0 <= v < height and 0 <= u < width:
                there = cost + toll[down, right][y][x]
                if there < costs[v][u]:
                    costs[v][u] = there
                    heapq.heappush(ahead, (there, v, u))
    return np.array(costs, np.float32)
