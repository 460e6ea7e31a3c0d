"""`vidcolor models`: the networks, what each is good for, and their weights.

$ vidcolor models list
$ vidcolor models info siggraph17
$ vidcolor models pull siggraph17
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidcolor.cli.escapes import printable
from vidcolor.cli.options import complete_model
from vidcolor.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from rich.progress import TaskID

    from vidcolor.models.descriptions import Measures, WeightsFound
    from vidcolor.models.downloads import Progress
    from vidcolor.models.registry import ModelEntry

models_app = typer.Typer(
    help="The networks and their weights.", no_args_is_help=True, pretty_exceptions_enable=False
)

LIST_EPILOG = """Examples:
  vidcolor models list
  vidcolor models list --json

Weights are here, to pull, damaged, missing from the package, or yours to give with --weights.
"""
INFO_EPILOG = """Examples:
  vidcolor models info siggraph17
  vidcolor models info auto --json

Figures are counted on the network itself; buffers are no parameters.
"""
PULL_EPILOG = """Examples:
  vidcolor models pull siggraph17
  vidcolor models pull siggraph17 --from siggraph17-df00044c.pth

Interrupted, the same command goes on where it was.
"""

COLUMNS = ("NAME", "WEIGHTS", "SIZE", "GOOD FOR", "LICENCE")
LABEL_WIDTH = 12
NO_BREAK_SPACE = "\xa0"

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]

STATES = {
    "here": "here",
    "absent": "to pull",
    "wrong": "damaged",
    "lost": "missing",
    "unpublished": "yours",
    "needless": "-",
}
"""A column's word for each state of a network's weights."""


def complete_published(begun: str) -> list[str]:
    from vidcolor.models.catalogue import COMPANIONS, OFFICIAL

    return [name for name in (*OFFICIAL, *COMPANIONS) if name.startswith(begun)]


# list


@models_app.command("list", epilog=LIST_EPILOG)
def list_command(
    everything: Annotated[
        bool, typer.Option("--all", help="Also those for study, and for tests.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the networks, what each is good for, and whether its weights are here."""
    from vidcolor.models.descriptions import find_weights
    from vidcolor.models.registry import MODELS

    entries = [entry for entry in MODELS if everything or entry.everyday]
    found = [find_weights(entry) for entry in entries]
    auto = choice_of_auto()
    if as_json:
        networks = [listed(*both) for both in zip(entries, found, strict=True)]
        print(json.dumps({"networks": networks, **auto}, indent=2))
        return
    print_table([row(*both) for both in zip(entries, found, strict=True)])
    print()
    for sentence in sentences_about(auto):
        print_wrapped(sentence)


def choice_of_auto() -> dict[str, Any]:
    """What `auto` takes (None where it refuses), why, and what it would take before that."""
    from vidcolor.models.registry import better_than, explain_auto, resolve_auto

    try:
        name = resolve_auto()
    except WeightsError as error:
        return {"auto": None, "why": str(error), "better": None}
    return {"auto": name, "why": explain_auto(), "better": better_than(name)}


def sentences_about(auto: dict[str, Any]) -> Iterator[str]:
    """What stands below the table: what `auto` takes, and how to get a better one."""
    if auto["auto"] is None:
        yield f"auto takes none: {auto['why']}"
        return
    yield f"auto takes {auto['why']}."
    # Its sentence names the command where no published weights are here at all.
    if auto["better"] and auto["better"] not in auto["why"]:
        yield f"`vidcolor models pull {auto['better']}` brings the one it takes before that."
    yield "`vidcolor models info NAME` says more of each; `vidcolor models list --all` lists more."


def listed(entry: ModelEntry, found: WeightsFound) -> dict[str, Any]:
    """A network of the list as JSON."""
    return {
        "name": entry.name,
        "weights": found.state,
        "path": path_text(found.path),
        "bytes": found.bytes,
        "licence": entry.licence,
        "good_for": entry.good_for,
        "summary": entry.summary,
        "official": entry.official,
        "bundled": entry.bundled,
    }


