"""Which films a command line names, and what their outputs are called.

films_of(["old/", "clip.avi"], None)
# old/a.mp4 -> old/a.color.mp4, clip.avi -> clip.color.mkv
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidcolor.errors import SourceError, UsageError, VidcolorError

KEPT_SUFFIXES = frozenset((".mp4", ".m4v", ".mov", ".mkv"))
"""Containers the output shares with its source; every other film becomes .mkv."""

_OTHER_SUFFIXES = (
    "3g2 3gp asf avi divx dv f4v flv gif m2ts m2v mpe mpeg mpg mts mxf nut ogm ogv qt rm rmvb ts "
    "vob webm wmv y4m"
)
FILM_SUFFIXES = KEPT_SUFFIXES | {f".{name}" for name in _OTHER_SUFFIXES.split(" ")}
"""Files of a folder that count as films."""


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True)
class Film:
    """One source and its output."""

    source: Path
    output: Path


def films_of(inputs: Sequence[str], output: str | None) -> list[Film | VidcolorError]:
    """The films named, in order, with an error in the place of each input that names none.

    `output` is a file for one film, a folder for any number (it is one, or ends in a slash).
    Raises UsageError when it is a file and there are several films, and on empty names.
    """
    if "" in inputs:
        raise UsageError("one INPUT is empty; expected the name of a film or of a folder.")
    if output == "":
        raise UsageError("-o is empty; expected the name of a file or of a folder.")
    sources: list[Path | VidcolorError] = []
    for given in inputs:
        sources += _sources(given)
    several = len(inputs) > 1 or _is_folder(inputs[0])
    if output is not None and several and not _names_folder(output):
        raise UsageError(
            f"-o {output} is one file, but several films were asked for; give a folder, with a "
            "slash at its end if it is to be made."
        )
    taken: dict[Path, Path] = {}
    return [_film(source, output, taken) for source in sources]


def output_for(source: Path, folder: Path | None = None) -> Path:
    """The output's default name: film.color.mp4, beside the source or in `folder`."""
    suffix = source.suffix if source.suffix.lower() in KEPT_SUFFIXES else ".mkv"
    return (folder or source.parent) / f"{source.stem}.color{suffix}"


def _sources(given: str) -> list[Path | VidcolorError]:
    path = Path(given)
    try:
        if not path.is_dir():
            path.stat()
            return [path]
        inside = sorted(entry for entry in path.iterdir() if _is_film(entry))
    except FileNotFoundError:
        if _URL.match(given):
            return [UsageError(f"{given} is a URL; download the film first, and give the file.")]
        return [SourceError(f"{path} doesn't exist; check its name.")]
    except OSError as error:
        return [SourceError(f"{path} can't be read: {error.strerror}.")]
    nothing = SourceError(
        f"{path} is a folder without films (those named *.color.* are taken for outputs); give a "
        "film, or a folder that holds some."
    )
    return list(inside) or [nothing]


def _is_film(path: Path) -> bool:
    hidden, made = path.name.startswith("."), ".color" in path.suffixes[:-1]
    return path.suffix.lower() in FILM_SUFFIXES and not (hidden or made) and path.is_file()


def _names_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or _is_folder(output)


def _is_folder(path: str) -> bool:
    # Not Path.is_dir, which raises where a folder on the way may not be entered.
    return os.path.isdir(path)  # noqa: PTH112


def _film(
    source: Path | VidcolorError, output: str | None, taken: dict[Path, Path]
) -> Film | VidcolorError:
    if isinstance(source, VidcolorError):
        return source
    if output is None or _names_folder(output):
        target = output_for(source, None if output is None else Path(output))
    else:
        target = Path(output)
    other = taken.setdefault(target.resolve(), source)
    if other != source:
        return UsageError(
            f"{source} and {other} would both become {target}; give one of them a name of its "
            "own with -o."
        )
    return Film(source, target)
