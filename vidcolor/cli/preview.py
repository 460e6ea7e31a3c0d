"""`vidcolor preview`: a contact sheet or a side-by-side clip of a few frames."""

from __future__ import annotations

EPILOG = ""


def preview_command() -> None:
    """A contact sheet or a side-by-side clip of a few frames."""
    raise NotImplementedError
