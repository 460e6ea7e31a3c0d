"""Intertitles made in code are known; night scenes, windows, drawings and stripes are none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from vidcolor.resample import shrink
from vidcolor.titles import commonest, is_title, may_be_title

TEXTS = (
    "And so the little tramp went on his way,\nhoping to find a place to sleep.",
    '"I have no money,\nbut I have a friend\nin the city."',
    "Directed by\nEdwin S. Porter\n\nPhotographed by\nBlair Smith\n\n1903",
)


def written(text, *, ground=20, ink=215, size=36, grain=0.0, border=0, vignette=0.0, blur=0.7):
    """A title card (480, 640)."""
    image = Image.new("L", (640, 480), ground)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size)
    draw.multiline_text((320, 240), text, fill=ink, font=font, anchor="mm", align="center")
    if border:
        draw.rectangle((20, 20, 619, 459), outline=ink, width=border)
    return worn(np.asarray(image, np.float32), grain, vignette, blur)


def worn(picture, grain=0.0, vignette=0.0, blur=0.7):
    height, width = picture.shape
    ys, xs = np.mgrid[:height, :width]
    away = np.hypot((ys - height / 2) / height, (xs - width / 2) / width)
    noise = np.random.default_rng(0).standard_normal(picture.shape).astype(np.float32)
    soft = cv2.GaussianBlur(picture, (0, 0), blur) * (1 - vignette * away**2)
    return np.clip(np.rint(soft + grain * noise), 0, 255).astype(np.uint8)


def called_title(picture):
    small = shrink(picture, (256, 192))
    return may_be_title(small) and is_title(picture)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    "look",
    [
        {},
        {"ground": 50, "ink": 180},
        {"ground": 225, "ink": 30},
        {"size": 28},
        {"size": 44},
        {"grain": 10},
        {"border": 3},
        {"grain": 8, "border": 2, "vignette": 0.4},
    ],
)
def test_title_cards_are_titles(text, look):
    assert called_title(written(text, **look))


def test_a_title_card_on_its_side_is_one_when_turned_upright():
    card = np.ascontiguousarray(np.rot90(written(TEXTS[0])))
    assert is_title(card, rotation=90)


def lights(count, side, seed=0):
    """A night scene: bright windows of about `side` pixels anywhere on black."""
    rng = np.random.default_rng(seed)
    picture = np.full((480, 640), 18, np.float32)
    for y, x, r in zip(
        rng.integers(0, 470, count), rng.integers(0, 630, count), rng.random(count), strict=True
    ):
        reach = max(1, round(side * (0.5 + r)))
        picture[y : y + reach, x : x + reach] = 120 + 110 * r
    return picture


def front(columns, rows):
    """A dark house with rows of lit windows, some of them dark."""
    rng = np.random.default_rng(1)
    picture = np.full((480, 640), 22, np.float32)
    for row in range(rows):
        for column in range(columns):
            if rng.random() < 0.7:
                y, x = 60 + row * 360 // rows, 60 + column * 520 // columns
                picture[y : y + 200 // rows, x : x + 300 // columns] = 200
    return picture


def stars():
    picture = np.full((480, 640), 12, np.float32)
    rng = np.random.default_rng(2)
    picture[rng.integers(0, 480, 900), rng.integers(0, 640, 900)] = 255
    return picture


def cartoon():
    """Lines of a drawing on white paper."""
    picture = np.full((480, 640), 235, np.uint8)
    for n in range(7):
        cv2.ellipse(picture, (90 + 75 * n, 240), (60, 100 + 8 * n), 20 * n, 0, 320, 30, 5)
    return picture.astype(np.float32)


def bars():
    picture = np.full((480, 640), 20, np.float32)
    picture[:, ::40] = picture[:, 1::40] = picture[:, 2::40] = 200
    return picture


def disc():
    picture = np.full((480, 640), 16, np.uint8)
    cv2.circle(picture, (320, 240), 90, 200, -1)
    return picture.astype(np.float32)


@pytest.mark.parametrize(
    "picture",
    [
        lights(40, 8),
        lights(300, 4),
        lights(900, 3),
        front(6, 4),
        front(14, 9),
        stars(),
        cartoon(),
        bars(),
        disc(),
        np.full((480, 640), 16, np.float32),
        np.full((480, 640), 235, np.float32),
    ],
)
@pytest.mark.parametrize("grain", [0, 9])
def test_pictures_are_no_titles(picture, grain):
    assert not called_title(worn(picture, grain=grain))


def test_a_picture_with_a_line_of_writing_in_it_is_no_title():
    rng = np.random.default_rng(3)
    scene = cv2.GaussianBlur(rng.normal(110, 400, (480, 640)).astype(np.float32), (0, 0), 9)
    card = written("a subtitle burnt into the picture, as is often seen", size=24)
    assert not called_title(np.maximum(np.clip(scene, 0, 255).astype(np.uint8), card))


@pytest.mark.parametrize("level", [0, 20, 101, 161, 235, 255])
def test_the_ground_of_an_even_picture_is_its_level(level):
    assert commonest(np.full((60, 80), level, np.uint8)) == pytest.approx(level, abs=3)


def test_tiny_pictures_are_no_titles():
    assert not is_title(np.zeros((20, 30), np.uint8))
    assert not may_be_title(np.zeros((0, 30), np.uint8))
