"""A container is tried with an encoder's pictures before the work starts."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tests.clips import make_clip
from tests.media.films import choice_for, packets_of, write_segments
from vidcolor.errors import OutputError
from vidcolor.media.container_trial import Held, trial_segment
from vidcolor.media.container_trial import try_container as try_segment
from vidcolor.media.join import check_output_container, join_segments
from vidcolor.media.probe import probe
from vidcolor.settings import Settings

LOSSLESS = Settings(codec="ffv1", threads=1)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("films") / "film.mkv", frames=12)


def try_container(info, output, choice):
    with trial_segment(info, choice) as segment:
        return try_segment(info, output, choice, segment)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts", ".flv"])
def test_nothing_is_said_of_what_is_kept(film, suffix):
    info = probe(film)
    assert try_container(info, Path(f"film{suffix}"), choice_for(info)) == Held(None, ())


@pytest.mark.parametrize(
    ("suffix", "codec", "words"),
    [
        (".mov", "libsvtav1", "av1 only supported in MP4"),
        (".ogv", "libx264", "Unsupported codec id"),
        (".ts", "ffv1", "come back as something else"),
    ],
)
def test_a_refusal_gives_ffmpegs_own_reason(film, suffix, codec, words):
    info = probe(film)
    choice = choice_for(info, Settings(codec=codec, threads=1))
    assert words in (try_container(info, Path(f"film{suffix}"), choice).refusal or "")


def test_lost_colour_tags_are_said_where_players_would_guess_otherwise(tmp_path):
    # FFV1 keeps no tags of its own, and AVI has no place for them; VP8 knows one matrix.
    options = {"x264-params": "colorprim=bt709:transfer=bt709:colormatrix=bt709"}
    tagged = probe(make_clip(tmp_path / "tagged.mp4", frames=4, options=options))
    assert tagged.tags.matrix == 1
    held = try_container(tagged, Path("film.avi"), choice_for(tagged, LOSSLESS))
    assert held.refusal is None
    assert len(held.warnings) == 1
    assert "colour tags (matrix, primaries)" in held.warnings[0]
    held = try_container(
        tagged, Path("film.mkv"), choice_for(tagged, Settings(codec="libvpx", threads=1))
    )
    assert "libvpx in .mkv files has no place for the picture's colour tags" in held.warnings[0]
    usual = probe(make_clip(tmp_path / "usual.mp4", frames=4))
    assert try_container(usual, Path("film.avi"), choice_for(usual, LOSSLESS)).warnings == ()


def test_a_lost_range_is_refused(tmp_path):
    info = probe(make_clip(tmp_path / "film.mkv", frames=4, full_range=True))
    assert try_container(info, Path("film.mkv"), choice_for(info, LOSSLESS)).refusal is None
    with pytest.raises(OutputError, match=r"\.avi files can't hold ffv1 .*limited range"):
        check_output_container(info, tmp_path / "film.avi", choice_for(info, LOSSLESS))


@pytest.mark.parametrize("suffix", [".h264", ".mxf"])
def test_lost_times_are_said(film, tmp_path, suffix):
    info = probe(film)
    output = tmp_path / f"film{suffix}"
    said = check_output_container(info, output, choice_for(info))
    assert sum("don't keep each frame's own time" in sentence for sentence in said) == 1


def test_professional_pictures_keep_their_name_and_tags(tmp_path):
    for sampling, name in (("422", "apch"), ("444", "ap4h")):
        source = make_clip(
            tmp_path / f"{sampling}.mkv", frames=3, pixel_format=f"yuv{sampling}p10le", codec="ffv1"
        )
        info = probe(source)
        settings = Settings(codec="prores_ks", threads=1)
        segments = write_segments(info, tmp_path, settings=settings)
        output = tmp_path / f"{sampling}.mov"
        assert join_segments(segments, info, output) == []
        # The name that a MOV file has for it.
        assert name.encode() in output.read_bytes()
        assert probe(output).tags == info.tags


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(50)])
def test_a_cuts_sound_keeps_its_own_ticks(tmp_path, rate):
    film = make_clip(tmp_path / "film.mp4", frames=60, rate=rate, audio=True)
    info = probe(film)
    times = [frame * round(1 / rate / info.time_base) for frame in (11, 41)]
    segments = write_segments(info, tmp_path, start=times[0], end=times[1])
    output = tmp_path / "cut.mp4"
    join_segments(segments, info, output, start=times[0], end=times[1])
    origin = times[0] * info.time_base
    before, after = (
        [seconds for _, seconds in packets_of(path, "audio")[0]] for path in (film, output)
    )
    kept = [seconds - origin for seconds in before if origin <= seconds]
    # Moved by whole ticks of the sound, so within half of one, of some 20 microseconds.
    assert [abs(a - b) for a, b in zip(kept, after, strict=False)] == pytest.approx(
        [0] * len(after), abs=1 / 96000
    )
    assert after
