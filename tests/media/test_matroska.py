"""What is put into a finished Matroska file's header, checked by a small reader of EBML."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import zlib
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.audio.stream import AudioStream
from av.stream import Stream

from tests.clips import make_clip
from tests.media.films import choice_for, packets_of, write_segments
from vidcolor.media import matroska, tracks
from vidcolor.media.ffmpeg import find_ffmpeg
from vidcolor.media.join import check_output_container, join_segments
from vidcolor.media.matroska import HeaderError, add_sound, amend, ask_aspect
from vidcolor.media.probe import open_source, probe
from vidcolor.settings import Settings

ASPECT = Fraction(16, 11)

EBML, SEGMENT, SEEK_HEAD, SEEK, TRACKS = 0x1A45DFA3, 0x18538067, 0x114D9B74, 0x4DBB, 0x1654AE6B
ENTRY, NAME, CODEC, PRIVATE, AUDIO, VIDEO = 0xAE, 0x536E, 0x86, 0x63A2, 0xE1, 0xE0
SHOWN = (0x54B0, 0x54BA, 0x54B2)
"""DisplayWidth, DisplayHeight, DisplayUnit."""


def elements(data: bytes, start: int = 0) -> list[tuple[int, int, bytes]]:
    """The elements from a place on: where each begins, what it is, its content."""
    found, place = [], start
    while place < len(data):
        begin, words = place, []
        for _ in range(2):
            length = 9 - data[place].bit_length()
            words.append(data[place : place + length])
            place += length
        size = int.from_bytes(words[1]) & (1 << 7 * len(words[1])) - 1
        assert place + size <= len(data), "an element reaches beyond what it lies in"
        found.append((begin, int.from_bytes(words[0]), data[place : place + size]))
        place += size
    return found


def checked(path: Path) -> list[dict[int, bytes]]:
    """Each track's entry, the file's header found whole: lengths, checksums, places."""
    data = path.read_bytes()
    (_, first, _), (_, second, segment) = elements(data)
    assert (first, second) == (EBML, SEGMENT)
    places = {begin: kind for begin, kind, _ in elements(segment)}
    parts = {kind: content for _, kind, content in elements(segment)}
    for _, kind, content in elements(parts[SEEK_HEAD]):
        if kind == SEEK:
            (_, _, wanted), (_, _, place) = elements(content)
            assert places[int.from_bytes(place)] == int.from_bytes(wanted)
    content = parts[TRACKS]
    if path.suffix == ".mkv":
        assert content[:2] == b"\xbf\x84"
        assert struct.unpack("<I", content[2:6])[0] == zlib.crc32(content[6:])
    assert matroska._NOTE not in data
    entries = [inside for _, kind, inside in elements(content) if kind == ENTRY]
    return [{kind: part for _, kind, part in elements(entry)} for entry in entries]


def numbers(content: bytes, kinds: tuple[int, ...]) -> list[int | None]:
    inside = {kind: int.from_bytes(part) for _, kind, part in elements(content)}
    return [inside.get(kind) for kind in kinds]


def ffmpeg(*words: object) -> bytes:
    command = [str(find_ffmpeg()), "-v", "error", "-y", *map(str, words)]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout


def samples_of(path: Path) -> bytes:
    return ffmpeg("-i", path, "-map", "0:a:0", "-f", "f32le", "-")


@pytest.mark.parametrize(
    ("codec", "suffix", "shown"),
    [
        ("libx264", ".mkv", [64, 33, 3]),
        ("ffv1", ".mkv", [64, 33, 3]),
        ("libvpx-vp9", ".mkv", [64, 33, 3]),
        ("libvpx-vp9", ".webm", [93, 48, None]),
        ("libsvtav1", ".mkv", [64, 33, 3]),
        ("libsvtav1", ".webm", [93, 48, None]),
    ],
)
def test_a_stretched_picture_says_so(tmp_path, codec, suffix, shown):
    film = make_clip(tmp_path / "film.mp4", frames=12, sample_aspect=ASPECT, title="Ein Film")
    info = probe(film)
    preset = {"libsvtav1": "10", "libvpx-vp9": "8", "ffv1": None}.get(codec, "veryfast")
    settings = Settings(codec=codec, encoder_preset=preset, threads=2)
    output = tmp_path / f"out{suffix}"
    assert check_output_container(info, output, choice_for(info, settings)) == []
    assert join_segments(write_segments(info, tmp_path, settings=settings), info, output) == []
    (entry,) = checked(output)
    assert numbers(entry[VIDEO], SHOWN) == shown
    assert NAME not in entry
    # WebM counts in whole samples.
    tolerance = Fraction(1, 2 * info.width) if suffix == ".webm" else 0
    assert abs(probe(output).sample_aspect - ASPECT) <= tolerance
    ffmpeg("-i", output, "-f", "null", "-")


def test_the_aspect_is_what_ffmpeg_writes(tmp_path):
    film = make_clip(tmp_path / "film.mp4", frames=12, sample_aspect=ASPECT)
    judge = tmp_path / "judge.mkv"
    ffmpeg("-i", film, "-c", "copy", judge)
    info = probe(film)
    output = tmp_path / "out.mkv"
    join_segments(write_segments(info, tmp_path), info, output)
    wanted = numbers(checked(judge)[0][VIDEO], SHOWN)
    assert numbers(checked(output)[0][VIDEO], SHOWN) == wanted == [64, 33, 3]


def test_square_samples_leave_the_header_alone(tmp_path):
    info = probe(make_clip(tmp_path / "film.mkv", frames=12))
    output = tmp_path / "out.mkv"
    join_segments(write_segments(info, tmp_path), info, output)
    before = output.read_bytes()
    with output.open("r+b") as file:
        amend(file)
    assert output.read_bytes() == before
    assert numbers(checked(output)[0][VIDEO], SHOWN)[:2] == [None, None]


@pytest.mark.parametrize("key", ["title", "TITLE"])
@pytest.mark.parametrize("muxer", ["matroska", "webm"])
@pytest.mark.parametrize("title", [None, "", "Ein Titel, ü", "x" * 3000])
def test_titles_stay_what_they_are(tmp_path, muxer, title, key):
    path = tmp_path / ("film.mkv" if muxer == "matroska" else "film.webm")
    with av.open(str(path), "w", format=muxer) as out:
        for aspect in (ASPECT, Fraction(1), Fraction(3, 4)):
            stream = out.add_mux_stream("vp8", width=64, height=48)
            if title is not None:
                stream.metadata[key] = title
            ask_aspect(stream, aspect, muxer)
        mux_nothing(out, stream)
    with path.open("r+b") as file:
        amend(file)
    for entry in checked(path):
        assert entry.get(NAME, b"").decode() == (title or "")


def test_one_of_two_views_is_given_its_shape(tmp_path):
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_mux_stream("vp8", width=64, height=48)
        stream.metadata["stereo_mode"] = "left_right"
        ask_aspect(stream, ASPECT, "matroska")
        mux_nothing(out, stream)
    with path.open("r+b") as file:
        amend(file)
    (entry,) = checked(path)
    assert numbers(entry[VIDEO], SHOWN) == [46, 48, None]


def mux_nothing(out: av.container.OutputContainer, stream: Stream) -> None:
    packet = av.Packet(bytes(16))
    packet.stream, packet.pts, packet.dts = stream, 0, 0
    out.mux(packet)


def test_a_second_film_keeps_its_aspect(tmp_path):
    first = make_clip(tmp_path / "first.mkv", frames=12)
    second = make_clip(tmp_path / "second.mp4", frames=12)
    film = tmp_path / "film.mkv"
    # FFV1 says nothing of an aspect in its pictures.
    words = ("-map", 0, "-map", "1:v", "-c:v:0", "copy", "-c:v:1", "ffv1", "-aspect:v:1", "16:9")
    ffmpeg("-i", first, "-i", second, *words, "-metadata:s:v:1", "title=Zweiter", film)
    info = probe(film)
    output = tmp_path / "out.mkv"
    assert join_segments(write_segments(info, tmp_path), info, output) == []
    entries = checked(output)
    assert numbers(entries[1][VIDEO], SHOWN) == [16, 9, 3]
    assert entries[1][NAME] == b"Zweiter"
    with av.open(str(output)) as container:
        assert container.streams.video[1].sample_aspect_ratio == Fraction(4, 3)


SOUNDS = [
    ("film.wmv", "wmav2", "-c:v wmv2 -c:a wmav2 -ac 2"),
    ("film.asf", "wmav1", "-c:v wmv2 -c:a wmav1"),
    ("film.avi", "adpcm_ms", "-c:v mpeg4 -c:a adpcm_ms"),
    ("film.avi", "adpcm_ima_wav", "-c:v mpeg4 -c:a adpcm_ima_wav -ac 2"),
    ("film.mov", "pcm_mulaw", "-c:v mpeg4 -c:a pcm_mulaw"),
    ("film.ts", "aac_latm", "-c:v mpeg2video -c:a aac -mpegts_flags latm"),
    ("film.3gp", "amr_nb", "-c:v h263 -s 128x96 -c:a libopencore_amrnb -ar 8000 -ac 1"),
]


def film_with_sound(folder: Path, name: str, words: str, *more: str) -> Path:
    """A film of half a second with its sound, made by ffmpeg's own program."""
    film = folder / name
    picture = "color=gray:s=64x48:d=0.5:r=24,noise=alls=40:allf=t,format=gray"
    inputs = ("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=duration=0.5")
    ffmpeg(*inputs, "-pix_fmt", "yuv420p", *words.split(), *more, film)
    return film


