"""The stages of the stream that look at neighbours: each a generator over items, one per frame.

    finder = DissolveFinder()
    items = with_flow(with_cuts(watched(items, finder)), (128, 72))
    for item in gathered(with_coverage(items), finder): ...

A stage sees a few items to either side through `windows`, and fills in what it decides. Colour and
decisions never cross a cut; a dissolve mixes both shots' colours as it mixes their pictures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.dissolves import DISSOLVE_REACH_FRAMES, Dissolve, DissolveFinder
from vidcolor.frames import Frame
from vidcolor.shots import REACH_FRAMES as CUT_REACH_FRAMES
from vidcolor.shots import is_blank, starts_shot
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

    calmed: NDArray[np.uint8]
    """The same with less grain, as flow sees it."""

    luma: Floats
    """(h, w) luma at gathering size, in 0..1."""

    thumbnail: NDArray[np.uint8]
    difference: float
    """Mean difference of the thumbnails to the predecessor's, levels."""

    wanted: bool = True
    """Whether somebody waits for its picture; margins and what a preview leaves out aren't."""

    colored: bool = False
    """Whether the source's frame has colour that might be kept."""

    title: bool = False
    """Whether the frame, looked at alone, shows nothing but writing."""

    cut: bool = False
    """Whether this frame starts a shot."""

    blank: bool = False
    """Whether it shows nothing: black, white or one gray."""

    step: FlowStep | None = None
    """Flow to the predecessor and back; None at a cut and where smoothing is off."""

    repeats: bool = False
    """Whether it is its predecessor's picture once more."""

    anchor: bool = False
    """On the grid or first of a shot."""

    on_grid: bool = False
    """An anchor wherever shots start."""

    extra: bool = False
    """An anchor because grid and shot anchors cover too little of it."""

    neutral: bool = False
    """Whether its shot is an intertitle, which gets no colour."""

    keeps_color: bool = False
    """Whether its shot has colour, and keeps it."""

    ab: Floats | None = None
    """(h, w, 2) prediction at gathering size, for anchors."""

    past: Walk = field(default_factory=Walk)
    future: Walk = field(default_factory=Walk)


def watched(items: Iterator[Item], finder: DissolveFinder) -> Iterator[Item]:
    """Show each picture to `finder`, which a later stage asks."""
    for item in items:
        finder.add(item.thumbnail)
        yield item


def with_cuts(items: Iterator[Item]) -> Iterator[Item]:
    """Decide where shots start; the film's first frame starts one."""
    reach = CUT_REACH_FRAMES
    first = True
    for before, item, after in windows(items, reach, reach):
        pictures = [i.thumbnail for i in (*before, item, *after)]
        item.cut = first or starts_shot(pictures, len(before))
        item.blank = is_blank(item.thumbnail)
        first = False
        yield item


def with_flow(items: Iterator[Item], size: tuple[int, int]) -> Iterator[Item]:
    """Measure flow between neighbours of one shot, at gathering `size` (width, height)."""
    flow = FlowEngine()
    last: Item | None = None
    for item in items:
        if last is not None and not item.cut:
            item.step = flow.step(last.calmed, item.calmed, size)
            item.repeats = item.difference <= REPEATED_MEAN and same_picture(last, item)
        last = item
        yield item


REPEATED_MEAN, REPEATED_MOST = 0.5, 4.0
"""Mean difference of the thumbnails, and greatest difference of a neighbourhood of the small lumas,
levels, up to which a frame repeats another: encoders leave 1.0 to 3.5 in a repeat, the least that
moves leaves 5 and mostly over 30."""


def same_picture(one: Item, other: Item) -> bool:
    """Whether two frames show the same picture, an encoder's noise aside."""
    difference = cv2.blur(other.small.astype(np.float32) - one.small, (5, 5))
    return float(np.abs(difference).max()) <= REPEATED_MOST


