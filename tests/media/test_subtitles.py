"""Subtitles that are pictures, captions in a track, and lines that overlap."""

from __future__ import annotations

import av
import pytest
import sources
from av.subtitles.subtitle import BitmapSubtitle
from matrix import SOURCES

from tests.media.films import choice_for, write_segments
from vidcolor.media.join import check_output_container, join_segments
from vidcolor.media.mp4 import subtitle_sizes
from vidcolor.media.probe import probe
from vidcolor.media.subtitles import mp4_palette


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    by_name = {source.file: source for source in SOURCES}
    return lambda name: sources.make(by_name[name], folder)


def joined(film, output):
    """What is foretold, and what is said in addition once all is done."""
    info = probe(film)
    foretold = check_output_container(info, output, choice_for(info))
    said = join_segments(write_segments(info, output.parent, length=100), info, output)
    assert said[: len(foretold)] == foretold
    return foretold, said[len(foretold) :]


def shown(path):
    """When each picture of the first subtitle track begins, its place, its samples."""
    with av.open(str(path)) as container:
        stream, found = container.streams.subtitles[0], []
        for packet in container.demux(stream):
            for box in packet.decode():
                assert isinstance(box, BitmapSubtitle)
                samples = memoryview(box.planes[0]).tobytes()  # type: ignore[arg-type]
                found.append((packet.pts, (box.x, box.y, box.width), samples))
        return [((pts or 0) * (stream.time_base or 1), *rest) for pts, *rest in found]


def palette_of(path):
    """Sixteen colours, each red, green and blue."""
    with av.open(str(path)) as container:
        header = (container.streams.subtitles[0].codec_context.extradata or b"").decode()
    colors = header.partition("palette:")[2].split("\n")[0].split(",")
    return [tuple(bytes.fromhex(color.strip())) for color in colors]


@pytest.mark.parametrize("name", ["dvdsub.mkv", "dvdsub.mp4"])
@pytest.mark.parametrize("target", [".mkv", ".mp4"])
def test_a_dvds_pictures_stay(made, tmp_path, name, target):
    film, output = made(name), tmp_path / f"out{target}"
    assert joined(film, output) == ([], [])
    assert shown(output) == shown(film)
    assert len(shown(film)) > 0
    for before, after in zip(palette_of(film), palette_of(output), strict=True):
        # MP4 keeps Y, Cb and Cr, whole numbers.
        assert max(abs(a - b) for a, b in zip(before, after, strict=True)) <= 4
    if target == ".mp4":
        assert b"palette:" not in output.read_bytes()
        assert subtitle_sizes(output) == [(160, 120)]


def test_a_palette_becomes_y_cr_cb():
    assert mp4_palette(
        b"size: 720x576\npalette: " + b", ".join([b"ffffff", *[b"000000"] * 15])
    ) == (bytes((0, 235, 128, 128)) + bytes((0, 16, 128, 128)) * 15)
    assert mp4_palette(None) is None
    assert mp4_palette(b"no colours") == b"no colours"


@pytest.mark.parametrize(
    ("name", "target", "sentence"),
    [
        ("pgs.mkv", ".mp4", "hdmv_pgs_subtitle, ger) is left out: MP4 holds no subtitles of this"),
        ("dvdsub.mkv", ".mov", "MOV holds no subtitles of this kind; use .mkv."),
        ("captions.mov", ".mkv", "eia_608, ger) is left out: Matroska holds no subtitles of this"),
        ("captions.mov", ".mov", None),
    ],
)
def test_other_kinds_stay_or_are_said_to_be_left_out(made, tmp_path, name, target, sentence):
    film, output = made(name), tmp_path / f"out{target}"
    foretold, later = joined(film, output)
    assert later == []
    with av.open(str(output)) as container:
        assert bool(foretold) != bool(container.streams.subtitles)
    if sentence is None:
        assert foretold == []
    else:
        assert len(foretold) == 1
        assert sentence in foretold[0]


def test_lines_that_overlap_end_early_in_mp4_and_are_counted(tmp_path):
    text = tmp_path / "lines.srt"
    text.write_text(
        "1\n00:00:00,200 --> 00:00:00,700\nGuten Tag.\n\n"
        "2\n00:00:00,600 --> 00:00:01,000\nWie geht es?\n\n"
        "3\n00:00:01,000 --> 00:00:01,400\nGut.\n\n",
        encoding="utf-8",
    )
    lavfi = ("-f", "lavfi", "-i", "color=gray:size=64x48:duration=1.6")
    film = tmp_path / "film.mkv"
    sources.ffmpeg(*lavfi, "-i", str(text), "-map", "0", "-map", "1", "-c:s", "srt", str(film))
    foretold, later = joined(film, tmp_path / "out.mp4")
    assert foretold == []
    assert later == [
        "subtitle track 1 (subrip): a line ends when the next begins, for MP4 shows one at a time."
    ]
    assert joined(film, tmp_path / "out.mkv") == ([], [])
