"""Where photographs come from: one door for all kinds.

    source = open_source("../photos/train-*.tar")
    for index in range(len(source)):
        print(source.key(index), source.read(index).shape)

| given | read as |
|---|---|
| a folder | all pictures, tars and films below it; else the arrays or batches in it |
| a picture, a .tar, a film | itself |
| a CIFAR-10 batch (data_batch_1) | its 10,000 pictures |
| a folder of .npy files | 8-bit L and ab, as "Image Colorization" on Kaggle has them |
| a pattern with * ? [] or ** | all that match, as one |
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from vidcolor.errors import TrainingError
from vidcolor.training.arrays import CIFAR_NAME, Cifar, LabArrays
from vidcolor.training.films import EVERY_SECONDS, film_frames
from vidcolor.training.pictures import BadImageError as BadImageError
from vidcolor.training.pictures import Folder, Joined, Tar, files_below, is_image
from vidcolor.training.pictures import Source as Source

FILM_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m2v", ".vob", ".ogv"),
    *(".ts", ".m2ts", ".mts", ".mxf", ".wmv", ".flv", ".y4m", ".nut", ".dv", ".3gp"),
)
"""What counts as a film in a folder."""

PACKED = (".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar", ".lmdb", ".tfrecord")

KINDS = (
    "a folder of pictures, a .tar of pictures, a film, a folder of .npy arrays of L and ab, or a "
    "python batch of CIFAR-10"
)

_WILD = re.compile(r"[*?\[]")


def open_source(given: str | Path, *, every_seconds: float = EVERY_SECONDS) -> Source:
    """The pictures of a file, of a folder, or of all that match a pattern.

    every_seconds: between the frames looked at in films; see `film_frames`. Raises TrainingError
    where nothing is there, or nothing that holds pictures.
    """
    try:
        parts = list(_parts(given, every_seconds))
    except OSError as error:
        raise TrainingError(f"{given} can't be read: {error.strerror or error}.") from error
    return parts[0] if len(parts) == 1 else Joined(Path(given).name, parts)


def _parts(given: str | Path, every_seconds: float) -> Iterator[Source]:
    path = Path(given)
    if path.is_dir():
        yield from _in_folder(path, every_seconds)
    elif path.exists():
        yield _of_file(path, every_seconds)
    elif _WILD.search(str(given)):
        yield from _matching(str(given), every_seconds)
    else:
        raise TrainingError(f"there is nothing at {given}; expected {KINDS}.")


def _in_folder(folder: Path, every_seconds: float) -> Iterator[Source]:
    """All that is below a folder, a source for each kind and for each tar and film."""
    files = files_below(folder)
    images = [file for file in files if is_image(file)]
    tars = [folder / file for file in files if file.endswith(".tar")]
    films = [folder / file for file in files if file.lower().endswith(FILM_SUFFIXES)]
    batches = [folder / file for file in files if CIFAR_NAME.fullmatch(PurePosixPath(file).name)]
    arrays = [file for file in files if file.endswith(".npy")]
    if images:
        yield Folder(folder, images)
    for tar in tars:
        yield Tar(tar)
    for film in films:
        yield film_frames(film, every_seconds=every_seconds)
    if batches:
        yield Cifar(batches, name=folder.resolve().name)
    if images or tars or films or batches:
        return
    if not arrays:
        packed = next((file for file in files if file.lower().endswith(PACKED)), None)
        hint = f" It holds {packed}: unpack that first." if packed else ""
        raise TrainingError(f"{folder} holds no pictures; expected {KINDS}.{hint}")
    yield LabArrays.below(folder, arrays)


def _matching(pattern: str, every_seconds: float) -> Iterator[Source]:
    """All that matches a pattern: the pictures as one source, each other match as its own."""
    matches = sorted(Path(match) for match in glob.glob(pattern, recursive=True))  # noqa: PTH207
    images = [path for path in matches if is_image(path.name) and path.is_file()]
    if images:
        root = _fixed(pattern)
        yield Folder(root, [path.relative_to(root).as_posix() for path in images])
    for path in matches:
        if path.is_dir():
            # What ** finds in a folder is among the matches itself.
            yield from () if "**" in pattern else _in_folder(path, every_seconds)
        elif not is_image(path.name):
            yield _of_file(path, every_seconds)
    if not matches:
        raise TrainingError(f"nothing matches {pattern}; expected {KINDS}.")


def _fixed(pattern: str) -> Path:
    """The folder at a pattern's beginning, before its first wild part."""
    parts: Sequence[str] = Path(pattern).parts
    wild = next(n for n, part in enumerate(parts) if _WILD.search(part))
    return Path(*parts[:wild])


def _of_file(path: Path, every_seconds: float) -> Source:
    suffix = path.suffix.lower()
    if suffix == ".tar":
        return Tar(path)
    if is_image(path.name):
        return Folder(path.parent, [path.name], name=path.name)
    if suffix in FILM_SUFFIXES:
        return film_frames(path, every_seconds=every_seconds)
    if suffix == ".npy":
        raise TrainingError(
            f"{path} is half of a pair; give the folder that holds the arrays of L and of ab."
        )
    if CIFAR_NAME.fullmatch(path.name) or _is_pickle(path):
        return Cifar([path])
    if suffix in PACKED:
        raise TrainingError(f"{path} is packed; unpack it, and give the folder or the .tar.")
    raise TrainingError(f"{path} is no source of pictures; expected {KINDS}.")


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == b"\x80" and not path.suffix
