"""The job folder: the marker is the truth, nothing foreign is touched, nobody else gets in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from vidcolor import locks
from vidcolor.errors import JobError, OutputError
from vidcolor.frames import Segment
from vidcolor.jobs import durable
from vidcolor.jobs.folder import Job, JobFolder, folder_path, holds_job, output_of
from vidcolor.jobs.identity import Identity, differences, source_fingerprint

SEGMENTS = (Segment(0, 0, 100), Segment(1, 100, 200))
SOURCE = {"size": 5, "mtime_ns": 1_000_000_000, "sha256_ends": "ab"}
IDENTITY: Identity = {"source": SOURCE, "settings": {"threads": 0}, "encoder": {"crf": 17}}
JOB = Job(IDENTITY, SEGMENTS, (3, 3))


@pytest.fixture
def output(tmp_path):
    return tmp_path / "film.color.mp4"


def finish(folder, segment, data=b"pictures", extradata="e1"):
    folder.temporary(segment).write_bytes(data)
    record = SimpleNamespace(
        frames=3, pts=[0, 40, 80], durations=[40, 40, 40], extradata_sha256=extradata
    )
    return folder.commit(segment, record, damaged=(record.pts[0],), repeated=record.pts[1:2])


def test_what_is_committed_is_found_again(output):
    with JobFolder.hold(output) as folder:
        folder.write_job(JOB)
        done = finish(folder, SEGMENTS[0])
    with JobFolder.hold(output) as folder:
        assert folder.read_job() == JOB
        assert folder.finished(SEGMENTS[0]) == done
        assert done.path.read_bytes() == b"pictures"
        assert folder.finished(SEGMENTS[1]) is None


def test_a_segment_without_a_frame_is_finished_too(output):
    with JobFolder.hold(output) as folder:
        folder.write_job(JOB)
        folder.commit(SEGMENTS[0], None)
        done = folder.finished(SEGMENTS[0])
    assert done is not None
    assert (done.frames, done.damaged, done.repeated) == (0, (), ())


def change_byte(path):
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)


def change_time(path):
    marker = path.with_suffix(".json")
    marker.write_text(marker.read_text().replace("[0, 40, 80]", "[0, 48, 80]"))


def cut_marker(path):
    marker = path.with_suffix(".json")
    marker.write_text(marker.read_text()[:-20])


@pytest.mark.parametrize(
    "damage",
    [
        change_byte,
        cut_marker,
        change_time,
        lambda path: path.unlink(),
        lambda path: path.with_suffix(".json").unlink(),
        lambda path: path.with_suffix(".json").write_text("[]"),
        lambda path: path.with_suffix(".json").write_text("{}"),
    ],
)
def test_a_damaged_segment_isnt_finished(output, damage):
    with JobFolder.hold(output) as folder:
        folder.write_job(JOB)
        damage(finish(folder, SEGMENTS[0]).path)
        assert folder.finished(SEGMENTS[0]) is None


def test_another_codec_header_is_refused(output):
    with JobFolder.hold(output) as folder:
        folder.write_job(JOB)
        finish(folder, SEGMENTS[0])
        with pytest.raises(JobError, match="codec header"):
            finish(folder, SEGMENTS[1], extradata="e2")
    with JobFolder.hold(output) as folder:
        folder.finished(SEGMENTS[0])
        with pytest.raises(JobError, match="codec header"):
            finish(folder, SEGMENTS[1], extradata="e2")


def test_half_written_files_are_swept_and_finished_ones_stay(output):
    with JobFolder.hold(output) as folder:
        folder.write_job(JOB)
        done = finish(folder, SEGMENTS[0])
        left = folder.temporary(SEGMENTS[1]), folder.joined(output)
        for path in left:
            path.write_bytes(b"half")
        folder.sweep()
        assert not any(path.exists() for path in left)
        assert folder.finished(SEGMENTS[0]) == done


def test_what_a_killed_join_left_is_swept(output):
    with JobFolder.hold(output) as folder:
        folder.write_job(JOB)
        # The folder of the program that converts subtitles.
        texts = folder.joined(output).with_name(f"{folder.joined(output).name}.subtitles-ab12")
        texts.mkdir()
        (texts / "subtitles.mp4").touch()
        folder.sweep()
        assert not texts.exists()
        assert folder.read_job() == JOB


def test_a_failure_leaves_nothing_half_written(output):
    with suppress(OSError), JobFolder.hold(output) as folder:
        folder.write_job(JOB)
        done = finish(folder, SEGMENTS[0])
        left = folder.temporary(SEGMENTS[1]), folder.joined(output)
        for path in left:
            path.write_bytes(b"half")
        raise OSError(28, "No space left on device")
    assert not any(path.exists() for path in left)
    assert JobFolder(output).finished(SEGMENTS[0]) == done


def job_with_its_film(output, keep=False):
    """A job as it is when its film has just got its name."""
    folder = JobFolder(output)
    with JobFolder.hold(output) as held:
        held.write_job(JOB)
        held.joined(output).write_bytes(b"the film")
    (folder.path / "joined.part.mp4").write_bytes(b"the film")
    if not keep:
        folder.foretell(folder.joined(output))
    folder.joined(output).rename(output)
    return folder


def test_a_job_whose_film_has_its_name_is_over(output):
    folder = job_with_its_film(output)
    assert folder.is_over(output)
    output.write_bytes(b"another film")
    assert not folder.is_over(output)
    output.unlink()
    assert not folder.is_over(output)


def test_a_job_that_is_over_goes_when_it_is_let_go(output):
    folder = job_with_its_film(output)
    with pytest.raises(KeyboardInterrupt), JobFolder.hold(output):
        raise KeyboardInterrupt
    assert not folder.path.exists()
    assert output.exists()


def test_a_job_to_be_kept_is_never_over(output):
    folder = job_with_its_film(output, keep=True)
    assert not folder.is_over(output)
    with JobFolder.hold(output):
        pass
    assert folder.read_job() == JOB


@pytest.mark.parametrize(
    ("names", "over"),
    [
        (["lock", "segments/00001.mkv"], True),
        (["segments/"], True),
        ([], True),
        (["lock", "holiday.jpg"], False),
    ],
)
def test_a_job_that_was_half_deleted_is_over(output, names, over):
    folder = folder_path(output)
    folder.mkdir()
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).mkdir() if name.endswith("/") else (folder / name).touch()
    assert JobFolder(output).is_over(output) is over


def test_markers_of_a_job_that_was_half_deleted_arent_believed(output):
    with JobFolder.hold(output) as folder:
        folder.write_job(JOB)
        finish(folder, SEGMENTS[0])
        # A kill in the middle of a deletion: job.json goes first.
        (folder.path / "job.json").unlink()
        folder.write_job(JOB)
        assert folder.finished(SEGMENTS[0]) is None


def test_a_folder_without_a_job_leaves_no_trace(output, tmp_path):
    with JobFolder.hold(output):
        assert folder_path(output).is_dir()
    assert list(tmp_path.iterdir()) == []


def test_removal_spares_what_isnt_ours(output):
    with JobFolder.hold(output) as folder:
        folder.write_job(JOB)
        finish(folder, SEGMENTS[0])
        note = folder.path / "my notes.txt"
        note.write_text("keep")
        folder.remove()
        assert [path.name for path in folder.path.iterdir()] == ["my notes.txt"]


def test_removal_spares_what_only_looks_like_ours(output):
    with JobFolder.hold(output) as folder:
        folder.write_job(JOB)
        finish(folder, SEGMENTS[0])
        folder.temporary(SEGMENTS[1]).write_bytes(b"half")
        folder.joined(output).write_bytes(b"half")
        mine = [
            *(folder.path / name for name in ("holiday.part1.rar", "segments.txt")),
            *(folder.path / "segments" / name for name in ("1945 war.mkv", "a.part.mkv", "7.json")),
        ]
        for path in mine:
            path.touch()
        folder.sweep()
        assert all(path.exists() for path in mine)
        folder.remove()
        left = [path for path in folder.path.rglob("*") if path.is_file()]
        assert sorted(left) == sorted(mine)


def test_segments_that_are_a_link_are_refused(output, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "00000.mkv").touch()
    folder_path(output).mkdir()
    (folder_path(output) / "segments").symlink_to(elsewhere)
    with pytest.raises(JobError, match="must stay in its folder"), JobFolder.hold(output):
        pass
    with pytest.raises(JobError, match="must stay in its folder"):
        JobFolder.look(output)
    assert [path.name for path in elsewhere.iterdir()] == ["00000.mkv"]


def test_source_and_options_are_noted_and_no_part_of_the_identity(output):
    told = replace(JOB, source=Path("/films/a.mp4"), options=("--crf", "20"))
    with JobFolder.hold(output) as folder:
        folder.write_job(told)
        assert folder.read_job() == told
        folder.refuse_another(told, IDENTITY)
        done = finish(folder, SEGMENTS[0])
        folder.note(told, Path("/moved/a.mp4"), ("--crf", "20", "--overwrite"))
        now = folder.read_job()
        assert now is not None
        assert (now.source, now.options) == (Path("/moved/a.mp4"), ("--crf", "20", "--overwrite"))
        assert replace(now, source=None, options=None) == JOB
        # A program that goes on with a person's job leaves the words of the person.
        folder.note(now, Path("/films/a.mp4"), None)
        assert folder.read_job() == replace(now, source=Path("/films/a.mp4"))
        assert folder.finished(SEGMENTS[0]) == done


def test_nothing_is_written_where_nothing_is_new(output):
    told = replace(JOB, source=Path("/films/a.mp4"), options=())
    with JobFolder.hold(output) as folder:
        folder.write_job(told)
        before = (folder.path / "job.json").stat().st_ino
        folder.note(told, Path("/films/a.mp4"), ())
        assert (folder.path / "job.json").stat().st_ino == before


def test_a_job_of_an_earlier_vidcolor_is_read(output):
    with JobFolder.hold(output) as folder:
        folder.write_job(JOB)
        held = json.loads((folder.path / "job.json").read_text())
        del held["source"], held["options"]
        (folder.path / "job.json").write_text(json.dumps(held))
        assert folder.read_job() == JOB
    assert holds_job(folder.path)
    assert output_of(folder.path) == output


def test_a_segment_is_marked_before_it_is_read(output):
    with JobFolder.hold(output) as folder:
        folder.write_job(JOB)
        done = finish(folder, SEGMENTS[0])
        change_byte(done.path)
        assert folder.marked(SEGMENTS[0]) == done
        assert folder.finished(SEGMENTS[0]) is None
        done.path.unlink()
        assert folder.marked(SEGMENTS[0]) is None
        assert folder.marked(SEGMENTS[1]) is None


@pytest.mark.parametrize(
    ("files", "ours"),
    [
        ({"lock": "123", "segments/00000.mkv": "", "job.json": "{"}, True),
        ({"lock": "", "segments/00000.json": "{}"}, True),
        ({"lock": "123"}, True),
        ({"job.json": '{"format": 9, "identity": {}, "plan": []}'}, True),
        ({}, False),
        ({"holiday.jpg": ""}, False),
        ({"lock": "123", "holiday.jpg": ""}, False),
        ({"lock": "somebody", "segments/00000.mkv": ""}, False),
        ({"segments/00000.mkv": ""}, False),
        ({"job.json": '{"format": 9}'}, False),
        ({"job.json": "[]", "lock": "123"}, False),
    ],
)
def test_which_folders_are_a_jobs(output, files, ours):
    folder = folder_path(output)
    folder.mkdir()
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    assert holds_job(folder) is ours
    assert not holds_job(folder.rename(output.with_name("film.jobs")))


@pytest.mark.parametrize("name", [".job", ".", "nowhere.job"])
def test_what_is_no_folder_with_a_name_holds_no_job(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".job").mkdir()
    (tmp_path / ".job" / "lock").touch()
    assert not holds_job(Path(name))


def test_a_folder_of_something_else_is_refused(output):
    folder_path(output).mkdir()
    (folder_path(output) / "holiday.jpg").touch()
    with pytest.raises(JobError, match="something else"), JobFolder.hold(output):
        pass
    assert [path.name for path in folder_path(output).iterdir()] == ["holiday.jpg"]


def test_a_file_in_the_folders_place_is_refused(output):
    folder_path(output).write_text("a file")
    with pytest.raises(JobError, match="move it away"), JobFolder.hold(output):
        pass
    assert folder_path(output).read_text() == "a file"


def test_a_folder_under_a_file_cant_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises((OutputError, JobError)), JobFolder.hold(tmp_path / "file" / "film.mp4"):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 1, "plan": 3}'])
def test_a_job_that_cant_be_read_offers_restart(output, text):
    with JobFolder.hold(output) as folder:
        folder.write_job(JOB)
        (folder.path / "job.json").write_text(text)
        with pytest.raises(JobError, match="--restart"):
            folder.read_job()
        folder.clear()
        assert folder.read_job() is None


def test_a_plan_that_isnt_as_it_was_written_offers_restart(output):
    with JobFolder.hold(output) as folder:
        folder.write_job(JOB)
        path = folder.path / "job.json"
        path.write_text(path.read_text().replace("[1, 100, 200]", "[1, 104, 200]"))
        with pytest.raises(JobError, match=r"isn't as it was written.*--restart"):
            folder.read_job()


def test_another_layout_is_refused(output):
    with JobFolder.hold(output) as folder:
        folder.write_job(JOB)
        held = json.loads((folder.path / "job.json").read_text())
        (folder.path / "job.json").write_text(json.dumps(held | {"format": 99}))
        with pytest.raises(JobError, match="layout 99"):
            folder.read_job()


HOLD = """
import sys
from pathlib import Path
from vidcolor.jobs.folder import JobFolder
with JobFolder.hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_told_so(output):
    command = [sys.executable, "-c", HOLD, str(output)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(JobError, match=rf"another process \(pid {other.pid}\)"):
            JobFolder.hold(output).__enter__()
        other.communicate("")
    with JobFolder.hold(output) as folder:
        assert folder.path.is_dir()


FORKED = """
import os, sys, time
from pathlib import Path
from vidcolor.locks import take_lock

lock = take_lock(Path(sys.argv[1]), "a film")
child = os.fork()
if not child:
    time.sleep(60)
print(child, flush=True)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")
def test_a_forked_child_does_not_keep_its_parents_lock(tmp_path):
    """As loaders of photographs are forked, and live on for seconds when a training is killed."""
    lock = tmp_path / "lock"
    command = [sys.executable, "-c", FORKED, str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.wait()
        try:
            ends = time.monotonic() + 20
            while locks.is_locked(lock) and time.monotonic() < ends:
                time.sleep(0.01)
            assert not locks.is_locked(lock)
            os.kill(child, 0)  # it is still there
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks on Windows")
def test_looking_at_a_lock_doesnt_disturb(output):
    lock = folder_path(output) / "lock"
    assert not locks.is_locked(lock)
    assert not lock.parent.exists()
    with JobFolder.hold(output):
        assert locks.is_locked(lock)
        assert lock.read_text() == str(os.getpid())
        with pytest.raises(JobError), JobFolder.hold(output):
            pass
    with JobFolder.hold(output) as folder:
        folder.write_job(JOB)
    assert not locks.is_locked(lock)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks on Windows")
def test_a_run_that_begins_while_somebody_looks(output):
    import fcntl

    with JobFolder.hold(output) as folder:
        folder.write_job(JOB)
    with (folder_path(output) / "lock").open() as glance:
        fcntl.flock(glance, fcntl.LOCK_SH)
        looked = threading.Timer(0.01, glance.close)
        looked.start()
        with JobFolder.hold(output) as folder:
            assert folder.read_job() == JOB
        looked.join()


def test_a_killed_holder_leaves_the_lock_open(output):
    command = [sys.executable, "-c", HOLD, str(output)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        other.kill()
        other.wait()
    with JobFolder.hold(output) as folder:
        assert folder.path.is_dir()


def test_a_folder_that_goes_as_its_lock_is_taken_is_made_again(output, monkeypatch):
    real, others = Path.open, [lambda: folder_path(output).rmdir()] * 3

    def opened(path, *args, **options):
        # The process that was here before deletes the folder we have just found.
        if path.name == "lock" and others:
            others.pop()()
        return real(path, *args, **options)

    monkeypatch.setattr(Path, "open", opened)
    with JobFolder.hold(output) as folder:
        assert (folder.path / "lock").read_text() == str(os.getpid())
    assert not others


def test_a_folder_somebody_else_has_taken_already_stays(output, monkeypatch):
    real = Path.rmdir

    def taken(folder):
        (folder / "lock").touch()
        real(folder)

    monkeypatch.setattr(Path, "rmdir", taken)
    with JobFolder.hold(output) as folder:
        folder.remove()
        assert [path.name for path in folder.path.iterdir()] == ["lock"]
    monkeypatch.undo()


def test_json_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    durable.write_json(path, {"n": 1})

    def full(descriptor):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="disk is full"), durable.writing(path):
        durable.write_json(path, {"n": 2})
    assert json.loads(path.read_text()) == {"n": 1}


@pytest.mark.parametrize(
    ("number", "said"),
    [(28, "disk is full"), (13, "may not be written"), (30, "may not be"), (5, "written")],
)
def test_an_oserror_becomes_a_sentence(tmp_path, number, said):
    with pytest.raises(OutputError, match=said) as raised, durable.writing(tmp_path / "x"):
        raise OSError(number, os.strerror(number))
    assert str(tmp_path) in str(raised.value)


def test_differences_name_what_changed():
    new: Identity = {
        "source": SOURCE,
        "settings": {"threads": 2},
        "encoder": {"crf": 20, "picture": {"width": 64}},
    }
    assert differences(IDENTITY, new) == [
        "threads 0 -> 2",
        "crf 17 -> 20",
        "picture none -> {'width': 64}",
    ]
    assert differences(IDENTITY, IDENTITY) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": 7}, "7 bytes where it had 5"),
        ({"sha256_ends": "cd"}, "other bytes"),
        ({"mtime_ns": 2_000_000_000}, "1970-01-01 00:00:01 UTC -> 1970-01-01 00:00:02 UTC"),
    ],
)
def test_another_source_is_named(change, said):
    (difference,) = differences(IDENTITY, IDENTITY | {"source": SOURCE | change})
    assert said in difference


def test_the_fingerprint_sees_both_ends(tmp_path):
    path = tmp_path / "film.mkv"
    data = bytearray(3 << 20)
    path.write_bytes(data)
    os.utime(path, (1, 1))
    first = source_fingerprint(path)
    for at in (0, len(data) - 1):
        changed = bytearray(data)
        changed[at] = 1
        path.write_bytes(changed)
        os.utime(path, (1, 1))
        assert source_fingerprint(path) != first
    path.write_bytes(data)
    os.utime(path, (1, 1))
    assert source_fingerprint(path) == first
