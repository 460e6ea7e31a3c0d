"""Pictures by number: the files of a folder, the members of a tar, several sources as one.

    source = Tar(Path("photos/train-000.tar"))
    source.read(0)                      # (h, w, 3) uint8
    source.key(0)                       # "train-000.tar:00000.jpg"

A source holds an index and no pictures, opens its file anew for every picture, and can be pickled:
any number of processes may read from it. `open_source` in sources.py makes them.
"""

from __future__ import annotations

import os
import tarfile
import warnings
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from io import BytesIO
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin

from vidcolor.errors import TrainingError

ByteImage = NDArray[np.uint8]

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff"),
    *(".ppm", ".gif"),
)
"""What counts as a picture in a folder and in a tar; hidden files don't."""

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF")
"""What is decoded, whatever the suffix says: Pillow would start other programs for some kinds."""

# Imported for what they tell Pillow: these two it doesn't know by itself.
_FURTHER_KINDS = (TiffImagePlugin, WebPImagePlugin)


class BadImageError(TrainingError):
    """One picture of a source that can't be read; training goes on without it."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(key, why)
        self.key = key
        self.why = why

    def __str__(self) -> str:
        return f"{self.key} can't be read as a picture: {self.why}."


class Source(ABC):
    """Where pictures come from."""

    name: str
    """What people call it: a file's, a folder's or a pattern's name."""

    @abstractmethod
    def __len__(self) -> int:
        """How many pictures it has, those that can't be read counted."""

    @abstractmethod
    def key(self, index: int) -> str:
        """A picture's name, the same wherever the data lie."""

    @abstractmethod
    def read(self, index: int, *, at_least: int = 0) -> ByteImage:
        """The picture upright, as RGB (h, w, 3).

        at_least: with more than 0, a large JPEG may come decoded at a half, a quarter or an eighth
        of its size, no side under this many samples: much quicker. Raises BadImageError.
        """

    def group(self, index: int) -> str:
        """What a picture belongs to; a split never parts a group. Its key, mostly."""
        return self.key(index)


class Folder(Source):
    """Image files by their paths below a root."""

    def __init__(self, root: Path, files: Sequence[str], *, name: str | None = None) -> None:
        """files: relative to `root`, with forward slashes."""
        self.name = name or root.resolve().name
        self._root, self._files = root, tuple(files)

    def __len__(self) -> int:
        return len(self._files)

    def key(self, index: int) -> str:
        return self._files[index]

    def read(self, index: int, *, at_least: int = 0) -> ByteImage:
        try:
            data = (self._root / self._files[index]).read_bytes()
        except OSError as error:
            raise BadImageError(self.key(index), error.strerror or str(error)) from error
        return decode(data, self.key(index), at_least=at_least)


class Tar(Source):
    """The images of an uncompressed tar: where each begins and ends, read when it is asked for."""

    def __init__(self, path: Path) -> None:
        """Index a tar by its headers. Raises TrainingError where it isn't one or has no image."""
        self.name = path.name
        self._path = path
        try:
            # "r:" takes no compressed tar, in which nothing can be found by its place.
            with tarfile.open(path, "r:") as tar:
                members = [m for m in tar if m.isreg() and is_image(m.name)]
        except (OSError, tarfile.TarError) as error:
            raise TrainingError(
                f"{path} can't be read as a tar of pictures ({error}); expected a whole tar, not a "
                "compressed one: unpack those first."
            ) from error
        if not members:
            raise TrainingError(
                f"{path} holds no picture; expected a tar with {', '.join(IMAGE_SUFFIXES)} files."
            )
        members.sort(key=lambda member: member.name)
        self._members = tuple(member.name for member in members)
        self._spans = np.array([(m.offset_data, m.size) for m in members], np.int64)

    def __len__(self) -> int:
        return len(self._members)

    def member(self, index: int) -> str:
        """A picture's name inside the tar."""
        return self._members[index]

    def key(self, index: int) -> str:
        return f"{self.name}:{self._members[index]}"

    def read(self, index: int, *, at_least: int = 0) -> ByteImage:
        offset, size = (int(value) for value in self._spans[index])
        try:
            # A file that stays open would share its position with forked processes.
            with self._path.open("rb") as file:
                file.seek(offset)
                data = file.read(size)
        except OSError as error:
            raise BadImageError(self.key(index), error.strerror or str(error)) from error
        return decode(data, self.key(index), at_least=at_least)


class Joined(Source):
    """Several sources behind each other, as one."""

    def __init__(self, name: str, parts: Sequence[Source]) -> None:
        self.name = name
        self._parts = tuple(parts)
        self._ends = list(accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def key(self, index: int) -> str:
        part, inside = self._place(index)
        return part.key(inside)

    def group(self, index: int) -> str:
        part, inside = self._place(index)
        return part.group(inside)

    def read(self, index: int, *, at_least: int = 0) -> ByteImage:
        part, inside = self._place(index)
        return part.read(inside, at_least=at_least)

    def _place(self, index: int) -> tuple[Source, int]:
        number, inside = place(self._ends, index)
        return self._parts[number], inside


def place(ends: Sequence[int], index: int) -> tuple[int, int]:
    """Which of several parts holds an index, and its index there; `ends` are the parts' sums."""
    number = bisect_right(ends, index)
    return number, index - (ends[number - 1] if number else 0)


def is_image(name: str) -> bool:
    """Whether a file's name says that it is a picture; `._a.jpg` and its kin are none."""
    last = name.rsplit("/", 1)[-1]
    return last.lower().endswith(IMAGE_SUFFIXES) and not last.startswith(".")


def files_below(root: Path) -> list[str]:
    """All files below a folder, relative to it, with forward slashes, sorted; hidden ones and those
    in hidden folders left out. Raises TrainingError where one of its folders can't be read."""

    def refuse(error: OSError) -> None:
        raise TrainingError(f"{error.filename} can't be read: {error.strerror}.") from error

    found = []
    for folder, folders, files in os.walk(root, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(folder).relative_to(root)
        found += [(below / name).as_posix() for name in files if not name.startswith(".")]
    return sorted(found)


def decode(data: bytes, key: str, *, at_least: int = 0) -> ByteImage:
    """An image file's first picture, upright, as RGB (h, w, 3).

    at_least: as in `Source.read`. Raises BadImageError, naming `key`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(data), formats=IMAGE_FORMATS) as image:
                if at_least:
                    image.draft(None, (at_least, at_least))
                return _rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        why = "it is of no known kind" if data else "it is empty"
        raise BadImageError(key, why) from error
    # Damaged files make Pillow fail in every way there is.
    except Exception as error:
        said = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise BadImageError(key, f"it is cut short or damaged ({said})") from error


def _rgb(image: Image.Image) -> ByteImage:
    if image.mode.startswith("I;16"):  # Pillow would clip it to 8 bits, not scale it
        gray = (np.asarray(image) >> 8).astype(np.uint8)
        return np.dstack([gray] * 3)
    if image.mode in ("I", "F"):
        raise ValueError(f"samples of the kind {image.mode}")
    return np.array(image.convert("RGB"), np.uint8)
