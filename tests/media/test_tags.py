"""Titles, languages, marks and timecodes: kept, or said to be lost, in every container."""

from __future__ import annotations

import subprocess
from fractions import Fraction

import av
import pytest
from av.stream import Disposition

from tests.clips import make_clip
from tests.media.films import choice_for, write_segments
from vidcolor.media.ffmpeg import find_ffmpeg
from vidcolor.media.join import check_output_container, join_segments
from vidcolor.media.mp4 import names_any_tag
from vidcolor.media.probe import probe
from vidcolor.media.timecode import advanced
from vidcolor.settings import Settings

VP9 = Settings(codec="libvpx-vp9", encoder_preset="8", threads=1)
NTSC = Fraction(30000, 1001)

MARKS = (
    Disposition.dub,
    Disposition.original,
    Disposition.comment,
    Disposition.forced,
    Disposition.hearing_impaired,
    Disposition.visual_impaired,
)


def remade(film, target, *, film_tags=(), track_tags=(), marks=(), twice=(), **options):
    """A copy of a film with other tags: of the film, of tracks by their index, and marks. The
    tracks in `twice` come once more at the end for each mark they have."""
    with av.open(str(film)) as source, av.open(str(target), "w", **options) as out:
        copies = {}
        for stream in source.streams:
            if stream.type == "data":
                continue
            count = len(marks) if stream.index in twice else 1
            copies[stream.index] = [
                out.add_stream_from_template(stream, opaque=True) for _ in range(count)
            ]
            for number, copy in enumerate(copies[stream.index]):
                copy.metadata.update(stream.metadata)
                copy.metadata.update(dict(track_tags).get(stream.index, {}))
                if stream.index in twice:
                    copy.disposition = marks[number]
            if stream.type == "video":
                copies[stream.index][0].codec_context.framerate = stream.average_rate
        out.metadata.update(dict(film_tags))
        for packet in source.demux(*(source.streams[index] for index in copies)):
            data = bytes(packet)
            for copy in copies[packet.stream_index] if data else ():
                again = av.Packet(data)
                again.pts, again.dts, again.duration = packet.pts, packet.dts, packet.duration
                again.time_base, again.is_keyframe = packet.time_base, packet.is_keyframe
                again.stream = copy
                out.mux(again)
    return target


def joined(film, output, settings=None, **cut):
    """What is foretold, which is what is said."""
    info = probe(film)
    given = (settings,) if settings else ()
    foretold = check_output_container(info, output, choice_for(info, *given))
    chosen = {"settings": settings} if settings else {}
    segments = write_segments(info, output.parent, length=100, **chosen, **cut)
    assert join_segments(segments, info, output, **cut) == foretold
    return foretold


def tags_of(path):
    """The film's own tags by lower-case name, and each track's, as ffmpeg's own program reads."""
    command = [str(find_ffmpeg()), "-v", "error", "-i", str(path), "-map", "0", "-c", "copy"]
    said = subprocess.run(
        [*command, "-f", "ffmetadata", "-"], capture_output=True, text=True, check=True
    ).stdout
    parts = said.split("[STREAM]\n")
    return [
        {key.lower(): value for key, _, value in (line.partition("=") for line in part.split("\n"))}
        for part in parts
    ]


@pytest.mark.parametrize("target", [".mp4", ".mov", ".mkv", ".webm"])
def test_every_mark_is_kept_or_said_to_be_lost(tmp_path, target):
    suffix = ".webm" if target == ".webm" else ".mkv"
    plain = make_clip(
        tmp_path / f"plain{suffix}", audio=True, codec="libvpx-vp9" if suffix == ".webm" else None
    )
    film = remade(plain, tmp_path / "film.mkv", marks=MARKS, twice=[1])
    output = tmp_path / f"out{target}"
    said = joined(film, output, VP9 if target == ".webm" else None)
    with av.open(str(output)) as container:
        kept = [stream.disposition for stream in container.streams.audio]
    assert len(kept) == len(MARKS)
    lost = {
        (index, str(mark.name).replace("_", " "))
        for index, (mark, after) in enumerate(zip(MARKS, kept, strict=True), start=1)
        if not mark & after
    }
    told = {
        (index, name)
        for index in range(1, 1 + len(MARKS))
        for sentence in said
        if f"audio track {index} (" in sentence
        for name in sentence.partition("left out: disposition ")[2].rstrip(".").split(", ")
    }
    assert told == lost
    assert len(lost) == {".mp4": 1, ".mov": 6, ".mkv": 0, ".webm": 5}[target]


