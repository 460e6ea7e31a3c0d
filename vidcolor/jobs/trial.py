"""Some frames of a film coloured and encoded for a trial, to tell how fast and how large.

    trial = try_film(order, plan.work)
    trial.fps, trial.bytes_per_frame

    frames still to be made  |.....2222.........1111.........3333.....|

What its time allows, at three places, with exactly the settings asked for. The files go to a
temporary folder, which is always removed.
"""

from __future__ import annotations

import tempfile
import time
from bisect import bisect_left
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from math import log
from pathlib import Path
from typing import TYPE_CHECKING

from vidcolor.frames import Picture, Segment, VideoInfo
from vidcolor.jobs.devices import devices_of
from vidcolor.jobs.encoding import SegmentEncoder
from vidcolor.jobs.local import OpenEngine, Order
from vidcolor.media.write import SegmentRecord, SegmentWriter

if TYPE_CHECKING:
    from vidcolor.jobs.estimate import Work

TRIAL_SECONDS = 10.0
"""Wall time of a trial, without what it takes to get going at each place."""

PLACES = (1 / 2, 1 / 6, 5 / 6)
"""Where a trial looks, as shares of the frames to be made: one scene says little of a film."""

SLOW_START_SECONDS = 3.0
"""Where the first picture takes longer than this, the trial stays at its first place."""

LINEAR_PLACE_SECONDS = 60.0
"""How far into a film that can't be sought a trial looks: it reads all that comes before."""

MOST_TRIALS = 6
"""Of several films, this many are tried: a minute or two for a folder of any size."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """How some frames of a film went."""

    source: Path
    frames: int
    seconds: float
    """Wall time of all but the first frame of each place."""

    starting_seconds: float
    """From the asking to the first picture, at the first place."""

    spans: tuple[tuple[int, int], ...]
    """Pts of the first and of the last frame tried at each place."""

    first_bytes: float
    """Mean size of the packet a segment begins with."""

    other_bytes: float
    """Mean size of all other packets."""

    damaged: int
    """Frames the decoder reported as damaged."""

    pixels: int
    """Of a frame."""

    device: str = ""
    """Where it was made, of several devices; empty where there is but one."""

    scaled: bool = False
    """Whether this was reckoned for another film from its picture's size."""

    @property
    def places(self) -> int:
        """How many places were looked into."""
        return len(self.spans)

    @property
    def fps(self) -> float:
        """Frames a second once all is warm."""
        return max(self.frames - self.places, 1) / max(self.seconds, 1e-6)

    @property
    def bytes_per_frame(self) -> float:
        """Mean size of a frame in the trial."""
        total = self.places * self.first_bytes + (self.frames - self.places) * self.other_bytes
        return total / self.frames

    def scaled_to(self, info: VideoInfo) -> Trial:
        """What to expect of another film: time and bytes in proportion to its pixels."""
        scale = info.width * info.height / self.pixels
        return replace(
            self,
            seconds=self.seconds * scale,
            first_bytes=self.first_bytes * scale,
            other_bytes=self.other_bytes * scale,
            pixels=info.width * info.height,
            scaled=True,
        )


def try_film(
    order: Order,
    work: Work,
    *,
    open_engine: OpenEngine | None = None,
    seconds: float = TRIAL_SECONDS,
) -> Trial | None:
    """Colour and encode some of the frames to be made; None where none can be made.

    Of several devices the first is tried. Takes about `seconds`, and what getting to its places
    takes. Raises the errors of a run.
    """
    from vidcolor import inference
    from vidcolor.pipeline import Colorizer

    devices = devices_of(order.settings.device)
    settings = replace(order.settings, device=devices[0])
    engine = (open_engine or inference.open_engine)(settings)
    colorizer = Colorizer(work.info, work.facts, settings, engine, work.format)
    looks: list[_Look] = []
    places, left = trial_places(work), seconds
    with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder:
        for number, (start, end) in enumerate(places):
            segment = Segment(number, start, end)
            # What a short place leaves over is the next one's.
            shares = _Shares(all=left, usual=left / (len(places) - number))
            look = _try_place(colorizer.pictures(start, end), segment, work, Path(folder), shares)
            if look is not None:
                looks.append(look)
                left -= look.seconds
            if left <= 0:
                break
    if not looks:
        return None
    others = [size for look in looks for size in look.sizes[1:]]
    first = sum(look.sizes[0] for look in looks) / len(looks)
    return Trial(
        source=order.source,
        frames=sum(len(look.sizes) for look in looks),
        seconds=sum(look.seconds for look in looks),
        starting_seconds=looks[0].starting_seconds,
        spans=tuple(look.span for look in looks),
        first_bytes=first,
        other_bytes=sum(others) / len(others) if others else first,
        damaged=colorizer.damaged,
        device=devices[0] if len(devices) > 1 else "",
        pixels=work.info.width * work.info.height,
    )


