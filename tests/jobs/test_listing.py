"""Finding jobs: what is told of each is so, nothing is changed by looking, little by deleting."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vidcolor.errors import JobError, OutputError
from vidcolor.frames import Segment
from vidcolor.jobs.folder import Job, JobFolder, folder_path
from vidcolor.jobs.listing import FoundJob, delete_job, find_jobs, folder_size, look_at

SEGMENTS = (Segment(0, 0, 100), Segment(1, 100, 200), Segment(2, 200, 300))
PICTURES = b"pictures" * 100


def refuse(path, error):
    raise AssertionError(f"{path} was passed over: {error}")


def found(*paths):
    return list(find_jobs(paths, passed_over=refuse))


def make_job(output, done=2, **told):
    """A job of three segments with three frames each, the first `done` finished."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with JobFolder.hold(output) as folder:
        folder.write_job(Job({"source": {}}, SEGMENTS, (3, 3, 3), **told))
        for segment in SEGMENTS[:done]:
            folder.temporary(segment).write_bytes(PICTURES)
            record: Any = SimpleNamespace(
                frames=3, pts=[0, 40, 80], durations=[40] * 3, extradata_sha256="e"
            )
            folder.commit(segment, record)
    return folder_path(output)


def everything(top):
    """What could be changed by looking: every file's bytes and times."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in top.rglob("*")
    }


def test_what_is_told_of_a_job(tmp_path):
    source = tmp_path / "film.mp4"
    source.touch()
    output = tmp_path / "film.color.mp4"
    folder = make_job(output, source=source, options=("--crf", "20"))
    for age, name in ((500, "00000.json"), (300, "00001.json"), (200, "00002.mkv")):
        (folder / "segments" / name).touch()
        os.utime(folder / "segments" / name, (time.time() - age,) * 2)
    before = everything(tmp_path)
    (job,) = found(tmp_path)
    assert everything(tmp_path) == before
    assert (job.output, job.folder, job.state) == (output, folder, "unfinished")
    assert (job.frames, job.frames_expected, job.percent) == (6, 9, 66)
    assert (job.segments, job.segments_expected) == (2, 3)
    assert 300 <= job.age_seconds < 310
    assert job.size_bytes == sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    assert job.size_bytes > 2 * len(PICTURES)
    assert (job.at_work, job.process) == (False, None)
    assert (job.source, job.source_there) == (source, True)
    words = ("vidcolor", "run", str(source), "-o", str(output), "--crf", "20")
    assert job.command == words
    source.unlink()
    assert not found(tmp_path)[0].source_there


def test_a_segment_that_lost_its_file_isnt_counted(tmp_path):
    folder = make_job(tmp_path / "film.color.mp4")
    (folder / "segments" / "00000.mkv").unlink()
    (folder / "segments" / "00001.json").write_text("{")
    (job,) = found(tmp_path)
    assert (job.frames, job.segments) == (0, 0)


@pytest.mark.parametrize(
    ("done", "output_age", "state"),
    [
        (3, None, "unfinished"),  # Only the join is left.
        (3, 0, "finished, kept"),
        (3, 1000, "unfinished"),  # The output is an older film, to be replaced.
        (2, 0, "unfinished"),  # Somebody else's film.
    ],
)
def test_which_jobs_are_kept_ones(tmp_path, done, output_age, state):
    output = tmp_path / "film.color.mp4"
    make_job(output, done=done)
    if output_age is not None:
        output.touch()
        os.utime(output, (time.time() - output_age,) * 2)
    (job,) = found(tmp_path)
    assert job.state == state
    assert job.percent == (100 if done == 3 else 66)


@pytest.mark.parametrize(
    ("frames", "expected", "segments", "percent"),
    [(0, 0, 0, 0), (9, 9, 2, 99), (8, 9, 3, 100), (12, 9, 2, 99), (1, 1000, 1, 0)],
)
def test_percent_is_100_only_when_all_is_there(frames, expected, segments, percent):
    job = FoundJob(
        output=Path("a"),
        folder=Path("a.job"),
        state="unfinished",
        frames=frames,
        frames_expected=expected,
        segments=segments,
        segments_expected=3 if expected else 0,
    )
    assert job.percent == percent


def test_a_job_without_source_or_options(tmp_path):
    make_job(tmp_path / "old.color.mp4")
    make_job(tmp_path / "program.color.mp4", source=tmp_path / "film.mp4")
    old, program = found(tmp_path)
    assert (old.source, old.command) == (None, None)
    assert (program.source, program.command) == (tmp_path / "film.mp4", None)


@pytest.mark.parametrize(
    "text", ["{", "", '{"format": 99, "identity": {}, "plan": []}', "\0\0\0", "[[[["]
)
def test_a_damaged_job_is_listed_as_one(tmp_path, text):
    folder = make_job(tmp_path / "film.color.mp4")
    (folder / "job.json").write_text(text)
    (job,) = found(tmp_path)
    assert (job.state, job.frames_expected, job.command) == ("damaged", 0, None)
    assert "--restart" in job.trouble


@pytest.mark.parametrize("wrong", [{"frames": ["x"]}, {"plan": [[1]]}, {"options": 3}])
def test_a_job_with_a_wrong_value_is_damaged(tmp_path, wrong):
    folder = make_job(tmp_path / "film.color.mp4")
    held = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps(held | wrong))
    assert found(tmp_path)[0].state == "damaged"


def test_a_job_that_has_only_begun(tmp_path):
    with JobFolder.hold(tmp_path / "film.color.mp4"):
        (job,) = found(tmp_path)
        assert (job.state, job.frames_expected, job.percent) == ("unfinished", 0, 0)
        assert job.at_work


def test_a_job_at_work_says_so_and_stays(tmp_path):
    output = tmp_path / "film.color.mp4"
    folder = make_job(output)
    job = look_at(folder)
    with JobFolder.hold(output):
        busy = look_at(folder)
        assert (busy.at_work, busy.process) == (True, os.getpid())
        before = everything(tmp_path)
        # It may have begun since it was looked at.
        for each in (job, busy):
            with pytest.raises(JobError, match=f"pid {os.getpid()}"):
                delete_job(each)
        assert everything(tmp_path) == before
    assert not look_at(folder).at_work


def test_a_job_that_got_further_meanwhile_stays(tmp_path):
    folder = make_job(tmp_path / "film.color.mp4")
    job = look_at(folder)
    marker = folder / "segments" / "00001.json"
    os.utime(marker, (job.touched + 60,) * 2)
    with pytest.raises(JobError, match="worked on since"):
        delete_job(job)
    assert marker.exists()


def test_where_jobs_are_looked_for(tmp_path):
    top = tmp_path / "top"
    here = make_job(top / "b.color.mp4")
    below = make_job(top / "a" / "deep" / "c.color.mkv")
    hidden = make_job(top / ".trash" / "d.color.mp4")
    outside = make_job(tmp_path / "elsewhere" / "e.color.mp4")
    (top / "round").symlink_to(top)
    (top / "linked").symlink_to(outside.parent)
    (top / "f.color.mp4.job").symlink_to(outside)
    (top / "holiday.job").mkdir()
    (top / "holiday.job" / "photo.jpg").touch()
    inside = make_job(top / "holiday.job" / "g.color.mp4")
    assert [job.folder for job in found(top)] == [below, here, inside]
    # What is named outright is looked into; what is named twice is there once.
    assert [job.folder for job in found(top / "b.color.mp4.job", top, here)] == [
        *(here, below, inside)
    ]
    assert [job.folder for job in found(hidden.parent)] == [hidden]
    assert [job.output.name for job in found(top / "linked")] == ["e.color.mp4"]
    assert found(top / "holiday.job" / "photo.jpg") == []


def test_a_folder_that_cant_be_read_is_passed_over(tmp_path, monkeypatch):
    make_job(tmp_path / "open" / "a.color.mp4")
    (tmp_path / "closed").mkdir()
    real = os.scandir

    def scandir(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    told = []
    jobs = list(find_jobs([tmp_path], passed_over=lambda *what: told.append(what)))
    assert [job.output.name for job in jobs] == ["a.color.mp4"]
    ((path, error),) = told
    assert (path, error.strerror) == (tmp_path / "closed", "Permission denied")


def test_deleting_takes_the_job_alone(tmp_path):
    output, source = tmp_path / "film.color.mp4", tmp_path / "film.mp4"
    output.write_text("a film")
    source.write_text("a source")
    folder = make_job(output, done=3, source=source)
    size = folder_size(folder)
    assert delete_job(look_at(folder)) == size
    assert sorted(tmp_path.iterdir()) == [output, source]
    assert (output.read_text(), source.read_text()) == ("a film", "a source")


def test_deleting_spares_what_isnt_ours(tmp_path):
    folder = make_job(tmp_path / "film.color.mp4")
    (folder / "segments" / "notes.txt").write_text("keep")
    job = look_at(folder)
    assert delete_job(job) == job.size_bytes - len("keep")
    assert [path.name for path in folder.rglob("*")] == ["segments", "notes.txt"]
    assert found(tmp_path) == []


def test_a_damaged_job_can_be_deleted(tmp_path):
    folder = make_job(tmp_path / "film.color.mp4")
    (folder / "job.json").write_text("{")
    delete_job(look_at(folder))
    assert not folder.exists()


def test_what_cant_be_deleted_is_one_error(tmp_path, monkeypatch):
    job = look_at(make_job(tmp_path / "film.color.mp4"))

    def unlink(path, missing_ok=False):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", unlink)
    with pytest.raises(OutputError, match="can't be deleted: Operation not permitted"):
        delete_job(job)


def test_a_job_that_is_gone_meanwhile(tmp_path):
    folder = make_job(tmp_path / "film.color.mp4")
    job = look_at(folder)
    delete_job(job)
    gone = look_at(folder)
    assert (gone.frames_expected, gone.size_bytes, gone.at_work) == (0, 0, False)
    assert delete_job(replace(job, size_bytes=0)) == 0
    assert list(tmp_path.iterdir()) == []