@pytest.mark.parametrize("target", [".mp4", ".mov", ".mkv"])
def test_every_tag_of_a_track_is_kept_or_said_to_be_lost(tmp_path, target):
    plain = make_clip(tmp_path / "plain.mkv", audio=True)
    tags = {0: {"title": "Bild"}, 1: {"title": "Ton", "artist": "Jemand", "language": "fre"}}
    film = remade(plain, tmp_path / "film.mkv", track_tags=tags)
    output = tmp_path / f"out{target}"
    said = joined(film, output)
    _, picture, sound = tags_of(output)[:3]
    assert "Bild" in picture.values()
    assert "Ton" in sound.values()
    # QuickTime has a number for each language, and FFmpeg a name of its own for each number.
    assert sound["language"] == ("fra" if target == ".mov" else "fre")
    if target == ".mkv":
        assert said == []
        assert sound["artist"] == "Jemand"
    else:
        assert [sentence.partition("left out: ")[2] for sentence in said] == ["ARTIST."]
        assert "of audio track 1 (aac, fre)" in said[0]
        assert "Jemand" not in sound.values()


def test_a_language_that_quicktime_doesnt_know_is_told(tmp_path):
    plain = make_clip(tmp_path / "plain.mkv", audio=True)
    film = remade(plain, tmp_path / "film.mkv", track_tags={1: {"language": "gsw"}})
    said = joined(film, tmp_path / "out.mov")
    assert len(said) == 1
    assert said[0].endswith("audio track 1 (aac, gsw), left out: language.")
    assert joined(film, tmp_path / "out.mp4") == []


OWN = {"title": "Früh", "artist": "Jemand", "director": "Wer, auch = immer", "comment": "Ein Satz"}


@pytest.mark.parametrize("target", [".mp4", ".mov"])
@pytest.mark.parametrize("source", [".mp4", ".mov"])
def test_quicktimes_tags_of_any_name_stay(tmp_path, source, target):
    chapters = [(0, 1, "One"), (1, 2, "Zwei")]
    plain = make_clip(tmp_path / f"plain{source}", audio=True, chapters=chapters)
    options = {"options": {"movflags": "use_metadata_tags"}}
    film = remade(plain, tmp_path / f"film{source}", film_tags=OWN, **options)
    assert names_any_tag(film)
    output = tmp_path / f"out{target}"
    assert joined(film, output) == []
    assert names_any_tag(output)
    own, _, sound = tags_of(output)[:3]
    assert {key: own[key].replace("\\", "") for key in OWN} == OWN
    assert sound["language"] == "eng"


@pytest.mark.parametrize("target", [".mp4", ".mov"])
def test_from_elsewhere_tags_are_those_that_all_players_know(tmp_path, target):
    plain = make_clip(tmp_path / "plain.mkv")
    film = remade(plain, tmp_path / "film.mkv", film_tags=OWN)
    output = tmp_path / f"out{target}"
    said = joined(film, output)
    family = target[1:].upper()
    assert said == [f"{family} has no place for some tags, left out: DIRECTOR."]
    assert not names_any_tag(output)
    own = tags_of(output)[0]
    assert {key: own[key] for key in OWN if key != "director"} == {
        key: value for key, value in OWN.items() if key != "director"
    }


