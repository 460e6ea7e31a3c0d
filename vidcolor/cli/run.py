"""`vidcolor run`: films in, films in colour out.

$ vidcolor run film.mp4 --preset best
$ vidcolor run old-films/ -o coloured/ --crf 19
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidcolor.errors import DeviceError, OutputError, UsageError, VidcolorError, WeightsError
from vidcolor.settings import PRESETS, Settings

if TYPE_CHECKING:
    from vidcolor.cli.inputs import Film
    from vidcolor.cli.screen import Screen
    from vidcolor.inference import Engine
    from vidcolor.jobs.local import Order

DAMAGED_SOURCE = 3

_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Settings)}


def _option(setting: str, text: str, *names: str, panel: str, metavar: str | None = None) -> Any:
    """An option for a setting; the default it shows is the setting's own."""
    value = _DEFAULTS[setting]
    if isinstance(value, bool):
        shown = "on" if value else "off"
    else:
        shown = {None: "the codec's", 0: "automatic"}.get(value, str(value))
    return typer.Option(
        *names, help=text, show_default=shown, rich_help_panel=panel, metavar=metavar
    )


_COLOUR, _ENCODER, _MACHINE, _JOB = "Colour", "Encoder", "Machine", "Job"


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
            help="The output, or a folder for outputs (one to be made ends in a slash).",
            show_default="FILM.color.SUFFIX beside each film",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help=f"A set of settings: {', '.join(PRESETS)}.", show_default="none"
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="TOML", help="A file of settings, over the preset's.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Where to begin: seconds, H:MM:SS.mmm, or a frame as 300f.",
            show_default="the beginning",
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Where to end, this moment left out.", show_default="the end"
        ),
    ] = None,
    model: Annotated[
        str | None,
        _option(
            "model", "A network; `vidcolor models list` shows them.", panel=_COLOUR, metavar="NAME"
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A weights file for the network.",
            show_default="the network's own",
            rich_help_panel=_COLOUR,
        ),
    ] = None,
    preserve: Annotated[
        str | None,
        _option(
            "preserve", "What stays as it is: luma, or lightness.", panel=_COLOUR, metavar="WHAT"
        ),
    ] = None,
    recolor: Annotated[
        bool | None,
        _option("recolor", "Take films that have colour.", "--recolor", panel=_COLOUR),
    ] = None,
    anchor_every: Annotated[
        int | None,
        _option("anchor_every", "The network looks at one frame in N.", panel=_COLOUR, metavar="N"),
    ] = None,
    smoothing: Annotated[
        str | None,
        _option(
            "smoothing",
            "Gather colour along the motion: on or off.",
            panel=_COLOUR,
            metavar="on|off",
        ),
    ] = None,
    saturation: Annotated[
        float | None,
        _option("saturation", "Factor on the colour, 0 to 2.", panel=_COLOUR, metavar="X"),
    ] = None,
    codec: Annotated[
        str | None, _option("codec", "An encoder of FFmpeg's.", panel=_ENCODER, metavar="NAME")
    ] = None,
    crf: Annotated[
        int | None,
        _option("crf", "Constant rate factor; less is better.", panel=_ENCODER, metavar="N"),
    ] = None,
    encoder_preset: Annotated[
        str | None,
        _option("encoder_preset", "The encoder's preset.", panel=_ENCODER, metavar="NAME"),
    ] = None,
    encoder_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="A further option for the encoder; may be repeated.",
            show_default="none",
            rich_help_panel=_ENCODER,
        ),
    ] = None,
    device: Annotated[
        str | None,
        _option("device", "auto, cpu, cuda, cuda:N or mps.", panel=_MACHINE, metavar="NAME"),
    ] = None,
    threads: Annotated[
        int | None,
        _option(
            "threads",
            "CPU threads for the network and for the encoder.",
            panel=_MACHINE,
            metavar="N",
        ),
    ] = None,
    batch: Annotated[
        int | None,
        _option("batch", "Frames the network sees at once.", panel=_MACHINE, metavar="N"),
    ] = None,
    segment_seconds: Annotated[
        float | None,
        _option(
            "segment_seconds", "About what an interruption may cost.", panel=_JOB, metavar="SECONDS"
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make an output again.", rich_help_panel=_JOB)
    ] = False,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", help="Begin anew, not where an earlier run was.", rich_help_panel=_JOB
        ),
    ] = False,
    keep_job: Annotated[
        bool,
        typer.Option("--keep-job", help="Keep the finished segments.", rich_help_panel=_JOB),
    ] = False,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object per event and line on stdout.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")
    ] = False,
) -> None:
    """Colorize films; given the same command again, go on where it was."""
    settings = Settings.load(
        preset=preset,
        file=config,
        model=model,
        weights=str(Path(weights).absolute()) if weights else None,
        device=device,
        threads=threads,
        batch=batch,
        preserve=preserve,
        recolor=recolor,
        anchor_every=anchor_every,
        smoothing=parse_switch("--smoothing", smoothing),
        saturation=saturation,
        segment_seconds=segment_seconds,
        codec=codec,
        crf=crf,
        encoder_preset=encoder_preset,
        encoder_options=parse_pairs(encoder_option or ()) or None,
    )
    # Imported here, so that `--help` and bad settings are answered without them.
    from vidcolor.cli.inputs import films_of
    from vidcolor.cli.screen import open_screen
    from vidcolor.jobs.local import Order
    from vidcolor.jobs.plan import Moment
    from vidcolor.models.registry import AUTO, entry_of

    if settings.model != AUTO:
        entry_of(settings.model)
    cut = [Moment.parse(text) if text is not None else None for text in (start, end)]
    films = films_of(inputs, output)

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

    if any(not isinstance(film, VidcolorError) for film in films):
        make_folder(output)
    with open_screen(as_json=json_lines) as screen:
        code = run_films(films, order_of, screen, debug=debug)
    raise typer.Exit(code)


def parse_switch(name: str, text: str | None) -> bool | None:
    """`on` or `off` as a truth value. Raises UsageError on anything else."""
    if text is None:
        return None
    if text not in ("on", "off"):
        raise UsageError(f"{name} is {text!r}; expected on or off.")
    return text == "on"


def parse_pairs(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """KEY=VALUE texts as pairs. Raises UsageError on one without a key or an equals sign."""
    pairs = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key.strip() and equals):
            raise UsageError(
                f"--encoder-option {text!r} isn't KEY=VALUE; give it as in "
                "--encoder-option tune=film."
            )
        pairs.append((key.strip(), value.strip()))
    return tuple(pairs)


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
    for film in films:
        try:
            if isinstance(film, VidcolorError):
                raise film
            outcome = run_film(order_of(film), open_engine=open_engine, report=screen.event)
            screen.finished(outcome)
            codes.append(DAMAGED_SOURCE if outcome.source_damaged else 0)
        except VidcolorError as error:
            screen.failed(source_of(film), str(error), error.exit_code)
            codes.append(error.exit_code)
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
            from vidcolor.cli import bug_sentence

            screen.failed(source_of(film), bug_sentence(error), 1)
            codes.append(1)
            if debug:
                traceback.print_exc(file=sys.stderr)
    return next((code for code in (1, 2, DAMAGED_SOURCE) if code in codes), 0)


def source_of(film: Film | VidcolorError) -> str | None:
    """What an event names a film by; None where an input named none."""
    return None if isinstance(film, VidcolorError) else str(film.source)
