"""The stream: facts of the film, then frame after frame from the decoder to coloured planes.

    info = probe(path)
    facts = film_facts(info)
    colorizer = Colorizer(info, facts, settings, engine, picture_format)
    for picture in colorizer.pictures(segment.start, segment.end): ...

    read -> measure -> cuts -> flow -> anchors -> coverage -> network -> gather -> render
            small      +-3             grid,      +-4                    +-8
            luma                       shots

Up to the network the stages run on a thread of their own, beside the one that gathers and renders.
Every stage is a generator that looks a few frames to either side; together they look at most
REACH_FRAMES away, so a picture is a function of the source, the settings and its frame alone.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from fractions import Fraction
from functools import cached_property
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vidcolor.color import ColorSpace
from vidcolor.denoise import calm, unscratched
from vidcolor.device_color import DeviceColor, Rendering
from vidcolor.dissolves import DISSOLVE_REACH_FRAMES, DissolveFinder
from vidcolor.errors import ColorSourceError
from vidcolor.facts import GRAY_CHROMA, FilmFacts, facts_of, frame_has_color
from vidcolor.flow import LEAST_FLOW_SIDE
from vidcolor.frames import Fields, Frame, Picture, PictureFormat, Plane, VideoInfo
from vidcolor.inference import Engine
from vidcolor.media.gpu_trial import decoding_gpu
from vidcolor.media.probe import words_on_films
from vidcolor.media.read import read_frames
from vidcolor.media.sample import sample_pairs
from vidcolor.prefetch import prefetched
from vidcolor.rendering import render_chroma
from vidcolor.resample import Size, enlarge, refit, shrink, stretch, turn
from vidcolor.settings import Settings
from vidcolor.shots import REACH_FRAMES as CUT_REACH_FRAMES
from vidcolor.shots import thumbnail, thumbnail_difference
from vidcolor.smoothing import (
    COVERAGE_REACH_FRAMES,
    DENSE_ANCHORS,
    GATHER_REACH_FRAMES,
    LEAST_COVERAGE,
    LEAST_SPARSE_COVERAGE,
)
from vidcolor.stages import (
    Item,
    gathered,
    held,
    watched,
    with_coverage,
    with_cuts,
    with_flow,
    with_recent_anchor,
)
from vidcolor.threads import give_way
from vidcolor.titles import is_title, may_be_title

Floats = NDArray[np.float32]
T = TypeVar("T")

REACH_FRAMES = max(
    GATHER_REACH_FRAMES + COVERAGE_REACH_FRAMES + CUT_REACH_FRAMES, DISSOLVE_REACH_FRAMES + 1
)
"""R: no decision about a frame looks further than this; the 1 is the predecessor that a frame on
the anchors' grid is told by."""

RENDERING_DEVICES = ("cuda",)
"""Types of devices that render faster than the processor does."""

ANALYSED_AHEAD = 2
"""Frames that the analysis, which has a thread too, may be ahead of the rendering."""

DECODED_AHEAD = 2
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


