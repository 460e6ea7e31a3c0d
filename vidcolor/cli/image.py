"""`vidcolor image`: photographs in, photographs in colour out."""

from __future__ import annotations

EPILOG = ""


def image_command() -> None:
    """Photographs in, photographs in colour out."""
    raise NotImplementedError
