"""Which films a command line names, and what their outputs are called.

films_of(["old/", "clip.avi"], None)
# old/a.mp4 -> old/a.color.mp4, clip.avi -> clip.color.mkv
films_of(["shelf/"], "coloured/", recursive=True)
# shelf/1920s/a.mp4 -> coloured/1920s/a.color.mp4
films_of(["reels/*.avi", "more/**/*.mp4"], None)
# patterns that no shell expanded

In folders and patterns, what is hidden, bears the name of an output or of a preview, or lies in a
job's folder is no film, and links to other folders aren't followed. A name that exists is never a
pattern.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from vidcolor.errors import SourceError, UsageError, VidcolorError
from vidcolor.jobs.naming import KEPT_SUFFIXES, MADE, output_for

_OTHER_SUFFIXES = (
    "3g2 3gp amv apng asf avi divx dv evo f4v flv gif gxf ivf m1v m2t m2ts m2v mj2 mpe mpeg mpg "
    "mpv mts mxf nut ogm ogv qt rm rmvb tod tp trp ts vob vro webm wmv wtv y4m"
)
FILM_SUFFIXES = KEPT_SUFFIXES | {f".{name}" for name in _OTHER_SUFFIXES.split(" ")}
"""Files of a folder that count as films."""

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_WILD = re.compile(r"[*?\[]")
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Film:
    """One source and its output."""

    source: Path
    output: Path
    named: bool = True
    """Whether it was named itself, not found in a folder or by a pattern."""


@dataclass(frozen=True)
class Found:
    """A source, and the folders that led to it from what was given."""

    source: Path
    below: Path = Path()
    named: bool = False


Finds = Iterator[Found | VidcolorError]


def films_of(
    inputs: Sequence[str], output: str | None, *, recursive: bool = False
) -> list[Film | VidcolorError]:
    """The films named, in order, with an error in the place of each input that names none.

    An input is a film, a folder (its own films, with `recursive` also those below it), or a
    pattern with * ? [] and **. A film named twice, a link to it counting as it, is there once.
    `output` is a file for one film, a folder for any number (it is one, or ends in a slash); there
    the folders below an input are kept. Raises UsageError when it is a file and there are several
    films, and on empty names.
    """
    if "" in inputs:
        raise UsageError("one INPUT is empty; expected the name of a film or of a folder.")
    if output == "":
        raise UsageError("-o is empty; expected the name of a file or of a folder.")
    found = [each for given in inputs for each in _found(given, recursive)]
    several = len(inputs) > 1 or len(found) > 1 or _is_folder(inputs[0])
    if output is not None and several and not names_folder(output):
        raise UsageError(
            f"-o {output} is one file, but several films were asked for; give a folder, with a "
            "slash at its end if it is to be made."
        )
    taken: dict[str, Path] = {}
    return [_film(each, output, taken) for each in once(found)]


def names_folder(output: str) -> bool:
    """Whether -o means a folder: one that is there, or a name with a slash at its end."""
    return output.endswith(("/", os.sep)) or _is_folder(output)


def natural(path: Path) -> list[tuple[list[str | int], str]]:
    """A key that sorts as people count, part by part: reel2 before reel10, whatever the case."""
    return [_natural_part(part) for part in path.parts]


def _natural_part(name: str) -> tuple[list[str | int], str]:
    # Text and digits take turns, so that only like is compared with like.
    pieces = _DIGITS.split(name.casefold())
    return [int(piece) if piece.isdecimal() else piece for piece in pieces], name


def _found(given: str, recursive: bool) -> Finds:
    path = Path(given)
    try:
        path.stat()
    except OSError as error:
        # Windows won't even look for a name with a * in it.
        if error.errno in (errno.ENOENT, errno.EINVAL):
            yield from _not_there(given, recursive)
        else:
            yield SourceError(f"{path} can't be read: {error.strerror}.")
    else:
        yield from _in_folder(path, recursive) if path.is_dir() else [Found(path, named=True)]


def _not_there(given: str, recursive: bool) -> Finds:
    """A name that nothing bears: a pattern, or an error."""
    if URL.match(given):
        yield UsageError(f"{given} is a URL; download the film first, and give the file.")
    elif _WILD.search(given):
        yield from _matching(given, recursive)
    else:
        yield SourceError(f"{given} doesn't exist; check its name.")


def _in_folder(folder: Path, recursive: bool) -> Finds:
    """The films of a folder that was named, or one error."""
    if folder.suffix == ".job" and os.path.lexists(folder / "job.json"):
        yield UsageError(
            f"{folder} is what an unfinished run left, not a film; `vidcolor jobs` shows the "
            "command that goes on with it."
        )
        return
    inside = list(_films_below(folder, Path(), recursive))
    below = "" if recursive else ", or --recursive for the folders below it"
    nothing = SourceError(
        f"{folder} is a folder without films (those named *.color.* or *.preview.* are taken for "
        f"what was made here); give a film, or a folder that holds some{below}."
    )
    yield from inside or [nothing]


def _films_below(folder: Path, below: Path, recursive: bool) -> Finds:
    """The films of `folder`, then those of the folders in it; an error where it can't be read."""
    try:
        entries = _sorted(folder)
    except OSError as error:
        yield SourceError(f"{folder} can't be read: {error.strerror}.")
        return
    yield from (Found(path, below) for path in entries if _is_film(path))
    if recursive:
        for path in entries:
            if _is_entered(path):
                yield from _films_below(path, below / path.name, recursive)


