"""`vidcolor models`: the networks, and their weights.

$ vidcolor models list
$ vidcolor models pull siggraph17
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

models_app = typer.Typer(
    help="The networks and their weights.", no_args_is_help=True, pretty_exceptions_enable=False
)


@models_app.command("list")
def list_command(
    everything: Annotated[
        bool, typer.Option("--all", help="Also the networks that only tests use.")
    ] = False,
) -> None:
    """Show the networks, and whether their weights are here."""
    from vidcolor.models.registry import MODELS, explain_auto
    from vidcolor.models.weights import is_cached

    for entry in MODELS:
        if entry.for_tests and not everything:
            continue
        here = "ready" if not entry.official or is_cached(entry.name) else "to be pulled"
        print(f"{entry.name:<12}{here:<14}{entry.summary}")
    print(f"auto takes {explain_auto()}.")


@models_app.command("pull")
def pull_command(
    name: Annotated[str, typer.Argument(help="A network of `vidcolor models list`.")],
) -> None:
    """Download a network's official weights, going on where a download broke off."""
    from vidcolor.models.registry import entry_of
    from vidcolor.models.weights import download

    if not entry_of(name).official:
        print(f"{name} needs no download.")
        return
    show = _show if sys.stderr.isatty() else None
    print(download(name, progress=show))


def _show(received: int, total: int | None) -> None:
    whole = f" of {total / 1e6:.0f}" if total else ""
    end = "\n" if received == total else ""
    print(f"\r{received / 1e6:.0f}{whole} MB", end=end, file=sys.stderr, flush=True)
