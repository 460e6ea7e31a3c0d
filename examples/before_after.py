"""Put frames of a source above the same frames of its colour film, in one picture.

    python examples/before_after.py sample.mkv sample.color.mkv picture.png

Frames are matched by their time, not by their number; each pair carries its timecode.

    +---------+---------+---------+
    | source  | source  | source  |
    | colour  | colour  | colour  |
    | 0:00.70 | 0:02.10 | 0:03.50 |
    +---------+---------+---------+
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(rows, columns, 3), B G R."""

TILE_WIDTH = 320
COLUMNS = 4
MARGIN, LABEL_HEIGHT = 10, 34
PAPER, INK = 24, 235


def main() -> None:
    parser = argparse.ArgumentParser(description="A contact sheet: source above colour.")
    parser.add_argument("source", type=Path)
    parser.add_argument("colour", type=Path)
    parser.add_argument("picture", type=Path, help="the .png or .jpg to write")
    parser.add_argument("--frames", type=int, default=8, help="how many pairs (default: 8)")
    given = parser.parse_args()
    try:
        times = before_after(given.source, given.colour, given.picture, frames=given.frames)
    except (OSError, ValueError, av.error.FFmpegError) as error:
        sys.exit(f"before_after: {error}")
    print(f"{given.picture}: {len(times)} pairs of frames")


def before_after(
    source: Path, colour: Path, picture: Path, *, frames: int = 8, tile_width: int = TILE_WIDTH
) -> list[float]:
    """Write the sheet and return the times it shows, in seconds from the film's beginning.

    Raises ValueError when the colour film lacks one of the source's frames, or the picture's
    name doesn't end in .png or .jpg.
    """
    if picture.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ValueError(f"{picture} has an unknown ending; expected .png or .jpg")
    wanted = spread(frame_times(source), frames)
    above, below = images_at(source, wanted), images_at(colour, wanted)
    pairs = [
        pair(before, after, timecode(seconds), tile_width)
        for before, after, seconds in zip(above, below, wanted, strict=True)
    ]
    picture.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(picture), sheet(pairs)):
        raise OSError(f"{picture} can't be written")
    return [float(seconds) for seconds in wanted]


def frame_times(film: Path) -> list[Fraction]:
    """The time of every frame, in seconds."""
    with av.open(str(film)) as container:
        return [seconds for seconds, _ in timed_frames(container)]


def timed_frames(
    container: av.container.InputContainer,
) -> Iterator[tuple[Fraction, av.VideoFrame]]:
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    for frame in container.decode(stream):
        if frame.pts is not None and frame.time_base is not None:
            yield frame.pts * frame.time_base, frame


def spread(times: list[Fraction], count: int) -> list[Fraction]:
    """`count` of the times, each from the middle of its own equal share of the film."""
    if not times:
        raise ValueError("the source has no frames")
    count = max(1, min(count, len(times)))
    return [times[(2 * n + 1) * len(times) // (2 * count)] for n in range(count)]


def images_at(film: Path, wanted: list[Fraction]) -> list[Image]:
    """The frames nearest to the wanted times. Raises ValueError when one is over 2 ms away.

    2 ms, because Matroska rounds times to whole milliseconds.
    """
    images: list[Image] = []
    with av.open(str(film)) as container:
        aspect = container.streams.video[0].sample_aspect_ratio or Fraction(1)
        for seconds, frame in timed_frames(container):
            if len(images) == len(wanted):
                break
            if abs(seconds - wanted[len(images)]) <= Fraction(2, 1000):
                images.append(upright(frame, aspect))
    if len(images) < len(wanted):
        missing = timecode(wanted[len(images)])
        raise ValueError(f"{film} has no frame at {missing}; is it made from this source?")
    return images


def upright(frame: av.VideoFrame, aspect: Fraction) -> Image:
    """The frame as shown: its samples square and its rotation applied."""
    image = np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)
    if aspect != 1:
        size = (round(image.shape[1] * aspect), image.shape[0])
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.ascontiguousarray(np.rot90(image, frame.rotation // 90))


def timecode(seconds: Fraction) -> str:
    """Such as 0:04.375: minutes, seconds and thousandths."""
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    return f"{minutes}:{rest // 1000:02}.{rest % 1000:03}"


def pair(before: Image, after: Image, label: str, width: int) -> Image:
    """Source above colour above the label, `width` wide."""
    height = round(before.shape[0] * width / before.shape[1])
    tiles = [
        np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        for image in (before, after)
    ]
    strip = np.full((LABEL_HEIGHT, width, 3), PAPER, np.uint8)
    face, size = cv2.FONT_HERSHEY_SIMPLEX, 0.55
    text_width, text_height = cv2.getTextSize(label, face, size, 1)[0]
    place = ((width - text_width) // 2, 8 + text_height)
    cv2.putText(strip, label, place, face, size, (INK,) * 3, 1, cv2.LINE_AA)
    return np.vstack([*tiles, strip])


def sheet(pairs: list[Image]) -> Image:
    """The pairs on dark paper, COLUMNS to a row."""
    height, width = (max(image.shape[side] for image in pairs) for side in (0, 1))
    columns = min(COLUMNS, len(pairs))
    rows = -(-len(pairs) // columns)
    size = (MARGIN + rows * (height + MARGIN), MARGIN + columns * (width + MARGIN), 3)
    paper = np.full(size, PAPER, np.uint8)
    for n, image in enumerate(pairs):
        top = MARGIN + n // columns * (height + MARGIN)
        left = MARGIN + n % columns * (width + MARGIN)
        paper[top : top + image.shape[0], left : left + image.shape[1]] = image
    return paper


if __name__ == "__main__":
    main()
