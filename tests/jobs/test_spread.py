"""A film on several devices: the same film, whatever happens to the processes that make it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from itertools import chain

import pytest

from tests.clips import make_clip
from tests.jobs import driver
from tests.jobs.helpers import FAST, SEGMENT_FRAMES, process, segment_stamps
from vidcolor.cli import run_arguments
from vidcolor.errors import OutputError
from vidcolor.frames import Segment
from vidcolor.jobs.folder import folder_path
from vidcolor.jobs.local import Order, run_film
from vidcolor.jobs.spread import Shares
from vidcolor.jobs.worker import portable
from vidcolor.settings import Settings

SEGMENTS = 10
TWO = (*FAST, "--device", "cpu,cpu")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    return make_clip(folder / "film.mkv", frames=SEGMENTS * SEGMENT_FRAMES, cuts=(31,))


@pytest.fixture(autouse=True)
def nothing_stays():
    """No thread of a run outlives it."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive(), thread


@pytest.fixture
def workers(monkeypatch):
    """The processes started for workers."""
    started, real = [], subprocess.Popen

    def popen(*args, **options):
        started.append(real(*args, **options))
        return started[-1]

    monkeypatch.setattr("vidcolor.jobs.spread.subprocess.Popen", popen)
    return started


def contents(output):
    """Every segment and marker in the output's job folder."""
    return {path.name: path.read_bytes() for path in (folder_path(output) / "segments").iterdir()}


def interrupted_at(frames, command, number, *, everyone):
    """Start the command, send it a signal once so many frames are made; what became of it."""
    with process("slow", *command, "--json") as slow:
        assert slow.stdout is not None
        for line in slow.stdout:
            if json.loads(line).get("done", 0) - json.loads(line).get("resumed", 0) > frames:
                break
        (os.killpg if everyone else os.kill)(slow.pid, number)
        # Their stderr is the workers', too: it ends when the last of them has.
        return slow.communicate(timeout=30)[1], slow.returncode


def test_killed_in_every_way_it_goes_on_to_the_same_film(
    film, tmp_path, capfd, monkeypatch, workers
):
    """About 12 s: four starts of two processes that import torch."""
    whole, output = tmp_path / "whole.mkv", tmp_path / "film.color.mkv"
    assert run_arguments(["run", str(film), "-o", str(whole), *FAST, "--keep-job"]) == 0
    assert not workers, "one device needs no other process"
    command = ["run", str(film), "-o", str(output), *TWO]

    # A worker is killed, as where memory runs out.
    with monkeypatch.context() as patch:
        patch.setattr("vidcolor.jobs.spread.START", driver.in_workers("at picture 30"))
        assert run_arguments(command) == 1
    assert capfd.readouterr().err == (
        "error: the process at work on cpu was killed (SIGKILL), perhaps for lack of memory; "
        "finished segments are kept: give the same command again to go on.\n"
    )
    assert [each.poll() for each in workers] == [-signal.SIGKILL] * 2
    kept = segment_stamps(output)
    assert 1 <= len(kept) < SEGMENTS

    # The others are those of another job.
    assert run_arguments([*command, "--device", "cpu"]) == 1
    assert "with a difference: device cpu,cpu -> cpu." in capfd.readouterr().err
    assert run_arguments([*command, "--dry-run"]) == 0
    planned = capfd.readouterr().out
    assert f"{len(kept)} of {SEGMENTS} segments finished" in planned
    assert " on cpu,cpu, " in planned
    assert "s on cpu alone: " in planned

    # All is killed at one end: the workers notice.
    said, code = interrupted_at(SEGMENT_FRAMES, command, signal.SIGKILL, everyone=False)
    assert (said, code) == ("", -signal.SIGKILL)

    # Ctrl-C reaches everyone who was started from a terminal.
    said, code = interrupted_at(2, command, signal.SIGINT, everyone=True)
    assert said == "interrupted; give the same command again to go on where it was.\n"
    assert code == 130
    assert not output.exists()
    kept = segment_stamps(output)

    workers.clear()
    assert run_arguments([*command, "--json", "--keep-job"]) == 0
    assert [each.poll() for each in workers] == [0, 0]
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    (started,) = [event for event in events if event["event"] == "started"]
    assert started["segments_resumed"] == len(kept)
    assert " on cpu,cpu, " in started["engine"]
    done = [event["done"] for event in events if event.get("phase") == "colorizing"]
    assert done == sorted(done)
    assert done[-1] == SEGMENTS * SEGMENT_FRAMES
    assert kept.items() <= segment_stamps(output).items(), "a finished segment was made twice"
    assert contents(output) == contents(whole)
    assert output.read_bytes() == whole.read_bytes()


def test_what_fails_over_there_is_raised_here(film, tmp_path, monkeypatch, caplog, workers):
    monkeypatch.setattr("vidcolor.jobs.spread.START", driver.in_workers("full at picture 5"))
    settings = Settings(
        model="standin", codec="ffv1", segment_seconds=0.5, threads=1, device="cpu,cpu"
    )
    order = Order(source=film, output=tmp_path / "film.color.mkv", settings=settings)
    with pytest.raises(OutputError) as raised:
        run_film(order)
    assert str(raised.value) == "the disk went away."
    assert "in counted" in "".join(raised.value.__notes__), "where it happened over there"
    assert None not in [each.poll() for each in workers]
    assert [record.getMessage() for record in caplog.records] == ["the source is damaged."]
    assert not order.output.exists()


def test_errors_that_cant_be_sent_keep_their_words():
    class Odd(Exception):  # noqa: N818
        pass

    for error in (Odd("so it is"), OSError(28, "No space left", "film.mkv")):
        sent = portable(error)
        assert str(error) in str(sent)
        assert sent.__notes__
    assert isinstance(sent, OSError)
    assert sent.filename == "film.mkv"


def runs(*lengths):
    """Runs of consecutive segments, a finished one between them."""
    at, made = 0, []
    for length in lengths:
        made.append([Segment(index, index, index + 1) for index in range(at, at + length)])
        at += length + 1
    return made


def dealt(shares):
    return [[part.index for part in share] for share in iter(shares.next, None)]


def test_shares_are_long_first_and_short_at_last():
    shares = dealt(Shares(runs(40), 2, even=False))
    assert [len(share) for share in shares] == [10, 8, 6, 4, 3, 3, 2, 1, 1, 1, 1]
    assert [*chain.from_iterable(shares)] == list(range(40))


def test_shares_never_reach_over_what_is_finished():
    assert dealt(Shares(runs(3, 1, 2), 1, even=False)) == [[0, 1, 2], [4], [6], [7]]


def test_a_film_that_is_read_from_its_beginning_is_dealt_out_once():
    shares = dealt(Shares(runs(11), 3, even=True))
    assert [len(share) for share in shares] == [4, 4, 3]
    assert dealt(Shares([], 3, even=True)) == []


def test_fewer_segments_than_devices():
    assert dealt(Shares(runs(2), 8, even=False)) == [[0], [1]]