@pytest.mark.parametrize(("name", "codec", "words"), SOUNDS)
def test_sound_that_pyav_refuses_is_kept(tmp_path, name, codec, words):
    film = film_with_sound(tmp_path, name, words, "-metadata:s:a", "language=ger")
    info = probe(film)
    assert [stream.codec for stream in info.streams] == [info.codec, codec]
    output = tmp_path / "out.mkv"
    assert check_output_container(info, output, choice_for(info)) == []
    assert join_segments(write_segments(info, tmp_path), info, output) == []
    judge = tmp_path / "judge.mkv"
    ffmpeg("-i", film, "-map", "0:a", "-c", "copy", judge)
    _, entry = checked(output)
    (wanted,) = checked(judge)
    assert entry[CODEC] == b"A_MS/ACM"
    assert [entry[kind] for kind in (CODEC, PRIVATE, AUDIO)] == [
        wanted[kind] for kind in (CODEC, PRIVATE, AUDIO)
    ]
    assert NAME not in entry
    kept = next(stream for stream in probe(output).streams if stream.kind == "audio")
    assert (kept.codec, kept.title) == (codec, None)
    assert kept.language == next(s for s in info.streams if s.kind == "audio").language
    (before,), (after,) = packets_of(film, "audio"), packets_of(output, "audio")
    assert [payload for payload, _ in after] == [payload for payload, _ in before]
    ffmpeg("-i", output, "-f", "null", "-")
    heard, wanted_sound = samples_of(output), samples_of(film)
    # What an edit list hides at a sound's beginning lies before zero in Matroska.
    hidden = len(heard) - len(wanted_sound)
    assert hidden == (200 if codec == "amr_nb" else 0)
    assert heard[hidden:] == wanted_sound


