"""Repeated frames keep the colour of the frame they repeat, and stay a function of neighbours."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.clips import luma
from vidcolor.facts import Box, FilmFacts
from vidcolor.frames import BEGINNING, END, ColorTags, Frame, PictureFormat, VideoInfo
from vidcolor.inference import Engine
from vidcolor.models.standin import StandinModel
from vidcolor.pipeline import REACH_FRAMES, Colorizer
from vidcolor.resample import shrink
from vidcolor.settings import Settings
from vidcolor.smoothing import GATHER_REACH_FRAMES
from vidcolor.stages import Item, Run, run_around

WIDTH, HEIGHT = 128, 96
INFO = VideoInfo(
    path=Path("film.mkv"),
    container="matroska,webm",
    stream_index=0,
    codec="ffv1",
    width=WIDTH,
    height=HEIGHT,
    sample_aspect=Fraction(1),
    rotation=0,
    rate=Fraction(24),
    time_base=Fraction(1, 24),
    start_pts=0,
    duration_seconds=None,
    frames_from_header=None,
    pixel_format="yuv420p",
    bit_depth=8,
    subsampling="420",
    tags=ColorTags(matrix=6, primaries=6, transfer=6, full_range=False),
    times_from="decoder",
    seekable=True,
    streams=(),
)
FORMAT = PictureFormat(
    pixel_format="yuv420p",
    bit_depth=8,
    width=WIDTH,
    height=HEIGHT,
    chroma_width=WIDTH // 2,
    chroma_height=HEIGHT // 2,
)
FACTS = FilmFacts(box=Box(top=0, bottom=HEIGHT, left=0, right=WIDTH), chroma=0, residual=0)


BURNT = 200
"""Luma from which the gamut and the fade let go of this colour, by up to a code and more for each
level of luma."""


class Tinted(StandinModel):
    """Every prediction is off by a tint that the picture's own grain decides: what a network does
    that hasn't settled, the same for the same frame."""

    def forward(self, lightness, hints=None):
        grain = lightness[..., ::7, ::5].double().sum((1, 2, 3)) * 1000
        tint = torch.stack([torch.sin(grain), torch.cos(1.7 * grain)], 1).float() * 8
        flat = torch.zeros_like(super().forward(lightness))
        return flat + torch.tensor([20.0, 10.0])[:, None, None] + tint[:, :, None, None]


def colorizer(model=Tinted, **changes):
    engine = Engine(model(), torch.device("cpu"), batch=1)
    return Colorizer(INFO, FACTS, Settings(model="standin", **changes), engine, FORMAT)


def film(holds, *, noise=0, cuts=()):
    """Frames of the drifting clip, the n-th of them shown holds[n] times with new noise each."""
    rng = np.random.default_rng(5)
    shown = [n for n, times in enumerate(holds) for _ in range(times)]
    frames = []
    for pts, n in enumerate(shown):
        plane = luma(n, WIDTH, HEIGHT, cuts=cuts).astype(np.int16)
        plane += rng.integers(-noise, noise + 1, plane.shape)
        frames.append(Frame(pts, 1, np.clip(plane, 0, 255).astype(np.uint8), None))
    return frames, shown


def pictures(made, frames):
    return [picture for _, picture in made.pairs(BEGINNING, END, frames=iter(frames))]


def furthest(one, other):
    """Largest difference of two pictures' chroma, codes."""
    return max(
        int(np.abs(a.astype(int) - b.astype(int)).max())
        for a, b in ((one.u, other.u), (one.v, other.v))
    )