def standing_back(items: Iterator[T]) -> Iterator[T]:
    """The items; the thread that takes the first one lets the encoder's go before it."""
    give_way()
    yield from items


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
        self._device = self._device_color()
        """Renders where it isn't this processor that does."""
        self.damaged = 0
        """Frames the decoder has reported as damaged or has lost so far, margins left out."""

    def _device_color(self) -> DeviceColor | None:
        """None where pictures are rendered here: without a GPU, and what it doesn't know."""
        by_moment = self.format.fields is not None
        if self.engine.device.type not in RENDERING_DEVICES or by_moment:
            return None
        if self.settings.preserve != "luma":
            return None
        return DeviceColor(
            self.space,
            guide_space=self.small_space,
            size=(self.format.chroma_width, self.format.chroma_height),
            guide_size=self.small_size,
            ab_size=self.gather_size,
            device=self.engine.device,
            saturation=self.settings.saturation,
        )

    @property
    def warnings(self) -> list[str]:
        """Sentences about what of the source won't be as it was."""
        said = []
        path, settings = self.info.path, self.settings
        if several := words_on_films(self.info):
            said.append(several)
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
        finder = self._finder()
        with ExitStack() as threads:

            def ahead(items: Iterator[T], limit: int, name: str) -> Iterator[T]:
                made = prefetched(standing_back(items), limit, thread_name=name)
                return threads.enter_context(closing(made))

            items = self._analysed(ahead(source, DECODED_AHEAD, "decode"), asked, finder)
            if frames is None:  # a few at hand aren't worth a thread
                items = ahead(items, ANALYSED_AHEAD, "analysis")
            items = self._counted(self._gathered(items, finder), start, end)
            device = self._device
            yield from self._pictured_on(device, items) if device else self._pictured(items)

    def _counted(self, items: Iterator[Item], start: int, end: int) -> Iterator[Item]:
        """The wanted items; damage counts whether wanted or not."""
        for item in items:
            assert item.frame is not None
            if start <= item.pts < end:
                self.damaged += item.frame.damaged or item.frame.repeated
            if item.wanted:
                yield item
            item.frame = None

    def _pictured(self, items: Iterator[Item]) -> Iterator[tuple[Frame, Picture]]:
        for item in items:
            assert item.frame is not None
            if item.keeps_color:
                yield item.frame, self._keep(item.frame)
            else:
                assert item.ab is not None
                yield item.frame, self._render(item.frame, item.small, item.ab)

    def _pictured_on(
        self, device: DeviceColor, items: Iterator[Item]
    ) -> Iterator[tuple[Frame, Picture]]:
        """As `_pictured`, a batch at a time, of which the next goes up before one is waited for."""
        begun: deque[tuple[list[tuple[Frame, Item]], Rendering | None]] = deque()
        pairs = ((item.frame, item) for item in items if item.frame)
        for together in iter(lambda: list(islice(pairs, device.batch)), []):
            begun.append((together, self._submitted(device, together)))
            if len(begun) > 1:
                yield from self._collected(*begun.popleft())
        for each in begun:
            yield from self._collected(*each)

    def _submitted(
        self, device: DeviceColor, together: Sequence[tuple[Frame, Item]]
    ) -> Rendering | None:
        """The batch's rendering, begun; None where all its pictures keep their own colour."""
        size = (self.format.chroma_width, self.format.chroma_height)
        given = [
            (shrink(frame.luma, size), item.small, item.ab.transpose(2, 0, 1))
            for frame, item in together
            if not item.keeps_color and item.ab is not None
        ]
        if not given:
            return None
        luma, guides, ab = zip(*given, strict=True)
        return device.submit(np.stack(luma), np.stack(guides), np.stack(ab))

    def _collected(
        self, together: Sequence[tuple[Frame, Item]], rendering: Rendering | None
    ) -> Iterator[tuple[Frame, Picture]]:
        planes = iter(zip(*rendering.result(), strict=True)) if rendering else iter(())
        for frame, item in together:
            if item.keeps_color:
                yield frame, self._keep(frame)
            else:
                yield frame, self._picture(frame, frame.luma, *next(planes))

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
            gpu=self._decoding_gpu,
        )

    @cached_property
    def _decoding_gpu(self) -> int | None:
        """The GPU that decodes, tried at the first reading; None where the processor does."""
        device = self.engine.device
        if not self.settings.gpu_decode or device.type != "cuda":
            return None
        return decoding_gpu(self.info, device.index or 0, self.fields)

    def _finder(self) -> DissolveFinder | None:
        """None where colour isn't smoothed, or can't be."""
        smooth = self.settings.smoothing and min(self.small_size) >= LEAST_FLOW_SIDE
        return DissolveFinder(late=self.engine.batch + ANALYSED_AHEAD + 1) if smooth else None

    def _analysed(
        self,
        frames: Iterator[Frame],
        wanted: Callable[[int], bool],
        finder: DissolveFinder | None,
    ) -> Iterator[Item]:
        """Each frame with its flow, and what the network says of anchors."""
        items = self._measured(frames, wanted)
        if finder is None:
            items = self._with_anchors(with_cuts(items))
            return self._predicted(with_recent_anchor(items))
        items = with_cuts(watched(items, finder))
        items = self._with_anchors(with_flow(items, self.gather_size))
        sparse = self.settings.anchor_every > DENSE_ANCHORS
        least = LEAST_SPARSE_COVERAGE if sparse else LEAST_COVERAGE
        return self._predicted(with_coverage(items, least))

    def _gathered(self, items: Iterator[Item], finder: DissolveFinder | None) -> Iterator[Item]:
        return held(items) if finder is None else gathered(items, finder)

    def _measured(self, frames: Iterator[Frame], wanted: Callable[[int], bool]) -> Iterator[Item]:
        """Shrink each frame's luma and compare it with the last one's."""
        last: Item | None = None
        for frame in frames:
            small = to_8_bits(shrink(frame.luma, self.small_size), self.info.bit_depth)
            calmed = calm(small)
            picture = thumbnail(small)
            difference = thumbnail_difference(last.thumbnail, picture) if last else 0.0
            last = Item(
                frame=frame,
                pts=frame.pts,
                small=small,
                calmed=calmed,
                luma=self.small_space.normalize(shrink(calmed, self.gather_size)),
                thumbnail=picture,
                difference=difference,
                wanted=wanted(frame.pts),
                colored=self.settings.keep_color and frame_has_color(frame, self.info),
                title=self._shows_title(frame, small),
            )
            yield last

    def _shows_title(self, frame: Frame, small: NDArray[np.uint8]) -> bool:
        """Whether the picture inside the bars shows only writing; `small` is the small luma."""
        box, info = self.facts.box, self.info
        height, width = small.shape
        rows = slice(box.top * height // info.height, -(-box.bottom * height // info.height))
        columns = slice(box.left * width // info.width, -(-box.right * width // info.width))
        if not may_be_title(small[rows, columns]):
            return False
        picture = frame.luma[box.top : box.bottom, box.left : box.right]
        return is_title(to_8_bits(picture, info.bit_depth), info.rotation)

    def _with_anchors(self, items: Iterator[Item]) -> Iterator[Item]:
        """Mark the anchors: the first frame of each shot, and a grid in time."""
        every = self.settings.anchor_every
        last = None
        for item in items:
            ticks = item.pts * self.info.time_base * self.info.rate
            cell = math.floor(ticks + HALF) // every
            item.on_grid = every == 1 or cell != last
            item.anchor = item.on_grid or item.cut
            last = cell
            yield item

    def _predicted(self, items: Iterator[Item]) -> Iterator[Item]:
        """Run the network on the anchors, as many frames together as fill a batch."""
        while together := list(islice(items, self.engine.batch)):
            anchors = [item for item in together if item.anchor or item.extra]
            if anchors:
                planes = [self._network_lightness(item.frame) for item in anchors if item.frame]
                for item, ab in zip(anchors, self._answers(np.stack(planes)), strict=True):
                    item.ab = self._place(ab)
            yield from together

    def _answers(self, planes: Floats) -> Floats:
        """What the network says of lightness (n, H, W): ab (n, 2, h, w)."""
        ab = self.engine.colorize(planes)
        if not self.settings.mirrored:
            return ab
        other = self.engine.colorize(np.ascontiguousarray(planes[..., ::-1]))
        return np.asarray((ab + other[..., ::-1]) / 2, np.float32)

    def _network_lightness(self, frame: Frame) -> Floats:
        """What the network sees: the picture without bars and scratches, upright, stretched to its
        input."""
        box, rotation = self.facts.box, self.info.rotation
        height, width = self.engine.input_size
        size = (height, width) if rotation in (90, 270) else (width, height)
        view = stretch(frame.luma[box.top : box.bottom, box.left : box.right], size)
        return self.space.lightness(unscratched(turn(view, rotation), self.info.bit_depth))

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
        cb, cr = frame.chroma
        u, v = self._by_moment(lambda lines, size: (refit(cb[lines], size), refit(cr[lines], size)))
        return picture_of(frame, frame.luma, u, v)

    def _render(self, frame: Frame, small: NDArray[np.uint8], ab: Floats) -> Picture:
        if self.settings.preserve == "lightness":
            y, u, v = self._render_lightness(frame, ab)
        else:
            y = frame.luma
            u, v = self._render_luma(frame, small, ab)
        return self._picture(frame, y, u, v)

    def _picture(self, frame: Frame, y: Plane, u: Plane, v: Plane) -> Picture:
        self._clear_bars(u)
        self._clear_bars(v)
        return picture_of(frame, y, u, v)

    def _render_luma(
        self, frame: Frame, small: NDArray[np.uint8], ab: Floats
    ) -> tuple[Plane, Plane]:
        """Chroma under the source's own luma."""
        planes = np.moveaxis(ab, 2, 0) * np.float32(self.settings.saturation)
        return self._by_moment(
            lambda lines, size: render_chroma(
                frame.luma[lines],
                small,
                planes,
                self.space,
                size=size,
                guide_space=self.small_space,
            )
        )

    def _render_lightness(self, frame: Frame, ab: Floats) -> tuple[Plane, Plane, Plane]:
        """The published networks' rendering: ab enlarged bilinearly, CIE L kept, luma rewritten."""
        size = (self.info.width, self.info.height)
        wide = enlarge(ab, size)
        planes = np.moveaxis(wide, 2, 0) * np.float32(self.settings.saturation)
        y, chroma = self.space.planes_with_lightness(frame.luma, planes)

        def shrunk(lines: slice, size: Size) -> tuple[Plane, Plane]:
            small = shrink(chroma[lines], size)
            return self.space.quantize(small[..., 0]), self.space.quantize(small[..., 1])

        return y, *self._by_moment(shrunk)

    def _by_moment(
        self, render: Callable[[slice, Size], tuple[Plane, Plane]]
    ) -> tuple[Plane, Plane]:
        """Chroma planes as `render` gives them for some of the picture's lines, at a size.

        All lines at once, but for interlaced pictures whose chroma has fewer lines than their
        luma: there each chroma line belongs to luma lines of its own moment, every second one.
        """
        width, height = self.format.chroma_width, self.format.chroma_height
        if self.format.fields is None or height == self.format.height:
            return render(slice(None), (width, height))
        kind = np.uint8 if self.format.bit_depth == 8 else np.uint16
        u, v = np.empty((height, width), kind), np.empty((height, width), kind)
        for lines in (slice(0, None, 2), slice(1, None, 2)):
            u[lines], v[lines] = render(lines, (width, len(range(height)[lines])))
        return u, v

    def _clear_bars(self, plane: Plane) -> None:
        """Make the bars exactly neutral, and a chroma sample that lies half in one: colour that
        only darkens the picture's last line would shine in the black."""
        box, info = self.facts.box, self.info
        height, width = plane.shape
        plane[: -(-box.top * height // info.height)] = self.space.chroma_center
        plane[box.bottom * height // info.height :] = self.space.chroma_center
        plane[:, : -(-box.left * width // info.width)] = self.space.chroma_center
        plane[:, box.right * width // info.width :] = self.space.chroma_center


HALF = Fraction(1, 2)


def picture_of(frame: Frame, y: Plane, u: Plane, v: Plane) -> Picture:
    """Planes made of a frame, with all that goes along with it."""
    return Picture(
        pts=frame.pts,
        duration=frame.duration,
        y=y,
        u=u,
        v=v,
        captions=frame.captions,
        damaged=frame.damaged,
        repeated=frame.repeated,
    )


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


def to_8_bits(luma: Plane, bit_depth: int) -> NDArray[np.uint8]:
    """Codes of `bit_depth` bits -> their upper 8 bits."""
    return (luma >> (bit_depth - 8)).astype(np.uint8) if bit_depth > 8 else luma.astype(np.uint8)
