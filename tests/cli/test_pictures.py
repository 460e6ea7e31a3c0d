"""Which photographs a command line names and what their outputs are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidcolor.cli.pictures import Picture, output_for, pictures_of
from vidcolor.errors import SourceError, UsageError


@pytest.fixture
def folder(tmp_path):
    names = ["b10.jpg", "b2.PNG", "c.tif", "b2.color.png", "film.preview.png", ".hidden.jpg"]
    names += ["notes.txt", "film.mp4"]
    for name in (*names, "sub/d.webp", "sub/deep/e.bmp", ".cache/f.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "inner.png").mkdir()
    return tmp_path


def good(found):
    """The pictures of what was found, none of it an error."""
    assert all(isinstance(picture, Picture) for picture in found), found
    return list(found)


def sources(found, folder):
    return [str(picture.source.relative_to(folder)) for picture in good(found)]


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("a.jpg", "a.color.jpg"),
        ("A.JPEG", "A.color.JPEG"),
        ("a.png", "a.color.png"),
        ("a.tiff", "a.color.tiff"),
        ("a.webp", "a.color.webp"),
        ("a.gif", "a.color.png"),
        ("a.bmp", "a.color.png"),
        ("a", "a.color.png"),
        ("a.b.jpg", "a.b.color.jpg"),
    ],
)
def test_default_names(source, output):
    assert output_for(Path("x") / source) == Path("x") / output


def test_a_folder_gives_its_own_pictures_as_people_count(folder):
    found = pictures_of([str(folder)], None)
    assert sources(found, folder) == ["b2.PNG", "b10.jpg", "c.tif"]
    assert [p.output.name for p in good(found)] == ["b2.color.PNG", "b10.color.jpg", "c.color.tif"]


def test_recursive_gives_those_below_and_keeps_their_folders(folder):
    found = pictures_of([str(folder)], f"{folder}/out/", recursive=True)
    assert sources(found, folder) == ["b2.PNG", "b10.jpg", "c.tif", "sub/d.webp", "sub/deep/e.bmp"]
    made = [str(p.output.relative_to(folder / "out")) for p in good(found)]
    assert made[-2:] == ["sub/d.color.webp", "sub/deep/e.color.png"]


def test_a_pattern_no_shell_expanded(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert [p.source for p in good(pictures_of(["b*.*"], None))] == [
        Path("b2.PNG"),
        Path("b10.jpg"),
    ]
    below = [p.source for p in good(pictures_of(["**/*.webp"], None))]
    assert below == [Path("sub/d.webp")]
    assert [p.source for p in good(pictures_of(["su?"], None))] == [Path("sub/d.webp")]
    (error,) = pictures_of(["x*.jpg"], None)
    assert isinstance(error, SourceError)
    assert "no picture is called x*.jpg" in str(error)
    # A name that exists is never a pattern.
    Path("[b]2.jpg").touch()
    assert [p.source for p in good(pictures_of(["[b]2.jpg"], None))] == [Path("[b]2.jpg")]


def test_what_a_shell_expanded_leaves_out_the_outputs(folder, monkeypatch):
    monkeypatch.chdir(folder)
    names = ["b2.color.png", "b2.png", "c.tif"]
    Path("b2.png").touch()
    assert [str(p.source) for p in good(pictures_of(names, None))] == ["b2.png", "c.tif"]
    # Named alone, it is meant.
    (picture,) = good(pictures_of(["b2.color.png"], None))
    assert picture.output == Path("b2.color.color.png")


def test_named_twice_is_there_once(folder):
    (folder / "link.jpg").symlink_to(folder / "b10.jpg")
    names = [str(folder / name) for name in ("b10.jpg", "link.jpg", "b10.jpg")]
    assert sources(pictures_of(names, None), folder) == ["b10.jpg"]


def test_links_that_lead_in_a_circle(folder):
    (folder / "sub" / "round").symlink_to(folder)
    assert len(good(pictures_of([str(folder)], None, recursive=True))) == 5


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ("film.mp4", SourceError, "is a film; give it to `vidcolor run`"),
        ("http://example.org/a.jpg", UsageError, "is a URL"),
        ("nowhere.jpg", SourceError, "doesn't exist"),
        ("inner.png", SourceError, "folder without pictures"),
    ],
)
def test_inputs_that_name_nothing_keep_no_other_back(folder, monkeypatch, given, kind, words):
    monkeypatch.chdir(folder)
    error, picture = pictures_of([given, "c.tif"], None)
    assert isinstance(error, kind)
    assert words in str(error)
    assert isinstance(picture, Picture)


def test_two_that_would_become_one(folder):
    (folder / "c.gif").touch()
    (folder / "c.bmp").touch()
    found = pictures_of([str(folder / "c.gif"), str(folder / "c.bmp")], None)
    assert isinstance(found[0], Picture)
    assert isinstance(found[1], UsageError)
    assert "would both become" in str(found[1])


def test_one_file_cant_hold_several(folder):
    for inputs in ([str(folder)], [str(folder / "c.tif"), str(folder / "b10.jpg")]):
        with pytest.raises(UsageError, match="several pictures"):
            pictures_of(inputs, "out.png")
    (picture,) = good(pictures_of([str(folder / "c.tif")], "out.png"))
    assert picture.output == Path("out.png")
    (picture,) = good(pictures_of([str(folder / "c.tif")], str(folder / "sub")))
    assert picture.output == folder / "sub" / "c.color.tif"


@pytest.mark.parametrize(("inputs", "output"), [([""], None), (["a.jpg"], "")])
def test_empty_names(inputs, output):
    with pytest.raises(UsageError, match="empty"):
        pictures_of(inputs, output)
