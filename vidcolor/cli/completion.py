"""Completion by Tab: the script a shell needs, shown or installed.

    $ vidcolor --install-completion          # for the shell in $SHELL
    $ vidcolor --show-completion zsh > ~/.zfunc/_vidcolor

At each Tab the script calls `vidcolor` with _VIDCOLOR_COMPLETE in its environment; typer answers
then, from the commands, their options, and the `complete_...` functions of `options`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer import _completion_shared as scripts
from typer._completion_classes import completion_init

from vidcolor.errors import OutputError, UsageError

INSTALL, SHOW = "--install-completion", "--show-completion"
SHELLS = ("bash", "zsh", "fish", "powershell")
COMPLETE_VARIABLE = "_VIDCOLOR_COMPLETE"
"""What typer looks for in the environment of a command called vidcolor."""

EPILOG = f"Completion by Tab: `vidcolor {INSTALL}`."

completion_init()


def complete_shell(begun: str) -> list[str]:
    return [shell for shell in SHELLS if shell.startswith(begun)]


def install(context: typer.Context, shell: str | None) -> None:
    """Put the script where the shell looks for it, say so, and end the command.

    Raises UsageError for a shell typer knows no script for, OutputError where files of the shell's
    can't be written.
    """
    if shell is None or context.resilient_parsing:
        return
    refuse_unknown(shell)
    if shell == "powershell":
        # typer's own way would loosen the machine's execution policy without asking.
        raise UsageError(
            f"for PowerShell, add the script to your profile yourself: vidcolor {SHOW} powershell "
            ">> $PROFILE"
        )
    try:
        _, path = scripts.install(shell, "vidcolor", COMPLETE_VARIABLE)
    except (OSError, ValueError) as error:
        raise OutputError(
            f"completion for {shell} can't be installed ({error}); `vidcolor {SHOW} {shell}` "
            "prints the script, for you to put in its place."
        ) from error
    print(f"{path} is written; open a new {shell}, and Tab completes what follows vidcolor.")
    raise typer.Exit


def show(context: typer.Context, shell: str | None) -> None:
    """Print the script and end the command. Raises UsageError as `install`."""
    if shell is None or context.resilient_parsing:
        return
    refuse_unknown(shell)
    script = scripts.get_completion_script(
        prog_name="vidcolor", complete_var=COMPLETE_VARIABLE, shell=shell
    )
    print(script)
    raise typer.Exit


def refuse_unknown(shell: str) -> None:
    """Raise UsageError on a shell that typer has no script for."""
    if shell not in SHELLS:
        raise UsageError(
            f"there is no completion for the shell {shell!r}; expected {', '.join(SHELLS)}."
        )


def with_shell(arguments: Sequence[str]) -> list[str]:
    """The arguments, with the person's own shell behind a flag that was given none.

    Raises UsageError where that shell can't be told.
    """
    given = list(arguments)
    if given[-1:] not in ([INSTALL], [SHOW]):
        return given
    shell = Path(os.environ.get("SHELL", "")).name
    if not shell and sys.platform == "win32":
        shell = "powershell"
    if not shell:
        raise UsageError(
            f"which shell this is can't be told; name it, as in `vidcolor {given[-1]} bash`."
        )
    return [*given, shell]


# Hidden, so that the help begins with what vidcolor is for; the epilog tells of them.
InstallCompletion = Annotated[
    str | None,
    typer.Option(
        INSTALL,
        metavar="SHELL",
        help="Set up completion for your shell, or for SHELL.",
        callback=install,
        is_eager=True,
        expose_value=False,
        hidden=True,
        autocompletion=complete_shell,
    ),
]
ShowCompletion = Annotated[
    str | None,
    typer.Option(
        SHOW,
        metavar="SHELL",
        help="Print the script for your shell, or for SHELL.",
        callback=show,
        is_eager=True,
        expose_value=False,
        hidden=True,
        autocompletion=complete_shell,
    ),
]
