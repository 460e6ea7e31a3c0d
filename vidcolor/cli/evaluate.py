"""`vidcolor evaluate`: how near networks come to the true colours of photographs, and of films.

$ vidcolor evaluate --model compact --photos val.tar
$ vidcolor evaluate --model compact --model compact=mine.safetensors --photos albums/ -o figures/
$ vidcolor evaluate --clips clips/ -o figures/
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidcolor.cli.escapes import printable
from vidcolor.cli.options import (
    MACHINE,
    MODEL_HELP,
    Batch,
    Debug,
    Device,
    Overwrite,
    complete_model,
    default_words,
    setting_option,
    settings_of,
    shown,
)
from vidcolor.cli.preview import count_parser
from vidcolor.errors import SourceError, UsageError

if TYPE_CHECKING:
    from vidcolor.evaluation.bench import Candidate
    from vidcolor.evaluation.figures import Evaluation, FilmEvaluation

EPILOG = """Examples:
  vidcolor evaluate --model compact --photos val.tar
  vidcolor evaluate --model compact --model siggraph17 --photos albums/ -o figures/
  vidcolor evaluate --model compact --model compact=mine.safetensors --photos val.tar --limit 100
  vidcolor evaluate --model compact --clips clips/ --limit 40 -o figures/

Photographs are coloured from their lightness alone, films from their luma, then compared with what
they were: a film frame by frame without smoothing, and by each preset. Rows for gray and for the
truth stand beside the networks'. docs/evaluate.md says what the columns mean.
"""

NAMED = 10
"""Photographs or films that can't be read are named up to here, then counted."""

Threads = Annotated[
    int | None,
    setting_option(
        "threads", "CPU threads for the network and for measuring.", panel=MACHINE, metavar="N"
    ),
]


