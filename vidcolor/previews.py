"""A film's colours before the film is made: a contact sheet, or a clip of source beside colour.

    variants = [Variant(label="auto", settings=Settings())]
    outcome = preview_film(Path("film.mp4"), Path("film.preview.png"), variants)
    outcome = preview_film(
        Path("film.mp4"), Path("part.mp4"), variants, start=Moment.parse("1:23"), frames=96
    )
    outcome.shown                       # seconds into the film of what is shown

The pixels are those a run with the same settings hands to its encoder, wherever in the film they
lie: a picture is a function of the source, the settings and its frame alone.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from vidcolor.display import display_rgb
from vidcolor.errors import OutputError, SourceError, UsageError
from vidcolor.frames import END, Frame, Picture, VideoInfo
from vidcolor.jobs.beforehand import refuse_link
from vidcolor.jobs.durable import PART, put_in_place, refuse_unwritable, writing
from vidcolor.jobs.events import Event, Progress, Warned
from vidcolor.jobs.local import refuse_own_source, refuse_wrong
from vidcolor.jobs.plan import Moment, cut_range
from vidcolor.media.choice import choose_encoder, picture_format
from vidcolor.media.clip import CONTAINERS, ClipWriter
from vidcolor.media.probe import probe
from vidcolor.media.reader import index_packets, nominal_ticks
from vidcolor.models.registry import AUTO
from vidcolor.moments import (
    RangePick,
    choose_moments,
    evenly_in_time,
    every_frame,
    every_nth,
    pairs_at,
)
from vidcolor.resample import Size
from vidcolor.settings import Settings
from vidcolor.sheet import PICTURE_SUFFIXES, Column, Image, Layout, Panels, encode

if TYPE_CHECKING:
    from vidcolor.facts import FilmFacts
    from vidcolor.inference import Engine
    from vidcolor.pipeline import Colorizer

Report = Callable[[Event], None]
OpenEngine = Callable[[Settings], "Engine"]
Pair = tuple[Frame, Picture]
Row = tuple[Pair, ...]
"""One frame as each variant gives it."""

DEFAULT_FRAMES = 48
"""Frames of a range that has no end."""

DEFAULT_TILES, DEFAULT_MOMENTS, DEFAULT_COMPARED = 12, 8, 4
"""Frames of a range that a sheet shows, and moments it picks from a whole film."""

MOST_TILES = 100

SOURCE_LABEL = "source"

OURS = ".preview"
"""A file whose name has this before its suffix was made here and may be replaced."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Settings to be looked at beside others, or alone."""

    label: str
    """What stands beside its pictures; the word `auto` becomes the name of the network taken."""

    settings: Settings


@dataclass(frozen=True, kw_only=True)
class PreviewOutcome:
    """What was made."""

    output: Path
    labels: tuple[str, ...]
    """The variants', in order."""

    shown: tuple[float, ...]
    """Seconds after the film's first frame of the frames that are shown, rising."""

    frames: int
    """Frames of the range, of which some are shown; as many as shown for moments."""

    ranged: bool
    """Whether a range was asked for; else moments of the whole film were picked."""

    damaged: int
    """Frames the decoder reported as damaged."""

    seconds: float
    """Wall time."""


@dataclass(frozen=True)
class _Film:
    """A source, and what colours it, one colorizer for each variant."""

    info: VideoInfo
    colorizers: tuple[Colorizer, ...]
    labels: tuple[str, ...]
    title: str


def preview_film(
    source: Path,
    output: Path,
    variants: Sequence[Variant],
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    frames: int | None = None,
    tiles: int | None = None,
    overwrite: bool = False,
    open_engine: OpenEngine | None = None,
    report: Report = lambda event: None,
) -> PreviewOutcome:
    """Colour a few frames of a film, and show them beside their source in one picture or clip.

    `output` ends in .png, .jpg or .webp for a contact sheet, in .mp4 or .mkv for a clip without
    sound. A range begins at `start` (the film's first frame where only its length is given) and
    has `frames` frames, DEFAULT_FRAMES unless given, or ends before `end`. Without any of these a
    sheet shows moments picked from the whole film. `tiles` is the most a sheet shows. A file that
    is there is replaced where its name says that it is a preview (`film.preview.png`) or with
    `overwrite`. `open_engine` replaces inference.open_engine; `report` hears of progress and
    warnings. Raises the errors of errors.py; then the output's name is as it was.
    """
    began = time.monotonic()
    asked = _Asked(source, output, start, end, frames, tiles, several=len(variants) > 1)
    _refuse_wrong(asked, variants)
    _refuse_output(asked, overwrite)
    report(Progress(phase="reading", done=0, total=0))
    film = _open_film(source, variants, open_engine)
    for text in dict.fromkeys(text for each in film.colorizers for text in each.warnings):
        report(Warned(text=text))
    draw = _draw_clip if asked.clip else _draw_sheet
    with _written(output) as temporary:
        shown, count = draw(film, asked, temporary, report)
    first, tick = film.info.start_pts, film.info.time_base
    return PreviewOutcome(
        output=output,
        labels=film.labels,
        shown=tuple(float((pts - first) * tick) for pts in shown),
        frames=count,
        ranged=asked.ranged,
        damaged=max(colorizer.damaged for colorizer in film.colorizers),
        seconds=time.monotonic() - began,
    )


