"""Broken films are coloured as far as they decode, in step, and what was lost is said."""

from __future__ import annotations

import os
import struct
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from tests.broken_films import FILMS, Breaker, Case, spoilt
from tests.clips import luma, make_clip
from vidcolor.frames import END
from vidcolor.media.ending import bytes_missing
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.media.reader import index_packets


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_lost_frames_repeat_the_last_good_one(tmp_path, suffix):
    source = make_clip(tmp_path / f"f{suffix}", frames=40, codec="ffv1", gop=1)
    if suffix == ".mp4":
        source = make_clip(tmp_path / "f.mp4", frames=40, codec="mjpeg", pixel_format="yuvj420p")
    info = probe(spoilt(source, tmp_path / f"spoilt{suffix}", {10, 11, 20, 39}))
    whole, frames = list(read_frames(probe(source))), list(read_frames(info))
    assert [frame.pts for frame in frames] == [frame.pts for frame in whole]
    assert [n for n, frame in enumerate(frames) if frame.repeated] == [10, 11, 20, 39]
    for number, frame in enumerate(frames):
        good = {10: 9, 11: 9, 20: 19, 39: 38}.get(number, number)
        np.testing.assert_array_equal(frame.luma, whole[good].luma)
    assert not any(frame.damaged for frame in frames)
    assert all(a.pts + a.duration == b.pts for a, b in pairwise(frames))


def test_a_slice_of_a_damaged_film_is_the_same_as_in_a_linear_read(tmp_path):
    source = make_clip(tmp_path / "f.mkv", frames=60, codec="ffv1", gop=1)
    info = probe(spoilt(source, tmp_path / "spoilt.mkv", {*range(20, 24), 37, 38, 59}))
    whole = list(read_frames(info))
    for first, last in [(0, 22), (22, 40), (19, 21), (23, 24), (24, 60), (38, 39), (58, 60)]:
        end = whole[last].pts if last < 60 else END
        part = list(read_frames(info, whole[first].pts, end, before=5, after=5))
        wanted = whole[max(0, first - 5) : last + 5]
        assert [(f.pts, f.duration, f.repeated) for f in part] == [
            (f.pts, f.duration, f.repeated) for f in wanted
        ]
        for frame, other in zip(part, wanted, strict=True):
            np.testing.assert_array_equal(frame.luma, other.luma)


def test_interlaced_films_repeat_whole_pictures(tmp_path):
    source = make_clip(tmp_path / "f.mkv", frames=30, codec="ffv1", gop=1, interlaced="top")
    info = probe(spoilt(source, tmp_path / "spoilt.mkv", {12, 13}))
    frames = list(read_frames(info, fields="top"))
    assert [n for n, frame in enumerate(frames) if frame.repeated] == [12, 13]
    np.testing.assert_array_equal(frames[12].luma, frames[11].luma)
    whole = list(read_frames(probe(source), fields="top"))
    assert [frame.pts for frame in frames] == [frame.pts for frame in whole]


def test_packets_that_show_nothing_are_not_repeated(tmp_path):
    """Where the decoder has no complaint, a promise that isn't kept is none."""
    source = make_clip(tmp_path / "f.avi", frames=30, codec="mpeg4", gop=10, options={"bf": "0"})
    # Pictures of MPEG-4 that say "as before", as in many old files: a P-VOP (01), its time in
    # five bits, vop_coded 0.
    silent = {5: b"\x52\xcf", 17: b"\x58\xcf"}
    target = tmp_path / "silent.mkv"
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = (packet for packet in old.demux(video=0) if packet.size)
        for number, packet in enumerate(packets):
            kept = av.Packet(b"\x00\x00\x01\xb6" + silent[number]) if number in silent else packet
            kept.pts = kept.dts = number
            kept.time_base, kept.stream = Fraction(1, 24), stream
            kept.is_keyframe = packet.is_keyframe
            new.mux(kept)
    info = probe(target)
    frames = list(read_frames(info))
    assert not any(frame.repeated or frame.damaged for frame in frames)
    assert index_packets(info).frames == 30


def times_changed(source, target, later):
    """Copy a Matroska film; `later` has milliseconds for some packets, by number."""
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    for number, milliseconds in later.items():
        # Before a block's packet stand its time in its cluster, two bytes, and one of flags.
        place = data.index(packets[number]) - 3
        (time,) = struct.unpack_from(">h", data, place)
        struct.pack_into(">h", data, place, time + milliseconds)
    target.write_bytes(data)
    return target


