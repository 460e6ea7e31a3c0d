"""Sound that no container takes as it is keeps its samples, its times and its gaps."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from tests.clips import make_clip, picture
from tests.media.films import choice_for, write_segments
from vidcolor.media.join import check_output_container, join_segments
from vidcolor.media.probe import probe
from vidcolor.media.sound import plain_codec

RATE = 48000


def waves(channels, seconds=1.0):
    """(channels, samples) of int32 with something in each of the upper 24 bits."""
    times = np.arange(round(seconds * RATE)) / RATE
    loud = [np.sin(2 * np.pi * 200 * (n + 1) * times) * 0.37 for n in range(channels)]
    return np.rint(np.array(loud) * (2**23 - 1)).astype(np.int32) << 8


def make_film(path, codec, sample_format="s16", layout="stereo", gap=None):
    """A gray film of a second with sound of `codec`; no packet of it begins in `gap` (seconds)."""
    samples = waves(av.AudioLayout(layout).nb_channels)
    if sample_format == "s16":
        samples = (samples >> 16).astype(np.int16)
    with av.open(path, "w") as out:
        video = out.add_stream("mpeg2video", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = out.add_stream(codec, rate=RATE)
        sound.layout, sound.format = layout, sample_format
        sound.metadata["language"] = "ger"
        packets = []
        for index in range(25):
            frame = picture(index, 64, 48, "yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            packets += video.encode(frame)
        packets += video.encode(None)
        for start in range(0, RATE, 960):
            chunk = np.ascontiguousarray(samples[:, start : start + 960].T.reshape(1, -1))
            heard = av.AudioFrame.from_ndarray(chunk, sample_format, layout)
            heard.sample_rate, heard.pts, heard.time_base = RATE, start, Fraction(1, RATE)
            if gap is None or not gap[0] <= start / RATE < gap[1]:
                packets += sound.encode(heard)
        for packet in sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base):
            out.mux(packet)
    return path


def samples_of(path):
    """(samples, channels) of int32 of the first sound, and its packets' times in seconds."""
    with av.open(str(path)) as container:
        stream, even, parts = container.streams.audio[0], av.AudioResampler(format="s32"), []
        times = []
        for packet in container.demux(stream):
            if packet.pts is not None:
                times.append(packet.pts * packet.time_base)
            for frame in packet.decode():
                parts += [each.to_ndarray() for each in even.resample(frame)]
        return np.concatenate(parts, axis=1).reshape(-1, stream.channels), times


def joined(film, output):
    info = probe(film)
    foretold = check_output_container(info, output, choice_for(info))
    return foretold, join_segments(write_segments(info, output.parent), info, output)


@pytest.mark.parametrize(
    ("name", "codec", "sample_format", "layout", "becomes", "target"),
    [
        *(
            ("film.m2ts", "pcm_bluray", *shape, target)
            for shape in (("s16", "stereo", "pcm_s16le"), ("s32", "5.1(side)", "pcm_s24le"))
            for target in (".mkv", ".mp4", ".mov")
        ),
        # The times that FFmpeg's muxer gives them leave a gap, which MP4 would have to fill.
        ("film.vob", "pcm_dvd", "s16", "stereo", "pcm_s16le", ".mkv"),
        ("film.vob", "pcm_dvd", "s32", "stereo", "pcm_s24le", ".mkv"),
    ],
)
def test_the_samples_of_discs_are_kept(
    tmp_path, name, codec, sample_format, layout, becomes, target
):
    film = make_film(tmp_path / name, codec, sample_format, layout)
    output = tmp_path / f"out{target}"
    foretold, said = joined(film, output)
    assert foretold == said == []
    before, times = samples_of(film)
    after, kept_times = samples_of(output)
    assert np.array_equal(before, after)
    with av.open(str(output)) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.codec.canonical_name == becomes
        assert stream.layout.nb_channels == before.shape[1]
        if name == "film.m2ts":
            assert stream.metadata["language"] == "ger"
        if target == ".mov":
            assert {"FL", "FR"} <= {channel.name for channel in stream.layout.channels}
    if target == ".mkv":
        moved = [b - a for a, b in zip(times, kept_times, strict=True)]
        assert max(moved) - min(moved) <= Fraction(1, 1000)


