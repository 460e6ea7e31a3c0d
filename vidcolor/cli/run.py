"""`vidcolor run`: films in, films in colour out.

$ vidcolor run film.mp4 --preset best
$ vidcolor run old-films/ -o coloured/ --crf 19
"""

from __future__ import annotations

import sys
import traceback
from collections import Counter
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

EPILOG = """Examples:
  vidcolor run film.mp4 --preset best
  vidcolor run old-films/ -o coloured/ --crf 19

Exit codes: 0 done, 1 failed, 2 bad usage, 3 finished but the source was damaged, 130 interrupted.
"""

DEFAULT_PRESET = "balanced"
"""The preset that Settings' own defaults are."""

_FIELDS = {field.name: field for field in fields(Settings)}
_CODECS_OWN = {
    "crf": "17 for libx264; each codec its own",
    "encoder_preset": "medium for libx264; each codec its own",
}


def _shown(text: str, default: str) -> str:
    """A help text with its default; typer's own way puts the default into double brackets."""
    return f"{text} [dim]\\[default: {default}][/dim]"


def _option(setting: str, text: str, *names: str, panel: str, metavar: str | None = None) -> Any:
    """An option for a setting; the default it shows is the setting's own."""
    value: Any = _FIELDS[setting].default
    if setting in _CODECS_OWN:
        shown = _CODECS_OWN[setting]
    elif isinstance(value, bool):
        shown = "on" if value else "off"
    else:
        shown = "automatic" if value == 0 else str(value)
    return typer.Option(
        *names,
        help=_shown(text, shown),
        rich_help_panel=panel,
        metavar=metavar,
        parser=_number_parser(setting),
    )


def _number_parser(setting: str) -> Callable[[str], float] | None:
    """Reads a setting's number and, unlike typer, says what was given; None for other kinds."""
    kind = str(_FIELDS[setting].type).removesuffix(" | None")
    if kind not in ("int", "float"):
        return None

    def parse(text: str) -> float:
        try:
            return int(text) if kind == "int" else float(text)
        except ValueError:
            expected = "a whole number" if kind == "int" else "a number"
            flag = "--" + setting.replace("_", "-")
            raise UsageError(f"{flag} was given {text!r}; expected {expected}.") from None

    return parse


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
            help=_shown(
                "The output, or a folder for outputs (one to be made ends in a slash).",
                "FILM.color.SUFFIX beside each film",
            ),
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=_shown(f"A set of settings: {', '.join(PRESETS)}.", DEFAULT_PRESET),
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="TOML", help="A file of settings, over the preset's.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help=_shown(
                "Where to begin: seconds, H:MM:SS.mmm, or a frame as 300f.", "the beginning"
            ),
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(metavar="TIME", help=_shown("Where to end, this moment left out.", "the end")),
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
            help=_shown("A weights file for the network.", "the network's own"),
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
        bool,
        typer.Option(
            "--overwrite", help="Replace an output that is there already.", rich_help_panel=_JOB
        ),
    ] = False,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart",
            help="Throw away the segments an unfinished run left.",
            rich_help_panel=_JOB,
        ),
    ] = False,
    keep_job: Annotated[
        bool,
        typer.Option(
            "--keep-job", help="Leave the segments there when all is done.", rich_help_panel=_JOB
        ),
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