def coloured_frames(
    info: VideoInfo,
    settings: Settings,
    start: int,
    end: int,
    *,
    engine: Engine | None = None,
    facts: FilmFacts | None = None,
) -> Generator[Pair]:
    """The frames with pts in [start, end), each with the picture a run would hand its encoder.

    Closing the iterator ends its threads. Raises ColorSourceError for a film that has colour,
    unless `settings.recolor`, and what reading and networks raise.
    """
    from vidcolor import inference
    from vidcolor.pipeline import film_facts, refuse_color

    facts = facts or film_facts(info)
    refuse_color(info, facts, settings)
    engine = engine or inference.open_engine(settings)
    return _colorizer(info, facts, settings, engine).pairs(start, end)


def _colorizer(info: VideoInfo, facts: FilmFacts, settings: Settings, engine: Engine) -> Colorizer:
    from vidcolor.pipeline import Colorizer

    layout = picture_format(info, choose_encoder(info, settings))
    return Colorizer(info, facts, settings, engine, layout)


@dataclass(frozen=True)
class _Asked:
    """What a preview is to show, as it was asked for."""

    source: Path
    output: Path
    start: Moment | None
    end: Moment | None
    frames: int | None
    tiles: int | None
    several: bool
    """Whether variants are compared: fewer tiles then fill the screen."""

    @property
    def clip(self) -> bool:
        return self.output.suffix.lower() in CONTAINERS

    @property
    def ranged(self) -> bool:
        """Whether a range is shown; a clip always shows one."""
        given = (self.start, self.end, self.frames)
        return self.clip or any(each is not None for each in given)

    @property
    def most_frames(self) -> int | None:
        """Frames of the range, where not a time but a number ends it."""
        return None if self.end is not None else self.frames or DEFAULT_FRAMES

    @property
    def most_tiles(self) -> int:
        usual = DEFAULT_TILES if self.ranged else DEFAULT_MOMENTS
        return self.tiles or (DEFAULT_COMPARED if self.several else usual)


def _refuse_wrong(asked: _Asked, variants: Sequence[Variant]) -> None:
    """Raise for what is wrong whatever the film is."""
    known = (*PICTURE_SUFFIXES, *CONTAINERS)
    if asked.output.suffix.lower() not in known:
        raise UsageError(
            f"{asked.output} ends in {asked.output.suffix or 'nothing'!r}; expected a sheet's "
            f"{', '.join(PICTURE_SUFFIXES)} or a clip's {', '.join(CONTAINERS)}."
        )
    if not variants:
        raise UsageError("a preview needs at least one variant of the settings.")
    if asked.end is not None and asked.frames is not None:
        raise UsageError(
            "--end and --frames both say where the range ends; give one of them, not both."
        )
    if asked.frames is not None and asked.frames < 1:
        raise UsageError(f"--frames is {asked.frames}; expected a whole number from 1 on.")
    if asked.tiles is not None and not 1 <= asked.tiles <= MOST_TILES:
        raise UsageError(
            f"--tiles is {asked.tiles}; expected a whole number from 1 to {MOST_TILES}."
        )
    if asked.tiles is not None and asked.clip:
        raise UsageError("--tiles is for sheets, a clip shows every frame; leave it out.")
    for variant in variants:
        refuse_wrong(variant.settings, asked.start, asked.end)


