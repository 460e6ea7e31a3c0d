"""Made-up films whose colour is known, and a network that nearly knows it.

    film = crossing_disc()
    shown = recoloured(film, tmp_path, Guess(tint=4.0))
    shown.ab[12] - film[12].ab

A guess is the truth with what networks do to it: a tint of the whole frame and blotches, new with
every frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.clips import make_clip
from vidcolor.color import ColorSpace, rgb_to_lab
from vidcolor.frames import BEGINNING, END, Frame, Picture, PictureFormat
from vidcolor.inference import open_engine
from vidcolor.media.probe import probe
from vidcolor.pipeline import Colorizer, film_facts
from vidcolor.resample import shrink
from vidcolor.settings import Settings
from vidcolor.stages import Item

Floats = NDArray[np.float32]

WIDTH, HEIGHT = 192, 128
RED, GREEN, BLUE = ((32.0, 18.0), (-22.0, 20.0), (4.0, -26.0))
"""a, b of things."""


@dataclass(frozen=True)
class Shot:
    """One frame: what the film shows, and its colour."""

    luma: NDArray[np.uint8]
    """(HEIGHT, WIDTH), 16..235."""

    ab: Floats
    """(HEIGHT, WIDTH, 2), Lab units."""


Film = list[Shot]


def texture(seed: int, width: int = WIDTH, height: int = HEIGHT, *, low: int, high: int) -> Floats:
    """Soft random hills with detail enough for flow to hold on to, low..high."""
    rng = np.random.default_rng(seed)
    hills = sum(
        share * cv2.resize(rng.random((height // size, width // size)), (width, height))
        for size, share in ((16, 0.5), (8, 0.3), (4, 0.2))
    )
    return np.asarray(low + (high - low) * hills, np.float32)


def plain(luma: Floats, color: tuple[float, float]) -> Shot:
    ab = np.broadcast_to(np.array(color, np.float32), (*luma.shape, 2))
    return Shot(np.rint(np.clip(luma, 16, 235)).astype(np.uint8), np.ascontiguousarray(ab))


def put(shot: Shot, thing: Floats, color: tuple[float, float], mask: NDArray[np.bool_]) -> Shot:
    """A thing of one colour in front."""
    luma, ab = shot.luma.copy(), shot.ab.copy()
    luma[mask] = np.rint(thing[mask])
    ab[mask] = color
    return Shot(luma, ab)


def disc(x: float, y: float, radius: float = 20) -> NDArray[np.bool_]:
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    return np.asarray((xs - x) ** 2 + (ys - y) ** 2 < radius**2)


def moved(picture: Floats, dx: float, dy: float = 0.0) -> Floats:
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    size = (picture.shape[1], picture.shape[0])
    return np.asarray(
        cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REFLECT), np.float32
    )


def crossing_disc(frames: int = 32, speed: float = 4.0) -> Film:
    """A textured red disc crosses a textured green ground."""
    ground = plain(texture(1, low=50, high=120), GREEN)
    thing = texture(2, low=130, high=210)
    places = [24 + speed * n for n in range(frames)]
    return [put(ground, moved(thing, x - 24), RED, disc(x, 64)) for x in places]


def behind_a_post(frames: int = 32) -> Film:
    """The disc goes behind a blue post and comes out again."""
    post = np.zeros((HEIGHT, WIDTH), bool)
    post[:, 80:112] = True
    wood = texture(3, low=90, high=150)
    return [put(shot, wood, BLUE, post) for shot in crossing_disc(frames)]


def pan(frames: int = 24, speed: float = 5.0) -> Film:
    """A camera goes along a wall that is red on its left and blue on its right."""
    wide = texture(4, 2 * WIDTH, low=50, high=200)
    color = np.empty((HEIGHT, 2 * WIDTH, 2), np.float32)
    color[:, :170], color[:, 170:] = RED, BLUE
    wide[:, 170:] *= 0.6
    film = []
    for n in range(frames):
        left = round(speed * n)
        luma = np.clip(wide[:, left : left + WIDTH], 16, 235)
        film.append(Shot(luma.astype(np.uint8), color[:, left : left + WIDTH].copy()))
    return film


def zoom(frames: int = 24) -> Film:
    """The camera comes nearer to a red disc, by 1.5 % a frame."""
    near = put(plain(texture(5, low=50, high=120), GREEN), texture(6, low=130, high=210), RED,
               disc(96, 64, 24))  # fmt: skip
    film = []
    for n in range(frames):
        matrix = cv2.getRotationMatrix2D((96.0, 64.0), 0.0, 1.015**n)
        both = np.dstack([near.luma.astype(np.float32), near.ab])
        both = cv2.warpAffine(both, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        film.append(Shot(both[..., 0].astype(np.uint8), np.ascontiguousarray(both[..., 1:])))
    return film


def still(frames: int = 24) -> Film:
    shot = put(plain(texture(7, low=60, high=140), GREEN), texture(8, low=140, high=200), RED,
               disc(96, 64, 30))  # fmt: skip
    return [shot] * frames


def dimmed(film: Film, levels: Sequence[float]) -> Film:
    """Each frame's light over black, times a level."""
    return [
        replace(
            shot, luma=np.rint(16 + level * (shot.luma.astype(np.float32) - 16)).astype(np.uint8)
        )
        for shot, level in zip(film, levels, strict=True)
    ]