def test_sound_is_cut_with_its_film(tmp_path):
    film = make_film(tmp_path / "film.m2ts", "pcm_bluray")
    info = probe(film)
    start = info.start_pts + round(Fraction(2, 5) / info.time_base)
    segments = write_segments(info, tmp_path, start=start)
    output = tmp_path / "out.mkv"
    assert join_segments(segments, info, output, start=start) == []
    whole, kept = samples_of(film)[0], samples_of(output)[0]
    assert np.array_equal(whole[-len(kept) :], kept)
    assert abs(len(kept) / RATE - 0.6) <= 960 / RATE


def test_what_loses_nothing_by_decoding_goes_where_it_is_refused(tmp_path):
    film = make_film(tmp_path / "film.mkv", "flac", "s16")
    foretold, said = joined(film, tmp_path / "out.mov")
    assert foretold == said == []
    assert np.array_equal(samples_of(film)[0], samples_of(tmp_path / "out.mov")[0])
    with av.open(str(film)) as container:
        sound = container.streams.audio[0]
        assert plain_codec(sound, "mov") == "pcm_s16le"
        assert plain_codec(sound, "webm") is None
        assert plain_codec(container.streams.video[0], "mov") is None
    lossy = make_clip(tmp_path / "lossy.mkv", audio=True)
    with av.open(str(lossy)) as container:
        assert plain_codec(container.streams.audio[0], "mov") is None


@pytest.mark.parametrize("target", [".mp4", ".mov", ".mkv"])
def test_a_gap_stays_as_long_as_it_was(tmp_path, target):
    """MP4 keeps no times inside PCM: without silence all that follows would come too early."""
    film = make_film(tmp_path / "film.mkv", "pcm_s16le", gap=(0.3, 0.7))
    output = tmp_path / f"out{target}"
    foretold, said = joined(film, output)
    assert foretold == []
    before, after = samples_of(film)[0], samples_of(output)[0]
    if target == ".mkv":
        assert said == []
        assert np.array_equal(before, after)
        return
    assert len(said) == 1
    assert "audio track 1 (pcm_s16le) has gaps" in said[0]
    assert "0.4 s of silence" in said[0]
    silence = len(after) - len(before)
    assert abs(silence / RATE - 0.4) < 0.002
    begin = 15 * 960
    assert not after[begin : begin + silence].any()
    assert np.array_equal(np.delete(after, np.s_[begin : begin + silence], axis=0), before)


def test_damaged_packets_are_counted(tmp_path):
    film = make_film(tmp_path / "film.mkv", "flac", "s16")
    broken = tmp_path / "broken.mkv"
    with av.open(str(film)) as source, av.open(str(broken), "w") as out:
        copies = [out.add_stream_from_template(stream, opaque=True) for stream in source.streams]
        count = 0
        for packet in source.demux():
            if not packet.size:
                continue
            stream = packet.stream_index
            if stream == 1:
                count += 1
                if count == 5:
                    spoilt = av.Packet(b"\0" * packet.size)
                    spoilt.pts, spoilt.dts = packet.pts, packet.dts
                    spoilt.duration, spoilt.time_base = packet.duration, packet.time_base
                    packet = spoilt
            packet.stream = copies[stream]
            out.mux(packet)
    foretold, said = joined(broken, tmp_path / "out.mov")
    assert foretold == []
    assert any("audio track 1 (flac): a packet is damaged" in line for line in said)


def test_channels_that_matroska_cant_name_are_told(tmp_path):
    film = make_film(tmp_path / "film.m2ts", "pcm_bluray", layout="3.0")
    foretold, said = joined(film, tmp_path / "out.mkv")
    assert foretold == said
    assert len(said) == 1
    assert "players will take 3.0 for 2.1" in said[0]
    assert joined(film, tmp_path / "out.mov") == ([], [])
    with av.open(str(tmp_path / "out.mov")) as container:
        assert container.streams.audio[0].layout.name == "3.0"
