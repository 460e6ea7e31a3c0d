"""`vidcolor jobs`: what is unfinished, the command that goes on, and how to be rid of it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.clips import make_clip
from tests.jobs.helpers import FAST, SEGMENT_FRAMES, decoded, segment_stamps
from vidcolor.cli import run_arguments
from vidcolor.cli.jobs import _age, _shell_word, _size
from vidcolor.errors import OutputError
from vidcolor.jobs.folder import JobFolder, folder_path

FRAMES = 3 * SEGMENT_FRAMES


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A finished film with its kept job, made with an option and a file named relatively."""
    place = tmp_path_factory.mktemp("kept")
    make_clip(place / "my film.mkv", frames=FRAMES)
    (place / "my.toml").write_text("saturation = 0.9\n")
    command = ["run", "my film.mkv", *FAST, "--config", "my.toml", "--keep-job"]
    with contextlib.chdir(place):
        assert run_arguments(command) == 0
    return place


@pytest.fixture
def place(kept, tmp_path, monkeypatch):
    """A folder with the kept job, its source noted where it lies now; the current folder."""
    shutil.copytree(kept, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    change_job(tmp_path / "place", source=str(tmp_path / "place" / "my film.mkv"))
    return tmp_path / "place"


@pytest.fixture
def unfinished(place):
    """The same, its output lost and one segment not made yet."""
    (place / "my film.color.mkv").unlink()
    (folder_of(place) / "segments" / "00001.json").unlink()
    return place


def folder_of(place):
    return folder_path(place / "my film.color.mkv")


def change_job(place, **values):
    """Set or, with None, take out values of job.json, as if written a while ago."""
    path = folder_of(place) / "job.json"
    held = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: each for key, each in held.items() if each is not None}))
    os.utime(path, (path.parent.joinpath("lock").stat().st_mtime,) * 2)


