"""Where a frame's time goes: wall and CPU milliseconds by stage, and which thread waits for which.

    python benchmarks/stage_times.py                            # 1080p and 2160p
    python benchmarks/stage_times.py --case 1080p --preset fast
    python benchmarks/stage_times.py --into docs/performance.md

stage_clock.py puts a clock on vidcolor's functions from outside. CPU time of threads that FFmpeg,
x264, torch and OpenCV start for themselves stands in rows of its own; together the rows are the
process's CPU time, but for what a thread took just before it ended.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from pages import show
from speed_plots import draw_stack
from speed_ways import HERE, Reel, vidcolor
from stage_clock import BOOKKEEPING, ONCE, PROBES, REST, WAITING
from timing import Figure, cost_of

CASES = {"1080p": (1920, 1080, 288), "2160p": (3840, 2160, 96)}
"""Width, height and frames."""

HELPERS = {
    "decode": "decode: FFmpeg's own threads",
    "main": "network: torch's and OpenCV's own threads",
    "encoder": "encode: x264's own threads",
}
"""What threads that libraries start are for, by the thread that started them."""

OTHERS = "other threads"


@dataclass(frozen=True)
class Times:
    """One run, milliseconds a frame."""

    wall: Mapping[str, float]
    """By stage; waiting left out."""

    cpu: Mapping[str, float]
    """By stage, and by HELPERS."""

    busy: Mapping[str, float]
    """By thread: in any stage but waiting."""

    waiting: Mapping[str, float]
    """By thread."""

    total_cpu: float
    seconds: float
    """Wall time of the run, not of a frame."""

    once: Mapping[str, float]
    """Wall milliseconds of the stages in ONCE, not of a frame."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", action="append", choices=CASES, help="repeatable (default all)")
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each film (default 3)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--into", type=Path, help="a page whose tables are printed anew")
    options = parser.parse_args()
    stacks: dict[str, Mapping[str, float]] = {}
    for name in options.case or CASES:
        runs = measured(*CASES[name], options.preset, options.rounds, options.threads)
        frames = CASES[name][2]
        words = f"{name}, {options.preset}, {frames} frames, medians of {options.rounds} runs."
        show(f"stages-{name}", [*table_of_stages(runs), "", words], options.into)
        show(f"threads-{name}", list(table_of_threads(runs)), options.into)
        stacks[name] = stack_of(runs)
    if options.into is not None:
        words = "of a frame's CPU time, percent"
        draw_stack(options.into.parent / "pictures" / "performance-stages.png", stacks, words)
    return 0


def measured(
    width: int, height: int, frames: int, preset: str, rounds: int, threads: int
) -> list[Times]:
    """Runs of one film."""
    with tempfile.TemporaryDirectory() as folder:
        film = Reel(Path(folder), width, height, frames).whole
        result, out = Path(folder) / "times.json", Path(folder) / "out.mp4"
        program = [sys.executable, str(HERE / "stage_clock.py"), str(result)]
        command = vidcolor(preset, threads).command(film, out, frames)
        words = command[command.index("run") :]
        runs = []
        for number in range(rounds):
            cost_of([*program, *words])
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            runs.append(times_of(json.loads(result.read_text(encoding="utf-8")), frames))
    return runs


def times_of(result: Mapping[str, Any], frames: int) -> Times:
    """What stage_clock.py wrote, by the frame."""
    wall: dict[str, float] = defaultdict(float)
    cpu: dict[str, float] = defaultdict(float)
    busy: dict[str, float] = defaultdict(float)
    waiting: dict[str, float] = defaultdict(float)
    once: dict[str, float] = defaultdict(float)
    for thread, stage, seconds, cpu_seconds in result["stages"]:
        each = seconds * 1000 / frames
        if stage in ONCE:
            once[stage] += seconds * 1000
        elif stage == WAITING:
            waiting[thread] += each
        else:
            busy[thread] += each
            wall[stage] += each
        cpu[stage] += cpu_seconds * 1000 / frames
    for name, seconds in result["helpers"].items():
        cpu[HELPERS.get(name, OTHERS)] += seconds * 1000 / frames
    return Times(wall, cpu, busy, waiting, result["cpu"] * 1000 / frames, result["seconds"], once)


def table_of_stages(runs: Sequence[Times]) -> Iterator[str]:
    """The lines of a Markdown table, in the order of a frame's way."""
    yield "| stage | ms a frame | CPU ms a frame | of all CPU |"
    yield "|---|---:|---:|---:|"
    total = Figure(tuple(run.total_cpu for run in runs))
    for stage in shown_stages():
        wall, cpu = (
            Figure(tuple(times.get(stage, 0.0) for times in each))
            for each in ([run.wall for run in runs], [run.cpu for run in runs])
        )
        if wall.median < LEAST and cpu.median < LEAST:
            continue
        cell = "" if stage not in PROBES and stage != REST else wall.cell()
        share = f"{100 * cpu.median / total.median:.1f} %"
        yield f"| {stage} | {cell} | {cpu.cell()} | {share} |"
    once = Figure(tuple(sum(run.cpu.get(stage, 0.0) for stage in ONCE) for run in runs))
    share = f"{100 * once.median / total.median:.1f} %"
    yield f"| once for a film ({', '.join(ONCE)}) | | {once.cell()} | {share} |"
    yield f"| all | | {total.cell()} | |"


def shown_stages() -> Iterator[str]:
    """In the order of a frame's way, each before what libraries do for it."""
    helpers = {name.split(":")[0]: name for name in HELPERS.values()}
    for stage in (stage for stage in PROBES if stage not in ONCE):
        yield stage
        if stage in helpers:
            yield helpers[stage]
    yield from (REST, OTHERS)


LEAST = 0.005
"""Milliseconds a frame under which a stage isn't shown."""


def table_of_threads(runs: Sequence[Times]) -> Iterator[str]:
    """The lines of a Markdown table: the thread that never waits is the one that holds up all."""
    yield "| thread | works, ms a frame | waits for another, ms a frame |"
    yield "|---|---:|---:|"
    for thread in sorted({name for run in runs for name in run.busy}):
        busy = Figure(tuple(run.busy.get(thread, 0.0) for run in runs))
        waiting = Figure(tuple(run.waiting.get(thread, 0.0) for run in runs))
        yield f"| {thread} | {busy.cell()} | {waiting.cell()} |"


def stack_of(runs: Sequence[Times]) -> dict[str, float]:
    """Percent of the CPU time by stage, what is paid once left out and bookkeeping in one."""
    stack: dict[str, float] = defaultdict(float)
    for stage in shown_stages():
        part = median(run.cpu.get(stage, 0.0) for run in runs)
        stack["bookkeeping" if stage.startswith(BOOKKEEPING) else stage] += part
    total = sum(stack.values())
    return {stage: 100 * part / total for stage, part in stack.items()}


if __name__ == "__main__":
    sys.exit(main())