def test_what_only_mp4_knows_is_said_to_be_lost_in_quicktime(tmp_path):
    plain = make_clip(tmp_path / "plain.mp4")
    film = remade(plain, tmp_path / "film.mp4", film_tags={"title": "T", "show": "Abend"})
    assert not names_any_tag(film)
    assert joined(film, tmp_path / "out.mp4") == []
    assert joined(film, tmp_path / "out.mov") == ["MOV has no place for some tags, left out: show."]


def timecodes_of(path):
    """Of every track that has one, by its kind."""
    with av.open(str(path)) as container:
        return {
            stream.type: value
            for stream in container.streams
            for key, value in stream.metadata.items()
            if key.lower() == "timecode"
        }


@pytest.mark.parametrize("timecode", ["01:02:03:04", "00:59:59;20"])
@pytest.mark.parametrize("target", [".mp4", ".mov", ".mkv"])
def test_a_timecode_stays(tmp_path, timecode, target):
    rate = NTSC if ";" in timecode else Fraction(25)
    plain = make_clip(tmp_path / "plain.mov", rate=rate)
    tags = {0: {"timecode": timecode, "reel_name": "R7"}}
    film = remade(plain, tmp_path / "film.mov", track_tags=tags)
    assert timecodes_of(film) == {"video": timecode, "data": timecode}
    output = tmp_path / f"out{target}"
    said = joined(film, output)
    if target == ".mp4":
        # Its tracks of timecode don't name a reel.
        assert [sentence.partition("left out: ")[2] for sentence in said] == ["reel_name."]
    else:
        assert said == []
        assert "R7" in {value for tags in tags_of(output) for value in tags.values()}
    kept = {"video": timecode} | ({} if target == ".mkv" else {"data": timecode})
    assert timecodes_of(output) == kept


@pytest.mark.parametrize("target", [".mp4", ".mkv"])
def test_a_cut_begins_at_its_own_timecode(tmp_path, target):
    plain = make_clip(tmp_path / "plain.mov", rate=NTSC)
    film = remade(plain, tmp_path / "film.mov", track_tags={0: {"timecode": "00:59:59;20"}})
    info = probe(film)
    start = info.start_pts + round(15 / NTSC / info.time_base)
    output = tmp_path / f"out{target}"
    joined(film, output, start=start)
    # 29 is followed by 00 in each tenth minute, and by 02 in all others.
    assert timecodes_of(output)["video"] == "01:00:00;05"


@pytest.mark.parametrize(
    ("timecode", "frames", "rate", "later"),
    [
        ("01:00:00:00", 30, Fraction(25), "01:00:01:05"),
        ("00:00:59;29", 1, NTSC, "00:01:00;02"),
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),
        ("00:00:00;00", 10 * 60 * 30 - 18, NTSC, "00:10:00;00"),
        ("00:01:00;04", 60 * 60 - 4, Fraction(60000, 1001), "00:02:00;04"),
        ("23:59:59:23", 1, Fraction(24), "00:00:00:00"),
        ("10:00:59;10", 20, Fraction(25), "10:01:00;05"),
        ("10.5 s", 3, Fraction(24), "10.5 s"),
    ],
)
def test_timecodes_advance(timecode, frames, rate, later):
    assert advanced(timecode, frames, rate) == later


def test_a_tracks_date_isnt_missed_where_it_is_the_films(tmp_path):
    undated = make_clip(tmp_path / "undated.mkv", frames=2)
    path = tmp_path / "film.mp4"
    with av.open(str(undated)) as source, av.open(str(path), "w") as out:
        picture = out.add_stream_from_template(source.streams.video[0])
        out.metadata["creation_time"] = "2001-02-03T10:00:00.000000Z"
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = picture
                out.mux(packet)
    with av.open(str(path)) as source:
        assert "creation_time" in source.streams.video[0].metadata
    info, output = probe(path), tmp_path / "film.color.mkv"
    assert check_output_container(info, output, choice_for(info)) == []
    join_segments(write_segments(info, tmp_path, length=2), info, output)
    with av.open(str(output)) as film:
        assert film.metadata["creation_time"].startswith("2001-02-03T10:00:00")