def row(entry: ModelEntry, found: WeightsFound) -> tuple[str, ...]:
    """A network of the list as the table's cells."""
    return (
        entry.name,
        STATES[found.state],
        megabytes(found.bytes),
        entry.good_for,
        entry.licence.replace(" AND ", ", "),
    )


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns that line up, coloured on a terminal, cut nowhere on a pipe."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for name in COLUMNS:
            table.add_column(name, justify="right" if name == "SIZE" else "left")
        for name, state, *others in rows:
            colour = {"here": "green", "damaged": "red", "missing": "red"}.get(state, "")
            table.add_row(f"[bold]{name}[/]", f"[{colour}]{state}[/]" if colour else state, *others)
        Console(highlight=False).print(table)
        return
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    for cells in (COLUMNS, *rows):
        padded = [
            cell.rjust(width) if name == "SIZE" else cell.ljust(width)
            for name, cell, width in zip(COLUMNS, cells, widths, strict=True)
        ]
        print("  ".join(padded).rstrip())


# info


@models_app.command("info", epilog=INFO_EPILOG)
def info_command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A network of `vidcolor models list`, or auto.",
            autocompletion=complete_model,
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Show all there is to know about a network: size, cost, licence, source, weights."""
    from vidcolor.models.registry import AUTO, entry_of, explain_auto, resolve_auto

    why = explain_auto() if name == AUTO else None
    entry = entry_of(resolve_auto() if name == AUTO else name)
    # Measuring imports torch, so names are checked before.
    from vidcolor.models.descriptions import find_weights, measure

    found, measures = find_weights(entry), measure(entry)
    if as_json:
        print(json.dumps(described(entry, found, measures) | {"auto": why}, indent=2))
        return
    if why:
        print_wrapped(f"auto takes {why}.")
        print()
    print_wrapped(f"{entry.name}: {entry.summary}")
    print()
    for label, text in facts_of(entry, found, measures):
        print_wrapped(text, label=label)


def described(entry: ModelEntry, found: WeightsFound, measures: Measures) -> dict[str, Any]:
    """A network as JSON."""
    return listed(entry, found) | {
        "belongs": path_text(found.belongs),
        "sha256": found.sha256,
        "matches": {"here": True, "wrong": False}.get(found.state) if entry.official else None,
        "urls": list(addresses_of(entry)),
        "source": entry.source,
        "parameters": measures.parameters,
        "trainable": measures.trainable,
        "input": list(measures.input_size),
        "input_multiple": measures.size_multiple,
        "accepts_hints": measures.accepts_hints,
        "gflop_per_frame": None if measures.gflop is None else round(measures.gflop, 1),
        "strengths": entry.strengths,
        "weaknesses": entry.weaknesses,
    }


def facts_of(
    entry: ModelEntry, found: WeightsFound, measures: Measures
) -> Iterator[tuple[str, str]]:
    """A network in labelled lines, for people."""
    yield "strengths", entry.strengths
    yield "weaknesses", entry.weaknesses
    yield "weights", weights_sentence(entry, found)
    if found.belongs:
        yield "file", f"{found.belongs}{' (once it is here)' if found.state == 'absent' else ''}"
    if found.bytes:
        yield "size", megabytes(found.bytes)
    if found.sha256:
        yield "sha256", found.sha256
    for url in addresses_of(entry):
        yield "address", url
    yield "licence", entry.licence
    yield "source", entry.source
    fixed = measures.parameters - measures.trainable
    trained = f"{measures.trainable:,} of them trainable" if fixed else "all trainable"
    yield "parameters", f"{measures.parameters:,}, {trained}" if measures.parameters else "none"
    height, width = measures.input_size
    yield "input", f"{width}x{height} pixels, whatever the film's shape"
    yield "hints", "taken" if measures.accepts_hints else "ignored"
    if measures.gflop:
        yield "cost", f"{measures.gflop:.1f} GFLOP a frame"


def weights_sentence(entry: ModelEntry, found: WeightsFound) -> str:
    """Where a network's weights stand, in words."""
    if found.trouble:
        return found.trouble
    here = "inside the package" if entry.bundled else "here, the published file"
    return {
        "here": here,
        "absent": f"not here; `vidcolor models pull {entry.name}` brings them",
        "unpublished": "published by nobody; give a file of your own with --weights FILE",
        "needless": "none needed",
    }[found.state]


