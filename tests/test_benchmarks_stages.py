"""The clock on vidcolor's stages: the names it needs are there, and it counts right."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import stage_clock

from tests.clips import make_clip

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "stage_clock.py"


@pytest.mark.parametrize("name", [each for names in stage_clock.PROBES.values() for each in names])
def test_what_it_puts_a_clock_on_is_there(name):
    _, _, original = stage_clock.found(name)
    assert callable(original)


@pytest.mark.parametrize(
    "name",
    [
        "vidcolor.pipeline:Colorizer.gone",
        "vidcolor.pipeline:gone",
        "vidcolor.gone:f",
        "vidcolor.jobs.folder:JobFolder.hold",
    ],
)
def test_what_is_gone_is_told(name):
    with pytest.raises(stage_clock.GoneError, match="give its stage the function's new name"):
        stage_clock.found(name)


@pytest.fixture
def clock(monkeypatch):
    """A clock whose time passes only when `pass_time` is called."""
    clock = StoodClock()
    monkeypatch.setattr("stage_clock.time.perf_counter", lambda: clock.now[0])
    monkeypatch.setattr("stage_clock.time.thread_time", lambda: clock.now[1])
    return clock


class StoodClock(stage_clock.Clock):
    """Its times are what was passed."""

    def __init__(self):
        super().__init__()
        self.now = 0.0, 0.0

    def pass_time(self, wall, cpu):
        self.now = self.now[0] + wall, self.now[1] + cpu


def spent(clock):
    """Wall and CPU seconds by stage, of this thread."""
    name = threading.current_thread().name
    assert {thread for thread, _ in clock.wall} == {name}
    return {stage: (wall, clock.cpu[name, stage]) for (_, stage), wall in clock.wall.items()}


def test_a_stages_time_leaves_out_the_stages_it_calls(clock):
    inner = clock.timed(lambda: clock.pass_time(2, 1), "inner")

    def outer():
        clock.pass_time(1, 1)
        inner()
        clock.pass_time(4, 0)

    with clock.stage("the rest"):
        clock.pass_time(8, 8)
        clock.timed(outer, "outer")()
    assert spent(clock) == {"inner": (2, 1), "outer": (5, 1), "the rest": (8, 8)}


def test_a_generator_is_timed_while_it_makes_values(clock):
    closed = []

    def source():
        try:
            while True:
                clock.pass_time(1, 1)
                yield 5
        finally:
            closed.append(True)

    with clock.stage("the rest"):
        values = clock.timed(source, "source")()
        for _ in range(3):
            assert next(values) == 5
            clock.pass_time(10, 0)
        values.close()
    assert closed
    assert spent(clock) == {"source": (3, 3), "the rest": (30, 0)}


def test_what_is_paid_once_swallows_what_it_calls(clock):
    inner = clock.timed(lambda: clock.pass_time(2, 1), "decode")
    clock.timed(lambda: inner(), stage_clock.ONCE[0])()
    assert spent(clock) == {stage_clock.ONCE[0]: (2, 1)}


def test_an_error_ends_its_stage(clock):
    def broken():
        clock.pass_time(1, 0)
        raise ValueError

    with clock.stage("the rest"):
        with pytest.raises(ValueError):  # noqa: PT011
            clock.timed(broken, "broken")()
        clock.pass_time(3, 0)
    assert spent(clock) == {"broken": (1, 0), "the rest": (3, 0)}


def test_a_run_is_accounted_for(tmp_path):
    """In a process of its own, since the clock stays on whatever it was put on."""
    film = make_clip(tmp_path / "film.mp4", frames=30, cuts=(15,))
    times, out = tmp_path / "times.json", tmp_path / "out.mp4"
    words = ["run", str(film), "-o", str(out), "--model", "standin", "--threads", "1"]
    command = [sys.executable, str(SCRIPT), str(times), *words, "--segment-seconds", "0.5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert out.is_file()
    result = json.loads(times.read_text())
    stages = {stage for _, stage, *_ in result["stages"]}
    optional = {"titles", "load the network"}
    assert set(stage_clock.PROBES) - optional <= stages | {"bookkeeping: sums"}
    by_thread: dict[str, float] = {}
    for thread, _, wall, cpu in result["stages"]:
        assert wall >= -1e-6
        assert cpu >= -1e-6
        by_thread[thread] = by_thread.get(thread, 0.0) + wall
    assert by_thread["MainThread"] == pytest.approx(result["seconds"], rel=0.05)
    assert all(total <= result["seconds"] * 1.05 for total in by_thread.values())
