"""Clocks that begin anew in the middle: every reader of the film agrees, and all stays in step."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import av
import pytest

from tests.clips import make_clip
from tests.media.films import fingerprint, packets_of, times_of, write_segments
from vidcolor.frames import BEGINNING, END
from vidcolor.jobs.events import Warned
from vidcolor.jobs.local import Order, run_film
from vidcolor.media import sample
from vidcolor.media.clock import Clock, read_clock
from vidcolor.media.join import join_segments
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.media.reader import index_packets
from vidcolor.media.sample import sample_frames
from vidcolor.media.tracks import plan_tracks, weigh
from vidcolor.settings import Settings

FRAME = 3750
"""Ticks of a frame: 90 kHz, 24 a second."""

TURN = 2**33 / 90_000
"""Seconds after which these clocks begin at zero again."""

HOUR = 3600.0

JOINED: dict[str, list[float]] = {
    "same.ts": [1000, 1000],
    "back.ts": [1000, 930],
    "far_back.ts": [5000, 10],
    "a_little_back.ts": [1000, 1000.5],
    "back_by_a_minute.ts": [1000, 939.5],
    "ahead.ts": [1000, 1000 + HOUR],
    "turned.ts": [TURN - 0.4, TURN - 0.4],
    "three.ts": [HOUR, 50, 7 * HOUR],
    "again.ts": [1000, 1000, 1000, 1000],
    "cells.vob": [0, 0],
    "many.vob": [0, 0, 0, 0],
}
"""What the clock shows at the beginning of each part, in seconds.

