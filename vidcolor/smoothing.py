"""Flow, trust and gathering: colour that stays on the thing it belongs to.

    step = FlowEngine().step(previous, current, (128, 72))   # both ways, with trust
    walk = Walk()
    walk.extend(step.back, step.back_trust)                  # one frame into the past
    weight = anchor_weight(luma, past_luma, walk, 1)
    ab = gather(None, [Fetch(weight, walk.places[0], past_ab)], luma.shape)

A frame's colour is the trust-weighted mean of the predictions for the anchor frames around it,
each fetched along the flow:

    anchor           frame            anchor
      *--<--o--<--o--<--i-->--o-->--o-->--*        a walk goes frame by frame; each step
      w = trust of the steps x likeness             multiplies trust by how well its flow
                                                    agrees with the flow back
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.flow import dense_flow
from vidcolor.resample import shrink

Floats = NDArray[np.float32]

GATHER_REACH_FRAMES = 9
"""How far, in frames, a frame fetches colour from, either way."""

COVERAGE_REACH_FRAMES = 4
"""How far the question looks whether a frame is covered by anchors."""

COVERED_TRUST = 0.3
"""A pixel is covered when one anchor's weight reaches this."""

LEAST_COVERAGE, LEAST_SPARSE_COVERAGE = 0.8, 0.5
"""Share of covered pixels under which a frame gets a prediction of its own; the second where
anchors are so few, to save time, that many frames would."""

DENSE_ANCHORS = 4
"""Greatest distance of anchors, in frames, that isn't sparse."""

LIKENESS = 50.0
"""Photometric trust is exp(-LIKENESS d^2), d the difference of luma in 0..1."""

FILL_SHARE = 8
"""The neighbourhood that fills untrusted places is this share of the picture's width."""

FILL_WEIGHT = 0.02
"""Weight of the neighbourhood's colour; it matters only where little else is trusted."""


@dataclass(frozen=True, slots=True)
class FlowStep:
    """Flow between a frame and its predecessor, at gathering size, pixels."""

    back: Floats
    """(h, w, 2): from the frame to its predecessor, (dx, dy)."""

    back_trust: Floats
    """(h, w): 0..1, on the frame's grid."""

    ahead: Floats
    """(h, w, 2): from the predecessor to the frame."""

    ahead_trust: Floats
    """(h, w): 0..1, on the predecessor's grid."""


class FlowEngine:
    """DIS optical flow (Kroeger et al., ECCV 2016), with its buffers; one per thread."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def step(
        self, previous: NDArray[np.uint8], current: NDArray[np.uint8], size: tuple[int, int]
    ) -> FlowStep:
        """Both flows between two small lumas (h, w), resampled to `size` (width, height)."""
        back = shrink_flow(dense_flow(self._dis, current, previous), size)
        ahead = shrink_flow(dense_flow(self._dis, previous, current), size)
        return FlowStep(back, agreement(back, ahead), ahead, agreement(ahead, back))


def shrink_flow(flow: Floats, size: tuple[int, int]) -> Floats:
    """Resample a flow (h, w, 2) to `size` (width, height), its vectors scaled with it."""
    h, w = flow.shape[:2]
    return np.asarray(shrink(flow, size) * np.array([size[0] / w, size[1] / h], np.float32))


def agreement(flow: Floats, other: Floats) -> Floats:
    """Trust (h, w) in 0..1 that following `flow` and then `other` leads back.

    The squared miss is measured against a hundredth of the squared lengths plus half a pixel,
    as in Sundaram et al. (ECCV 2010), with a soft edge.
    """
    returned = sample(other, grid(*flow.shape[:2]) + flow)
    miss = square(flow + returned)
    allowed = np.float32(0.01) * (square(flow) + square(returned)) + np.float32(0.5)
    return np.exp(-miss / allowed)


def square(flow: Floats) -> Floats:
    return flow[..., 0] * flow[..., 0] + flow[..., 1] * flow[..., 1]


@lru_cache(maxsize=4)
def grid(height: int, width: int) -> Floats:
    """(height, width, 2): each pixel's own (x, y)."""
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    places = np.dstack([xs, ys])
    places.flags.writeable = False
    return places


