"""`vidcolor run --dry-run`: what would be made of each film, and nothing made.

$ vidcolor run film.mp4 --dry-run
$ vidcolor run old-films/ -o coloured/ --dry-run --json
"""

from __future__ import annotations

import json
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from rich.console import Console

from vidcolor.cli.lines import Page, shortened, size_words, time_words
from vidcolor.cli.run import failed_row, source_of
from vidcolor.cli.screen import clock, printable
from vidcolor.errors import DeviceError, VidcolorError, WeightsError
from vidcolor.facts import FilmFacts
from vidcolor.frames import VideoInfo
from vidcolor.jobs.estimate import (
    Estimate,
    FilmPlan,
    StreamPlan,
    Work,
    estimate_of,
    plan_film,
)
from vidcolor.jobs.folder import folder_path
from vidcolor.jobs.local import Order
from vidcolor.jobs.trial import Trial, Trials
from vidcolor.settings import Settings

if TYPE_CHECKING:
    from vidcolor.cli.inputs import Film
    from vidcolor.inference import Engine


def show_plans(
    films: Sequence[Film | VidcolorError],
    order_of: Callable[[Film], Order],
    *,
    as_json: bool,
    into_folder: bool = False,
    debug: bool = False,
) -> int:
    """Print each film's plan, going on after a bad one; returns the exit code.

    `into_folder`: outputs go into a folder, which a run would make where it isn't there.
    """
    shown: Shown = Objects() if as_json else Blocks()
    trials, totals, codes = Trials(len(films)), Totals(len(films)), set()

    @cache
    def open_engine(settings: Settings) -> Engine:
        from vidcolor import inference

        return inference.open_engine(settings)

    for number, film in enumerate(films, start=1):
        place = f"[{number}/{len(films)}] " if len(films) > 1 else ""
        try:
            if isinstance(film, VidcolorError):
                raise film
            order = order_of(film)
            with saying(f"{place}looking at {film.source}"):
                plan = plan_film(order, open_engine=open_engine, folder_to_be_made=into_folder)
            expected = None
            if plan.work is not None:
                with saying(f"{place}colouring some of {film.source} on trial"):
                    trial = trials.trial_for(order, plan.work, open_engine=open_engine)
                expected = Expected(plan.work, trial, estimate_of(plan.work, trial))
            totals.add(expected)
            shown.plan(place, order, plan, expected)
        # Whoever read our lines has gone.
        except BrokenPipeError:
            raise
        except Exception as error:
            row = failed_row(source_of(film), error)
            shown.failed(row.source, row.error, row.exit_code)
            if debug and not isinstance(error, VidcolorError):
                traceback.print_exc(file=sys.stderr)
            codes.add(row.exit_code)
            totals.failed += 1
            # No other film can do better with a network or device that isn't there.
            if isinstance(error, WeightsError | DeviceError):
                break
    if len(films) > 1:
        shown.together(totals)
    return next((code for code in (1, 2) if code in codes), 0)


@contextmanager
def saying(text: str) -> Iterator[None]:
    """Show what goes on while it does, to whoever watches."""
    if not sys.stderr.isatty():
        yield
        return
    console = Console(stderr=True, highlight=False, markup=False)
    with console.status(printable(text)):
        yield


@dataclass(frozen=True)
class Expected:
    """What is to be expected of a film that would be made."""

    work: Work
    trial: Trial | None
    """None where every segment is there, or no frame could be made."""

    estimate: Estimate


@dataclass
class Totals:
    """All films together."""

    films: int
    planned: int = 0
    left_alone: int = 0
    failed: int = 0
    output_bytes: int = 0
    seconds: float = 0.0
    disks: dict[int, Disk] = field(default_factory=dict)

    def add(self, expected: Expected | None) -> None:
        """Count a film; None is one that is left alone."""
        if expected is None:
            self.left_alone += 1
            return
        work, estimate = expected.work, expected.estimate
        self.planned += 1
        self.output_bytes += estimate.output_bytes
        self.seconds += estimate.seconds
        disk = self.disks.setdefault(work.disk, Disk(work.free_bytes))
        disk.outputs += estimate.output_bytes
        disk.most_coming = max(disk.most_coming, estimate.coming_bytes)

    @property
    def not_tried(self) -> int:
        return self.films - self.planned - self.left_alone - self.failed


@dataclass
class Disk:
    """A file system that outputs go to; one film's segments are on it at a time."""

    free_bytes: int
    outputs: int = 0
    most_coming: int = 0

    @property
    def needed_bytes(self) -> int:
        return self.outputs + self.most_coming


