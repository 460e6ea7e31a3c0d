"""Drawing for people: contact sheets, and the labelled panels of side-by-side clips.

layout = Layout.fit((640, 480), 12, ("source", "compact"))
columns = [Column((source, colour), "0:01:23.000"), ...]     # images of layout.tile
sheet = layout.draw("film.mp4", "12 of 48 frames", columns)
Path("sheet.png").write_bytes(encode(sheet, ".png"))

film.mp4
12 of 48 frames
         +--------+ +--------+ +--------+ +--------+
  source |        | |        | |        | |        |
         +--------+ +--------+ +--------+ +--------+
 compact |        | |        | |        | |        |
         +--------+ +--------+ +--------+ +--------+
          0:00.000   0:00.042   0:00.083   0:00.125
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.errors import OutputError
from vidcolor.resample import Size

Image = NDArray[np.uint8]
"""(height, width, 3), R G B."""

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

SHEET_WIDTH = 1880
"""No sheet is wider than a common screen shows."""

TILE_WIDTH, TALL_TILE_HEIGHT = 480, 440
"""A tile's greatest width, and the greatest height of one that is taller than wide."""

ENLARGED_MOST = 2
"""A small film's tiles are at most this many times its size."""

COLUMNS, TALL_COLUMNS = 4, 6
"""Most columns of a sheet; pictures taller than wide are narrow and take more."""

MARGIN, GAP, ROW_GAP, BLOCK_GAP = 28, 12, 4, 22
CAPTION_HEIGHT = 28
LEAST_WIDTH = 720
"""So that the header of a sheet with one small tile can be read."""

PAPER = (22, 22, 24)
INK, SOFT_INK = (236, 236, 236), (160, 160, 164)
TITLE_SIZE, TEXT_SIZE, LABEL_SIZE, CAPTION_SIZE, SMALL_SIZE = 30, 19, 18, 17, 14
TITLE_LINE = MARGIN + TITLE_SIZE
TEXT_LINE = TITLE_LINE + TEXT_SIZE + 16
HEADER_HEIGHT = TEXT_LINE + 26
REGULAR, BOLD = 400, 600

LONGEST_SIDE = {".webp": 16383, ".jpg": 65500, ".jpeg": 65500}
"""What a format can hold, in pixels."""


