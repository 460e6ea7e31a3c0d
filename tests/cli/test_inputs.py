"""Which films a command line names and what their outputs are called."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from vidcolor.cli.inputs import Film, films_of, natural
from vidcolor.errors import SourceError, UsageError
from vidcolor.jobs.naming import output_for


@pytest.fixture
def folder(tmp_path):
    names = ["b.mp4", "a.MKV", "c.avi", "a.color.mkv", "notes.txt", ".hidden.mp4", "d.color.MP4"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "inner.mp4").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("film.mp4", "film.color.mp4"),
        ("film.m4v", "film.color.m4v"),
        ("film.mov", "film.color.mov"),
        ("film.mkv", "film.color.mkv"),
        ("FILM.MP4", "FILM.color.MP4"),
        ("film.avi", "film.color.mkv"),
        ("film.webm", "film.color.mkv"),
        ("film", "film.color.mkv"),
        ("a.b.mp4", "a.b.color.mp4"),
    ],
)
def test_default_names(source, output):
    assert output_for(Path("x") / source) == Path("x") / output


def good(found):
    """The films of what was found, none of it an error."""
    assert all(isinstance(film, Film) for film in found), found
    return list(found)


def test_a_folder_gives_its_films_in_order(folder):
    films = good(films_of([str(folder)], None))
    assert [film.source.name for film in films] == ["a.MKV", "b.mp4", "c.avi"]
    assert [film.output.name for film in films] == ["a.color.MKV", "b.color.mp4", "c.color.mkv"]


def test_a_film_named_outright_is_taken_whatever_its_name(folder):
    (film,) = good(films_of([str(folder / "a.color.mkv")], None))
    assert film.output.name == "a.color.color.mkv"


def test_a_clip_that_preview_made_is_no_film_of_the_folder(folder):
    (folder / "b.preview.mp4").touch()
    for given in (str(folder), str(folder / "*.mp4")):
        assert "b.preview.mp4" not in [film.source.name for film in good(films_of([given], None))]
    (film,) = good(films_of([str(folder / "b.preview.mp4")], None))
    assert film.source.name == "b.preview.mp4"


def test_a_folder_without_films(tmp_path):
    (tmp_path / "a.color.mp4").touch()
    (error,) = films_of([str(tmp_path)], None)
    assert isinstance(error, SourceError)
    assert "folder without films" in str(error)


def test_a_missing_file_doesnt_keep_the_others_back(folder):
    error, film = films_of([str(folder / "x.mp4"), str(folder / "b.mp4")], None)
    assert isinstance(error, SourceError)
    assert isinstance(film, Film)


def test_outputs_into_a_folder(folder, tmp_path):
    other = f"{tmp_path}/other/"
    films = good(films_of([str(folder)], other))
    assert {film.output.parent for film in films} == {tmp_path / "other"}


def test_one_film_to_a_named_file(folder):
    (film,) = good(films_of([str(folder / "b.mp4")], "there.mkv"))
    assert film.output == Path("there.mkv")


@pytest.mark.parametrize(
    ("inputs", "output"), [([""], None), (["a.mp4", ""], None), (["a.mp4"], "")]
)
def test_empty_names_are_refused(inputs, output):
    with pytest.raises(UsageError, match="empty"):
        films_of(inputs, output)


def test_a_url_is_told_to_be_downloaded():
    (error,) = films_of(["https://example.org/film.mp4"], None)
    assert isinstance(error, UsageError)
    assert "https://example.org/film.mp4 is a URL; download" in str(error)


@pytest.mark.parametrize("several", [["."], ["a.mp4", "b.mp4"]])
def test_several_films_to_one_file_is_refused(several):
    with pytest.raises(UsageError, match="several films"):
        films_of(several, "there.mkv")


def test_two_films_that_would_become_one(tmp_path):
    for name in ("a.avi", "a.webm", "b.avi"):
        (tmp_path / name).touch()
    first, clash, last = films_of([str(tmp_path)], None)
    assert isinstance(first, Film)
    assert isinstance(last, Film)
    assert isinstance(clash, UsageError)
    assert "a.avi" in str(clash)
    assert "a.webm" in str(clash)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A shelf of films, named as people name them, in the current folder."""
    for name in (
        *("reel10.avi", "Reel2.avi", "reel1.mp4", "a[1].mp4", "a1.mp4", "x.color.mp4"),
        *("20s/b.mp4", "20s/deep/c.mkv", "20s/.hidden/d.mp4", "20s/f.color.mkv", "20s/.e.mp4"),
        *("20s/c.color.mkv.job/segments/00000.mkv", "9s/b.mp4", "none/notes.txt"),
    ):
        path = tmp_path / "shelf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "shelf/20s/c.color.mkv.job/job.json").touch()
    monkeypatch.chdir(tmp_path / "shelf")
    return tmp_path / "shelf"


ALL = ["a1.mp4", "a[1].mp4", "reel1.mp4", "Reel2.avi", "reel10.avi", "9s/b.mp4", "20s/b.mp4"]
ALL += ["20s/deep/c.mkv"]


def sources(*inputs, output=None, recursive=False):
    films = good(films_of(inputs, output, recursive=recursive))
    return [film.source.as_posix() for film in films]


def test_names_sort_as_people_count(shelf):
    in_order = ["9a", "10", "a", "b", "B1", "b9", "b9x2", "b9x10", "b10"]
    shuffled = sorted(in_order, key=lambda name: name[::-1])
    assert shuffled != in_order
    assert [path.name for path in sorted(map(Path, shuffled), key=natural)] == in_order
    assert sources(".") == ALL[:5]


