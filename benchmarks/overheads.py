"""What vidcolor costs beside a film's pictures: its help, its bookkeeping, a preview, a kill.

    python benchmarks/overheads.py --short
    python benchmarks/overheads.py --into docs/performance.md

- `vidcolor --help`, from the shell's point of view.
- Bookkeeping: all that segments need beside their pictures (plan, markers, sums, fsync, join), by
  the clock of stage_clock.py, of a run's wall time.
- A preview from the middle of a two-hour film, after imports (see preview.py).
- A kill: frames that a run had made and the next one makes again.

Exits with 1 when a floor is missed by more than the spread.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from floors import Floor, code_of, table_of_floors
from pages import show
from preview import CLIP_SECONDS, timed
from speed_films import RATE, make_film, repeated
from speed_plots import draw_bars
from speed_ways import HERE, Reel, vidcolor
from stage_clock import BOOKKEEPING, ONCE
from timing import Figure, cost_of

from vidcolor.pipeline import REACH_FRAMES
from vidcolor.settings import Settings

HELP_SECONDS = 0.4
PREVIEW_SECONDS = 4.0
BOOKKEEPING_PERCENT = 1.0

FILMS = {"640x360": (640, 360, 1440), "1080p": (1920, 1080, 624)}
SHORT_FILMS = {"640x360": (640, 360, 720)}
"""Width, height and frames of the films whose bookkeeping is timed: the smaller the pictures, the
more of a run it is."""

KILLED_AT = 0.6
"""Share of a film's frames after which a run is killed."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="without previews, shorter films")
    parser.add_argument("--rounds", type=int, default=3, help="of everything (default 3)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--into", type=Path, help="a page whose tables are printed anew")
    options = parser.parse_args()
    rounds, threads = options.rounds, options.threads
    floors = [help_floor(2 * rounds + 1)]
    for name, film in (SHORT_FILMS if options.short else FILMS).items():
        results = bookkeeping(*film, rounds, threads)
        show(f"bookkeeping-{name}", list(table_of_bookkeeping(results)), options.into)
        floors.append(bookkeeping_floor(name, results))
    if not options.short:
        floors += preview_floors(rounds)
    floors.append(kill_floor(rounds, threads))
    show("overheads", list(table_of_floors(floors)), options.into)
    if options.into is not None:
        draw(floors, options.into.parent / "pictures" / "performance-overheads.png")
    return code_of(floors)


def draw(floors: Sequence[Floor], picture: Path) -> None:
    """Each figure as a share of its floor."""
    bars = {
        floor.words.replace("`", ""): Figure(
            tuple(value / floor.at_most for value in floor.figure.values)
        )
        for floor in floors
        if floor.at_most is not None
    }
    draw_bars(picture, bars, "of what it may take", mark=1.0)


def help_floor(runs: int) -> Floor:
    command = [sys.executable, "-m", "vidcolor", "--help"]
    cost_of(command)  # the first one reads from the disk
    figure = Figure(tuple(cost_of(command).wall for _ in range(runs)))
    return Floor(words="`vidcolor --help`", figure=figure, at_most=HELP_SECONDS, unit=" s")


# Bookkeeping


def bookkeeping(
    width: int, height: int, frames: int, rounds: int, threads: int
) -> list[dict[str, Any]]:
    """What stage_clock.py says of each run of a film."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        film = Reel(Path(folder), width, height, frames).whole
        result, out = Path(folder) / "times.json", Path(folder) / "out.mp4"
        for _ in range(rounds):
            command = vidcolor("balanced", threads).command(film, out, frames)
            words = command[command.index("run") :]
            cost_of([sys.executable, str(HERE / "stage_clock.py"), str(result), *words])
            results.append(json.loads(result.read_text(encoding="utf-8")))
    return results


def seconds_of(result: Mapping[str, Any], stage: str) -> float:
    """Wall seconds of the stages whose names begin so, all threads together."""
    return float(sum(wall for _, name, wall, _ in result["stages"] if name.startswith(stage)))


def table_of_bookkeeping(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The lines of a Markdown table."""
    yield "| | s | of the run |"
    yield "|---|---:|---:|"
    found = {name for result in results for _, name, *_ in result["stages"]}
    for stage in sorted(name for name in found if name.startswith(BOOKKEEPING)) + list(ONCE):
        seconds = Figure(tuple(seconds_of(result, stage) for result in results))
        share = Figure(tuple(100 * seconds_of(each, stage) / each["seconds"] for each in results))
        yield f"| {stage.removeprefix(BOOKKEEPING)} | {seconds.cell(3)} | {share.cell()} % |"


def bookkeeping_floor(name: str, results: Sequence[Mapping[str, Any]]) -> Floor:
    shares = (100 * seconds_of(result, BOOKKEEPING) / result["seconds"] for result in results)
    return Floor(
        words=f"bookkeeping, of the run, {name}",
        figure=Figure(tuple(shares)),
        at_most=BOOKKEEPING_PERCENT,
        unit=" %",
    )


# A preview


def preview_floors(rounds: int) -> Iterator[Floor]:
    """A preview from the middle of a two-hour film, by size."""
    for width, height in ((640, 480), (1280, 720)):
        with tempfile.TemporaryDirectory() as folder:
            frames = CLIP_SECONDS * RATE
            clip = make_film(Path(folder) / "clip.mp4", width, height, frames=frames)
            film = repeated(clip, Path(folder) / "film.mp4", 7200)
            seconds = Figure(tuple(timed(film, 3600, "compact")[1] for _ in range(rounds)))
        words = f"a preview from the middle of two hours of {width}x{height}, after imports"
        yield Floor(words=words, figure=seconds, at_most=PREVIEW_SECONDS, unit=" s")


# A kill


def kill_floor(rounds: int, threads: int) -> Floor:
    segment = round(Settings().segment_seconds * RATE)
    again: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        reel = Reel(Path(folder), 640, 360, 3 * segment)
        for number in range(rounds):
            out = Path(folder) / f"out{number}.mp4"
            way = vidcolor("balanced", threads, more=("--json",), like_long=False)
            command = way.command(reel.whole, out, reel.frames)
            made = killed(command, round(KILLED_AT * reel.frames))
            again.append(float(made - resumed(command)))
    words = f"frames made twice after a kill (segments of {segment}, margin {REACH_FRAMES})"
    most = segment + REACH_FRAMES
    return Floor(words=words, figure=Figure(tuple(again)), at_most=most, digits=0)


def killed(command: Sequence[str], frames: int) -> int:
    """Begin a run and kill it once it has made so many frames; how many it had made.

    Exits when it ends before that.
    """
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    try:
        for line in running.stdout:
            event = json.loads(line)
            if event.get("phase") == "colorizing" and event["done"] >= frames:
                return int(event["done"])
    finally:
        running.kill()
        running.wait()
        running.stdout.close()
    sys.exit(f"{' '.join(command)} ended before it had made {frames} frames")


def resumed(command: Sequence[str]) -> int:
    """Give the command again; how many frames it found made."""
    events = [json.loads(line) for line in cost_of(command).said.splitlines()]
    return max(int(event["resumed"]) for event in events if event.get("phase") == "colorizing")


if __name__ == "__main__":
    sys.exit(main())