def _refuse_output(asked: _Asked, overwrite: bool) -> None:
    """Raise where the output may not be written, before any work."""
    output = asked.output
    refuse_own_source(asked.source, output)
    with writing(output):
        if output.is_dir():
            raise OutputError(f"{output} is a folder; give the output a file's name with -o.")
        if output.exists() and not output.is_file():
            raise OutputError(f"{output} is no regular file; choose another name with -o.")
        refuse_link(output)
        if output.exists() and not (overwrite or output.stem.endswith(OURS)):
            raise OutputError(
                f"{output} is there already; give --overwrite to replace it, or choose another "
                "name with -o."
            )
        refuse_unwritable(output.parent)


@contextmanager
def _written(output: Path) -> Iterator[Path]:
    """A temporary name beside the output that becomes the output's when all went well."""
    temporary = output.with_name(output.name + PART)
    with writing(output):
        temporary.touch()
    try:
        yield temporary
        with writing(output):
            put_in_place(temporary, output)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _open_film(source: Path, variants: Sequence[Variant], open_engine: OpenEngine | None) -> _Film:
    info = probe(source)
    # Imported here because torch takes seconds, and a bad file should be told at once.
    from vidcolor import inference
    from vidcolor.pipeline import film_facts, refuse_color

    facts = film_facts(info)
    for variant in variants:
        refuse_color(info, facts, variant.settings)
    open_engine = open_engine or inference.open_engine
    engines: dict[Settings, Engine] = {}
    colorizers, labels = [], []
    for variant in variants:
        wanted = _network_alone(variant.settings)
        if wanted not in engines:
            engines[wanted] = open_engine(variant.settings)
        engine = engines[wanted]
        colorizers.append(_colorizer(info, facts, variant.settings, engine))
        labels.append(_named(variant, engine.model_name))
    # A name needn't be valid text.
    title = source.name.encode(errors="replace").decode()
    return _Film(info, tuple(colorizers), tuple(labels), title)


def _network_alone(settings: Settings) -> Settings:
    """The settings with everything at its default that an engine doesn't depend on."""
    return Settings(
        model=settings.model,
        weights=settings.weights,
        device=settings.device,
        threads=settings.threads,
        batch=settings.batch,
    )


def _named(variant: Variant, network: str) -> str:
    """The variant's label, its part `auto` replaced by what that is."""
    parts = variant.label.split(", ")
    return ", ".join(network if part == AUTO else part for part in parts)


# The frames to show


def range_of(info: VideoInfo, start: Moment | None, end: Moment | None) -> tuple[int, int]:
    """The half-open pts range between two moments; END where nothing, or only a number of frames,
    ends it.

    Reads the packets' times only for frame numbers, and to say what is wrong. Raises UsageError
    when no frame lies in it.
    """
    moments = [moment for moment in (start, end) if moment is not None]
    if all(moment.frame is None for moment in moments):
        first = info.start_pts if start is None else start.pts((), info)
        last = END if end is None else end.pts((), info)
        if first < min(last, _promised_end(info)):
            return first, last
    times = index_packets(info).times
    if not times:
        raise SourceError(f"{info.path} holds no picture that could be read.")
    first, last = cut_range(start, end, times, info)
    return max(first, info.start_pts), last


def _promised_end(info: VideoInfo) -> int:
    """Pts the film ends before, as far as its header says."""
    if info.duration_seconds is None:
        return END
    return info.start_pts + round(info.duration_seconds / info.time_base)


def refuse_empty(info: VideoInfo, start: Moment | None, end: Moment | None) -> NoReturn:
    """Raise for a range that gave no frame: UsageError where it holds none, else SourceError."""
    cut_range(start, end, index_packets(info).times, info)
    raise SourceError(f"no frame of that part of {info.path} can be decoded; try another part.")


