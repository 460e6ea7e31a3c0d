"""`vidcolor run`: films in, films in colour out.

$ vidcolor run film.mp4 --preset best
$ vidcolor run old-films/ -o coloured/ --crf 19
$ vidcolor run 'reels/*.avi' 'more/**/*.mp4'
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidcolor.cli.options import (
    JOB,
    AnchorEvery,
    Batch,
    Codec,
    Config,
    Crf,
    Debug,
    Deinterlace,
    Devices,
    EncoderOption,
    EncoderPreset,
    End,
    JsonLines,
    KeepColor,
    Model,
    Overwrite,
    Preserve,
    Preset,
    Recolor,
    Saturation,
    SegmentSeconds,
    Smoothing,
    Start,
    Strict,
    Threads,
    Weights,
    settings_of,
    shown,
)
from vidcolor.errors import ColorSourceError, DeviceError, OutputError, VidcolorError, WeightsError

if TYPE_CHECKING:
    from vidcolor.cli.inputs import Film
    from vidcolor.cli.screen import Row, Screen
    from vidcolor.inference import Engine
    from vidcolor.jobs.local import Order
    from vidcolor.settings import Settings

EPILOG = """Examples:
  vidcolor run film.mp4 --preset best
  vidcolor run old-films/ -o coloured/ --crf 19
  vidcolor run old-films/ -r -o coloured/
  vidcolor run 'reels/*.avi' 'more/**/*.mp4'

Exit codes: 0 done, 1 failed, 2 bad usage, 3 finished but the source was damaged, 130 interrupted.
Of several films: 1 if any failed, else 2 if any was bad usage, else 3 if any was damaged, else 0.
"""

SAID_ONCE = ("inputs", "output", "recursive", "restart", "dry_run", "json_lines", "debug")
"""What isn't said again to go on with one film: files, and how a run begins and shows itself."""

FILES = ("config", "weights")
"""Options whose words are files, found from elsewhere by their absolute names."""


def run_command(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Films, folders of films, or patterns as in 'reels/*.avi' (** is any folders).",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help=shown(
                "The output, or a folder for outputs (one to be made ends in a slash).",
                "FILM.color.SUFFIX beside each film",
            ),
        ),
    ] = None,
    recursive: Annotated[
        bool,
        typer.Option(
            "--recursive",
            "-r",
            help="Also the folders below a folder; they are kept below the folder for outputs.",
        ),
    ] = False,
    preset: Preset = None,
    config: Config = None,
    start: Start = None,
    end: End = None,
    model: Model = None,
    weights: Weights = None,
    preserve: Preserve = None,
    recolor: Recolor = None,
    keep_color: KeepColor = None,
    deinterlace: Deinterlace = None,
    anchor_every: AnchorEvery = None,
    smoothing: Smoothing = None,
    saturation: Saturation = None,
    codec: Codec = None,
    crf: Crf = None,
    encoder_preset: EncoderPreset = None,
    encoder_option: EncoderOption = None,
    device: Devices = None,
    threads: Threads = None,
    batch: Batch = None,
    segment_seconds: SegmentSeconds = None,
    overwrite: Overwrite = False,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart",
            help="Throw away the segments an unfinished run left.",
            rich_help_panel=JOB,
        ),
    ] = False,
    keep_job: Annotated[
        bool,
        typer.Option(
            "--keep-job", help="Leave the segments there when all is done.", rich_help_panel=JOB
        ),
    ] = False,
    strict: Strict = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show the plan, with its size and time, and make nothing."),
    ] = False,
    json_lines: JsonLines = False,
    debug: Debug = False,
) -> None:
    """Colorize films; given the same command again, go on where it was."""
    settings = settings_of(
        preset=preset,
        config=config,
        model=model,
        weights=weights,
        device=device,
        threads=threads,
        batch=batch,
        preserve=preserve,
        recolor=recolor,
        keep_color=keep_color,
        anchor_every=anchor_every,
        smoothing=smoothing,
        deinterlace=deinterlace,
        saturation=saturation,
        segment_seconds=segment_seconds,
        codec=codec,
        crf=crf,
        encoder_preset=encoder_preset,
        encoder_option=encoder_option,
    )
    # Imported here, so that `--help` and bad settings are answered without them.
    from vidcolor.cli.inputs import films_of, names_folder
    from vidcolor.cli.screen import open_screen
    from vidcolor.jobs.local import Order, refuse_wrong
    from vidcolor.jobs.plan import Moment

    cut = [Moment.parse(text) if text is not None else None for text in (start, end)]
    films = films_of(inputs, output, recursive=recursive)
    refuse_wrong(settings, *cut, several_devices=True)
    options = typed_options(context)

    def order_of(film: Film) -> Order:
        return Order(
            source=film.source,
            output=film.output,
            settings=settings,
            start=cut[0],
            end=cut[1],
            overwrite=overwrite,
            restart=restart,
            keep_job=keep_job,
            strict=strict,
            options=options,
        )

    into_folder = output is not None and names_folder(output)
    if dry_run:
        from vidcolor.cli.dry_run import show_plans

        code = show_plans(films, order_of, as_json=json_lines, into_folder=into_folder, debug=debug)
        raise typer.Exit(code)
    if into_folder and any(not isinstance(film, VidcolorError) for film in films):
        make_folder(Path(output or ""))
    with open_screen(as_json=json_lines) as screen:
        code = run_films(films, order_of, screen, into_folder=into_folder, debug=debug)
    raise typer.Exit(code)


