"""`vidcolor jobs`: unfinished jobs: what is there, how to go on, how to be rid of them."""

from __future__ import annotations

import typer

jobs_app = typer.Typer(
    help="Unfinished jobs: what is there, how to go on, how to be rid of them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@jobs_app.command("show")
def show_command() -> None:
    """Show."""
    raise NotImplementedError
