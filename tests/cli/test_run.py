"""`vidcolor run`: what a person types, and what they are told."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import av
import pytest
from rich.cells import cell_len

from tests.clips import make_clip
from tests.jobs.helpers import FAST, decoded
from vidcolor.cli import run_arguments
from vidcolor.cli.screen import Row, clock, damage_sentence, plain_table, summary, words_of
from vidcolor.jobs.events import Progress
from vidcolor.jobs.local import Outcome
from vidcolor.media.join import join_segments
from vidcolor.models.standin import StandinModel

FRAMES = 30


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("film") / "film.mkv", frames=FRAMES)


@pytest.fixture
def film(made, tmp_path):
    return Path(shutil.copy2(made, tmp_path / "film.mkv"))


@pytest.fixture
def run(capsys):
    """Run a command; returns exit code, stdout and stderr."""

    def run(*arguments):
        code = run_arguments([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def assert_one_sentence(err):
    assert err.startswith("error: ")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert "bug" not in err


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_run_on_a_pipe_prints_one_line(run, film):
    code, out, err = run("run", film, *FAST)
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    line = rf"film\.color\.mkv: {FRAMES} frames in \d+:\d\d:\d\d, \d+\.\d fps, colours by standin\n"
    assert re.search(line + r"\Z", out), out
    assert len(decoded(film.with_name("film.color.mkv"))) == FRAMES
    assert names(film.parent) == ["film.color.mkv", "film.mkv"]


def test_json_lines(run, film):
    code, out, err = run("run", film, *FAST, "--json")
    assert (code, err) == (0, "")
    events = [json.loads(line) for line in out.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[-1] == "finished"
    assert kinds.count("started") == 1
    progress = [event for event in events if event["event"] == "progress"]
    phases = list(dict.fromkeys(event["phase"] for event in progress))
    assert phases == ["reading", "colorizing", "joining"]
    colorizing = [event for event in progress if event["phase"] == "colorizing"]
    done = [event["done"] for event in colorizing]
    assert done == sorted(done)
    assert (colorizing[-1]["done"], colorizing[-1]["total"]) == (FRAMES, FRAMES)
    assert events[-1]["frames"] == FRAMES
    assert events[-1]["made"] is True
    assert "standin on cpu" in events[kinds.index("started")]["engine"]


def test_an_output_that_is_there_is_left_alone(run, film):
    output = Path(shutil.copy(film, film.with_name("film.color.mkv")))
    code, out, err = run("run", film, *FAST)
    assert (code, err) == (0, "")
    assert "already there and was left alone, not compared with this command's settings" in out
    assert "--overwrite makes it again" in out
    assert output.read_bytes() == film.read_bytes()
    assert names(film.parent) == ["film.color.mkv", "film.mkv"]
    code, out, err = run("run", film, *FAST, "--overwrite")
    assert (code, err) == (0, "")
    assert len(decoded(output)) == FRAMES


def test_a_job_beside_an_output_left_alone_is_told(run, film):
    assert run("run", film, *FAST, "--keep-job")[0] == 0
    code, out, _ = run("run", film, *FAST)
    assert code == 0
    assert "film.color.mkv.job beside it" in out
    assert "--overwrite goes on with it" in out


@pytest.mark.parametrize("what", ["text", "device"])
def test_an_output_that_is_no_film_isnt_taken_for_a_finished_one(run, film, what):
    output = film.with_name("film.color.mkv")
    if what == "text":
        output.write_text("precious")
    else:
        output.symlink_to("/dev/null")
    code, out, err = run("run", film, *FAST)
    assert (code, out) == (1, "")
    assert_one_sentence(err)
    assert "is there already and isn't a film" in err
    assert ("--overwrite" in err) == (what == "text")
    assert "-o" in err
    code, _, _ = run("run", film, *FAST, "--overwrite")
    # A device is never replaced.
    assert code == (0 if what == "text" else 1)
    assert output.is_symlink() == (what == "device")


WRONG_ANYWAY = {
    "range": (["--start", "1", "--end", "0.5"], 2),
    "range of frames": (["--end", "0f"], 2),
    "model": (["--model", "siggraf17"], 2),
    "crf": (["--codec", "libx264", "--crf", "60"], 2),
    "codec": (["--codec", "libx246"], 1),
    "device": (["--device", "toaster"], 1),
    "weights": (["--weights", "nowhere.pth"], 1),
}


@pytest.mark.parametrize("case", WRONG_ANYWAY)
def test_what_is_wrong_anyway_is_told_before_an_output_is_left_alone(run, film, case):
    arguments, expected = WRONG_ANYWAY[case]
    shutil.copy(film, film.with_name("film.color.mkv"))
    code, out, err = run("run", film, *FAST, *arguments)
    assert (code, out) == (expected, "")
    assert_one_sentence(err)


@pytest.mark.parametrize("arguments", [[""], ["film.mkv", "-o", ""]])
def test_empty_names(run, film, monkeypatch, arguments):
    monkeypatch.chdir(film.parent)
    code, out, err = run("run", *arguments, *FAST)
    assert (code, out) == (2, "")
    assert_one_sentence(err)
    assert "empty" in err
    assert names(film.parent) == ["film.mkv"]


def test_an_empty_file_is_called_empty(run, tmp_path):
    (tmp_path / "film.mkv").touch()
    code, _, err = run("run", tmp_path / "film.mkv", *FAST)
    assert code == 1
    assert "film.mkv is empty" in err


def test_a_folder_to_be_made_needs_a_slash(run, film):
    code, _, err = run("run", film, "-o", film.with_name("newdir"), *FAST)
    assert code == 1
    assert_one_sentence(err)
    assert "a slash at its end" in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_run_into_a_full_stdout_is_no_bug(film):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        command = [sys.executable, "-m", "vidcolor", "run", film, *FAST]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert_one_sentence(done.stderr)
    assert "No space left on device" in done.stderr


def test_a_film_in_colour_among_others_is_left_and_no_failure(run, film, tmp_path):
    make_clip(tmp_path / "best.mkv", frames=12, color=True)
    code, out, err = run("run", tmp_path, *FAST)
    assert code == 0
    assert out.splitlines()[-1] == "1 made, 1 in colour"
    assert "warning: " in err
    assert "best.mkv already has colour" in err
    assert not (tmp_path / "best.color.mkv").exists()
    code, out, err = run("run", tmp_path, *FAST, "--dry-run")
    assert code == 0
    assert "1 there already; 1 in colour" in out
    # Named outright it is asked for, and that fails.
    code, _, err = run("run", tmp_path / "best.mkv", *FAST)
    assert code == 1
    assert_one_sentence(err)


def test_several_films_end_with_a_count(run, film, tmp_path):
    (tmp_path / "bad.mkv").write_text("no film")
    shutil.copy(film, tmp_path / "old.mkv")
    shutil.copy(film, tmp_path / "old.color.mkv")
    code, out, _ = run("run", tmp_path, *FAST)
    assert code == 1
    assert out.splitlines()[-1] == "1 made, 1 there already, 1 failed"
    code, out, _ = run("run", tmp_path, *FAST, "--json")
    last = json.loads(out.splitlines()[-1])
    films = last.pop("films")
    assert last == {
        "event": "together",
        **{"made": 0, "there_already": 2, "damaged_source": 0, "failed": 1},
        **{"in_colour": 0, "interrupted": 0, "not_tried": 0},
    }
    assert [film["became"] for film in films] == ["failed", "there already", "there already"]


def test_keep_job(run, film):
    assert run("run", film, *FAST, "--keep-job")[0] == 0
    assert names(film.parent) == ["film.color.mkv", "film.color.mkv.job", "film.mkv"]


def test_a_range_has_the_frames_of_the_whole(run, film, tmp_path):
    assert run("run", film, *FAST)[0] == 0
    whole = decoded(film.with_name("film.color.mkv"))
    part = tmp_path / "part.mkv"
    assert run("run", film, "-o", part, *FAST, "--start", "5f", "--end", "20f")[0] == 0
    frames = decoded(part)
    assert [digest for _, digest in frames] == [digest for _, digest in whole[5:20]]
    assert frames[0][0] == 0


def test_several_films_go_on_after_a_bad_one(run, film, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_text("no film")
    code, out, err = run("run", bad, tmp_path / "nowhere.mp4", film, *FAST)
    assert code == 1
    assert [line[:7] for line in err.splitlines()] == ["error: "] * 2
    first, _, head, *rows, _, last = out.splitlines()
    assert first.startswith(f"[3/3] {film.with_name('film.color.mkv')}: 30 frames in ")
    assert re.split("  +", head) == [
        "film",
        "result",
        "frames",
        "time",
        "fps",
        "output, or why not",
    ]
    assert [row.split()[:3] for row in rows] == [
        ["bad.mp4", "failed", "-"],
        ["-", "failed", "-"],
        ["film.mkv", "made", "30"],
    ]
    assert last == "1 made, 2 failed"
    assert names(tmp_path) == ["bad.mp4", "film.color.mkv", "film.mkv"]


def test_a_folder_into_a_folder(run, film, tmp_path):
    shutil.copy(film, tmp_path / "b.mkv")
    (tmp_path / "old.color.mkv").touch()
    out_folder = tmp_path / "made" / "here"
    code, _, err = run("run", tmp_path, "-o", f"{out_folder}/", *FAST)
    assert (code, err) == (0, "")
    assert names(out_folder) == ["b.color.mkv", "film.color.mkv"]


def test_all_below_a_folder_into_a_folder(run, film, tmp_path):
    deep = tmp_path / "shelf" / "20s" / "deep"
    deep.mkdir(parents=True)
    for path in (tmp_path / "shelf" / "reel2.mkv", tmp_path / "shelf" / "reel10.mkv"):
        shutil.copy(film, path)
    shutil.copy(film, deep / "b.mkv")
    (deep / "up").symlink_to(tmp_path)
    out_folder = tmp_path / "made"
    code, out, err = run("run", "-r", tmp_path / "shelf", "-o", f"{out_folder}/", *FAST)
    assert (code, err) == (0, "")
    made = sorted(path.relative_to(out_folder).as_posix() for path in out_folder.rglob("*.mkv"))
    assert made == ["20s/deep/b.color.mkv", "reel10.color.mkv", "reel2.color.mkv"]
    told = [line.split(":")[0].rsplit("/", 1)[1] for line in out.splitlines()[:3]]
    assert told == ["reel2.color.mkv", "reel10.color.mkv", "b.color.mkv"]
    # Given again, there is nothing left to do.
    code, out, err = run("run", "-r", tmp_path / "shelf", "-o", out_folder, *FAST)
    assert (code, out.splitlines()[-1]) == (0, "3 there already")


def test_a_pattern_no_shell_expanded(run, film, monkeypatch):
    monkeypatch.chdir(film.parent)
    code, out, err = run("run", "f*.mkv", *FAST)
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    code, out, err = run("run", "lost*.mkv", *FAST)
    assert (code, out) == (1, "")
    assert_one_sentence(err)


def test_the_same_film_named_twice_is_made_once(run, film):
    code, out, err = run("run", film.parent, film, dotted(film), *FAST)
    assert (code, err) == (0, "")
    # One film gives one line.
    assert out.count("\n") == 1


def test_a_damaged_film_among_others(run, film, tmp_path):
    damaged = damage(make_clip(tmp_path / "z.mkv", frames=48, options={"bf": "0"}))
    code, out, _ = run("run", film, damaged, *FAST)
    assert code == 3
    assert "z.mkv     damaged source" in out
    assert out.splitlines()[-1] == "1 made, 1 damaged source"
    # A film that failed counts for more than one that is damaged.
    assert run("run", tmp_path / "nowhere.mkv", damaged, *FAST, "--overwrite")[0] == 1


def damage(film):
    data = bytearray(film.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(b ^ 0x5A for b in data[middle : middle + 400])
    film.write_bytes(data)
    return film


def test_bad_usage_of_one_film_of_several(run, film, tmp_path):
    """Two films that would become one: 2 where nothing failed."""
    for name in ("a.avi", "a.webm"):
        shutil.copy(film, tmp_path / name)
    code, out, err = run("run", tmp_path, *FAST)
    assert code == 2
    assert out.splitlines()[-1] == "2 made, 1 failed"
    assert "would both become" in err


def test_what_no_film_can_do_better_with_ends_the_batch(run, film, tmp_path):
    shutil.copy(film, tmp_path / "b.mkv")
    code, out, err = run("run", tmp_path, *FAST, "--device", "cuda:7", "--json")
    assert code == 1
    assert_one_sentence(err)
    last = json.loads(out.splitlines()[-1])
    assert (last["failed"], last["not_tried"]) == (1, 1)
    assert [film["became"] for film in last["films"]] == ["failed", "not tried"]


def interrupt_the_second(monkeypatch):
    count = iter(range(1))

    def join(*arguments, **options):
        if next(count, None) is None:
            raise KeyboardInterrupt
        return join_segments(*arguments, **options)

    monkeypatch.setattr("vidcolor.jobs.local.join_segments", join)


def test_ctrl_c_in_a_batch_shows_what_was_done(run, film, tmp_path, monkeypatch):
    for name in ("b.mkv", "c.mkv"):
        shutil.copy(film, tmp_path / name)
    interrupt_the_second(monkeypatch)
    command = ("run", tmp_path / "b.mkv", film, tmp_path / "c.mkv", *FAST)
    code, out, err = run(*command)
    assert code == 130
    assert err == "interrupted; give the same command again to go on where it was.\n"
    _, _, _, *rows, _, last = out.splitlines()
    assert [re.split("  +", row)[:2] for row in rows] == [
        ["b.mkv", "made"],
        ["film.mkv", "interrupted"],
        ["c.mkv", "not tried"],
    ]
    assert last == "1 made, 1 interrupted, 1 not tried"
    monkeypatch.undo()
    code, out, err = run(*command)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "2 made, 1 there already"


def test_ctrl_c_that_ends_the_reader_too_is_no_failure(run, film, tmp_path, monkeypatch):
    def gone(self, rows):
        raise BrokenPipeError

    shutil.copy(film, tmp_path / "b.mkv")
    interrupt_the_second(monkeypatch)
    monkeypatch.setattr("vidcolor.cli.screen.OneLine.together", gone)
    code, _, err = run("run", tmp_path, *FAST)
    assert code == 130
    assert err.startswith("interrupted; ")


def test_json_lines_of_a_batch(run, film, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_text("no film")
    code, out, _ = run("run", bad, film, tmp_path / "nowhere.mp4", *FAST, "--json")
    assert code == 1
    events = [json.loads(line) for line in out.splitlines()]
    begun = [event for event in events if event["event"] == "film"]
    assert begun == [
        {"event": "film", "number": 1, "of": 3, "source": str(bad)},
        {"event": "film", "number": 2, "of": 3, "source": str(film)},
        {"event": "film", "number": 3, "of": 3, "source": None},
    ]
    first, made, last = events[-1]["films"]
    assert (first["source"], first["became"], first["exit_code"]) == (str(bad), "failed", 1)
    assert "is not a video" in first["error"]
    assert (made["became"], made["frames"], made["output"]) == (
        *("made", FRAMES, str(film.with_name("film.color.mkv"))),
    )
    assert made["fps"] == pytest.approx(FRAMES / made["seconds"])
    assert (last["source"], last["became"]) == (None, "failed")


def test_the_options_typed_are_noted(run, film, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text("saturation = 0.9\n")
    typed = ["--model", "standin", "--crf", "20", "--encoder-option", "tune=film"]
    typed += ["--encoder-option", "g=24", "--recolor", "--start", "2f", "--keep-job"]
    once = ("--config", "my.toml", "--restart", "--json", "--debug", "-r")
    assert run("run", "film.mkv", *typed, *once, "-o", "out.mkv")[0] == 0
    job = json.loads((tmp_path / "out.mkv.job" / "job.json").read_text())
    assert job["source"] == str(film)
    options = job["options"]
    at = options.index("--config")
    assert options[at + 1] == str(tmp_path / "my.toml")
    del options[at : at + 2]
    pairs = [("--crf", "20"), ("--model", "standin"), ("--start", "2f")]
    pairs += [("--encoder-option", "tune=film"), ("--encoder-option", "g=24")]
    for pair in pairs:
        at = next(i for i in range(len(options)) if tuple(options[i : i + 2]) == pair)
        del options[at : at + 2]
    assert sorted(options) == ["--keep-job", "--recolor"]


def test_no_options_are_noted_where_none_were_typed(run, film, monkeypatch):
    monkeypatch.setattr("vidcolor.inference.load_model", lambda *_: StandinModel().eval())
    assert run("run", film, "-o", film.with_name("out.mkv"), "--keep-job")[0] == 0
    job = json.loads((film.with_name("out.mkv.job") / "job.json").read_text())
    assert job["options"] == ["--keep-job"]


def audio_only(path):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=48000)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 48000
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


BAD_FILES = {
    "text.mp4": lambda path: path.write_text("not a film at all\n" * 50),
    "empty.mkv": lambda path: path.touch(),
    "sound.m4a": audio_only,
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_files_that_hold_no_film(run, tmp_path, name):
    BAD_FILES[name](tmp_path / name)
    code, out, err = run("run", tmp_path / name, *FAST)
    assert (code, out) == (1, "")
    assert_one_sentence(err)
    assert name in err
    assert names(tmp_path) == [name]


def test_a_missing_file(run, tmp_path):
    code, out, err = run("run", tmp_path / "film.mp4", *FAST)
    assert (code, out) == (1, "")
    assert_one_sentence(err)
    assert "doesn't exist" in err
    assert names(tmp_path) == []
    # Nor is a folder made for nothing.
    assert run("run", tmp_path / "film.mp4", "-o", f"{tmp_path}/made/", *FAST)[0] == 1
    assert names(tmp_path) == []


def test_a_folder_without_films(run, tmp_path):
    code, out, err = run("run", tmp_path, *FAST)
    assert (code, out) == (1, "")
    assert_one_sentence(err)
    assert "folder without films" in err


USAGE = {
    "start after end": (["--start", "1", "--end", "0.5"], "after the start"),
    "start at end": (["--start", "7f", "--end", "7f"], "after the start"),
    "start beyond the end": (["--start", "0:10"], "beyond the film's end"),
    "frame beyond the end": (["--start", "30f"], "beyond the film's end"),
    "no time": (["--start", "soon"], "H:MM:SS.mmm"),
    "unknown model": (["--model", "siggraf17"], "siggraph17"),
    "unknown preset": (["--preset", "quick"], "preset"),
    "missing config": (["--config", "nowhere.toml"], "nowhere.toml"),
    "option without a value": (["--encoder-option", "tune"], "KEY=VALUE"),
    "option without a key": (["--encoder-option", "=film"], "KEY=VALUE"),
    "smoothing": (["--smoothing", "maybe"], "on or off"),
    "anchors": (["--anchor-every", "10"], "from 1 to 9"),
    "saturation": (["--saturation", "3"], "from 0 to 2"),
    "crf": (["--crf", "good"], "--crf was given 'good'; expected a whole number."),
    "crf with a point": (["--crf", "17.5"], "--crf was given '17.5'; expected a whole number."),
    "no number": (["--saturation", "x"], "--saturation was given 'x'; expected a number."),
    "crf beyond x264": (["--codec", "libx264", "--crf", "52"], "libx264 takes 0 to 51"),
    "crf beyond x265": (["--codec", "libx265", "--crf", "52"], "libx265 takes 0 to 51"),
    "crf beyond auto": (["--codec", "auto", "--crf", "52"], "libx264 takes 0 to 51"),
    "preserve": (["--preserve", "hue"], "luma or lightness"),
    "unknown flag": (["--colour"], "--colour"),
}


@pytest.mark.parametrize("case", USAGE)
def test_bad_usage_is_exit_code_2(run, film, case):
    arguments, said = USAGE[case]
    code, out, err = run("run", film, *FAST, *arguments)
    assert (code, out) == (2, "")
    assert_one_sentence(err)
    assert said in err
    assert names(film.parent) == ["film.mkv"]


FAILURES = {
    "unknown codec": (["--codec", "libx246"], "libx264"),
    "option nobody knows": (["--encoder-option", "colour=red"], "colour"),
    "value nobody knows": (["--codec", "libx264", "--encoder-preset", "quick"], "libx264"),
    "weights for a formula": (["--weights", "nowhere.pth"], "nowhere.pth"),
    "no such device": (["--device", "cuda:7"], "cuda:7"),
    "no device at all": (["--device", "toaster"], "toaster"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_what_cannot_be_done_is_exit_code_1(run, film, case):
    arguments, said = FAILURES[case]
    code, out, err = run("run", film, *FAST, *arguments)
    assert (code, out) == (1, "")
    assert_one_sentence(err)
    assert said in err
    assert names(film.parent) == ["film.mkv"]


def test_damaged_weights(run, film, tmp_path_factory):
    weights = tmp_path_factory.mktemp("weights") / "compact.safetensors"
    weights.write_bytes(b"\x07\x00\x00\x00\x00\x00\x00\x00{'junk" + bytes(100))
    code, out, err = run("run", film, *FAST, "--model", "compact", "--weights", weights)
    assert (code, out) == (1, "")
    assert_one_sentence(err)
    assert "compact.safetensors" in err
    assert names(film.parent) == ["film.mkv"]


def same(film):
    return film


def dotted(film):
    return film.parent / "." / ".." / film.parent.name / film.name


def hard_link(film):
    os.link(film, film.with_name("linked.mkv"))
    return film.with_name("linked.mkv")


def symbolic_link(film):
    film.with_name("linked.mkv").symlink_to(film)
    return film.with_name("linked.mkv")


@pytest.mark.parametrize("naming", [same, dotted, hard_link, symbolic_link])
def test_the_source_is_never_the_output(run, film, naming):
    data = film.read_bytes()
    code, out, err = run("run", film, "-o", naming(film), *FAST, "--overwrite")
    assert (code, out) == (2, "")
    assert_one_sentence(err)
    assert "source itself" in err
    assert film.read_bytes() == data


def test_several_films_into_one_file(run, film):
    code, out, err = run("run", film, film, "-o", film.with_name("one.mkv"), *FAST)
    assert (code, out) == (2, "")
    assert_one_sentence(err)


@pytest.mark.parametrize("place", ["file/film.mkv", "nowhere/film.mkv"])
def test_a_place_that_is_no_folder(run, film, place):
    film.with_name("file").touch()
    code, out, err = run("run", film, "-o", film.parent / place, *FAST)
    assert (code, out) == (1, "")
    assert_one_sentence(err)
    assert names(film.parent) == ["file", "film.mkv"]


def test_an_output_that_is_a_folder_takes_the_film(run, film):
    film.with_name("folder").mkdir()
    assert run("run", film, "-o", film.with_name("folder"), *FAST)[0] == 0
    assert names(film.with_name("folder")) == ["film.color.mkv"]


@pytest.fixture
def nobody(made):
    """A folder that others may read but not write to, entered as an ordinary user."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shutil.copy(made, folder / "film.mkv")
        (folder / "film.mkv").chmod(0o644)
        folder.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            # Root may write anywhere.
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            folder.chmod(0o755)


