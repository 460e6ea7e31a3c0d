"""Sources that few films are like: odd names, odd tracks, and pictures that change on the way."""

from __future__ import annotations

import logging
import struct
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.clips import luma, make_clip
from tests.media.films import choice_for, packets_of, texts_of, times_of, write_segments
from vidcolor.errors import SourceError
from vidcolor.media import changes
from vidcolor.media.ffmpeg import find_ffmpeg, plain_name
from vidcolor.media.hdr import hdr_of, side_data
from vidcolor.media.join import check_output_container, join_segments
from vidcolor.media.late import first_packets
from vidcolor.media.probe import open_source, probe
from vidcolor.media.read import read_frames

NAMES = ("concat:1.mkv", "pipe:0.mkv", "film:1.mkv", "http:film.mkv", "-film.mkv", "100%d.mkv")


@pytest.fixture(autouse=True)
def untold(monkeypatch):
    """Each test hears what is told once."""
    monkeypatch.setattr(changes, "_told", set())


# Names


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_never_a_protocol_or_a_pattern(tmp_path, monkeypatch, name):
    make_clip(tmp_path / "film.mkv", frames=6).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    info = probe(Path(name))
    segments = write_segments(info, Path(), length=6)
    output = Path(name).with_suffix(".color.mp4")
    join_segments(segments, info, output)
    assert len(times_of(tmp_path / output)) == 6


def test_a_name_is_never_an_option(tmp_path, monkeypatch):
    make_clip(tmp_path / "film.mkv", frames=12, subtitle=True).rename(tmp_path / "-film.mkv")
    monkeypatch.chdir(tmp_path)
    info = probe(Path("-film.mkv"))
    segments = write_segments(info, Path(), length=12)
    assert join_segments(segments, info, Path("-film.color.mp4")) == []
    assert [text for _, text in texts_of(tmp_path / "-film.color.mp4")] == [
        "Guten Tag.",
        "Auf Wiedersehen.",
    ]


def test_plain_names_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert plain_name(Path("tee:x.mkv")) == f"{tmp_path}/tee:x.mkv"


# Kinds of files


def test_side_data_without_a_name_is_passed_over(tmp_path):
    """PyAV raises for kinds it doesn't know; TIFF pictures come with EXIF, which is one."""
    path = make_clip(tmp_path / "f.mov", frames=3, pixel_format="gray", codec="tiff")
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert [data.type.name for data in side_data(frame)] == ["NAMELESS_31"]
        assert hdr_of(frame) is None
    assert len(list(read_frames(probe(path)))) == 3


def test_bare_jpegs_behind_each_other_are_a_film(tmp_path):
    path = make_clip(tmp_path / "f.mjpeg", frames=5, pixel_format="yuvj420p", codec="mjpeg")
    assert len(list(read_frames(probe(path)))) == 5
    one = path.rename(tmp_path / "f.jpg")
    with pytest.raises(SourceError, match="single picture"):
        probe(one)


def test_webp_is_sent_on_with_a_way_out(tmp_path):
    header = b"VP8X" + struct.pack("<I", 10) + bytes((2, 0, 0, 0, 7, 0, 0, 7, 0, 0))
    body = header + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    path = tmp_path / "moving.webp"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body)
    with pytest.raises(SourceError, match="if it moves"):
        probe(path)


def test_a_rate_of_thousands_is_believed_by_the_times(tmp_path):
    times = [n * 5 for n in range(20)]
    path = make_clip(
        tmp_path / "f.nut", rate=Fraction(2000), pts=times, time_base=Fraction(1, 10000)
    )
    info = probe(path)
    assert info.rate == 2000
    said = check_output_container(info, tmp_path / "f.color.mkv", choice_for(info))
    assert any("whole milliseconds" in sentence for sentence in said)
    assert not any(
        "whole milliseconds" in sentence
        for sentence in check_output_container(info, tmp_path / "f.color.mp4", choice_for(info))
    )


def test_fields_that_are_frames_of_their_own_stay_as_they_are(tmp_path):
    """HEVC codes a field as a picture; FFmpeg flags each as interlaced, with nothing to weave."""
    options = {"x265-params": "log-level=none:interlace=tff"}
    path = make_clip(tmp_path / "f.mkv", frames=12, codec="libx265", options=options)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    assert not probe(path).flagged_interlaced


# Tracks


def test_the_picture_lasts_from_its_own_beginning(tmp_path):
    """Headers count from zero, or from the sound."""
    path = make_clip(tmp_path / "f.mkv", pts=[5000 + 40 * n for n in range(10)])
    assert probe(path).duration_seconds == pytest.approx(0.4, abs=0.05)


