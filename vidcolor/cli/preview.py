"""`vidcolor preview`: a contact sheet or a side-by-side clip of a few frames.

$ vidcolor preview film.mp4
$ vidcolor preview film.mp4 --start 1:23 --preset fast --preset best
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidcolor.cli.escapes import printable
from vidcolor.cli.options import (
    COLOUR,
    DEFAULT_PRESET,
    MODEL_HELP,
    PRESET_HELP,
    AnchorEvery,
    Batch,
    Config,
    Debug,
    Deinterlace,
    Device,
    KeepColor,
    Overwrite,
    Preserve,
    Recolor,
    Saturation,
    Smoothing,
    Threads,
    Weights,
    complete_model,
    complete_preset,
    default_words,
    settings_of,
    shown,
)
from vidcolor.errors import UsageError

if TYPE_CHECKING:
    from vidcolor.previews import PreviewOutcome, Variant

EPILOG = """Examples:
  vidcolor preview film.mp4
  vidcolor preview film.mp4 --start 1:23 --frames 48
  vidcolor preview film.mp4 --preset fast --preset best -o choose.png
  vidcolor preview film.mp4 --start 1:23 --end 1:30 -o side-by-side.mp4

A sheet shows the source above its colours: moments of the whole film, or a range of it.
A clip shows them side by side, without sound. Their pixels are those `vidcolor run` would encode.
"""

RANGE = "Range"
"""Panel of the help."""


def count_parser(flag: str) -> Callable[[str], int]:
    """Reads a number of things and, unlike typer, says what was given."""

    def parse(text: str) -> int:
        if not text.strip().isdecimal() or int(text) < 1:
            raise UsageError(f"{flag} was given {text!r}; expected a whole number from 1 on.")
        return int(text)

    return parse


def preview_command(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A film.")],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help=shown(
                "The sheet (.png, .jpg, .webp) or clip (.mp4, .mkv), or a folder for the sheet.",
                "FILM.preview.png beside the film",
            ),
        ),
    ] = None,
    preset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=shown(f"{PRESET_HELP} May be repeated, to compare.", DEFAULT_PRESET),
            autocompletion=complete_preset,
        ),
    ] = None,
    config: Config = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help=shown(
                "Where to begin: seconds, H:MM:SS.mmm, or a frame as 300f.",
                "moments all over the film; for a clip its beginning",
            ),
            rich_help_panel=RANGE,
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Where to end, this moment left out.", rich_help_panel=RANGE
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=shown("Instead of --end: how many frames the range has.", "48"),
            parser=count_parser("--frames"),
            rich_help_panel=RANGE,
        ),
    ] = None,
    tiles: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=shown(
                "The most a sheet shows, up to 100.", "12 of a range, 8 of a film, 4 to compare"
            ),
            parser=count_parser("--tiles"),
            rich_help_panel=RANGE,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=shown(f"{MODEL_HELP} May be repeated, to compare.", default_words("model")),
            rich_help_panel=COLOUR,
            autocompletion=complete_model,
        ),
    ] = None,
    weights: Weights = None,
    preserve: Preserve = None,
    recolor: Recolor = None,
    keep_color: KeepColor = None,
    deinterlace: Deinterlace = None,
    anchor_every: AnchorEvery = None,
    smoothing: Smoothing = None,
    saturation: Saturation = None,
    device: Device = None,
    threads: Threads = None,
    batch: Batch = None,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Show a film's colours in a picture or a short clip, to choose by eye before a run."""
    variants = variants_of(
        model or [],
        preset or [],
        config=config,
        weights=weights,
        preserve=preserve,
        recolor=recolor,
        keep_color=keep_color,
        anchor_every=anchor_every,
        smoothing=smoothing,
        deinterlace=deinterlace,
        saturation=saturation,
        device=device,
        threads=threads,
        batch=batch,
    )
    # Imported here, so that `--help` and bad settings are answered without them.
    from vidcolor.cli.screen import open_screen
    from vidcolor.jobs.plan import Moment
    from vidcolor.previews import preview_film

    if source == "":
        raise UsageError("INPUT is empty; expected the name of a film.")
    if "://" in source and not os.path.lexists(source):
        raise UsageError(f"{source} is a URL; download the film first, and give the file.")
    cut = [Moment.parse(text) if text is not None else None for text in (start, end)]
    target = output_of(Path(source), output)
    with open_screen(as_json=False) as screen:
        outcome = preview_film(
            Path(source),
            target,
            variants,
            start=cut[0],
            end=cut[1],
            frames=frames,
            tiles=tiles,
            overwrite=overwrite,
            report=screen.event,
        )
    print(printable(summary(outcome)), flush=True)


def variants_of(
    models: list[str], presets: list[str], *, weights: str | None, **flags: Any
) -> list[Variant]:
    """Each model with each preset, in order, without repeats.

    Raises UsageError on weights for several models, and what `settings_of` raises.
    """
    from vidcolor.previews import Variant

    if weights is not None and len(set(models)) > 1:
        raise UsageError(
            "--weights is one network's file, but several --model were given; give one of them."
        )
    none: list[str | None] = [None]
    variants = []
    for model, preset in product(dict.fromkeys(models or none), dict.fromkeys(presets or none)):
        settings = settings_of(model=model, preset=preset, weights=weights, **flags)
        label = ", ".join(filter(None, (settings.model, preset)))
        variants.append(Variant(label=label, settings=settings))
    return variants


def output_of(source: Path, given: str | None) -> Path:
    """The file to write: beside the film, in a folder that was given, or the file that was."""
    from vidcolor.jobs.naming import preview_for

    beside = preview_for(source)
    if given is None:
        return beside
    if given == "":
        raise UsageError("-o is empty; expected the name of a file or of a folder.")
    # Not Path.is_dir, which raises where a folder on the way may not be entered.
    is_folder = given.endswith(("/", os.sep)) or os.path.isdir(given)  # noqa: PTH112
    return Path(given) / beside.name if is_folder else Path(given)


def summary(outcome: PreviewOutcome) -> str:
    """The line that says what was made."""
    shown, labels = len(outcome.shown), outcome.labels
    if not outcome.ranged:
        frames = f"{shown} moments of the film" if shown > 1 else "one moment of the film"
    else:
        frames = f"{shown} of {outcome.frames} frames"
    each = f"{len(labels)} variants ({'; '.join(labels)})" if len(labels) > 1 else labels[0]
    return f"{outcome.output}: {frames}, colours by {each}, in {outcome.seconds:.1f} s"
