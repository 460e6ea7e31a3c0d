"""`vidcolor run`: films in, films in colour out.

$ vidcolor run film.mp4 --preset best
$ vidcolor run old-films/ -o coloured/ --crf 19
"""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from collections.abc import Callable
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
    Device,
    EncoderOption,
    EncoderPreset,
    End,
    JsonLines,
    Model,
    Overwrite,
    Preserve,
    Preset,
    Recolor,
    Saturation,
    SegmentSeconds,
    Smoothing,
    Start,
    Threads,
    Weights,
    settings_of,
    shown,
)
from vidcolor.errors import DeviceError, OutputError, VidcolorError, WeightsError

if TYPE_CHECKING:
    from vidcolor.cli.inputs import Film
    from vidcolor.cli.screen import Screen
    from vidcolor.inference import Engine
    from vidcolor.jobs.local import Order
    from vidcolor.settings import Settings

DAMAGED_SOURCE = 3

EPILOG = """Examples:
  vidcolor run film.mp4 --preset best
  vidcolor run old-films/ -o coloured/ --crf 19

Exit codes: 0 done, 1 failed, 2 bad usage, 3 finished but the source was damaged, 130 interrupted.
"""


def run_command(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT", help="Films, or folders of films.")
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
    preset: Preset = None,
    config: Config = None,
    start: Start = None,
    end: End = None,
    model: Model = None,
    weights: Weights = None,
    preserve: Preserve = None,
    recolor: Recolor = None,
    anchor_every: AnchorEvery = None,
    smoothing: Smoothing = None,
    saturation: Saturation = None,
    codec: Codec = None,
    crf: Crf = None,
    encoder_preset: EncoderPreset = None,
    encoder_option: EncoderOption = None,
    device: Device = None,
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
        anchor_every=anchor_every,
        smoothing=smoothing,
        saturation=saturation,
        segment_seconds=segment_seconds,
        codec=codec,
        crf=crf,
        encoder_preset=encoder_preset,
        encoder_option=encoder_option,
    )
    # Imported here, so that `--help` and bad settings are answered without them.
    from vidcolor.cli.inputs import films_of
    from vidcolor.cli.screen import open_screen
    from vidcolor.jobs.local import Order, refuse_wrong
    from vidcolor.jobs.plan import Moment

    cut = [Moment.parse(text) if text is not None else None for text in (start, end)]
    films = films_of(inputs, output)
    refuse_wrong(settings, *cut)

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
        )

    if dry_run:
        from vidcolor.cli.dry_run import show_plans

        raise typer.Exit(show_plans(films, order_of, as_json=json_lines))
    if any(not isinstance(film, VidcolorError) for film in films):
        make_folder(output)
    with open_screen(as_json=json_lines) as screen:
        code = run_films(films, order_of, screen, debug=debug)
    raise typer.Exit(code)


def make_folder(output: str | None) -> None:
    """Make a folder for outputs that was named with a slash at its end. Raises OutputError."""
    if output is None or not output.endswith("/"):
        return
    try:
        Path(output).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"the folder {output} can't be made: {error.strerror}; choose another with -o."
        ) from error


def run_films(
    films: list[Film | VidcolorError],
    order_of: Callable[[Film], Order],
    screen: Screen,
    *,
    debug: bool,
) -> int:
    """Run films one after the other, going on after a bad one; returns the exit code."""
    from vidcolor.jobs.local import run_film

    @cache
    def open_engine(settings: Settings) -> Engine:
        from vidcolor import inference

        return inference.open_engine(settings)

    codes = []
    counts = Counter({"made": 0, "there already": 0, "failed": 0})
    for film in films:
        try:
            if isinstance(film, VidcolorError):
                raise film
            outcome = run_film(order_of(film), open_engine=open_engine, report=screen.event)
            screen.finished(outcome)
            codes.append(DAMAGED_SOURCE if outcome.source_damaged else 0)
            counts["made" if outcome.made else "there already"] += 1
        except VidcolorError as error:
            screen.failed(source_of(film), str(error), error.exit_code)
            codes.append(error.exit_code)
            counts["failed"] += 1
            # No other film can do better with a network or device that isn't there.
            if isinstance(error, WeightsError | DeviceError):
                break
        except KeyboardInterrupt:
            screen.interrupted()
            raise
        except BrokenPipeError:
            # Whoever read our lines has gone.
            raise
        except Exception as error:
            from vidcolor.cli import bug_sentence, system_sentence

            said = system_sentence(error) if isinstance(error, OSError) else bug_sentence(error)
            screen.failed(source_of(film), said, 1)
            codes.append(1)
            counts["failed"] += 1
            if debug:
                traceback.print_exc(file=sys.stderr)
    if len(films) > 1:
        counts["not tried"] = len(films) - counts.total()
        screen.together(counts)
    return next((code for code in (1, 2, DAMAGED_SOURCE) if code in codes), 0)


def source_of(film: Film | VidcolorError) -> str | None:
    """What an event names a film by; None where an input named none."""
    return None if isinstance(film, VidcolorError) else str(film.source)
