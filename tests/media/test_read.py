"""Frames come out whole, in order, and the same from anywhere."""

from __future__ import annotations

import logging
import random
import resource
from collections.abc import Generator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.clips import luma, make_clip, picture
from tests.media.films import fingerprint, shared_clip
from vidcolor.frames import BEGINNING, END
from vidcolor.media import reader, sample
from vidcolor.media.pixels import planes_of
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.media.reader import index_packets
from vidcolor.media.sample import sample_frames

VARIABLE = [0, 40, 80, 200, 210, 333, 1000, 1001, 1100, 1500, 1540, 1580, 1700, 2000, 2040, 2100]


@pytest.mark.parametrize("depth", [8, 10, 12])
@pytest.mark.parametrize("layout", ["gray", "yuv420p", "yuv444p"])
@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
def test_luma_is_bit_exact(tmp_path, layout, depth, size):
    width, height = size
    path = make_clip(
        tmp_path / "film.mkv",
        frames=5,
        width=width,
        height=height,
        pixel_format=f"{layout}{depth}le" if depth > 8 else layout,
        codec="ffv1",
        color=layout != "gray",
    )
    frames = list(read_frames(probe(path)))
    assert len(frames) == 5
    for index, frame in enumerate(frames):
        assert frame.luma.shape == (height, width)
        assert not frame.luma.flags.writeable
        np.testing.assert_array_equal(frame.luma, luma(index, width, height, bit_depth=depth))
        assert (frame.chroma is None) == (layout == "gray")