def typed_options(context: typer.Context) -> tuple[str, ...]:
    """The options given on the command line that ask for the same film again, as words."""
    words: list[str] = []
    for param in context.command.params:
        source = context.get_parameter_source(param.name or "")
        if source is None or source.name != "COMMANDLINE" or param.name in SAID_ONCE:
            continue
        flag = max(param.opts, key=len)
        value = context.params[param.name or ""]
        for each in value if isinstance(value, list | tuple) else [value]:
            word = Path(each).absolute() if param.name in FILES else each
            words += [flag] if each is True else [flag, str(word)]
    return tuple(words)


def make_folder(folder: Path) -> None:
    """Make a folder for outputs, and those above it. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"the folder {folder} can't be made: {error.strerror}; choose another with -o."
        ) from error


def run_films(
    films: Sequence[Film | VidcolorError],
    order_of: Callable[[Film], Order],
    screen: Screen,
    *,
    into_folder: bool,
    debug: bool,
) -> int:
    """Run films one after the other, going on after a bad one; returns the exit code.

    `into_folder`: outputs go into a folder, where folders of their own are made as needed.
    """
    from vidcolor.cli.screen import DAMAGED_SOURCE, Row

    @cache
    def open_engine(settings: Settings) -> Engine:
        from vidcolor import inference

        return inference.open_engine(settings)

    def run_one(film: Film | VidcolorError) -> Row:
        from vidcolor.jobs.local import run_film

        if isinstance(film, VidcolorError):
            raise film
        if into_folder:
            make_folder(film.output.parent)
        outcome = run_film(order_of(film), open_engine=open_engine, report=screen.event)
        screen.finished(outcome)
        return Row.of(film.source, outcome)

    rows: list[Row] = []
    try:
        for number, film in enumerate(films, start=1):
            if len(films) > 1:
                screen.film(number, len(films), source_of(film))
            try:
                rows.append(run_one(film))
            # Of BrokenPipeError, whoever read our lines has gone.
            except (KeyboardInterrupt, BrokenPipeError):
                raise
            except Exception as error:
                rows.append(row := failed_row(film, error))
                if row.became == "in colour":
                    screen.warn(row.error)
                else:
                    screen.failed(row.source, row.error, row.exit_code)
                if debug and not isinstance(error, VidcolorError):
                    traceback.print_exc(file=sys.stderr)
                # No other film can do better with a network or device that isn't there.
                if isinstance(error, WeightsError | DeviceError):
                    break
    except KeyboardInterrupt:
        if len(rows) < len(films):
            rows.append(Row(source_of(films[len(rows)]), "interrupted"))
        # What ended this run may have ended those who read it, too.
        with suppress(OSError):
            show_together(films, rows, screen)
            screen.interrupted()
        raise
    show_together(films, rows, screen)
    codes = {row.exit_code for row in rows}
    return next((code for code in (1, 2, DAMAGED_SOURCE) if code in codes), 0)


def failed_row(film: Film | VidcolorError, error: Exception) -> Row:
    """What became of a film that wasn't made. Nobody asked for a film in colour by its name where
    it was only found among others, so that is no failure."""
    from vidcolor.cli import bug_sentence, system_sentence
    from vidcolor.cli.screen import Row

    source = source_of(film)
    found = not isinstance(film, VidcolorError) and not film.named
    if found and isinstance(error, ColorSourceError):
        return Row(source, "in colour", error=str(error))
    if isinstance(error, VidcolorError):
        return Row(source, "failed", error=str(error), exit_code=error.exit_code)
    said = system_sentence(error) if isinstance(error, OSError) else bug_sentence(error)
    return Row(source, "failed", error=said, exit_code=1)


def show_together(films: Sequence[Film | VidcolorError], rows: list[Row], screen: Screen) -> None:
    """Show what became of several films, those that weren't reached too."""
    from vidcolor.cli.screen import Row

    if len(films) > 1:
        rest = (Row(source_of(film), "not tried") for film in films[len(rows) :])
        screen.together([*rows, *rest])


def source_of(film: Film | VidcolorError) -> str | None:
    """What an event names a film by; None where an input named none."""
    return None if isinstance(film, VidcolorError) else str(film.source)
