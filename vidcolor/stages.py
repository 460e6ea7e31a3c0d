"""The stages of the stream that look at neighbours: each a generator over items, one per frame.

    items = with_flow(with_cuts(items), (128, 72))
    for item in gathered(with_coverage(items)): ...

A stage sees a few items to either side through `windows`, and fills in what it decides. Colour and
decisions never cross a cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vidcolor.frames import Frame
from vidcolor.shots import REACH_FRAMES as CUT_REACH_FRAMES
from vidcolor.shots import is_cut
from vidcolor.smoothing import (
    COVERAGE_REACH_FRAMES,
    GATHER_REACH_FRAMES,
    LEAST_COVERAGE,
    Fetch,
    FlowEngine,
    FlowStep,
    Walk,
    anchor_weight,
    coverage,
    gather,
)

Floats = NDArray[np.float32]
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Item:
    """One frame on its way through the stages, which fill it in from top to bottom."""

    frame: Frame | None
    """None once it has been rendered, so that memory is given back."""

    pts: int
    small: NDArray[np.uint8]
    """(h, w) luma at analysis size, 8 bits, in the source's range."""

    luma: Floats
    """(h, w) luma at gathering size, in 0..1."""

    thumbnail: NDArray[np.uint8]
    difference: float
    """Mean difference of the thumbnails to the predecessor's, levels."""

    wanted: bool = True
    """Whether somebody waits for its picture; margins and what a preview leaves out aren't."""

    colored: bool = False
    """Whether the source's frame has colour that might be kept."""

    cut: bool = False
    """Whether this frame starts a shot."""

    step: FlowStep | None = None
    """Flow to the predecessor and back; None at a cut and where smoothing is off."""

    anchor: bool = False
    """On the grid or first of a shot."""

    extra: bool = False
    """An anchor because grid and shot anchors cover too little of it."""

    keeps_color: bool = False
    """Whether its shot has colour, and keeps it."""

    ab: Floats | None = None
    """(h, w, 2) prediction at gathering size, for anchors."""

    past: Walk = field(default_factory=Walk)
    future: Walk = field(default_factory=Walk)


def with_cuts(items: Iterator[Item]) -> Iterator[Item]:
    """Decide where shots start; the film's first frame starts one."""
    reach = CUT_REACH_FRAMES
    first = True
    for before, item, after in windows(items, reach, reach):
        differences = [i.difference for i in before], [i.difference for i in after]
        item.cut = first or is_cut(differences[0], item.difference, differences[1])
        first = False
        yield item


def with_flow(items: Iterator[Item], size: tuple[int, int]) -> Iterator[Item]:
    """Measure flow between neighbours of one shot, at gathering `size` (width, height)."""
    flow = FlowEngine()
    last: Item | None = None
    for item in items:
        if last is not None and not item.cut:
            item.step = flow.step(last.small, item.small, size)
        last = item
        yield item


def with_coverage(items: Iterator[Item]) -> Iterator[Item]:
    """Make extra anchors of frames that grid and shot anchors cover too little.

    Extra anchors don't count here, so one never brings or spares another.
    """
    reach = COVERAGE_REACH_FRAMES
    for before, item, after in windows(items, reach, reach):
        if not item.anchor:
            weights = [
                anchor_weight(item.luma, other.luma, walk, steps)
                for walk, steps, other in reached(item, before, after)
                if other.anchor
            ]
            item.extra = coverage(weights) < LEAST_COVERAGE
        yield item


def gathered(items: Iterator[Item]) -> Iterator[Item]:
    """Give each frame the colour that it and the anchors around it agree on.

    The predictions themselves stay as they are: a neighbour gathers from them, not from this.
    """
    reach = GATHER_REACH_FRAMES
    for before, item, after in windows(items, reach, reach):
        item.keeps_color = shot_has_color(item, before, after)
        if item.keeps_color or not item.wanted:
            yield item
            item.frame = None
            continue
        fetches = [
            Fetch(
                anchor_weight(item.luma, other.luma, walk, steps), walk.places[steps - 1], other.ab
            )
            for walk, steps, other in reached(item, before, after)
            if other.ab is not None
        ]
        yield replace(item, ab=gather(item.ab, fetches, item.luma.shape))
        item.frame = None


def with_recent_anchor(items: Iterator[Item]) -> Iterator[Item]:
    """Without smoothing: a frame that is far from its anchor predicts itself.

    Where frames come faster than the film's rate says, the grid's anchors may lie further back
    than a stream's margin reaches.
    """
    since = 0
    for item in items:
        since = 0 if item.anchor else since + 1
        item.extra = since > GATHER_REACH_FRAMES + COVERAGE_REACH_FRAMES
        yield item


def held(items: Iterator[Item]) -> Iterator[Item]:
    """Without smoothing: each frame takes its anchor's prediction as it is."""
    ab: Floats | None = None
    reach = GATHER_REACH_FRAMES
    for before, item, after in windows(items, reach, reach):
        item.keeps_color = shot_has_color(item, before, after)
        if item.ab is not None:
            ab = item.ab
        item.ab = ab
        yield item


def shot_has_color(item: Item, before: Sequence[Item], after: Sequence[Item]) -> bool:
    """Whether most of the frames around `item` that are of its shot have colour.

    before: nearest last; after: nearest first. Half and half is what the frame itself is.
    """
    shot, here = [item], item
    for other in reversed(before):
        if here.cut:
            break
        shot.append(other)
        here = other
    for other in after:
        if other.cut:
            break
        shot.append(other)
    colored = sum(each.colored for each in shot)
    return 2 * colored + item.colored > len(shot)


def reached(
    item: Item, before: Sequence[Item], after: Sequence[Item]
) -> Iterator[tuple[Walk, int, Item]]:
    """The frames of `item`'s shot among its neighbours, with the walk that leads there and its
    steps, one at least. before: nearest last; after: nearest first."""
    here = item
    for steps, other in enumerate(reversed(before), 1):
        if here.step is None:
            break
        if len(item.past.places) < steps:
            item.past.extend(here.step.back, here.step.back_trust)
        yield item.past, steps, other
        here = other
    for steps, other in enumerate(after, 1):
        if other.step is None:
            break
        if len(item.future.places) < steps:
            item.future.extend(other.step.ahead, other.step.ahead_trust)
        yield item.future, steps, other


def windows(items: Iterator[T], before: int, after: int) -> Iterator[tuple[list[T], T, list[T]]]:
    """Each item with up to `before` items on its left and `after` on its right; fewer only where
    the stream begins or ends."""
    left: deque[T] = deque(maxlen=before)
    right: deque[T] = deque(islice(items, after + 1))
    while right:
        item = right.popleft()
        yield list(left), item, list(right)
        left.append(item)
        right.extend(islice(items, 1))
