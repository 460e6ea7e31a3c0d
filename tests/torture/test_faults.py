"""Everything else that can befall a job: each is said in one sentence, and gone on from.

Each fault is met once or a few times; those whose place is drawn, hundreds of times in the long
versions, which print what they counted.
"""

# ruff: noqa: T201 - counts are for whoever runs the long suite

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clips import make_clip
from tests.torture.jobs import SEGMENT_FRAMES, Ended, Place, Whole
from vidcolor import __version__

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="runs are forked, and watched in /proc"
)

SEGMENTS = 6

NOBODY = 65534
"""A user who owns nothing."""

SAY = "give the same command again"


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    frames = SEGMENTS * SEGMENT_FRAMES
    return make_clip(path, frames=frames, width=64, height=36, gop=6, audio=True)


@pytest.fixture(scope="module")
def whole(film, tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("whole"), film)
    assert place.start().wait().code == 0
    return Whole(place.output)


@pytest.fixture
def place(film, tmp_path):
    return Place(tmp_path, film)


def sentence(ended: Ended) -> str:
    """What was said with exit code 1: one sentence in one line, and no more."""
    assert ended.code == 1, ended
    (line,) = ended.said.splitlines()
    assert line.startswith("error: "), line
    assert "Traceback" not in line
    return line.removeprefix("error: ")


def finish(place: Place, whole: Whole, *, making: set[int] | None = None) -> None:
    """The same command makes the same film, and of its segments just those not yet finished."""
    finished = place.finished()
    ended = place.start().wait()
    assert (ended.code, ended.said) == (0, "")
    made = set(place.board.opened)
    assert made == (set(range(SEGMENTS)) - finished if making is None else making)
    place.check_finished(whole)


def joining(place: Place) -> None:
    """Kill a run when all segments are finished."""
    assert place.start(faults=[("at", "join", 1)]).wait().code == -9
    assert place.finished() == set(range(SEGMENTS))


# Threads, the encoder, the device


@pytest.mark.parametrize("name", ["decode", "analysis", "encoder"])
def test_a_thread_that_raises(place, whole, name):
    ended = place.start(faults=[("thread", name, 20)], quick=False).wait()
    assert sentence(ended) == (
        f"this is a bug in vidcolor (RuntimeError: the {name} thread burst); --debug shows where, "
        "please report it."
    )
    place.check_after_kill(whole)
    finish(place, whole)


def test_an_encoder_that_gives_up(place, whole):
    said = sentence(place.start(faults=[("encoder", 20)], quick=False).wait())
    assert said == (
        f"libx264 failed in the middle of {place.job}/segments/00003.part.mkv (Generic error in an "
        "external library); finished segments are kept: give the same command again to go on."
    )
    place.check_after_kill(whole)
    assert place.finished()
    finish(place, whole)


def test_a_device_without_memory(place, whole):
    said = sentence(place.start(faults=[("memory", 5)], quick=False).wait())
    assert "ran out of memory" in said
    assert "--batch" in said
    finish(place, whole)


# The disk


