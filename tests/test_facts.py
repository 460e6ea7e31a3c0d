"""What a film is, judged from made-up frames: gray, tinted, coloured, and with bars."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidcolor.color import ColorSpace
from vidcolor.facts import facts_of
from vidcolor.frames import ColorTags, Frame, VideoInfo

TAGS = ColorTags(matrix=6, primaries=6, transfer=6, full_range=False)


def info(width=160, height=120):
    return VideoInfo(
        path=Path("film.mkv"),
        container="matroska,webm",
        stream_index=0,
        codec="ffv1",
        width=width,
        height=height,
        sample_aspect=Fraction(1),
        rotation=0,
        rate=Fraction(24),
        time_base=Fraction(1, 24),
        start_pts=0,
        duration_seconds=None,
        frames_from_header=None,
        pixel_format="yuv444p",
        bit_depth=8,
        subsampling="444",
        tags=TAGS,
        times_from="decoder",
        seekable=True,
        streams=(),
    )


def frames_with(ab_of, *, count=4, bars=0):
    """Textured frames whose ab is `ab_of(luma, rng)`, with black pillars of `bars` columns."""
    space = ColorSpace(TAGS, bit_depth=8)
    made = []
    for i in range(count):
        rng = np.random.default_rng(i)
        luma = np.kron(rng.integers(30, 220, (12, 16)), np.ones((10, 10))).astype(np.uint8)
        if bars:
            luma[:, :bars] = luma[:, -bars:] = 16
        chroma = space.chroma(luma, ab_of(luma, rng))
        planes = [space.quantize(np.ascontiguousarray(chroma[..., c])) for c in (0, 1)]
        made.append(Frame(i, 1, luma, (planes[0], planes[1])))
    return made


def alone(frames):
    """Samples without a next frame."""
    return [(frame, None) for frame in frames]


def gray(luma, rng):
    return rng.normal(0, 0.5, (2, *luma.shape)).astype(np.float32)


def sepia(luma, rng):
    tone = luma.astype(np.float32) / 255
    return np.stack([6 + 2 * tone, 20 - 8 * (tone - 0.5) ** 2]).astype(np.float32)


def natural(luma, rng):
    hues = np.kron(rng.normal(0, 9, (2, 12, 16)), np.ones((10, 10)))
    return hues.astype(np.float32)


@pytest.mark.parametrize(
    ("ab_of", "colored", "tinted"),
    [(gray, False, False), (sepia, False, True), (natural, True, False)],
)
def test_kind_of_film(ab_of, colored, tinted):
    facts = facts_of(alone(frames_with(ab_of)), info())
    assert (facts.colored, facts.tinted) == (colored, tinted), facts


def test_gray_format_has_no_color():
    bare = [Frame(f.pts, 1, f.luma, None) for f in frames_with(gray)]
    facts = facts_of(alone(bare), info())
    assert (facts.chroma, facts.residual) == (0, 0)


def test_bars_are_found_and_dark_films_have_none():
    box = facts_of(alone(frames_with(gray, bars=20)), info()).box
    assert (box.top, box.bottom, box.left, box.right) == (0, 120, 20, 140)
    black = [Frame(0, 1, np.full((120, 160), 16, np.uint8), None)]
    box = facts_of(alone(black), info()).box
    assert (box.top, box.bottom, box.left, box.right) == (0, 120, 0, 160)