def test_a_folder_nobody_may_write_to(run, nobody):
    with pytest.raises(PermissionError):
        (nobody / "trial").touch()
    code, out, err = run("run", nobody / "film.mkv", *FAST)
    assert (code, out) == (1, "")
    assert_one_sentence(err)
    assert str(nobody) in err
    assert names(nobody) == ["film.mkv"]


def test_a_film_nobody_may_read(run, nobody):
    folder = nobody
    os.seteuid(os.getuid())
    (folder / "film.mkv").chmod(0)
    if os.getuid() == 0:
        os.seteuid(65534)
    code, out, err = run("run", folder / "film.mkv", *FAST)
    assert (code, out) == (1, "")
    assert_one_sentence(err)


def test_colour_is_refused_without_recolor(run, tmp_path):
    film = make_clip(tmp_path / "film.mkv", frames=12, color=True)
    code, out, err = run("run", film, *FAST)
    assert (code, out) == (1, "")
    assert_one_sentence(err)
    assert "--recolor" in err
    assert names(tmp_path) == ["film.mkv"]
    assert run("run", film, *FAST, "--recolor")[0] == 0


def test_flags_go_over_a_file_of_settings(run, film, tmp_path_factory):
    config = tmp_path_factory.mktemp("config") / "mine.toml"
    config.write_text('model = "standin"\ncodec = "ffv1"\nsaturation = 0.0\n')
    outputs = {name: film.with_name(f"{name}.mkv") for name in ("gray", "full", "flags")}
    assert run("run", film, "-o", outputs["gray"], "--config", config)[0] == 0
    assert run("run", film, "-o", outputs["full"], "--config", config, "--saturation", "1")[0] == 0
    assert run("run", film, "-o", outputs["flags"], *FAST)[0] == 0
    frames = {name: [digest for _, digest in decoded(path)] for name, path in outputs.items()}
    assert frames["full"] == frames["flags"] != frames["gray"]


