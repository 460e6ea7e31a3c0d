"""What commands cost, side by side: wall time, CPU time and peak memory, in interleaved rounds.

    rounds = interleaved({"ffmpeg": [...], "ours": [...]}, count=3)
    rounds["ours"][0].wall, rounds["ours"][0].peak
    rate = slopes(long["ours"], short["ours"], 480)     # seconds a frame, one value for each round
    ratio = over(rate, slopes(long["ffmpeg"], short["ffmpeg"], 480))
    ratio.median, ratio.spread

    round 1   ffmpeg short, ours short, ffmpeg long, ours long
    round 2   the same backwards
    round 3   as round 1

A machine has slow minutes; ways measured one after the other would each have their own. So all
ways are measured in each round, and compared within it. The slope between two lengths leaves out
imports, opening files and filling an encoder's look-ahead, which no film pays twice.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

LAUNCHER = """
import json, os, sys, time
words = sys.argv[1:]
began = time.monotonic()
child = os.posix_spawnp(words[0], words, os.environ)
_, status, usage = os.wait4(child, 0)
wall = time.monotonic() - began
code = os.waitstatus_to_exitcode(status)
print(json.dumps([code, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""
"""Stands between us and the command: a process's peak counts from what its parent held when it was
begun, and this parent holds next to nothing."""

PEAK_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes that ru_maxrss counts in."""


OF_THREADS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS")
"""What the shell may say of threads isn't passed on: each command has its own way."""


class CommandError(Exception):
    """A command that was to be timed failed; its words are the command's own."""


@dataclass(frozen=True)
class Cost:
    """What one run of a command took."""

    wall: float
    """Seconds."""

    cpu: float
    """Seconds of all its threads and children, user and system."""

    peak: int
    """Greatest resident memory, bytes."""

    said: str = ""
    """What it printed."""


@dataclass(frozen=True)
class Figure:
    """A figure measured several times."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def spread(self) -> float:
        """Half the distance between the greatest and the least."""
        return (max(self.values) - min(self.values)) / 2

    def cell(self, digits: int = 2, factor: float = 1.0) -> str:
        """Median and spread for a table, times `factor`."""
        return f"{self.median * factor:.{digits}f} ± {self.spread * factor:.{digits}f}"

    def map(self, change: Callable[[float], float]) -> Figure:
        return Figure(tuple(map(change, self.values)))


def figure_of(cell: str) -> Figure:
    """What `Figure.cell` has printed: `1.23 ± 0.08`."""
    middle, spread = (float(word) for word in cell.split("±"))
    return Figure((middle - spread, middle, middle + spread))


def cost_of(command: Sequence[str], *, timeout: float = 1800) -> Cost:
    """Run a command and wait for it. Raises CommandError when it fails or takes too long."""
    launcher = [sys.executable, "-I", "-S", "-c", LAUNCHER, *command]
    running = subprocess.Popen(
        launcher,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={name: value for name, value in os.environ.items() if name not in OF_THREADS},
    )
    try:
        out, err = running.communicate(timeout=timeout)
    except BaseException as error:
        # The launcher's child too, which knows nothing of our patience.
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise CommandError(f"{command_words(command)} took over {timeout:.0f} s") from error
        raise
    *said, last = out.splitlines() or [""]
    code, wall, cpu, peak = json.loads(last) if running.returncode == 0 else (1, 0.0, 0.0, 0)
    if code != 0:
        words = err.strip().splitlines()[-3:]
        raise CommandError(f"{command_words(command)} failed with {code}: {' '.join(words)}")
    return Cost(wall, cpu, peak * PEAK_UNIT, "\n".join(said))


def command_words(command: Sequence[str]) -> str:
    return " ".join(command)


def interleaved(
    commands: Mapping[str, Sequence[str]], *, rounds: int, report: bool = True
) -> dict[str, list[Cost]]:
    """Each command's cost in each round; every second round runs backwards."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for number in range(rounds):
        names = list(commands)
        for name in names if number % 2 == 0 else reversed(names):
            cost = cost_of(commands[name])
            costs[name].append(cost)
            if report:
                seconds = f"{cost.wall:.1f} s, {cost.cpu:.1f} s of CPU, {cost.peak / 2**20:.0f} MiB"
                print(f"round {number + 1} of {rounds}: {name}: {seconds}", file=sys.stderr)
    return costs


def slopes(
    long: Sequence[Cost],
    short: Sequence[Cost],
    frames: int,
    what: Callable[[Cost], float] = lambda cost: cost.wall,
) -> Figure:
    """Seconds per frame between two lengths that differ by `frames`, for each round."""
    pairs = zip(long, short, strict=True)
    return Figure(tuple((what(a) - what(b)) / frames for a, b in pairs))


def cpu_of(cost: Cost) -> float:
    return cost.cpu


def start_up(short: Sequence[Cost], slope: Figure, frames: int) -> Figure:
    """Seconds before the first frame and after the last, for each round: what a film of no frames
    would take, were time a straight line."""
    pairs = zip(short, slope.values, strict=True)
    return Figure(tuple(cost.wall - each * frames for cost, each in pairs))


def over(one: Figure, other: Figure) -> Figure:
    """The ratio of two figures, round by round."""
    return Figure(tuple(a / b for a, b in zip(one.values, other.values, strict=True)))