class Shown(ABC):
    """Shows plans on stdout, warnings and errors on stderr."""

    @abstractmethod
    def plan(self, place: str, order: Order, plan: FilmPlan, expected: Expected | None) -> None: ...

    @abstractmethod
    def together(self, totals: Totals) -> None: ...

    def failed(self, source: str | None, sentence: str, exit_code: int) -> None:
        sys.stdout.flush()
        print(f"error: {sentence}", file=sys.stderr, flush=True)

    def warn(self, sentence: str) -> None:
        sys.stdout.flush()
        print(f"warning: {sentence}", file=sys.stderr, flush=True)


class Blocks(Shown):
    """For people: a block of lines for each film."""

    def __init__(self) -> None:
        self._page = Page()
        self._begun = False
        self._why = ""

    def plan(self, place: str, order: Order, plan: FilmPlan, expected: Expected | None) -> None:
        page = self._page
        if self._begun:
            print()
        self._begun = True
        page.title(printable(f"{place}{plan.source} -> {plan.output}"))
        if expected is None:
            page.item("output", left_words(plan))
            return
        work = expected.work
        page.item("source", source_words(work, order.settings))
        for words in picture_words(work.info, work.facts, order.settings):
            page.item("", words)
        page.item("output", output_words(order, work))
        page.table("streams", [stream_row(stream, work) for stream in work.streams])
        page.item("", along_words(work))
        page.item("network", engine_words(work))
        if work.engine.why and work.engine.why != self._why:
            page.item("", f"auto took {work.engine.why}")
        self._why = work.engine.why
        page.item("", method_words(order.settings))
        page.item("plan", plan_words(order, work))
        page.item("trial", trial_words(plan, expected))
        page.item("estimate", estimate_words(expected), "bold")
        for sentence in warnings_of(expected):
            self.warn(sentence)

    def failed(self, source: str | None, sentence: str, exit_code: int) -> None:
        if self._begun:
            print()
        super().failed(source, sentence, exit_code)

    def together(self, totals: Totals) -> None:
        if self._begun:
            print()
        self._page.title(totals_words(totals))
        for sentence in disk_warnings(totals):
            self.warn(sentence)


class Objects(Shown):
    """For programs: one JSON object a line for each film, and one for all together."""

    def plan(self, place: str, order: Order, plan: FilmPlan, expected: Expected | None) -> None:
        found = plan_object(order, plan, expected)
        self._print("plan", found)
        for sentence in found["warnings"]:
            self.warn(sentence)

    def failed(self, source: str | None, sentence: str, exit_code: int) -> None:
        self._print("failed", {"source": source, "error": sentence, "exit_code": exit_code})
        super().failed(source, sentence, exit_code)

    def together(self, totals: Totals) -> None:
        warnings = list(disk_warnings(totals))
        self._print(
            "together",
            {
                "planned": totals.planned,
                "there_already": totals.left_alone,
                "failed": totals.failed,
                "not_tried": totals.not_tried,
                "output_bytes": totals.output_bytes,
                "seconds": round(totals.seconds, 1),
                "warnings": warnings,
            },
        )
        for sentence in warnings:
            self.warn(sentence)

    def _print(self, name: str, values: dict[str, Any]) -> None:
        print(json.dumps({"event": name, **values}), flush=True)


# Words for people.


def left_words(plan: FilmPlan) -> str:
    """An output that is there already."""
    goes_on = ""
    if plan.job_beside:
        goes_on = f" and goes on with {folder_path(plan.output)}"
    return f"is already there and would be left alone; --overwrite makes it again{goes_on}"


def source_words(work: Work, settings: Settings) -> str:
    """Size, rate, length, codec, colour."""
    info = work.info
    rate = f"{float(info.rate):.3f}".rstrip("0").rstrip(".")
    length = clock(work.seconds) if work.seconds >= 60 else f"{work.seconds:.1f} s"
    return (
        f"{info.width}x{info.height}, {rate} fps, {length}, {info.codec}, {info.bit_depth} bit, "
        f"{colour_words(work.facts, settings)}"
    )


def colour_words(facts: FilmFacts, settings: Settings) -> str:
    """What colour the source has, and what becomes of it."""
    fate = "stays" if settings.keep_color else "would be replaced"
    if facts.partly_colored:
        return f"in colour in some shots, which {fate}"
    if facts.colored:
        return f"in colour, which {fate}"
    if facts.tinted:
        return "black and white with a tint, which would be replaced"
    return "black and white"


