"""`vidcolor image`: photographs in, photographs in colour out.

$ vidcolor image photo.jpg
$ vidcolor image albums/ -r -o coloured/
$ vidcolor image photo.tif --hint 120,80,#7a2e1f -o photo.color.png
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

from vidcolor.cli.escapes import printable
from vidcolor.cli.options import (
    COLOUR,
    MACHINE,
    Debug,
    Device,
    Model,
    Overwrite,
    Saturation,
    Weights,
    setting_option,
    settings_of,
    shown,
)
from vidcolor.errors import ColorSourceError, DeviceError, UsageError, VidcolorError, WeightsError

if TYPE_CHECKING:
    from vidcolor.cli.pictures import Picture
    from vidcolor.inference import Engine
    from vidcolor.settings import Settings
    from vidcolor.stills import StillOrder, StillOutcome

EPILOG = """Examples:
  vidcolor image photo.jpg
  vidcolor image albums/ -r -o coloured/
  vidcolor image scan.tif -o scan.color.png --saturation 1.2
  vidcolor image photo.jpg --hint 120,80,#7a2e1f --hint 300,40,-5,-30

Exit codes: 0 done, 1 failed, 2 bad usage, 130 interrupted.
"""

Recolor = Annotated[
    bool | None,
    setting_option("recolor", "Take pictures that have colour.", "--recolor", panel=COLOUR),
]
Threads = Annotated[
    int | None,
    setting_option("threads", "CPU threads for the network.", panel=MACHINE, metavar="N"),
]


def parse_quality(text: str) -> int:
    """A quality. Raises UsageError on anything but 1 to 100."""
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise UsageError(f"--quality was given {text!r}; expected a whole number from 1 to 100.")
    return int(text)


def image_command(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Pictures, folders of them, or patterns as in 'scans/*.tif' (** is any folders).",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help=shown(
                "The output, its suffix naming the format, or a folder for outputs (one to be made "
                "ends in a slash).",
                "PICTURE.color.SUFFIX beside each picture",
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
    hint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y,COLOUR",
            help="The colour of what lies at X,Y, samples from the top left of the upright "
            "picture, as #RRGGBB or as a,b of CIE Lab; may be repeated.",
            rich_help_panel=COLOUR,
        ),
    ] = None,
    model: Model = None,
    weights: Weights = None,
    recolor: Recolor = None,
    saturation: Saturation = None,
    quality: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=parse_quality,
            help=shown("Of JPEG and WebP, 1 to 100.", "95"),
        ),
    ] = None,
    device: Device = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Colorize photographs, their lightness, size and metadata kept."""
    settings = settings_of(
        model=model,
        weights=weights,
        recolor=recolor,
        saturation=saturation,
        device=device,
        threads=threads,
        batch=1,
    )
    # Imported here, so that `--help` and bad settings are answered without them.
    from vidcolor.cli.inputs import names_folder
    from vidcolor.cli.pictures import pictures_of
    from vidcolor.jobs.local import refuse_wrong
    from vidcolor.media.photos import DEFAULT_QUALITY
    from vidcolor.stills import Hint, StillOrder, refuse_output

    hints = tuple(Hint.parse(text) for text in hint or ())
    refuse_wrong(settings, None, None)
    pictures = pictures_of(inputs, output, recursive=recursive)
    into_folder = output is not None and names_folder(output)
    if output is not None and not into_folder:
        refuse_output(Path(output))
    if hints and len(pictures) != 1:
        raise UsageError(
            f"--hint names a place in one picture, but {len(pictures)} were asked for; give one."
        )

    def order_of(picture: Picture) -> StillOrder:
        return StillOrder(
            source=picture.source,
            output=picture.output,
            settings=settings,
            hints=hints,
            quality=DEFAULT_QUALITY if quality is None else quality,
            overwrite=overwrite,
        )

    raise typer.Exit(make_pictures(pictures, order_of, into_folder=into_folder, debug=debug))


def make_pictures(
    pictures: list[Picture | VidcolorError],
    order_of: Callable[[Picture], StillOrder],
    *,
    into_folder: bool,
    debug: bool,
) -> int:
    """Make pictures one after the other, going on after a bad one; returns the exit code.

    `into_folder`: outputs go into a folder, where folders of their own are made as needed.
    """

    @cache
    def open_engine(settings: Settings) -> Engine:
        from vidcolor import inference

        return inference.open_engine(settings)

    codes = []
    counts = Counter({"made": 0, "there already": 0, "in colour": 0, "failed": 0})
    for picture in pictures:
        try:
            outcome = make_one(picture, order_of, open_engine, into_folder=into_folder)
            print(printable(summary(outcome)), flush=True)
            counts["made" if outcome.made else "there already"] += 1
        except KeyboardInterrupt:
            show_together(counts, len(pictures))
            raise
        except BrokenPipeError:
            # Whoever read our lines has gone.
            raise
        except ColorSourceError as error:
            # Nobody asked for one in colour by its name where it was only found among others.
            named = isinstance(picture, VidcolorError) or picture.named
            if named:
                codes.append(say_failure(error))
            else:
                print(f"warning: {printable(str(error))}", file=sys.stderr, flush=True)
            counts["failed" if named else "in colour"] += 1
        except Exception as error:
            codes.append(say_failure(error))
            counts["failed"] += 1
            if debug and not isinstance(error, VidcolorError):
                traceback.print_exc(file=sys.stderr)
            # No other picture can do better with a network or device that isn't there.
            if isinstance(error, WeightsError | DeviceError):
                break
    show_together(counts, len(pictures))
    return next((code for code in (1, 2) if code in codes), 0)


def show_together(counts: Counter[str], pictures: int) -> None:
    """Say what became of several pictures."""
    if pictures > 1:
        counts["not tried"] = pictures - counts.total()
        print(", ".join(f"{n} {what}" for what, n in counts.items() if n), flush=True)


def make_one(
    picture: Picture | VidcolorError,
    order_of: Callable[[Picture], StillOrder],
    open_engine: Callable[[Settings], Engine],
    *,
    into_folder: bool,
) -> StillOutcome:
    """Make one picture, in a folder made for it if need be. Raises the errors of errors.py."""
    from vidcolor.cli.run import make_folder
    from vidcolor.stills import colorize_photo

    if isinstance(picture, VidcolorError):
        raise picture
    if into_folder:
        make_folder(picture.output.parent)
    return colorize_photo(order_of(picture), open_engine=open_engine, warn=warn)


def warn(sentence: str) -> None:
    print(f"warning: {printable(sentence)}", file=sys.stderr, flush=True)


def say_failure(error: Exception) -> int:
    """Say on stderr what went wrong with one picture; returns the exit code that means."""
    from vidcolor.cli import bug_sentence, say_error, system_sentence

    if isinstance(error, VidcolorError):
        return say_error(str(error), error.exit_code)
    return say_error(
        system_sentence(error) if isinstance(error, OSError) else bug_sentence(error), 1
    )


def summary(outcome: StillOutcome) -> str:
    """The line that stays when a picture is done."""
    if not outcome.made:
        return (
            f"{outcome.output} is already there and was left alone, not compared with this "
            "command's settings; --overwrite makes it again."
        )
    width, height = outcome.size
    return (
        f"{outcome.output}: {width} x {height}, {outcome.bits} bits, {outcome.seconds:.1f} s, "
        f"colours by {outcome.model}"
    )