def with_grain(film: Film, sigma: float) -> Film:
    rng = np.random.default_rng(9)
    noisy = []
    for shot in film:
        luma = shot.luma + rng.normal(0, sigma, shot.luma.shape)
        noisy.append(replace(shot, luma=np.rint(np.clip(luma, 16, 235)).astype(np.uint8)))
    return noisy


@dataclass(frozen=True)
class Guess:
    """What a network makes of the truth."""

    tint: float = 0.0
    """Standard deviation of a tint of the whole frame, new with every frame, Lab units."""

    blotches: float = 0.0
    """The same of blotches an eighth of the frame's height in size."""

    drift: Callable[[int], tuple[float, float]] = lambda frame: (0.0, 0.0)
    """A tint by the frame's number."""

    seed: int = 11
    """Of what it gets wrong."""

    def __call__(self, ab: Floats, frame: int) -> Floats:
        rng = np.random.default_rng((self.seed, frame))
        h, w = ab.shape[:2]
        small = rng.normal(0, self.blotches, (8, 12, 2))
        wrong = cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC)
        return np.asarray(ab + rng.normal(0, self.tint, 2) + self.drift(frame) + wrong, np.float32)


class Guessing(Colorizer):
    """Has guesses where others ask their network."""

    film: Film
    guess: Guess

    def _predicted(self, items: Iterator[Item]) -> Iterator[Item]:
        for item in items:
            if item.anchor or item.extra:
                ab = shrink(self.film[item.pts].ab, self.gather_size)
                item.ab = self.guess(ab, item.pts)
            yield item


@dataclass(frozen=True)
class Outcome:
    """What went to the encoder, in 4:4:4, so that nothing else blurs colour."""

    pictures: list[Picture]
    ab: list[Floats]
    """(HEIGHT, WIDTH, 2) of every frame, as a player shows it."""


def recoloured(film: Film, folder: Path, guess: Guess, **settings: Any) -> Outcome:
    """The film's luma, coloured from guesses."""
    path = folder / "shape.mkv"
    if not path.exists():
        make_clip(path, frames=2, width=WIDTH, height=HEIGHT)
    info = probe(path)
    info = replace(info, time_base=1 / info.rate)
    shape = PictureFormat(
        pixel_format="yuv444p",
        bit_depth=8,
        width=WIDTH,
        height=HEIGHT,
        chroma_width=WIDTH,
        chroma_height=HEIGHT,
    )
    engine = open_engine(Settings(model="standin", device="cpu", threads=1))
    words = Settings(model="standin", **settings)
    colorizer = Guessing(info, film_facts(info), words, engine, shape)
    colorizer.film, colorizer.guess = film, guess
    frames = (Frame(n, 1, shot.luma, None) for n, shot in enumerate(film))
    pictures = [picture for _, picture in colorizer.pairs(BEGINNING, END, frames=frames)]
    space = ColorSpace(info.tags, bit_depth=8)
    return Outcome(pictures, [rgb_to_lab(space.rgb(p.y, p.u, p.v))[..., 1:] for p in pictures])
