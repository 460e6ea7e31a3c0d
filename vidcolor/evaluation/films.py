"""Colour films recoloured from their luma, and measured against what they were.

    candidates = [Candidate(label="compact", settings=Settings(model="compact"))]
    evaluation = evaluate_films(candidates, [Path("a.mp4"), Path("b.mkv")], source="clips")
    evaluation.means[1].warp_error_ab

                 ,-> per-frame --.
    decode ------+-> fast -------+--> a frame of each --> Meter
    once         +-> balanced ---+
                 `-> best -------'

Each network is measured in four ways: frame by frame, without smoothing, and by each preset. They
run side by side over one reading of the film, so that memory doesn't grow with its length. What is
measured is what a run would hand its encoder.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, cast

import numpy as np

from vidcolor.errors import SourceError, UsageError
from vidcolor.evaluation.bench import Candidate
from vidcolor.evaluation.figures import (
    GRAY,
    LEAST_CDC_DISTANCE,
    PER_FRAME,
    TRUTH,
    Film,
    FilmEvaluation,
    FilmFigures,
    FilmMeasures,
    Painter,
    Rendering,
    film_means,
)
from vidcolor.evaluation.meter import (
    SIDE,
    Look,
    Meter,
    expected_frames,
    measuring_size,
    told_apart,
)
from vidcolor.facts import GRAY_CHROMA, FilmFacts
from vidcolor.frames import BEGINNING, END, Frame, Picture, VideoInfo
from vidcolor.inference import Engine
from vidcolor.inference import open_engine as open_its_engine
from vidcolor.media.choice import choose_encoder, picture_format
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.pipeline import DECODED_AHEAD, REACH_FRAMES, Colorizer, film_facts
from vidcolor.settings import PRESETS, Settings

WAYS = (PER_FRAME, *PRESETS)

Report = Callable[[int, int], None]


def evaluate_films(
    candidates: Sequence[Candidate],
    paths: Sequence[Path],
    *,
    source: str,
    limit: int | None = None,
    open_engine: Callable[[Settings], Engine] = open_its_engine,
    report: Report = lambda done, total: None,
) -> FilmEvaluation:
    """Recolour films from their luma alone, in each of WAYS, and measure what comes out.

    Of each film the first `limit` frames are measured, as if it ended there, or all. `source` says
    where the films came from. `report` is given how many frames are done and about how many there
    are. A film that can't be read is skipped. Raises UsageError where no network is given,
    SourceError when no film could be measured, and what opening a network raises.
    """
    began = time.monotonic()
    if not candidates:
        raise UsageError("films are measured with a network at least; none was given.")
    infos, unreadable = _probed(paths)
    engines = [open_engine(each.settings) for each in candidates] if infos else []
    ways = [
        _Way(candidate, engine, name, len(candidates) > 1)
        for candidate, engine in zip(candidates, engines, strict=False)
        for name in WAYS
    ]
    bench = _FilmBench(ways, limit, _Progress(report, infos.values(), limit))
    films = []
    for name, info in infos.items():
        try:
            films.append(bench.measure(name, info))
        except SourceError as error:
            unreadable[name] = str(error)
    if not films:
        raise SourceError(next(iter(unreadable.values()), f"{source} holds no film."))
    means, steadied = _means(films, ways)
    return FilmEvaluation(
        source=source,
        side=SIDE,
        limit=limit,
        renderings=_renderings(ways),
        films=tuple(films),
        means=means,
        steadied=steadied,
        painters=tuple(
            Painter(
                label=candidate.label,
                model=engine.model_name,
                weights_sha256=engine.weights_sha256,
                engine=engine.describe(),
            )
            for candidate, engine in zip(candidates, engines, strict=True)
        ),
        unreadable=unreadable,
        notes=(),
        elapsed=time.monotonic() - began,
    )


def _probed(paths: Sequence[Path]) -> tuple[dict[str, VideoInfo], dict[str, str]]:
    """What the films are, and the sentences about those that can't be read, by their names."""
    infos, unreadable = {}, {}
    for name, path in zip(told_apart(paths), paths, strict=True):
        try:
            infos[name] = probe(path)
        except SourceError as error:
            unreadable[name] = str(error)
    return infos, unreadable