def with_coverage(items: Iterator[Item], least: float = LEAST_COVERAGE) -> Iterator[Item]:
    """Make extra anchors of frames that grid and shot anchors cover to a share under `least`, and
    let the frames of a shot vote on whether it is an intertitle.

    Extra anchors don't count here, so one never brings or spares another. The last frame of a shot
    does where no anchor is in its reach: that hangs on cuts and grid alone.
    """
    reach = COVERAGE_REACH_FRAMES
    for before, item, after in windows(items, reach, reach):
        shot = shot_around(item, before, after)
        item.neutral = 2 * sum(each.title for each in shot) + item.title > len(shot)
        if not item.anchor:
            last = lonely_last(item, before, after)
            counted = partial(counts, last=last)
            weights = [
                anchor_weight(item.luma, other.luma, walk, steps)
                for walk, steps, other in reached(item, before, after, counted)
            ]
            item.extra = item is last or coverage(weights) < least
        yield item


def counts(other: Item, last: Item | None) -> bool:
    """Whether a frame covers others: grid and shot anchors, and a shot's lonely last frame."""
    return other.anchor or other is last


def lonely_last(item: Item, before: Sequence[Item], after: Sequence[Item]) -> Item | None:
    """The last frame of `item`'s shot where it is in sight and no anchor is in its own reach.
    before: nearest last; after: nearest first; both up to COVERAGE_REACH_FRAMES."""
    line = [*before, item, *after]
    end = next((n for n in range(len(before) + 1, len(line)) if line[n].cut), len(line))
    if end == len(line) and len(after) == COVERAGE_REACH_FRAMES:
        return None
    # The shot's first frame is an anchor, so no other shot's is found here.
    near = line[max(0, end - 1 - COVERAGE_REACH_FRAMES) : end]
    return None if any(each.anchor for each in near) else line[end - 1]


def gathered(items: Iterator[Item], finder: DissolveFinder) -> Iterator[Item]:
    """Give each frame the colour that it and the anchors around it agree on.

    The predictions themselves stay as they are: a neighbour gathers from them, not from this.
    `finder` has been shown the same items, DISSOLVE_REACH_FRAMES ahead of them.
    """
    reach = GATHER_REACH_FRAMES
    for number, (earlier, item, after) in enumerate(windows(items, SHOT_REACH_FRAMES, reach)):
        before = earlier[-reach:]
        for old in earlier[-reach - 1 : -reach]:
            old.past, old.future = Walk(), Walk()  # nobody repeats it any more
        item.keeps_color = shot_has_color(item, before, after)
        if item.keeps_color or not item.wanted:
            yield item
            item.frame = None
            continue
        dissolves = finder.around(number)
        inside = next((d for d in dissolves if d.last < number < d.first), None)
        if inside is None:
            run = run_around(item, before, after)
            place = number if run.still else number - run.back
            if any(d.last < place < d.first for d in dissolves):
                run, place = Run(0, 0), number
            source, past, future = run.seen(item, before, after)
            ab = gathered_ab(source, past, future, room(place, dissolves))
            yield replace(item, ab=ab, small=source.small)
        else:
            yield replace(item, ab=dissolved_ab(item, earlier, after, number, inside))
        item.frame = None


@dataclass(frozen=True, slots=True)
class Run:
    """A frame and those around it that are one picture, repeated."""

    back: int
    """Frames of it before this one."""

    ahead: int
    """Frames of it after this one."""

    still: bool = False
    """Whether it is longer than all its frames can see: they gather from what they see of it."""

    def seen(
        self, item: Item, before: Sequence[Item], after: Sequence[Item]
    ) -> tuple[Item, Sequence[Item], Sequence[Item]]:
        """The frame whose colour `item` takes, and the neighbours before and after that it gathers
        from.

        In a short run that is the first of it, with the neighbours that every frame of the run
        sees: no further back than the last one reaches, nor ahead than the first one does.
        """
        if self.still:
            return item, before[len(before) - self.back :], after[: self.ahead]
        line = [*before, item, *after]
        place = len(before) - self.back
        start = max(0, len(before) + self.ahead - GATHER_REACH_FRAMES)
        end = place + 1 + GATHER_REACH_FRAMES
        return line[place], line[start:place], line[place + 1 : end]