def picture_words(info: VideoInfo, facts: FilmFacts, settings: Settings) -> Iterator[str]:
    """What isn't as in most films: rotation, aspect, bars, fields."""
    width, height = info.upright_size
    if info.rotation:
        yield f"turned by {info.rotation} degrees when shown, {width}x{height}"
    elif info.sample_aspect != 1:
        aspect = f"{info.sample_aspect.numerator}:{info.sample_aspect.denominator}"
        yield f"shown as {width}x{height} (samples {aspect})"
    box = facts.box
    edges = {
        "above": box.top,
        "below": info.height - box.bottom,
        "left": box.left,
        "right": info.width - box.right,
    }
    bars = [f"{size} {where}" for where, size in edges.items() if size]
    if bars:
        yield f"black bars, kept neutral: {', '.join(bars)}"
    if facts.fields != "progressive":
        yield f"interlaced, {'made progressive' if settings.deinterlace else 'and left so'}"


def output_words(order: Order, work: Work) -> str:
    """What happens at the output's place."""
    free = f"{size_words(work.free_bytes)} free there"
    said = []
    if work.replaced:
        said.append("is already there and would be replaced")
    if work.discarded:
        said.append(f"the segments in {folder_path(order.output)} would be thrown away")
    if work.resumed:
        said.append(
            f"an unfinished run would be gone on with, {work.segments_done} of "
            f"{len(work.segments)} segments finished"
        )
    return "; ".join([*(said or ["new"]), free])


def stream_row(stream: StreamPlan, work: Work) -> tuple[str, ...]:
    """One line of the streams' table."""
    cover = any(other.index == stream.index and other.cover for other in work.info.streams)
    # `und` is how MP4 says nothing.
    language = printable(stream.language or "") if stream.language != "und" else ""
    title = f'"{shortened(printable(stream.title))}"' if stream.title else ""
    return (
        str(stream.index),
        "cover" if cover else stream.kind,
        # An attachment's kind is known by its file's name alone.
        stream.codec if stream.codec != "unknown" else "-",
        " ".join(word for word in (language, title) if word),
        fate_words(stream, work),
    )


def fate_words(stream: StreamPlan, work: Work) -> str:
    """What becomes of a stream."""
    words = {
        "picture": f"coloured: {encoder_words(work)}",
        "copy": "copied bit for bit",
        "convert": f"converted to {stream.becomes}",
        "cover": "kept as an attached picture",
        "attach": "kept as an attachment",
        "leave": f"left out: {stream.why}",
    }
    return words[stream.way]


def encoder_words(work: Work) -> str:
    choice = work.choice
    words = [choice.codec]
    if choice.crf is not None:
        words.append(f"crf {choice.crf}")
    if choice.preset is not None:
        words.append(choice.preset)
    words.append(f"{work.format.bit_depth} bit")
    return " ".join(words)


def along_words(work: Work) -> str:
    """Chapters and tags."""
    kept = [
        f"{count} {thing}{'s' if count > 1 else ''}"
        for count, thing in ((work.chapters, "chapter"), (work.tags, "tag"))
        if count
    ]
    return f"{' and '.join(kept)} kept" if kept else "no chapters, no tags"


def engine_words(work: Work) -> str:
    engine = work.engine
    threads = f"{engine.threads} thread{'s' if engine.threads > 1 else ''}"
    return f"{engine.model} on {engine.device}, {engine.dtype}, batch {engine.batch}, {threads}"


def method_words(settings: Settings) -> str:
    every = settings.anchor_every
    looks = "every frame" if every == 1 else f"one frame in {every}"
    smoothing = "on" if settings.smoothing else "off"
    return f"looks at {looks}, smoothing {smoothing}, keeps {settings.preserve}"


def plan_words(order: Order, work: Work) -> str:
    """Frames and segments."""
    count = len(work.segments)
    frames = f"{work.frames} frame{'s' if work.frames != 1 else ''}"
    segments = "1 segment"
    if count > 1:
        mean = work.frames / float(work.info.rate) / count
        segments = f"{count} segments of about {time_words(mean)}"
    cut = ""
    if order.start is not None or order.end is not None:
        cut = f", from {order.start or 'the beginning'} to {order.end or 'the end'}"
    done = f"; {work.frames_done} frames are finished" if work.frames_done else ""
    return f"{frames} in {segments}{cut}{done}"


def trial_words(plan: FilmPlan, expected: Expected) -> str:
    """What was tried, and what it said."""
    trial = expected.trial
    if trial is None:
        todo = expected.work.todo
        return f"none: {'no frame could be made' if todo else 'nothing is left to be coloured'}"
    speed = f"{trial.fps:.1f} fps, {size_words(trial.bytes_per_frame)} a frame"
    if trial.scaled:
        return f"none of its own; by size, from that of {trial.source}: {speed}"
    if trial.source != plan.source:
        return f"none of its own; that of {trial.source}, which is alike: {speed}"
    frames = f"{trial.frames} frame{'s' if trial.frames != 1 else ''}"
    places = f" from {trial.places} places" if trial.places > 1 else ""
    return f"{frames}{places} in {trial.seconds:.1f} s: {speed}"


