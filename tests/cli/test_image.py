"""`vidcolor image`: what a person types, and what they are told."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.clips import make_clip
from tests.pictures import colours, exif_block, soft_gray
from vidcolor.cli import run_arguments
from vidcolor.errors import DeviceError
from vidcolor.media.photos import DEFAULT_QUALITY, to_8_bits

FAST = ("--model", "standin", "--device", "cpu", "--threads", "2")
GRAY = to_8_bits(soft_gray(96, 64))


@pytest.fixture
def run(capsys):
    """Run a command; returns exit code, stdout and stderr."""

    def run(*arguments):
        code = run_arguments([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(GRAY).save("photo.jpg", exif=b"Exif\0\0" + exif_block(orientation=6))
    return tmp_path


def names(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


def assert_one_sentence(err):
    assert err.startswith("error: ")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert "bug" not in err


def test_a_picture_gets_one_line(run, folder):
    code, out, err = run("image", "photo.jpg", *FAST)
    assert (code, err) == (0, "")
    line = r"photo\.color\.jpg: 64 x 96, 8 bits, \d+\.\d s, colours by standin\n"
    assert re.fullmatch(line, out), out
    with Image.open("photo.color.jpg") as image:
        assert (image.size, image.mode, image.getexif()[274]) == ((96, 64), "RGB", 6)
    assert names(folder) == ["photo.color.jpg", "photo.jpg"]


def test_an_output_that_is_there_is_left_alone(run, folder):
    assert run("image", "photo.jpg", *FAST)[0] == 0
    before = Path("photo.color.jpg").read_bytes()
    code, out, err = run("image", "photo.jpg", *FAST, "--saturation", "0.3")
    assert (code, err) == (0, "")
    assert "already there and was left alone, not compared with this command's settings" in out
    assert Path("photo.color.jpg").read_bytes() == before
    assert run("image", "photo.jpg", *FAST, "--saturation", "0.3", "--overwrite")[0] == 0
    assert Path("photo.color.jpg").read_bytes() != before


def test_a_folder_goes_on_after_a_bad_file_and_counts(run, folder):
    Image.fromarray(GRAY).save("second.png")
    Path("bad.png").write_text("hello")
    Path("sub").mkdir()
    shutil.copy("second.png", "sub/third.png")
    code, out, err = run("image", ".", "-r", "-o", "out/", *FAST)
    assert code == 1
    assert_one_sentence(err)
    assert "bad.png isn't a picture" in err
    assert out.splitlines()[-1] == "3 made, 1 failed"
    made = ["out/photo.color.jpg", "out/second.color.png", "out/sub/third.color.png"]
    assert [name for name in names(folder) if name.startswith("out/")] == made
    Path("bad.png").unlink()
    code, out, err = run("image", ".", "-r", "-o", "out/", *FAST)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "3 there already"


def test_exit_codes_of_several(run, folder):
    shutil.copy("photo.jpg", "same.jpg")
    assert run("image", "photo.jpg", "film.mp4", *FAST)[0] == 1
    Path("film.mp4").touch()
    code, out, _ = run("image", "photo.jpg", "film.mp4", *FAST)
    assert code == 1
    assert out.splitlines()[-1] == "1 there already, 1 failed"


def test_no_further_picture_without_a_network(run, folder, monkeypatch):
    Image.fromarray(GRAY).save("second.png")

    def refuse(settings):
        raise DeviceError("there is no such device here.")

    monkeypatch.setattr("vidcolor.inference.open_engine", refuse)
    code, out, err = run("image", ".", *FAST)
    assert code == 1
    assert_one_sentence(err)
    assert out == "1 failed, 1 not tried\n"


def test_ctrl_c_counts_and_leaves_nothing_half_written(run, folder, monkeypatch):
    Image.fromarray(GRAY).save("second.png")

    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("vidcolor.stills.write_photo", interrupt)
    code, out, err = run("image", ".", *FAST)
    assert code == 130
    assert out == "2 not tried\n"
    assert "interrupted" in err
    assert names(folder) == ["photo.jpg", "second.png"]


def test_a_bug_in_one_picture_keeps_no_other_back(run, folder, monkeypatch):
    Image.fromarray(GRAY).save("second.png")
    real = __import__("vidcolor.stills").stills.read_photo

    def read(path):
        if path.name == "photo.jpg":
            raise RuntimeError("unforeseen")
        return real(path)

    monkeypatch.setattr("vidcolor.stills.read_photo", read)
    code, out, err = run("image", ".", *FAST)
    assert code == 1
    assert "this is a bug in vidcolor (RuntimeError: unforeseen)" in err
    assert out.splitlines()[-1] == "1 made, 1 failed"
    assert "Traceback" in run("image", ".", *FAST, "--debug")[2]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpeg"])
def test_the_outputs_suffix_names_its_format(run, folder, suffix):
    assert run("image", "photo.jpg", "-o", f"made{suffix}", *FAST)[0] == 0
    with Image.open(f"made{suffix}") as image:
        kind = {".tif": "TIFF", ".jpeg": "JPEG"}.get(suffix, suffix[1:].upper())
        assert (image.format, image.getexif().get(274)) == (kind, 6)


def test_quality_makes_a_smaller_file(run, folder):
    assert run("image", "photo.jpg", "-o", "fine.jpg", *FAST)[0] == 0
    assert run("image", "photo.jpg", "-o", "rough.jpg", "--quality", "40", *FAST)[0] == 0
    fine, rough = (Path(name).stat().st_size for name in ("fine.jpg", "rough.jpg"))
    assert rough < 0.8 * fine


def test_a_hint_changes_the_picture(run, folder):
    compact = ("--model", "compact", "--device", "cpu", "--threads", "2")
    assert run("image", "photo.jpg", "-o", "plain.png", *compact)[0] == 0
    hints = ("--hint", "20,30,#3050c0", "--hint", "50,70,-30,30")
    code, out, err = run("image", "photo.jpg", "-o", "hinted.png", *hints, *compact)
    assert (code, err) == (0, "")
    assert "colours by compact" in out
    plain, hinted = (np.asarray(Image.open(f"{n}.png")).astype(int) for n in ("plain", "hinted"))
    # The picture lies on its side: upright 20,30 of 64 x 96 is stored row 43, column 30.
    moved = (hinted - plain)[64 - 1 - 20, 30]
    assert moved[2] > moved[1] + 10
    assert moved[2] > moved[0] + 10


def test_what_is_lost_is_a_warning(run, folder):
    Image.fromarray(soft_gray(40, 30)).save("deep.png")
    code, out, err = run("image", "deep.png", "-o", "deep.jpg", *FAST)
    assert code == 0
    assert out.startswith("deep.jpg: 40 x 30, 16 bits")
    assert err.startswith("warning: deep.png has 16 bits a sample, and JPEG keeps 8 of them")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["photo.jpg", "-o", "photo.jpg"], 2, "the source itself"),
        (["photo.jpg", "-o", "made.xyz"], 2, "the suffix .xyz; expected one of .png"),
        (["photo.jpg", "-o", "made"], 2, "no suffix"),
        (["photo.jpg", "-o", "nowhere/made.png"], 1, "nowhere isn't a folder"),
        (["photo.jpg", "photo.png", "-o", "made.png"], 2, "several pictures"),
        (["photo.jpg", "--quality", "0"], 2, "--quality was given '0'; expected"),
        (["photo.jpg", "--quality", "fine"], 2, "whole number from 1 to 100"),
        (["photo.jpg", "--saturation", "3"], 2, "from 0 to 2"),
        (["photo.jpg", "--hint", "1,2"], 2, "isn't X,Y,A,B"),
        (["photo.jpg", "--hint", "1,2,3,4"], 2, "standin takes no hints"),
        (["photo.jpg", "--model", "compakt"], 2, "did you mean compact?"),
        (["photo.jpg", "--model", "compact", "--hint", "64,2,3,4"], 2, "which is 64 x 96"),
        (["photo.jpg", "photo.png", "--hint", "1,2,3,4"], 2, "2 were asked for"),
        (["photo.jpg", "--device", "abacus"], 1, "no device called 'abacus'"),
        (["photo.jpg", "--weights", "nowhere.pth"], 1, "nowhere.pth doesn't exist"),
        (["nowhere.jpg"], 1, "doesn't exist"),
        (["https://example.org/a.jpg"], 2, "is a URL"),
        (["*.tif"], 1, "no picture is called *.tif"),
        (["film.mkv"], 1, "give it to `vidcolor run`"),
        (["colour.png"], 1, "already has colour"),
        (["empty"], 1, "folder without pictures"),
        (["photo.jpg", "--preset", "best"], 2, "--preset"),
        ([], 2, "INPUT"),
    ],
)
def test_wrong_turns_are_answered_in_one_sentence(run, folder, arguments, code, words):
    Image.fromarray(GRAY).save("photo.png")
    Image.fromarray(to_8_bits(colours(60, 40))).save("colour.png")
    make_clip(folder / "film.mkv", frames=2)
    Path("empty").mkdir()
    before = names(folder)
    fast = [] if "--model" in arguments else FAST[:2]
    given, out, err = run("image", *arguments, *fast)
    assert (given, out) == (code, "")
    assert_one_sentence(err)
    assert words in err
    assert names(folder) == before


def test_pictures_in_colour_among_others_are_left_and_no_failure(run, folder):
    Image.fromarray(to_8_bits(colours(60, 40))).save("colour.png")
    code, out, err = run("image", ".", *FAST)
    assert code == 0
    assert out.splitlines()[-1] == "1 made, 1 in colour"
    assert err.startswith("warning: colour.png already has colour")


def test_recolor_takes_pictures_that_have_colour(run, folder):
    Image.fromarray(to_8_bits(colours(60, 40))).save("colour.png")
    assert run("image", "colour.png", "--recolor", *FAST)[0] == 0


def test_help_names_every_option_and_default(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run("image", "--help")
    assert code == 0
    for words in (
        "--hint",
        "--recursive",
        f"[default: {DEFAULT_QUALITY}]",
        "[default: PICTURE.color.SUFFIX",
    ):
        assert words in out
    assert "\n   vidcolor image photo.jpg" in out
