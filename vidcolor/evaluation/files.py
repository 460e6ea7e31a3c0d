"""An evaluation for people and programs: a table, a contact sheet, and every figure as JSON.

    print(markdown(table_of(evaluation)))
    print(json.dumps(figures_of(evaluation, pictures=False)))
    write_files(evaluation, Path("figures"))        # table.md, figures.json, sheet.png

    for title, table in film_tables(films): print(title, markdown(table))
    write_film_files(films, Path("figures"))        # table.md, figures.json

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
from vidcolor.evaluation.figures import (
    LEAST_CDC_DISTANCE,
    PER_FRAME,
    Evaluation,
    FilmEvaluation,
    FilmMeasures,
    Measures,
    Rendering,
)
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

FILM_HEADINGS = (
    "PSNR, dB",
    "CIEDE2000",
    "colourfulness",
    "CDC",
    "off truth's",
    "x per-frame",
    "E_warp, 1e-4",
    "E_warp_ab",
    "x per-frame",
    "ms a frame",
    "network's",
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


def film_tables(evaluation: FilmEvaluation) -> Iterator[tuple[str, list[Cells]]]:
    """Each film's title and table, then the means' where there are several films."""
    several = len(evaluation.films) > 1
    for film in evaluation.films:
        width, height = film.size
        title = f"{film.name}: {_count(len(film.seconds), 'frame')} at {width}x{height}"
        yield title, _film_table(evaluation, [each.measures for each in film.figures], None)
    if several:
        title = f"Mean of {len(evaluation.films)} films"
        yield title, _film_table(evaluation, evaluation.means, evaluation.steadied)


def _film_table(
    evaluation: FilmEvaluation, measures: Sequence[FilmMeasures], counts: Sequence[int] | None
) -> list[Cells]:
    """The headings and a line for each rendering; columns that nothing is in are left out.

    counts: over how many films each mean distance of CDC is.
    """
    lines: list[Cells] = [("", *FILM_HEADINGS)]
    for n, (row, each) in enumerate(zip(evaluation.renderings, measures, strict=True)):
        plain = _per_frame(evaluation.renderings, measures, row)
        count = "" if counts is None else f" ({counts[n]})"
        lines.append((row.label, *_film_cells(each, plain, count)))
    kept = [column for column in zip(*lines, strict=True) if set(column[1:]) != {"-"}]
    return list(zip(*kept, strict=True))


def _per_frame(
    renderings: Sequence[Rendering], measures: Sequence[FilmMeasures], row: Rendering
) -> FilmMeasures | None:
    """What the per-frame method measures with the row's network; gray's and the truth's is the
    only one there is."""
    found = [
        each
        for other, each in zip(renderings, measures, strict=True)
        if other.way == PER_FRAME and row.model in (other.model, None)
    ]
    return found[0] if len(found) == 1 else None


def _film_cells(means: FilmMeasures, plain: FilmMeasures | None, count: str) -> Cells:
    """In the order of FILM_HEADINGS."""
    distance = _number(means.cdc_distance, ".5f")
    return (
        _number(means.psnr, ".2f"),
        _number(means.ciede2000, ".2f"),
        _number(means.colorfulness, ".1f"),
        _number(means.cdc, ".5f"),
        distance if distance == "-" else distance + count,
        _ratio(means.cdc_distance, plain.cdc_distance if plain else None),
        _number(None if means.warp_error is None else 1e4 * means.warp_error, ".2f"),
        _number(means.warp_error_ab, ".3f"),
        _ratio(means.warp_error_ab, plain.warp_error_ab if plain else None),
        _number(means.milliseconds, ".1f"),
        _number(means.network_milliseconds, ".1f"),
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _ratio(value: float | None, plain: float | None) -> str:
    return "-" if value is None or not plain else f"{value / plain:.2f}"


def film_sentences(evaluation: FilmEvaluation) -> Iterator[str]:
    """What stands below the tables: what was measured, and with what."""
    films = evaluation.films
    frames = _count(sum(len(film.seconds) for film in films), "frame")
    size = f"their long side at most {evaluation.side} pixels"
    if evaluation.painters:
        yield f"{_count(len(films), 'film')} from {evaluation.source}, {frames}, {size}."
    else:
        yield f"The truth is {evaluation.source}; {frames}, {size}."
    if len(films) > 1 and any(evaluation.steadied):
        yield (
            "The mean of how far CDC is off the truth's is over the films, their number in "
            f"brackets, where the per-frame method is off by {LEAST_CDC_DISTANCE} or more."
        )
    elif len(films) > 1:
        yield (
            f"On no film is the per-frame method's CDC off the truth's by {LEAST_CDC_DISTANCE} or "
            "more, so that has no mean."
        )
    if gray := [film.name for film in films if film.gray]:
        whose = "its" if len(gray) == 1 else "their"
        yield f"Without any colour of {whose} own: {', '.join(gray)}."
    if unreadable := len(evaluation.unreadable):
        yield f"{_count(unreadable, 'more film')} couldn't be read."
    if evaluation.painters:
        yield f"Coloured by {'; '.join(each.engine for each in evaluation.painters)}."


def film_figures_of(evaluation: FilmEvaluation, *, series: bool) -> dict[str, Any]:
    """All figures as plain JSON values; `series` also gives E_warp_ab frame by frame.

    The n-th of a series is between the n-th frame, shown at the n-th of the film's `seconds`, and
    the next.
    """
    rows = [
        _without_none(asdict(row)) | {"means": _rounded_film(means), "cdc_distance_films": count}
        for row, means, count in zip(
            evaluation.renderings, evaluation.means, evaluation.steadied, strict=True
        )
    ]
    films = []
    for film in evaluation.films:
        each: dict[str, Any] = {"name": film.name, "frames": len(film.seconds)}
        each |= {"width": film.size[0], "height": film.size[1], "gray": film.gray, "rows": []}
        if series:
            each["seconds"] = [round(moment, 6) for moment in film.seconds]
        for row, found in zip(evaluation.renderings, film.figures, strict=True):
            figures: dict[str, Any] = {"label": row.label, **_rounded_film(found.measures)}
            if series:
                figures["warp_errors_ab"] = [_digits(value) for value in found.warp_errors_ab]
            each["rows"].append(figures)
        films.append(each)
    return {
        "vidcolor": __version__,
        "source": evaluation.source,
        "side": evaluation.side,
        "limit": evaluation.limit,
        "measured": len(films),
        "unreadable": dict(evaluation.unreadable),
        "notes": list(evaluation.notes),
        "networks": [asdict(each) for each in evaluation.painters],
        "seconds": round(evaluation.elapsed, 1),
        "rows": rows,
        "films": films,
    }


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _rounded_film(measures: FilmMeasures) -> dict[str, float | None]:
    return {name: _digits(value) for name, value in asdict(measures).items()}


def _digits(value: float | None) -> float | None:
    """To six digits: E_warp is small."""
    return None if value is None else float(f"{value:.6g}")


def write_film_files(evaluation: FilmEvaluation, folder: Path) -> None:
    """Write table.md and figures.json into `folder`, which is made if need be.

    Raises OutputError; whole files are kept then.
    """
    with _written(folder):
        folder.mkdir(exist_ok=True)
    parts = [f"### {title}\n\n{markdown(table)}" for title, table in film_tables(evaluation)]
    parts.append("\n".join((*film_sentences(evaluation), *evaluation.notes)))
    _write(folder / TABLE, ("\n\n".join(parts) + "\n").encode())
    figures = json.dumps(film_figures_of(evaluation, series=True), indent=1)
    _write(folder / FIGURES, figures.encode())


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
