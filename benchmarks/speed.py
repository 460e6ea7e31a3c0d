"""How fast `vidcolor run` is beside ffmpeg transcoding the same film, and beside the naive loop.

    python benchmarks/speed.py                             # everything
    python benchmarks/speed.py --short --case 1080p        # a few minutes
    python benchmarks/speed.py --into docs/performance.md  # its tables and plot too

Each case is measured in interleaved rounds (see timing.py) at two lengths; a frame's cost is the
slope between them. Prints tables and exits with 1 when a floor is missed by more than the spread.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from floors import Floor, code_of, table_of_floors
from machine import machine_lines
from naive import random_weights
from pages import show, table_in
from speed_films import SOURCE_WORDS
from speed_plots import draw_panels
from speed_ways import CODEC, CRF, ENCODER_PRESET, Reel, Way, ffmpeg, naive, vidcolor
from timing import Cost, Figure, cpu_of, figure_of, interleaved, over, slopes, start_up

FFMPEG, BALANCED, FAST = "ffmpeg", "vidcolor balanced", "vidcolor fast"
HEAVY_BALANCED, HEAVY_FAST = f"{BALANCED}, eccv16", f"{FAST}, eccv16"
NAIVE = "naive loop, eccv16"


@dataclass(frozen=True)
class Case:
    """A size, and the lengths between which the slope is taken, in frames."""

    width: int
    height: int
    lengths: tuple[int, int]
    short_lengths: tuple[int, int]
    """Those of the short set, which times only what has a limit."""

    limits: Mapping[str, float]
    """A way's greatest share of ffmpeg's time."""

    gains: Mapping[str, float] | None = None
    """How many times faster than the naive loop a way must be; None where that isn't timed."""


CASES = {
    "1080p": Case(1920, 1080, (144, 624), (96, 288), {BALANCED: 1.25, FAST: 1.15}),
    "2160p": Case(3840, 2160, (48, 240), (48, 96), {BALANCED: 1.2}),
    "eccv16": Case(
        1920, 1080, (96, 384), (48, 144), {HEAVY_BALANCED: 2.3}, {HEAVY_BALANCED: 7, HEAVY_FAST: 9}
    ),
}