@pytest.mark.parametrize("pixel_format", ["nv12", "nv21", "yuyv422", "yuv420p10be"])
def test_luma_of_unusual_layouts_is_bit_exact(tmp_path, pixel_format):
    depth = 10 if "10" in pixel_format else 8
    planar = "yuv422p" if pixel_format == "yuyv422" else "yuv420p10le" if depth > 8 else "yuv420p"
    path = tmp_path / "film.nut"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("rawvideo", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
        for index in range(3):
            frame = picture(index, pixel_format=planar, color=True).reformat(format=pixel_format)
            frame.pts = index
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    for index, got in enumerate(read_frames(probe(path))):
        wanted_chroma = planes_of(picture(index, pixel_format=planar, color=True))[1]
        np.testing.assert_array_equal(got.luma, luma(index, bit_depth=depth))
        assert got.chroma is not None
        assert wanted_chroma is not None
        for plane, wanted in zip(got.chroma, wanted_chroma, strict=True):
            np.testing.assert_array_equal(plane, wanted)


def test_high_aligned_samples_are_shifted_down():
    planar = picture(3, pixel_format="yuv420p10le", color=True)
    y, chroma = planes_of(planar.reformat(format="p010le"))
    wanted_y, wanted_chroma = planes_of(planar)
    np.testing.assert_array_equal(y, wanted_y)
    assert chroma is not None
    assert wanted_chroma is not None
    for plane, wanted in zip(chroma, wanted_chroma, strict=True):
        np.testing.assert_array_equal(plane, wanted)


@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
def test_rgb_is_converted_to_limited_luma(tmp_path, size):
    width, height = size
    path = make_clip(tmp_path / "f.mkv", frames=3, width=width, height=height, pixel_format="bgra")
    for index, frame in enumerate(read_frames(probe(path))):
        wanted = 16 + luma(index, width, height).astype(float) * 219 / 255
        # The scaler rounds in fixed point.
        assert np.abs(frame.luma - wanted).max() <= 1
        assert frame.chroma is not None
        assert frame.chroma[0].shape == (
            (height, width) if width % 2 else (height // 2, width // 2)
        )
        assert np.abs(frame.chroma[0].astype(int) - 128).max() <= 1


FILMS: dict[str, dict[str, Any]] = {
    "long_gop.mkv": {"gop": 250},
    "short_gop.mp4": {"gop": 12},
    "open_gop.mkv": {"options": {"x264-params": "open-gop=1:b-adapt=0:no-mbtree=1"}},
    "refresh.mp4": {"options": {"x264-params": "intra-refresh=1:keyint=16:no-mbtree=1"}},
    "variable.mkv": {"pts": VARIABLE, "gop": 4},
    "variable.mp4": {"pts": VARIABLE, "gop": 4},
    "reordered.avi": {"gop": 10},
    "lossless.mkv": {"codec": "ffv1"},
    "four.mkv": {"pixel_format": "yuv444p", "gop": 9},
}


@pytest.mark.parametrize("name", FILMS)
def test_a_slice_is_the_same_as_in_a_linear_read(tmp_path, name):
    settings: dict[str, Any] = {"frames": 60, "color": True, **FILMS[name]}
    info = probe(make_clip(tmp_path / name, **settings))
    whole = [fingerprint(frame) for frame in read_frames(info)]
    assert len(whole) == (60 if "variable" not in name else len(VARIABLE))
    assert all(a[0] < b[0] for a, b in pairwise(whole))
    choose = random.Random(name)
    for _ in range(25):
        first = choose.randrange(len(whole))
        last = choose.randrange(first, len(whole) + 1)
        before, after = choose.choice([(0, 0), (1, 0), (0, 2), (5, 5), (16, 16)])
        end = whole[last][0] if last < len(whole) else END
        got = read_frames(info, whole[first][0], end, before=before, after=after)
        wanted = whole[max(0, first - before) : last + after]
        assert [fingerprint(frame) for frame in got] == wanted, (first, last, before, after)


@pytest.mark.parametrize(
    "name",
    ["colour/cockatoo_yuv444p_mp3.mp4", "odd/h264_in_avi_1080p.avi", "colour/crystal_vp8.webm"],
)
def test_a_slice_of_a_real_film(name):
    info = probe(shared_clip(name))
    whole = [hash(fingerprint(frame)) for frame in read_frames(info)]
    times = index_packets(info).times
    middle = len(whole) * 2 // 3
    got = read_frames(info, times[middle], times[middle + 2], before=4)
    assert [hash(fingerprint(frame)) for frame in got] == whole[middle - 4 : middle + 2]


def test_threads_dont_change_frames(tmp_path):
    info = probe(make_clip(tmp_path / "f.mp4", frames=40, gop=40))
    one, many = ([fingerprint(f) for f in read_frames(info, threads=threads)] for threads in (1, 4))
    assert one == many


def test_durations_reach_to_the_next_frame(tmp_path):
    info = probe(make_clip(tmp_path / "f.mp4", pts=VARIABLE))
    frames = list(read_frames(info))
    assert all(a.pts + a.duration == b.pts for a, b in pairwise(frames))
    assert frames[-1].duration > 0
    ticks = [round(frame.pts * info.time_base * 1000) for frame in frames]
    assert ticks == VARIABLE


def test_ranges_outside_the_film(tmp_path):
    info = probe(make_clip(tmp_path / "f.mkv", frames=10))
    assert list(read_frames(info, 10**6, END)) == []
    assert list(read_frames(info, BEGINNING, info.start_pts)) == []
    late = list(read_frames(info, 10**6, END, before=2))
    assert [frame.pts for frame in late] == [frame.pts for frame in read_frames(info)][-2:]


def test_packet_index_agrees_with_the_decoder(tmp_path):
    for name in ("a.mp4", "a.mkv", "a.avi"):
        info = probe(make_clip(tmp_path / name, frames=30, gop=10))
        index = index_packets(info)
        assert list(index.times) == [frame.pts for frame in read_frames(info)]
        assert index.frames == 30
        assert index.times[0] == info.start_pts
        assert len(index.keyframes) == 3


def test_hidden_frames_of_vp8_are_not_counted():
    info = probe(shared_clip("colour/stream_of_water_vp8.webm"))
    assert index_packets(info).frames == 90


def test_frames_stay_valid_while_held(tmp_path):
    info = probe(make_clip(tmp_path / "f.mkv", frames=60, codec="ffv1"))
    held = list(read_frames(info))
    for index, frame in enumerate(held):
        np.testing.assert_array_equal(frame.luma, luma(index))


def test_memory_stays_flat_when_converting(tmp_path):
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("this system doesn't tell a process its memory in /proc")
    path = make_clip(tmp_path / "f.mkv", frames=150, width=320, height=240, pixel_format="bgra")
    pages = []
    for index, _ in enumerate(read_frames(probe(path), threads=1)):
        if index in (50, 149):
            pages.append(int(statm.read_text().split()[1]))
    # Frames kept by mistake would be 30 MB of colour and 11 MB of luma.
    assert (pages[1] - pages[0]) * resource.getpagesize() < 5_000_000


def test_an_unfinished_reading_closes_its_file(tmp_path):
    path = make_clip(tmp_path / "f.mkv")
    frames = read_frames(probe(path))
    next(frames)
    assert isinstance(frames, Generator)
    frames.close()
    path.rename(tmp_path / "g.mkv")


def test_damage_is_passed_over_and_told_once(tmp_path, caplog):
    path = make_clip(tmp_path / "f.mkv", frames=60, gop=10, options={"preset": "ultrafast"})
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 400] = bytes(400)
    path.write_bytes(raw)
    info = probe(path)
    with caplog.at_level(logging.WARNING, logger=reader.__name__):
        frames = list(read_frames(info))
        list(read_frames(info))
    assert 40 < len(frames) <= 60
    assert any(frame.damaged or frame.repeated for frame in frames)
    assert all(a.pts < b.pts for a, b in pairwise(frames))
    assert len(caplog.records) <= 1


def test_a_damaged_tail_is_marked():
    info = probe(shared_clip("odd/corrupted_tail.mp4"))
    assert any(frame.damaged or frame.repeated for frame in read_frames(info))


def test_samples_are_spread_and_repeatable(tmp_path):
    info = probe(make_clip(tmp_path / "f.mkv", frames=100))
    first, again = ([frame.pts for frame in sample_frames(info, 8)] for _ in range(2))
    assert first == again
    assert len(first) == 8
    assert first[0] < 600
    assert first[-1] > 3600


def test_few_frames_are_all_sampled(tmp_path):
    info = probe(make_clip(tmp_path / "f.mkv", frames=5))
    assert len(list(sample_frames(info, 24))) == 5


def test_long_films_are_sampled_by_keyframes(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "SAMPLED_FRAMES", 48)
    info = probe(make_clip(tmp_path / "f.mp4", frames=240, gop=10))
    sampled = list(sample_frames(info, 12))
    keys = set(index_packets(info).keyframes)
    assert len(sampled) == 12
    assert {frame.pts for frame in sampled} <= keys
    whole = {frame.pts: frame.luma.tobytes() for frame in read_frames(info)}
    assert all(whole[frame.pts] == frame.luma.tobytes() for frame in sampled)


def test_films_that_cannot_be_sought_exactly_are_sampled_all_along(tmp_path, monkeypatch):
    """A title on black at the beginning must not decide what the whole film is."""
    monkeypatch.setattr(sample, "SAMPLED_FRAMES", 48)
    path = make_clip(tmp_path / "f.avi", frames=240, gop=10, codec="mpeg4", cuts=(60, 120, 180))
    info = probe(path)
    assert not info.seekable
    sampled = [frame.luma.tobytes() for frame in sample_frames(info, 12)]
    assert sampled == [frame.luma.tobytes() for frame in sample_frames(info, 12)]
    places = {frame.luma.tobytes(): i for i, frame in enumerate(read_frames(info))}
    found = [places[luma] for luma in sampled]
    assert len(found) >= 8
    assert min(found) < 60
    assert max(found) > 180


def remuxed(source, target, change):
    """Copy the picture's packets; `change(number, packet)` alters or drops (None) each."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(old.demux(video=0)):
            if packet.dts is None:
                continue
            packet.stream = stream
            kept = change(number, packet)
            if kept is not None:
                new.mux(kept)
    return target


def test_a_repeated_time_does_not_move_the_frames_after_it(tmp_path):
    source = make_clip(tmp_path / "f.mkv", frames=120, codec="ffv1", rate=Fraction(25))

    def repeat(number, packet):
        if number == 40:
            packet.pts = packet.dts = packet.pts - 40
        return packet

    path = remuxed(source, tmp_path / "repeated.mkv", repeat)
    info = probe(path)
    whole = [frame.pts for frame in read_frames(info)]
    assert len(whole) == 120
    assert whole == sorted(set(whole))
    assert whole[42:] == [frame.pts for frame in read_frames(probe(source))][42:]
    cold = [frame.pts for frame in read_frames(info, whole[90], before=4)]
    assert cold == whole[86:]


def test_sound_stays_in_step_after_packets_that_cannot_be_decoded(tmp_path):
    """H.264 in AVI has its times from the packets: damage costs a group, not the rest."""
    source = make_clip(tmp_path / "f.avi", frames=120, gop=12, codec="libx264")

    def destroy(number, packet):
        if 30 <= number < 36:
            damaged = av.Packet(bytes(packet.size))
            damaged.stream, damaged.pts, damaged.dts = packet.stream, packet.pts, packet.dts
            damaged.time_base = packet.time_base
            return damaged
        return packet

    path = remuxed(source, tmp_path / "damaged.avi", destroy)
    clean = {f.luma.tobytes(): f.pts for f in read_frames(probe(source))}
    info = probe(path)
    assert info.times_from == "packets"
    found = list(read_frames(info))
    assert [f.pts for f in found] == sorted(clean.values())
    assert 0 < sum(frame.repeated for frame in found) < 40
    late = [f for f in found if f.luma.tobytes() in clean][-20:]
    assert [f.pts for f in late] == [clean[f.luma.tobytes()] for f in late]


def test_full_range_rgb_is_read_as_what_it_is_turned_into(tmp_path):
    path = tmp_path / "f.mov"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("png", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        stream.codec_context.color_range = 2
        for index in range(4):
            image = np.full((48, 64, 3), 255 * (index % 2), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.color_range, frame.pts, frame.time_base = 2, index, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    info = probe(path)
    assert not info.tags.full_range
    levels = [int(np.median(f.luma)) for f in read_frames(info)]
    assert levels == [16, 235, 16, 235]


def test_a_bare_streams_frames_follow_at_its_rate(tmp_path):
    info = probe(make_clip(tmp_path / "film.h264", frames=14))
    frames = list(read_frames(info))
    assert info.times_from == "packets"
    assert [frame.pts for frame in frames] == list(index_packets(info).times)
    seconds = [frame.pts * info.time_base for frame in frames]
    assert seconds == [Fraction(n) / info.rate for n in range(14)]
    part = list(read_frames(info, frames[5].pts, frames[8].pts))
    assert [frame.luma.tobytes() for frame in part] == [f.luma.tobytes() for f in frames[5:8]]
