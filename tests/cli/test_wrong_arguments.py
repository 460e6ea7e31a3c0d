"""Wrong arguments to every command get one helpful sentence, and leave nothing behind."""

from __future__ import annotations

import pytest

from tests.cli.tree import LEAVES
from tests.clips import make_clip
from vidcolor.cli import run_arguments

STRANGE = "--strange-option"


def refused(words, folder, capsys, code=2):
    """Run a command that must end in one sentence; returns the sentence."""
    before = sorted(folder.rglob("*"))
    assert run_arguments([str(word) for word in words]) == code
    out, err = capsys.readouterr()
    assert err.startswith("error: "), (words, out, err)
    assert err.count("\n") == 1, err
    for bad in ("Traceback", "bug", "Errno"):
        assert bad not in err
    assert out == ""
    assert sorted(folder.rglob("*")) == before
    return err


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDCOLOR_CACHE", str(tmp_path / "cache"))
    make_clip(tmp_path / "film.mkv", frames=12)
    make_clip(tmp_path / "colour.mkv", frames=12, color=True)
    (tmp_path / "text.mp4").write_text("This is no film.\n")
    (tmp_path / "text.jpg").write_text("This is no picture.\n")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "empty.png").touch()
    (tmp_path / "nothing").mkdir()
    (tmp_path / "bad.toml").write_text("crf = 'fine'\n")
    (tmp_path / "typo.toml").write_text("saturatoin = 1\n")
    return tmp_path


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_an_unknown_option(words, folder, capsys):
    err = refused([*words, STRANGE], folder, capsys)
    assert STRANGE in err
    assert "--help" in err


@pytest.mark.parametrize(
    "words", [w for w, c in LEAVES.items() if any(p.required for p in c.params)], ids=" ".join
)
def test_a_missing_argument(words, folder, capsys):
    assert "--help" in refused(words, folder, capsys)


@pytest.mark.parametrize("words", [("strange",), ("models", "strange"), ("config", "strange")])
def test_an_unknown_command(words, folder, capsys):
    assert "strange" in refused(words, folder, capsys)


FILM = [
    # What is given, what the sentence must name.
    (["missing.mp4"], ["missing.mp4", "name"]),
    (["text.mp4"], ["text.mp4"]),
    (["empty.mp4"], ["empty.mp4", "empty"]),
    (["nothing"], ["nothing", "folder"]),
    (["colour.mkv"], ["colour.mkv", "--recolor"]),
    (["https://films.example.org/a.mp4"], ["URL", "download"]),
    (["film.mkv", "--model", "compcat"], ["compcat", "compact"]),
    (["film.mkv", "--preset", "bset"], ["bset", "best"]),
    (["film.mkv", "--saturation", "much"], ["--saturation", "'much'", "number"]),
    (["film.mkv", "--saturation", "7"], ["saturation", "7", "0 to 2"]),
    (["film.mkv", "--anchor-every", "0"], ["anchor_every", "1 to 9"]),
    (["film.mkv", "--smoothing", "maybe"], ["--smoothing", "on or off"]),
    (["film.mkv", "--preserve", "hue"], ["preserve", "luma or lightness"]),
    (["film.mkv", "--device", "cuda:7"], ["cuda:7"]),
    (["film.mkv", "--device", "gpu"], ["gpu", "cuda"]),
    (["film.mkv", "--config", "absent.toml"], ["absent.toml"]),
    (["film.mkv", "--config", "bad.toml"], ["crf", "'fine'"]),
    (["film.mkv", "--config", "typo.toml"], ["saturatoin", "saturation"]),
    (["film.mkv", "--weights", "absent.pth"], ["absent.pth"]),
    (["film.mkv", "--weights", ""], ["--weights"]),
    (["film.mkv", "--start", "soon"], ["'soon'", "H:MM:SS"]),
    (["film.mkv", "--start", "9:00"], ["540 s", "end"]),
    (["film.mkv", "--end", "0"], ["--end"]),
    (["film.mkv", "-o", "film.txt"], [".txt"]),
    (["film.mkv", "-o", ""], ["-o"]),
]
"""For the commands that take films."""

