"""121 classes of colour: an 11x11 grid over a and b, numbered by Cantor's pairing function.

    AbGrid.encode(ab)                       # (N, 2, h, w) Lab units -> (N, h, w), 0..120
    AbGrid.decode(classes, centre=True)     # and back, to the middle of each bin

The coding of the Osnabrück report (2020): a and b as 8 bits (value + 128), rounded down to
multiples of 25; the pair (x, y) of multiples has Cantor's number z = (x + y)(x + y + 1) / 2 + y; a
class is the rank of its number among the 121.
"""

from __future__ import annotations

from math import isqrt
from typing import ClassVar

import torch
from torch import Tensor


def cantor(x: int, y: int) -> int:
    """Cantor's number of a pair of naturals: each natural once."""
    return (x + y) * (x + y + 1) // 2 + y


def uncantor(z: int) -> tuple[int, int]:
    """The pair whose number is z. Raises ValueError where z is negative."""
    if z < 0:
        raise ValueError(f"{z} is no number of a pair; expected 0 or more")
    diagonal = (isqrt(8 * z + 1) - 1) // 2
    y = z - diagonal * (diagonal + 1) // 2
    return diagonal - y, y


class AbGrid:
    """The grid and its classes; all members are constants or pure functions."""

    SIDE: ClassVar[int] = 11
    """Bins along a, and along b."""

    STEP: ClassVar[int] = 25
    """Width of a bin, Lab units."""

    OFFSET: ClassVar[int] = 128
    """Added to a and b to make 8 bits of them."""

    CLASSES: ClassVar[int] = SIDE * SIDE

    NUMBERS: ClassVar[tuple[int, ...]] = tuple(
        sorted(cantor(x, y) for x in range(11) for y in range(11))
    )
    """Cantor's number of each class."""

    PAIRS: ClassVar[tuple[tuple[int, int], ...]] = tuple(uncantor(z) for z in NUMBERS)
    """(x, y) of each class: its bin along a and along b."""

    @classmethod
    def encode(cls, ab: Tensor) -> Tensor:
        """Classes (N, h, w) int64, 0..120, of ab (N, 2, h, w) in Lab units, cut to -128..127."""
        bits = (ab.round().long() + cls.OFFSET).clamp(0, 255) // cls.STEP
        return cls._ranks(ab.device)[bits[:, 0], bits[:, 1]]

    @classmethod
    def decode(cls, classes: Tensor, *, centre: bool) -> Tensor:
        """ab (N, 2, h, w) float32 in Lab units of classes (N, h, w).

        centre: the middle of the bin's values; else the least of them, as the report has it,
        which moves every colour towards green and blue by half a bin.
        """
        return cls._colors(classes.device, centre)[classes].movedim(-1, 1).contiguous()

    @classmethod
    def mean(cls, scores: Tensor, temperature: float) -> Tensor:
        """Annealed mean of the bins' centres: scores (N, 121, h, w) -> ab (N, 2, h, w) float32."""
        p = torch.softmax(scores.float() / temperature, 1)
        return torch.einsum("nqhw,qc->nchw", p, cls._colors(scores.device, centre=True))

    @classmethod
    def _colors(cls, device: torch.device, centre: bool) -> Tensor:
        """(121, 2): ab of each class."""
        lowest = torch.tensor(cls.PAIRS, device=device) * cls.STEP
        # The last bin holds 250..255 alone.
        highest = (lowest + cls.STEP - 1).clamp(max=255)
        values = (lowest + highest) / 2 if centre else lowest.float()
        return values - cls.OFFSET

    @classmethod
    def _ranks(cls, device: torch.device) -> Tensor:
        """(11, 11): the class of each pair."""
        ranks = torch.empty(cls.SIDE, cls.SIDE, dtype=torch.long)
        for rank, (x, y) in enumerate(cls.PAIRS):
            ranks[x, y] = rank
        return ranks.to(device)
