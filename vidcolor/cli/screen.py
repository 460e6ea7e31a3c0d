"""What a run shows: bars on a terminal, one line on a pipe, or JSON lines.

    with open_screen(as_json=False) as screen:
        screen.event(Progress(phase="colorizing", done=48, total=240, fps=12.0))

Warnings and errors go to stderr, everything else to stdout.
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from vidcolor.jobs.events import Event, Started, Warned
from vidcolor.jobs.events import Progress as Advance
from vidcolor.jobs.folder import folder_path
from vidcolor.jobs.local import Outcome


def open_screen(*, as_json: bool) -> Screen:
    """The screen that fits where stdout goes."""
    if as_json:
        return JsonLines()
    return Bars() if sys.stdout.isatty() else OneLine()


class Screen(ABC):
    """Shows the events of one film after the other."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.rest()

    def rest(self) -> None:  # noqa: B027
        """Take away what moves, before a line that stays."""

    @abstractmethod
    def event(self, event: Event) -> None: ...

    @abstractmethod
    def finished(self, outcome: Outcome) -> None: ...

    def failed(self, source: str | None, sentence: str, exit_code: int) -> None:
        """Say an error of one film on stderr."""
        self.rest()
        print(f"error: {sentence}", file=sys.stderr)

    @abstractmethod
    def together(self, counts: dict[str, int]) -> None:
        """What became of several films: how many were made, were there already, failed."""

    def interrupted(self) -> None:
        """The person, or the system, ended the run."""
        self.rest()

    def warn(self, text: str) -> None:
        self.rest()
        print(f"warning: {text}", file=sys.stderr)


class OneLine(Screen):
    """For a pipe or a log: warnings, and one line when a film is done."""

    def event(self, event: Event) -> None:
        if isinstance(event, Warned):
            self.warn(event.text)

    def finished(self, outcome: Outcome) -> None:
        self.rest()
        if outcome.source_damaged:
            self.warn(damage_sentence(outcome))
        print(summary(outcome), flush=True)

    def together(self, counts: dict[str, int]) -> None:
        self.rest()
        said = (f"{number} {what}" for what, number in counts.items() if number)
        print(", ".join(said), flush=True)


class JsonLines(Screen):
    """One JSON object per event and line on stdout."""

    def event(self, event: Event) -> None:
        left = {"seconds_left": event.seconds_left} if isinstance(event, Advance) else {}
        names = {Started: "started", Advance: "progress", Warned: "warning"}
        self._print(names[type(event)], asdict(event) | left)
        if isinstance(event, Warned):
            self.warn(event.text)

    def finished(self, outcome: Outcome) -> None:
        self._print("finished", asdict(outcome) | {"output": str(outcome.output)})
        if outcome.source_damaged:
            self.warn(damage_sentence(outcome))

    def failed(self, source: str | None, sentence: str, exit_code: int) -> None:
        self._print("failed", {"source": source, "error": sentence, "exit_code": exit_code})
        super().failed(source, sentence, exit_code)

    def together(self, counts: dict[str, int]) -> None:
        self._print("together", {what.replace(" ", "_"): n for what, n in counts.items()})

    def interrupted(self) -> None:
        self._print("interrupted", {})

    def _print(self, name: str, values: dict[str, Any]) -> None:
        print(json.dumps({"event": name, **values}), flush=True)


class Bars(OneLine):
    """For a terminal: what was chosen, then a bar per phase."""

    def __init__(self) -> None:
        self._console = Console()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def rest(self) -> None:
        if self._bars is not None:
            self._bars.stop()
        self._bars, self._tasks = None, {}

    def event(self, event: Event) -> None:
        if isinstance(event, Started):
            self._start(event)
        elif isinstance(event, Advance):
            self._advance(event)
        else:
            super().event(event)

    def _start(self, event: Started) -> None:
        self.rest()
        lines = [f"{event.source} -> {event.output}"]
        if event.why:
            lines.append(f"  auto took {event.why}")
        plan = f"{_count(event.frames, 'frame')} in {_count(event.segments, 'segment')}"
        if event.segments_resumed:
            plan += f", {event.segments_resumed} of them finished by an earlier run"
        lines.append(f"  {event.engine}; {event.encoder}; {plan}")
        for line in lines:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _advance(self, event: Advance) -> None:
        if self._bars is None:
            columns = (
                TextColumn("  {task.description:<10}"),
                BarColumn(),
                TextColumn("{task.fields[words]}"),
            )
            self._bars = Progress(*columns, console=self._console, transient=True)
            self._bars.start()
        if event.phase not in self._tasks:
            self._tasks[event.phase] = self._bars.add_task(event.phase, total=None, words="")
        self._bars.update(
            self._tasks[event.phase],
            completed=event.done,
            total=event.total or None,
            words=words_of(event),
        )


def words_of(event: Advance) -> str:
    """A bar's text: what is done, how fast, how long it will still take."""
    if not event.total:
        return ""
    words = f"{event.done}/{event.total}"
    if event.fps:
        words += f"  {event.fps:.1f} fps"
    if event.seconds_left is not None:
        words += f"  {clock(event.seconds_left)} left"
    return words


def summary(outcome: Outcome) -> str:
    """The line that stays when a film is done."""
    if not outcome.made:
        return left_sentence(outcome)
    fresh = outcome.frames - outcome.frames_resumed
    speed = f", {fresh / outcome.seconds:.1f} fps" if outcome.seconds and fresh else ""
    frames = _count(outcome.frames, "frame")
    before = f" ({outcome.frames_resumed} by an earlier run)" if outcome.frames_resumed else ""
    colours = f", colours by {outcome.model}" if outcome.model else ""
    return f"{outcome.output}: {frames}{before} in {clock(outcome.seconds)}{speed}{colours}"


def left_sentence(outcome: Outcome) -> str:
    """What to say of an output that was there already."""
    alone = (
        f"{outcome.output} is already there and was left alone, not compared with this command's "
        "settings"
    )
    if outcome.job_beside:
        job = folder_path(outcome.output)
        return f"{alone}; {job} beside it is unfinished or was kept, --overwrite goes on with it."
    return f"{alone}; --overwrite makes it again."


def damage_sentence(outcome: Outcome) -> str:
    """What a damaged source means for the output."""
    said = []
    if outcome.damaged:
        said.append(f"{_count(outcome.damaged, 'frame')} decoded with errors and may look wrong")
    if outcome.missing:
        said.append(f"{_count(outcome.missing, 'frame')} couldn't be decoded and were left out")
    return f"the source is damaged: {', '.join(said)}."


def _count(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"


def clock(seconds: float) -> str:
    """H:MM:SS."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
