"""Training samples: what a network is shown of a photograph, and what it should have answered.

    rng = np.random.default_rng((seed, epoch, index))
    sample = make_sample(rgb, size=128, augment="film", rng=rng)
    sample.lightness, sample.ab        # (1, 128, 128), (2, 128, 128)

    photograph -> square -> Lab -> emulsion, tone, softness, grain -> wear of the print -> bars
                              `-> ab, the photograph's own, which the network is to find

A sample's randomness comes from its generator alone. Only the lightness is aged: colour that was
filmed stays what it was, and a network for films must see it through what age did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vidcolor.color import rgb_to_lab
from vidcolor.resample import refit
from vidcolor.training.ageing import age

Floats = NDArray[np.float32]
ByteImage = NDArray[np.uint8]

Augment = Literal["none", "mirror", "crop", "film"]
"""`none` is the middle square; `mirror` that, mirrored by chance; `crop` any square, mirrored by
chance; `film` that, aged by chance."""

AGED_SHARE = 0.5
"""Of the samples of `film`: the network must not forget what a clean picture looks like."""

BARS_SHARE = 0.06
"""Of the samples of `film`, aged or not: many transfers have bars."""

CHANCES = {"fade": 0.25, "crush": 0.2, "flicker": 0.3, "scratch": 0.2, "dust": 0.25}
"""Of each kind of wear on an aged sample."""

LEAST_SIDE = 16
"""Samples of a photograph that a square is cut from, each way, where it has as many."""

SUBSAMPLE = 4
"""Bits of a sample's fraction in what OpenCV draws."""

POINT_CHANCE = 1 / 8
"""The geometric distribution's, that the number of simulated hints is drawn from."""
LARGEST_HINT = 9
"""Samples a side of a simulated hint, at most."""


@dataclass(frozen=True)
class Sample:
    """One training pair."""

    lightness: Floats
    """(1, S, S), CIE L in 0..100, as a film might have recorded it."""

    ab: Floats
    """(2, S, S), Lab units, the photograph's own."""


def make_sample(rgb: ByteImage, *, size: int, augment: Augment, rng: np.random.Generator) -> Sample:
    """One training pair of a photograph (h, w, 3), `size` samples a side."""
    if augment == "film":
        return film_sample(rgb, size=size, rng=rng)
    if augment == "crop":
        square = random_square(rgb, size=size, rng=rng)
    else:
        square = middle_square(rgb, size=size)
        if augment == "mirror":
            square = mirror(square, rng)
    return _split(rgb_to_lab(square).transpose(2, 0, 1))


def film_sample(rgb: ByteImage, *, size: int, rng: np.random.Generator) -> Sample:
    """A square of a photograph (h, w, 3) as an old film might show it."""
    square = random_square(rgb, size=size, rng=rng)
    lab = rgb_to_lab(square).transpose(2, 0, 1)
    if rng.random() < AGED_SHARE:
        lab[0] = wear(age(square, lab[0], rng), rng)
    if rng.random() < BARS_SHARE:
        lab = bars(lab, rng)
    return _split(lab)


def _split(lab: Floats) -> Sample:
    lab = np.ascontiguousarray(lab)
    return Sample(lab[:1], lab[1:])


def middle_square(rgb: ByteImage, *, size: int) -> Floats:
    """The photograph's middle (size, size, 3) in 0..1, as every score here is taken."""
    return _floats(middle(rgb, size))


def middle(rgb: ByteImage, size: int) -> ByteImage:
    """The middle square of a photograph whose short side was brought to `size`."""
    h, w = rgb.shape[:2]
    scale = size / min(h, w)
    whole = refit(rgb, (max(size, round(w * scale)), max(size, round(h * scale))))
    top, left = (whole.shape[0] - size) // 2, (whole.shape[1] - size) // 2
    return np.ascontiguousarray(whole[top : top + size, left : left + size])


def random_square(rgb: ByteImage, *, size: int, rng: np.random.Generator) -> Floats:
    """A square of the photograph (size, size, 3) in 0..1, mirrored by chance.

    Its side is 60 to 100 % of the photograph's short one, and it is stretched by up to 28 %:
    subjects stand near and far, and old transfers got the aspect wrong.
    """
    h, w = rgb.shape[:2]
    side = min(h, w) * rng.uniform(0.6, 1.0)
    stretch = np.exp(rng.uniform(-0.25, 0.25))
    height = min(h, max(LEAST_SIDE, round(side * stretch**0.5)))
    width = min(w, max(LEAST_SIDE, round(side / stretch**0.5)))
    top, left = rng.integers(0, h - height + 1), rng.integers(0, w - width + 1)
    square = refit(rgb[top : top + height, left : left + width], (size, size))
    return mirror(_floats(square), rng)


def mirror(image: Floats, rng: np.random.Generator) -> Floats:
    """Left and right changed in half of the cases: most of the world looks as likely so."""
    return np.ascontiguousarray(image[:, ::-1]) if rng.random() < 0.5 else image


def _floats(rgb: ByteImage) -> Floats:
    return np.ascontiguousarray(rgb, np.float32) / np.float32(255)


def wear(lightness: Floats, rng: np.random.Generator) -> Floats:
    """What decades in tins and projectors did to a print: L (S, S) in 0..100, the same range back.

    Each kind comes by its own chance, in the order it happens to a film: dyes and silver fade, a
    copy loses its ends, the base is scratched, dust settles, the lamp flickers.
    """
    for name, apply in WEAR.items():
        if rng.random() < CHANCES[name]:
            lightness = apply(lightness, rng)
    return np.clip(lightness, 0, 100)


