"""What is measured of coloured photographs: the values, and their means.

    means([one, other], weights=[2.0, 1.0]).psnr

Definitions and sources stand in `vidcolor.metrics`; which planes go into which is in `bench`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vidcolor.sheet import Column

GRAY, TRUTH = "gray", "truth"
"""Labels of the rows that stand beside the networks."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What was measured of one photograph, or the means over all."""

    psnr: float | None
    """dB over RGB; None for the truth, which has no error."""

    ssim: float
    """Over RGB; 1 when equal."""

    ciede2000: float
    """The colour difference, mean over pixels."""

    ciede2000_p90: float
    """Its 90th percentile over one photograph's pixels."""

    auc: float
    """Raw accuracy, 0..1: see `metrics.auc`."""

    auc_rebalanced: float
    """The same, each pixel weighted by the rarity of its true colour."""

    colorfulness: float
    """0 for gray, about 38 for photographs."""

    accuracy: float
    """The student reports', 0..1: see `metrics.argmax_accuracy`."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One photograph that was measured."""

    key: str
    side: int
    """Of the square that was measured, pixels: the size asked for, or less."""

    gray: bool
    """Whether the photograph has no colour itself."""

    weight: float
    """The sum of what its pixels count in `auc_rebalanced`."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """How one network did, or gray, or the truth."""

    label: str
    model: str | None
    """The network's name; None for gray and the truth."""

    weights_sha256: str | None
    engine: str | None
    """Network, device, number format and batch, for people."""

    means: Measures
    """Over the photographs; `auc_rebalanced` over the pixels of all of them at once."""

    measures: tuple[Measures, ...]
    """Of each photograph, in the order of `Evaluation.subjects`."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All that was measured."""

    photos: str
    """Where the photographs came from."""

    size: int
    """Side of the squares, pixels; smaller photographs were not enlarged."""

    rows: tuple[Row, ...]
    """Gray, the networks in their order, the truth."""

    subjects: tuple[Subject, ...]
    unreadable: Mapping[str, str]
    """The sentence about each photograph that was skipped, by its key."""

    shown: tuple[Column, ...]
    """Some of the photographs; their images are the rows', each a square of its own side."""

    seconds: float
    """Wall time."""


def means(measures: Sequence[Measures], weights: Sequence[float]) -> Measures:
    """The means over photographs; `auc_rebalanced`'s weighted by the photographs' `weights`.

    Weighted so, it is what all their pixels have together, as in the paper; a mean of the
    photographs' own would let every gray wall count as much as the one red coat.
    """

    def mean(name: str) -> float:
        return float(np.mean([getattr(each, name) for each in measures]))

    return Measures(
        psnr=None if any(each.psnr is None for each in measures) else mean("psnr"),
        ssim=mean("ssim"),
        ciede2000=mean("ciede2000"),
        ciede2000_p90=mean("ciede2000_p90"),
        auc=mean("auc"),
        auc_rebalanced=float(
            np.average([each.auc_rebalanced for each in measures], weights=weights)
        ),
        colorfulness=mean("colorfulness"),
        accuracy=mean("accuracy"),
    )
