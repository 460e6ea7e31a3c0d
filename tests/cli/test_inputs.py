"""Which films a command line names and what their outputs are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidcolor.cli.inputs import Film, films_of, output_for
from vidcolor.errors import SourceError, UsageError


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
