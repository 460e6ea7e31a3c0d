"""Cuts found in films, ours beside PySceneDetect's, both from luma alone.

    python benchmarks/cuts.py CLIPS/bw CLIPS/colour --listed CLIPS.md [--into docs/steady.md]

LISTED is a page with tables that have a column "file" and a column "cuts" (numbers of the frames
that start a shot, or "-"), or a CSV file with those columns. A cut counts as found within one
frame. Both see the same pictures, 256 samples wide; times are the processor's for the
search alone, on one thread.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from time import thread_time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pages import put_table

from vidcolor.dissolves import DISSOLVE_REACH_FRAMES, DissolveFinder
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.pipeline import fit, to_8_bits
from vidcolor.resample import shrink
from vidcolor.shots import REACH_FRAMES, starts_shot, thumbnail

scenedetect: Any
try:
    scenedetect = importlib.import_module("scenedetect")
except ImportError:
    scenedetect = None

Pictures = list[NDArray[np.uint8]]
SIDE = 256
TOLERANCE_FRAMES = 1


@dataclass(frozen=True)
class Score:
    """What one method did on some films."""

    found: int
    missed: int
    false: int
    seconds: float
    frames: int

    def __add__(self, other: Score) -> Score:
        mine, theirs = vars(self).values(), vars(other).values()
        return Score(*(a + b for a, b in zip(mine, theirs, strict=True)))

    def __str__(self) -> str:
        per_frame = 1000 * self.seconds / max(self.frames, 1)
        return f"{self.found} | {self.missed} | {self.false} | {per_frame:.2f}"


NOTHING = Score(0, 0, 0, 0.0, 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--listed", type=Path, required=True, help="a page or CSV with the cuts")
    parser.add_argument("--into", type=Path, help="a page whose table 'cuts' is printed anew")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if scenedetect is None:
        print(
            "PySceneDetect isn't here; install it with `pip install scenedetect`.", file=sys.stderr
        )
    listed = dict(listed_cuts(options.listed))
    films = [f for folder in options.folders for f in sorted(folder.iterdir()) if f.name in listed]
    lines = list(table(films, listed))
    print("\n".join(lines))
    if options.into:
        put_table(options.into, "cuts", lines)
    return 0


def table(films: Sequence[Path], listed: dict[str, list[int]]) -> Iterator[str]:
    """Markdown: a row for each film, then the sums."""
    yield (
        "| film | frames | cuts | found | missed | false | ms | "
        "PySceneDetect: found | missed | false | ms | dissolves |"
    )
    yield "|" + " --- |" * 12
    totals = [NOTHING, NOTHING]
    cuts = dissolves = 0
    for film in films:
        pictures, rate = read(film)
        mine, mixed = our_score(pictures, listed[film.name])
        theirs = their_score(pictures, rate, listed[film.name])
        totals = [totals[0] + mine, totals[1] + theirs]
        cuts, dissolves = cuts + len(listed[film.name]), dissolves + mixed
        shown = theirs if scenedetect else "- | - | - | -"
        name = f"{film.parent.name}/{film.name}"
        yield f"| {name} | {mine.frames} | {len(listed[film.name])} | {mine} | {shown} | {mixed} |"
    shown = totals[1] if scenedetect else "- | - | - | -"
    yield f"| all | {totals[0].frames} | {cuts} | {totals[0]} | {shown} | {dissolves} |"


def read(film: Path) -> tuple[Pictures, Fraction]:
    """All of a film, small, and its rate."""
    info = probe(film)
    size = fit(info.width, info.height, SIDE)
    frames = read_frames(info)
    return [to_8_bits(shrink(f.luma, size), info.bit_depth) for f in frames], info.rate


def our_score(pictures: Pictures, cuts: list[int]) -> tuple[Score, int]:
    """Our cuts' score, and how many dissolves were seen."""
    begun = thread_time()
    small = [thumbnail(p) for p in pictures]
    found = []
    for n in range(1, len(small)):
        first = max(0, n - REACH_FRAMES)
        if starts_shot(small[first : n + 1 + REACH_FRAMES], n - first):
            found.append(n)
    finder, dissolves = DissolveFinder(), set()
    for n, picture in enumerate(small):
        finder.add(picture)
        dissolves |= set(finder.around(max(0, n - DISSOLVE_REACH_FRAMES)))
    return score(found, cuts, thread_time() - begun, len(small)), len(dissolves)


def their_score(pictures: Pictures, rate: Fraction, cuts: list[int]) -> Score:
    """The score of ContentDetector's defaults on luma."""
    if scenedetect is None:
        return NOTHING
    colored = [cv2.cvtColor(p, cv2.COLOR_GRAY2BGR) for p in pictures]
    detector = scenedetect.ContentDetector(luma_only=True)
    begun = thread_time()
    found = []
    for n, picture in enumerate(colored):
        found += detector.process_frame(scenedetect.FrameTimecode(n, float(rate)), picture)
    found += detector.post_process(scenedetect.FrameTimecode(len(colored), float(rate)))
    seconds = thread_time() - begun
    return score([cut.frame_num for cut in found], cuts, seconds, len(pictures))


def score(found: Sequence[int], cuts: Sequence[int], seconds: float, frames: int) -> Score:
    """Found cuts against listed ones, each of either used once."""
    open_cuts, false = list(cuts), 0
    for n in found:
        near = [cut for cut in open_cuts if abs(cut - n) <= TOLERANCE_FRAMES]
        if near:
            open_cuts.remove(min(near, key=lambda cut: abs(cut - n)))
        else:
            false += 1
    return Score(len(cuts) - len(open_cuts), len(open_cuts), false, seconds, frames)


def listed_cuts(page: Path) -> Iterator[tuple[str, list[int]]]:
    """(file name, cuts) of each row that has both columns."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".csv":
        rows = list(csv.reader(text.splitlines()))
    else:
        lines = (line for line in text.splitlines() if line.startswith("|"))
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    columns: tuple[int, int] | None = None
    for row in rows:
        if "file" in row:
            columns = (row.index("file"), row.index("cuts")) if "cuts" in row else None
        elif columns and len(row) > max(columns) and not set(row[0]) <= {"-", ":"}:
            yield row[columns[0]], [int(n) for n in re.findall(r"\d+", row[columns[1]])]


if __name__ == "__main__":
    sys.exit(main())