def trial_places(work: Work) -> list[tuple[int, int]]:
    """Half-open ranges of pts for a trial to look into, in order, of what is still to be made."""
    todo, info = work.todo, work.info
    if not todo:
        return []
    if not info.seekable:
        # A run that goes on, too, has to read up to where it does.
        reach = info.start_pts + LINEAR_PLACE_SECONDS / float(info.time_base)
        begin = min(int(len(todo) * min(PLACES)), bisect_left(todo, reach))
        return [(todo[begin], todo[-1] + 1)]
    # As few frames as places, or fewer, begin in the same place.
    starts = list(dict.fromkeys(int(len(todo) * place) for place in PLACES))
    ends = dict(pairwise([*sorted(starts), len(todo)]))
    return [(todo[start], todo[ends[start] - 1] + 1) for start in starts]


@dataclass(frozen=True, kw_only=True)
class _Shares:
    """Seconds a place may take: all that are left where getting there was slow."""

    all: float
    usual: float


@dataclass(frozen=True)
class _Look:
    """How the frames of one place went."""

    sizes: list[int]
    """Bytes of their packets."""

    span: tuple[int, int]
    """Pts of the first frame and of the last."""

    seconds: float
    starting_seconds: float


def _try_place(
    stream: Generator[Picture], segment: Segment, work: Work, folder: Path, shares: _Shares
) -> _Look | None:
    """Colour and encode `segment` for about its share of seconds from its first picture on."""
    writers: list[SegmentWriter] = []

    @contextmanager
    def open_writer(segment: Segment) -> Iterator[SegmentWriter]:
        path = folder / f"{segment.index}.mkv"
        with SegmentWriter(path, work.info, work.format, work.choice) as writer:
            writers.append(writer)
            yield writer
        path.unlink(missing_ok=True)

    def commit(segment: Segment, record: SegmentRecord | None) -> None:
        pass

    asked = time.monotonic()
    began = None
    shown: list[int] = []
    with (
        closing(stream) as pictures,
        SegmentEncoder([segment], open_writer, commit) as encoder,
    ):
        for picture in pictures:
            encoder.put(picture)
            shown.append(picture.pts)
            now = time.monotonic()
            began = began or now
            share = shares.all if began - asked > SLOW_START_SECONDS else shares.usual
            if now - began >= share:
                break
    # The encoder has by now given what it held back, as at each segment's end.
    ended = time.monotonic()
    sizes = [size for writer in writers for size in writer.sizes]
    if began is None or not sizes:
        return None
    return _Look(sizes, (shown[0], shown[-1]), ended - began, began - asked)


Kind = tuple[int, int, str, str]


class Trials:
    """Trials of several films, and no more of them than a person likes to wait for.

    As many films as MOST_TRIALS, or fewer, are each tried. Of more, the first of each size, codec
    and pixel format is; when so many were tried, the others are reckoned from the trial of the
    film whose picture is nearest in size.
    """

    def __init__(self, films: int) -> None:
        self._each = films <= MOST_TRIALS
        self._tried: list[tuple[Kind, Trial]] = []

    def trial_for(
        self, order: Order, work: Work, *, open_engine: OpenEngine | None = None
    ) -> Trial | None:
        """A film's own trial, or another's; its `source` tells which. Raises as `try_film`."""
        kind = (work.info.width, work.info.height, work.info.codec, work.info.pixel_format)
        alike = [trial for known, trial in self._tried if known == kind]
        if not work.todo:
            return None
        if alike and not self._each:
            return alike[0]
        if len(self._tried) < MOST_TRIALS:
            trial = try_film(order, work, open_engine=open_engine)
            if trial is not None:
                self._tried.append((kind, trial))
            return trial
        pixels = work.info.width * work.info.height
        nearest = min(self._tried, key=lambda tried: abs(log(tried[1].pixels / pixels)))
        return nearest[1].scaled_to(work.info)
