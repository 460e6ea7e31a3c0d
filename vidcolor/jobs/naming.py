"""What an output is called when nobody says.

output_for(Path("films/old.avi"))  # films/old.color.mkv
preview_for(Path("films/old.avi"))  # films/old.preview.png
"""

from __future__ import annotations

from pathlib import Path

KEPT_SUFFIXES = frozenset((".mp4", ".m4v", ".mov", ".mkv"))
"""Containers the output shares with its source; every other film becomes .mkv."""

MADE = (".color", ".preview")
"""What stands before the last suffix of a film's output, and of a preview."""


def output_for(source: Path, folder: Path | None = None) -> Path:
    """The output's default name: film.color.mp4, beside the source or in `folder`."""
    suffix = source.suffix if source.suffix.lower() in KEPT_SUFFIXES else ".mkv"
    return (folder or source.parent) / f"{source.stem}.color{suffix}"


def preview_for(source: Path) -> Path:
    """A sheet's default name: film.preview.png, beside the source."""
    # A folder such as `.` has no name to change.
    return source.parent / f"{source.stem}.preview.png"