@pytest.mark.parametrize("noise", [0, 1])
@pytest.mark.parametrize("every", [1, 4])
@pytest.mark.parametrize(
    "holds", [(1, 2) * 12, (2, 1, 3, 1, 1) * 5, (1,) * 9 + (8,) + (1,) * 9, (3, 2) * 8]
)
def test_a_repeat_has_the_colour_of_what_it_repeats(holds, every, noise):
    frames, shown = film(holds, noise=noise)
    made = pictures(colorizer(anchor_every=every), frames)
    steps = [furthest(a, b) for a, b in pairwise(made)]
    steady = [
        np.mean(np.abs(a.v.astype(int) - b.v)[shrink(a.y, (WIDTH // 2, HEIGHT // 2)) < BURNT] <= 1)
        for (a, b), (n, m) in zip(pairwise(made), pairwise(shown), strict=True)
        if n == m
    ]
    repeats = [step for step, (a, b) in zip(steps, pairwise(shown), strict=True) if a == b]
    others = [step for step, (a, b) in zip(steps, pairwise(shown), strict=True) if a != b]
    assert repeats
    # In highlights colour fades with every level of luma, so its noise counts twice.
    assert max(repeats) <= 2 * noise, steps
    assert min(steady) > 0.999, steady
    assert max(others) > 1, "the predictions must differ, or this shows nothing"


@pytest.mark.parametrize("noise", [0, 1])
def test_a_long_still_moves_by_a_code_a_frame_at_most(noise):
    frames, shown = film((1,) * 12 + (40,) + (1,) * 12, noise=noise)
    made = pictures(colorizer(StandinModel), frames)
    still = [p for p, n in zip(made, shown, strict=True) if n == 12]
    assert len(still) == 40
    for one, other in pairwise(still):
        moved = np.abs(one.v.astype(int) - other.v)
        assert np.mean(moved <= 1) > 0.995
        assert moved.max() <= 1 + 2 * noise


@pytest.mark.parametrize("holds", [(1, 2, 3) * 9, (1,) * 10 + (12,) + (1, 2) * 8])
def test_repeats_stay_pure(holds):
    """Any piece of a film with repeats, with its margins, gives the pictures of the whole."""
    frames, _ = film(holds, noise=1, cuts=(7,))
    made = colorizer()
    whole = pictures(made, frames)
    for start in range(0, len(frames), 3):
        end = start + 2
        piece = frames[max(0, start - REACH_FRAMES) : end + REACH_FRAMES]
        part = [p for _, p in made.pairs(start, end, frames=iter(piece))]
        for one, other in zip(part, whole[start:end], strict=True):
            np.testing.assert_array_equal(one.u, other.u)
            np.testing.assert_array_equal(one.v, other.v)


def items(pattern):
    """Items of which those marked r repeat their predecessor."""
    blank = Item(
        frame=None,
        pts=0,
        small=np.full((24, 32), 90, np.uint8),
        calmed=np.full((24, 32), 90, np.uint8),
        luma=np.zeros((12, 16), np.float32),
        thumbnail=np.zeros((60, 80), np.uint8),
        difference=0.0,
    )
    return [replace(blank, pts=i, repeats=mark == "r") for i, mark in enumerate(pattern)]


def run_in(line, place):
    reach = GATHER_REACH_FRAMES
    return run_around(
        line[place], line[max(0, place - reach) : place], line[place + 1 : place + 1 + reach]
    )


def test_every_frame_of_a_run_sees_the_same_run():
    line = items("." * 9 + "frrr" + "." * 12)
    assert [run_in(line, n) for n in range(8, 14)] == [
        Run(0, 0),
        Run(0, 3),
        Run(1, 2),
        Run(2, 1),
        Run(3, 0),
        Run(0, 0),
    ]


def test_a_run_that_not_all_its_frames_can_see_is_a_still():
    reach = GATHER_REACH_FRAMES
    line = items("." * 9 + "f" + "r" * reach + "." * 12)
    seen = [run_in(line, n) for n in range(9, 10 + reach)]
    assert seen == [Run(n, reach - n, still=True) for n in range(reach + 1)]
    line = items("." * 9 + "f" + "r" * (reach - 1) + "." * 12)
    assert [run_in(line, n).back for n in range(9, 9 + reach)] == list(range(reach))


def test_slow_motion_is_no_repeat():
    """Each frame is close to the last, but not to the first of the run."""
    line = items("." * 9 + "frrrr" + "." * 12)
    for n in range(9, 14):
        line[n].small = line[n].small + np.uint8(3 * (n - 9))
    assert all(run_in(line, n) == Run(0, 0) for n in range(9, 14))
