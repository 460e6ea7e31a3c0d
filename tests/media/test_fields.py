"""Interlaced films: found by looking, made whole pictures one for one, from anywhere in them."""

from __future__ import annotations

import itertools
from typing import cast

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from tests.clips import luma, make_clip
from vidcolor.facts import pair_fields
from vidcolor.media.fields import Deinterlacer
from vidcolor.media.pixels import planes_of
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.media.reader import index_packets
from vidcolor.pipeline import film_facts

WIDTH, HEIGHT = 160, 120
FRAMES = 40


@pytest.fixture(scope="module", params=["top", "bottom"])
def film(request, tmp_path_factory):
    """An interlaced film, lossless, without a flag that says so."""
    path = tmp_path_factory.mktemp("fields") / f"{request.param}.mkv"
    make_clip(
        path,
        frames=FRAMES,
        codec="ffv1",
        interlaced=request.param,
        cuts=(17,),
        width=WIDTH,
        height=HEIGHT,
    )
    return request.param, probe(path)


def test_interlacing_and_its_order_are_seen(film):
    first, info = film
    assert not info.flagged_interlaced
    assert film_facts(info).fields == first


@pytest.mark.parametrize("codec", ["ffv1", "libx264", "mpeg2video"])
def test_progressive_films_are_not_taken_for_interlaced(tmp_path, codec):
    path = make_clip(
        tmp_path / "film.mkv", frames=FRAMES, codec=codec, cuts=(17,), width=WIDTH, height=HEIGHT
    )
    assert film_facts(probe(path)).fields == "progressive"


def test_a_still_film_is_what_its_flags_say(tmp_path):
    still = {"x264-params": "tff=1", "preset": "ultrafast"}
    path = make_clip(
        tmp_path / "flagged.mkv",
        frames=1,
        codec="libx264",
        options=still,
        width=WIDTH,
        height=HEIGHT,
    )
    info = probe(path)
    assert info.flagged_interlaced
    assert film_facts(info).fields == "flagged"
    assert len(list(read_frames(info, fields="flagged"))) == 1


def test_flags_that_lie_are_not_believed(tmp_path):
    lie = {"x264-params": "tff=1", "preset": "ultrafast"}
    path = make_clip(
        tmp_path / "film.mkv", frames=24, codec="libx264", options=lie, width=WIDTH, height=HEIGHT
    )
    info = probe(path)
    assert info.flagged_interlaced
    assert film_facts(info).fields == "progressive"


def test_every_frame_keeps_its_time(film):
    first, info = film
    plain, whole = (list(read_frames(info, fields=f)) for f in ("progressive", first))
    assert [frame.pts for frame in whole] == [frame.pts for frame in plain]
    assert [frame.duration for frame in whole] == [frame.duration for frame in plain]


def test_pictures_are_whole_and_the_first_field_is_kept(film):
    first, info = film
    kept = slice(0 if first == "top" else 1, None, 2)
    for number, (woven, whole) in enumerate(
        zip(read_frames(info), read_frames(info, fields=first), strict=True)
    ):
        true = luma(2 * number, WIDTH, HEIGHT, cuts=(34,))
        np.testing.assert_array_equal(whole.luma[kept], true[kept])
        before, after = (np.abs(f.luma.astype(int) - true).mean() for f in (woven, whole))
        assert after < before / 2, (number, before, after)


def test_any_range_gives_the_same_pictures(film):
    first, info = film
    times = index_packets(info).times
    everything = {f.pts: f.luma.tobytes() for f in read_frames(info, fields=first)}
    for start, end in [(0, 5), (3, 9), (17, 18), (25, FRAMES)]:
        stop = times[end] if end < FRAMES else times[-1] + 1
        frames = list(read_frames(info, times[start], stop, before=2, after=2, fields=first))
        assert [f.pts for f in frames] == list(times[max(0, start - 2) : min(FRAMES, end + 2)])
        assert all(everything[f.pts] == f.luma.tobytes() for f in frames)


def test_stripes_that_slide_as_fields_would_are_whole():
    """FFmpeg's test picture: its next frame's upper lines fit this one's lower ones."""
    graph = av.filter.Graph()
    nodes = [
        graph.add("testsrc2", "size=1024x64:rate=24"),
        graph.add("hue", "s=0"),
        graph.add("format", "yuv420p"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    pulled = [cast(av.VideoFrame, graph.pull()).to_ndarray()[:64] for _ in range(24)]
    frames = [np.asarray(frame, np.uint8) for frame in pulled]
    seen = {pair_fields(a, b, 8) for a, b in itertools.pairwise(frames)}
    assert seen <= {"progressive", None}


def test_what_stands_still_shows_nothing():
    frame = luma(0, WIDTH, HEIGHT)
    assert pair_fields(frame, frame.copy(), 8) is None
    assert pair_fields(frame[:3], frame[:3], 8) is None


@pytest.mark.parametrize(
    ("pixel_format", "bits"), [("gray9le", 9), ("gray10le", 10), ("gray12le", 12), ("gray14le", 14)]
)
def test_deep_gray_keeps_its_samples(pixel_format, bits):
    """bwdif doesn't know these formats, and FFmpeg would turn them into RGB on the way."""
    random = np.random.default_rng(1)
    lumas = [random.integers(0, 1 << bits, (24, 32), np.uint16) for _ in range(4)]
    deinterlacer = Deinterlacer("top")
    done = []
    for plane in lumas:
        done += deinterlacer.push(VideoFrame.from_ndarray(plane, format=pixel_format))
    done += deinterlacer.flush()
    assert [frame.format.name for frame in done] == [pixel_format] * len(lumas)
    for frame, plane in zip(done, lumas, strict=True):
        found = planes_of(frame)[0]
        np.testing.assert_array_equal(found[::2], plane[::2])
        assert (found[1::2] != plane[1::2]).any()
        assert found.max() < 1 << bits


@pytest.mark.parametrize("size", [(2, 16), (16, 3), (16, 6), (4, 16)])
def test_a_picture_too_small_for_the_filter_stays_as_it_is(size: tuple[int, int]):
    deinterlacer = Deinterlacer("top")
    large, small = VideoFrame(32, 16, "yuv420p"), VideoFrame(size[0], size[1], "yuv420p")
    done = deinterlacer.push(large) + deinterlacer.push(small) + deinterlacer.push(large)
    done += deinterlacer.flush()
    sizes = [(frame.width, frame.height) for frame in done]
    assert sizes == [(32, 16), size, (32, 16)]
