"""`vidcolor preview`: what a person types, and what they are told."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.clips import make_clip
from vidcolor.cli import run_arguments
from vidcolor.cli.preview import EPILOG, output_of, variants_of

FAST = ("--model", "standin", "--threads", "1", "--device", "cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("film") / "film.mkv", frames=30, cuts=(15,))


@pytest.fixture
def film(made, tmp_path):
    return Path(shutil.copy2(made, tmp_path / "film.mkv"))


@pytest.fixture
def run(capsys):
    """Run a command; returns exit code, stdout and stderr."""

    def run(*arguments):
        code = run_arguments(["preview", *(str(argument) for argument in arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def assert_one_sentence(err):
    assert err.startswith("error: ")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert "bug" not in err


def test_moments_of_the_film_beside_it(run, film):
    code, out, err = run(film, *FAST, "--tiles", "2")
    assert (code, err) == (0, "")
    sheet = film.with_name("film.preview.png")
    line = r": 2 moments of the film, colours by standin, in \d+\.\d s\n"
    assert re.fullmatch(re.escape(str(sheet)) + line, out), out
    assert cv2.imread(str(sheet)) is not None
    assert names(film.parent) == ["film.mkv", "film.preview.png"]
    # Again, over the last one.
    assert run(film, *FAST, "--tiles", "1")[0] == 0


def test_a_range(run, film):
    code, out, _ = run(film, *FAST, "--start", "0.5", "--frames", "9", "--tiles", "4")
    assert code == 0
    assert "film.preview.png: 4 of 9 frames, colours by standin, in " in out


def test_a_clip(run, film, tmp_path):
    clip = tmp_path / "clip.mp4"
    code, out, err = run(film, *FAST, "--start", "0:01", "-o", clip)
    assert (code, err) == (0, "")
    assert "clip.mp4: 6 of 6 frames, colours by standin" in out
    with av.open(str(clip)) as container:
        assert len(list(container.decode(video=0))) == 6


def test_models_and_presets_beside_each_other(run, film, tmp_path):
    one = tmp_path / "one.png"
    assert run(film, "--model", "standin", "--frames", 2, "-o", one)[0] == 0
    presets = ("--preset", "fast", "--preset", "best", "--preset", "fast")
    several = tmp_path / "several.png"
    code, out, _ = run(film, "--model", "standin", *presets, "--frames", 2, "-o", several)
    assert code == 0
    assert "2 of 2 frames, colours by 2 variants (standin, fast; standin, best), in " in out
    heights = [
        image.shape[0] for path in (one, several) if (image := cv2.imread(str(path))) is not None
    ]
    assert heights[1] - heights[0] == 96 + 4, "one more row"


def test_every_model_with_every_preset():
    variants = variants_of(["compact", "standin"], ["best", "fast"], weights=None, saturation=0.5)
    assert [variant.label for variant in variants] == [
        *("compact, best", "compact, fast", "standin, best", "standin, fast")
    ]
    assert [variant.settings.anchor_every for variant in variants] == [1, 9, 1, 9]
    assert {variant.settings.saturation for variant in variants} == {0.5}
    assert [v.label for v in variants_of([], [], weights=None)] == ["auto"]


def test_where_the_output_goes(tmp_path):
    film = Path("films/film.avi")
    assert output_of(film, None) == Path("films/film.preview.png")
    assert output_of(film, "a.webp") == Path("a.webp")
    assert output_of(film, "made/") == Path("made/film.preview.png")
    assert output_of(film, str(tmp_path)) == tmp_path / "film.preview.png"


USAGE = {
    "model": (["--model", "siggraf17"], "siggraph17"),
    "one of two models": (["--model", "standin", "--model", "siggraf17"], "siggraph17"),
    "preset": (["--preset", "quick"], "there is no preset 'quick'"),
    "start": (["--start", "soon"], "H:MM:SS.mmm"),
    "end": (["--end", "1:99"], "H:MM:SS.mmm"),
    "end before start": (["--start", "1", "--end", "0.5"], "after the start"),
    "end in frames before start": (["--start", "1", "--end", "3f"], "after the start"),
    "start beyond": (["--start", "0:10"], "its last frame, 29f, is at 1.208 s"),
    "start frame beyond": (["--start", "30f"], "its last frame, 29f, is at 1.208 s"),
    "no frames": (["--frames", "0"], "--frames was given '0'; expected a whole number from 1 on."),
    "frames in words": (["--frames", "many"], "--frames was given 'many'"),
    "negative frames": (["--frames", "-3"], "--frames was given '-3'"),
    "no tiles": (["--tiles", "0"], "--tiles was given '0'; expected a whole number from 1 on."),
    "too many tiles": (["--tiles", "101"], "from 1 to 100"),
    "tiles of a clip": (["--tiles", "3", "-o", "a.mp4"], "--tiles is for sheets"),
    "end and frames": (["--end", "1", "--frames", "5"], "give one of them"),
    "suffix": (["-o", "sheet.gif"], "ends in '.gif'; expected a sheet's .png"),
    "no suffix": (["-o", "sheet"], "expected a sheet's .png, .jpg, .jpeg, .webp or a clip's .mp4"),
    "empty output": (["-o", ""], "-o is empty"),
    "weights of several": (
        ["--weights", "w.pth", "--model", "eccv16", "--model", "siggraph17"],
        "--weights is one network's file",
    ),
    "saturation": (["--saturation", "3"], "from 0 to 2"),
    "missing config": (["--config", "nowhere.toml"], "nowhere.toml"),
}


@pytest.mark.parametrize("case", USAGE)
def test_bad_usage_is_exit_code_2(run, film, monkeypatch, case):
    monkeypatch.chdir(film.parent)
    arguments, said = USAGE[case]
    code, out, err = run("film.mkv", *FAST[2:], "--model", "standin", *arguments)
    assert (code, out) == (2, "")
    assert_one_sentence(err)
    assert said in err
    assert names(film.parent) == ["film.mkv"]


def picture(path):
    path.write_bytes(cv2.imencode(path.suffix, np.full((40, 60, 3), 90, np.uint8))[1].tobytes())


FAILURES = {
    "missing": (lambda path: None, "film.mp4", "there is no file"),
    "folder": (lambda path: path.mkdir(), "films", "is a folder; expected a video file"),
    "still": (picture, "photo.png", "`vidcolor image`"),
    "photograph": (picture, "photo.jpg", "`vidcolor image`"),
    "text": (lambda path: path.write_text("no film"), "text.mp4", "not a video"),
    "nothing": (lambda path: path.touch(), "empty.mkv", "empty.mkv"),
    "colour": (lambda path: make_clip(path, frames=4, color=True), "colour.mkv", "--recolor"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_sources_that_cant_be_shown(run, tmp_path, case):
    make, name, said = FAILURES[case]
    make(tmp_path / name)
    there = names(tmp_path)
    code, out, err = run(tmp_path / name, *FAST)
    assert (code, out) == (1, "")
    assert_one_sentence(err)
    assert said in err
    assert names(tmp_path) == there


def test_colour_is_taken_when_asked_for(run, tmp_path):
    film = make_clip(tmp_path / "film.mkv", frames=4, color=True)
    assert run(film, *FAST, "--recolor")[0] == 0


@pytest.mark.parametrize(
    ("given", "said"), [("", "INPUT is empty"), ("https://films/a.mp4", "download the film first")]
)
def test_inputs_that_are_no_files(run, given, said):
    code, _, err = run(given, *FAST)
    assert code == 2
    assert_one_sentence(err)
    assert said in err


def test_a_file_that_is_there_is_left_alone(run, film, tmp_path):
    output = tmp_path / "mine.png"
    output.write_text("precious")
    code, out, err = run(film, *FAST, "-o", output)
    assert (code, out) == (1, "")
    assert_one_sentence(err)
    assert "--overwrite" in err
    assert output.read_text() == "precious"
    assert run(film, *FAST, "-o", output, "--overwrite", "--tiles", "1")[0] == 0


def test_a_folder_nobody_may_write_to(run, made):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        source = Path(shutil.copy(made, folder / "film.mkv"))
        source.chmod(0o644)
        folder.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            # Root may write anywhere.
            os.seteuid(65534)
        try:
            code, out, err = run(source, *FAST)
        finally:
            os.seteuid(user)
            folder.chmod(0o755)
        assert (code, out) == (1, "")
        assert_one_sentence(err)
        assert "choose another place with -o" in err
        assert names(folder) == ["film.mkv"]


def test_help_lists_ranges_and_examples(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    assert run_arguments(["preview", "--help"]) == 0
    out = capsys.readouterr().out
    for words in ("Usage: vidcolor preview", "without sound", "[default: balanced]", "--tiles"):
        assert words in out
    for line in EPILOG.splitlines():
        if line.startswith("  vidcolor"):
            assert line.strip() in out


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from vidcolor.cli import run_arguments\n"
        "run_arguments(['preview', '--help'])\n"
        "print('HEAVY', [n for n in ('torch', 'av', 'cv2', 'numpy') if n in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_a_bar_on_a_terminal_and_one_line_after_it(film):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "vidcolor", "preview", str(film), *FAST]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    done = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    assert done.wait() == 0
    text = seen.decode()
    assert "colorizing" in text
    assert "moments of the film" in text.splitlines()[-1]