@contextlib.contextmanager
def small_disk(kib: int) -> Iterator[Path]:
    """A file system of so many KiB; skips the test where none may be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="vidcolor-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "vidcolor", str(folder)]
    try:
        try:
            done = subprocess.run(mount, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("there is no mount here")
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    finally:
        folder.rmdir()


@pytest.mark.parametrize(
    ("where", "finished"),
    [("plan", 0), ("segment", 2), ("picture", 1), ("marker", 2), ("join", SEGMENTS)],
)
def test_a_disk_that_fills(film, whole, tmp_path, where, finished):
    with small_disk(2048) as disk:
        place = Place(tmp_path, film, folder=disk / "films")
        full = ("full", where, str(disk))
        said = sentence(place.start(faults=[full], quick=False).wait())
        assert "the disk is full" in said
        assert SAY in said or "run the same command again" in said
        assert len(place.finished()) == finished
        place.check_after_kill(whole)
        left = [path for path in place.folder.rglob("*.part*") if path != place.output]
        assert not left, f"on the full disk stays {left}"
        # As long as it is full, the same again.
        again = sentence(place.start().wait())
        assert "make room" in again or "free some space" in again
        (disk / "ballast").unlink()
        finish(place, whole)


@pytest.fixture
def open_folder():
    """A folder that everybody may use, as a test's own may not be."""
    folder = Path(tempfile.mkdtemp(prefix="vidcolor-open-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("where", ["segment", "marker", "join"])
def test_a_job_that_may_not_be_written_any_more(film, whole, open_folder, where):
    reel = open_folder / "film.mkv"
    shutil.copy2(film, reel)
    place = Place(open_folder, reel)
    for path in (place.folder, *place.folder.parent.rglob("*")):
        path.chmod(0o777)
    said = sentence(place.start(faults=[("unwritable", where)], user=NOBODY, quick=False).wait())
    assert str(place.job) in said
    assert "may not be written to" in said or "Permission denied" in said
    assert len(place.finished()) == (SEGMENTS if where == "join" else 2)
    place.check_after_kill(whole)
    assert "may not be written to" in sentence(place.start(user=NOBODY).wait())
    for path in (place.job, place.job / "segments"):
        path.chmod(0o700)
    finished = place.finished()
    ended = place.start(user=NOBODY).wait()
    assert (ended.code, ended.said) == (0, "")
    assert not place.begun_again(finished)
    place.check_finished(whole)


# Two at once


def two_at_once(place: Place, whole: Whole, rng: random.Random) -> str:
    """Start the command twice, the second at any moment of the first; returns what became of it."""
    first = place.start()
    when = rng.choice(("at the same moment", "while it works", "as it ends"))
    if when == "as it ends":
        first.reach("join")
        first.pause(rng.uniform(0, 0.05))
    elif when == "while it works":
        first.pause(rng.uniform(0, 0.5))
    board = place.other_board()
    second = place.start(board=board)
    codes = []
    for ended in (first.wait(), second.wait()):
        if ended.code:
            said = sentence(ended)
            assert re.search(r"another process( \(pid \d+\))? is working on", said), said
        codes.append(ended.code)
    assert 0 in codes, "neither made the film"
    assert not (place.board.opened.keys() & board.opened.keys()), "a segment was made by both"
    made_by_both = len(place.board.opened) + len(board.opened)
    board.close()
    assert made_by_both == SEGMENTS
    place.check_finished(whole)
    return "refused" if 1 in codes else "left alone"


def test_two_at_once(film, whole, tmp_path):
    rng = random.Random(3)
    for number in range(2):
        two_at_once(Place(tmp_path / str(number), film), whole, rng)


@pytest.mark.torture
def test_many_times_two_at_once(film, whole, tmp_path):
    """About a minute."""
    rng, became = random.Random(4), Counter[str]()
    for number in range(60):
        became[two_at_once(Place(tmp_path / str(number), film), whole, rng)] += 1
    print(f"\n{became.total()} jobs started twice; the one that came late: {dict(became)}")
    assert all(became[what] for what in ("refused", "left alone"))


# Files changed between runs


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << (at % 8)
    path.write_bytes(data)


def damaged_between_runs(place: Place, whole: Whole, rng: random.Random) -> str:
    """Damage one file of a job whose segments are all there; returns what was done."""
    joining(place)
    number = rng.randrange(SEGMENTS)
    kind = rng.choice(("segment", "marker"))
    suffix = {"segment": ".mkv", "marker": ".json"}[kind]
    path = place.job / "segments" / f"{number:05d}{suffix}"
    size = path.stat().st_size
    how = rng.choice(("a byte changed", "a byte changed", "cut short", "emptied", "gone"))
    if how == "a byte changed":
        flip(path, rng.randrange(size))
    elif how == "gone":
        path.unlink()
    else:
        os.truncate(path, rng.randrange(1, size) if how == "cut short" else 0)
    finish(place, whole, making={number})
    return f"{kind}, {how}"


def test_a_file_of_the_job_damaged_between_runs(film, whole, tmp_path):
    rng = random.Random(11)
    for number in range(3):
        damaged_between_runs(Place(tmp_path / str(number), film), whole, rng)


@pytest.mark.torture
def test_many_files_damaged_between_runs(film, whole, tmp_path):
    """About a minute."""
    rng, done = random.Random(12), Counter[str]()
    for number in range(80):
        done[damaged_between_runs(Place(tmp_path / str(number), film), whole, rng)] += 1
    print(f"\n{done.total()} files damaged between runs, that segment alone made again:")
    for what, count in sorted(done.items()):
        print(f"  {what:<24}{count:>4}")


def job_file_damaged(place: Place, whole: Whole, rng: random.Random) -> str:
    """Damage job.json of a job whose segments are all there: refused, or none the worse."""
    joining(place)
    path = place.job / "job.json"
    if rng.random() < 0.3:
        os.truncate(path, rng.randrange(path.stat().st_size))
    else:
        flip(path, rng.randrange(path.stat().st_size))
    ended = place.start().wait()
    if ended.code == 0:
        assert ended.said == ""
        assert not place.board.opened
        place.check_finished(whole)
        return "none the worse"
    said = sentence(ended)
    assert "begin anew with --restart" in said or "--restart to begin anew" in said, said
    place.check_after_kill(whole)
    assert not place.output.exists()
    assert place.finished() == set(range(SEGMENTS)), "something was deleted without being asked"
    assert place.start("--restart").wait().code == 0
    place.check_finished(whole)
    return "refused"


def test_a_damaged_plan(film, whole, tmp_path):
    rng = random.Random(21)
    for number in range(2):
        job_file_damaged(Place(tmp_path / str(number), film), whole, rng)


@pytest.mark.torture
def test_many_damaged_plans(film, whole, tmp_path):
    """About a minute."""
    rng, became = random.Random(22), Counter[str]()
    for number in range(50):
        became[job_file_damaged(Place(tmp_path / str(number), film), whole, rng)] += 1
    print(f"\n{became.total()} plans damaged: {dict(became)}")
    assert became["refused"]


@pytest.mark.parametrize("change", ["a byte in the middle", "its time alone"])
def test_a_source_that_changed_between_runs(film, whole, tmp_path, change):
    reel = tmp_path / "film.mkv"
    shutil.copy2(film, reel)
    place = Place(tmp_path, reel)
    joining(place)
    stamp, data = reel.stat(), reel.read_bytes()
    if change == "its time alone":
        os.utime(reel, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 10**9))
        what = "the source was written to since"
    else:
        flip(reel, len(data) // 2)
        os.utime(reel, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        what = "the source holds other bytes than it did"
    said = sentence(place.start().wait())
    assert what in said
    assert "--restart" in said
    assert place.finished() == set(range(SEGMENTS))
    reel.write_bytes(data)
    os.utime(reel, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    finish(place, whole)


@pytest.mark.parametrize(("old", "new"), [("0.0.1", __version__), (__version__, "99.0.0")])
def test_another_version_of_the_program(place, whole, old, new):
    assert place.start(faults=[("version", old), ("at", "marker", 4)]).wait().code == -9
    finished = place.finished()
    assert len(finished) == 3
    said = sentence(place.start(faults=[("version", new)]).wait())
    assert f"vidcolor {old} -> {new}" in said
    assert "--restart" in said
    assert place.finished() == finished
    ended = place.start(faults=[("version", old)]).wait()
    assert ended.code == 0
    assert not place.begun_again(finished)


def test_a_layout_of_the_future(place, whole):
    joining(place)
    path = place.job / "job.json"
    held = path.read_text()
    path.write_text(json.dumps(json.loads(held) | {"format": 2}))
    said = sentence(place.start().wait())
    assert "has the layout 2 where this vidcolor knows 1" in said
    assert "--restart" in said
    path.write_text(held)
    finish(place, whole)