def evaluate_command(
    photos: Annotated[
        str | None,
        typer.Option(
            metavar="TAR|DIR",
            help="Photographs in colour: a tar, a folder, or whatever else holds some.",
        ),
    ] = None,
    clips: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR|FILE",
            help="Films in colour, instead of photographs. May be repeated.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=FILE]",
            help=shown(
                f"{MODEL_HELP} With =FILE, its weights from there. May be repeated, to compare.",
                default_words("model"),
            ),
            autocompletion=complete_model,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A weights file, where one network is measured."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=shown("Side of a photograph's square that is measured, in pixels.", "256"),
            parser=count_parser("--size"),
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=shown("Only the first N photographs, or frames of each film.", "all"),
            parser=count_parser("--limit"),
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="A folder for table.md, figures.json and, of photographs, sheet.png.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    device: Device = None,
    threads: Threads = None,
    batch: Batch = None,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Measure networks on photographs or films whose colours are known."""
    candidates = candidates_of(model or [], weights, device=device, threads=threads, batch=batch)
    folder = folder_of(out, overwrite)
    if photos is not None and clips:
        raise UsageError("--photos and --clips were both given; measure one after the other.")
    if clips:
        if size is not None:
            raise UsageError("--size is for photographs; films are measured at 256 px, leave it.")
        evaluate_clips(candidates, clips, limit, folder, as_json)
    elif photos is not None:
        evaluate_photos(candidates, photos, size, limit, folder, as_json)
    else:
        raise UsageError(
            "there is nothing to measure on; give photographs with --photos, or films with --clips."
        )


def folder_of(out: str | None, overwrite: bool) -> Path | None:
    """Where files go. Raises UsageError on an empty name, OutputError where they can't."""
    from vidcolor.evaluation.files import refuse_folder

    if out is None:
        return None
    if out == "":
        raise UsageError("-o is empty; expected the name of a folder.")
    refuse_folder(Path(out), overwrite=overwrite)
    return Path(out)


def evaluate_photos(
    candidates: Sequence[Candidate],
    photos: str,
    size: int | None,
    limit: int | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    # Imported here, so that `--help` and bad settings are answered without them.
    from vidcolor.evaluation.bench import DEFAULT_SIZE, evaluate
    from vidcolor.evaluation.files import TILES, figures_of, write_files
    from vidcolor.training.sources import open_source

    if photos == "":
        raise UsageError("--photos is empty; expected the name of a tar or of a folder.")
    with bar() as report:
        evaluation = evaluate(
            candidates,
            open_source(photos),
            size=size or DEFAULT_SIZE,
            limit=limit,
            tiles=0 if folder is None else TILES,
            report=report,
        )
    warn(warnings_about(evaluation.unreadable.values(), "photographs"))
    if as_json:
        print(json.dumps(figures_of(evaluation, pictures=False), indent=2), flush=True)
    else:
        show(evaluation)
    # Last, so that a full disk loses no figure.
    if folder is not None:
        write_files(evaluation, folder)


def evaluate_clips(
    candidates: Sequence[Candidate],
    clips: Sequence[str],
    limit: int | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    paths = clips_of(clips)
    # Imported here, so that `--help` and missing files are answered without torch.
    from vidcolor.evaluation.films import evaluate_films

    source = ", ".join(Path(each).name or each for each in clips)
    with bar() as report:
        evaluation = evaluate_films(candidates, paths, source=source, limit=limit, report=report)
    warn(warnings_about(evaluation.unreadable.values(), "films"))
    tell_films(evaluation, folder, as_json)


def clips_of(given: Sequence[str]) -> list[Path]:
    """The films named and those in the folders named, each once. Raises SourceError, UsageError."""
    from vidcolor.cli.inputs import FILM_SUFFIXES, Found, natural, once
    from vidcolor.jobs.naming import MADE

    found = []
    for name in given:
        if name == "":
            raise UsageError("--clips is empty; expected the name of a film or of a folder.")
        path = Path(name)
        if not os.path.exists(name):  # noqa: PTH110
            raise SourceError(f"{name} doesn't exist; check its name.")
        if not os.path.isdir(name):  # noqa: PTH112
            found.append(Found(path, named=True))
            continue
        try:
            entries = sorted(path.iterdir(), key=natural)
        except OSError as error:
            raise SourceError(f"{path} can't be read: {error.strerror}.") from error
        inside = [
            Found(each)
            for each in entries
            if each.suffix.lower() in FILM_SUFFIXES
            and not each.name.startswith(".")
            and not any(mark in each.suffixes[:-1] for mark in MADE)
            and each.is_file()
        ]
        if not inside:
            raise SourceError(
                f"{path} is a folder without films (those named *.color.* or *.preview.* are taken "
                "for what was made here); give a folder that holds some in colour, or a film."
            )
        found += inside
    return [each.source for each in once([*found]) if isinstance(each, Found)]


def candidates_of(
    models: Sequence[str], weights: str | None, **flags: int | str | None
) -> list[Candidate]:
    """The networks named, each once; `auto` is what it stands for.

    Raises UsageError on names and files that don't go together, and what `settings_of` raises.
    """
    # These cost no import of torch.
    from vidcolor.evaluation.bench import Candidate
    from vidcolor.jobs.local import refuse_wrong
    from vidcolor.models.registry import AUTO, resolve_auto

    named = [name_and_file(text) for text in models] or [(AUTO, None)]
    if weights is not None:
        if len(set(named)) > 1 or named[0][1] is not None:
            raise UsageError(
                "--weights is for one network that is named without a file; give each its own, as "
                "in --model compact=mine.safetensors."
            )
        named = [(named[0][0], weights)]
    all_settings = []
    for name, file in named:
        name = resolve_auto() if name == AUTO and file is None else name
        settings = settings_of(model=name, weights=file, **flags)
        refuse_wrong(settings, None, None)
        if settings not in all_settings:
            all_settings.append(settings)
    labels = labels_of([(each.model, each.weights) for each in all_settings])
    return [
        Candidate(label=label, settings=settings)
        for label, settings in zip(labels, all_settings, strict=True)
    ]


def name_and_file(text: str) -> tuple[str, str | None]:
    """NAME or NAME=FILE in its parts. Raises UsageError where one of them is empty."""
    name, equals, file = text.partition("=")
    if not name or (equals and not file.strip()):
        raise UsageError(
            f"--model was given {text!r}; expected a network's name, or its name and its weights "
            "as in compact=mine.safetensors."
        )
    return name, file if equals else None


def labels_of(named: Sequence[tuple[str, str | None]]) -> list[str]:
    """NAME, or NAME=FILE with as much of the file's path as tells it from the others."""
    parts = [(name, Path(file).parts if file else ()) for name, file in named]
    labels: list[str] = []
    for depth in range(1, max(len(each) for _, each in parts) + 2):
        labels = [f"{name}={Path(*file[-depth:])}" if file else name for name, file in parts]
        if len(set(labels)) == len(labels):
            break
    return labels


def warnings_about(said: Iterable[str], things: str) -> Iterator[str]:
    """A sentence for each thing that couldn't be read, or for the first of many."""
    sentences = list(said)
    yield from sentences[:NAMED]
    if len(sentences) > NAMED:
        yield f"{len(sentences) - NAMED} more {things} couldn't be read; --json names all."


def warn(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        print(f"warning: {printable(sentence)}", file=sys.stderr, flush=True)


def show(evaluation: Evaluation) -> None:
    """Print the table, and what was measured."""
    from vidcolor.cli.models import print_wrapped
    from vidcolor.evaluation.files import sentences_about, table_of

    show_table(table_of(evaluation), [row.engine is None for row in evaluation.rows])
    print()
    print_wrapped(" ".join(sentences_about(evaluation)))
    sys.stdout.flush()


def tell_films(evaluation: FilmEvaluation, folder: Path | None, as_json: bool) -> None:
    """Print what was measured of films, as tables or as JSON, and write it into a folder."""
    from vidcolor.cli.models import print_wrapped
    from vidcolor.evaluation.files import (
        film_figures_of,
        film_sentences,
        film_tables,
        write_film_files,
    )

    warn(evaluation.notes)
    if as_json:
        print(json.dumps(film_figures_of(evaluation, series=False), indent=2), flush=True)
    else:
        measured = len(evaluation.renderings) - 2
        for heading, table in film_tables(evaluation):
            title = printable(heading)
            print(title if sys.stdout.isatty() else f"### {title}", end="\n\n")
            show_table(table, [True, *[False] * measured, True])
            print()
        print_wrapped(" ".join(film_sentences(evaluation)))
        sys.stdout.flush()
    # Last, so that a full disk loses no figure.
    if folder is not None:
        write_film_files(evaluation, folder)


def show_table(lines: Sequence[Sequence[str]], dim: Sequence[bool]) -> None:
    """Print a table, on a terminal in colour, on a pipe as Markdown.

    lines: the headings first. dim: which of the others stand beside what is measured.
    """
    from vidcolor.evaluation.files import markdown

    lines = [[printable(cell) for cell in line] for line in lines]
    if not sys.stdout.isatty():
        print(markdown([tuple(line) for line in lines]))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    columns = list(zip(*lines, strict=True))
    if sum(max(map(len, column)) + 2 for column in columns) > console.width:
        # Headings over several lines; figures are never cut, the terminal may break their lines.
        columns = [(head.replace(" ", "\n"), *cells) for head, *cells in columns]
        words = [[*head.split("\n"), *cells] for head, *cells in columns]
        console.width = max(console.width, sum(max(map(len, each)) + 2 for each in words))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head, *_ in columns:
        table.add_column(head, justify="right" if head else "left")
    for cells, faint in zip(lines[1:], dim, strict=True):
        table.add_row(*map(Text, cells), style="dim" if faint else "")
    console.print(table)


@contextmanager
def bar() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while things are measured, gone when all are; none on a pipe."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("measuring"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True), expand=True, transient=True) as bars:
        task = bars.add_task("measuring", total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