def run_around(item: Item, before: Sequence[Item], after: Sequence[Item]) -> Run:
    """The run of repeats that `item` is in, of which all must be one picture; else a run of one.
    before: nearest last; after: nearest first."""
    line = [*before, item, *after]
    place = first = last = len(before)
    while first > 0 and line[first].repeats:
        first -= 1
    while last + 1 < len(line) and line[last + 1].repeats:
        last += 1
    if not line[first].repeats and last - first < GATHER_REACH_FRAMES:
        alike = all(same_picture(line[first], line[n]) for n in range(first + 2, last + 1))
        return Run(place - first, last - place) if alike else Run(0, 0)
    like = [n for n in range(first, last + 1) if same_picture(item, line[n])]
    whole = like == list(range(like[0], like[-1] + 1)) and len(like) > GATHER_REACH_FRAMES
    return Run(place - like[0], like[-1] - place, still=True) if whole else Run(0, 0)


SHOT_REACH_FRAMES = DISSOLVE_REACH_FRAMES - 1
"""How far back in a dissolve the first shot's colour is looked for. A cut there looks
CUT_REACH_FRAMES further, from the frame after."""


def room(number: int, dissolves: Sequence[Dissolve]) -> tuple[int, int]:
    """How many frames before and after `number` are free of the dissolves around it."""
    ended = [number - d.first for d in dissolves if d.first <= number]
    coming = [d.last - number for d in dissolves if d.last >= number]
    return min(ended, default=GATHER_REACH_FRAMES), min(coming, default=GATHER_REACH_FRAMES)


def color_of(item: Item) -> Floats | None:
    """An anchor's colour: what was predicted, or none at all of an intertitle."""
    return np.zeros_like(item.ab) if item.ab is not None and item.neutral else item.ab


def gathered_ab(
    item: Item, before: Sequence[Item], after: Sequence[Item], free: tuple[int, int]
) -> Floats:
    """Colour (h, w, 2) from the item's own prediction and the anchors that walks lead to, no
    further than `free` frames (before, after) and none that show nothing, unless nothing else is
    there. What a network says of the black would else tint the fade into it."""
    within: list[Fetch] = []
    beyond: list[Fetch] = []
    for walk, steps, other in reached(item, before, after, lambda each: each.ab is not None):
        ab = color_of(other)
        assert ab is not None
        weight = anchor_weight(item.luma, other.luma, walk, steps)
        near = steps <= free[0 if walk is item.past else 1] and other.blank <= item.blank
        (within if near else beyond).append(Fetch(weight, walk.places[steps - 1], ab))
    own = color_of(item)
    alone = own is None and not within
    return gather(own, beyond if alone else within, item.luma.shape)


def dissolved_ab(
    item: Item, before: Sequence[Item], after: Sequence[Item], number: int, dissolve: Dissolve
) -> Floats:
    """Colour (h, w, 2) inside a dissolve: that of both shots, mixed as their pictures are.

    before: up to SHOT_REACH_FRAMES, nearest last. Each shot's colour stays where it was in its
    nearest anchors, as no flow can be trusted under a blend. Where a shot lies out of reach, the
    furthest anchor towards it stands for it: little of it is seen, or little is left of the other.
    """
    to_last, to_first = number - dissolve.last, dissolve.first - number
    first = shot_ab(frames_back(before, to_last), to_last)
    second = shot_ab(frames_ahead(after, to_first), to_first)
    if first is None or second is None:
        return gathered_ab(item, before[-GATHER_REACH_FRAMES:], after, (0, 0))
    share = np.float32(dissolve.alpha(number))
    return np.asarray((1 - share) * first + share * second, np.float32)


Seen = tuple[int, Item, Floats | None]
"""Steps to a frame, the frame, and its prediction where that may be used."""


def frames_back(before: Sequence[Item], away: int) -> list[Seen]:
    """The frames before, nearest first, up to where the shot starts that ends `away` frames back.

    Beyond the gathering's reach only the grid's anchors: whether others are there takes too wide a
    look.
    """
    found: list[Seen] = []
    for steps, other in enumerate(reversed(before), 1):
        known = other.on_grid or steps <= GATHER_REACH_FRAMES
        found.append((steps, other, other.ab if known else None))
        if other.cut and steps >= away:
            break
    return found