@pytest.mark.parametrize(
    "later",
    [{20: 1500}, {20: -700}, {0: 900}, dict.fromkeys(range(35, 40), 30_000), {48: 20_000}],
    ids=["ahead", "back", "the first", "far ahead, some", "far ahead, one"],
)
def test_a_wrong_time_moves_no_other_frame(tmp_path, later):
    source = make_clip(tmp_path / "f.mkv", frames=50, codec="ffv1", gop=1, rate=Fraction(25))
    times = [frame.pts for frame in read_frames(probe(source))]
    info = probe(times_changed(source, tmp_path / "changed.mkv", later))
    frames = list(read_frames(info))
    for number, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.luma, luma(number))
    wrong = [n for n, frame in enumerate(frames) if abs(frame.pts - times[n]) > 1]
    assert set(wrong) <= ({0} if 0 in later else set()), wrong


@pytest.mark.parametrize("name", ["f.mp4", "f.mov", "f.mkv", "f.webm", "f.avi"])
def test_files_that_are_cut_short_say_so(tmp_path, name):
    codec = {"f.webm": "libvpx-vp9", "f.avi": "mpeg4"}.get(name, "libx264")
    film = make_clip(tmp_path / name, frames=12, codec=codec, audio=True)
    data = film.read_bytes()
    assert bytes_missing(film) == 0
    for length in (len(data) - 1, len(data) // 2):
        film.write_bytes(data[:length])
        # Of boxes that aren't there at all, as MP4's index, nobody knows.
        assert 0 < bytes_missing(film) <= len(data) - length
    film.write_bytes(data + bytes(100))
    assert bytes_missing(film) == 0


def test_of_other_files_nobody_knows_their_end(tmp_path):
    film = make_clip(tmp_path / "f.ts", frames=12)
    film.write_bytes(film.read_bytes()[:-700])
    assert bytes_missing(film) == 0


@pytest.fixture(scope="module")
def breaker(tmp_path_factory):
    if not hasattr(os, "pidfd_open"):
        pytest.skip("children are waited for as only Linux has it")
    with Breaker(tmp_path_factory.mktemp("broken")) as breaker:
        yield breaker


SHORT = [
    *(Case(film, "flips", number) for film in ("h264.mp4", "h264.mkv") for number in range(4)),
    *(Case(film, "flips", number) for film in ("mpeg4.avi", "h264.ts") for number in (7, 20, 23)),
    *(Case("mpeg2.vob", "flips", number) for number in range(3)),
    *(Case("front.mp4", "truncated", percent) for percent in (1, 40, 99)),
    *(Case("h264.mkv", "truncated", percent) for percent in (1, 30, 97)),
    *(Case("mpeg2.ts", "truncated", percent) for percent in (33, 90)),
    *(Case(film, "zeroed", 3) for film in ("h264.avi", "vp9.webm", "hevc.mkv")),
    *(Case(film, "doubled", 3) for film in ("mpeg2.ts", "h264.ts")),
    *(Case(film, "cut_out", 1) for film in ("mpeg2.ts", "ffv1.mkv")),
    *(Case(film, "garbage", 2) for film in ("front.mp4", "h264.mkv", "mpeg2.vob")),
    *(Case(film, "unindexed", 3) for film in ("h264.mp4", "h264.mkv", "mpeg4.avi")),
]
"""As many as take some twenty seconds; those of `make torture` are two thousand."""


@pytest.mark.parametrize("case", SHORT, ids=str)
def test_a_broken_film(breaker, case):
    """It is coloured or refused, in time and memory, and leaves nothing behind."""
    result = breaker.run(case)
    assert result.became != "wrong", (result.problems, result.said)
    if case.kind == "garbage":
        assert result.became != "refused", result.said
    without_index = case == Case("h264.mp4", "unindexed", 3)
    if without_index or (case.kind == "truncated" and case.number == 1):
        assert result.became == "refused"
        assert "error: " in result.said


def test_every_film_is_whole_when_nobody_breaks_it(breaker):
    for film in ("h264.mkv", "front.mp4", "mpeg2.vob", "h264.ts"):
        assert film in FILMS
        result = breaker.run(Case(film, "truncated", 100))
        assert (result.became, result.problems) == ("whole", ()), result.said