@dataclass(frozen=True)
class Speed:
    """What a way costs."""

    frame: Figure
    """Seconds of wall time a frame."""

    cpu: Figure
    """Seconds of CPU time a frame."""

    start: Figure
    """Seconds of wall time beside the frames."""

    peak: Figure
    """Bytes, at the greater length."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", action="append", choices=CASES, help="repeatable (default all)")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument("--threads", type=int, default=2, help="of every program (default 2)")
    parser.add_argument("--short", action="store_true", help="shorter films")
    parser.add_argument("--into", type=Path, help="a page whose tables are printed anew")
    options = parser.parse_args()
    show("machine", [*machine_lines(), "", setting_words(options.threads)], options.into)
    floors: list[Floor] = []
    for name in options.case or CASES:
        case = CASES[name]
        lengths = case.short_lengths if options.short else case.lengths
        with tempfile.TemporaryDirectory() as scratch:
            reel = Reel(Path(scratch), case.width, case.height, lengths[1])
            ways = ways_of(case, reel, options.threads)
            if options.short:
                ways = [way for way in ways if way.name in (FFMPEG, *case.limits)]
            speeds = measure(ways, reel, lengths, options.rounds)
        own = list(floors_of(name, case, speeds))
        words = lengths_words(case.width, case.height, lengths, options.rounds)
        lines = [*table_of_speeds(speeds), "", words]
        show(f"speed-{name}", lines, options.into)
        show(f"speed-{name}-floors", list(table_of_floors(own)), options.into)
        floors += own
    if options.into is not None:
        draw(options.into)
    return code_of(floors)


def setting_words(threads: int) -> str:
    return (
        f"Sources: {SOURCE_WORDS}. Both encode with {CODEC}, preset {ENCODER_PRESET}, crf {CRF}, "
        f"{threads} threads."
    )


def ways_of(case: Case, reel: Reel, threads: int) -> list[Way]:
    ways = [ffmpeg(threads)]
    if case.gains is None:
        return [*ways, vidcolor("balanced", threads), vidcolor("fast", threads)]
    weights = random_weights(reel.folder / "eccv16.safetensors")
    heavy = [
        vidcolor(preset, threads, model="eccv16", weights=weights)
        for preset in ("balanced", "fast")
    ]
    return [*ways, *heavy, naive(weights, threads, reel)]


def measure(
    ways: Sequence[Way], reel: Reel, lengths: tuple[int, int], rounds: int
) -> dict[str, Speed]:
    """Time every way at both lengths, in rounds."""
    commands: dict[str, list[str]] = {}
    out = reel.folder / "out.mp4"
    for place, length in enumerate(lengths):
        for way in ways:
            frames = (way.frames or lengths)[place]
            commands[f"{way.name}, {frames} frames"] = way.command(reel.of(length), out, frames)
    costs = interleaved(commands, rounds=rounds)
    return {way.name: speed_of(way.name, way.frames or lengths, costs) for way in ways}


def speed_of(name: str, lengths: tuple[int, int], costs: Mapping[str, Sequence[Cost]]) -> Speed:
    short, long = (costs[f"{name}, {frames} frames"] for frames in lengths)
    more = lengths[1] - lengths[0]
    frame = slopes(long, short, more)
    return Speed(
        frame=frame,
        cpu=slopes(long, short, more, cpu_of),
        start=start_up(short, frame, lengths[0]),
        peak=Figure(tuple(float(cost.peak) for cost in long)),
    )


def table_of_speeds(speeds: Mapping[str, Speed]) -> Iterator[str]:
    """The lines of a Markdown table, ffmpeg first."""
    base = speeds[FFMPEG]
    yield (
        "| | ms a frame | of ffmpeg's | CPU ms a frame | of ffmpeg's | start-up, s "
        "| peak memory, MiB |"
    )
    yield f"|---|{'---:|' * 6}"
    for name, speed in speeds.items():
        cells = [
            speed.frame.cell(1, 1000),
            over(speed.frame, base.frame).cell(),
            speed.cpu.cell(1, 1000),
            over(speed.cpu, base.cpu).cell(),
            speed.start.cell(1),
            f"{speed.peak.median / 2**20:.0f}",
        ]
        yield f"| {name} | {' | '.join(cells)} |"


def lengths_words(width: int, height: int, lengths: tuple[int, int], rounds: int) -> str:
    return (
        f"{width}x{height}; slopes between {lengths[0]} and {lengths[1]} frames; medians of "
        f"{rounds} rounds, ± half of what lies between the least and the greatest."
    )


def floors_of(name: str, case: Case, speeds: Mapping[str, Speed]) -> Iterator[Floor]:
    for way, limit in case.limits.items():
        ratio = over(speeds[way].frame, speeds[FFMPEG].frame)
        yield Floor(words=f"{name}: {way}, of ffmpeg's time", figure=ratio, at_most=limit)
    for way, gain in (case.gains or {}).items() if NAIVE in speeds else ():
        ratio = over(speeds[NAIVE].frame, speeds[way].frame)
        words = f"{name}: {way}, times faster than the naive loop"
        yield Floor(words=words, figure=ratio, at_least=gain, digits=1)


def draw(page: Path) -> None:
    """Each way's time as a share of ffmpeg's, as the page's tables have it, whenever that was
    measured; but the naive loop's, which is off every scale."""
    panels = {
        f"{name}, time a frame, of ffmpeg's": {
            way: figure_of(share)
            for way, _, share, *_ in table_in(page, f"speed-{name}")
            if way != NAIVE
        }
        for name in CASES
    }
    measured = {words: bars for words, bars in panels.items() if bars}
    draw_panels(page.parent / "pictures" / "performance-speed.png", measured, mark=1.0)


if __name__ == "__main__":
    sys.exit(main())