def test_a_kept_sound_keeps_its_title_and_marks(tmp_path):
    words = "-c:v ffv1 -c:a pcm_mulaw -disposition:a comment"
    film = film_with_sound(tmp_path, "film.nut", words, "-metadata:s:a", "title=Ton, ü")
    info = probe(film)
    output = tmp_path / "out.mkv"
    assert join_segments(write_segments(info, tmp_path), info, output) == []
    assert checked(output)[1][NAME].decode() == "Ton, ü"
    with av.open(str(output)) as container:
        (sound,) = container.streams.audio
        assert (sound.metadata["title"], sound.codec_context.name) == ("Ton, ü", "pcm_mulaw")


@pytest.mark.parametrize("codec", ["libmp3lame", "adpcm_ms"])
def test_a_title_from_before_unicode_costs_no_track(tmp_path, codec):
    film = tmp_path / "film.avi"
    words = f"-c:v mpeg4 -c:a {codec}"
    film_with_sound(tmp_path, film.name, words, "-metadata:s:a", os.fsdecode(b"title=T\xf6n"))
    info = probe(film)
    output = tmp_path / "out.mkv"
    assert join_segments(write_segments(info, tmp_path), info, output) == []
    assert checked(output)[1][NAME] == b"T\xf6n"


def test_only_what_wav_files_know_stands_in(tmp_path):
    words = "-c:v flv -c:a nellymoser -ar 22050 -ac 1"
    info = probe(film_with_sound(tmp_path, "film.flv", words))
    output = tmp_path / "out.mkv"
    (warning,) = check_output_container(info, output, choice_for(info))
    assert "nellymoser" in warning
    assert "does not support" in warning
    assert join_segments(write_segments(info, tmp_path), info, output) == [warning]
    assert len(checked(output)) == 1


