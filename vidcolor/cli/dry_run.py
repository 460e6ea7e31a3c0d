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
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from rich.console import Console

from vidcolor.cli.escapes import printable
from vidcolor.cli.lines import Page
from vidcolor.cli.plan_words import (
    Expected,
    Totals,
    along_words,
    disk_warnings,
    engine_words,
    estimate_words,
    left_words,
    method_words,
    output_words,
    picture_words,
    plan_words,
    source_words,
    stream_row,
    totals_words,
    trial_words,
    warnings_of,
)
from vidcolor.cli.run import failed_row
from vidcolor.errors import DeviceError, VidcolorError, WeightsError
from vidcolor.jobs.estimate import FilmPlan, Work, estimate_of, plan_film
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
            row = failed_row(film, error)
            if row.became == "in colour":
                shown.warn(row.error)
                totals.in_colour += 1
                continue
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


class Shown(ABC):
    """Shows plans on stdout, warnings and errors on stderr."""

    @abstractmethod
    def plan(self, place: str, order: Order, plan: FilmPlan, expected: Expected | None) -> None: ...

    @abstractmethod
    def together(self, totals: Totals) -> None: ...

    def failed(self, source: str | None, sentence: str, exit_code: int) -> None:
        sys.stdout.flush()
        print(f"error: {printable(sentence)}", file=sys.stderr, flush=True)

    def warn(self, sentence: str) -> None:
        sys.stdout.flush()
        print(f"warning: {printable(sentence)}", file=sys.stderr, flush=True)


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
                "in_colour": totals.in_colour,
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


# For programs


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
        "device": trial.device or None,
        "seconds": round(trial.seconds, 2),
        "fps": round(trial.fps, 2),
        "bytes_per_frame": round(trial.bytes_per_frame),
        "damaged": trial.damaged,
    }