@dataclass(frozen=True, eq=False)
class _Way:
    """A network, and how it is made to colour a film."""

    candidate: Candidate
    engine: Engine
    name: str
    """One of WAYS."""

    several: bool
    """Whether there are other networks, so that rows need this one's name."""

    @property
    def label(self) -> str:
        return f"{self.candidate.label}, {self.name}" if self.several else self.name

    @property
    def settings(self) -> Settings:
        asked = self.candidate.settings
        machine = {"device": asked.device, "threads": asked.threads, "batch": asked.batch}
        given: dict[str, Any] = {"model": asked.model, "weights": asked.weights, **machine}
        if self.name == PER_FRAME:
            return Settings(smoothing=False, anchor_every=1, recolor=True, **given)
        return Settings.load(preset=self.name, recolor=True, **given)


def _renderings(ways: Sequence[_Way]) -> tuple[Rendering, ...]:
    rows = [Rendering(label=way.label, model=way.candidate.label, way=way.name) for way in ways]
    return (Rendering(label=GRAY), *rows, Rendering(label=TRUTH))


class _Progress:
    """Frames done of about how many there are; headers say what they like."""

    def __init__(self, report: Report, infos: Iterable[VideoInfo], limit: int | None) -> None:
        self._report, self._done = report, 0
        self._totals = deque(expected_frames(info, limit) for info in infos)

    def film(self, frames: int) -> None:
        """Some frames of the film at hand are done."""
        self._report(self._done + frames, max(self._done + frames, self._done + sum(self._totals)))

    def film_done(self, frames: int) -> None:
        self._totals.popleft()
        self._done += frames


class _FilmBench:
    """Runs the ways over one film after the other."""

    def __init__(self, ways: Sequence[_Way], limit: int | None, progress: _Progress) -> None:
        self._ways, self._limit, self._progress = ways, limit, progress
        for engine in {id(way.engine): way.engine for way in ways}.values():
            # The first batch takes longer than any other, and would be the per-frame method's.
            engine.colorize(np.full((1, *engine.input_size), 50, np.float32))

    def measure(self, name: str, info: VideoInfo) -> Film:
        """Raises SourceError where the film can't be read."""
        seconds: list[float] = []
        try:
            facts = film_facts(info)
            size = measuring_size(info.width, info.height)
            look = Look(info, size)
            with ExitStack() as stack:
                film = stack.enter_context(_Shared(self._read(info, facts), len(self._ways)))
                streams = [
                    stack.enter_context(_Stream(way, info, facts, film.stream(n)))
                    for n, way in enumerate(self._ways)
                ]
                meter = stack.enter_context(
                    Meter(renderings=len(streams), threads=self._ways[0].settings.threads)
                )
                for frame, pictures in self._together(film, streams):
                    views = [look.at(each.y, (each.u, each.v)) for each in pictures]
                    meter.add(look.at(frame.luma, frame.chroma), views)
                    seconds.append(float((frame.pts - info.start_pts) * info.time_base))
                    self._progress.film(len(seconds))
                if not seconds:
                    raise SourceError(f"{info.path} holds no frame that can be decoded.")
                decoding = film.seconds / len(seconds)
                times = [each.milliseconds(len(seconds), decoding) for each in streams]
                figures = meter.figures(times)
        finally:
            self._progress.film_done(len(seconds))
        return Film(
            name=name,
            size=size,
            seconds=tuple(seconds),
            gray=facts.chroma <= GRAY_CHROMA,
            figures=figures,
        )

    def _read(self, info: VideoInfo, facts: FilmFacts) -> Generator[Frame]:
        settings = self._ways[0].settings
        fields = facts.fields if settings.deinterlace else "progressive"
        frames = read_frames(info, threads=settings.threads, fields=fields)
        with closing(cast(Generator[Frame], frames)):
            yield from islice(frames, self._limit)

    def _together(
        self, film: _Shared, streams: Sequence[_Stream]
    ) -> Iterator[tuple[Frame, list[Picture]]]:
        """Each frame of the film with every stream's picture of it."""
        # Enough that no stream decodes on its own time, which is measured.
        ahead = DECODED_AHEAD + 2 + max(way.engine.batch for way in self._ways)
        film.read_ahead(REACH_FRAMES + ahead)
        while True:
            pairs = [stream.next() for stream in streams]
            there = [pair for pair in pairs if pair is not None]
            if len(there) < len(pairs):
                return
            yield there[0][0], [picture for _, picture in there]
            film.read_ahead(ahead)