def test_text_tracks_without_a_line_are_told_of(tmp_path):
    path = tmp_path / "f.mp4"
    with_text = make_clip(tmp_path / "text.mp4", frames=12, subtitle=True)
    with av.open(str(with_text)) as source, av.open(str(path), "w") as out:
        picture = out.add_stream_from_template(source.streams.video[0], opaque=True)
        out.add_stream_from_template(source.streams.subtitles[0], opaque=True)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = picture
                out.mux(packet)
    info = probe(path)
    assert [each.kind for each in info.streams] == ["video", "subtitle"]
    segments = write_segments(info, tmp_path, length=12)
    said = join_segments(segments, info, tmp_path / "f.color.mkv")
    assert len(said) == 1
    assert "hold no line" in said[0]


def test_a_date_that_nobody_filled_in_isnt_missed(tmp_path):
    path = tmp_path / "f.mp4"
    undated = make_clip(tmp_path / "undated.mkv", frames=2)
    with av.open(str(undated)) as source, av.open(str(path), "w") as out:
        picture = out.add_stream_from_template(source.streams.video[0])
        out.metadata["creation_time"] = "1970-01-01T00:00:01.000000Z"
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = picture
                out.mux(packet)
    # The second counts from 1904 and is one after 1970: with it taken away, no date is left.
    dated = struct.pack(">I", 2_082_844_801)
    assert dated in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(dated, struct.pack(">I", 2_082_844_800)))
    info = probe(path)
    with open_source(path) as source:
        assert source.metadata["creation_time"].startswith("1970-01-01T00:00:00")
    assert check_output_container(info, tmp_path / "f.color.mp4", choice_for(info)) == []


def test_a_sound_that_begins_later_is_kept(tmp_path):
    """FFmpeg knows its codec when it opens the file, and neither its rate nor its channels."""
    path = two_broadcasts(tmp_path, sounds=(1, 2))
    with open_source(path) as source:
        late = source.streams.audio[1]
        assert late.sample_rate == 0
        assert late.index in first_packets(source, list(source.streams))
    info = probe(path)
    segments = write_segments(info, tmp_path, length=100)
    output = tmp_path / "f.color.mkv"
    assert join_segments(segments, info, output) == []
    old, new = packets_of(path, "audio"), packets_of(output, "audio")
    assert len(new) == 2
    assert [digest for digest, _ in new[1]] == [digest for digest, _ in old[1]]


def test_a_sound_that_goes_on_as_another_codec_ends_there(tmp_path):
    """The track would hold noise; that part is counted and told of."""
    path = two_broadcasts(tmp_path, sounds=(1, 1), codecs=("mp2", "ac3"))
    info = probe(path)
    output = tmp_path / "f.color.mkv"
    said = join_segments(write_segments(info, tmp_path, length=100), info, output)
    old, new = packets_of(path, "audio")[0], packets_of(output, "audio")[0]
    assert 0 < len(new) < len(old)
    assert [digest for digest, _ in new] == [digest for digest, _ in old[: len(new)]]
    assert [sentence for sentence in said if f"{len(old) - len(new)} packets" in sentence] == said
    with av.open(str(output)) as container:
        assert sum(1 for _ in container.decode(audio=0)) == len(new)


