"""Which photographs a command line names, and what their outputs are called.

pictures_of(["scans/", "clip.bmp"], None)
# scans/a.tif -> scans/a.color.tif, clip.bmp -> clip.color.png
pictures_of(["albums/"], "coloured/", recursive=True)
# albums/1920s/a.jpg -> coloured/1920s/a.color.jpg
pictures_of(["scans/*.tif"], None)
# a pattern that no shell expanded

In folders and patterns, what is hidden or bears the name of an output is no photograph, and links
to other folders aren't followed. A name that exists is never a pattern.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidcolor.cli.inputs import FILM_SUFFIXES, URL, Finds, Found, names_folder, natural, once
from vidcolor.errors import SourceError, UsageError, VidcolorError
from vidcolor.jobs.naming import MADE
from vidcolor.media.photos import FORMATS, READ_ONLY_SUFFIXES

PICTURE_SUFFIXES = frozenset((*FORMATS, *READ_ONLY_SUFFIXES))
"""Files of a folder that count as photographs."""


@dataclass(frozen=True)
class Picture:
    """One source and its output."""

    source: Path
    output: Path
    named: bool = True
    """Whether it was named itself, not found in a folder or by a pattern."""


def pictures_of(
    inputs: Sequence[str], output: str | None, *, recursive: bool = False
) -> list[Picture | VidcolorError]:
    """The photographs named, in order, with an error in the place of each input that names none.

    An input is a file, a folder (its own files, with `recursive` also those below it), or a pattern
    with * ? [] and **. A file named twice is there once, and one that is the output of another is
    left out. `output` is a file for one photograph, a folder for any number (it is one, or ends in
    a slash); there the folders below an input are kept. Raises UsageError when it is a file and
    there are several photographs, and on empty names.
    """
    if "" in inputs:
        raise UsageError("one INPUT is empty; expected the name of a picture or of a folder.")
    if output == "":
        raise UsageError("-o is empty; expected the name of a file or of a folder.")
    found = [each for given in inputs for each in _found(given, recursive)]
    several = len(found) > 1 or any(Path(given).is_dir() for given in inputs)
    if output is not None and several and not names_folder(output):
        raise UsageError(
            f"-o {output} is one file, but several pictures were asked for; give a folder, with a "
            "slash at its end if it is to be made."
        )
    pictures = _with_outputs(once(found), output)
    made = {p.output.resolve() for p in pictures if isinstance(p, Picture)}
    return [
        each
        for each in pictures
        if not (isinstance(each, Picture) and len(pictures) > 1 and each.source.resolve() in made)
    ]


def output_for(source: Path, folder: Path | None = None) -> Path:
    """The output's default name: photo.color.jpg, beside the source or in `folder`."""
    suffix = source.suffix if source.suffix.lower() in FORMATS else ".png"
    return (folder or source.parent) / f"{source.stem}.color{suffix}"


def _found(given: str, recursive: bool) -> Finds:
    path = Path(given)
    try:
        path.stat()
    except FileNotFoundError:
        yield from _not_there(given, recursive)
        return
    except OSError as error:
        yield SourceError(f"{path} can't be read: {error.strerror}.")
        return
    if not path.is_dir():
        yield _named(path)
        return
    below = "" if recursive else ", or --recursive for the folders below it"
    nothing = SourceError(
        f"{path} is a folder without pictures (those named *.color.* or *.preview.* are taken for "
        f"outputs); give a picture, or a folder that holds some{below}."
    )
    yield from list(_in_folder(path, Path(), recursive)) or [nothing]


def _named(path: Path) -> Found | VidcolorError:
    """A file that was named outright: anything but a film is tried."""
    if path.suffix.lower() in FILM_SUFFIXES - PICTURE_SUFFIXES:
        return SourceError(f"{path} is a film; give it to `vidcolor run`.")
    return Found(path, named=True)


def _not_there(given: str, recursive: bool) -> Finds:
    """A name that nothing bears: a pattern, or an error."""
    if URL.match(given):
        yield UsageError(f"{given} is a URL; download the picture first, and give the file.")
        return
    if not glob.has_magic(given):
        yield SourceError(f"{given} doesn't exist; check its name.")
        return
    inside: list[Found | VidcolorError] = []
    for path in sorted(map(Path, glob.glob(given, recursive=True)), key=natural):  # noqa: PTH207
        if path.is_dir() and "**" not in given:
            inside += _in_folder(path, Path(), recursive)
        elif _is_picture(path):
            inside.append(Found(path))
    nothing = SourceError(
        f"no picture is called {given} or matches it as a pattern (those named *.color.* or "
        "*.preview.* are taken for outputs); check its name."
    )
    yield from inside or [nothing]


def _in_folder(folder: Path, below: Path, recursive: bool) -> Finds:
    """The pictures of `folder`, then of the folders in it; an error where it can't be read."""
    try:
        entries = sorted(folder.iterdir(), key=lambda path: natural(Path(path.name)))
    except OSError as error:
        yield SourceError(f"{folder} can't be read: {error.strerror}.")
        return
    yield from (Found(path, below) for path in entries if _is_picture(path))
    for path in entries if recursive else ():
        if not path.name.startswith(".") and not path.is_symlink() and _is_folder(path):
            yield from _in_folder(path, below / path.name, recursive)


def _is_picture(path: Path) -> bool:
    hidden, made = path.name.startswith("."), any(s in MADE for s in path.suffixes[:-1])
    # Not Path's own, which raise where a folder on the way may not be entered.
    is_file = os.path.isfile(path)  # noqa: PTH113
    return path.suffix.lower() in PICTURE_SUFFIXES and not (hidden or made) and is_file


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112


def _with_outputs(found: Finds, output: str | None) -> list[Picture | VidcolorError]:
    taken: dict[Path, Path] = {}
    pictures: list[Picture | VidcolorError] = []
    for each in found:
        if isinstance(each, VidcolorError):
            pictures.append(each)
            continue
        if output is not None and not names_folder(output):
            target = Path(output)
        else:
            target = output_for(each.source, None if output is None else Path(output) / each.below)
        other = taken.setdefault(target.resolve(), each.source)
        if other == each.source:
            pictures.append(Picture(each.source, target, each.named))
        else:
            pictures.append(
                UsageError(
                    f"{each.source} and {other} would both become {target}; give one of them a "
                    "name of its own with -o."
                )
            )
    return pictures