def test_an_unknown_header_is_foretold(tmp_path, monkeypatch):
    """What today's FFmpeg does may change; then the losses are said before the work."""
    for module in (matroska, tracks):
        monkeypatch.setattr(module, "amendable", lambda muxer: False)
    film = film_with_sound(tmp_path, "film.wmv", "-c:v wmv2 -aspect 16:9 -c:a wmav2")
    info = probe(film)
    settings = Settings(codec="ffv1", encoder_preset=None, threads=2)
    output = tmp_path / "out.mkv"
    aspect = f"{info.sample_aspect.numerator}:{info.sample_aspect.denominator}"
    sound, shape = check_output_container(info, output, choice_for(info, settings))
    assert "wmav2" in sound
    assert f"the sample aspect {aspect} is left out" in shape
    segments = write_segments(info, tmp_path, settings=settings)
    assert join_segments(segments, info, output) == [sound, shape]
    assert len(checked(output)) == 1


@pytest.mark.parametrize("damage", ["checksum", "cut", "segment", "nothing"])
def test_a_header_that_is_not_understood_stays_as_it_is(tmp_path, damage):
    memory = io.BytesIO()
    with av.open(memory, "w", format="matroska") as out:
        stream = out.add_mux_stream("vp8", width=64, height=48)
        ask_aspect(stream, ASPECT, "matroska")
        mux_nothing(out, stream)
    data = bytearray(memory.getvalue())
    place = data.index(b"V_VP8")
    if damage == "checksum":
        data[place] ^= 1
    elif damage == "cut":
        del data[place:]
    elif damage == "segment":
        data[0] = 0
    else:
        data.clear()
    before = bytes(data)
    broken = io.BytesIO(before)
    with pytest.raises(HeaderError, match="isn't as expected"):
        amend(broken)
    assert broken.getvalue() == before


def test_no_sound_of_realmedia_stands_in(tmp_path, monkeypatch):
    film = film_with_sound(tmp_path, "film.wmv", "-c:v wmv2 -c:a wmav2")
    monkeypatch.setattr(matroska, "_REAL_SOUNDS", frozenset({"wmav2"}))
    with open_source(film) as source, av.open(io.BytesIO(), "w", format="matroska") as out:
        (sound,) = source.streams.audio
        assert isinstance(sound, AudioStream)
        assert add_sound(out, sound, {}) is None
        assert len(out.streams) == 0
