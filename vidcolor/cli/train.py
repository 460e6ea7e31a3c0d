"""`vidcolor train`: a network from a recipe and photographs.

$ vidcolor train compact --data photos/ --out runs/compact
$ vidcolor train own.toml --data photos/ --out runs/grid --sweep lr=1e-2,1e-3 --sweep batch=5,50
"""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidcolor import heap
from vidcolor.cli.escapes import printable
from vidcolor.cli.options import Debug
from vidcolor.errors import UsageError
from vidcolor.settings import configs_folder

if TYPE_CHECKING:
    from vidcolor.training.recipe import Recipe
    from vidcolor.training.trainer import Machine, Step

EPILOG = """Examples:
  vidcolor train compact --data photos/ --out runs/compact
  vidcolor train stclair-autoencoder --data photos/ --out runs/stclair --set steps=200
  vidcolor train ucsd-eleven --data photos/ --out runs/grid --sweep lr=1e-2,1e-3 --sweep batch=5,50

Stopped at any moment, the same command goes on. The finished weights are OUT/NETWORK.safetensors;
give them to run, preview, image or evaluate with --weights.
"""


@dataclass(frozen=True)
class Outcome:
    """One finished run."""

    name: str
    weights: Path
    figures: dict[str, float]
    """Of the last reading."""


def complete_recipe(begun: str) -> list[str]:
    return [name for name in recipe_names() if name.startswith(begun)]


def recipe_names() -> list[str]:
    """Recipes that come with the program."""
    return sorted(path.stem for path in (configs_folder() / "train").glob("*.toml"))