def fade(lightness: Floats, rng: np.random.Generator) -> Floats:
    """A faded print: blacks lifted to L 0..25, whites sunk to 70..100."""
    low, high = rng.uniform(0, 25), rng.uniform(70, 100)
    return np.asarray(lightness * np.float32((high - low) / 100) + np.float32(low), np.float32)


def crush(lightness: Floats, rng: np.random.Generator) -> Floats:
    """A copy of a copy: all under L 0..20 is black, all above 80..100 white."""
    low, high = rng.uniform(0, 20), rng.uniform(80, 100)
    spread = (lightness - np.float32(low)) * np.float32(100 / (high - low))
    return np.asarray(np.clip(spread, 0, 100), np.float32)


def flicker(lightness: Floats, rng: np.random.Generator) -> Floats:
    """A hand-cranked frame exposed too long or too short: L times 0.8..1.2, plus -5..5."""
    gain, offset = rng.uniform(0.8, 1.2), rng.uniform(-5, 5)
    return np.asarray(lightness * np.float32(gain) + np.float32(offset), np.float32)


def scratch(lightness: Floats, rng: np.random.Generator) -> Floats:
    """One to four lines along the film's run, dark in a print's base, light from its negative.

    They stand nearly upright, go through the frame or through part of it, are up to two samples
    wide, and differ from what they cross by L 8..45.
    """
    size = len(lightness)
    lightness = lightness.copy()
    for _ in range(rng.integers(1, 5)):
        top, bottom = np.sort(rng.integers(0, size, 2)) if rng.random() < 0.4 else (0, size)
        rows = np.arange(top, bottom)
        place = rng.uniform(0, size - 2) + rng.uniform(-0.03, 0.03) * rows
        place = np.clip(place, 0, size - 2)
        left = place.astype(np.intp)
        strength = np.float32(rng.choice((-1, 1)) * rng.uniform(8, 45))
        # Between two columns, both have their share of it.
        share = (place - left).astype(np.float32)
        lightness[rows, left] += strength * (1 - share)
        lightness[rows, left + 1] += strength * share
    return lightness


def dust(lightness: Floats, rng: np.random.Generator) -> Floats:
    """One to twelve specks, and at times a hair, dark on the print or white from its negative.

    Specks are up to 3 % of a side across, hairs up to 40 % long.
    """
    size = len(lightness)
    mask = np.zeros((size, size), np.uint8)
    for _ in range(rng.integers(1, 13)):
        x, y = (int(v) for v in rng.integers(0, size, 2))
        wide, high = (
            max(8, round(v * size * (1 << SUBSAMPLE))) for v in rng.uniform(0.003, 0.015, 2)
        )
        angle, opacity = rng.uniform(0, 180), int(rng.integers(120, 256))
        center = (x << SUBSAMPLE, y << SUBSAMPLE)
        cv2.ellipse(mask, center, (wide, high), angle, 0, 360, opacity, -1, cv2.LINE_AA, SUBSAMPLE)
    if rng.random() < 0.25:
        ends = rng.uniform(0, size, 2) + rng.uniform(-0.2, 0.2, (3, 2)) * size
        t = np.linspace(0, 1, 12)[:, None]
        curve = (1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * ends[1] + t**2 * ends[2]
        points = np.rint(curve * (1 << SUBSAMPLE)).astype(np.int32)
        cv2.polylines(mask, [points], False, 200, 1, cv2.LINE_AA, SUBSAMPLE)
    cover = mask.astype(np.float32) / np.float32(255)
    tone = np.float32(rng.uniform(0, 15) if rng.random() < 0.4 else rng.uniform(80, 100))
    return np.asarray(lightness + (tone - lightness) * cover, np.float32)


def bars(lab: Floats, rng: np.random.Generator) -> Floats:
    """Letterbox or pillarbox: black and neutral (L, a and b are 0) on two opposite sides.

    lab: (3, S, S). Each bar takes 3 to 15 % of the side.
    """
    size = lab.shape[1]
    one, other = np.rint(rng.uniform(0.03, 0.15, 2) * size).astype(int)
    if rng.random() < 0.7:
        other = one  # most are even; the rest of the squares were cut near one of them
    framed = np.zeros_like(lab)
    inside = slice(one, size - other)
    if rng.random() < 0.6:
        framed[:, inside] = lab[:, inside]
    else:
        framed[:, :, inside] = lab[:, :, inside]
    return framed


WEAR: dict[str, Callable[[Floats, np.random.Generator], Floats]] = {
    "fade": fade,
    "crush": crush,
    "scratch": scratch,
    "dust": dust,
    "flicker": flicker,
}
"""In the order they happen."""


def simulate_hints(hints: Tensor, ab: Tensor, rng: np.random.Generator) -> None:
    """Write hints (3, S, S) as SIGGRAPH 2017, section 3.3, draws them: a geometric number of
    points (p = 1/8), each the mean ab of a patch of 1 to 9 pixels a side."""
    size = ab.shape[-1]
    for _ in range(int(rng.geometric(POINT_CHANCE))):
        side = int(rng.integers(1, LARGEST_HINT + 1))
        y, x = (int(v) for v in rng.integers(0, size - side, 2))
        patch = ab[:, y : y + side, x : x + side].mean((1, 2))
        hints[:2, y : y + side, x : x + side] = patch[:, None, None]
        hints[2, y : y + side, x : x + side] = 1