@dataclass(frozen=True, eq=False)
class Column:
    """One moment: its pictures from top to bottom, the source first, and what stands below."""

    images: tuple[Image, ...]
    caption: str


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where things stand on a sheet."""

    tile: Size
    """(width, height) of every picture."""

    columns: int
    """At most this many beside each other."""

    labels: tuple[str, ...]
    """What the rows of a block show, the source's first."""

    @classmethod
    def fit(cls, size: Size, count: int, labels: Sequence[str]) -> Layout:
        """The layout for `count` moments of a film that is shown at `size` (width, height)."""
        width, height = size
        tall = height > width
        most = TALL_COLUMNS if tall else COLUMNS
        rows = -(-count // most)
        columns = -(-count // rows)
        room = SHEET_WIDTH - 2 * MARGIN - labels_width(labels) - (columns - 1) * GAP
        widest = min(TILE_WIDTH, room // columns, ENLARGED_MOST * width)
        if tall:
            widest = min(widest, round(TALL_TILE_HEIGHT * width / height))
        tile = max(1, widest), max(1, round(widest * height / width))
        return cls(tile=tile, columns=columns, labels=tuple(labels))

    def draw(self, title: str, subtitle: str, columns: Sequence[Column]) -> Image:
        """The sheet: a header, then the columns in blocks. Every image must be of size `tile`."""
        last = self.place(min(self.columns, len(columns)) - 1)[0], self.place(len(columns) - 1)[1]
        width = max(LEAST_WIDTH, last[0] + self.tile[0] + MARGIN)
        paper = blank(width, last[1] + self._block_height + MARGIN // 2)
        room = width - 2 * MARGIN
        write(paper, title, (MARGIN, TITLE_LINE), TITLE_SIZE, room=room, weight=BOLD)
        write(paper, subtitle, (MARGIN, TEXT_LINE), TEXT_SIZE, room=room, ink=SOFT_INK)
        for n, column in enumerate(columns):
            left, top = self.place(n)
            if n % self.columns == 0:
                self._draw_labels(paper, top)
            self._draw_column(paper, column, left, top)
        return paper

    def place(self, n: int) -> tuple[int, int]:
        """(left, top) of the n-th column's first picture."""
        block, across = divmod(n, self.columns)
        left = MARGIN + labels_width(self.labels) + across * (self.tile[0] + GAP)
        return left, HEADER_HEIGHT + block * (self._block_height + BLOCK_GAP)

    @property
    def _block_height(self) -> int:
        return len(self.labels) * (self.tile[1] + ROW_GAP) - ROW_GAP + CAPTION_HEIGHT

    def _draw_labels(self, paper: Image, top: int) -> None:
        """Each row's label at its left, a line for each part of it, level with its middle."""
        step = LABEL_SIZE + 6
        for row, label in enumerate(self.labels):
            middle = top + row * (self.tile[1] + ROW_GAP) + self.tile[1] // 2
            parts = label.split(", ")
            first = middle - (len(parts) - 1) * step // 2 + LABEL_SIZE // 3
            ink = SOFT_INK if row == 0 else INK
            for line, part in enumerate(parts):
                place = MARGIN, first + line * step
                write(paper, part, place, LABEL_SIZE, room=LABEL_ROOM, ink=ink)

    def _draw_column(self, paper: Image, column: Column, left: int, top: int) -> None:
        width, height = self.tile
        for row, image in enumerate(column.images):
            y = top + row * (height + ROW_GAP)
            paper[y : y + height, left : left + width] = image
        text, _ = shortened(column.caption, CAPTION_SIZE, width, REGULAR)
        x = left + (width - text_width(text, CAPTION_SIZE)) // 2
        y = top + self._block_height - CAPTION_HEIGHT + CAPTION_SIZE + 3
        write(paper, text, (x, y), CAPTION_SIZE, ink=SOFT_INK)


LABEL_ROOM, LABEL_GAP = 170, 18
"""Most pixels a row's label takes, and how far it stays from the pictures."""


def labels_width(labels: Sequence[str]) -> int:
    """Pixels to the left of the pictures that the rows' labels take."""
    parts = [part for label in labels for part in label.split(", ")]
    return min(LABEL_ROOM, max(text_width(part, LABEL_SIZE) for part in parts)) + LABEL_GAP


@dataclass(frozen=True, kw_only=True)
class Panels:
    """Pictures side by side, each under its label; every length is even, as 4:2:0 wants it."""

    panel: Size
    """(width, height) of every picture."""

    labels: tuple[str, ...]

    @classmethod
    def fit(cls, size: Size, labels: Sequence[str]) -> Panels:
        """Panels for a film that is shown at `size` (width, height): as large as it is, a small
        one up to twice that, or as large as all of them have room in CLIP_WIDTH."""
        count = len(labels)
        room = (CLIP_WIDTH - (count - 1) * PANEL_GAP) / count / size[0]
        scale = min(room, ENLARGED_MOST, max(1.0, LEAST_PANEL_WIDTH / size[0]))
        return cls(panel=(even(size[0] * scale), even(size[1] * scale)), labels=tuple(labels))

    @property
    def size(self) -> Size:
        """(width, height) of the whole."""
        width, height = self.panel
        return len(self.labels) * (width + PANEL_GAP) - PANEL_GAP, height + self.bar

    @property
    def bar(self) -> int:
        """Height of the strip that holds the labels."""
        across = len(self.labels) * self.panel[0]
        return even(max(30, self.panel[1] / 24, across / 64))

    def paper(self) -> Image:
        """What every frame begins with: the labels on dark paper."""
        paper = blank(*self.size)
        text = round(self.bar * 0.56)
        for n, label in enumerate(self.labels):
            left = n * (self.panel[0] + PANEL_GAP) + text // 2
            ink = SOFT_INK if n == 0 else INK
            place = left, round(self.bar * 0.68)
            write(paper, label, place, text, room=self.panel[0] - text, ink=ink)
        return paper

    def draw(self, paper: Image, images: Sequence[Image]) -> Image:
        """The images, each of size `panel`, put on the paper, which is changed and returned."""
        width, height = self.panel
        for n, image in enumerate(images):
            left = n * (width + PANEL_GAP)
            paper[self.bar : self.bar + height, left : left + width] = image
        return paper


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Square pictures of the same thing side by side, and many such groups below each other.

       gray    compact   truth        gray    compact   truth
    +--------++--------++--------+ +--------++--------++--------+
    |        ||        ||        | |        ||        ||        |
    +--------++--------++--------+ +--------++--------++--------+
     church.jpg                     dog.jpg
    """

    side: int
    """Of every picture, in pixels."""

    across: int
    """Groups beside each other, at most."""

    labels: tuple[str, ...]
    """What the pictures of a group show, from the left."""

    @classmethod
    def fit(cls, side: int, count: int, labels: Sequence[str]) -> Groups:
        """The layout for `count` groups of pictures whose sides are `side`."""
        room = SHEET_WIDTH - 2 * MARGIN + BLOCK_GAP
        usual = len(labels) * (GROUP_SIDE + ROW_GAP) + BLOCK_GAP - ROW_GAP
        across = max(1, min(count, round(room / usual)))
        widest = (room // across - BLOCK_GAP + ROW_GAP) // len(labels) - ROW_GAP
        return cls(side=max(1, min(widest, side)), across=across, labels=tuple(labels))

    def draw(self, title: str, subtitle: str, columns: Sequence[Column]) -> Image:
        """The sheet. Every column is a group; its images are squares of `side`."""
        right, _ = self.place(min(self.across, len(columns)) - 1, -1)
        bottom = self.place(len(columns) - 1, 0)[1] + self.side + CAPTION_HEIGHT
        width = max(LEAST_WIDTH, right + self.side + MARGIN)
        paper = blank(width, bottom + MARGIN // 2)
        room = width - 2 * MARGIN
        write(paper, title, (MARGIN, TITLE_LINE), TITLE_SIZE, room=room, weight=BOLD)
        write(paper, subtitle, (MARGIN, TEXT_LINE), TEXT_SIZE, room=room, ink=SOFT_INK)
        for n, column in enumerate(columns):
            self._draw_group(paper, column, n)
        return paper

    def place(self, n: int, which: int) -> tuple[int, int]:
        """(left, top) of a picture of the n-th group."""
        down, beside = divmod(n, self.across)
        step = self.side + ROW_GAP
        left = MARGIN + beside * (len(self.labels) * step - ROW_GAP + BLOCK_GAP)
        top = HEADER_HEIGHT + CAPTION_HEIGHT + down * (self.side + CAPTION_HEIGHT + ROW_GAP)
        return left + which % len(self.labels) * step, top

    def _draw_group(self, paper: Image, column: Column, n: int) -> None:
        for which, (image, label) in enumerate(zip(column.images, self.labels, strict=True)):
            left, top = self.place(n, which)
            paper[top : top + self.side, left : left + self.side] = image
            if n < self.across:
                text, wide = shortened(label, CAPTION_SIZE, self.side, REGULAR)
                middle = left + (self.side - wide) // 2
                write(paper, text, (middle, top - CAPTION_SIZE // 2), CAPTION_SIZE)
        left, top = self.place(n, 0)
        whole = len(self.labels) * (self.side + ROW_GAP) - ROW_GAP
        place = left, top + self.side + SMALL_SIZE + 4
        write(paper, column.caption, place, SMALL_SIZE, room=whole, ink=SOFT_INK)


GROUP_SIDE = 200
"""About the side of a picture in a group; as many groups are put beside each other as have room."""

CLIP_WIDTH = 3840
"""No clip is wider; its panels are shrunk to that."""

PANEL_GAP, LEAST_PANEL_WIDTH = 4, 320


def even(length: float) -> int:
    """The next smaller even number of pixels, at least 2."""
    return max(2, 2 * int(length // 2))


def encode(image: Image, suffix: str) -> bytes:
    """An image file's bytes, by a suffix of PICTURE_SUFFIXES.

    Raises OutputError for an image larger than the format can hold.
    """
    suffix = suffix.lower()
    longest = LONGEST_SIDE.get(suffix)
    if longest is not None and max(image.shape) > longest:
        raise OutputError(
            f"the sheet is {image.shape[1]}x{image.shape[0]} pixels and {suffix} holds at most "
            f"{longest} a side; take .png, or fewer --tiles."
        )
    quality = {
        ".png": [cv2.IMWRITE_PNG_COMPRESSION, 1],
        ".webp": [cv2.IMWRITE_WEBP_QUALITY, 90],
    }.get(suffix, [cv2.IMWRITE_JPEG_QUALITY, 92])
    _, data = cv2.imencode(suffix, image[..., ::-1], quality)
    return data.tobytes()


def blank(width: int, height: int) -> Image:
    """Empty paper."""
    return np.full((height, width, 3), PAPER, np.uint8)


def write(
    paper: Image,
    text: str,
    place: tuple[int, int],
    size: int,
    *,
    room: int | None = None,
    ink: tuple[int, int, int] = INK,
    weight: int = REGULAR,
) -> None:
    """Write a line onto `paper`, its base line beginning at `place` (x, y), shortened to `room`."""
    if room is not None:
        text, _ = shortened(text, size, room, weight)
    cv2.putText(paper, text, place, ink, font(), size, weight)


def shortened(text: str, size: int, room: int, weight: int) -> tuple[str, int]:
    """The text and its width in pixels, cut short by an ellipsis where it is wider than `room`."""
    width = text_width(text, size, weight)
    kept = len(text)
    while width > room and kept > 0:
        kept = min(kept - 1, kept * room // width)
        width = text_width(text[:kept] + "…", size, weight)
    return (text, width) if kept == len(text) else (text[:kept] + "…", width)


def text_width(text: str, size: int, weight: int = REGULAR) -> int:
    """Pixels a line of text takes."""
    box: Any = cv2.getTextSize((0, 0), text, (0, 0), font(), size, weight)
    return int(box[0] + box[2])


@lru_cache(maxsize=1)
def font() -> Any:
    """OpenCV's own font of all scripts."""
    return cv2.FontFace("uni")