def addresses_of(entry: ModelEntry) -> tuple[str, ...]:
    from vidcolor.models.catalogue import OFFICIAL

    return OFFICIAL[entry.name].urls if entry.official else ()


def path_text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def megabytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 1e6:.1f} MB"


def print_wrapped(text: str, *, label: str = "") -> None:
    """A paragraph, after a label in a column of its own; wrapped on a terminal only.

    Paths, addresses and commands stay in one piece, so that they can be copied.
    """
    before = f"{label:<{LABEL_WIDTH}}" if label else ""
    text = printable(text)
    if not sys.stdout.isatty():
        print(before + text)
        return
    wrapped = textwrap.fill(
        re.sub("`[^`]+`", lambda command: command[0].replace(" ", NO_BREAK_SPACE), text),
        width=shutil.get_terminal_size().columns,
        initial_indent=before,
        subsequent_indent=" " * len(before),
        break_long_words=False,
        break_on_hyphens=False,
    )
    print(wrapped.replace(NO_BREAK_SPACE, " "))


# pull


@models_app.command("pull", epilog=PULL_EPILOG)
def pull_command(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME",
            help="Networks of `vidcolor models list`.",
            autocompletion=complete_published,
        ),
    ],
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="URL",
            help="Another address of the same file, or its path; may be repeated.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Download it again even where it is here.")
    ] = False,
) -> None:
    """Download published weights, check them, and print where they are."""
    from vidcolor.models.catalogue import COMPANIONS
    from vidcolor.models.registry import entry_of

    # A companion colours nothing itself, and so is no network of the registry.
    wanted = {name: None if name in COMPANIONS else entry_of(name) for name in names}
    refuse_unpublished([entry for entry in wanted.values() if entry is not None])
    if sources and len(wanted) > 1:
        raise UsageError(
            f"--from was given for {len(wanted)} networks; pull each with a command of its own."
        )
    for name, entry in wanted.items():
        if entry is None or entry.official:
            print(pull(name, sources, force=force), flush=True)
        else:
            what = "no weights" if entry.formula else "no download: its weights are in the package"
            print(f"{name} needs {what}.", flush=True)


def refuse_unpublished(entries: Sequence[ModelEntry]) -> None:
    """Raise UsageError where there is nothing to download."""
    for entry in entries:
        if not (entry.official or entry.bundled or entry.formula):
            raise UsageError(
                f"nobody has published weights of {entry.name}; give a file of your own with "
                "--weights FILE where you use it."
            )


def pull(name: str, sources: Sequence[str] | None, *, force: bool) -> Path:
    """Download one network's weights, with a bar where somebody watches; returns the file."""
    from vidcolor.models.catalogue import is_cached
    from vidcolor.models.downloads import download

    watched, here = sys.stderr.isatty(), is_cached(name) and not force
    if watched and here:
        print(f"{name} is here already; --force downloads it again.", file=sys.stderr)
    with bar(name) if watched and not here else nullcontext() as progress:
        return download(name, progress=progress, urls=sources or None, force=force)


@contextmanager
def bar(name: str) -> Iterator[Progress]:
    """A bar on stderr: bytes, speed, time left; gone when the download ends."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )
    with Bars(*columns, console=Console(stderr=True), expand=True, transient=True) as bars:
        tasks: list[TaskID] = []

        def show(received: int, total: int | None) -> None:
            if not tasks:
                # What was here before counts as done, not as downloaded at once.
                tasks.append(bars.add_task(name, total=total, completed=received))
            bars.update(tasks[0], completed=received, total=total)

        yield show
