"""`vidcolor run --dry-run`: what would be made of each film, and nothing made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from vidcolor.errors import VidcolorError

if TYPE_CHECKING:
    from vidcolor.cli.inputs import Film
    from vidcolor.jobs.local import Order


def show_plans(
    films: Sequence[Film | VidcolorError], order_of: Callable[[Film], Order], *, as_json: bool
) -> int:
    """Print each film's plan; returns the exit code."""
    raise NotImplementedError
