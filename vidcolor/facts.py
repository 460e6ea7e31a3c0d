"""Facts of a whole film, from a few frames spread over it: real colour, tint, black bars.

    facts = facts_of(sample_frames(info), info)
    facts.colored       # True for a film that was shot in colour
    facts.box           # the picture without its bars

The same frames are looked at whatever the command, so a preview and a run agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcolor.color import ColorSpace, rgb_to_lab
from vidcolor.errors import SourceError
from vidcolor.frames import Frame, VideoInfo
from vidcolor.resample import shrink

Floats = NDArray[np.float32]

GRAY_CHROMA = 2.0
"""Mean Lab chroma up to which a film is gray: noise measures 0.01 to 0.8, the dullest natural
colour 4.1."""

TINT_RESIDUAL = 2.5
"""RMS distance, Lab units, of a frame's ab to the best cubic in L up to which its colour is a
tint: toned pictures measure 0.7 to 1.9, colour ones 2.8 and more but for one in a hundred."""

BAR_SHARE = 0.4
"""More than this share of a side in bars is a dark film, not a letterbox."""

BAR_LEVEL = 14.0
"""How far above black, in 8-bit levels, the brightest sample of a bar may be on average."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """Half-open rows [top, bottom) and columns [left, right), in stored samples."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True, kw_only=True)
class FilmFacts:
    """What holds for the whole film."""

    box: Box
    """The picture inside letterbox and pillarbox bars; the whole frame where there are none."""

    chroma: float
    """Mean Lab chroma of the source's own colour, 0 for gray."""

    residual: float
    """RMS Lab distance of that colour from a tint; see `TINT_RESIDUAL`."""

    @property
    def colored(self) -> bool:
        """Whether the film was shot in colour; sepia and tints count as black and white."""
        return self.chroma > GRAY_CHROMA and self.residual > TINT_RESIDUAL

    @property
    def tinted(self) -> bool:
        """Whether a black-and-white film carries a tint, which colorizing replaces."""
        return self.chroma > GRAY_CHROMA and not self.colored


def facts_of(frames: Iterable[Frame], info: VideoInfo) -> FilmFacts:
    """Measure `frames`, which must be the same for every command; one is held at a time.

    Raises SourceError when there are none.
    """
    looks = [look_at(frame, info) for frame in frames]
    if not looks:
        raise SourceError(f"{info.path} holds no frame that can be decoded; is the file complete?")
    space = ColorSpace(info.tags, bit_depth=info.bit_depth)
    scale = np.float32(255 / space.luma_span)
    top, bottom = bar_edges((np.max([k.rows for k in looks], 0) - space.luma_offset) * scale)
    left, right = bar_edges((np.max([k.columns for k in looks], 0) - space.luma_offset) * scale)
    return FilmFacts(
        box=Box(top=top, bottom=bottom, left=left, right=right),
        chroma=float(np.mean([k.chroma for k in looks])),
        residual=float(np.sqrt(np.mean([k.residual**2 for k in looks]))),
    )


@dataclass(frozen=True)
class Look:
    """What one frame shows."""

    rows: Floats
    """(height,): the brightest code of each row."""

    columns: Floats
    """(width,): the brightest code of each column."""

    chroma: float = 0.0
    residual: float = 0.0


def look_at(frame: Frame, info: VideoInfo) -> Look:
    """Measure one frame: its brightest lines and, where it has chroma planes, its colour."""
    rows, columns = (frame.luma.max(axis).astype(np.float32) for axis in (1, 0))
    if frame.chroma is None:
        return Look(rows, columns)
    lab = small_lab(frame, info).reshape(-1, 3)
    return Look(rows, columns, float(np.hypot(lab[:, 1], lab[:, 2]).mean()), tint_residual(lab))


def small_lab(frame: Frame, info: VideoInfo, size: tuple[int, int] = (96, 72)) -> Floats:
    """The frame's own colour as CIE Lab, (72, 96, 3), bars and all."""
    assert frame.chroma is not None
    space = ColorSpace(info.tags, bit_depth=info.bit_depth)
    y, u, v = (shrink(plane, size) for plane in (frame.luma, *frame.chroma))
    return rgb_to_lab(space.rgb(y, u, v))


def tint_residual(lab: Floats) -> float:
    """RMS distance of ab (n, 3: L, a, b) from its best cubic in L: small for a toned print, whose
    colour depends on its gray alone."""
    x = lab[:, 0] / 50 - 1
    basis = np.stack([np.ones_like(x), x, x**2, x**3], 1)
    fit, *_ = np.linalg.lstsq(basis, lab[:, 1:], rcond=None)
    return float(np.sqrt(np.mean(np.sum((lab[:, 1:] - basis @ fit) ** 2, 1))))


def bar_edges(brightest: Floats) -> tuple[int, int]:
    """Half-open range of the lines that hold picture.

    brightest: each line's brightest level above black over all frames. A film without anything
    bright, or with bars over too large a share, has no bars.
    """
    lit = np.flatnonzero(brightest > BAR_LEVEL)
    n = len(brightest)
    if lit.size == 0 or n - (lit[-1] + 1 - lit[0]) > BAR_SHARE * n:
        return 0, n
    return int(lit[0]), int(lit[-1]) + 1
