"""The benchmark over a folder of films sees what is lost, and nothing that isn't."""

from __future__ import annotations

import shutil
import subprocess
import sys
from fractions import Fraction

import clips
import comparison
import imageio_ffmpeg
import pytest

from examples import make_sample


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("films") / "film.mkv"
    make_sample.make_sample(path, shot_frames=5, dissolve_frames=2)
    return path


def remux(source, target, *words):
    """The film again by the ffmpeg command, packet by packet, with a change."""
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-i",
        source,
        "-map",
        "0",
        "-c",
        "copy",
    ]
    done = subprocess.run([*command, *words, target], stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr


def wrong(source, output):
    return {
        check.area: check.cell for check in comparison.compare(source, output) if not check.same
    }


def test_a_film_equals_itself(film, tmp_path):
    shutil.copy(film, tmp_path / "copy.mkv")
    checks = comparison.compare(film, tmp_path / "copy.mkv")
    assert tuple(check.area for check in checks) == tuple(comparison.WORDS)
    assert all(check.same for check in checks), checks
    remux(film, tmp_path / "again.mkv")
    assert wrong(film, tmp_path / "again.mkv") == {}


@pytest.mark.parametrize(
    ("area", "words"),
    [
        ("audio", ["-map", "-0:a"]),
        ("audio", ["-bsf:a", "setts=ts=TS+50"]),
        ("others", ["-map", "-0:s"]),
        ("others", ["-map", "-0:t"]),
        ("others", ["-map_chapters", "-1"]),
        ("tags", ["-metadata", "title=Another"]),
        ("tags", ["-metadata:s:a", "language=fra"]),
        ("times", ["-bsf:v", r"setts=pts=PTS+20*gt(PTS\,300)"]),
        ("picture", ["-aspect", "4:3"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_loss_is_seen(film, tmp_path, area, words):
    remux(film, tmp_path / "less.mkv", *words)
    assert set(wrong(film, tmp_path / "less.mkv")) == {area}


def test_a_missing_picture_is_seen(film, tmp_path):
    longer = tmp_path / "longer.mkv"
    make_sample.make_sample(longer, shot_frames=6, dissolve_frames=2)
    found = wrong(film, longer)
    assert found["frames"] == "18 became 22"
    assert {"times", "audio"} <= set(found)


def test_another_picture_is_seen(film, tmp_path):
    darker = tmp_path / "darker.mkv"
    remux(film, darker, "-c:v", "libx264", "-vf", "lutyuv=y=val*0.9", "-fps_mode", "passthrough")
    assert "luma" in wrong(film, darker)


def test_a_loss_by_the_encoder_is_none():
    assert not comparison.check_luma(0.01).same
    assert comparison.check_luma(10**-4.2).same
    assert comparison.check_luma(0.0).same
    assert comparison.check_luma(None).same


def test_times_are_exact_or_within_a_millisecond():
    old = [Fraction(n, 24) for n in range(5)]
    rounded = [Fraction(round(seconds * 1000), 1000) for seconds in old]
    assert comparison.check_times(old, rounded, Fraction(1, 1000)).same
    assert not comparison.check_times(old, rounded, Fraction(0)).same
    assert not comparison.check_times(old, old[:4], Fraction(0)).same
    moved = comparison.check_times(old, [seconds + 1 for seconds in old], Fraction(0))
    assert moved.cell == "all moved by 1e+03 ms"


def program(monkeypatch, text):
    """Let `python -m vidcolor` be this text."""
    real = subprocess.run

    def run(command, **options):
        assert command[:4] == [sys.executable, "-m", "vidcolor", "run"]
        return real([sys.executable, "-c", text, *command[4:]], **options)

    monkeypatch.setattr(subprocess, "run", run)


COPIES = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[3])"
REFUSES = (
    "import sys\n"
    "if '--recolor' not in sys.argv:\n"
    "    sys.exit(f'error: {sys.argv[1]} has colour; --recolor takes it anyway.')\n"
)


def test_a_row_says_what_happened(film, tmp_path, monkeypatch):
    program(monkeypatch, REFUSES + COPIES)
    row = clips.exercise(film, film.parent, tmp_path, [], 60)
    assert row.problems == []
    assert row.cells["file"] == "`film.mkv`"
    assert row.cells["result"].startswith("refused: film.mkv has colour")
    assert row.cells["result"].endswith("With `--recolor`: colorized")
    assert set(clips.HEADER) == set(row.cells)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("raise ValueError('oh')", "TRACEBACK: ValueError: oh"),
        ("raise SystemExit(1)", "without a word"),
        ("pass", "can't be compared"),
        ("import os; os.abort()", "ended by signal"),
    ],
)
def test_a_row_is_loud_about_trouble(film, tmp_path, monkeypatch, text, problem):
    program(monkeypatch, text)
    row = clips.exercise(film, film.parent, tmp_path, [], 60)
    assert any(problem in each for each in row.problems), row.problems
    assert problem in row.cells["notes"]


def test_a_warning_explains_a_difference(film, tmp_path, monkeypatch):
    less = tmp_path / "less.mkv"
    remux(film, less, "-map", "-0:s")
    said = "print('warning: the subtitles can\\'t be kept.', file=sys.stderr)"
    program(monkeypatch, f"import shutil, sys; shutil.copy({str(less)!r}, sys.argv[3]); {said}")
    row = clips.exercise(film, film.parent, tmp_path, [], 60)
    assert row.problems == []
    assert "the subtitles can't be kept." in row.cells["notes"]


def test_media_are_found_and_stills_counted(tmp_path):
    for name in ("b.mp4", "a/c.gif", "a/d.jpg", "e.md", "f.color.mp4", ".g.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    films, stills = clips.find_media(tmp_path)
    assert [film.name for film in films] == ["c.gif", "b.mp4"]
    assert stills == 1
