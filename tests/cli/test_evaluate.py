"""`vidcolor evaluate`: what a person types, and what they are told."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from vidcolor.cli import run_arguments
from vidcolor.cli.evaluate import EPILOG, candidates_of, labels_of
from vidcolor.errors import UsageError
from vidcolor.models.registry import bundled_weights

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
FAST = ("--model", "standin", "--threads", "1", "--device", "cpu", "--size", "32")


@pytest.fixture
def album(tmp_path):
    """Four photographs in colour."""
    folder = tmp_path / "album"
    folder.mkdir()
    for n in range(4):
        coarse = np.random.default_rng(n).integers(0, 256, (3, 4, 3)).astype(np.uint8)
        assert cv2.imwrite(str(folder / f"{n}.png"), cv2.resize(coarse, (44, 32)))
    return folder


@pytest.fixture
def run(capsys):
    """Run a command; returns exit code, stdout and stderr."""

    def run(*arguments):
        code = run_arguments(["evaluate", *(str(argument) for argument in arguments)])
        return code, *capsys.readouterr()

    return run


def assert_one_sentence(err):
    assert err.startswith("error: ")
    assert err.count("\n") == 1, err
    assert "bug" not in err


def test_a_table_of_markdown_on_a_pipe(run, album):
    code, out, err = run("--photos", album, *FAST)
    assert (code, err) == (0, "")
    head, rule, *rows = out.splitlines()[:5]
    assert "PSNR, dB" in head
    assert re.fullmatch(r"\| -+ \|( -+: \|){8}", rule)
    assert [row.split()[1] for row in rows] == ["gray", "standin", "truth"]
    assert {len(line) for line in (rule, *rows)} == {len(head)}
    assert out.splitlines()[-1] == (
        "4 photographs of album, their middle square at 32x32 pixels. Coloured by standin on cpu, "
        "float32, batch 1."
    ).replace("float32", re.findall("float32|bfloat16", out)[0])


def test_json_is_one_object(run, album):
    code, out, err = run("--photos", album, *FAST, "--json", "--limit", "2")
    assert (code, err) == (0, "")
    figures = json.loads(out)
    assert figures["measured"] == 2
    assert [row["label"] for row in figures["rows"]] == ["gray", "standin", "truth"]
    assert figures["rows"][0]["means"]["psnr"] > 5
    assert "pictures" not in figures


def test_files_in_a_folder(run, album, tmp_path):
    code, out, err = run("--photos", album, *FAST, "--out", tmp_path / "figures")
    assert (code, err) == (0, "")
    made = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert made == ["figures.json", "sheet.png", "table.md"]
    table = (tmp_path / "figures" / "table.md").read_text()
    assert table.splitlines()[:5] == out.splitlines()[:5]
    code, out, err = run("--photos", album, *FAST, "--out", tmp_path / "figures")
    assert (code, out) == (1, "")
    assert_one_sentence(err)
    assert "--overwrite" in err
    assert run("--photos", album, *FAST, "-o", tmp_path / "figures", "--overwrite")[0] == 0


def test_two_networks_and_one_with_a_file_of_its_own(run, album, tmp_path):
    mine = shutil.copy(bundled_weights("compact"), tmp_path / "mine.safetensors")
    own = f"compact={mine}"
    models = ("--model", "compact", "--model", own, "--model", "compact")
    code, out, _ = run("--photos", album, *FAST, *models, "--json")
    assert code == 0
    rows = json.loads(out)["rows"]
    assert [row["label"] for row in rows] == [
        *("gray", "standin", "compact", "compact=mine.safetensors", "truth")
    ]
    assert rows[2]["means"] == rows[3]["means"]
    assert rows[1]["means"] != rows[2]["means"]


def test_the_networks_named(tmp_path):
    (tmp_path / "w").touch()
    mine = str(tmp_path / "w")
    assert [each.label for each in candidates_of(["standin", "compact", "standin"], None)] == [
        *("standin", "compact")
    ]
    (alone,) = candidates_of(["compact"], mine)
    assert (alone.settings.model, alone.settings.weights) == ("compact", mine)
    assert alone.label == "compact=w"
    assert candidates_of([f"compact={mine}"], None) == [alone]
    assert candidates_of([], mine)[0].settings.model == "auto"
    for models, weights in ((["compact", "eccv16"], mine), ([f"compact={mine}"], mine)):
        with pytest.raises(UsageError, match=r"compact=mine\.safetensors"):
            candidates_of(models, weights)


def test_files_are_told_apart_by_their_folders_where_need_be():
    runs = [("compact", None), ("compact", "/runs/a/best.pt"), ("compact", "/runs/b/best.pt")]
    assert labels_of(runs) == ["compact", "compact=a/best.pt", "compact=b/best.pt"]
    assert labels_of([*runs[:2], ("eccv16", "best.pt")]) == [
        *("compact", "compact=best.pt", "eccv16=best.pt")
    ]
    assert labels_of([("compact", "/best.pt"), ("compact", "/a/best.pt")]) == [
        *("compact=/best.pt", "compact=a/best.pt")
    ]


def test_auto_is_what_it_stands_for(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path))
    assert [each.label for each in candidates_of([], None)] == ["compact"]
    assert [each.label for each in candidates_of(["compact", "auto"], None)] == ["compact"]


def test_photographs_that_cannot_be_read_are_named(run, album):
    for n in range(13):
        (album / f"x{n:02}.png").write_bytes(b"no picture")
    code, out, err = run("--photos", album, *FAST)
    assert code == 0
    assert "4 photographs of album" in out
    assert "13 more photographs couldn't be read." in out
    lines = err.splitlines()
    assert len(lines) == 11
    assert lines[0].startswith("warning: x00.png can't be read")
    assert lines[-1] == "warning: 3 more photographs couldn't be read; --json names all."
    figures = json.loads(run("--photos", album, *FAST, "--json")[1])
    assert len(figures["unreadable"]) == 13


FAILURES = {
    "no such folder": (["--photos", "nowhere"], 1, "nowhere"),
    "an empty folder": (["--photos", "empty"], 1, "empty"),
    "no name": (["--photos", ""], 2, "--photos is empty"),
    "a folder of text": (["--photos", "texts"], 1, "texts"),
    "nothing whole": (["--photos", "broken"], 1, "no photograph that can be measured"),
    "a network": (["--photos", "album", "--model", "compcat"], 2, "compact"),
    "empty weights": (["--photos", "album", "--weights", ""], 2, "--weights is empty"),
    "a network without a name": (["--photos", "album", "--model", "=a.pth"], 2, "'=a.pth'"),
    "a file without a name": (["--photos", "album", "--model", "compact="], 2, "'compact='"),
    "lost weights": (["--photos", "album", "--model", "compact=a.pth"], 1, "a.pth"),
    "no weights": (["--photos", "album", "--model", "ucsd-eleven"], 1, "--weights FILE"),
    "a size": (["--photos", "album", "--size", "8"], 2, "--size is 8; expected pixels from 16"),
    "a size in words": (["--photos", "album", "--size", "big"], 2, "--size was given 'big'"),
    "a limit": (["--photos", "album", "--limit", "0"], 2, "--limit was given '0'"),
    "a device": (["--photos", "album", "--device", "gpu"], 1, "gpu"),
    "an empty -o": (["--photos", "album", "-o", ""], 2, "-o is empty"),
    "a file for a folder": (["--photos", "album", "-o", "album/0.png"], 1, "isn't a folder"),
    "no folder above": (["--photos", "album", "-o", "a/b"], 1, "make it first"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_what_goes_wrong_is_one_sentence(run, album, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("texts", "broken"):
        (tmp_path / name).mkdir()
    (tmp_path / "texts" / "readme.txt").write_text("text")
    (tmp_path / "broken" / "1.jpg").write_text("text")
    before = sorted(tmp_path.rglob("*"))
    arguments, expected, said = FAILURES[case]
    code, out, err = run("--threads", "1", *arguments)
    assert (code, out) == (expected, "")
    assert_one_sentence(err)
    assert said in err
    assert sorted(tmp_path.rglob("*")) == before


def test_help_lists_examples(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    assert run_arguments(["evaluate", "--help"]) == 0
    out = capsys.readouterr().out
    for words in ("Usage: vidcolor evaluate", "--photos", "[default: 256]", "NAME[=FILE]"):
        assert words in out
    for line in EPILOG.splitlines():
        if line.startswith("  vidcolor"):
            assert line.strip() in out


def test_a_bar_and_a_table_on_a_terminal(album):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "vidcolor", "evaluate", "--photos", str(album), *FAST]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
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
    lines = [ESCAPES.sub("", line) for line in seen.decode().splitlines()]
    assert any(line.startswith("measuring") for line in lines)
    assert any(re.match(r"truth +- +1\.000 +0\.00 ", line) for line in lines), lines[1:]
