"""Peak memory of `vidcolor run`: beside ffmpeg's on the same film, and against the film's length.

    python benchmarks/memory.py                                # everything
    python benchmarks/memory.py --seconds 10 --seconds 120     # the length alone
    python benchmarks/memory.py --into docs/performance.md     # its tables too

Beside ffmpeg, both encode with the same words on the same threads, and the film's segments are
SEGMENT_SECONDS long, so that borders between them are among what is measured. Every run is a
process of its own, whose peak resident memory the system tells. Exits with 1 when a floor is
missed by more than the spread.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from floors import Floor, code_of, table_of_floors
from pages import show
from speed_films import RATE, make_film, repeated
from speed_plots import draw_panels
from speed_ways import Reel, ffmpeg, vidcolor
from timing import Cost, Figure, cost_of, interleaved

from vidcolor.media.choice import choose_encoder
from vidcolor.media.probe import probe
from vidcolor.settings import Settings

LIMIT = 1.05
"""Peak memory of any length, of the shortest film's."""

GB = 10**9
SEGMENT_SECONDS = "3"
"""Long enough for an encoder to fill its look-ahead, and two of them in each film."""

CLIP_SECONDS = 10


@dataclass(frozen=True)
class Case:
    """A film that ffmpeg transcodes, too."""

    width: int
    height: int
    bits: int
    frames: int
    more: float
    """GB that we may take beyond ffmpeg's."""


CASES = {"1080p": Case(1920, 1080, 8, 144, 0.5), "2160p-10": Case(3840, 2160, 10, 144, 1.2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--case", action="append", choices=[*CASES, "length"], help="repeatable (default all)"
    )
    parser.add_argument("--seconds", type=int, action="append", help="a length; repeatable")
    parser.add_argument("--size", default="640x360", help="of the lengths (default 640x360)")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument("--threads", type=int, default=2, help="of both programs (default 2)")
    parser.add_argument("--into", type=Path, help="a page whose tables are printed anew")
    options = parser.parse_args()
    wanted = options.case or (["length"] if options.seconds else [*CASES, "length"])
    floors: list[Floor] = []
    sizes = {name: case for name, case in CASES.items() if name in wanted}
    if sizes:
        lines = ["| | ffmpeg, GB | vidcolor, GB | more, GB |", "|---|---:|---:|---:|"]
        panels: dict[str, dict[str, Figure]] = {}
        beyond: list[Floor] = []
        for name, case in sizes.items():
            ours, theirs = beside_ffmpeg(case, options.rounds, options.threads)
            more = Figure(tuple(a - b for a, b in zip(ours.values, theirs.values, strict=True)))
            lines.append(f"| {name} | {theirs.cell()} | {ours.cell()} | {more.cell()} |")
            panels[f"{name}, peak memory, GB"] = {"ffmpeg": theirs, "vidcolor": ours}
            words = f"{name}: peak memory beyond ffmpeg's"
            beyond.append(Floor(words=words, figure=more, at_most=case.more, unit=" GB"))
        show("memory", lines, options.into)
        show("memory-floors", list(table_of_floors(beyond)), options.into)
        floors += beyond
        if options.into is not None:
            draw_panels(options.into.parent / "pictures" / "performance-memory.png", panels)
    if "length" in wanted:
        lengths = sorted(options.seconds or [10, 120])
        width, height = (int(side) for side in options.size.split("x"))
        costs = by_length(lengths, width, height, options.threads)
        show("memory-length", list(table_of_lengths(costs)), options.into)
        worst = max(cost.peak for cost in costs.values()) / costs[lengths[0]].peak
        words = f"{lengths[-1]} s: peak memory, of a film's of {lengths[0]} s"
        grown = Floor(words=words, figure=Figure((worst,)), at_most=LIMIT)
        show("memory-length-floors", list(table_of_floors([grown])), options.into)
        floors.append(grown)
    return code_of(floors)


def beside_ffmpeg(case: Case, rounds: int, threads: int) -> tuple[Figure, Figure]:
    """Peaks of ours and of ffmpeg's, GB."""
    with tempfile.TemporaryDirectory() as folder:
        film = Reel(Path(folder), case.width, case.height, case.frames, case.bits).whole
        codec = choose_encoder(probe(film), Settings()).codec
        more = ("--segment-seconds", SEGMENT_SECONDS)
        ways = (
            vidcolor("balanced", threads, codec=codec, more=more, like_long=False),
            ffmpeg(threads, codec),
        )
        out = Path(folder) / "out.mp4"
        commands = {way.name: way.command(film, out, case.frames) for way in ways}
        costs = interleaved(commands, rounds=rounds)
    ours, theirs = (Figure(tuple(cost.peak / GB for cost in costs[way.name])) for way in ways)
    return ours, theirs


def by_length(lengths: list[int], width: int, height: int, threads: int) -> dict[int, Cost]:
    """A run's cost by the film's seconds."""
    costs = {}
    with tempfile.TemporaryDirectory() as folder:
        frames = CLIP_SECONDS * RATE
        clip = make_film(Path(folder) / "clip.mp4", width, height, frames=frames)
        for seconds in lengths:
            film = repeated(clip, Path(folder) / f"{seconds}.mp4", seconds)
            out = Path(folder) / "out.mp4"
            way = vidcolor("balanced", threads, like_long=False)
            costs[seconds] = cost_of(way.command(film, out, seconds * RATE))
    return costs


def table_of_lengths(costs: dict[int, Cost]) -> Iterator[str]:
    """The lines of a Markdown table."""
    yield "| film | peak memory, MiB | of the shortest's | wall time, s |"
    yield "|---|---:|---:|---:|"
    shortest = next(iter(costs.values())).peak
    for seconds, cost in costs.items():
        ratio = cost.peak / shortest
        yield f"| {seconds} s | {cost.peak / 2**20:.0f} | {ratio:.3f} | {cost.wall:.0f} |"


if __name__ == "__main__":
    sys.exit(main())
