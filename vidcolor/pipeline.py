"""The stream: facts of the film, then frame after frame from the decoder to coloured planes.

    info = probe(path)
    facts = film_facts(info)
    colorizer = Colorizer(info, facts, settings, engine, picture_format)
    for picture in colorizer.pictures(segment.start, segment.end): ...

    read -> measure -> cuts -> flow -> anchors -> coverage -> network -> gather -> render
            small      +-3             grid,      +-4                    +-8
            luma                       shots

Every stage is a generator that looks a few frames to either side; together they look at most
REACH_FRAMES away, so a picture is a function of the source, the settings and its frame alone.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vidcolor.color import ColorSpace, render_chroma
from vidcolor.errors import ColorSourceError
from vidcolor.facts import GRAY_CHROMA, FilmFacts, facts_of, frame_has_color
from vidcolor.frames import Fields, Frame, Picture, PictureFormat, Plane, VideoInfo
from vidcolor.inference import Engine
from vidcolor.media.read import read_frames, sample_pairs
from vidcolor.prefetch import prefetched
from vidcolor.resample import enlarge, refit, shrink, stretch, turn
from vidcolor.settings import Settings
from vidcolor.shots import REACH_FRAMES as CUT_REACH_FRAMES
from vidcolor.shots import is_cut, thumbnail, thumbnail_difference
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

REACH_FRAMES = GATHER_REACH_FRAMES + COVERAGE_REACH_FRAMES + CUT_REACH_FRAMES + 1
"""R: no decision about a frame looks further than this; the 1 is the predecessor that the
furthest difference is taken to."""

DECODED_AHEAD = 4
"""Frames the decoder's thread may be ahead of the stream."""


def film_facts(info: VideoInfo) -> FilmFacts:
    """Measure the film on its fixed sample of frames; seconds even for a long one.

    Raises SourceError when no frame of it decodes.
    """
    return facts_of(sample_pairs(info), info)


def refuse_color(info: VideoInfo, facts: FilmFacts, settings: Settings) -> None:
    """Raise ColorSourceError for a film that has colour, unless recolouring was asked for."""
    if facts.colored and not (settings.recolor or settings.keep_color):
        some = "in some shots " if facts.partly_colored else ""
        what = "replace it, or --keep-color to leave those shots" if some else "replace it"
        raise ColorSourceError(
            f"{info.path} already has colour {some}(mean chroma {facts.chroma:.0f}, where black "
            f"and white has under {GRAY_CHROMA:.0f} or a mere tint); give --recolor to {what}."
        )


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