def _matching(pattern: str, recursive: bool) -> Finds:
    """The films that a pattern names, and those of the folders it names, or one error."""
    inside: list[Found | VidcolorError] = []
    path = Path(pattern)
    start, parts = (Path(path.anchor), path.parts[1:]) if path.anchor else (Path(), path.parts)
    for match, root in sorted(_matches(start, parts, None), key=lambda pair: natural(pair[0])):
        below = Path() if root is None else match.parent.relative_to(root)
        if _is_film(match, hidden=True):
            inside.append(Found(match, below))
        elif _is_folder(match):
            inside += _films_below(match, below if root is None else below / match.name, recursive)
    nothing = SourceError(
        f"no film is called {pattern} or matches it as a pattern (those named *.color.* or "
        "*.preview.* are taken for what was made here); check its name."
    )
    yield from inside or [nothing]


def _matches(
    folder: Path, parts: tuple[str, ...], root: Path | None
) -> Iterator[tuple[Path, Path | None]]:
    """What matches the rest of a pattern in `folder`, with the folder its first ** stood for."""
    first, *rest = parts
    if first == "**":
        # At the end it means everything; twice in a row it means what it means once.
        while rest and rest[0] == "**":
            del rest[0]
        remaining = tuple(rest) or ("*",)
        for entered in _folders_below(folder):
            yield from _matches(entered, remaining, root or folder)
        return
    for path in _named(folder, first):
        if not rest:
            yield path, root
        elif _is_folder(path):
            yield from _matches(path, tuple(rest), root)


def _named(folder: Path, name: str) -> list[Path]:
    """The entries of a folder that one part of a pattern names; none where it can't be read."""
    if not _WILD.search(name) or os.path.lexists(folder / name):
        return [folder / name]
    try:
        entries = _sorted(folder, hidden=name.startswith("."))
    except OSError:
        return []
    return [path for path in entries if fnmatch(path.name, name) and path.suffix != ".job"]


def _folders_below(folder: Path) -> Iterator[Path]:
    """`folder` itself and all below it, hidden ones, jobs' and links left out."""
    yield folder
    try:
        entries = _sorted(folder)
    except OSError:
        return
    for path in entries:
        if _is_entered(path):
            yield from _folders_below(path)


def _sorted(folder: Path, *, hidden: bool = False) -> list[Path]:
    """What a folder holds, in natural order. Raises OSError."""
    entries = (path for path in folder.iterdir() if hidden or not path.name.startswith("."))
    return sorted(entries, key=lambda path: _natural_part(path.name))


# What os.path asks is answered with no, where Path raises, when a folder may not be entered.


def _is_entered(path: Path) -> bool:
    """Whether a walk goes into what a folder holds; a link could lead round in a circle."""
    is_link = os.path.islink(path)  # noqa: PTH114
    return path.suffix != ".job" and not is_link and _is_folder(path)


def _is_film(path: Path, *, hidden: bool = False) -> bool:
    unseen = path.name.startswith(".") and not hidden
    made = any(mark in path.suffixes[:-1] for mark in MADE)
    is_file = os.path.isfile(path)  # noqa: PTH113
    return path.suffix.lower() in FILM_SUFFIXES and not (unseen or made) and is_file


def _is_folder(path: str | Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112


def once(found: list[Found | VidcolorError]) -> Finds:
    """What was found, a file that was found twice, or by a link, only once."""
    seen: set[str] = set()
    for each in found:
        if isinstance(each, Found):
            real = os.path.realpath(each.source)
            if real in seen:
                continue
            seen.add(real)
        yield each


def _film(
    found: Found | VidcolorError, output: str | None, taken: dict[str, Path]
) -> Film | VidcolorError:
    if isinstance(found, VidcolorError):
        return found
    source = found.source
    if output is None or names_folder(output):
        target = output_for(source, None if output is None else Path(output) / found.below)
    else:
        target = Path(output)
    other = taken.setdefault(os.path.realpath(target), source)
    if other != source:
        return UsageError(
            f"{source} and {other} would both become {target}; give one of them a name of its "
            "own with -o."
        )
    return Film(source, target, found.named)
