"""`vidcolor evaluate`: how near networks come to the true colours of photographs.

$ vidcolor evaluate --model compact --photos val.tar
$ vidcolor evaluate --model compact --model compact=mine.safetensors --photos albums/ -o figures/
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
from vidcolor.errors import UsageError

if TYPE_CHECKING:
    from vidcolor.evaluation.bench import Candidate
    from vidcolor.evaluation.figures import Evaluation

EPILOG = """Examples:
  vidcolor evaluate --model compact --photos val.tar
  vidcolor evaluate --model compact --model siggraph17 --photos albums/ -o figures/
  vidcolor evaluate --model compact --model compact=mine.safetensors --photos val.tar --limit 100

Photographs are coloured from their lightness alone, then compared with what they were. Rows for
gray and for the truth stand beside the networks'. docs/evaluate.md says what the columns mean.
"""

NAMED = 10
"""Photographs that can't be read are named up to here, then counted."""

Threads = Annotated[
    int | None,
    setting_option(
        "threads", "CPU threads for the network and for measuring.", panel=MACHINE, metavar="N"
    ),
]


def evaluate_command(
    photos: Annotated[
        str,
        typer.Option(
            metavar="TAR|DIR",
            help="Photographs in colour: a tar, a folder, or whatever else holds some.",
        ),
    ],
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
            help=shown("Side of the square that is measured, in pixels.", "256"),
            parser=count_parser("--size"),
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=shown("Only the first N photographs.", "all"),
            parser=count_parser("--limit"),
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="A folder for table.md, figures.json and sheet.png.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    device: Device = None,
    threads: Threads = None,
    batch: Batch = None,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Measure networks on photographs whose colours are known."""
    candidates = candidates_of(model or [], weights, device=device, threads=threads, batch=batch)
    # Imported here, so that `--help` and bad settings are answered without them.
    from vidcolor.evaluation.bench import DEFAULT_SIZE, evaluate
    from vidcolor.evaluation.files import TILES, figures_of, refuse_folder, write_files
    from vidcolor.training.sources import open_source

    if photos == "":
        raise UsageError("--photos is empty; expected the name of a tar or of a folder.")
    if out is not None:
        if out == "":
            raise UsageError("-o is empty; expected the name of a folder.")
        refuse_folder(Path(out), overwrite=overwrite)
    with bar() as report:
        evaluation = evaluate(
            candidates,
            open_source(photos),
            size=size or DEFAULT_SIZE,
            limit=limit,
            tiles=0 if out is None else TILES,
            report=report,
        )
    for sentence in warnings_about(evaluation):
        print(f"warning: {sentence}", file=sys.stderr, flush=True)
    if as_json:
        print(json.dumps(figures_of(evaluation, pictures=False), indent=2), flush=True)
    else:
        show(evaluation)
    # Last, so that a full disk loses no figure.
    if out is not None:
        write_files(evaluation, Path(out))


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


def warnings_about(evaluation: Evaluation) -> Iterator[str]:
    """A sentence for each photograph that couldn't be read, or for the first of many."""
    said = list(evaluation.unreadable.values())
    yield from said[:NAMED]
    if len(said) > NAMED:
        yield f"{len(said) - NAMED} more photographs couldn't be read; --json names all."


def show(evaluation: Evaluation) -> None:
    """Print the table, on a terminal in colour, on a pipe as Markdown, and what was measured."""
    from vidcolor.cli.models import print_wrapped
    from vidcolor.evaluation.files import markdown, sentences_about, table_of

    lines = table_of(evaluation)
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("")
        for name in lines[0][1:]:
            table.add_column(name, justify="right")
        for row, cells in zip(evaluation.rows, lines[1:], strict=True):
            table.add_row(*map(Text, cells), style="" if row.engine else "dim")
        Console(highlight=False).print(table)
    else:
        print(markdown(lines))
    print()
    print_wrapped(" ".join(sentences_about(evaluation)))
    sys.stdout.flush()


@contextmanager
def bar() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while photographs are measured, gone when all are; none on a pipe."""
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