def test_a_folder_and_all_below(shelf):
    assert sources(".", recursive=True) == ALL
    assert sources("20s", recursive=True) == ["20s/b.mp4", "20s/deep/c.mkv"]
    # What is named outright is entered, whatever its name.
    assert sources("20s/.hidden") == ["20s/.hidden/d.mp4"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("reel*", ["reel1.mp4", "reel10.avi"]),
        ("[Rr]eel?.*", ["reel1.mp4", "Reel2.avi"]),
        ("*.avi", ["Reel2.avi", "reel10.avi"]),
        ("*/b.mp4", ["9s/b.mp4", "20s/b.mp4"]),
        ("**/*.mp4", ["9s/b.mp4", "20s/b.mp4", "a1.mp4", "a[1].mp4", "reel1.mp4"]),
        ("20s/**", ["20s/b.mp4", "20s/deep/c.mkv"]),
        ("**/**/deep/*", ["20s/deep/c.mkv"]),
        ("./20s/../*s/b*", ["20s/../9s/b.mp4", "20s/../20s/b.mp4"]),
        # Folders that match stand for their films.
        ("*0s", ["20s/b.mp4"]),
        (".*/*", None),
        ("20s/.h*/*.mp4", ["20s/.hidden/d.mp4"]),
        ("20s/.*.mp4", ["20s/.e.mp4"]),
    ],
)
def test_patterns_that_no_shell_expanded(shelf, pattern, expected):
    if expected is None:
        (error,) = films_of([pattern], None)
        assert isinstance(error, SourceError)
    else:
        assert sources(pattern) == expected


def test_an_absolute_pattern(shelf):
    assert sources(f"{shelf}/2*/*.mp4") == [f"{shelf.as_posix()}/20s/b.mp4"]


def test_a_name_that_exists_is_no_pattern(shelf):
    assert sources("a[1].mp4") == ["a[1].mp4"]
    (shelf / "[20]s").mkdir()
    (shelf / "[20]s" / "z.mp4").touch()
    assert sources("[20]s/*.mp4") == ["[20]s/z.mp4"]
    (shelf / "a[1].mp4").unlink()
    assert sources("a[1].mp4") == ["a1.mp4"]


@pytest.mark.parametrize(
    "pattern", ["lost*.mp4", "nowhere/*.mp4", "*.color.mp4", "no[ne]e", "**/q"]
)
def test_a_pattern_without_a_match(shelf, pattern):
    (error,) = films_of([pattern], None)
    assert isinstance(error, SourceError)
    assert f"no film is called {pattern}" in str(error)


def test_links_that_lead_round_in_a_circle(shelf):
    (shelf / "20s" / "up").symlink_to("..")
    (shelf / "20s" / "deep" / "self").symlink_to(".")
    (shelf / "loop.mp4").symlink_to("loop.mp4")
    began = time.monotonic()
    assert sources(".", recursive=True) == ALL
    assert len(sources("**/*.mkv")) == 1
    assert time.monotonic() - began < 5
    # A link that is named outright is followed.
    assert sources("20s/up") == [f"20s/up/{name}" for name in ALL[:5]]


def test_a_film_named_twice_is_there_once(shelf):
    (shelf / "link.mp4").symlink_to("a1.mp4")
    assert sources("a1.mp4", "./a1.mp4", ".", "20s/../a*.mp4", "link.mp4") == ["a1.mp4", *ALL[1:5]]
    assert len(films_of(["20s", "20s/b.mp4"], "out/", recursive=True)) == 2


def test_folders_below_are_kept_among_the_outputs(shelf):
    def outputs(*inputs, recursive=True):
        films = good(films_of(inputs, "out/", recursive=recursive))
        return [film.output.as_posix() for film in films]

    assert outputs("20s") == ["out/b.color.mp4", "out/deep/c.color.mkv"]
    assert outputs(".")[-2:] == ["out/20s/b.color.mp4", "out/20s/deep/c.color.mkv"]
    assert outputs("20s/**/*.m*", recursive=False) == ["out/b.color.mp4", "out/deep/c.color.mkv"]
    assert outputs("2*", recursive=True) == ["out/b.color.mp4", "out/deep/c.color.mkv"]
    # Without ** a pattern is what a shell would have made of it.
    clash = films_of(["*/b.mp4"], "out/")
    assert isinstance(clash[1], UsageError)


def test_a_pattern_to_one_file(shelf):
    (film,) = good(films_of(["20s/b*"], "there.mkv"))
    assert film.output == Path("there.mkv")
    with pytest.raises(UsageError, match="several films"):
        films_of(["reel*"], "there.mkv")


def test_a_folder_that_cant_be_read_doesnt_keep_the_others_back(shelf, monkeypatch):
    real = Path.iterdir

    def iterdir(path):
        if path.name == "20s":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    *films, error = films_of(["."], None, recursive=True)
    assert [film.source.as_posix() for film in good(films)] == ALL[:6]
    assert str(error) == "20s can't be read: Permission denied."


def test_a_jobs_folder_is_no_folder_of_films(shelf):
    (error,) = films_of(["20s/c.color.mkv.job"], None)
    assert isinstance(error, UsageError)
    assert "vidcolor jobs" in str(error)


def test_a_name_of_any_bytes(shelf):
    strange = os.fsdecode(b"f\xff.mp4")
    (shelf / strange).touch()
    assert strange in sources(".")