def train_command(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="A recipe's file, or the name of one that comes with the program.",
            autocompletion=complete_recipe,
        ),
    ],
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder that the recipe's photographs lie in.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="DIR", help="A folder for checkpoint, log, pictures, weights."
        ),
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Another value than the recipe's; may be repeated."
        ),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=V,V,...", help="Run every combination of values; may be repeated."
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(metavar="NAME", help="auto, cpu, cuda, mps, or cuda:2 for two of them."),
    ] = "auto",
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="auto, 32-true, bf16-mixed or 16-mixed.")
    ] = "auto",
    threads: Annotated[
        int, typer.Option(metavar="N", min=0, help="CPU threads of the network; 0 for all cores.")
    ] = 0,
    workers: Annotated[
        int, typer.Option(metavar="N", min=0, help="Processes that make batches.")
    ] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per step and line on stdout.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Train a network from a recipe; stopped, the same command goes on."""
    from vidcolor.training.recipe import Recipe
    from vidcolor.training.sweep import grid, read_axes

    chosen = Recipe.load(recipe_path(recipe)).changed(read_changes(changes or []))
    points = list(grid(read_axes(sweep or [])))
    # Every point is read before the first one runs.
    runs = [(point.folder or ".", chosen.changed(point.changes)) for point in points]
    if not data.is_dir():
        raise UsageError(f"--data {data} is no folder; name the one the photographs are in.")
    from vidcolor.training.trainer import Machine

    set_threads(threads)
    heap.keep()
    machine = Machine(device=device, precision=precision, workers=workers)
    outcomes = [
        train_one(name, each, data, out / name, machine, as_json=as_json) for name, each in runs
    ]
    led = [outcome for outcome in outcomes if outcome is not None]
    if sweep and led and not as_json:
        for line in table_of(led):
            print(line)


def recipe_path(given: str) -> Path:
    """The file of a recipe that is given by its path or its name. Raises UsageError."""
    path = Path(given)
    if path.suffix == ".toml" or path.exists():
        return path
    own = configs_folder() / "train" / f"{given}.toml"
    if not own.exists():
        names = ", ".join(recipe_names())
        raise UsageError(f"there is no recipe {given!r}; name a .toml file or one of {names}.")
    return own


def read_changes(given: list[str]) -> dict[str, str]:
    """`lr=1e-4` and the like, by key. Raises UsageError."""
    changes = {}
    for text in given:
        key, found, value = text.partition("=")
        if not found or not key:
            raise UsageError(f"--set {text!r} isn't NAME=VALUE; try --set lr=1e-4.")
        changes[key] = value
    return changes


def set_threads(threads: int) -> None:
    import os

    import torch

    torch.set_num_threads(threads or os.cpu_count() or 1)


def train_one(
    name: str, recipe: Recipe, data: Path, out: Path, machine: Machine, *, as_json: bool
) -> Outcome | None:
    """One run from beginning, or from its checkpoint, to end; None in a process that doesn't
    lead."""
    from vidcolor.training.journal import Journal
    from vidcolor.training.trainer import Training

    training = Training(recipe, data, out, machine)
    if not training.leads:
        deque(training.steps(), maxlen=0)
        return None
    if training.step and not as_json:
        say(f"going on behind step {training.step} of {training.total}")
    figures: dict[str, float] = {}
    with closing(Journal(out, step=training.step)) as journal, progress(as_json) as report:
        for event in training.steps():
            journal.note(event)
            report(event)
            if event.reading:
                figures = event.reading.figures
    weights = training.finish()
    if not figures:
        figures = last_figures(out)
    for line in unusable(training.learned.gray, training.learned.damaged):
        say(line)
    if as_json:
        print(json.dumps({"event": "finished", "weights": str(weights), "reading": figures}))
    else:
        say(sentence_of(figures))
        print(weights)
    return Outcome(name, weights, figures)


def last_figures(out: Path) -> dict[str, float]:
    """The last reading in the log, where a run was finished already."""
    from vidcolor.training.journal import LOG

    rows = [json.loads(line) for line in (out / LOG).read_text(encoding="utf-8").splitlines()]
    return next((row["reading"] for row in reversed(rows) if "reading" in row), {})


def unusable(gray: set[str], damaged: dict[str, Any]) -> Iterator[str]:
    if gray:
        yield f"{len(gray)} photographs have no colour and were left out"
    if damaged:
        yield f"{len(damaged)} photographs can't be read and were left out"


def sentence_of(figures: dict[str, float]) -> str:
    """A reading for people."""
    return (
        f"PSNR {figures['psnr']:.2f} dB (gray {figures['gray_psnr']:.2f}), colourfulness "
        f"{figures['color']:.1f} of {figures['truth_color']:.1f}, accuracy "
        f"{100 * figures['accuracy']:.1f} %"
    )


def table_of(outcomes: list[Outcome]) -> Iterator[str]:
    """A sweep's runs, best first, as a Markdown table."""
    yield "| run | PSNR | gray | colourfulness | truth | accuracy |"
    yield "|---|---|---|---|---|---|"
    for each in sorted(outcomes, key=lambda outcome: -outcome.figures["psnr"]):
        f = each.figures
        yield (
            f"| {each.name} | {f['psnr']:.2f} | {f['gray_psnr']:.2f} | {f['color']:.1f} | "
            f"{f['truth_color']:.1f} | {100 * f['accuracy']:.1f} % |"
        )


def say(text: str) -> None:
    print(printable(text), file=sys.stderr, flush=True)


@contextmanager
def progress(as_json: bool) -> Iterator[Any]:
    """What takes each step: lines of JSON, a bar on a terminal, else a line for each reading."""
    if as_json:
        yield report_json
        return
    if not sys.stderr.isatty():
        yield report_line
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = ("{task.completed}/{task.total}", BarColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)

        def report(event: Step) -> None:
            text = f"loss {event.losses['loss']:.4f}, rate {event.rate:.2g}"
            bar.update(task, completed=event.step, total=event.steps, description=text)
            if event.reading:
                bar.console.print(f"step {event.step}: {sentence_of(event.reading.figures)}")

        yield report


def report_json(event: Step) -> None:
    row: dict[str, Any] = {"event": "step", "step": event.step, "steps": event.steps}
    row |= {"rate": event.rate, **event.losses}
    if event.reading:
        row["reading"] = event.reading.figures
    print(json.dumps(row), flush=True)


def report_line(event: Step) -> None:
    if event.reading:
        loss = event.losses["loss"]
        say(f"step {event.step}: loss {loss:.4f}; {sentence_of(event.reading.figures)}")