def test_sound_that_an_edit_list_hides_stays_away(tmp_path):
    """What is left out between two parts is in the file, at times before the second one's."""
    path = make_clip(tmp_path / "f.mp4", frames=48, audio=True)
    with av.open(str(path)) as container:
        ticks = [round(1 / (stream.time_base or 1)) for stream in container.streams]
    path.write_bytes(with_two_parts(path.read_bytes(), iter(ticks)))
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        heard = [packet.pts for packet in packets if not packet.is_discard]
        assert 20 < len(heard) < len(packets) - 20
    info = probe(path)
    output = tmp_path / "f.color.mp4"
    assert join_segments(write_segments(info, tmp_path, length=48), info, output) == []
    with av.open(str(output)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    assert [packet.pts for packet in packets if not packet.is_discard] == heard
    assert len(packets) - len(heard) <= 1


# Changes on the way


def test_another_size_becomes_the_first(tmp_path, caplog):
    path = one_after_the_other(
        tmp_path / "f.h264",
        make_clip(tmp_path / "a.h264", frames=8),
        make_clip(tmp_path / "b.h264", frames=6, width=96, height=80),
    )
    info = probe(path)
    with caplog.at_level(logging.WARNING):
        frames = list(read_frames(info))
        list(read_frames(info))
    assert [frame.luma.shape for frame in frames] == [(48, 64)] * 14
    # The scaled ones show the other film, not noise.
    wanted = luma(2, 96, 80)[::2, ::2][:24, :32].astype(float)
    assert abs(frames[10].luma.mean() - wanted.mean()) < 12
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert "64x48 and of 96x80; all become 64x48" in told[0]


def test_a_broadcast_has_the_size_of_its_middle(tmp_path):
    """A recording begins with the end of what was on before."""
    path = two_broadcasts(tmp_path, sizes=((64, 48), (96, 80)), frames=(6, 40))
    info = probe(path)
    assert (info.width, info.height) == (96, 80)
    assert [frame.luma.shape for frame in read_frames(info)] == [(80, 96)] * 46


def test_another_range_is_converted(tmp_path, caplog):
    path = one_after_the_other(
        tmp_path / "f.h264",
        make_clip(tmp_path / "a.h264", frames=8, options={"colorspace": "smpte170m"}),
        make_clip(tmp_path / "b.h264", frames=8, full_range=True, pixel_format="yuvj420p"),
    )
    info = probe(path)
    assert not info.tags.full_range
    with caplog.at_level(logging.WARNING):
        frames = list(read_frames(info))
    with av.open(str(path)) as container:
        decoded = [
            frame.to_ndarray()[:48, :64].astype(float) for frame in container.decode(video=0)
        ]
    assert np.array_equal(frames[3].luma, decoded[3])
    wanted = 16 + decoded[12] * 219 / 255
    assert np.abs(frames[12].luma - wanted).max() <= 1
    assert "limited and of full range" in caplog.text


def test_more_bits_are_rounded(tmp_path, caplog):
    path = one_after_the_other(
        tmp_path / "f.h264",
        make_clip(tmp_path / "a.h264", frames=8),
        make_clip(tmp_path / "b.h264", frames=8, pixel_format="yuv420p10le"),
    )
    with caplog.at_level(logging.WARNING):
        frames = list(read_frames(probe(path)))
    assert {str(frame.luma.dtype) for frame in frames} == {"uint8"}
    assert abs(frames[4].luma.mean() - frames[12].luma.mean()) < 1
    assert "of 8 and of 10 bits" in caplog.text


def test_another_aspect_is_told_of(tmp_path, caplog):
    path = one_after_the_other(
        tmp_path / "f.h264",
        make_clip(tmp_path / "a.h264", frames=8, sample_aspect=Fraction(16, 15)),
        make_clip(tmp_path / "b.h264", frames=8, sample_aspect=Fraction(64, 45)),
    )
    info = probe(path)
    with caplog.at_level(logging.WARNING):
        assert len(list(read_frames(info))) == 16
    assert info.sample_aspect == Fraction(16, 15)
    assert "from 16:15 to 64:45" in caplog.text


def test_nothing_is_told_of_a_film_that_stays_the_same(tmp_path, caplog):
    path = make_clip(tmp_path / "f.mkv", sample_aspect=Fraction(4, 3), full_range=True)
    with caplog.at_level(logging.WARNING):
        assert len(list(read_frames(probe(path)))) == 48
    assert caplog.text == ""


def one_after_the_other(path: Path, *parts: Path) -> Path:
    """Bare streams as one."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def two_broadcasts(
    folder: Path,
    *,
    sizes: tuple[tuple[int, int], tuple[int, int]] = ((64, 48), (64, 48)),
    sounds: tuple[int, int] = (0, 0),
    codecs: tuple[str, str] = ("mp2", "mp2"),
    frames: tuple[int, int] = (24, 24),
) -> Path:
    """A transport stream that goes on as another; the clock runs through."""
    parts, begin = [], 0.0
    for number in range(2):
        film = make_clip(
            folder / f"{number}.mkv",
            frames=frames[number],
            width=sizes[number][0],
            height=sizes[number][1],
            rate=Fraction(25),
            options={"bf": "0"},
        )
        sound = sounds[number] * [codecs[number]]
        parts.append(broadcast(film, folder / f"{number}.ts", sound, begin))
        begin += frames[number] / 25
    return one_after_the_other(folder / "both.ts", *parts)


def broadcast(film: Path, path: Path, sounds: list[str], begin: float) -> Path:
    sine = ["-f", "lavfi", "-i", "sine=duration=1:sample_rate=48000"]
    maps = ["-map", "0:v", *(["-map", "1:a"] * len(sounds))]
    command = [str(find_ffmpeg()), "-v", "error", "-i", str(film), *sine, *maps, "-c:v", "copy"]
    command += [word for n, codec in enumerate(sounds) for word in (f"-c:a:{n}", codec)]
    command += ["-muxdelay", "0", "-output_ts_offset", str(1 + begin), str(path)]
    subprocess.run(command, check=True)
    return path


def with_two_parts(data: bytes, ticks: Iterator[int]) -> bytes:
    """An MP4 whose tracks show their first half second and, without a gap, that after a second;
    `ticks` are those of a second of each."""
    out, place = b"", 0
    while place < len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        box = data[place : place + size]
        if kind in (b"moov", b"trak", b"edts"):
            inner = with_two_parts(box[8:], ticks)
            box = struct.pack(">I4s", len(inner) + 8, kind) + inner
        elif kind == b"elst":
            (begin,) = struct.unpack_from(">i", box, 20)
            begins = begin, begin + next(ticks)
            rows = b"".join(struct.pack(">IiI", 500, each, 1 << 16) for each in begins)
            box = struct.pack(">I4sII", len(rows) + 16, kind, 0, 2) + rows
        out += box
        place += size
    return out
