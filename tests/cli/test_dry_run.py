"""`vidcolor run --dry-run`: what a person is shown, and that nothing is made."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.clips import make_clip
from tests.jobs.helpers import FAST
from vidcolor.cli import run_arguments
from vidcolor.cli.lines import time_words
from vidcolor.files import size_words
from vidcolor.jobs.estimate import plan_film
from vidcolor.jobs.folder import folder_path

FRAMES = 48


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    return make_clip(
        folder / "film.mkv", frames=FRAMES, audio=True, subtitle=True, chapters=[(0, 1, "one")]
    )


@pytest.fixture
def film(made, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    (tmp_path / "films").mkdir()
    monkeypatch.chdir(tmp_path / "films")
    yield Path(shutil.copy2(made, "film.mkv"))
    assert list(scratch.iterdir()) == []


@pytest.fixture
def plan(capsys, film):
    """Run a command with --dry-run; returns exit code, stdout, stderr. Nothing may change."""

    def plan(*arguments):
        before = {path: path.stat().st_mtime_ns for path in Path.cwd().rglob("*")}
        code = run_arguments(["run", *FAST, "--dry-run", *map(str, arguments)])
        assert {path: path.stat().st_mtime_ns for path in Path.cwd().rglob("*")} == before
        out, err = capsys.readouterr()
        return code, out, err

    return plan


@pytest.fixture
def run(capsys, film):
    def run(*arguments):
        code = run_arguments(["run", *FAST, *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def words_beside(out, label):
    """The text beside a label, with what hangs below it."""
    found = re.search(rf"^  {label} +(.*(?:\n {{13}}.*)*)", out, re.MULTILINE)
    assert found, out
    return found[1]


def test_one_film(plan, film):
    code, out, err = plan(film)
    assert (code, err) == (0, "")
    assert out.startswith("film.mkv -> film.color.mkv\n")
    assert words_beside(out, "source") == "64x48, 24 fps, 2.0 s, h264, 8 bit, black and white"
    assert words_beside(out, "output").startswith("new; ")
    streams = words_beside(out, "streams").splitlines()
    assert [line.split() for line in streams] == [
        ["0", "video", "h264", "coloured:", "ffv1", "8", "bit"],
        ["1", "audio", "aac", "eng", '"Sine"', "copied", "bit", "for", "bit"],
        ["2", "subtitle", "subrip", "ger", '"Untertitel"', "copied", "bit", "for", "bit"],
        ["1", "chapter", "kept"],
    ]
    assert words_beside(out, "network").startswith("standin on cpu, ")
    assert "looks at one frame in 4, smoothing on" in words_beside(out, "network")
    assert words_beside(out, "plan") == "48 frames in 4 segments of about 1 s"
    assert re.match(
        r"40 frames from 3 places in \d+\.\d s: \d+\.\d fps", words_beside(out, "trial")
    )
    assert re.fullmatch(r"about \d+ kB, about .+ s", words_beside(out, "estimate"))


def test_settings_that_were_asked_for(plan, film):
    out = plan(film, "-o", "o.mp4", "--codec", "libx265", "--crf", "30", "--anchor-every", "1")[1]
    assert "coloured: libx265 crf 30 medium 8 bit" in out
    assert "converted to mov_text" in out
    assert "looks at every frame" in out


def test_a_range(plan, film):
    code, out, _ = plan(film, "--start", "12f", "--end", "1")
    assert code == 0
    assert words_beside(out, "plan") == "12 frames in 1 segment, from 12f to 1 s"


def test_what_the_container_cant_hold(plan, run, film):
    code, out, err = plan(film, "-o", "o.nut")
    assert code == 0
    assert "left out: " in words_beside(out, "streams")
    assert "warning: " in err
    ran = run(film, "-o", "o.nut")[2]
    assert set(err.splitlines()) == set(ran.splitlines())


def test_json(plan, film):
    code, out, err = plan(film, "--json", "--start", "0.5")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["event"], told["source"], told["output"]) == (
        "plan",
        "film.mkv",
        "film.color.mkv",
    )
    assert (told["frames"], told["segments"], told["segments_done"]) == (36, 3, 0)
    assert told["range"] == {"start": "0.5 s", "end": None}
    assert [stream["way"] for stream in told["streams"]] == ["picture", "copy", "copy"]
    assert told["encoder"]["codec"] == "ffv1"
    assert (told["engine"]["model"], told["anchor_every"]) == ("standin", 4)
    assert told["picture"]["width"] == 64
    assert told["trial"]["frames"] == 30
    estimate = told["estimate"]
    assert estimate["room_bytes"] > estimate["output_bytes"] > estimate["copied_bytes"] > 0
    assert estimate["seconds"] > 0
    assert told["free_bytes"] > 0


def test_an_output_that_is_there(plan, run, film):
    assert run(film, "--keep-job")[0] == 0
    code, out, err = plan(film)
    assert (code, err) == (0, "")
    assert "is already there and would be left alone" in out
    assert "film.color.mkv.job" in out
    assert "estimate" not in out
    told = json.loads(plan(film, "--json")[1])
    assert (told["left_alone"], told["job_beside"]) == (True, True)
    out = plan(film, "--overwrite")[1]
    assert "is already there and would be replaced" in words_beside(out, "output")
    assert words_beside(out, "trial") == "none: nothing is left to be coloured"


def test_a_job_to_be_gone_on_with(plan, run, film):
    assert run(film, "--keep-job")[0] == 0
    Path("film.color.mkv").unlink()
    markers = folder_path(Path("film.color.mkv")) / "segments"
    (markers / "00003.json").unlink()
    out = plan(film)[1]
    assert "gone on with, 3 of 4 segments finished" in words_beside(out, "output")
    assert "36 frames are finished" in words_beside(out, "plan")
    assert words_beside(out, "trial").startswith("10 frames")
    assert words_beside(out, "estimate").endswith(" still")
    out = plan(film, "--restart")[1]
    assert "would be thrown away" in words_beside(out, "output")
    assert "are finished" not in out


WRONG = {
    "missing": ["nowhere.mkv"],
    "folder without films": ["empty/"],
    "several into one file": ["film.mkv", "nowhere.mkv", "-o", "one.mkv"],
    "own source": ["film.mkv", "-o", "film.mkv"],
    "suffix": ["film.mkv", "-o", "film.txt"],
    "no folder": ["film.mkv", "-o", "nowhere/o.mkv"],
    "container": ["film.mkv", "-o", "o.webm"],
    "codec": ["film.mkv", "--codec", "libx246"],
    "model": ["film.mkv", "--model", "siggraf17"],
    "range": ["film.mkv", "--start", "9"],
    "preset": ["film.mkv", "--preset", "bets"],
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_as_a_run_tells_it(plan, run, case):
    Path("empty").mkdir()
    code, out, err = plan(*WRONG[case])
    expected = run(*WRONG[case])
    assert (code, err) == (expected[0], expected[2])
    assert code in (1, 2)
    assert out == ""


def test_a_film_with_colour(plan, run):
    make_clip(Path("color.mkv"), frames=12, color=True)
    code, _, err = plan("color.mkv")
    assert (code, err) == (1, run("color.mkv")[2])
    code, out, _ = plan("color.mkv", "--recolor")
    assert code == 0
    assert "in colour, which would be replaced" in out


def test_a_batch_goes_on_and_ends_with_totals(plan, film):
    shutil.copy(film, "done.mkv")
    shutil.copy(film, "done.color.mkv")
    shutil.copy(film, "more.mkv")
    Path("bad.mkv").write_text("no film")
    code, out, err = plan(".")
    assert code == 1
    assert err.startswith("error: bad.mkv is not a video")
    titles = [line for line in out.splitlines() if line.startswith("[")]
    assert titles == [
        "[2/4] done.mkv -> done.color.mkv",
        "[3/4] film.mkv -> film.color.mkv",
        "[4/4] more.mkv -> more.color.mkv",
    ]
    last = out.splitlines()[-1]
    assert re.fullmatch(
        r"2 films to be made: about .+, about .+; 1 there already; 1 failed", last
    ), last


def test_a_batch_as_json(plan, film):
    shutil.copy(film, "more.mkv")
    Path("bad.mkv").write_text("no film")
    code, out, _ = plan(".", "--json")
    assert code == 1
    *films, together = [json.loads(line) for line in out.splitlines()]
    assert [each["event"] for each in films] == ["failed", "plan", "plan"]
    assert (together["event"], together["planned"], together["failed"]) == ("together", 2, 1)
    assert together["not_tried"] == 0
    sizes = [each["estimate"]["output_bytes"] for each in films[1:]]
    assert together["output_bytes"] == sum(sizes)


def test_a_network_that_isnt_here_ends_the_batch(plan, film, tmp_path, monkeypatch):
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    shutil.copy(film, "more.mkv")
    code, out, err = plan(".", "--model", "eccv16")
    assert code == 1
    assert err.count("error: ") == 1
    assert out.splitlines()[-1] == "1 failed; 1 not tried"


def test_of_many_films_only_the_first_alike_is_tried(plan, film):
    for number in range(7):
        shutil.copy(film, f"film{number}.mkv")
    out = plan(".")[1]
    assert out.count("40 frames from 3 places") == 1
    assert out.count("none of its own; that of film0.mkv, which is alike") == 7


def test_a_folder_to_be_made(plan, film):
    code, out, _ = plan(film, "-o", "new/")
    assert code == 0
    assert out.startswith("film.mkv -> new/film.color.mkv")
    assert not Path("new").exists()


def test_a_full_disk_is_foretold(plan, film, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=50_000))
    code, out, err = plan(film)
    assert code == 0
    assert "50 kB free there" in out
    assert re.match(r"warning: about \d+ kB are needed, .* 50 kB are free; make room", err)
    shutil.copy(film, "more.mkv")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=350_000))
    err = plan(".")[2]
    assert re.fullmatch(r"warning: all outputs on one disk need about .*\n", err)


def test_what_is_unusual_of_a_picture_is_told(plan):
    make_clip(Path("turned.mp4"), frames=12, rotation=90, color=False)
    out = plan("turned.mp4", "--codec", "libx264")[1]
    assert "turned by 90 degrees when shown, 48x64" in words_beside(out, "source")


def test_what_a_run_warns_of_is_told(plan, run):
    make_clip(Path("woven.mkv"), frames=24, width=128, height=96, interlaced="top")
    code, out, err = plan("woven.mkv")
    assert code == 0
    assert "interlaced, made progressive" in words_beside(out, "source")
    assert err.startswith("warning: ")
    assert err == run("woven.mkv")[2]
    out = plan("woven.mkv", "-o", "other.mkv", "--deinterlace", "off")[1]
    assert "interlaced, and left so" in out


def test_an_interrupt_leaves_nothing(film, capsys, monkeypatch):
    def interrupt(self, picture):
        raise KeyboardInterrupt

    monkeypatch.setattr("vidcolor.jobs.encoding.SegmentEncoder.put", interrupt)
    assert run_arguments(["run", str(film), *FAST, "--dry-run"]) == 130
    assert [path.name for path in Path.cwd().iterdir()] == ["film.mkv"]
    assert capsys.readouterr().err == "interrupted.\n"


def test_an_unforeseen_error_of_one_film_leaves_the_others_their_plans(film, capsys, monkeypatch):
    def plan(order, **asked):
        if order.source.name == "b.mkv":
            raise ZeroDivisionError("by nobody")
        return plan_film(order, **asked)

    monkeypatch.setattr("vidcolor.cli.dry_run.plan_film", plan)
    shutil.copy(film, "b.mkv")
    assert run_arguments(["run", "b.mkv", str(film), *FAST, "--dry-run"]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("error: this is a bug in vidcolor (ZeroDivisionError: by nobody)")
    assert "1 film to be made" in out
    assert "1 failed" in out
    assert run_arguments(["run", "b.mkv", *FAST, "--dry-run", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (9949, "9.9 kB"),
        (9951, "10 kB"),
        (143_000, "140 kB"),
        (994_000, "990 kB"),
        (996_000, "1.0 MB"),
        (1_432_000_000, "1.4 GB"),
        (71_500_000_000, "72 GB"),
        (12_300_000_000_000, "12 TB"),
    ],
)
def test_sizes_in_words(count, words):
    assert size_words(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (8.4, "8 s"),
        (12.6, "15 s"),
        (87, "85 s"),
        (89, "1 min"),
        (3540, "59 min"),
        (3580, "1 h"),
        (11_420, "3 h 10 min"),
        (36_500, "10 h"),
        (38_000, "10 h 30 min"),
    ],
)
def test_times_in_words(seconds, words):
    assert time_words(seconds) == words