def frames_ahead(after: Sequence[Item], away: int) -> list[Seen]:
    """The same of the frames after, up to the end of the shot that begins `away` frames on."""
    found: list[Seen] = []
    for steps, other in enumerate(after, 1):
        if other.cut and steps > away:
            break
        found.append((steps, other, other.ab))
    return found


def shot_ab(frames: Sequence[Seen], away: int) -> Floats | None:
    """The colour of a shot that begins `away` frames off, from frames nearest first: its anchors'
    mean, each frame further off counting less; none where most of its frames show only writing."""
    anchors = [(steps, ab) for steps, _, ab in frames if ab is not None]
    in_shot = [(steps, ab) for steps, ab in anchors if steps >= away] or anchors[-1:]
    if not in_shot:
        return None
    # Each frame's own look: a vote around each would reach too far.
    titles = [other.title for steps, other, _ in frames if steps >= in_shot[0][0]]
    if 2 * sum(titles) > len(titles):
        return np.zeros_like(in_shot[0][1])
    weights = [np.float32(FURTHER**steps) for steps, _ in in_shot]
    total = sum((ab * weight for (_, ab), weight in zip(in_shot, weights, strict=True)), ZERO)
    return np.asarray(total / sum(weights), np.float32)


FURTHER = 0.7
"""What an anchor's weight loses per frame further from a dissolve."""

ZERO = np.float32(0)


def with_recent_anchor(items: Iterator[Item]) -> Iterator[Item]:
    """Without smoothing: a frame that is far from its anchor predicts itself.

    Where frames come faster than the film's rate says, the grid's anchors may lie further back
    than a stream's margin reaches.
    """
    since = 0
    for item in items:
        since = 0 if item.anchor else since + 1
        item.neutral = item.title
        item.extra = since > GATHER_REACH_FRAMES + COVERAGE_REACH_FRAMES
        yield item


def held(items: Iterator[Item]) -> Iterator[Item]:
    """Without smoothing: each frame takes its anchor's prediction as it is."""
    ab: Floats | None = None
    reach = GATHER_REACH_FRAMES
    for before, item, after in windows(items, reach, reach):
        item.keeps_color = shot_has_color(item, before, after)
        ab = color_of(item) if item.ab is not None else ab
        item.ab = ab
        yield item


def shot_has_color(item: Item, before: Sequence[Item], after: Sequence[Item]) -> bool:
    """Whether most of the frames around `item` that are of its shot have colour.

    before: nearest last; after: nearest first. Half and half is what the frame itself is.
    """
    shot = shot_around(item, before, after)
    return 2 * sum(each.colored for each in shot) + item.colored > len(shot)


def shot_around(item: Item, before: Sequence[Item], after: Sequence[Item]) -> list[Item]:
    """`item` and those of its neighbours that are of its shot. before: nearest last; after: nearest
    first."""
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
    return shot


def reached(
    item: Item, before: Sequence[Item], after: Sequence[Item], asked: Callable[[Item], bool]
) -> Iterator[tuple[Walk, int, Item]]:
    """The frames of `item`'s shot among its neighbours that are `asked` for, with the walk that
    leads there and its steps, one at least. before: nearest last; after: nearest first.

    A walk goes no further than somebody asks: each of its steps costs.
    """
    here = item
    steps: list[FlowStep] = []
    for other in reversed(before):
        if here.step is None:
            break
        steps.append(here.step)
        if asked(other):
            for step in steps[len(item.past.places) :]:
                item.past.extend(step.back, step.back_trust)
            yield item.past, len(steps), other
        here = other
    steps = []
    for other in after:
        if other.step is None:
            break
        steps.append(other.step)
        if asked(other):
            for step in steps[len(item.future.places) :]:
                item.future.extend(step.ahead, step.ahead_trust)
            yield item.future, len(steps), other


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