def test_an_unforeseen_error_is_called_a_bug(run, film, monkeypatch):
    def broken(*arguments, **options):
        raise ZeroDivisionError("by nobody")

    monkeypatch.setattr("vidcolor.jobs.local.join_segments", broken)
    code, out, err = run("run", film, *FAST)
    assert (code, out) == (1, "")
    assert err.startswith("error: this is a bug in vidcolor (ZeroDivisionError: by nobody)")
    assert err.count("\n") == 1
    assert not film.with_name("film.color.mkv").exists()
    code, out, err = run("run", film, *FAST, "--debug")
    assert "Traceback" in err


def in_a_terminal(*arguments):
    """Run the command with a terminal for stdout; returns exit code, what it drew, and stderr."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "vidcolor", *map(str, arguments)],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "60"},
    ) as process:
        os.close(theirs)
        drawn = b""
        # The read fails when the other end of a pseudo-terminal is closed.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 4096):
                drawn += part
        _, err = process.communicate()
    os.close(ours)
    return process.returncode, drawn.decode(), err.decode()


def test_a_terminal_shows_what_was_chosen_and_bars(film):
    code, drawn, err = in_a_terminal("run", film, *FAST, "--keep-job")
    assert (code, err) == (0, "")
    assert f"{film} -> {film.with_name('film.color.mkv')}" in drawn
    assert "standin on cpu, " in drawn
    assert "ffv1; 30 frames in 2 segments" in drawn
    assert "colorizing" in drawn
    assert "30/30" in drawn
    assert drawn.rstrip().splitlines()[-1].split("film.color.mkv: ")[1].startswith("30 frames in")
    film.with_name("film.color.mkv").unlink()
    code, drawn, err = in_a_terminal("run", film, *FAST)
    assert (code, err) == (0, "")
    assert "2 of them finished by an earlier run" in drawn


def test_a_terminal_shows_which_film_of_how_many_and_a_table(film, tmp_path):
    (tmp_path / "bad.mkv").write_text("no film")
    shutil.copy(film, tmp_path / "ready.mkv")
    shutil.copy(film, tmp_path / "ready.color.mkv")
    code, drawn, err = in_a_terminal("run", tmp_path, *FAST)
    assert code == 1
    assert_one_sentence(err)
    assert f"[2/3] {film} -> " in drawn
    # Above the bars, which go away.
    assert re.search(r"\[2/3\] film\.mkv *\r?\n", drawn), drawn
    shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", drawn).replace("\r", "")
    table = shown[shown.rindex(" film ") :]
    for name, result in (("bad.mkv", "failed"), ("film.mkv", "made"), ("ready.mkv", "there")):
        assert re.search(rf"^ {re.escape(name)} +{result}", table, re.MULTILINE), table
    assert table.rstrip().endswith("1 made, 1 there already, 1 failed")
    # No line is cut off or wider than the terminal.
    assert max(map(len, table.splitlines())) <= 60


def test_a_table_fits_where_it_goes():
    rows = [
        Row("a/reel 1.mkv", "made", 2400, 65.0, 36.9, "coloured/with a long name/reel 1.color.mkv"),
        Row("b/reel 1.mkv", "failed", error="b/reel 1.mkv is empty (0 bytes); try another copy."),
        Row("漢字漢字漢字漢字漢字漢字漢字漢字.mkv", "made", 1, 1.0, 1.0, "o.mkv"),
        Row("odd\nname.mkv", "not tried"),
        Row(None, "failed", error="nowhere.mp4 doesn't exist; check its name."),
    ]
    for width in (80, 120):
        lines = plain_table(rows, width)
        assert max(cell_len(line) for line in lines) <= width
        assert len(lines) == 1 + len(rows)
        # Numbers stand in their column, whatever the name's width.
        ends = {cell_len(line[: line.index(" fps") + 4]) for line in lines[:1]}
        ends |= {
            cell_len(line[: line.index(end) + len(end)])
            for line, end in ((lines[1], "36.9"), (lines[3], " 1.0"))
        }
        assert len(ends) == 1, "\n".join(lines)
    assert lines[1].startswith("a/reel 1.mkv ")
    assert lines[2].endswith("is empty")
    assert lines[4].startswith(r"odd\nname.mkv")
    assert lines[1].endswith("coloured/with a long name/reel 1.color.mkv")
    assert plain_table(rows, 80)[1].endswith("name/reel 1.color.mkv")


def test_a_name_that_is_no_text(film):
    strange = Path(os.fsdecode(os.fsencode(film.parent) + b"/f\xffilm[red].mkv"))
    film.rename(strange)
    done = subprocess.run(
        [sys.executable, "-m", "vidcolor", "run", strange, *FAST], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "30 frames" in done.stdout
    assert len(list(film.parent.iterdir())) == 2


def test_a_reader_who_leaves_ends_the_run_quietly(film):
    command = [sys.executable, "-m", "vidcolor", "run", str(film), *FAST, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
    assert (process.returncode, said) == (1, b"")
    assert not film.with_name("film.color.mkv").exists()


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.2, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05")]
)
def test_clock(seconds, shown):
    assert clock(seconds) == shown


def test_sentences():
    made = Outcome(output=Path("o.mp4"), made=True, frames=100, seconds=10)
    assert summary(made) == "o.mp4: 100 frames in 0:00:10, 10.0 fps"
    resumed = replace(made, frames_resumed=80)
    assert summary(resumed) == "o.mp4: 100 frames (80 by an earlier run) in 0:00:10, 2.0 fps"
    damaged = replace(made, damaged=1, missing=7)
    assert damage_sentence(damaged) == (
        "the source is damaged: 1 frame decoded with errors and may look wrong, 7 frames couldn't "
        "be decoded and were left out."
    )
    advance = Progress(phase="colorizing", done=30, total=90, fps=4.0)
    assert words_of(advance) == "30/90  4.0 fps  0:00:15 left"
