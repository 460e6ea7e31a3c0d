"""What is measured of coloured photographs and films: the values, and their means.

    means([one, other], weights=[2.0, 1.0]).psnr
    film_means([one, other], counted=[True, False]).warp_error_ab

Definitions and sources stand in `vidcolor.metrics`; which planes go into which is in `bench` for
photographs and in `meter` for films.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from vidcolor.sheet import Column

GRAY, TRUTH = "gray", "truth"
"""Labels of the rows that stand beside the networks."""

PER_FRAME = "per-frame"
"""The way of colouring a film that smoothing is measured against: every frame by itself."""

LEAST_CDC_DISTANCE = 0.001
"""A film counts for the mean distance of CDC where the per-frame method is off by this much; where
it isn't, there is nothing to mend."""

MOST_PSNR = 10 * math.log10(12 * 255**2)
"""What rounding to 8 bits alone leaves, 58.9 dB, and the most one picture counts: of a gray one a
gray answer is right to the last bit, and would make every mean infinite."""


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


@dataclass(frozen=True, kw_only=True)
class FilmMeasures:
    """What was measured of one film in one rendering, or the means over films."""

    psnr: float | None
    """dB over RGB, the mean over frames; None for the truth, which has no error."""

    ciede2000: float
    """The colour difference, mean over pixels and frames."""

    colorfulness: float
    """0 for gray, about 38 for photographs; the mean over frames."""

    cdc: float | None
    """Colour distribution consistency; None of fewer than five frames."""

    cdc_distance: float | None
    """How far `cdc` is from the truth's, either way."""

    warp_error: float | None
    """E_warp over RGB in 0..1, the mean over pairs of frames; None where no pixel can be followed
    from one frame to the next."""

    warp_error_ab: float | None
    """E_warp over ab, Lab units, the mean over pairs of frames."""

    milliseconds: float | None = None
    """A frame's way from the file to planes for the encoder; None of what was finished before."""

    network_milliseconds: float | None = None
    """The network's share of it."""


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """A row of a table of films: gray, the truth, a network's way of colouring, or a file."""

    label: str
    model: str | None = None
    """The network's name."""

    way: str | None = None
    """`per-frame`, or a preset's name."""

    file: str | None = None
    """A finished file's name."""


@dataclass(frozen=True, kw_only=True)
class FilmFigures:
    """One rendering of one film."""

    measures: FilmMeasures
    warp_errors_ab: tuple[float | None, ...]
    """E_warp_ab of each frame and the next, one fewer than there are frames."""


@dataclass(frozen=True, kw_only=True)
class Film:
    """One film that was measured."""

    name: str
    size: tuple[int, int]
    """(width, height) it was measured at, pixels."""

    seconds: tuple[float, ...]
    """When each measured frame is shown, after the film's first."""

    gray: bool
    """Whether the film has no colour itself."""

    figures: tuple[FilmFigures, ...]
    """Of each rendering, in the order of `FilmEvaluation.renderings`."""


@dataclass(frozen=True, kw_only=True)
class Painter:
    """A network that coloured films."""

    label: str
    model: str
    weights_sha256: str
    engine: str
    """Network, device, number format and batch, for people."""


@dataclass(frozen=True, kw_only=True)
class FilmEvaluation:
    """All that was measured of films."""

    source: str
    """Where the films came from, or the name of the true one."""

    side: int
    """Long side of the measured pictures, pixels; smaller films were not enlarged."""

    limit: int | None
    """The most frames that were measured of each film."""

    renderings: tuple[Rendering, ...]
    films: tuple[Film, ...]
    means: tuple[FilmMeasures, ...]
    """Of each rendering, over the films; `cdc_distance` over `steadied` of them."""

    steadied: tuple[int, ...]
    """For each rendering, how many films its mean `cdc_distance` is over."""

    painters: tuple[Painter, ...]
    unreadable: Mapping[str, str]
    """The sentence about each film that was skipped, by its name."""

    notes: tuple[str, ...]
    """Sentences about films that fit each other only nearly."""

    elapsed: float
    """Wall time, seconds."""


def film_means(measures: Sequence[FilmMeasures], counted: Sequence[bool]) -> FilmMeasures:
    """The means over films; `cdc_distance`'s over those that are `counted`.

    A figure that some film doesn't have is averaged over the others; where none has it, or for
    the truth's PSNR, it stays None.
    """

    def mean(name: str) -> float | None:
        values = [
            getattr(each, name)
            for each, counts in zip(measures, counted, strict=True)
            if counts or name != "cdc_distance"
        ]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else None

    found: dict[str, Any] = {field.name: mean(field.name) for field in fields(FilmMeasures)}
    return FilmMeasures(**found)
