"""What is planned for each stream of a source, and said of it."""

from __future__ import annotations

import av
import pytest
import sources
from matrix import SOURCES

from tests.media.films import choice_for, write_segments
from vidcolor.media.join import check_output_container, join_segments
from vidcolor.media.probe import open_source, probe, words_on_films
from vidcolor.media.tracks import company_of, plan_tracks
from vidcolor.settings import Settings


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    by_name = {source.file: source for source in SOURCES}
    return lambda name: sources.make(by_name[name], folder)


def plan_for(film, muxer):
    info = probe(film)
    with open_source(film) as source:
        return plan_tracks(source, info, muxer)


@pytest.mark.parametrize(
    ("name", "muxer", "ways"),
    [
        ("sound_pcm_dvd.vob", "matroska", [("picture", ""), ("unwrap", "pcm_s16le")]),
        ("sound_pcm_bluray_24.m2ts", "mp4", [("picture", ""), ("unwrap", "pcm_s24le")]),
        ("sound_pcm_float_be.mov", "matroska", [("picture", ""), ("unwrap", "pcm_f32le")]),
        ("sound_pcm_be.mov", "matroska", [("picture", ""), ("copy", "")]),
        ("sound_flac.mp4", "mp4", [("picture", ""), ("copy", "")]),
        ("sound_mp3.mp4", "webm", [("picture", ""), ("leave", "")]),
        ("dvdsub.mkv", "mp4", [("picture", ""), ("copy", "")]),
        ("dvdsub.mkv", "mov", [("picture", ""), ("leave", "")]),
        ("timecode.mp4", "mov", [("picture", ""), ("leave", "")]),
    ],
)
def test_ways(made, name, muxer, ways):
    plan = plan_for(made(name), muxer)
    assert [(track.way, track.codec) for track in plan] == ways
    # A track of timecode is left out, and yet nothing is lost.
    assert [track.warning is not None for track in plan] == [
        way == "leave" and "timecode" not in name for way, _ in ways
    ]


def test_a_cover_is_said_to_be_left_out_of_quicktime(made, tmp_path):
    film = made("cover_png.mp4")
    info = probe(film)
    segments = write_segments(info, tmp_path, length=100)
    for target, kept in ((".mp4", True), (".mkv", True), (".mov", False)):
        output = tmp_path / f"out{target}"
        said = check_output_container(info, output, choice_for(info))
        assert join_segments(segments, info, output) == said
        assert [stream.cover for stream in probe(output).streams].count(True) == kept
        assert bool(said) != kept
        assert all("cover picture 2 (png) is left out: MOV holds no cover" in each for each in said)


def test_tags_are_counted_as_far_as_they_are_kept(made, tmp_path):
    info = probe(made("tags.mkv"))
    kept = {suffix: company_of(info, tmp_path / f"out{suffix}").tags for suffix in (".mkv", ".mp4")}
    assert kept == {".mkv": 7, ".mp4": 5}


def test_which_of_several_films_is_the_film(made):
    info = probe(made("two_pictures.mkv"))
    words = words_on_films(info)
    assert words is not None
    assert "holds 2 films; only stream 1 (h264, 160x120)" in words
    for name in ("cover_jpeg.mp4", "cover.mkv", "mkv.mkv", "mjpeg.avi"):
        assert words_on_films(probe(made(name))) is None


def test_webm_begins_when_its_film_does(made, tmp_path):
    """Its muxer would move all to where the first sound, just before zero, becomes zero."""
    info = probe(made("tags.ogv"))
    settings = Settings(codec="libvpx-vp9", encoder_preset="8", threads=1)
    output = tmp_path / "out.webm"
    join_segments(write_segments(info, tmp_path, length=100, settings=settings), info, output)
    with av.open(str(output)) as container:
        assert next(container.decode(video=0)).time == 0


@pytest.mark.parametrize("name", ["stereo.mkv", "stereo_h264.mp4", "stereo_h264.mkv"])
@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_two_views_stay_two_views(made, tmp_path, name, codec):
    info, settings = probe(made(name)), Settings(codec=codec, threads=1)
    assert info.views == ("left_right" if name == "stereo.mkv" else "top_bottom")
    segments = write_segments(info, tmp_path, length=100, settings=settings)
    for target in (".mkv", ".mp4"):
        output = tmp_path / f"out{target}"
        said = check_output_container(info, output, choice_for(info, settings))
        assert join_segments(segments, info, output) == said
        # A tag of Matroska's has no place in MP4, and FFV1 pictures say nothing.
        lost = target == ".mp4" and (name == "stereo.mkv" or codec == "ffv1")
        assert probe(output).views == ("" if lost else info.views)
        assert [("two views" in sentence) for sentence in said] == [True] * lost
        # Said twice, by tag and picture, ffmpeg's own program stumbles.
        sources.ffmpeg("-xerror", "-i", str(output), "-f", "null", "-")
