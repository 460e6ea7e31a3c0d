"""What a photograph is: in colour, toned or gray, and where its frame ends."""

from __future__ import annotations

import numpy as np
import pytest

from tests.pictures import colours, soft_gray
from vidcolor.color import RgbSpace
from vidcolor.facts import TINT_RESIDUAL, Box, tint_residual
from vidcolor.still_facts import UNEVEN_RESIDUAL, frame_box, still_facts

SRGB = RgbSpace.srgb()
WIDTH, HEIGHT = 240, 160


def picture(width=WIDTH, height=HEIGHT):
    """8-bit gray with detail up to its edges, and none of it as light as paper."""
    grain = np.random.default_rng(0).normal(0, 12, (height, width))
    soft = soft_gray(width, height, low=0.1, high=0.7) / 257
    return np.clip(soft + grain, 0, 200).astype(np.uint8)


def framed(inner, level, margins, noise=0.0):
    """`inner` inside a frame of this level; margins from the top, right, bottom and left."""
    top, right, bottom, left = margins
    shape = inner.shape[0] + top + bottom, inner.shape[1] + left + right
    paper = np.random.default_rng(1).normal(level, noise, shape) if noise else np.full(shape, level)
    paper = np.clip(np.rint(paper), 0, 255).astype(np.uint8)
    paper[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return paper


def toned(gray, rgb):
    """A print whose white has this colour."""
    return np.rint(gray[..., None] / 255 * np.array(rgb)).astype(np.uint8)


@pytest.mark.parametrize("level", [0, 128, 236, 255])
@pytest.mark.parametrize("margins", [(12, 12, 12, 12), (5, 9, 30, 17)])
@pytest.mark.parametrize("scale", [1, 5])
def test_a_frame_is_found_to_the_sample(level, margins, scale):
    margins = tuple(scale * margin for margin in margins)
    image = framed(np.kron(picture(), np.ones((scale, scale), np.uint8)), level, margins)
    top, right, bottom, left = margins
    height, width = image.shape
    assert frame_box(image, SRGB) == Box(
        top=top, bottom=height - bottom, left=left, right=width - right
    )


def test_paper_may_be_grainy_and_bear_writing():
    image = framed(picture(), 236, (14, 14, 40, 14), noise=2.5)
    image[180:190, 60:76] = 40
    box = frame_box(image, SRGB)
    assert (box.top, box.left, box.right) == (14, 14, 14 + WIDTH)
    assert 14 + HEIGHT <= box.bottom <= 190


def test_a_print_with_a_border_on_a_scanners_glass():
    image = framed(framed(picture(), 225, (10, 10, 10, 10)), 0, (20, 30, 20, 30))
    assert frame_box(image, SRGB) == Box(top=30, bottom=30 + HEIGHT, left=40, right=40 + WIDTH)


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("margins", [(20, 0, 20, 0), (0, 33, 0, 33)])
def test_bars_on_two_sides(level, margins):
    image = framed(picture(), level, margins)
    top, _, bottom, left = margins
    height, width = image.shape
    expected = Box(top=top, bottom=height - bottom, left=left, right=width - left)
    assert frame_box(image, SRGB) == expected


@pytest.mark.parametrize(
    "image",
    [
        picture(),
        np.full((HEIGHT, WIDTH), 90, np.uint8),
        framed(picture(), 160, (40, 0, 0, 0)),
        framed(picture(), 160, (40, 0, 40, 0)),
        np.vstack([np.full((60, WIDTH), 200, np.uint8), picture()]),
        framed(picture(20, 12), 255, (74, 110, 74, 110)),
        picture(4000, 9),
        picture(3, 3),
    ],
    ids=[
        "picture to the edges",
        "nothing",
        "sky",
        "gray above and below",
        "bright sky",
        "more frame than picture",
        "strip",
        "nine samples",
    ],
)
def test_what_is_no_frame_stays(image):
    height, width = image.shape
    assert frame_box(image, SRGB) == Box(top=0, bottom=height, left=0, right=width)


def test_what_flies_is_not_framed_by_the_sky():
    """Wings and struts bound a box that is nearly all sky."""
    image = np.full((HEIGHT, WIDTH), 170, np.uint8)
    image[[40, 41, 114, 115], 60:180] = 40
    image[40:115, [70, 71, 168, 169]] = 40
    assert frame_box(image, SRGB) == Box(top=0, bottom=HEIGHT, left=0, right=WIDTH)


@pytest.mark.parametrize("depth", [8, 16])
def test_colour_tone_and_gray(depth):
    def facts(image):
        return still_facts(image if depth == 8 else image.astype(np.uint16) * 257, SRGB)

    gray = facts(picture())
    assert (gray.chroma, gray.colored) == (0, False)
    sepia = facts(toned(picture(), (255, 225, 180)))
    assert sepia.toned
    assert not sepia.colored
    assert sepia.chroma > 5
    colour = facts((colours(WIDTH, HEIGHT) >> 8).astype(np.uint8))
    assert colour.colored
    assert not colour.toned


def faded(left, right):
    """A print whose white goes from one colour to another across."""
    x = np.linspace(0, 1, WIDTH)[None, :, None]
    return np.rint(picture()[..., None] * ((1 - x) * left + x * right)).astype(np.uint8)


WARM = np.array([1, 0.84, 0.62])


def test_an_unevenly_faded_print_is_toned():
    image = faded(WARM, 0.25 * WARM + 0.75)
    assert still_facts(image, SRGB).toned
    assert tint_residual(SRGB.lab(image).reshape(-1, 3)) > TINT_RESIDUAL, "it faded evenly"


@pytest.mark.parametrize("other", [(0.82, 0.9, 1), (0.8, 1, 0.72), (1, 0.8, 0.88)])
def test_two_hues_are_colour_though_as_weak(other):
    image = faded(WARM * 0.6 + 0.4, np.array(other))
    lab = SRGB.lab(image).reshape(-1, 3)
    assert TINT_RESIDUAL < tint_residual(lab) < UNEVEN_RESIDUAL
    assert still_facts(image, SRGB).colored