class _Shared:
    """One reading of a film for several streams, each at its own pace; a frame is let go when all
    have had it. Usable as a context, which closes the reading."""

    def __init__(self, frames: Generator[Frame], streams: int) -> None:
        self._frames = frames
        self._waiting: list[deque[Frame]] = [deque() for _ in range(streams)]
        self._lock = Lock()
        self._ended = False
        self._error: Exception | None = None
        self.seconds = 0.0
        """That reading has taken."""

    def __enter__(self) -> _Shared:
        return self

    def __exit__(self, *_: object) -> None:
        self._frames.close()

    def read_ahead(self, count: int) -> None:
        """Read until `count` frames wait for every stream, or the film ends."""
        with self._lock:
            while not self._ended and min(map(len, self._waiting)) < count:
                self._read()

    def stream(self, number: int) -> Iterator[Frame]:
        """The film's frames for one of the streams, in whichever thread."""
        waiting = self._waiting[number]
        while True:
            with self._lock:
                if not waiting and not self._ended:
                    self._read()
                if not waiting:
                    break
                frame = waiting.popleft()
            yield frame
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        began = time.perf_counter()
        try:
            frame = next(self._frames, None)
        except Exception as error:
            # Every stream ends with it, whichever happened to read.
            frame, self._error = None, error
        self.seconds += time.perf_counter() - began
        if frame is None:
            self._ended = True
            return
        for each in self._waiting:
            each.append(frame)


class _Stream:
    """One way's pictures of a film, and the time they take. A context, which ends its threads."""

    def __init__(
        self, way: _Way, info: VideoInfo, facts: FilmFacts, frames: Iterator[Frame]
    ) -> None:
        self._engine = _Timed(way.engine)
        settings = way.settings
        layout = picture_format(info, choose_encoder(info, settings))
        colorizer = Colorizer(info, facts, settings, cast(Engine, self._engine), layout)
        self._pairs = colorizer.pairs(BEGINNING, END, frames=frames)
        self._seconds = 0.0

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._pairs.close()

    def next(self) -> tuple[Frame, Picture] | None:
        """The next frame with its picture; None at the end."""
        began = time.perf_counter()
        pair = next(self._pairs, None)
        self._seconds += time.perf_counter() - began
        return pair

    def milliseconds(self, frames: int, decoding: float) -> tuple[float, float]:
        """What a frame took, with `decoding` seconds for each, and the network's share."""
        whole = self._seconds / frames + decoding
        return 1000 * whole, 1000 * self._engine.seconds / frames


class _Timed:
    """An engine that keeps the time of whatever it is asked to do."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._engine, name)
        if not callable(value):
            return value

        def timed(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return value(*given, **named)
            finally:
                self.seconds += time.perf_counter() - began

        return timed


def _means(
    films: Sequence[Film], ways: Sequence[_Way]
) -> tuple[tuple[FilmMeasures, ...], tuple[int, ...]]:
    """Each rendering's means, and over how many films its distance of CDC is."""
    off = {
        way.candidate.label: [_is_off(film.figures[n]) for film in films]
        for n, way in enumerate(ways, 1)
        if way.name == PER_FRAME
    }
    # Gray and the truth stand beside all networks.
    any_off = [any(each) for each in zip(*off.values(), strict=True)]
    counted = [any_off, *(off[way.candidate.label] for way in ways), any_off]
    found = tuple(
        film_means([film.figures[n].measures for film in films], each)
        for n, each in enumerate(counted)
    )
    return found, tuple(map(sum, counted))


def _is_off(figures: FilmFigures) -> bool:
    distance = figures.measures.cdc_distance
    return distance is not None and distance >= LEAST_CDC_DISTANCE
