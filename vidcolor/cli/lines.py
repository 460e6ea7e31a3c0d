"""Lines that stay, for people: labels with text hanging beside them, times in round numbers.

    page = Page()
    page.item("estimate", f"about {time_words(11_420)}")
    #   estimate   about 3 h 10 min

On a terminal long text is wrapped beside its label; elsewhere each line stays whole, for whatever
reads it.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from vidcolor.cli.escapes import printable

LABEL_COLUMNS = 11
INDENT = "  "
LEAST_COLUMNS = 24
"""Text is given at least this much room beside what stands before it, however narrow all is."""


class Page:
    """Prints to stdout."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None

    def title(self, text: str) -> None:
        """A line that begins something."""
        self._print(Text(printable(text), "bold"))

    def item(self, label: str, text: str, style: str = "") -> None:
        """Text beside a label; without a label it goes on below the last one's."""
        head = INDENT + label.ljust(LABEL_COLUMNS)
        self.hanging(Text(head, "dim"), text, style)

    def hanging(self, head: Text, text: str, style: str = "") -> None:
        """Text behind `head`, its further lines beginning under its first."""
        lines = self._wrapped(printable(text), len(head))
        self._print(Text.assemble(head, (lines[0], style)))
        for line in lines[1:]:
            self._print(Text.assemble(" " * len(head), (line, style)))

    def whole(self, head: Text, text: str, style: str = "") -> None:
        """Text behind `head` that is never wrapped here."""
        self._print(Text.assemble(head, (printable(text), style)))

    def table(self, label: str, rows: Sequence[Sequence[str]]) -> None:
        """Rows of as many cells, in columns beside a label; the last cell may be wrapped."""
        rows = [[printable(cell) for cell in row] for row in rows]
        widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]) - 1)]
        for number, row in enumerate(rows):
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
            before = INDENT + (label if number == 0 else "").ljust(LABEL_COLUMNS)
            kept = [cell for cell, width in zip(cells, widths, strict=True) if width]
            head = Text.assemble((before, "dim"), "".join(f"{cell}  " for cell in kept))
            self.hanging(head, row[-1])

    def _wrapped(self, text: str, before: int) -> list[str]:
        if self._columns is None:
            return [text]
        room = max(self._columns - before, LEAST_COLUMNS)
        # A path is one word, and must stay one to be copied.
        lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
        return lines or [""]

    def _print(self, line: Text) -> None:
        line.rstrip()
        self._console.print(line, soft_wrap=True)


def time_words(seconds: float) -> str:
    """A length of time as one would say it: 8 s, 45 s, 12 min, 3 h 10 min."""
    if seconds < 1.5:
        return "1 s"
    if seconds < 10:
        return f"{round(seconds)} s"
    if seconds < 87.5:
        return f"{round(seconds / 5) * 5} s"
    if seconds < 59.5 * 60:
        return f"{max(round(seconds / 60), 1)} min"
    step = 5 if seconds < 10 * 3600 else 30
    minutes = round(seconds / 60 / step) * step
    rest = f" {minutes % 60} min" if minutes % 60 else ""
    return f"{minutes // 60} h{rest}"


def shortened(text: str, most: int = 30) -> str:
    """Text of a stranger's, such as a track's title, with no more letters than `most`."""
    return text if len(text) <= most else text[: most - 3] + "..."
