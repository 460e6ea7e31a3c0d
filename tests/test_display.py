"""Frames as a person sees them, against FFmpeg's own conversion to RGB."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.clips import make_clip
from vidcolor.display import display_rgb
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("d") / "film.mkv", frames=3, color=True)


def judged(path):
    """The first frame as FFmpeg converts it."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return frame.to_ndarray(format="rgb24", interpolation="BILINEAR")


def shown(path):
    info = probe(path)
    frame = next(read_frames(info))
    return display_rgb(frame.luma, frame.chroma, info), frame, info


def test_color_is_what_ffmpeg_shows(film):
    rgb, _, info = shown(film)
    assert rgb.shape == (info.height, info.width, 3)
    error = np.abs(rgb.astype(int) - judged(film))
    # Chroma is enlarged from another phase, so edges differ by a little.
    assert error.mean() < 2, error.mean()


def test_gray_is_neutral_and_spans_the_range(film):
    _, frame, info = shown(film)
    gray = display_rgb(frame.luma, None, info)
    assert (gray[..., 0] == gray[..., 1]).all()
    assert (gray[..., 0] == gray[..., 2]).all()
    expected = np.clip((frame.luma.astype(float) - 16) / 219 * 255, 0, 255)
    np.testing.assert_allclose(gray[..., 0], expected, atol=0.51)


def test_ten_bits_look_like_eight(tmp_path):
    path = make_clip(tmp_path / "deep.mkv", frames=2, color=True, pixel_format="yuv420p10le")
    rgb, *_ = shown(path)
    assert np.abs(rgb.astype(int) - judged(path)).mean() < 2


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_undone(film, rotation):
    _, frame, info = shown(film)
    straight = display_rgb(frame.luma, frame.chroma, info)
    turned = display_rgb(frame.luma, frame.chroma, replace(info, rotation=rotation))
    np.testing.assert_array_equal(np.rot90(turned, rotation // 90), straight)


def test_samples_become_square_and_sizes_are_kept(film):
    _, frame, info = shown(film)
    wide = replace(info, sample_aspect=Fraction(3, 2))
    assert display_rgb(frame.luma, frame.chroma, wide).shape == (info.height, 96, 3)
    turned = replace(wide, rotation=90)
    small = display_rgb(frame.luma, frame.chroma, turned, size=(24, 48))
    assert small.shape == (48, 24, 3)