def sample(values: Floats, places: Floats) -> Floats:
    """Bilinear values (h, w[, c]) at places (h, w, 2), edges replicated."""
    no_map: Any = None
    found = cv2.remap(values, places, no_map, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


@dataclass(slots=True)
class Walk:
    """Where a frame's pixels are in the frames on one side of it, nearest first."""

    places: list[Floats] = field(default_factory=list)
    trusts: list[Floats] = field(default_factory=list)

    def extend(self, flow: Floats, trust: Floats) -> None:
        """Go one frame further: `flow` and `trust` lie on the grid of the last frame reached."""
        if not self.places:
            self.places.append(grid(*flow.shape[:2]) + flow)
            self.trusts.append(trust * inside(self.places[-1]))
            return
        here = self.places[-1]
        self.places.append(here + sample(flow, here))
        trusted = sample(trust, here)
        trusted *= self.trusts[-1]
        trusted *= inside(self.places[-1])
        self.trusts.append(trusted)


def inside(places: Floats) -> Floats:
    """1 where a place lies in the picture, 0 where it has left it."""
    h, w = places.shape[:2]
    held = cv2.inRange(places, (-0.5, -0.5), (w - 0.5, h - 0.5))
    return np.asarray(cv2.LUT(held, HELD), np.float32)


HELD = np.array([0.0] * 255 + [1.0], np.float32)
"""OpenCV's 255 for what is in range, as a factor."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """One anchor seen from a frame."""

    weight: Floats
    """(h, w): trust times likeness."""

    places: Floats
    """(h, w, 2): where the frame's pixels are in the anchor."""

    ab: Floats
    """(h, w, 2): the anchor's prediction, on the anchor's grid."""


def anchor_weight(luma: Floats, anchor_luma: Floats, walk: Walk, steps: int) -> Floats:
    """Weight (h, w) of an anchor `steps` frames along `walk`; lumas (h, w) in 0..1."""
    difference = luma - sample(anchor_luma, walk.places[steps - 1])
    likeness = np.exp(np.float32(-LIKENESS) * difference * difference)
    # The root: trust in a long walk falls with every step, more than colour goes astray on it.
    return np.sqrt(walk.trusts[steps - 1]) * likeness * np.float32(nearness(steps))


def nearness(steps: int, reach: int = GATHER_REACH_FRAMES) -> float:
    """What an anchor so many frames off counts: all of it up to half the reach, then less by even
    steps. Were it to come in at once, colour would move each time that one does."""
    half = reach // 2
    return 1.0 if steps <= half else 1 - (steps - half) / (reach - half + 1)


def coverage(weights: Sequence[Floats]) -> float:
    """Share of pixels that some anchor covers."""
    if not weights:
        return 0.0
    best = weights[0]
    for weight in weights[1:]:
        best = np.maximum(best, weight)
    return float(np.mean(best > COVERED_TRUST))


def gather(own: Floats | None, fetches: Sequence[Fetch], shape: tuple[int, int]) -> Floats:
    """The trust-weighted mean of a frame's own prediction and what it fetches.

    own: (h, w, 2), Lab units, with weight 1, or None. Where nothing is trusted the colour of
    the neighbourhood fills in. Returns (h, w, 2).
    """
    total = np.zeros((*shape, 2), np.float32)
    weights = np.zeros(shape, np.float32)
    if own is not None:
        total += own
        weights += 1
    for fetch in fetches:
        total += sample(fetch.ab, fetch.places) * fetch.weight[..., None]
        weights += fetch.weight
    return fill(total, weights)


def fill(total: Floats, weights: Floats) -> Floats:
    """total / weights, leaning on the neighbourhood's mean where the weight is small.

    total: (h, w, 2), weights: (h, w). Returns (h, w, 2).
    """
    side = max(5, weights.shape[1] // FILL_SHARE) | 1
    wide_total = np.asarray(cv2.blur(total, (side, side)), np.float32)
    wide_weights = np.asarray(cv2.blur(weights, (side, side)), np.float32)
    tiny = np.float32(1e-3)
    wide_total += tiny * total.mean((0, 1))
    wide_weights += tiny * weights.mean() + np.float32(1e-9)
    lean = np.float32(FILL_WEIGHT)
    wide = wide_total / wide_weights[..., None]
    return np.asarray((total + lean * wide) / (weights + lean)[..., None], np.float32)