def estimate_words(expected: Expected) -> str:
    estimate = expected.estimate
    still = " still" if expected.work.frames_done else ""
    return f"about {size_words(estimate.output_bytes)}, about {time_words(estimate.seconds)}{still}"


def warnings_of(expected: Expected) -> Iterator[str]:
    """What a run would warn of, and what the trial found out."""
    work, trial, estimate = expected.work, expected.trial, expected.estimate
    yield from work.warnings
    if trial is not None and trial.damaged and not trial.scaled:
        yield (
            f"the source is damaged: {trial.damaged} of {trial.frames} frames tried decoded with "
            "errors and may look wrong."
        )
    if estimate.room_bytes > work.free_bytes:
        yield (
            f"about {size_words(estimate.room_bytes)} are needed, for the segments and the joined "
            f"film are there at once, and {size_words(work.free_bytes)} are free; make room, or "
            "choose another place with -o."
        )


def totals_words(totals: Totals) -> str:
    """The last line about several films."""
    said = []
    if totals.planned:
        films = f"{totals.planned} film{'s' if totals.planned > 1 else ''}"
        size, time = size_words(totals.output_bytes), time_words(totals.seconds)
        said.append(f"{films} to be made: about {size}, about {time}")
    others = {
        "there already": totals.left_alone,
        "failed": totals.failed,
        "not tried": totals.not_tried,
    }
    said += [f"{number} {what}" for what, number in others.items() if number]
    return "; ".join(said)


def disk_warnings(totals: Totals) -> Iterator[str]:
    for disk in totals.disks.values():
        if totals.planned > 1 and disk.needed_bytes > disk.free_bytes:
            yield (
                f"all outputs on one disk need about {size_words(disk.needed_bytes)} and "
                f"{size_words(disk.free_bytes)} are free; make room, or choose another place with "
                "-o."
            )


# The same for programs.


def plan_object(order: Order, plan: FilmPlan, expected: Expected | None) -> dict[str, Any]:
    """A film's plan as plain JSON values."""
    found: dict[str, Any] = {
        "source": str(plan.source),
        "output": str(plan.output),
        "left_alone": expected is None,
        "job_beside": plan.job_beside,
        "warnings": [],
    }
    if expected is None:
        return found
    work, settings = expected.work, order.settings
    return found | {
        "warnings": list(warnings_of(expected)),
        "replaced": work.replaced,
        "resumed": work.resumed,
        "discarded": work.discarded,
        "picture": picture_object(work),
        "streams": [asdict(stream) for stream in work.streams],
        "chapters": work.chapters,
        "tags": work.tags,
        "encoder": asdict(work.choice) | {"picture": asdict(work.format)},
        "engine": asdict(work.engine),
        "anchor_every": settings.anchor_every,
        "smoothing": settings.smoothing,
        "preserve": settings.preserve,
        "range": {
            "start": None if order.start is None else str(order.start),
            "end": None if order.end is None else str(order.end),
        },
        "segments": len(work.segments),
        "segments_done": work.segments_done,
        "frames": work.frames,
        "frames_done": work.frames_done,
        "trial": trial_object(expected.trial),
        "estimate": {
            "output_bytes": expected.estimate.output_bytes,
            "picture_bytes": expected.estimate.picture_bytes,
            "copied_bytes": work.copied.bytes,
            "room_bytes": expected.estimate.room_bytes,
            "seconds": round(expected.estimate.seconds, 1),
        },
        "free_bytes": work.free_bytes,
    }


def picture_object(work: Work) -> dict[str, Any]:
    info, facts = work.info, work.facts
    return {
        "container": info.container,
        "codec": info.codec,
        "width": info.width,
        "height": info.height,
        "rate": str(info.rate),
        "seconds": round(work.seconds, 3),
        "pixel_format": info.pixel_format,
        "bit_depth": info.bit_depth,
        "rotation": info.rotation,
        "sample_aspect": str(info.sample_aspect),
        "colored": facts.colored,
        "partly_colored": facts.partly_colored,
        "tinted": facts.tinted,
        "chroma": round(facts.chroma, 2),
        "box": asdict(facts.box),
        "fields": facts.fields,
    }


def trial_object(trial: Trial | None) -> dict[str, Any] | None:
    if trial is None:
        return None
    return {
        "source": str(trial.source),
        "scaled": trial.scaled,
        "frames": trial.frames,
        "places": trial.places,
        "seconds": round(trial.seconds, 2),
        "fps": round(trial.fps, 2),
        "bytes_per_frame": round(trial.bytes_per_frame),
        "damaged": trial.damaged,
    }
