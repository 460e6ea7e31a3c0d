"""The local runner as a library: events, damage, full disks, interrupts from within."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

from tests.clips import make_clip
from tests.jobs.helpers import FAST, SEGMENT_FRAMES, decoded, segment_stamps
from vidcolor.cli import run_arguments
from vidcolor.errors import JobError, OutputError
from vidcolor.frames import Segment
from vidcolor.jobs.damage import frames_missing
from vidcolor.jobs.events import Event, Meter, Progress, Started
from vidcolor.jobs.folder import Finished, folder_path
from vidcolor.jobs.local import Order, Outcome, run_film, unfinished_runs
from vidcolor.settings import Settings

ROOT = Path(__file__).parent.parent.parent
SETTINGS = Settings(model="standin", codec="ffv1", segment_seconds=0.5, threads=1)


@pytest.fixture
def order(tmp_path):
    film = make_clip(tmp_path / "film.mkv", frames=4 * SEGMENT_FRAMES)
    return Order(source=film, output=tmp_path / "film.color.mkv", settings=SETTINGS)


@pytest.fixture(autouse=True)
def no_thread_stays():
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive(), thread


def test_events_tell_the_story(order):
    events: list[Event] = []
    outcome = run_film(order, report=events.append)
    (started,) = [event for event in events if isinstance(event, Started)]
    assert (started.segments, started.segments_resumed, started.frames) == (4, 0, 48)
    progress = [event for event in events if isinstance(event, Progress)]
    for earlier, later in pairwise(p for p in progress if p.phase == "colorizing"):
        assert earlier.done <= later.done <= later.total
    assert (outcome.frames, outcome.frames_resumed, outcome.damaged) == (48, 0, 0)


def test_time_left_leaves_resumed_frames_out():
    event = Progress(phase="colorizing", done=1100, total=1200, fps=10.0, resumed=1000)
    assert event.seconds_left == 10.0
    assert Progress(phase="reading", done=0, total=0).seconds_left is None


def test_resumed_frames_dont_count_as_speed(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("vidcolor.jobs.events.time", SimpleNamespace(monotonic=lambda: now[0]))
    sent: list[Event] = []
    meter = Meter(sent.append, "colorizing", total=480, resumed=360)
    for second, done in ((0.01, 361), (2, 372), (2.05, 373), (4, 384)):
        now[0] = 100 + second
        meter.show(done)
    told = [event for event in sent if isinstance(event, Progress)]
    # Twelve frames in two seconds; what comes within a tenth of a second isn't told.
    assert [(event.done, event.fps, event.seconds_left) for event in told] == [
        (372, 6.0, 18.0),
        (384, 6.0, 16.0),
    ]
    assert {event.resumed for event in told} == {360}


def test_a_resume_tells_what_was_there(order):
    run_film(replace(order, keep_job=True))
    order.output.unlink()
    (folder_path(order.output) / "segments" / "00003.json").unlink()
    events: list[Event] = []
    outcome = run_film(order, report=events.append)
    last = [e for e in events if isinstance(e, Progress) and e.phase == "colorizing"][-1]
    assert (last.done, last.total, last.resumed) == (48, 48, 36)
    assert outcome.frames_resumed == 36


def test_who_decodes_is_no_part_of_a_job(order):
    run_film(replace(order, keep_job=True))
    order.output.unlink()
    outcome = run_film(replace(order, settings=replace(SETTINGS, gpu_decode=False)))
    assert outcome.frames_resumed == outcome.frames == 48


def test_an_error_in_the_callers_report_keeps_what_is_finished(order):
    class StopHereError(Exception):
        pass

    def report(event):
        if len(segment_stamps(order.output)) >= 2:
            raise StopHereError

    with pytest.raises(StopHereError):
        run_film(order, report=report)
    assert not order.output.exists()
    finished = segment_stamps(order.output)
    assert len(finished) >= 2
    outcome = run_film(order)
    assert outcome.frames_resumed >= 2 * SEGMENT_FRAMES


def test_an_encoder_that_fails_midway(order, monkeypatch):
    from vidcolor.media.write import SegmentWriter

    real, count = SegmentWriter.write, iter(range(20))

    def write(self, picture):
        if next(count, None) is None:
            raise OutputError("the disk went away.")
        real(self, picture)

    monkeypatch.setattr(SegmentWriter, "write", write)
    with pytest.raises(OutputError, match="went away"):
        run_film(order)
    monkeypatch.undo()
    assert not order.output.exists()
    # One picture went into the trial of the encoder.
    assert len(segment_stamps(order.output)) == 1
    assert run_film(order).frames_resumed == SEGMENT_FRAMES


def test_an_output_that_appears_meanwhile_is_left_alone(order):
    def report(event):
        if isinstance(event, Progress) and event.phase == "joining" and event.done == 0:
            order.output.write_text("somebody else's")

    with pytest.raises(OutputError, match="appeared"):
        run_film(order, report=report)
    assert order.output.read_text() == "somebody else's"
    again = replace(order, overwrite=True)
    assert run_film(again).frames_resumed == 48


def test_a_film_without_a_frame_in_a_stretch(tmp_path):
    """A picture that stands for seconds leaves no hole and no empty segment."""
    pts = [*range(0, 480, 40), *range(5000, 5480, 40)]
    film = make_clip(tmp_path / "film.mkv", pts=pts)
    output = tmp_path / "film.color.mkv"
    assert run_film(Order(source=film, output=output, settings=SETTINGS)).frames == 24
    assert [time for time, _ in decoded(output)] == pts


def test_the_same_segments_run_as_one_stream():
    segments = tuple(Segment(i, i * 10, i * 10 + 10) for i in range(6))
    done = {i: Finished(Path(), 1, (0,), (1,), "", "") for i in (0, 3)}
    groups = [[part.index for part in run] for run in unfinished_runs(segments, done)]
    assert groups == [[1, 2], [4, 5]]


def damage(film, output):
    """Copy a film with a stretch of its middle overwritten."""
    data = bytearray(film.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(b ^ 0x5A for b in data[middle : middle + 400])
    output.write_bytes(data)
    return output


def test_a_damaged_source_is_finished_with_exit_code_3(tmp_path, capsys):
    film = make_clip(tmp_path / "film.mkv", frames=48, options={"bf": "0"})
    damaged = damage(film, tmp_path / "damaged.mkv")
    code = run_arguments(["run", str(damaged), *FAST])
    assert code == 3, capsys.readouterr()
    assert "warning: the source is damaged" in capsys.readouterr().err
    assert len(decoded(tmp_path / "damaged.color.mkv")) > 24


def test_damage_is_remembered_over_a_resume(tmp_path):
    film = make_clip(tmp_path / "film.mkv", frames=48, options={"bf": "0"})
    damaged = damage(film, tmp_path / "damaged.mkv")
    order = Order(source=damaged, output=tmp_path / "out.mkv", settings=SETTINGS, keep_job=True)
    first = run_film(order).damaged
    assert first > 0
    order.output.unlink()
    assert run_film(order).damaged == first


def cut_short(film, path):
    """Copy a film into a container whose index stands first, and lose its second half."""
    whole = path.with_name("whole" + path.suffix)
    with (
        av.open(str(film)) as source,
        av.open(str(whole), "w", options={"movflags": "faststart"}) as out,
    ):
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_half_a_download_is_told(tmp_path, capsys, suffix):
    film = make_clip(tmp_path / "film.mkv", frames=96)
    short = cut_short(film, tmp_path / f"short{suffix}")
    code = run_arguments(["run", str(short), "-o", str(tmp_path / "out.mkv"), *FAST])
    err = capsys.readouterr().err
    assert code in (0, 3)
    assert "cut short" in err or "damaged" in err
    assert 24 < len(decoded(tmp_path / "out.mkv")) < 60


@pytest.mark.parametrize(
    ("expected", "made", "missing"),
    [(100, 100, 0), (100, 96, 0), (100, 95, 5), (10, 8, 0), (10, 7, 3), (90, 95, 0)],
)
def test_a_few_packets_may_show_nothing(expected, made, missing):
    assert frames_missing(expected, made) == missing
    assert Outcome(output=Path(), made=True, missing=missing).source_damaged == (missing > 0)


def test_a_source_that_changes_meanwhile_is_refused(order):
    def report(event):
        if isinstance(event, Progress) and event.phase == "joining" and event.done == 0:
            order.source.touch()

    with pytest.raises(JobError, match="was written to since"):
        run_film(order, report=report)
    assert not order.output.exists()


FULL = """
place=$1; shift
mount -t tmpfs -o size=160k tmpfs "$place" || exit 99
"$@"; echo "exit $?"; ls "$place"
mount -o remount,size=8m "$place"
"$@"; echo "exit $?"; ls "$place"
"""
"""A run on a disk too small for it, and the same run after room was made."""


def test_a_full_disk_is_one_sentence_and_resumable(order, tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    command = [sys.executable, "-m", "vidcolor", "run", order.source, "-o", place / "o.mkv", *FAST]
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", FULL, "full", place, *command],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_WAIT_POLICY": "PASSIVE"},
    )
    if "exit" not in done.stdout:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    lines = done.stdout.splitlines()
    assert lines[:2] == ["exit 1", "o.mkv.job"], done
    assert lines[-2:] == ["exit 0", "o.mkv"], done
    *foretold, said = done.stderr.splitlines()
    assert all("the disk may be too small" in line for line in foretold), done
    assert said.startswith("error: the disk is full")
