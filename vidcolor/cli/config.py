"""`vidcolor config`: the effective settings, and where each came from."""

from __future__ import annotations

import typer

config_app = typer.Typer(
    help="The effective settings, and where each came from.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@config_app.command("show")
def show_command() -> None:
    """Show."""
    raise NotImplementedError
