"""Films of which some shots have colour: told apart, refused, or left as they are."""

from __future__ import annotations

import numpy as np
import pytest

from tests.clips import make_clip
from vidcolor.errors import ColorSourceError
from vidcolor.frames import END
from vidcolor.inference import open_engine
from vidcolor.media.choice import choose_encoder, picture_format
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.pipeline import Colorizer, film_facts, refuse_color
from vidcolor.settings import Settings

CUTS = (20, 44)
COLORED = range(*CUTS)
FRAMES = 64


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    """Gray, colour, gray, lossless."""
    path = tmp_path_factory.mktemp("mixed") / "film.mkv"
    make_clip(path, frames=FRAMES, codec="ffv1", cuts=CUTS, color=COLORED, width=96, height=64)
    return probe(path)


def colorizer_of(info, **settings):
    chosen = Settings(model="standin", threads=1, **settings)
    layout = picture_format(info, choose_encoder(info, chosen))
    return Colorizer(info, film_facts(info), chosen, open_engine(chosen), layout)


def test_a_mixed_film_is_refused_with_both_ways_out(info):
    facts = film_facts(info)
    assert facts.partly_colored
    with pytest.raises(ColorSourceError, match=r"some shots.*--recolor.*--keep-color"):
        refuse_color(info, facts, Settings())
    refuse_color(info, facts, Settings(keep_color=True))


@pytest.mark.parametrize("color", [False, True])
def test_films_of_one_kind_are_not_called_mixed(tmp_path, color):
    path = make_clip(tmp_path / "film.mkv", frames=30, cuts=(12,), color=color)
    assert not film_facts(probe(path)).partly_colored


@pytest.mark.parametrize("smoothing", [True, False])
def test_colored_shots_keep_their_planes_and_gray_ones_are_painted(info, smoothing):
    colorizer = colorizer_of(info, keep_color=True, smoothing=smoothing)
    painted = list(colorizer_of(info, recolor=True, smoothing=smoothing).pictures(0, END))
    pictures = list(colorizer.pictures(0, END))
    assert len(pictures) == FRAMES
    for number, (frame, picture) in enumerate(zip(read_frames(info), pictures, strict=True)):
        np.testing.assert_array_equal(picture.y, frame.luma)
        assert frame.chroma is not None
        expected = frame.chroma if number in COLORED else (painted[number].u, painted[number].v)
        np.testing.assert_array_equal(picture.u, expected[0], f"frame {number}")
        np.testing.assert_array_equal(picture.v, expected[1], f"frame {number}")
    assert np.abs(pictures[5].u.astype(int) - 128).max() > 5


@pytest.mark.parametrize("smoothing", [True, False])
def test_any_range_gives_the_same_pictures(info, smoothing):
    colorizer = colorizer_of(info, keep_color=True, smoothing=smoothing)
    everything = {p.pts: (p.u.tobytes(), p.v.tobytes()) for p in colorizer.pictures(0, END)}
    times = sorted(everything)
    for start, end in [(18, 22), (30, 31), (43, 50)]:
        part = list(colorizer.pictures(times[start], times[end]))
        assert [p.pts for p in part] == times[start:end]
        assert all(everything[p.pts] == (p.u.tobytes(), p.v.tobytes()) for p in part)


def test_one_odd_frame_goes_with_its_shot(tmp_path):
    path = tmp_path / "film.mkv"
    make_clip(path, frames=30, codec="ffv1", color=range(12, 13), width=96, height=64)
    info = probe(path)
    picture = list(colorizer_of(info, keep_color=True).pictures(0, END))[12]
    frame = list(read_frames(info))[12]
    assert frame.chroma is not None
    assert (picture.u != frame.chroma[0]).any()
