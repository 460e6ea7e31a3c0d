"""How cost grows with a film's length, its pictures' size, its grain and threads, beside ffmpeg.

    python benchmarks/growth.py
    python benchmarks/growth.py --what size --into docs/performance.md

Size, grain and threads are slopes in interleaved rounds (see speed.py). Length is whole runs,
start-up and all, of one clip repeated.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pages import show, table_in
from speed import BALANCED, FFMPEG, Speed, measure
from speed_films import GRAIN_CODES, RATE, make_film, repeated
from speed_plots import Line, draw_lines, draw_panels
from speed_ways import Reel, ffmpeg, vidcolor
from timing import Cost, Figure, figure_of, interleaved, over

SIZES: Mapping[tuple[int, int], tuple[int, int]] = {
    (640, 360): (96, 480),
    (1280, 720): (96, 288),
    (1920, 1080): (96, 288),
    (3840, 2160): (48, 144),
}
"""Width and height -> the lengths of the slope, in frames."""

THREADS = 1, 2
THREADS_SIZE, THREADS_LENGTHS = (1920, 1080), (48, 144)

GRAINS = 0.0, GRAIN_CODES, 4.0
"""Standard deviations of film grain, in codes of 8 bits."""
GRAIN_SIZE, GRAIN_LENGTHS = (1920, 1080), (96, 288)

SECONDS = 10, 100, 1000
LENGTH_SIZE, CLIP_SECONDS = (320, 180), 20

Pair = tuple[Speed, Speed]
"""ffmpeg's and ours."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = ("size", "grain", "threads", "length")
    parser.add_argument("--what", action="append", choices=what, help="repeatable (default all)")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument("--threads", type=int, default=2, help="but for threads (default 2)")
    parser.add_argument("--into", type=Path, help="a page whose tables and plots are made anew")
    options = parser.parse_args()
    wanted, rounds, threads = options.what or what, options.rounds, options.threads
    pictures = options.into.parent / "pictures" if options.into else None
    if "size" in wanted:
        sizes = {size: slope(size, lengths, rounds, threads) for size, lengths in SIZES.items()}
        named = {f"{width}x{height}": pair for (width, height), pair in sizes.items()}
        show("growth-size", list(table_of_pairs(named)), options.into)
        if pictures:
            draw_sizes(sizes, pictures / "performance-size.png")
    if "grain" in wanted:
        by_grain = {
            f"{codes:g}": slope(GRAIN_SIZE, GRAIN_LENGTHS, rounds, threads, grain_codes=codes)
            for codes in GRAINS
        }
        show("growth-grain", list(table_of_pairs(by_grain)), options.into)
    if "threads" in wanted:
        by_threads = {
            str(count): slope(THREADS_SIZE, THREADS_LENGTHS, rounds, count) for count in THREADS
        }
        show("growth-threads", list(table_of_pairs(by_threads)), options.into)
    if options.into:
        draw_ratios(options.into)
    if "length" in wanted:
        costs = by_length(SECONDS, rounds, threads)
        show("growth-length", list(table_of_lengths(costs)), options.into)
        if pictures:
            draw_lengths(costs, pictures / "performance-length.png")
    return 0


def slope(
    size: tuple[int, int],
    lengths: tuple[int, int],
    rounds: int,
    threads: int,
    *,
    grain_codes: float = GRAIN_CODES,
) -> Pair:
    with tempfile.TemporaryDirectory() as scratch:
        reel = Reel(Path(scratch), *size, lengths[1], grain_codes=grain_codes)
        ways = [ffmpeg(threads), vidcolor("balanced", threads)]
        speeds = measure(ways, reel, lengths, rounds)
    return speeds[FFMPEG], speeds[BALANCED]


