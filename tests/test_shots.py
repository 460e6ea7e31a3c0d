"""Shots on made-up films: what must be a cut, what must not, and whom a decision may ask."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from vidcolor.shots import (
    REACH_FRAMES,
    UNLIKE,
    is_blank,
    starts_shot,
    thumbnail,
    thumbnail_difference,
    unlikeness,
)

WIDTH, HEIGHT = 160, 120


def scene(seed, *, level=110.0, contrast=35.0, width=WIDTH, height=HEIGHT):
    """A picture (height, width), float: soft shapes of several sizes."""
    random = np.random.default_rng(seed)
    picture = np.zeros((height, width))
    for size in (3, 8, 20):
        picture += cv2.GaussianBlur(random.standard_normal((height, width)), (0, 0), size) * size
    picture = (picture - picture.mean()) / picture.std()
    return level + contrast * picture


def pan(seed, frames, step, **look):
    """A wide scene passing by, `step` samples per frame."""
    wide = scene(seed, width=WIDTH + math.ceil(step * frames), **look).astype(np.float32)
    middle = (HEIGHT - 1) / 2
    places = [((WIDTH - 1) / 2 + n * step, middle) for n in range(frames)]
    return [cv2.getRectSubPix(wide, (WIDTH, HEIGHT), place) for place in places]


def still(seed, frames, **look):
    return [scene(seed, **look)] * frames


def flickering(film, seed=0, *, levels=24.0):
    """Each frame's brightness off by up to `levels`, its contrast by up to a tenth."""
    random = np.random.default_rng(seed)
    return [f * random.uniform(0.9, 1.1) + random.uniform(-levels, levels) for f in film]


def grainy(film, sigma=10.0, seed=0):
    random = np.random.default_rng(seed)
    return [f + random.normal(0, sigma, f.shape) for f in film]


def repeated(film):
    """Every second frame is the one before."""
    return [film[n // 2 * 2] for n in range(len(film))]


def zoom(seed, frames, percent):
    picture = scene(seed)
    found = []
    for n in range(frames):
        side = (1 - percent / 100) ** n
        width, height = WIDTH * side, HEIGHT * side
        box = cv2.getRectSubPix(
            picture.astype(np.float32), (int(width), int(height)), (WIDTH / 2, HEIGHT / 2)
        )
        found.append(cv2.resize(box, (WIDTH, HEIGHT)))
    return found


def thumbnails(film):
    return [thumbnail(np.clip(np.rint(f), 0, 255).astype(np.uint8)) for f in film]


def cuts(film):
    pictures = thumbnails(film)
    reach = REACH_FRAMES
    return [
        n
        for n in range(1, len(pictures))
        if starts_shot(pictures[max(0, n - reach) : n + 1 + reach], min(n, reach))
    ]


def flash(film, at, frames=1):
    return [f * 0.6 + 120 if at <= n < at + frames else f for n, f in enumerate(film)]


ONE_SHOT = {
    "still": still(1, 16),
    "flicker of 24 levels": flickering(still(1, 24)),
    "flicker, grain": grainy(flickering(still(2, 24))),
    "fast pan": pan(3, 16, 20),
    "fast pan, repeated frames": repeated(pan(3, 20, 12)),
    "fast pan, flicker": flickering(pan(4, 16, 16)),
    "zoom": zoom(5, 24, 3),
    "flash": flash(pan(6, 20, 4), 10),
    "flash of three frames": flash(pan(6, 20, 4), 10, 3),
    "flash to white": [f if n != 9 else np.full_like(f, 255) for n, f in enumerate(still(7, 20))],
    "fade out": [16 + (f - 16) * max(0, 1 - n / 12) for n, f in enumerate(pan(8, 20, 2))],
    "fade to white": [235 + (f - 235) * max(0, 1 - n / 12) for n, f in enumerate(pan(8, 20, 2))],
    "nothing but grain": grainy([np.full((HEIGHT, WIDTH), 20.0)] * 20, 6),
}


@pytest.mark.parametrize("film", ONE_SHOT)
def test_one_shot_has_no_cut(film):
    assert cuts(ONE_SHOT[film]) == []


LOW = {"contrast": 9.0}
TWO_SHOTS = {
    "stills": still(1, 10) + still(2, 10),
    "of one brightness, flickering": flickering(still(3, 10) + still(4, 10)),
    "low contrast": still(5, 10, **LOW) + still(6, 10, **LOW),
    "low contrast inside a pan": pan(7, 10, 8, **LOW) + pan(8, 10, 8, **LOW),
    "inside a fast pan": pan(9, 10, 16) + pan(10, 10, 16),
    "fast pan, grain, flicker": grainy(flickering(pan(9, 10, 12) + pan(10, 10, 12))),
    "repeated frames": repeated(pan(11, 10, 8) + pan(12, 10, 8)),
}


@pytest.mark.parametrize("film", TWO_SHOTS)
def test_a_cut_is_found_where_it_is(film):
    assert cuts(TWO_SHOTS[film]) == [10]


@pytest.mark.parametrize("black", [1, 5, 12])
def test_a_shot_starts_where_a_picture_comes_out_of_the_black(black):
    """No cut within either fade; one where the second begins to show."""
    out = [16 + (f - 16) * (1 - n / 10) for n, f in enumerate(pan(13, 10, 2))]
    back = [16 + (f - 16) * (n + 1) / 10 for n, f in enumerate(pan(14, 10, 2))]
    found = cuts([*out, *[np.full((HEIGHT, WIDTH), 16.0)] * black, *back])
    assert len(found) == 1
    assert 10 + black <= found[0] <= 12 + black


def test_a_decision_asks_its_neighbours_alone():
    film = flickering(pan(1, 12, 4) + pan(2, 12, 4))
    whole = cuts(film)
    for start in (3, 8, 10):
        assert [n + start for n in cuts(film[start:]) if n >= REACH_FRAMES] == [
            n for n in whole if n >= start + REACH_FRAMES
        ]


def test_unlikeness_sees_pictures_not_brightness():
    one, other = thumbnails([scene(1), scene(2)])
    moved, light = thumbnails([np.roll(scene(1), (6, 12), (0, 1)), scene(1) * 0.6 + 90])
    assert unlikeness(one, one) < 1e-3
    assert unlikeness(one, light) < 0.05
    assert unlikeness(one, moved) < UNLIKE
    assert unlikeness(one, other) > 1.5 * UNLIKE
    flat = np.full((60, 80), 16, np.uint8)
    assert is_blank(flat)
    assert not is_blank(one)
    assert unlikeness(flat, flat) == 0
    assert unlikeness(flat, one) == unlikeness(one, flat) == pytest.approx(1, abs=1e-3)


def test_difference_counts_levels():
    dark, light = np.full((90, 160), 40, np.uint8), np.full((90, 160), 70, np.uint8)
    assert thumbnail(dark).shape == (60, 80)
    assert thumbnail_difference(thumbnail(dark), thumbnail(light)) == 30
    assert REACH_FRAMES == 3
