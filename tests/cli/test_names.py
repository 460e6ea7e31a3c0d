"""Names of every kind, typed for every command, and shown so that a terminal obeys none of it."""

from __future__ import annotations

import os
import shutil
from io import BytesIO
from pathlib import Path

import av
import pytest
from PIL import Image

from tests.clips import luma, make_clip
from tests.jobs.helpers import FAST, decoded
from vidcolor.cli import run_arguments
from vidcolor.cli.escapes import printable

NAMES = {
    "quotes": 'it\'s "the"  `film` of $HOME, $(id) ~',
    "a dash": "-o",
    "dashes": "--model",
    "a newline": "two\nlines",
    "a pattern": "100%03d %s {0} [1-3] {a,b} * ?",
    "letters": "фильм 電影 🎬 é",
    "no text": os.fsdecode(b"caf\xe9 \xff"),
    "a terminal's commands": "a\x1b]0;title\x07\x1b[31m\x1b[2Jb\rc\x9b31m\u202egpj.b",
    "windows": 'a<b>c:d"e|f?g*h\\n\\. ',
    "a protocol": "concat:a.mkv|b.mkv",
    "long": "x" * 200,
    "markup": "[red]film[bold]",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    Image.fromarray(luma(0)).save(folder / "photo.png")
    return make_clip(folder / "film.mkv", frames=8)


@pytest.fixture
def run(capsys):
    def run(*arguments):
        code = run_arguments([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert_harmless(out + err)
        return code, out, err

    return run


def assert_harmless(text):
    """Nothing in it but lines that a terminal shows."""
    assert all(letter.isprintable() or letter == "\n" for letter in text), ascii(text)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_works_for_every_command(run, made, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    film, photo = Path(f"{name}.mkv"), Path(f"{name}.png")
    shutil.copy2(made, film)
    shutil.copy2(made.with_name("photo.png"), photo)
    # Only behind `--` is a name with dashes no option, as everywhere.
    code, out, err = run("run", *FAST, "--keep-job", "--", film)
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    coloured = Path(f"{name}.color.mkv")
    assert len(decoded(coloured.absolute())) == 8
    code, out, err = run("jobs")
    assert (code, err) == (0, "")
    assert "finished, kept" in out
    code, out, err = run("preview", "--model", "standin", "--frames", "2", "--", film)
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    code, out, err = run("image", "--model", "standin", "--", photo)
    assert (code, err) == (0, "")
    code, out, err = run("compare", "--limit", "2", "--", film, coloured)
    assert code == 0
    expected = {film, photo, coloured, Path(f"{name}.preview.png"), Path(f"{name}.color.png")}
    assert set(Path().iterdir()) == {*expected, Path(f"{name}.color.mkv.job")}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_in_an_error_is_one_line(run, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    film = Path(f"{name}.mkv")
    film.write_bytes(b"no film")
    for command in (["run"], ["run", "--dry-run"], ["preview"], ["image"], ["jobs"]):
        code, out, err = run(*command, "--", film)
        assert code in (0, 1), (command, out, err)
        if command != ["jobs"]:
            assert err.startswith("error: ")
            assert err.count("\n") == 1, err
    code, _, err = run("run", "--", f"{name} that isn't there")
    assert code == 1
    assert err.count("\n") == 1


def test_what_is_printed_of_a_name():
    assert printable("plain ñ 電\u3000影 \u200d") == "plain ñ 電\u3000影 \u200d"
    assert printable("a\nb\x1b[1m\x7f\u202e") == r"a\nb\x1b[1m\x7f\u202e"
    assert printable(os.fsdecode(b"\xff.mkv")) == r"\xff.mkv"


def test_tags_of_a_film_are_no_commands_either(run, made, tmp_path):
    """Titles and languages of tracks are shown by a dry run."""
    path = tmp_path / "film.mkv"
    with av.open(str(made)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        stream.metadata.update({"title": "a\x1b[2J\nb", "language": "x\x1by"})
        out.metadata["com\x1bment"] = "x"
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    code, out, err = run("run", path, *FAST, "--dry-run", "-o", tmp_path / "o.mp4")
    assert code == 0, err
    assert r"a\x1b[2J" in out


def tree(folder):
    """Everything below a folder, with what files hold."""
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_names_and_texts_inside_a_film_lead_nowhere(run, tmp_path, monkeypatch, suffix):
    """Attached files, covers, chapters and tags: only the output is written, wherever they say."""
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    plain = make_clip(
        inner / "plain.mkv",
        frames=12,
        subtitle=True,
        chapters=[(0.0, 0.2, "../../evil\n[CHAPTER]\nTIMEBASE=1/1;FFMETADATA1")],
    )
    with av.open(str(plain)) as source, av.open(str(inner / "film.mkv"), "w") as out:
        copies = [out.add_stream_from_template(s, opaque=True) for s in source.streams]
        for name in ("../../evil.ttf", str(tmp_path / "evil"), "a\nb", "-y", "..", "%d.ttf"):
            out.add_attachment(name, "font/ttf", b"evil")
        out.add_attachment("../../cover.png", "image/png", as_png())
        out.metadata.update({"title": "../../evil\nfile evil", "COMMENT": "x;#\\=\n[STREAM]"})
        out.set_chapters(source.chapters())
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    plain.unlink()
    before = tree(tmp_path)
    fast = [word if word != "ffv1" else "libx264" for word in FAST]
    code, _, err = run("run", "film.mkv", *fast, "-o", f"out{suffix}")
    assert code == 0, err
    after = tree(tmp_path)
    made = after.pop((inner / f"out{suffix}").relative_to(tmp_path))
    assert made is not None
    assert after == before


def as_png():
    memory = BytesIO()
    Image.fromarray(luma(0)).save(memory, "PNG")
    return memory.getvalue()