RUN = [
    (["film.mkv", "--codec", "libx246"], ["libx246"]),
    (["film.mkv", "--crf", "99"], ["crf", "99"]),
    (["film.mkv", "--encoder-option", "tune"], ["KEY=VALUE"]),
    (["film.mkv", "-o", "film.mkv"], ["film.mkv"]),
    (["film.mkv", "colour.mkv", "-o", "one.mkv"], ["one.mkv", "folder"]),
    (["lost*.mp4"], ["lost*.mp4"]),
    (["text.jpg"], ["text.jpg"]),
]
PREVIEW = [
    (["film.mkv", "--frames", "0"], ["--frames", "0"]),
    (["film.mkv", "--frames", "many"], ["--frames", "many"]),
    (["film.mkv", "--tiles", "0"], ["--tiles", "0"]),
    (["film.mkv", "--start", "0", "--end", "0.2", "--frames", "3"], ["--end", "--frames"]),
    (["film.mkv", "-o", "film.mkv"], ["film.mkv"]),
    (["film.mkv", "-o", "absent/sheet.png"], ["absent"]),
]
IMAGE = [
    (["missing.png"], ["missing.png"]),
    (["text.jpg"], ["text.jpg"]),
    (["empty.png"], ["empty.png"]),
    (["nothing"], ["nothing"]),
    (["film.mkv"], ["film.mkv", "vidcolor run"]),
    (["empty.png", "--hint", "1,2"], ["1,2"]),
    (["empty.png", "--hint", "1,2,#red"], ["#red"]),
    (["empty.png", "--quality", "101"], ["quality", "101"]),
    (["empty.png", "-o", "a.xyz"], [".xyz"]),
    (["empty.png", "--saturation", "3"], ["saturation"]),
    (["empty.png", "--model", "compcat"], ["compact"]),
    (["lost*.png"], ["lost*.png"]),
]
EVALUATE = [
    (["--photos", "missing"], ["missing"]),
    (["--photos", "nothing"], ["nothing"]),
    (["--photos", "text.jpg"], ["text.jpg"]),
    (["--photos", ""], ["--photos"]),
    (["--photos", "nothing", "--model", "compcat"], ["compcat", "compact"]),
    (["--photos", "nothing", "--model", "compact=absent.pth"], ["absent.pth"]),
    (["--photos", "nothing", "--model", "compact=", "--model", "eccv16"], ["compact="]),
    (["--photos", "nothing", "--model", "compact=a", "--weights", "b"], ["--weights"]),
    (["--photos", "nothing", "--size", "many"], ["--size", "many"]),
    (["--photos", "nothing", "--limit", "-1"], ["--limit", "-1"]),
    (["--photos", "nothing", "--device", "gpu"], ["gpu", "cuda"]),
    (["--photos", "nothing", "-o", "typo.toml"], ["typo.toml", "folder"]),
    (["--photos", "nothing", "-o", "absent/deep"], ["absent"]),
]
OTHERS = [
    (["models", "info", "compcat"], ["compact"]),
    (["models", "pull", "siggraf17"], ["siggraph17"]),
    (["config", "show", "--preset", "bset"], ["best"]),
    (["config", "show", "--config", "typo.toml"], ["saturation"]),
    (["config", "show", "--crf", "many"], ["--crf", "many"]),
    (["jobs", "absent"], ["absent"]),
    (["jobs", "clean", "absent"], ["absent"]),
    (["jobs", "clean", "--older-than", "long"], ["--older-than"]),
    (["film.mkv"], ["vidcolor run film.mkv"]),
]
CASES = [
    *((["run", *words], said) for words, said in FILM + RUN),
    *((["run", "--dry-run", *words], said) for words, said in FILM + RUN),
    *((["preview", *words], said) for words, said in FILM + PREVIEW),
    *((["image", *words], said) for words, said in IMAGE),
    *((["evaluate", *words], said) for words, said in EVALUATE),
    *OTHERS,
]


@pytest.mark.parametrize(("words", "said"), CASES, ids=lambda value: " ".join(value))
def test_one_helpful_sentence(words, said, folder, capsys):
    before = sorted(folder.rglob("*"))
    code = run_arguments(words)
    out, err = capsys.readouterr()
    assert code in (1, 2), (out, err)
    assert err.startswith("error: "), err
    assert err.count("\n") == 1, err
    for bad in ("Traceback", "bug", "Errno"):
        assert bad not in err
    for word in said:
        assert word in err
    assert sorted(folder.rglob("*")) == before