@pytest.fixture
def jobs(capsys):
    """Run `vidcolor jobs`; returns exit code, stdout and stderr."""

    def jobs(*arguments):
        capsys.readouterr()
        code = run_arguments(["jobs", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return jobs


def assert_one_sentence(err):
    assert err.startswith("error: ")
    assert err.count("\n") == 1, err
    assert "bug" not in err


def everything(top):
    return {path: path.stat().st_mtime_ns for path in top.rglob("*")}


def test_nothing_there(jobs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert jobs() == (0, "No unfinished jobs in this folder.\n", "")
    assert jobs(tmp_path) == (0, f"No unfinished jobs in {tmp_path}.\n", "")
    assert jobs("--json") == (0, "", "")


def test_an_unfinished_job(jobs, unfinished):
    before = everything(unfinished)
    code, out, err = jobs()
    assert (code, err) == (0, "")
    assert everything(unfinished) == before
    name, facts, command, total = out.splitlines()
    assert name == "my film.color.mkv"
    assert facts.startswith("  24 of 36 frames (66%), last segment ")
    assert facts.endswith(f" kB, source is there: {unfinished / 'my film.mkv'}")
    assert command.startswith(f"  vidcolor run '{unfinished}/my film.mkv' -o ")
    assert "--keep-job" in command
    assert total.startswith("1 unfinished; ")


def test_the_command_shown_goes_on_from_anywhere(jobs, unfinished, kept, monkeypatch, capsys):
    whole = decoded(kept / "my film.color.mkv")
    (line,) = [line for line in jobs()[1].splitlines() if line.startswith("  vidcolor ")]
    before = segment_stamps(unfinished / "my film.color.mkv")
    assert len(before) == 2
    monkeypatch.chdir("/")
    words = shlex.split(line)
    assert words[0] == "vidcolor"
    assert run_arguments(words[1:]) == 0
    assert (
        f"36 frames ({len(before) * SEGMENT_FRAMES} by an earlier run)" in capsys.readouterr().out
    )
    after = segment_stamps(unfinished / "my film.color.mkv")
    assert before.items() < after.items()
    assert decoded(unfinished / "my film.color.mkv") == whole


def test_json(jobs, unfinished):
    code, out, err = jobs("--json")
    assert (code, err) == (0, "")
    (line,) = out.splitlines()
    job = json.loads(line)
    assert job["output"] == "my film.color.mkv"
    assert (job["state"], job["frames"], job["frames_expected"]) == ("unfinished", 24, 36)
    assert (job["percent"], job["at_work"], job["source_there"]) == (66, False, True)
    assert job["size_bytes"] > 1000
    assert shlex.split(job["command"])[:2] == ["vidcolor", "run"]
    assert 0 <= job["age_seconds"] < 3600


def test_a_kept_job(jobs, place):
    code, out, _ = jobs()
    assert code == 0
    assert "  finished, kept, last segment " in out
    assert "vidcolor run" not in out
    assert out.splitlines()[-1].startswith("1 finished, kept; ")


def test_a_source_that_is_gone(jobs, unfinished):
    (unfinished / "my film.mkv").unlink()
    assert f"source no longer there: {unfinished / 'my film.mkv'}" in jobs()[1]


def test_a_job_of_an_earlier_vidcolor_is_listed_and_goes_on(jobs, unfinished, capsys):
    change_job(unfinished, source=None, options=None)
    code, out, err = jobs()
    assert (code, err) == (0, "")
    assert "24 of 36 frames" in out
    assert "source unknown" in out
    assert "vidcolor run" not in out
    assert "the command isn't known" in out
    assert json.loads(jobs("--json")[1])["command"] is None
    again = ["run", "my film.mkv", *FAST, "--config", "my.toml", "--keep-job"]
    assert run_arguments(again) == 0
    assert "24 by an earlier run" in capsys.readouterr().out
    # From now on it is known.
    held = json.loads((folder_of(unfinished) / "job.json").read_text())
    assert held["source"] == str(unfinished / "my film.mkv")
    assert held["options"][-1] == "--keep-job"


def test_a_film_that_moved_goes_on_and_is_found_there(jobs, unfinished):
    (unfinished / "my film.mkv").rename(unfinished / "moved.mkv")
    command = ["run", "moved.mkv", "-o", "my film.color.mkv", *FAST, "--config", "my.toml"]
    assert run_arguments([*command, "--keep-job"]) == 0
    assert f"source is there: {unfinished / 'moved.mkv'}" in jobs()[1]


@pytest.mark.parametrize(
    "word",
    ["film.mp4", "it's a $film", "é 漢字.mp4", "two\nlines\\'n", os.fsdecode(b"f\xff7'.mp4")],
)
def test_a_shell_takes_every_name_in_one_line(word):
    line = f"printf %s {_shell_word(word)}"
    assert "\n" not in line
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    assert done.stdout == os.fsencode(word)


def test_a_damaged_job(jobs, unfinished):
    (folder_of(unfinished) / "job.json").write_text("{")
    code, out, err = jobs()
    assert (code, err) == (0, "")
    assert "job.json can't be read" in out
    assert "begin anew with --restart" in out
    assert "  damaged, last changed " in out
    assert json.loads(jobs("--json")[1])["state"] == "damaged"


def test_a_job_at_work(jobs, unfinished):
    with JobFolder.hold(unfinished / "my film.color.mkv"):
        code, out, _ = jobs()
        assert code == 0
        assert f"at work now (process {os.getpid()})" in out
        assert "vidcolor run" not in out
        before = everything(unfinished)
        code, out, _ = jobs("clean", "--yes")
        assert code == 0
        assert out.endswith("Nothing to delete; a job at work is left alone.\n")
        assert everything(unfinished) == before


def test_a_job_nothing_is_planned_of(jobs, tmp_path):
    with JobFolder.hold(tmp_path / "film.color.mkv"):
        out = jobs(tmp_path)[1]
    assert "nothing planned yet, at work now" in out


def test_paths(jobs, unfinished, monkeypatch):
    shown = jobs()[1].splitlines()[1:]
    monkeypatch.chdir(unfinished.parent)
    for path in ("place", "place/my film.mkv", "place/my film.color.mkv", folder_of(unfinished)):
        code, out, err = jobs(path)
        assert (code, err) == (0, ""), path
        assert out.splitlines()[1:] == shown, path
    assert jobs("place", "place/my film.color.mkv")[1].splitlines()[1:] == shown
    assert jobs("list", "place")[1].splitlines()[1:] == shown


def test_a_folder_called_clean(jobs, unfinished, monkeypatch):
    (unfinished / "clean").mkdir()
    folder_of(unfinished).rename(unfinished / "clean" / "my film.color.mkv.job")
    code, out, _ = jobs("./clean")
    assert code == 0
    assert out.startswith("clean/my film.color.mkv\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere"),
        ([""], "empty"),
        (["clean", "nowhere"], "nowhere"),
        (["clean", ""], "empty"),
        (["clean", "my.toml"], "my.toml has no job's folder"),
        (["clean", "--older-than", "soon"], "--older-than"),
        (["clean", "--older-than", "-1"], "--older-than"),
        (["--speed"], "--speed"),
        (["place", "--speed"], "--speed"),
    ],
)
def test_wrong_arguments(jobs, unfinished, arguments, said):
    before = everything(unfinished)
    code, out, err = jobs(*arguments)
    assert (code, out) == (2, "")
    assert_one_sentence(err)
    assert said in err
    assert everything(unfinished) == before


def test_a_folder_that_cant_be_read_is_said_once(jobs, tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    real = os.scandir

    def scandir(path):
        if Path(path).name in ("a", "b"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    code, out, err = jobs(tmp_path)
    assert (code, out) == (0, f"No unfinished jobs in {tmp_path}.\n")
    assert err == (
        f"warning: passed over {tmp_path / 'a'} and 1 more, which can't be read (Permission "
        "denied).\n"
    )


def test_clean_without_a_person_needs_yes(jobs, unfinished):
    before = everything(unfinished)
    code, out, err = jobs("clean")
    assert code == 2
    assert "my film.color.mkv.job: 24 of 36 frames" in out
    assert_one_sentence(err)
    assert "--yes" in err
    assert everything(unfinished) == before


def test_clean(jobs, unfinished):
    size = sum(path.stat().st_size for path in folder_of(unfinished).rglob("*") if path.is_file())
    code, out, err = jobs("clean", "--yes")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == f"1 job deleted, {_size(size)} of room made."
    assert sorted(path.name for path in unfinished.iterdir()) == ["my film.mkv", "my.toml"]
    assert jobs("clean", "--yes") == (0, "Nothing to delete.\n", "")


def test_clean_kept_spares_the_unfinished(jobs, unfinished, kept):
    shutil.copytree(kept, unfinished / "kept")
    code, out, _ = jobs("clean", "--kept", "--yes")
    assert (code, out.count("\n")) == (0, 2)
    assert out.endswith("of room made.\n")
    assert folder_of(unfinished).exists()
    left = sorted(path.name for path in (unfinished / "kept").iterdir())
    assert left == ["my film.color.mkv", "my film.mkv", "my.toml"]


def test_clean_older_than(jobs, unfinished):
    folder = folder_of(unfinished)
    for marker in folder.glob("segments/*.json"):
        os.utime(marker, (time.time() - 2.5 * 86400,) * 2)
    assert "last segment 2 days ago" in jobs()[1]
    assert jobs("clean", "--older-than", "3", "--yes")[1] == "Nothing to delete.\n"
    assert folder.exists()
    assert jobs("clean", "--older-than", "2", "--yes")[0] == 0
    assert not folder.exists()


def test_clean_of_one_output(jobs, unfinished, kept):
    shutil.copytree(kept, unfinished / "kept")
    assert jobs("clean", "my film.color.mkv", "--yes")[0] == 0
    assert not folder_of(unfinished).exists()
    assert folder_of(unfinished / "kept").exists()


def test_clean_says_what_stays(jobs, unfinished):
    (folder_of(unfinished) / "notes.txt").touch()
    code, out, err = jobs("clean", "--yes")
    assert code == 0
    assert "1 job deleted" in out
    assert err == "warning: my film.color.mkv.job holds other things, which stay.\n"
    assert [path.name for path in folder_of(unfinished).iterdir()] == ["notes.txt"]


def test_clean_goes_on_after_what_cant_be_deleted(jobs, unfinished, kept, monkeypatch):
    shutil.copytree(kept, unfinished / "a")
    real = JobFolder.remove

    def remove(self):
        if self.path.parent.name == "a":
            raise OutputError(f"{self.path} is on a disk that went away.")
        real(self)

    monkeypatch.setattr(JobFolder, "remove", remove)
    code, out, err = jobs("clean", "--yes")
    assert code == 1
    assert_one_sentence(err)
    assert "a/my film.color.mkv.job can't be deleted" in err
    assert out.splitlines()[-1].startswith("1 job deleted")
    assert not folder_of(unfinished).exists()


@pytest.mark.parametrize("answer", ["y", "n"])
def test_clean_asks_a_person(unfinished, answer):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "vidcolor", "jobs", "clean"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, answer.encode() + b"\n")
        drawn = b""
        # The read fails when the other end of a pseudo-terminal is closed.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 4096):
                drawn += part
    os.close(ours)
    assert process.returncode == 0
    assert b"Delete 1 job, " in drawn
    assert folder_of(unfinished).exists() == (answer == "n")
    assert (b"Nothing was deleted." in drawn) == (answer == "n")
    assert (b"1 job deleted" in drawn) == (answer == "y")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("vidcolor jobs ", ["list", "clean"]),
        ("vidcolor jobs cl", ["clean"]),
        ("vidcolor jobs films --js", ["--json"]),
    ],
)
def test_tab_offers_commands_and_options(line, offered):
    count = line.count(" ")
    asked = {"_VIDCOLOR_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": f"{count}"}
    code = "import sys; from vidcolor.__main__ import main; sys.argv[0] = 'vidcolor'; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True
    )
    assert done.stdout.split() == offered, done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["-h"]])
def test_the_help_shows_both_ways(jobs, arguments):
    code, out, err = jobs(*arguments)
    assert (code, err) == (0, "")
    assert "vidcolor jobs [OPTIONS] [PATH]... | clean [PATH]..." in out
    assert "lists the jobs" in out
    assert "clean  Delete jobs" in out
    assert "Usage: vidcolor jobs list " in jobs("somewhere", *arguments)[1]
    assert "--older-than" in jobs("clean", *arguments)[1]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (59, "just now"),
        (60, "1 minute ago"),
        (7300, "2 hours ago"),
        (86400, "1 day ago"),
        (9e6, "104 days ago"),
    ],
)
def test_ages(seconds, said):
    assert _age(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2_340_000, "2.3 MB"), (1e9, "1.0 GB")],
)
def test_sizes(number, said):
    assert _size(number) == said
