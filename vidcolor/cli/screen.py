"""What a run shows: bars on a terminal, one line on a pipe, or JSON lines; of several, a table.

    with open_screen(as_json=False) as screen:
        screen.event(Progress(phase="colorizing", done=48, total=240, fps=12.0))

Warnings and errors go to stderr, everything else to stdout.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, chop_cells, set_cell_size
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from vidcolor.cli.escapes import printable
from vidcolor.jobs.damage import cut_words, damage_words
from vidcolor.jobs.events import Event, Started, Warned
from vidcolor.jobs.events import Progress as Advance
from vidcolor.jobs.folder import folder_path
from vidcolor.jobs.local import Outcome

DAMAGED_SOURCE = 3
"""Exit code of a film that was made from a damaged source."""

Became = Literal[
    "made", "there already", "damaged source", "in colour", "failed", "interrupted", "not tried"
]

COLUMNS = ("film", "result", "frames", "time", "fps", "output, or why not")
STYLES: dict[Became, str] = {
    "made": "green",
    "there already": "dim",
    "damaged source": "yellow",
    "in colour": "dim",
    "failed": "red",
    "interrupted": "yellow",
    "not tried": "dim",
}

NARROWEST, FILM_PART = 80, 4
"""A plain table is at least this wide, and its first column at most one part in so many."""


@dataclass(frozen=True)
class Row:
    """What became of one film of several."""

    source: str | None
    """None where an input named no film."""

    became: Became
    frames: int = 0
    seconds: float = 0.0
    fps: float = 0.0
    """Of this run alone."""

    output: str = ""
    error: str = ""
    """The whole sentence."""

    exit_code: int = 0

    @classmethod
    def of(cls, source: Path, outcome: Outcome) -> Row:
        became: Became = "made" if outcome.made else "there already"
        if outcome.source_damaged:
            became = "damaged source"
        return cls(
            str(source),
            became,
            frames=outcome.frames,
            seconds=outcome.seconds,
            fps=speed(outcome),
            output=str(outcome.output),
            exit_code=DAMAGED_SOURCE if outcome.source_damaged else 0,
        )


def open_screen(*, as_json: bool) -> Screen:
    """The screen that fits where stdout goes."""
    if as_json:
        return JsonLines()
    return Bars() if sys.stdout.isatty() else OneLine()


class Screen(ABC):
    """Shows the events of one film after the other."""

    _place = ""
    """Which film of how many, before a line about it: `[2/14] `; empty for one alone."""

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

    def film(self, number: int, count: int, source: str | None) -> None:
        """The next of several films begins, counted from 1."""
        self.rest()
        self._place = f"[{number}/{count}] "

    @abstractmethod
    def event(self, event: Event) -> None: ...

    @abstractmethod
    def finished(self, outcome: Outcome) -> None: ...

    def failed(self, source: str | None, sentence: str, exit_code: int) -> None:
        """Say an error of one film on stderr."""
        self.rest()
        print(f"error: {printable(sentence)}", file=sys.stderr)

    @abstractmethod
    def together(self, rows: Sequence[Row]) -> None:
        """What became of several films, each a row."""

    def interrupted(self) -> None:
        """The person, or the system, ended the run."""
        self.rest()

    def warn(self, text: str) -> None:
        self.rest()
        print(f"warning: {printable(text)}", file=sys.stderr)


class OneLine(Screen):
    """For a pipe or a log: warnings, and one line when a film is done."""

    def event(self, event: Event) -> None:
        if isinstance(event, Warned):
            self.warn(event.text)

    def finished(self, outcome: Outcome) -> None:
        self.rest()
        if outcome.source_damaged:
            self.warn(damage_sentence(outcome))
        print(f"{self._place}{printable(summary(outcome))}", flush=True)

    def together(self, rows: Sequence[Row]) -> None:
        self.rest()
        self._table(rows)
        said = (f"{number} {what}" for what, number in counts(rows).items() if number)
        print(", ".join(said), flush=True)

    def _table(self, rows: Sequence[Row]) -> None:
        width = max(NARROWEST, shutil.get_terminal_size().columns)
        print("", *plain_table(rows, width), "", sep="\n")


class JsonLines(Screen):
    """One JSON object per event and line on stdout."""

    def film(self, number: int, count: int, source: str | None) -> None:
        self._print("film", {"number": number, "of": count, "source": source})

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

    def together(self, rows: Sequence[Row]) -> None:
        numbers = {what.replace(" ", "_"): number for what, number in counts(rows).items()}
        self._print("together", numbers | {"films": [asdict(row) for row in rows]})

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
        self._heading = ""
        self._why = ""

    def film(self, number: int, count: int, source: str | None) -> None:
        super().film(number, count, source)
        self._heading = self._place + Path(source or "").name
        self._open_bars()

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
        lines = [f"{self._place}{event.source} -> {event.output}"]
        if event.why and event.why != self._why:
            lines.append(f"  auto took {event.why}")
        self._why = event.why
        plan = f"{_count(event.frames, 'frame')} in {_count(event.segments, 'segment')}"
        if event.segments_resumed:
            plan += f", {event.segments_resumed} of them finished by an earlier run"
        lines.append(f"  {event.engine}; {event.encoder}; {plan}")
        for line in lines:
            self._console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    def _table(self, rows: Sequence[Row]) -> None:
        self._console.print(rich_table(rows))

    def _open_bars(self) -> Progress:
        if self._bars is None:
            self._bars = _HeadedBars(self._heading, self._console)
            self._bars.start()
        return self._bars

    def _advance(self, event: Advance) -> None:
        bars = self._open_bars()
        if event.phase not in self._tasks:
            self._tasks[event.phase] = bars.add_task(event.phase, total=None, words="")
        bars.update(
            self._tasks[event.phase],
            completed=event.done,
            total=event.total or None,
            words=words_of(event),
        )


class _HeadedBars(Progress):
    """A bar per phase, under a line that says which film; both go away at the end."""

    def __init__(self, heading: str, console: Console) -> None:
        self._heading = heading
        super().__init__(
            TextColumn("  {task.description:<10}"),
            BarColumn(),
            TextColumn("{task.fields[words]}"),
            console=console,
            transient=True,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        if self._heading:
            yield Text(printable(self._heading), no_wrap=True, overflow="ellipsis")
        yield from super().get_renderables()


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
    fps = f", {speed(outcome):.1f} fps" if speed(outcome) else ""
    frames = _count(outcome.frames, "frame")
    before = f" ({outcome.frames_resumed} by an earlier run)" if outcome.frames_resumed else ""
    colours = f", colours by {outcome.model}" if outcome.model else ""
    return f"{outcome.output}: {frames}{before} in {clock(outcome.seconds)}{fps}{colours}"


def speed(outcome: Outcome) -> float:
    """Frames a second of this run alone; 0 where it made none."""
    fresh = outcome.frames - outcome.frames_resumed
    return fresh / outcome.seconds if outcome.seconds else 0.0


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
    if outcome.repeated:
        said.append(
            f"{_count(outcome.repeated, 'frame')} couldn't be decoded and repeat the one before"
        )
    if outcome.damage:
        said[-1] += f" ({damage_words(outcome.damage)})"
    if outcome.missing:
        said.append(f"{_count(outcome.missing, 'frame')} couldn't be decoded and were left out")
    if outcome.bytes_missing:
        said.append(cut_words(outcome.bytes_missing))
    return f"the source is damaged: {', '.join(said)}."


def _count(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"


def clock(seconds: float) -> str:
    """H:MM:SS."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def counts(rows: Iterable[Row]) -> dict[Became, int]:
    """How many films came to which end, every end named."""
    found = Counter(row.became for row in rows)
    return {became: found[became] for became in get_args(Became)}