def _pick_for(info: VideoInfo, asked: _Asked, start: int, end: int) -> RangePick:
    """What chooses a range's frames: all for a clip, evenly spread tiles for a sheet."""
    limit, tiles = asked.most_frames, asked.most_tiles
    if asked.clip:
        return RangePick(limit, every_frame)
    promised = _promised_end(info)
    until = min(end, promised)
    if start < until and promised < END:
        if limit is None:
            return RangePick(None, evenly_in_time(start, until, tiles, nominal_ticks(info) // 4))
        rest = max(1, round((until - start) * info.time_base * info.rate))
        return RangePick(limit, every_nth(min(limit, rest), tiles))
    # The header doesn't know, or is wrong.
    times = index_packets(info).times if limit is None else ()
    frames = bisect_left(times, end) - bisect_left(times, start)
    return RangePick(limit, every_nth(limit or max(1, frames), tiles))


def _range_rows(film: _Film, asked: _Asked) -> Iterator[tuple[Row, RangePick]]:
    """A range's wanted frames as each variant gives them, with the pick, which counts."""
    start, end = range_of(film.info, asked.start, asked.end)
    picks = [_pick_for(film.info, asked, start, end) for _ in film.colorizers]
    streams = [
        colorizer.pairs(start, end, wanted=pick)
        for colorizer, pick in zip(film.colorizers, picks, strict=True)
    ]
    empty = True
    with _side_by_side(streams) as rows:
        for row in rows:
            empty = False
            yield row, picks[0]
            if row[0][0].pts == picks[0].last:
                break
    if empty:
        refuse_empty(film.info, asked.start, asked.end)


def _moment_rows(film: _Film, asked: _Asked) -> Iterator[Row]:
    """Moments of the whole film as each variant gives them."""
    targets = choose_moments(film.info, asked.most_tiles)
    with _side_by_side([pairs_at(each, targets) for each in film.colorizers]) as rows:
        yield from rows


@contextmanager
def _side_by_side(streams: Sequence[Generator[Pair]]) -> Iterator[Iterator[Row]]:
    """The variants' streams as one; all are closed when the block is left."""
    with ExitStack() as stack:
        for stream in streams:
            stack.enter_context(closing(stream))
        yield zip(*streams, strict=True)


# What is drawn


def _draw_sheet(film: _Film, asked: _Asked, path: Path, report: Report) -> tuple[list[int], int]:
    """Write a contact sheet; returns the pts it shows and how many frames the range has."""
    info = film.info
    labels = (SOURCE_LABEL, *film.labels)
    layout = Layout.fit(info.upright_size, asked.most_tiles, labels)
    shown: list[int] = []
    columns: list[Column] = []

    def add(row: Row) -> None:
        shown.append(row[0][0].pts)
        columns.append(Column(_images(row, info, layout.tile), timecode(info, shown[-1])))
        report(Progress(phase="colorizing", done=len(shown), total=asked.most_tiles))

    if asked.ranged:
        for row, pick in _range_rows(film, asked):
            if row[0][0].pts in pick.tiles:
                add(row)
        count = pick.frames
        words = f"{len(shown)} of {count} frames from {timecode(info, shown[0])} on"
    else:
        for row in _moment_rows(film, asked):
            add(row)
        count = len(shown)
        words = f"{count} moments of the film" if count > 1 else "one moment of the film"
    networks = dict.fromkeys(c.engine.model_name for c in film.colorizers)
    sheet = layout.draw(film.title, f"{words} · colours by {', '.join(networks)}", columns)
    data = encode(sheet, asked.output.suffix)
    with writing(asked.output):
        path.write_bytes(data)
    return shown, count


def _draw_clip(film: _Film, asked: _Asked, path: Path, report: Report) -> tuple[list[int], int]:
    """Write a clip; returns the pts it shows and how many they are."""
    info = film.info
    panels = Panels.fit(info.upright_size, (SOURCE_LABEL, *film.labels))
    paper = panels.paper()
    container = CONTAINERS[asked.output.suffix.lower()]
    threads = film.colorizers[0].settings.threads
    shown: list[int] = []
    with ClipWriter(path, container, info, panels.size, threads=threads) as writer:
        for row, _ in _range_rows(film, asked):
            frame = row[0][0]
            panels.draw(paper, _images(row, info, panels.panel))
            writer.write(paper, frame.pts, frame.duration)
            shown.append(frame.pts)
            report(Progress(phase="colorizing", done=len(shown), total=asked.most_frames or 0))
    return shown, len(shown)


def _images(row: Row, info: VideoInfo, size: Size) -> tuple[Image, ...]:
    """The source's frame and each variant's picture as a person sees them, at `size`."""
    frame = row[0][0]
    source = display_rgb(frame.luma, frame.chroma, info, size=size)
    return source, *(display_rgb(p.y, (p.u, p.v), info, size=size) for _, p in row)


def timecode(info: VideoInfo, pts: int) -> str:
    """H:MM:SS.mmm since the film's first frame, rounded down: as --start it finds this frame."""
    whole = int((pts - info.start_pts) * info.time_base * 1000)
    seconds, thousandths = divmod(whole, 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{thousandths:03d}"
