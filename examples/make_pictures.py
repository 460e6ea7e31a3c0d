"""Make the pictures that the pages of docs/ show, with the program they are about.

    python examples/make_pictures.py docs/pictures

Everything comes from the sample film of make_sample.py and from a photograph that scikit-image
carries, turned gray; so the pictures can be made again whenever the program or its network
changes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

MAKE_SAMPLE = Path(__file__).with_name("make_sample.py")

HINTS = (
    *("100,300,#c9602c", "65,425,#c9602c", "175,450,#c9602c", "230,330,#c9602c", "305,310,#c9602c"),
    *("35,40,#26346b", "450,120,#8fa3b8", "110,60,#8fa3b8"),
)
"""What a person might know of the photograph: an orange suit, a blue canton, a blue-gray wall."""


def main() -> None:
    parser = argparse.ArgumentParser(description="The pictures of docs/.")
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        film = Path(scratch) / "sample.mkv"
        subprocess.run([sys.executable, str(MAKE_SAMPLE), str(film)], check=True)
        preview(film, folder / "preview.jpg")
        few = ("--start", "1", "--frames", "48", "--tiles", "4")
        preview(film, folder / "presets.jpg", *few, "--preset", "fast", "--preset", "best")
        stills(Path(scratch), folder / "stills.jpg")


def preview(film: Path, picture: Path, *words: str) -> None:
    vidcolor("preview", film, "-o", picture, "--overwrite", *words)


def stills(scratch: Path, picture: Path) -> None:
    """A photograph, its colours, and its colours with hints, side by side."""
    in_colour = np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    photograph = cv2.cvtColor(in_colour, cv2.COLOR_RGB2GRAY)
    files = [scratch / name for name in ("photo.png", "plain.png", "hinted.png")]
    cv2.imwrite(str(files[0]), photograph)
    vidcolor("image", files[0], "-o", files[1])
    hints = [word for hint in HINTS for word in ("--hint", hint)]
    vidcolor("image", files[0], "-o", files[2], *hints)
    tiles = [np.asarray(cv2.imread(str(file)), np.uint8) for file in files]
    for place in (hint.split(",") for hint in HINTS):
        centre = (int(place[0]), int(place[1]))
        cv2.circle(tiles[2], centre, 9, (255, 255, 255), 2, cv2.LINE_AA)
    gap: NDArray[np.uint8] = np.full((tiles[0].shape[0], 12, 3), 24, np.uint8)
    row = np.hstack([tiles[0], gap, tiles[1], gap, tiles[2]])
    cv2.imwrite(str(picture), row, [cv2.IMWRITE_JPEG_QUALITY, 88])


def vidcolor(*words: str | Path) -> None:
    """Run the program; its own words tell what went wrong."""
    command = [sys.executable, "-m", "vidcolor", *map(str, words)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
