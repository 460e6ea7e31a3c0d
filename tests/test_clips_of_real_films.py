"""Cuts and kinds of the real films that lie beside the project on some machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidcolor.dissolves import DISSOLVE_REACH_FRAMES, DissolveFinder
from vidcolor.facts import facts_of
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.media.sample import sample_pairs
from vidcolor.pipeline import fit, to_8_bits
from vidcolor.resample import shrink
from vidcolor.shots import REACH_FRAMES, starts_shot, thumbnail

CLIPS = Path(__file__).parents[2] / "shared" / "clips"
needs_clips = pytest.mark.skipif(
    not CLIPS.is_dir(), reason="the real films these figures were read off are not on this machine"
)

CUTS = {
    "bw/1940s_office_dialogue.mp4": [34, 134, 207, 290],
    "bw/chaplin_factory_aac.mp4": [268, 671],
    "bw/chaplin_park_mp3.mp4": [],
    "bw/frames_rtn002_silent_street.mp4": [],
    "bw/frames_rtn003_roof_scratches.mp4": [],
    "colour/arm_wrestling_sar.mp4": [268],
    "colour/bbb_1080p60_2s.mp4": [21],
    "colour/cockatoo_yuv444p_mp3.mp4": [],
    "colour/plastic_bag_mpeg4.avi": [],
}


@needs_clips
@pytest.mark.parametrize("name", CUTS)
def test_cuts_are_where_a_person_sees_them(name):
    info = probe(CLIPS / name)
    size = fit(info.width, info.height, 256)
    pictures = [
        thumbnail(to_8_bits(shrink(f.luma, size), info.bit_depth)) for f in read_frames(info)
    ]
    reach, finder = REACH_FRAMES, DissolveFinder()
    found, dissolves = [], []
    for i, picture in enumerate(pictures):
        around = pictures[max(0, i - reach) : i + 1 + reach]
        if i and starts_shot(around, min(i, reach)):
            found.append(i)
        finder.add(picture)
        dissolves += finder.around(max(0, i - DISSOLVE_REACH_FRAMES))
    assert found == CUTS[name]
    assert dissolves == []


@needs_clips
@pytest.mark.parametrize(
    ("name", "colored"),
    [
        ("bw/frames_v39_sepia_tinted.mp4", False),
        ("bw/frames_rtn001_soldier_greenish.mp4", False),
        ("bw/chaplin_factory_aac.mp4", False),
        ("colour/plastic_bag_mpeg4.avi", True),
        ("colour/crystal_vp8.webm", True),
        ("colour/plane_fails_audio.mp4", True),
    ],
)
def test_toned_films_count_as_gray_and_dull_ones_as_colour(name, colored):
    info = probe(CLIPS / name)
    assert facts_of(sample_pairs(info), info).colored is colored
