"""The command line: the only part of vidcolor that draws, prints and exits.

    $ vidcolor run film.mp4
    $ python -m vidcolor models list

Commands import what they need when they run, so that `--help` doesn't wait for torch.
"""

from __future__ import annotations

import io
import logging
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from vidcolor import __version__
from vidcolor.cli.compare import EPILOG as COMPARE_EPILOG
from vidcolor.cli.compare import compare_command
from vidcolor.cli.completion import EPILOG as COMPLETION_EPILOG
from vidcolor.cli.completion import InstallCompletion, ShowCompletion, with_shell
from vidcolor.cli.config import config_app
from vidcolor.cli.doctor import EPILOG as DOCTOR_EPILOG
from vidcolor.cli.doctor import doctor_command
from vidcolor.cli.escapes import PrintableFormatter, printable
from vidcolor.cli.evaluate import EPILOG as EVALUATE_EPILOG
from vidcolor.cli.evaluate import evaluate_command
from vidcolor.cli.image import EPILOG as IMAGE_EPILOG
from vidcolor.cli.image import image_command
from vidcolor.cli.inputs import FILM_SUFFIXES
from vidcolor.cli.jobs import jobs_app
from vidcolor.cli.models import models_app
from vidcolor.cli.preview import EPILOG as PREVIEW_EPILOG
from vidcolor.cli.preview import preview_command
from vidcolor.cli.run import EPILOG as RUN_EPILOG
from vidcolor.cli.run import run_command
from vidcolor.cli.train import EPILOG as TRAIN_EPILOG
from vidcolor.cli.train import train_command
from vidcolor.errors import UsageError, VidcolorError

INTERRUPTED = 130
FAILED = 1
BUG = 1

SHOW_CURSOR = b"\x1b[?25h\n"
"""What a terminal is told when nobody is left to tidy it; progress bars hide its cursor."""

# typer shows the root of its usage errors only as the parent of this one.
TyperUsageError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="vidcolor",
    help="Black-and-white film in, colour film out: steady colours, untouched luma, nothing lost.",
    no_args_is_help=True,
    # Ours take the shell's name, and stay out of the help's way.
    add_completion=False,
    epilog=COMPLETION_EPILOG,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run", epilog=RUN_EPILOG)(run_command)
app.command("preview", epilog=PREVIEW_EPILOG)(preview_command)
app.command("image", epilog=IMAGE_EPILOG)(image_command)
app.add_typer(jobs_app, name="jobs")
app.add_typer(models_app, name="models")
app.add_typer(config_app, name="config")
app.command("evaluate", epilog=EVALUATE_EPILOG)(evaluate_command)
app.command("compare", epilog=COMPARE_EPILOG)(compare_command)
app.command("train", epilog=TRAIN_EPILOG)(train_command)
app.command("doctor", epilog=DOCTOR_EPILOG)(doctor_command)


def main() -> NoReturn:
    """Run the command in sys.argv and exit with its code."""
    plain_output()
    caught = catch_signals()
    code = run_arguments(sys.argv[1:])
    # All is said and done; an interrupt can only disturb the interpreter as it goes.
    end_at_next(caught, code)
    sys.exit(code)


def run_arguments(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code, with any error said on stderr."""
    try:
        refuse_film_as_command(arguments)
        code = app(args=with_shell(arguments), prog_name="vidcolor", standalone_mode=False) or 0
        sys.stdout.flush()
    except VidcolorError as error:
        return say_error(str(error), error.exit_code)
    except TyperUsageError as error:
        return say_usage(error)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; nobody is left to tell.
        drop_stdout()
        return 1
    except OSError as error:
        say_error(system_sentence(error), FAILED)
        code = FAILED
    except Exception as error:
        if "--debug" in arguments:
            traceback.print_exc()
        return say_error(bug_sentence(error), BUG)
    if code == INTERRUPTED:
        print(interruption_sentence(arguments), file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        # Said already; the interpreter would try once more, and complain, as it ends.
        drop_stdout()
    return int(code)


def interruption_sentence(arguments: Sequence[str]) -> str:
    """What to say after Ctrl-C: some commands go on where they were."""
    goes_on = arguments[:1] in (["run"], ["train"]) and "--dry-run" not in arguments
    if not goes_on and "pull" not in arguments[:2]:
        return "interrupted."
    but = ", without --restart," if "--restart" in arguments else ""
    return f"interrupted; give the same command again{but} to go on where it was."


def drop_stdout() -> None:
    """Let what is still to be printed go nowhere."""
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115


def refuse_film_as_command(arguments: Sequence[str]) -> None:
    """Raise UsageError where a film stands in the place of a command."""
    first = arguments[0] if arguments else ""
    commands = {*(each.name for each in app.registered_commands)}
    commands |= {each.name for each in app.registered_groups}
    if not first or first.startswith("-") or first in commands:
        return
    if Path(first).suffix.lower() in FILM_SUFFIXES or os.path.lexists(first):
        meant = shlex.join(["vidcolor", "run", *arguments])
        raise UsageError(f"there is no command {first!r}; did you mean `{meant}`?")


def say_usage(error: Exception) -> int:
    """Print a usage error of typer's; a command without arguments gives its help instead."""
    text = str(getattr(error, "format_message", error.__str__)())
    if text and "\n" not in text:
        command = getattr(getattr(error, "ctx", None), "command_path", "vidcolor")
        return say_error(f"{text} (`{command} --help` shows what there is.)", 2)
    print(text, end="", file=sys.stderr)
    return 2


def say_error(sentence: str, code: int) -> int:
    """Print an error on stderr and pass its exit code through."""
    print(f"error: {printable(sentence)}", file=sys.stderr)
    return code


def system_sentence(error: OSError) -> str:
    """What to say when the system refuses a file, or stdout, in a place nobody foresaw."""
    where = f" about {error.filename}" if error.filename else ""
    return (
        f"the system says{where}: {error.strerror or error}; see to that, and give the same "
        "command again."
    )


def bug_sentence(error: Exception) -> str:
    """What to say about an error nobody foresaw."""
    kind = type(error).__name__
    return f"this is a bug in vidcolor ({kind}: {error}); --debug shows where, please report it."


def plain_output() -> None:
    """Let any file's name be printed, and the library's warnings look like the command's own."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name needn't be valid text; stderr is as lenient already.
        sys.stdout.reconfigure(errors="backslashreplace")
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(PrintableFormatter("warning: %(message)s"))


def catch_signals() -> list[int]:
    """Let SIGTERM and a closed terminal end a command as Ctrl-C does, unless ignored already.

    The first ends it in order. Another, while that is under way, ends it at once, as a kill would:
    whatever is finished stays. Returns the signals' numbers.
    """
    caught: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        end_at_next(caught, INTERRUPTED)
        raise KeyboardInterrupt

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        usual = (signal.SIG_DFL, signal.default_int_handler)
        if number is not None and signal.getsignal(number) in usual:
            caught.append(number)
            signal.signal(number, interrupt)
    return caught


def end_at_next(signals: Iterable[int], code: int) -> None:
    """Have the next of these signals end this process here and now, its terminal as it was."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), SHOW_CURSOR)
        os._exit(code)

    for number in signals:
        signal.signal(number, end)


def show_version(context: typer.Context, wanted: bool) -> None:
    # A line that is only being completed isn't carried out.
    if wanted and not context.resilient_parsing:
        print(f"vidcolor {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version."),
    ] = False,
    install_completion: InstallCompletion = None,
    show_completion: ShowCompletion = None,
) -> None:
    """Black-and-white film in, colour film out: steady colours, untouched luma, nothing lost."""
