"""Sheets fit a screen and keep inside their paper, whatever the film's shape and names."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vidcolor.errors import OutputError
from vidcolor.sheet import (
    MARGIN,
    PAPER,
    PICTURE_SUFFIXES,
    SHEET_WIDTH,
    Column,
    Groups,
    Layout,
    Panels,
    blank,
    encode,
    shortened,
    text_width,
    write,
)

SIZES = [(640, 480), (1920, 1080), (1080, 1920), (64, 48), (2048, 100), (90, 1600), (2, 2)]


def draw(layout, count, title="film.mp4"):
    tile = np.full((layout.tile[1], layout.tile[0], 3), 255, np.uint8)
    columns = [Column((tile,) * len(layout.labels), "0:00:00.000") for _ in range(count)]
    return layout.draw(title, "12 of 48 frames", columns)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 5, 13])
def test_a_sheet_fits_a_screens_width(size, count):
    layout = Layout.fit(size, count, ("source", "siggraph17, balanced", "compact, fast"))
    sheet = draw(layout, count)
    assert sheet.shape[1] <= SHEET_WIDTH
    assert layout.tile[0] <= 2 * size[0]
    # Every tile is there whole, and none reaches into the margin.
    white = np.all(sheet == 255, axis=-1)
    assert white.sum() >= count * 3 * layout.tile[0] * layout.tile[1]
    assert not white[:, -MARGIN:].any()
    for n in range(count):
        left, top = layout.place(n)
        assert white[top : top + layout.tile[1], left : left + layout.tile[0]].all()


@pytest.mark.parametrize(
    ("size", "least"), [((640, 480), 380), ((1920, 1080), 380), ((1080, 1920), 200)]
)
def test_tiles_are_as_large_as_the_screen_allows(size, least):
    assert least <= Layout.fit(size, 12, ("source", "compact")).tile[0] <= 480


def test_the_last_row_isnt_nearly_empty():
    assert [Layout.fit((640, 480), n, ("a",)).columns for n in (1, 4, 5, 6, 9, 12)] == [
        *(1, 4, 3, 3, 3, 4)
    ]


@pytest.mark.parametrize("text", ["a name " * 60, "戦艦ポチョムキン" * 30, "Потёмкин" * 30])
def test_long_names_are_cut_short(text):
    short, width = shortened(text, 30, 600, 400)
    assert width <= 600
    assert text_width(short, 30) == width
    assert short.endswith("…")
    assert len(short) > 15
    assert text_width(short[:-1] + text[len(short) - 1] + "…", 30) > 600
    assert shortened("short", 30, 600, 400)[0] == "short"


@pytest.mark.parametrize("text", ["Film", "Фильм", "電影", "영화"])
def test_any_script_is_written(text):
    """Not as question marks or boxes: each letter another shape."""
    pictures = []
    for letter in text:
        paper = blank(60, 60)
        write(paper, letter, (10, 45), 30)
        assert (paper != PAPER).any()
        pictures.append(paper.tobytes())
    question = blank(60, 60)
    write(question, "?", (10, 45), 30)
    assert len({*pictures, question.tobytes()}) == len(text) + 1


@pytest.mark.parametrize("suffix", [*PICTURE_SUFFIXES, ".PNG"])
def test_pictures_are_encoded_in_their_colours(suffix):
    image = np.full((40, 60, 3), (200, 60, 30), np.uint8)
    data = encode(image, suffix)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert np.abs(decoded[..., ::-1].astype(int) - image).max() <= 6


def test_what_a_format_cant_hold_is_told():
    with pytest.raises(OutputError, match=r"webp holds at most 16383.*\.png"):
        encode(np.zeros((16400, 2, 3), np.uint8), ".webp")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [2, 3, 7])
def test_panels_are_even_and_no_wider_than_can_be_played(size, count):
    panels = Panels.fit(size, ["x" * 40] * count)
    assert all(length % 2 == 0 for length in (*panels.size, *panels.panel, panels.bar))
    assert panels.size[0] <= 3840
    image = np.full((panels.panel[1], panels.panel[0], 3), 255, np.uint8)
    drawn = panels.draw(panels.paper(), [image] * count)
    assert drawn.shape == (panels.size[1], panels.size[0], 3)
    assert np.all(drawn[panels.bar :] == 255, axis=-1).sum() == image[..., 0].size * count
    if size == (640, 480):
        assert panels.panel == {2: (640, 480), 3: (640, 480), 7: (544, 408)}[count]


@pytest.mark.parametrize("count", [1, 2, 7, 24])
@pytest.mark.parametrize("rows", [2, 3, 6, 13])
def test_groups_fit_a_screens_width(count, rows):
    labels = [f"a network's quite long name {n}" for n in range(rows)]
    groups = Groups.fit(256, count, labels)
    assert 100 <= groups.side <= 256
    tile = np.full((groups.side, groups.side, 3), 255, np.uint8)
    columns = [Column((tile,) * rows, "a/photograph/of/something.jpg") for _ in range(count)]
    sheet = groups.draw("val.tar", "24 of 500 photographs", columns)
    assert sheet.shape[1] <= SHEET_WIDTH
    white = np.all(sheet == 255, axis=-1)
    assert white.sum() >= count * rows * groups.side**2
    assert not white[:, -MARGIN:].any()
    for n in range(count):
        for which in range(rows):
            left, top = groups.place(n, which)
            assert white[top : top + groups.side, left : left + groups.side].all()


def test_small_pictures_of_groups_are_not_enlarged():
    assert Groups.fit(32, 5, ("gray", "compact", "truth")).side == 32
