"""Photographs as training samples: tars read once, every sample a function of (seed, index).

    photos = PhotoTars.open(["train-000.tar"])
    rgb = photos.decode(0)          # (H, W, 3) uint8
    sample = film_sample(rgb, size=128, rng=np.random.default_rng(0))

A sample's randomness comes from its generator alone, so a run that is stopped and resumed sees
what an unbroken one sees.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.color import rgb_to_lab
from vidcolor.errors import TrainingError
from vidcolor.resample import shrink

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
LUMA_709 = np.array([0.2126, 0.7152, 0.0722], np.float32)

FloatImage = NDArray[np.float32]
ByteImage = NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """One training pair."""

    lightness: FloatImage
    """(1, S, S), CIE L in 0..100, as a film might have recorded it."""

    ab: FloatImage
    """(2, S, S), Lab units, the photograph's own."""


class PhotoTars:
    """Encoded photographs of one or more tars, held as their compressed bytes."""

    def __init__(self, names: list[str], blobs: list[bytes]) -> None:
        self.names = names
        self._blobs = blobs

    @classmethod
    def open(cls, tars: Sequence[str | Path]) -> PhotoTars:
        """Read every image of `tars`, ordered by tar, then by name.

        Raises TrainingError when a tar can't be read or they hold no image.
        """
        names: list[str] = []
        blobs: list[bytes] = []
        for path in tars:
            try:
                with tarfile.open(path) as tar:
                    members = [m for m in tar.getmembers() if m.isfile()]
                    for member in sorted(members, key=lambda m: m.name):
                        file = tar.extractfile(member)
                        if file and member.name.lower().endswith(IMAGE_SUFFIXES):
                            names.append(member.name)
                            blobs.append(file.read())
            except (OSError, tarfile.TarError) as error:
                raise TrainingError(
                    f"{path} can't be read as a tar of photographs ({error}); give --photos a "
                    "folder with .tar files."
                ) from error
        if not names:
            raise TrainingError(
                "no photograph found; expected tars with .jpg, .png or .webp files."
            )
        return cls(names, blobs)

    def __len__(self) -> int:
        return len(self.names)

    def decode(self, index: int) -> ByteImage:
        """The photograph as RGB (H, W, 3) uint8. Raises TrainingError on a corrupt image."""
        image = cv2.imdecode(np.frombuffer(self._blobs[index], np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise TrainingError(f"{self.names[index]} is not an image that can be decoded.")
        return np.ascontiguousarray(image[..., ::-1])


def center_crop(rgb: ByteImage, size: int) -> ByteImage:
    """Shrink the short side to `size` and cut the middle square, as every score here is taken."""
    h, w = rgb.shape[:2]
    scale = size / min(h, w)
    shape = (max(size, round(w * scale)), max(size, round(h * scale)))
    small = shrink(rgb, shape)
    top, left = (small.shape[0] - size) // 2, (small.shape[1] - size) // 2
    return small[top : top + size, left : left + size]


def film_sample(rgb: ByteImage, *, size: int, rng: np.random.Generator) -> Sample:
    """Cut, mirror and age one photograph.

    Colour stays the photograph's; only the lightness is aged (emulsion, tone curve, softness,
    grain), since a network for films must see through that.
    """
    crop = random_crop(rgb, size=size, rng=rng)
    lab = rgb_to_lab(crop)
    lightness = lab[..., 0]
    if rng.random() < 0.5:
        lightness = age(crop, lightness, rng)
    return Sample(lightness[None], np.ascontiguousarray(lab[..., 1:].transpose(2, 0, 1)))


def random_crop(rgb: ByteImage, *, size: int, rng: np.random.Generator) -> FloatImage:
    """A random, mirrored square as float RGB in 0..1, with a slight stretch either way."""
    h, w = rgb.shape[:2]
    side = min(h, w) * rng.uniform(0.6, 1.0)
    stretch = np.exp(rng.uniform(-0.25, 0.25))
    ch = max(16, min(h, round(side * stretch**0.5)))
    cw = max(16, min(w, round(side / stretch**0.5)))
    top, left = rng.integers(0, h - ch + 1), rng.integers(0, w - cw + 1)
    crop = shrink(rgb[top : top + ch, left : left + cw], (size, size))
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    return np.ascontiguousarray(crop, np.float32) / np.float32(255)


def age(crop: FloatImage, lightness: FloatImage, rng: np.random.Generator) -> FloatImage:
    """What an old film might have made of `crop`: L (S, S) in 0..100."""
    if rng.random() < 0.5:
        lightness = emulsion(crop, rng)
    contrast, gamma = rng.uniform(0.75, 1.2), np.exp(rng.uniform(-0.3, 0.3))
    mean = float(lightness.mean())
    lightness = np.clip((lightness - mean) * contrast + mean + rng.uniform(-6, 6), 0, 100)
    lightness = 100 * (lightness / 100) ** gamma
    if rng.random() < 0.5:
        lightness = soften(lightness, rng.uniform(0.4, 1.4))
    if rng.random() < 0.6:
        lightness = lightness + grain(lightness.shape, rng)
    return np.clip(lightness, 0, 100).astype(np.float32)


def emulsion(crop: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Lightness through a random spectral response: early film was blind to red."""
    weights = rng.dirichlet(6 * LUMA_709 + 0.6).astype(np.float32)
    gray = np.repeat((crop @ weights)[..., None], 3, axis=2)
    return rgb_to_lab(np.ascontiguousarray(gray))[..., 0]


def grain(shape: tuple[int, ...], rng: np.random.Generator) -> FloatImage:
    """Noise in L units, fine or clumped."""
    noise = rng.standard_normal(shape).astype(np.float32)
    if rng.random() < 0.5:
        noise = 2 * soften(noise, 0.8)
    return np.asarray(noise * rng.uniform(0.5, 5.0), np.float32)


def soften(plane: FloatImage, sigma: float) -> FloatImage:
    """Gaussian blur of a plane (h, w); sigma in pixels."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)
