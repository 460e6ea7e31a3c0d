"""Tables in pages: what stands between two marks is printed anew, the words around it stay.

<!-- table: formats -->
...
<!-- end of table -->
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

END = "<!-- end of table -->"


class MarkError(Exception):
    """A page lacks the marks that a table goes between; its words say which."""


def put_table(page: Path, name: str, lines: Iterable[str]) -> None:
    """Replace the table called `name` in a page. Raises MarkError; then the page is as it was."""
    mark = f"<!-- table: {name} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(mark)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise MarkError(f"{page} lacks {mark if not found else END!r}")
    text = "\n".join((before + mark, "", *lines, "", END + after))
    unfinished = page.with_name(page.name + ".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(page)


def show(name: str, lines: Sequence[str], page: Path | None) -> None:
    """Print a table, and put it into a page where one is given. Raises MarkError."""
    print(f"\n{name}\n\n" + "\n".join(lines), flush=True)
    if page is not None:
        put_table(page, name, lines)


def table_in(page: Path, name: str) -> list[list[str]]:
    """The cells of a page's table, row by row, its head left out; none where it isn't measured.

    Raises MarkError where the page has no such table.
    """
    _, found, rest = page.read_text(encoding="utf-8").partition(f"<!-- table: {name} -->")
    text, ended, _ = rest.partition(END)
    if not found or not ended:
        raise MarkError(f"{page} has no table called {name}")
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]