def table_of_pairs(pairs: Mapping[str, Pair]) -> Iterator[str]:
    """The lines of a Markdown table."""
    yield (
        "| | ffmpeg, ms a frame | vidcolor, ms a frame | more | of ffmpeg's | CPU, of ffmpeg's "
        "| ffmpeg's peak, MiB | ours |"
    )
    yield f"|---|{'---:|' * 7}"
    for name, (theirs, ours) in pairs.items():
        more = zip(ours.frame.values, theirs.frame.values, strict=True)
        cells = [
            theirs.frame.cell(1, 1000),
            ours.frame.cell(1, 1000),
            Figure(tuple(a - b for a, b in more)).cell(1, 1000),
            over(ours.frame, theirs.frame).cell(),
            over(ours.cpu, theirs.cpu).cell(),
            *(f"{each.peak.median / 2**20:.0f}" for each in (theirs, ours)),
        ]
        yield f"| {name} | {' | '.join(cells)} |"


Costs = Mapping[int, Mapping[str, Sequence[Cost]]]
"""Seconds of film -> way -> its cost in each round."""


def by_length(seconds: Sequence[int], rounds: int, threads: int) -> Costs:
    """Whole runs of a clip repeated; the longest film once only."""
    ways = [ffmpeg(threads), vidcolor("balanced", threads, like_long=False)]
    costs = {}
    with tempfile.TemporaryDirectory() as folder:
        clip = make_film(Path(folder) / "clip.mp4", *LENGTH_SIZE, frames=CLIP_SECONDS * RATE)
        out = Path(folder) / "out.mp4"
        for each in seconds:
            film = Path(folder) / f"{each}.mp4"
            frames = each * RATE
            if each < CLIP_SECONDS:
                film = Reel(Path(folder), *LENGTH_SIZE, frames).whole
            else:
                repeated(clip, film, each)
            commands = {way.name: way.command(film, out, frames) for way in ways}
            costs[each] = interleaved(commands, rounds=1 if each == max(seconds) else rounds)
    return costs


def table_of_lengths(costs: Costs) -> Iterator[str]:
    """The lines of a Markdown table."""
    yield "| film | ffmpeg, s | vidcolor, s | vidcolor, ms a frame | peak memory, MiB |"
    yield "|---|---:|---:|---:|---:|"
    for seconds, found in costs.items():
        theirs, ours = (
            Figure(tuple(cost.wall for cost in found[name])) for name in (FFMPEG, BALANCED)
        )
        peak = Figure(tuple(cost.peak / 2**20 for cost in found[BALANCED]))
        frame = ours.cell(1, 1000 / (seconds * RATE))
        row = f"{theirs.cell(1)} | {ours.cell(1)} | {frame} | {peak.cell(0)}"
        yield f"| {seconds:,} s | {row} |"


def draw_sizes(sizes: Mapping[tuple[int, int], Pair], picture: Path) -> None:
    at = [width * height / 1e6 for width, height in sizes]
    names = (FFMPEG, BALANCED)
    lines = [
        Line(name, at, [pair[n].frame.map(lambda s: s * 1000) for pair in sizes.values()])
        for n, name in enumerate(names)
    ]
    draw_lines(picture, lines, "million pixels a frame", "ms a frame")


def draw_ratios(page: Path) -> None:
    """Time of ffmpeg's by grain and by threads, as the page's tables have it, whenever that was
    measured."""
    panels = {
        f"time a frame, of ffmpeg's, by {what}": {
            name: figure_of(ratio) for name, _, _, _, ratio, *_ in table_in(page, f"growth-{table}")
        }
        for table, what in (("grain", "grain, codes"), ("threads", "threads"))
    }
    measured = {words: bars for words, bars in panels.items() if bars}
    if measured:
        draw_panels(page.parent / "pictures" / "performance-growth.png", measured, mark=1.0)


def draw_lengths(costs: Costs, picture: Path) -> None:
    lines = [
        Line(
            name,
            [float(seconds) for seconds in costs],
            [Figure(tuple(cost.wall for cost in found[name])) for found in costs.values()],
        )
        for name in (FFMPEG, BALANCED)
    ]
    draw_lines(picture, lines, "seconds of film", "seconds of work", logarithmic=True)


if __name__ == "__main__":
    sys.exit(main())
