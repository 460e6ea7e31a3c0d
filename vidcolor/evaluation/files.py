"""An evaluation for people and programs: a table, a contact sheet, and every figure as JSON.

    print(markdown(table_of(evaluation)))
    print(json.dumps(figures_of(evaluation, pictures=False)))
    write_files(evaluation, Path("figures"))        # table.md, figures.json, sheet.png

|            |  PSNR | SSIM  | ...
|------------|------:|------:|
| gray       | 22.50 | 0.919 |
| compact    | 23.76 | 0.925 |
| truth      |     - | 1.000 |
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vidcolor import __version__
from vidcolor.errors import OutputError
from vidcolor.evaluation.figures import Evaluation, Measures
from vidcolor.jobs.durable import PART, put_in_place, refuse_unwritable, writing
from vidcolor.resample import refit
from vidcolor.sheet import Column, Groups, Image, encode

TABLE, FIGURES, SHEET = "table.md", "figures.json", "sheet.png"
FILES = (TABLE, FIGURES, SHEET)

TILES = 24
"""Most photographs a sheet shows."""

HEADINGS = (
    "PSNR, dB",
    "SSIM",
    "CIEDE2000",
    "p90",
    "AuC, %",
    "rebalanced",
    "colourfulness",
    "accuracy, %",
)

Cells = tuple[str, ...]


def table_of(evaluation: Evaluation) -> list[Cells]:
    """The headings, then a line for each row, its label first."""
    return [("", *HEADINGS), *((row.label, *_cells(row.means)) for row in evaluation.rows)]


def _cells(means: Measures) -> Cells:
    """In the order of HEADINGS."""
    return (
        "-" if means.psnr is None else f"{means.psnr:.2f}",
        f"{means.ssim:.3f}",
        f"{means.ciede2000:.2f}",
        f"{means.ciede2000_p90:.2f}",
        f"{100 * means.auc:.2f}",
        f"{100 * means.auc_rebalanced:.2f}",
        f"{means.colorfulness:.1f}",
        f"{100 * means.accuracy:.2f}",
    )


def markdown(table: Sequence[Cells]) -> str:
    """A table of Markdown whose columns also line up; what comes first names the columns."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        [
            cells[0].ljust(widths[0]),
            *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True)),
        ]
        for cells in table
    ]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (lines[0], rule, *lines[1:]))


def sentences_about(evaluation: Evaluation) -> Iterator[str]:
    """What stands below the table: what was measured, and with what."""
    subjects = evaluation.subjects
    size = evaluation.size
    yield (
        f"{_count(len(subjects), 'photograph')} of {evaluation.photos}, "
        f"{'its' if len(subjects) == 1 else 'their'} middle square at {size}x{size} pixels."
    )
    if smaller := sum(each.side < size for each in subjects):
        yield f"{smaller} had fewer pixels, and kept them."
    if gray := sum(each.gray for each in subjects):
        yield f"{gray} without any colour counted, too."
    if unreadable := len(evaluation.unreadable):
        yield f"{_count(unreadable, 'more photograph')} couldn't be read."
    engines = [row.engine for row in evaluation.rows if row.engine]
    if engines:
        yield f"Coloured by {'; '.join(engines)}."


def _count(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"


def figures_of(evaluation: Evaluation, *, pictures: bool) -> dict[str, Any]:
    """All figures as plain JSON values; `pictures` also gives those of each photograph."""
    rows = [
        {
            "label": row.label,
            "model": row.model,
            "weights_sha256": row.weights_sha256,
            "engine": row.engine,
            "means": _rounded(row.means),
        }
        for row in evaluation.rows
    ]
    figures = {
        "vidcolor": __version__,
        "photos": evaluation.photos,
        "size": evaluation.size,
        "measured": len(evaluation.subjects),
        "gray": [each.key for each in evaluation.subjects if each.gray],
        "smaller": [each.key for each in evaluation.subjects if each.side < evaluation.size],
        "unreadable": dict(evaluation.unreadable),
        "seconds": round(evaluation.seconds, 1),
        "rows": rows,
    }
    if pictures:
        figures["pictures"] = [
            asdict(subject)
            | {"rows": {row.label: _rounded(row.measures[n]) for row in evaluation.rows}}
            for n, subject in enumerate(evaluation.subjects)
        ]
    return figures


def _rounded(measures: Measures) -> dict[str, float | None]:
    return {k: None if v is None else round(v, 6) for k, v in asdict(measures).items()}


def refuse_folder(folder: Path, *, overwrite: bool) -> None:
    """Raise OutputError where `write_files` would fail, or replace something unasked."""
    with writing(folder):
        if not folder.exists():
            refuse_unwritable(folder.parent)
            return
        if not folder.is_dir():
            raise OutputError(f"{folder} isn't a folder; choose another with -o.")
        refuse_unwritable(folder)
        there = [name for name in FILES if (folder / name).exists()]
    if there and not overwrite:
        raise OutputError(
            f"{folder / there[0]} is there already; give --overwrite to replace it, or choose "
            "another folder with -o."
        )


def write_files(evaluation: Evaluation, folder: Path) -> None:
    """Write FILES into `folder`, which is made if need be; no sheet where nothing is to be shown.

    Raises OutputError; whole files are kept then.
    """
    with _written(folder):
        folder.mkdir(exist_ok=True)
    said = "\n".join(sentences_about(evaluation))
    _write(folder / TABLE, f"{markdown(table_of(evaluation))}\n\n{said}\n".encode())
    figures = json.dumps(figures_of(evaluation, pictures=True), indent=1)
    _write(folder / FIGURES, figures.encode())
    if evaluation.shown:
        _write(folder / SHEET, encode(draw_sheet(evaluation), ".png"))


def draw_sheet(evaluation: Evaluation) -> Image:
    """The contact sheet: each photograph that is kept, as every row has it."""
    labels = [row.label for row in evaluation.rows]
    groups = Groups.fit(evaluation.size, len(evaluation.shown), labels)
    side = groups.side, groups.side
    columns = [
        Column(tuple(refit(image, side) for image in each.images), each.caption)
        for each in evaluation.shown
    ]
    shown = f"{len(columns)} of {_count(len(evaluation.subjects), 'photograph')}"
    return groups.draw(evaluation.photos, f"{shown} · {' · '.join(labels)}", columns)


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + PART)
    with _written(path):
        try:
            temporary.write_bytes(data)
            put_in_place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """As `writing`, which speaks of films where the disk is full."""
    with writing(path):
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise OutputError(
                f"the disk is full, so {path} can't be written; free some space, or choose another "
                "folder with -o."
            ) from error