def plain_table(rows: Sequence[Row], width: int) -> list[str]:
    """Rows as aligned lines of at most `width` columns; what is too long loses its less telling
    end: a path its beginning, an error its last words."""
    table = [COLUMNS, *cells_of(rows)]
    widths = [max(cell_len(cells[n]) for cells in table) for n in range(len(COLUMNS) - 1)]
    widths[0] = min(widths[0], width // FILM_PART)
    left = width - sum(widths) - 2 * len(widths)
    lines = []
    for cells, row in zip(table, [None, *rows], strict=True):
        film, result, *numbers, last = cells
        lines.append(
            "  ".join(
                [
                    set_cell_size(_cropped(film, widths[0], keep_end=True), widths[0]),
                    set_cell_size(result, widths[1]),
                    *(f"{text:>{wide}}" for text, wide in zip(numbers, widths[2:], strict=True)),
                    _cropped(last, left, keep_end=row is not None and not row.error),
                ]
            ).rstrip()
        )
    return lines


def rich_table(rows: Sequence[Row]) -> Table:
    """Rows for a terminal, long words folded."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in COLUMNS:
        numbers = name in ("frames", "time", "fps")
        table.add_column(
            name, overflow="fold", justify="right" if numbers else "left", no_wrap=numbers
        )
    for row, cells in zip(rows, cells_of(rows), strict=True):
        film, result, *rest = (Text(cell) for cell in cells)
        result.stylize(STYLES[row.became])
        table.add_row(film, result, *rest)
    return table


def cells_of(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The table's words; a film goes by its name where no other has the same."""
    same = Counter(Path(row.source).name for row in rows if row.source)
    cells: list[tuple[str, ...]] = []
    for row in rows:
        name = Path(row.source or "-").name
        cells.append(
            (
                printable(name if same[name] < 2 else str(row.source)),
                row.became,
                str(row.frames or "-"),
                clock(row.seconds) if row.frames else "-",
                f"{row.fps:.1f}" if row.fps else "-",
                printable(short_error(row) if row.error else row.output or "-"),
            )
        )
    return cells


def short_error(row: Row) -> str:
    """What went wrong, without the film's name, details, and what to do about it."""
    first = row.error.split("; ")[0].rstrip(".").removeprefix(f"{row.source} ")
    return re.sub(r" \([^()]*\)", "", first)


def _cropped(text: str, width: int, *, keep_end: bool) -> str:
    if cell_len(text) <= width:
        return text
    if not keep_end:
        return chop_cells(text, width - 3)[0] + "..."
    # Cells counted from the end.
    return "..." + chop_cells(text[::-1], width - 3)[0][::-1]
