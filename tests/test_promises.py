"""The promises of the whole program, on finished files: lossless luma, purity, nothing lost.

The finer tests stand beside each module; these say that the parts keep their word together.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.clips import make_clip
from vidcolor.jobs.local import Order, run_film
from vidcolor.jobs.plan import Moment
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.settings import Settings

STANDIN = Settings(model="standin", device="cpu", threads=1, codec="ffv1", segment_seconds=0.5)


def colorize(source: Path, output: Path, settings: Settings, **cut: Any) -> Path:
    assert run_film(Order(source=source, output=output, settings=settings, **cut)).made
    return output


def frames_of(path: Path):
    return list(read_frames(probe(path)))


def fingerprints(path: Path):
    """sha256 of each frame's three planes, in order."""
    return [
        hashlib.sha256(
            b"".join(np.ascontiguousarray(p).tobytes() for p in (f.luma, *(f.chroma or ())))
        ).hexdigest()
        for f in frames_of(path)
    ]


@pytest.mark.parametrize(
    "pixel_format", ["gray", "yuv420p", "yuv422p", "yuv444p", "gray10le", "yuv420p10le"]
)
@pytest.mark.parametrize("size", [(96, 64), (65, 49)])
def test_luma_out_is_luma_in_every_bit(tmp_path, pixel_format, size):
    width, height = size
    if width % 2 and pixel_format in ("yuv420p", "yuv422p", "yuv420p10le"):
        width, height = 66, 50  # these can't be odd; a side that is no multiple of 4 can
    source = make_clip(
        tmp_path / "film.mkv",
        frames=30,
        width=width,
        height=height,
        pixel_format=pixel_format,
        codec="ffv1",
        cuts=(17,),
    )
    output = colorize(source, tmp_path / "out.mkv", STANDIN)
    before, after = frames_of(source), frames_of(output)
    assert len(before) == len(after) == 30
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.luma, other.luma)
        assert one.luma.dtype == other.luma.dtype
        assert other.chroma is not None
        assert np.ptp(other.chroma[0]) > 2  # and there is colour


def test_pts_of_a_variable_rate_survive(tmp_path):
    times = [0, 40, 95, 120, 300, 310, 460, 500, 900, 940, 1000, 1300]
    source = make_clip(tmp_path / "film.mkv", pts=times, audio=True, subtitle=True)
    output = colorize(source, tmp_path / "out.mkv", STANDIN)
    assert [f.pts for f in frames_of(output)] == [f.pts for f in frames_of(source)]


def test_sound_is_kept_packet_for_packet(tmp_path):
    source = make_clip(tmp_path / "film.mp4", frames=60, audio=True, subtitle=True)
    output = colorize(source, tmp_path / "out.mp4", Settings(model="standin", threads=1))
    kept = []
    for path in (source, output):
        with av.open(str(path)) as container:
            packets = container.demux(audio=0)
            kept.append([(p.pts, bytes(p)) for p in packets if p.size])
    assert kept[0]
    assert kept[0] == kept[1]


def test_any_cut_into_segments_and_any_range_give_the_same_pictures(tmp_path):
    source = make_clip(tmp_path / "film.mp4", frames=72, width=96, height=64, cuts=(29,))
    whole = fingerprints(colorize(source, tmp_path / "whole.mkv", STANDIN))
    assert len(set(whole)) == 72
    for seconds in (0.25, 1.0, 60.0):
        settings = replace(STANDIN, segment_seconds=seconds)
        assert fingerprints(colorize(source, tmp_path / f"{seconds}.mkv", settings)) == whole
    cut = {"start": Moment.parse("25f"), "end": Moment.parse("61f")}
    part = fingerprints(colorize(source, tmp_path / "part.mkv", STANDIN, **cut))
    assert part == whole[25:61]


def test_the_bundled_network_is_pure_too(tmp_path):
    """The real network in this machine's own arithmetic, not only the stand-in."""
    source = make_clip(tmp_path / "film.mp4", frames=48, width=96, height=64, cuts=(19,))
    settings = replace(STANDIN, model="compact")
    whole = fingerprints(colorize(source, tmp_path / "whole.mkv", settings))
    cut = {"start": Moment.parse("22f"), "end": Moment.parse("40f")}
    part = fingerprints(colorize(source, tmp_path / "part.mkv", settings, **cut))
    assert part == whole[22:40]


def test_two_runs_make_the_same_file(tmp_path):
    source = make_clip(tmp_path / "film.mp4", frames=40, width=96, height=64, audio=True)
    settings = Settings(model="standin", device="cpu", threads=1)
    one = colorize(source, tmp_path / "one.mp4", settings)
    other = colorize(source, tmp_path / "other.mp4", settings)
    assert one.read_bytes() == other.read_bytes()