FFmpeg takes what is more than a minute before a film's first time for the clock's next turn.
"""


def recorded(path, at=0.0, shown=999, **clip):
    """A clip with sound, recorded when the sender's clock showed `at`; a DVD's cell begins at 0.

    Of its pictures the first `shown` are there.
    """
    if path.suffix == ".vob":
        return make_clip(path, codec="mpeg2video", audio=True, **clip)
    film = make_clip(path.with_suffix(".mp4"), audio=True, **clip)
    with av.open(str(film)) as source, av.open(str(path), "w") as out:
        copies = [out.add_stream_from_template(stream, opaque=True) for stream in source.streams]
        packets = [packet for packet in source.demux() if packet.size]
        for packet in sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base):
            later = round(at / packet.time_base)
            packet.pts, packet.dts = packet.pts + later, packet.dts + later
            packet.stream = copies[packet.stream_index]
            shown -= packet.stream_index == 0
            if packet.stream_index or shown >= 0:
                out.mux(packet)
    return path


def joined(folder, name, frames=30):
    """The film `name` of JOINED, and its parts; the second is a short one."""
    parts = [
        recorded(
            folder / f"part{number}{name[name.index('.') :]}",
            at,
            frames=frames - 14 * (number == 1),
            seed=number,
        )
        for number, at in enumerate(JOINED[name])
    ]
    film = folder / name
    film.write_bytes(b"".join(part.read_bytes() for part in parts))
    return film, parts


@pytest.mark.parametrize("name", JOINED)
def test_the_picture_goes_on_without_a_gap(tmp_path, name):
    film, parts = joined(tmp_path, name)
    info = probe(film)
    frames = [fingerprint(frame) for frame in read_frames(info)]
    first = probe(parts[0]).start_pts
    assert [pts for pts, *_ in frames] == [first + FRAME * n for n in range(len(frames))]
    assert {duration for _, duration, *_ in frames} == {FRAME}
    alone = [fingerprint(frame) for part in parts for frame in read_frames(probe(part))]
    assert [luma for _, _, luma, _ in frames] == [luma for _, _, luma, _ in alone]
    index = index_packets(info)
    assert index.times == tuple(pts for pts, *_ in frames)
    assert index.jumps == len(parts) - 1


@pytest.mark.parametrize("name", ["three.ts", "many.vob"])
def test_a_slice_is_the_same_as_in_a_linear_read(tmp_path, name):
    info = probe(joined(tmp_path, name)[0])
    whole = [fingerprint(frame) for frame in read_frames(info)]
    for first, last in ((0, 5), (25, 40), (44, 50), (60, len(whole) - 1)):
        got = read_frames(info, whole[first][0], whole[last][0], before=3, after=2)
        assert [fingerprint(f) for f in got] == whole[max(0, first - 3) : last + 2]


@pytest.mark.parametrize("name", ["film.ts", "film.vob"])
def test_a_film_on_one_clock_is_left_as_it_is(tmp_path, name):
    film = recorded(tmp_path / name, 500)

    def packets(moved):
        with av.open(str(film)) as container:
            clock = Clock(container, container.streams.video[0])
            source = clock.packets([0, 1]) if moved else container.demux()
            return [(p.stream_index, p.pts, p.dts) for p in source if p.size]

    assert packets(True) == packets(False)
    with av.open(str(film)) as container:
        assert len(read_clock(container, container.streams.video[0]).spells) == 1
    assert not probe(film).clock_jumps


def test_a_clocks_own_turn_is_no_jump(tmp_path):
    film = recorded(tmp_path / "film.ts", TURN - 0.5)
    assert index_packets(probe(film)).jumps == 0
    assert {b - a for a, b in pairwise(f.pts for f in read_frames(probe(film)))} == {FRAME}


def test_a_still_picture_whose_sound_goes_on_is_no_jump(tmp_path):
    times = [*range(0, 1000, 40), *range(21_000, 22_000, 40)]
    film = recorded(tmp_path / "film.ts", 100, pts=times, options={"bf": "0"})
    info = probe(film)
    assert index_packets(info).jumps == 0
    assert [(f.pts - info.start_pts) // 90 for f in read_frames(info)] == times


def written_over(data, number, seconds):
    """A transport stream whose picture's packet `number` has times that are `seconds` off."""
    data, met = bytearray(data), -1
    for place in range(0, len(data), 188):
        begins, extra = data[place + 1] & 0x40, data[place + 3] & 0x20
        start = place + 4 + (data[place + 4] + 1 if extra else 0)
        if begins and data[start : start + 4] == b"\0\0\1\xe0":
            met += 1
            if met == number:
                for stamp in range(start + 9, start + 9 + data[start + 8] // 5 * 5, 5):
                    write_stamp(data, stamp, round(seconds * 90_000))
    assert met >= number
    return bytes(data)


def write_stamp(data, place, ticks):
    """Add ticks to a time of 33 bits that lies in five bytes (ISO 13818-1, 2.4.3.7)."""
    a, b, c, d, e = data[place : place + 5]
    time = ((a >> 1 & 7) << 30 | b << 22 | c >> 1 << 15 | d << 7 | e >> 1) + ticks
    a = a & 0xF0 | (time >> 30 & 7) << 1 | 1
    parts = (a, time >> 22 & 255, (time >> 15 & 127) << 1 | 1, time >> 7 & 255, (time & 127) << 1)
    data[place : place + 5] = bytes((*parts[:4], parts[4] | 1))


@pytest.mark.parametrize("seconds", [-700, 5000])
def test_a_wrong_time_spoils_one_frame_at_most(tmp_path, seconds):
    film = recorded(tmp_path / "film.ts", 1000)
    whole, data = [frame.pts for frame in read_frames(probe(film))], film.read_bytes()
    for number in range(20, 25):
        film.write_bytes(written_over(data, number, seconds))
        found = [frame.pts for frame in read_frames(probe(film))]
        assert found == whole
        assert index_packets(probe(film)).times == tuple(whole)
        assert index_packets(probe(film)).jumps == 0


def in_step(output, parts, near):
    """Whether all sound of each part is where it is to the part's picture in that part alone, but
    that none falls behind the last of the part before."""
    (sound,), picture = packets_of(output, "audio"), times_of(output)
    heard = [time for _, time in sound]
    last = heard[0]
    for part in parts:
        (alone,), shown = packets_of(part, "audio"), times_of(part)
        for _, time in alone:
            last, wanted = heard[0], max(picture[0] + time - shown[0], last)
            assert abs(heard.pop(0) - wanted) <= near
        del picture[: len(shown)]
    assert heard == picture == []


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("name", JOINED)
def test_sound_stays_in_step(tmp_path, name, suffix):
    film, parts = joined(tmp_path, name)
    info = probe(film)
    output = tmp_path / f"out{suffix}"
    (warning,) = join_segments(write_segments(info, tmp_path), info, output)
    assert f"the clock of {name} jumps at" in warning
    near = Fraction(1, 1000) if suffix == ".mkv" else Fraction(1, 45_000)
    in_step(output, parts, near)


@pytest.mark.parametrize("late", [0, 1, 2, 3])
def test_sound_that_outlasts_its_picture_is_kept(tmp_path, late):
    """For less than a second it meets the sound of the next part; for more, that waits."""
    film, parts = tmp_path / "film.ts", [tmp_path / f"{name}.ts" for name in "ab"]
    for part, shown in zip(parts, (24, 40), strict=True):
        recorded(part, 1000 + late / 1000, frames=40, shown=shown, options={"bf": "0"})
    film.write_bytes(b"".join(part.read_bytes() for part in parts))
    info = probe(film)
    for suffix in (".mp4", ".mkv"):
        output = tmp_path / f"out{suffix}"
        assert len(join_segments(write_segments(info, tmp_path), info, output)) == 1
        in_step(output, parts, Fraction(1, 20))


def test_a_cut_behind_a_jump_has_its_own_sound(tmp_path):
    film, parts = joined(tmp_path, "back.ts", frames=60)
    info = probe(film)
    start, output = info.start_pts + 66 * FRAME, tmp_path / "out.mp4"
    join_segments(write_segments(info, tmp_path, start=start), info, output, start=start)
    (sound,), (alone,) = packets_of(output, "audio"), packets_of(parts[1], "audio")
    cut = times_of(parts[1])[6]
    wanted = [time - cut for _, time in alone if time >= cut]
    assert len(sound) == len(wanted) > 5
    for (_, time), expected in zip(sound, wanted, strict=True):
        assert abs(time - expected) <= Fraction(1, 45_000)


def test_the_sound_of_a_part_is_weighed_with_it(tmp_path):
    film, parts = joined(tmp_path, "ahead.ts", frames=60)
    info = probe(film)
    with av.open(str(film)) as source:
        plan = plan_tracks(source, info, "matroska")
    (first,), (second,) = (packets_of(part, "audio") for part in parts)
    border = info.start_pts + 60 * FRAME
    for span, sound in (((BEGINNING, border), first), ((border, END), second)):
        load = weigh(info, plan, *span).loads[1]
        assert load.packets == pytest.approx(len(sound), abs=4)


@pytest.mark.parametrize(("codec", "times"), [("libx264", False), ("mpeg2video", True)])
def test_packets_without_times_get_those_of_their_frames(tmp_path, codec, times):
    """Small frames share a packet of the program stream, which has one time."""
    film = make_clip(tmp_path / "film.vob", codec=codec, frames=60)
    film.write_bytes(2 * film.read_bytes())
    with av.open(str(film)) as container:
        shown = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert (None not in shown) == times
    found = [frame.pts for frame in read_frames(probe(film))]
    assert {b - a for a, b in pairwise(found)} == {FRAME}
    assert index_packets(probe(film)).times == tuple(found)


def test_a_run_says_that_the_clock_jumps(tmp_path):
    film, parts = joined(tmp_path, "ahead.ts")
    said: list[str] = []

    def listen(event):
        if isinstance(event, Warned):
            said.append(event.text)

    settings = Settings(model="standin", threads=1, encoder_preset="ultrafast")
    output = tmp_path / "film.color.mkv"
    run_film(Order(source=film, output=output, settings=settings), report=listen)
    assert said == [
        "the clock of ahead.ts jumps at one place; the parts follow each other without a gap."
    ]
    in_step(output, parts, Fraction(1, 1000))


@pytest.mark.parametrize("name", ["back.ts", "far_back.ts", "ahead.ts"])
def test_all_of_a_film_is_looked_at(tmp_path, name, monkeypatch):
    """The header's length, of two clocks, would have it sought where nothing is."""
    monkeypatch.setattr(sample, "SAMPLED_FRAMES", 48)
    film, _ = joined(tmp_path, name, frames=96)
    info = probe(film)
    assert info.clock_jumps
    assert info.duration_seconds == pytest.approx(178 / 24, rel=0.15)
    places = {frame.luma.tobytes(): n for n, frame in enumerate(read_frames(info))}
    found = [places[frame.luma.tobytes()] for frame in sample_frames(info, 12)]
    assert len({place for place in found if place < 96}) >= 4
    assert len({place for place in found if place >= 96}) >= 4