class Colorizer:
    """Turns ranges of one film into pictures; the same pictures however the film is cut up."""

    def __init__(
        self,
        info: VideoInfo,
        facts: FilmFacts,
        settings: Settings,
        engine: Engine,
        picture_format: PictureFormat,
    ) -> None:
        self.info, self.facts, self.settings = info, facts, settings
        self.engine, self.format = engine, picture_format
        self.space = ColorSpace(info.tags, bit_depth=info.bit_depth)
        self.small_space = ColorSpace(info.tags, bit_depth=8)
        self.small_size = fit(info.width, info.height, settings.analysis_side)
        self.gather_size = fit(info.width, info.height, settings.analysis_side // 2)
        self.fields: Fields = facts.fields if settings.deinterlace else "progressive"
        """How the source's lines are read."""
        self.damaged = 0
        """Frames the decoder has reported as damaged so far, margins left out."""

    @property
    def warnings(self) -> list[str]:
        """Sentences about what of the source won't be as it was."""
        said = []
        path, settings = self.info.path, self.settings
        if self.fields != "progressive":
            order = {"top": ", upper lines first", "bottom": ", lower lines first"}
            said.append(
                f"{path} is interlaced{order.get(self.fields, '')}; it is made progressive, frame "
                "for frame, which changes its luma (--deinterlace off leaves it as it is)."
            )
        if self.facts.partly_colored and not (settings.keep_color or settings.recolor):
            said.append(
                f"{path} seems to have colour in some shots, which is replaced; --keep-color "
                "leaves those as they are."
            )
        return said

    def pictures(self, start: int, end: int) -> Generator[Picture]:
        """Every picture with pts in [start, end), in order, as one running stream.

        The margin on both sides is decoded here. Closing the iterator stops its threads.
        Raises SourceError when the source can't be read, DeviceError when memory runs out.
        """
        with closing(self.pairs(start, end)) as pairs:
            for _, picture in pairs:
                yield picture

    def pairs(
        self,
        start: int,
        end: int,
        *,
        wanted: Callable[[int], bool] = lambda pts: True,
        frames: Iterator[Frame] | None = None,
    ) -> Generator[tuple[Frame, Picture]]:
        """As `pictures`, each beside the frame it was made from, and only the wanted ones.

        `wanted` is asked once for each pts in [start, end), in order, some frames ahead of what is
        yielded; no answer changes another picture. `frames` are what `read` gives, where that is at
        hand already.
        """

        def asked(pts: int) -> bool:
            return start <= pts < end and wanted(pts)

        source = self.read(start, end) if frames is None else frames
        with closing(prefetched(source, DECODED_AHEAD, thread_name="decode")) as decoded:
            for item in self._stages(decoded, asked):
                assert item.frame is not None
                if start <= item.pts < end:
                    self.damaged += item.frame.damaged
                if item.wanted and item.keeps_color:
                    yield item.frame, self._keep(item.frame)
                elif item.wanted:
                    assert item.ab is not None
                    yield item.frame, self._render(item.frame, item.small, item.ab)
                item.frame = None

    def read(self, start: int, end: int) -> Iterator[Frame]:
        """The frames with pts in [start, end), and REACH_FRAMES more on either side."""
        return read_frames(
            self.info,
            start,
            end,
            before=REACH_FRAMES,
            after=REACH_FRAMES,
            threads=self.settings.threads,
            fields=self.fields,
        )

    def _stages(self, frames: Iterator[Frame], wanted: Callable[[int], bool]) -> Iterator[Item]:
        items = self._measured(frames, wanted)
        items = with_cuts(items)
        if self.settings.smoothing and min(self.small_size) >= LEAST_FLOW_SIDE:
            items = self._with_anchors(with_flow(items, self.gather_size))
            return gathered(self._predicted(with_coverage(items)))
        return held(self._predicted(with_recent_anchor(self._with_anchors(items))))

    def _measured(self, frames: Iterator[Frame], wanted: Callable[[int], bool]) -> Iterator[Item]:
        """Shrink each frame's luma and compare it with the last one's."""
        last: Item | None = None
        for frame in frames:
            small = to_8_bits(shrink(frame.luma, self.small_size), self.info.bit_depth)
            picture = thumbnail(small)
            difference = thumbnail_difference(last.thumbnail, picture) if last else 0.0
            last = Item(
                frame=frame,
                pts=frame.pts,
                small=small,
                luma=self.small_space.normalize(shrink(small, self.gather_size)),
                thumbnail=picture,
                difference=difference,
                wanted=wanted(frame.pts),
                colored=self.settings.keep_color and frame_has_color(frame, self.info),
            )
            yield last

    def _with_anchors(self, items: Iterator[Item]) -> Iterator[Item]:
        """Mark the anchors: the first frame of each shot, and a grid in time."""
        every = self.settings.anchor_every
        last = None
        for item in items:
            ticks = item.pts * self.info.time_base * self.info.rate
            cell = math.floor(ticks + HALF) // every
            item.anchor = every == 1 or item.cut or cell != last
            last = cell
            yield item

    def _predicted(self, items: Iterator[Item]) -> Iterator[Item]:
        """Run the network on the anchors, as many frames together as fill a batch."""
        while together := list(islice(items, self.engine.batch)):
            anchors = [item for item in together if item.anchor or item.extra]
            if anchors:
                planes = [self._network_lightness(item.frame) for item in anchors if item.frame]
                for item, ab in zip(anchors, self.engine.colorize(np.stack(planes)), strict=True):
                    item.ab = self._place(ab)
            yield from together

    def _network_lightness(self, frame: Frame) -> Floats:
        """What the network sees: the picture without bars, upright, stretched to its input."""
        box, rotation = self.facts.box, self.info.rotation
        height, width = self.engine.input_size
        size = (height, width) if rotation in (90, 270) else (width, height)
        view = stretch(frame.luma[box.top : box.bottom, box.left : box.right], size)
        return self.space.lightness(turn(view, rotation))

    def _place(self, ab: Floats) -> Floats:
        """The network's answer (2, h, w), turned back, at gathering size, neutral in the bars."""
        width, height = self.gather_size
        planes = turn(ab.transpose(1, 2, 0), -self.info.rotation)
        box, info = self.facts.box, self.info
        top, bottom = (round(y * height / info.height) for y in (box.top, box.bottom))
        left, right = (round(x * width / info.width) for x in (box.left, box.right))
        placed = np.zeros((height, width, 2), np.float32)
        inner = (max(1, right - left), max(1, bottom - top))
        small = refit(planes, inner)
        placed[top : top + inner[1], left : left + inner[0]] = small[: height - top, : width - left]
        return placed

    def _keep(self, frame: Frame) -> Picture:
        """The frame with its own chroma, refitted only where the output's planes have another
        size."""
        assert frame.chroma is not None
        size = (self.format.chroma_width, self.format.chroma_height)
        u, v = (refit(plane, size) for plane in frame.chroma)
        return Picture(frame.pts, frame.duration, frame.luma, u, v)

    def _render(self, frame: Frame, small: NDArray[np.uint8], ab: Floats) -> Picture:
        if self.settings.preserve == "lightness":
            y, u, v = self._render_lightness(frame, ab)
        else:
            y = frame.luma
            u, v = self._render_luma(frame, small, ab)
        self._clear_bars(u)
        self._clear_bars(v)
        return Picture(frame.pts, frame.duration, y, u, v)

    def _render_luma(
        self, frame: Frame, small: NDArray[np.uint8], ab: Floats
    ) -> tuple[Plane, Plane]:
        """Chroma under the source's own luma."""
        wide = enlarge(ab, self.small_size)
        planes = np.moveaxis(wide, 2, 0) * np.float32(self.settings.saturation)
        chroma = self.small_space.chroma(small, planes)
        return render_chroma(
            frame.luma,
            small,
            chroma,
            self.space,
            size=(self.format.chroma_width, self.format.chroma_height),
            guide_space=self.small_space,
        )

    def _render_lightness(self, frame: Frame, ab: Floats) -> tuple[Plane, Plane, Plane]:
        """The published networks' rendering: ab enlarged bilinearly, CIE L kept, luma rewritten."""
        size = (self.info.width, self.info.height)
        wide = enlarge(ab, size)
        planes = np.moveaxis(wide, 2, 0) * np.float32(self.settings.saturation)
        y, chroma = self.space.planes_with_lightness(frame.luma, planes)
        chroma_size = (self.format.chroma_width, self.format.chroma_height)
        small = shrink(chroma, chroma_size)
        return y, self.space.quantize(small[..., 0]), self.space.quantize(small[..., 1])

    def _clear_bars(self, plane: Plane) -> None:
        """Make the bars exactly neutral."""
        box, info = self.facts.box, self.info
        height, width = plane.shape
        plane[: box.top * height // info.height] = self.space.chroma_center
        plane[-(-box.bottom * height // info.height) :] = self.space.chroma_center
        plane[:, : box.left * width // info.width] = self.space.chroma_center
        plane[:, -(-box.right * width // info.width) :] = self.space.chroma_center


HALF = Fraction(1, 2)


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


def fit(width: int, height: int, side: int) -> tuple[int, int]:
    """(width, height) of the picture shrunk to a long side of `side`, never enlarged, at least
    MIN_SIDE where the picture has that much."""
    scale = min(1.0, side / max(width, height))
    return (
        max(round(width * scale), min(width, MIN_SIDE)),
        max(round(height * scale), min(height, MIN_SIDE)),
    )


MIN_SIDE = 16
"""The small luma isn't shrunk under this."""

LEAST_FLOW_SIDE = 12
"""DIS flow takes no smaller picture; a smaller film is coloured frame by frame."""


def to_8_bits(luma: Plane, bit_depth: int) -> NDArray[np.uint8]:
    """Codes of `bit_depth` bits -> their upper 8 bits."""
    return (luma >> (bit_depth - 8)).astype(np.uint8) if bit_depth > 8 else luma.astype(np.uint8)
