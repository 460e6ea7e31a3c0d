"""The finished film: its pictures in order at their times, and all that was beside them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import pytest
from av.stream import AttachmentStream, Disposition

from tests.clips import make_clip
from tests.media.films import (
    FAST,
    chapters_of,
    choice_for,
    packets_of,
    picture_hashes,
    shared_clip,
    texts_of,
    times_of,
    write_segment,
    write_segments,
)
from vidcolor.errors import JobError, OutputError
from vidcolor.media.join import check_output_container, join_segments
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.settings import Settings

CHAPTERS = [(0, 1, "One"), (1, 2, "Zwei, ü")]
VARIABLE = [100, 140, 180, 300, 310, 433, 700, 740, 1100]


def tolerance(path):
    """Matroska keeps milliseconds; MP4 keeps ticks."""
    return Fraction(1, 2000) if path.suffix == ".mkv" else 0


@pytest.mark.parametrize("target", [".mp4", ".mov", ".m4v", ".mkv"])
@pytest.mark.parametrize("source", [".mp4", ".mov", ".mkv"])
def test_nothing_is_lost(tmp_path, source, target):
    film = make_clip(
        tmp_path / f"film{source}",
        audio=True,
        subtitle=True,
        chapters=CHAPTERS,
        title="Ein Film",
        rotation=90,
        sample_aspect=Fraction(16, 15),
        options={"bf": "2"},
    )
    info = probe(film)
    segments = write_segments(info, tmp_path, length=13)
    output = tmp_path / f"film.color{target}"
    foretold = check_output_container(info, output, choice_for(info))
    assert join_segments(segments, info, output, comment="by hand") == foretold == []
    out = probe(output)
    assert (out.rotation, out.sample_aspect, out.tags) == (
        info.rotation,
        info.sample_aspect,
        info.tags,
    )
    kept = [stream for stream in out.streams if stream.kind != "data"]
    assert [stream.kind for stream in kept] == ["video", "audio", "subtitle"]
    assert [stream.language for stream in kept[1:]] == ["eng", "ger"]
    assert [stream.title for stream in kept[1:]] == ["Sine", "Untertitel"]
    hashes = [hash for segment in segments for hash in picture_hashes(segment.path)]
    assert picture_hashes(output) == hashes
    for before, after in zip(times_of(film), times_of(output), strict=True):
        assert abs(before - after) <= tolerance(output)
    (sound,), (kept_sound,) = packets_of(film, "audio"), packets_of(output, "audio")
    assert [payload for payload, _ in sound] == [payload for payload, _ in kept_sound]
    for (_, wanted), (_, got) in zip(sound, kept_sound, strict=True):
        assert abs(wanted - got) <= tolerance(output)
    assert texts_of(output) == texts_of(film)
    assert chapters_of(output) == chapters_of(film) == CHAPTERS
    with av.open(str(output)) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
    assert (tags["title"], tags["comment"]) == ("Ein Film", "by hand")


def test_dispositions_survive(tmp_path):
    film = make_clip(tmp_path / "plain.mkv", audio=True)
    marked = tmp_path / "film.mkv"
    with av.open(str(film)) as source, av.open(str(marked), "w") as out:
        copies = [out.add_stream_from_template(stream, opaque=True) for stream in source.streams]
        copies[1].disposition = Disposition.comment | Disposition.forced
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                out.mux(packet)
    info = probe(marked)
    output = tmp_path / "out.mkv"
    join_segments(write_segments(info, tmp_path), info, output)
    with av.open(str(marked)) as source, av.open(str(output)) as out:
        wanted = [stream.disposition for stream in source.streams]
        assert [stream.disposition for stream in out.streams] == wanted
        assert wanted[1]


@pytest.mark.parametrize("target", [".mp4", ".mkv"])
def test_variable_times_and_a_late_start(tmp_path, target):
    film = make_clip(tmp_path / "film.mkv", pts=VARIABLE, audio=True)
    info = probe(film)
    output = tmp_path / f"out{target}"
    join_segments(write_segments(info, tmp_path, length=4), info, output)
    assert times_of(output) == [Fraction(pts, 1000) for pts in VARIABLE]
    frames = list(read_frames(probe(output)))
    last = Fraction(frames[-1].duration) * probe(output).time_base
    wanted = list(read_frames(info))[-1].duration * info.time_base
    assert abs(last - wanted) <= Fraction(1, 1000)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1"])
@pytest.mark.parametrize("target", [".mp4", ".mkv"])
def test_every_encoder_joins(tmp_path, codec, target):
    info = probe(make_clip(tmp_path / "film.mp4", width=128, height=64, frames=30))
    preset = {"libsvtav1": "10", "libvpx-vp9": "8", "ffv1": None}.get(codec, "veryfast")
    settings = Settings(codec=codec, encoder_preset=preset, threads=2)
    segments = write_segments(info, tmp_path, length=10, settings=settings)
    output = tmp_path / f"out{target}"
    assert check_output_container(info, output, choice_for(info, settings)) == []
    join_segments(segments, info, output)
    hashes = [hash for segment in segments for hash in picture_hashes(segment.path)]
    assert picture_hashes(output) == hashes
    for before, after in zip(times_of(info.path), times_of(output), strict=True):
        assert abs(before - after) <= tolerance(output)


@pytest.mark.parametrize("target", [".mp4", ".mkv"])
def test_a_cut_begins_at_zero(tmp_path, target):
    film = make_clip(tmp_path / "film.mkv", frames=96, audio=True, subtitle=True, chapters=CHAPTERS)
    info = probe(film)
    start, end = 500, 2500
    segments = write_segments(info, tmp_path, start=start, end=end)
    output = tmp_path / f"out{target}"
    join_segments(segments, info, output, start=start, end=end)
    first, stop = segments[0].pts[0], segments[-1].pts[-1] + segments[-1].durations[-1]
    wanted = [Fraction(pts - first, 1000) for segment in segments for pts in segment.pts]
    assert times_of(output) == wanted
    (whole,), (kept,) = packets_of(film, "audio"), packets_of(output, "audio")
    inside = [payload for payload, time in whole if first <= time * 1000 < stop]
    assert [payload for payload, _ in kept] == inside
    assert 0 <= kept[0][1] < Fraction(1024, 48000)
    assert texts_of(output)[0][0] == 0
    assert [chapter[:2] for chapter in chapters_of(output)] == [(0, 0.5), (0.5, 1.5)]


def test_attachments_and_covers(tmp_path):
    for name in ("odd/attachment.mkv", "odd/cover_art_mjpeg.mkv"):
        film = shared_clip(name)
        info = probe(film)
        segments = write_segments(info, tmp_path, length=100)
        output = tmp_path / "out.mkv"
        assert join_segments(segments, info, output) == []
        with av.open(str(film)) as was, av.open(str(output)) as now:
            assert [s.type for s in was.streams] == [s.type for s in now.streams]
            old, new = was.streams[2], now.streams[2]
            assert old.metadata["filename"] == new.metadata["filename"]
            if isinstance(old, AttachmentStream):
                assert isinstance(new, AttachmentStream)
                assert old.data == new.data
        assert [s.cover for s in info.streams] == [s.cover for s in probe(output).streams]
        warnings = join_segments(segments, info, tmp_path / "out.mp4")
        assert len(warnings) == ("attachment" in name)
        assert all("MP4 holds no attachments" in warning for warning in warnings)


@pytest.mark.parametrize("name", ["odd/mov_text_subs.mp4", "odd/webvtt_subs.mkv"])
@pytest.mark.parametrize("target", [".mp4", ".mkv"])
def test_subtitles_change_their_kind_and_keep_their_times(tmp_path, name, target):
    film = shared_clip(name)
    info = probe(film)
    output = tmp_path / f"out{target}"
    assert join_segments(write_segments(info, tmp_path, length=100), info, output) == []
    assert texts_of(output) == texts_of(film)


def test_subtitles_without_an_ffmpeg_are_left_out_aloud(tmp_path, monkeypatch):
    info = probe(make_clip(tmp_path / "film.mkv", subtitle=True))
    segments = write_segments(info, tmp_path)
    monkeypatch.setenv("VIDCOLOR_FFMPEG", "no-such-program")
    output = tmp_path / "out.mp4"
    foretold = check_output_container(info, output, choice_for(info))
    warnings = join_segments(segments, info, output)
    assert any("VIDCOLOR_FFMPEG" in warning for warning in foretold)
    assert any("VIDCOLOR_FFMPEG" in warning for warning in warnings)
    assert len(times_of(output)) == 48


def test_what_a_container_refuses_is_said_beforehand(tmp_path):
    info = probe(make_clip(tmp_path / "film.mkv", audio=True, width=128, height=64))
    settings = Settings(codec="libvpx-vp9", encoder_preset="8", threads=1)
    output = tmp_path / "out.webm"
    foretold = check_output_container(info, output, choice_for(info, settings))
    assert len(foretold) == 1
    assert "audio track 1 (aac, eng) is left out" in foretold[0]
    segments = write_segments(info, tmp_path, settings=settings)
    assert join_segments(segments, info, output) == foretold
    for name in ("out.webm", "out.avi", "out.wav"):
        with pytest.raises(OutputError, match="can't hold libx264"):
            check_output_container(info, tmp_path / name, choice_for(info))
    for name in ("out", "out.xyz", "out.png"):
        with pytest.raises(OutputError, match="no known video format"):
            check_output_container(info, tmp_path / name, choice_for(info))


def test_segments_with_other_headers_are_refused(tmp_path):
    info = probe(make_clip(tmp_path / "film.mkv", frames=20))
    frames = list(read_frames(info))
    first = write_segment(tmp_path / "0.mkv", info, frames[:10])
    other = write_segment(
        tmp_path / "1.mkv", info, frames[10:], Settings(encoder_preset="ultrafast", threads=2)
    )
    with pytest.raises(JobError, match=r"other headers.*--restart"):
        join_segments([first, other], info, tmp_path / "out.mkv")


def test_records_are_held_against_the_files(tmp_path):
    info = probe(make_clip(tmp_path / "film.mkv", frames=20))
    first, second = write_segments(info, tmp_path, length=10)
    short = replace(second, pts=second.pts[:-1], durations=second.durations[:-1])
    with pytest.raises(JobError, match="holds 10 frames and its record says 9"):
        join_segments([first, short], info, tmp_path / "out.mkv")
    with pytest.raises(JobError, match="doesn't begin after"):
        join_segments([second, first], info, tmp_path / "out.mkv")
    with pytest.raises(JobError, match="no finished segments"):
        join_segments([], info, tmp_path / "out.mkv")
    second.path.unlink()
    with pytest.raises(JobError, match="can't be read"):
        join_segments([first, second], info, tmp_path / "out.mkv")


def test_a_full_disk_is_told(tmp_path):
    output = tmp_path / "out.mkv"
    try:
        output.symlink_to("/dev/full")
        output.write_bytes(b"x")
        pytest.skip("this system has no /dev/full to stand for a full disk")
    except OSError:
        pass
    info = probe(make_clip(tmp_path / "film.mkv", audio=True))
    with pytest.raises(OutputError, match="the disk is full"):
        join_segments(write_segments(info, tmp_path), info, output)


def test_a_join_gives_the_same_bytes_again(tmp_path):
    info = probe(make_clip(tmp_path / "film.mkv", audio=True, subtitle=True))
    segments = write_segments(info, tmp_path, settings=FAST)
    for suffix in (".mkv", ".mp4"):
        contents = []
        for number in range(2):
            output = tmp_path / f"out{number}{suffix}"
            join_segments(segments, info, output)
            contents.append(output.read_bytes())
        assert contents[0] == contents[1]


def test_the_sources_own_comment_stays_whatever_its_letters(tmp_path):
    """Matroska gives COMMENT; a second `comment` beside it would take its place."""
    source = make_clip(tmp_path / "film.mkv", frames=12, codec="ffv1")
    tagged = tmp_path / "tagged.mkv"
    with av.open(str(source)) as old, av.open(str(tagged), "w") as new:
        new.metadata["comment"] = "Found in an attic"
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    info = probe(tagged)
    segments = write_segments(info, tmp_path)
    join_segments(segments, info, tmp_path / "out.mkv", comment="Colours by hand")
    with av.open(str(tmp_path / "out.mkv")) as out:
        comments = [value for key, value in out.metadata.items() if key.lower() == "comment"]
    assert comments == ["Found in an attic"]
