"""Films measured frame by frame against their truth, a pair of frames in memory at a time.

    with Meter(renderings=1, threads=2) as meter:
        for frame, picture in colorizer.pairs(start, end):
            truth = look.at(frame.luma, frame.chroma)
            meter.add(truth, [look.at(picture.y, (picture.u, picture.v))])
    gray, ours, truth = meter.figures()

A frame's planes are shrunk to about 256 px by area, the chroma planes brought to the same size,
before they become R'G'B': fractions of a code are kept, or rounding alone would flicker. PSNR,
colourfulness and E_warp look at that RGB, CIEDE2000 and E_warp_ab at its Lab, CDC at its 8-bit
codes. Flow is measured between the truth's lumas, which is what a colorizer is given. Gray is the
truth's luma without chroma.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vidcolor.color import ColorSpace, RgbSpace
from vidcolor.evaluation.figures import MOST_PSNR, FilmFigures, FilmMeasures
from vidcolor.frames import Plane, VideoInfo
from vidcolor.metrics import (
    ColorConsistency,
    FlowPair,
    ciede2000,
    colorfulness,
    psnr,
    warp_error,
    warp_error_ab,
)
from vidcolor.resample import Size, refit, turn

Floats = NDArray[np.float32]

SIDE = 256
"""Long side films are measured at, pixels; smaller ones aren't enlarged."""

SRGB = RgbSpace.srgb()
"""Its Lab is right to 0.005; OpenCV's, which is read from a coarse table, to 0.4."""


@dataclass(frozen=True, eq=False)
class View:
    """A frame as it is measured."""

    luma: Floats
    """(h, w) in 0..1."""

    rgb: Floats
    """(h, w, 3) R'G'B' in 0..1."""

    lab: Floats
    """(h, w, 3), the RGB read as sRGB."""

    @classmethod
    def of(cls, luma: Floats, rgb: Floats) -> View:
        codes = np.rint(rgb * np.float32(65535)).astype(np.uint16)
        return cls(luma, rgb, SRGB.lab(codes))

    def without_chroma(self) -> View:
        return View.of(self.luma, np.dstack([self.luma] * 3))


class Look:
    """Makes a film's frames into views of one size."""

    def __init__(self, info: VideoInfo, size: Size, *, rotation: int = 0) -> None:
        """size: (width, height) of the views, once they are turned clockwise by `rotation`."""
        self._space = ColorSpace(info.tags, bit_depth=info.bit_depth)
        self._size = size[::-1] if rotation in (90, 270) else size
        self._rotation = rotation

    def at(self, luma: Plane, chroma: tuple[Plane, Plane] | None) -> View:
        """luma: (height, width) codes. chroma: Cb and Cr at any size, None for gray."""
        space = self._space
        # Codes with fractions, which no type of a plane has.
        y: Any = refit(luma.astype(np.float32), self._size)
        light = space.normalize(y)
        if chroma is None:
            rgb = np.dstack([light] * 3)
        else:
            planes: list[Any] = [refit(plane.astype(np.float32), self._size) for plane in chroma]
            rgb = space.rgb(y, *planes)
        return View.of(turn(light, self._rotation), turn(rgb, self._rotation))


class Meter:
    """Measures any number of renderings of one film beside gray and the truth."""

    def __init__(self, *, renderings: int, threads: int = 0) -> None:
        """threads: 0 for one per core."""
        self._tracks = [_Track() for _ in range(renderings + 2)]
        self._truth: View | None = None
        most = min(threads or os.cpu_count() or 1, len(self._tracks))
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="measure")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def add(self, truth: View, renderings: Sequence[View]) -> None:
        """The next frame, as it was and as each rendering has it."""
        views = [truth.without_chroma(), *renderings, truth]
        before, self._truth = self._truth, truth
        flow = None if before is None else FlowPair.measure(_gray(before), _gray(truth))
        jobs = [
            self._pool.submit(track.add, view, truth, flow)
            for track, view in zip(self._tracks, views, strict=True)
        ]
        for job in jobs:
            job.result()

    def figures(
        self, times: Sequence[tuple[float, float] | None] | None = None
    ) -> tuple[FilmFigures, ...]:
        """Of gray, the renderings and the truth.

        times: for each rendering, milliseconds a frame took, and the network's share of them.
        """
        true_cdc = self._tracks[-1].consistency.value
        taken = [None, *(times or [None] * (len(self._tracks) - 2)), None]
        return tuple(
            track.figures(true_cdc, each) for track, each in zip(self._tracks, taken, strict=True)
        )


def _gray(view: View) -> NDArray[np.uint8]:
    return np.asarray(np.rint(view.luma * np.float32(255)), np.uint8)


@dataclass(slots=True)
class _Track:
    """One rendering's sums so far."""

    last: View | None = None
    consistency: ColorConsistency = field(default_factory=ColorConsistency)
    psnrs: list[float] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
    colorfulness: list[float] = field(default_factory=list)
    warp_errors: list[float] = field(default_factory=list)
    warp_errors_ab: list[float] = field(default_factory=list)

    def add(self, view: View, truth: View, flow: FlowPair | None) -> None:
        if view is not truth:
            self.psnrs.append(min(psnr(view.rgb, truth.rgb), MOST_PSNR))
            self.differences.append(float(ciede2000(view.lab, truth.lab).mean()))
        self.colorfulness.append(colorfulness(view.rgb))
        self.consistency.add(np.rint(view.rgb * np.float32(255)).astype(np.uint8))
        if flow is not None and self.last is not None:
            one, other = (np.ascontiguousarray(each.lab[..., 1:]) for each in (self.last, view))
            self.warp_errors.append(warp_error(self.last.rgb, view.rgb, flow))
            self.warp_errors_ab.append(warp_error_ab(one, other, flow))
        self.last = view

    def figures(self, true_cdc: float, times: tuple[float, float] | None) -> FilmFigures:
        cdc = self.consistency.value
        whole, network = times or (None, None)
        measures = FilmMeasures(
            psnr=_mean(self.psnrs),
            ciede2000=_mean(self.differences) or 0.0,
            colorfulness=float(np.mean(self.colorfulness)),
            cdc=_known(cdc),
            cdc_distance=_known(abs(cdc - true_cdc)),
            warp_error=_mean(self.warp_errors),
            warp_error_ab=_mean(self.warp_errors_ab),
            milliseconds=whole,
            network_milliseconds=network,
        )
        return FilmFigures(
            measures=measures, warp_errors_ab=tuple(map(_known, self.warp_errors_ab))
        )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _mean(values: Sequence[float]) -> float | None:
    """Over those that aren't nan."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else None


def measuring_size(width: int, height: int) -> Size:
    """(width, height) that a picture is measured at."""
    scale = min(1.0, SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def told_apart(paths: Sequence[Path]) -> list[str]:
    """The files' names, with as many of the folders above as tell them from each other."""
    names: list[str] = []
    for depth in range(1, max((len(path.parts) for path in paths), default=0) + 1):
        names = [str(Path(*path.parts[-depth:])) for path in paths]
        if len(set(names)) == len(set(paths)):
            break
    return names


def expected_frames(info: VideoInfo, limit: int | None) -> int:
    """About how many frames will be measured, as far as headers tell."""
    frames = info.frames_from_header or round((info.duration_seconds or 0) * info.rate)
    return frames if limit is None else min(frames, limit)
