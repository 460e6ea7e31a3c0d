"""The matrix of formats: its sources are what they are said to be; its judge sees what is lost."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise

import av
import comparison
import exceptions
import filefacts
import formats
import pages
import pytest
import sources
from matrix import SOURCES

from vidcolor.jobs.local import Order, run_film
from vidcolor.settings import Settings

BY_NAME = {source.file: source for source in SOURCES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("films")


@pytest.fixture
def made(folder):
    return lambda name: sources.make(BY_NAME[name], folder)


def frames_of(path):
    with av.open(str(path)) as container:
        return list(container.decode(filefacts.film_stream(container)))


def wrong(source, output):
    checks = comparison.compare_finely(source, output)
    return {check.area: check.cell for check in checks if not check.same}


def again(source, target, *words):
    sources.ffmpeg("-i", str(source), "-map", "0", *words, str(target))
    return target


def test_each_source_has_its_own_name_and_words():
    assert len(BY_NAME) == len(SOURCES) > 200
    assert all(source.what for source in SOURCES)


def test_what_ffmpeg_refuses_is_said_in_its_words(tmp_path):
    nonsense = sources.Source("a.mp4", "nonsense", video="-c:v nonsense")
    with pytest.raises(sources.MakingError, match="nonsense"):
        sources.make(nonsense, tmp_path)
    assert not list(tmp_path.rglob("a.mp4"))


# Sources


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("mp4.mp4", "h264", "yuv420p"),
        ("gray10.mkv", "ffv1", "gray10le"),
        ("yuv411.mkv", "ffv1", "yuv411p"),
        ("dnxhr.mov", "dnxhd", "yuv422p10le"),
        ("palette.avi", "rawvideo", "pal8"),
        ("alpha_prores.mov", "prores", "yuva444p12le"),
    ],
)
def test_codecs_and_samples(made, name, codec, pixels):
    with av.open(str(made(name))) as container:
        stream = filefacts.film_stream(container)
        assert stream.codec_context.codec.canonical_name == codec
        assert next(container.decode(stream)).format.name == pixels


def test_the_picture_is_gray_and_moves(made):
    first, second = (frame.to_ndarray() for frame in frames_of(made("mp4.mp4"))[:2])
    assert (first[120:] == 128).all()
    assert (first[:120] != second[:120]).any()


@pytest.mark.parametrize(
    ("name", "fact", "value"),
    [
        ("turned_90.mp4", "rotation", 90),
        ("mirrored.mp4", "turn", "[-1.0, 0.0, 0.0, 1.0]"),
        ("aspect.mpg", "aspect", Fraction(4, 3)),
        ("tagged_601_625.mp4", "primaries", 5),
        ("hdr10.mkv", "transfer", 16),
        ("hdr10.mkv", "HDR levels", "e803000090010000"),
        ("odd_444.mp4", "size", "161x121"),
        ("alpha_vp9.webm", "transparency", "some"),
        ("alpha_ffv1.mkv", "transparency", "some"),
        ("rgb.avi", "transparency", ""),
    ],
)
def test_shapes_and_colour_tags(made, name, fact, value):
    assert filefacts.read_facts(made(name)).picture[fact] == value


def test_times_are_as_odd_as_they_should_be(made):
    def times(name):
        return [frame.pts for frame in frames_of(made(name))]

    assert len({b - a for a, b in pairwise(times("vfr.mp4"))}) > 2
    assert len(set(times("repeated.mkv"))) == 20
    assert any(a > b for a, b in pairwise(times("falling.mkv")))
    assert set(times("raw.h264")) == {None}
    assert times("late.mkv")[0] == 10_000
    with av.open(str(made("piped.mkv"))) as container:
        assert "DURATION" not in container.streams.video[0].metadata


def test_packed_frames_share_packets(made):
    with av.open(str(made("mpeg4_packed.avi"))) as container:
        sizes = [packet.size for packet in container.demux(video=0) if packet.size]
    assert len(sizes) == len(frames_of(made("mpeg4_packed.avi"))) == 40
    assert sizes.count(6) == 19  # nothing but the word that nothing is coded


@pytest.mark.parametrize(("name", "top"), [("top_first_h264.mp4", True), ("unflagged.mkv", None)])
def test_fields_are_flagged_or_not(made, name, top):
    flags = {frame.interlaced_frame for frame in frames_of(made(name))}
    assert flags == {top is not None}


def test_company(made):
    facts = filefacts.read_facts(made("pgs.mkv"))
    assert [(track.codec, track.packets) for track in facts.tracks] == [("hdmv_pgs_subtitle", 4)]
    assert [float(seconds) for seconds in facts.tracks[0].times] == [0.0, 0.4, 0.7, 1.1]
    assert filefacts.read_facts(made("captions.ts")).captions
    assert [chapter[2] for chapter in filefacts.read_facts(made("chapters.mp4")).chapters] == [
        "Ankunft",
        "Abschied, spät",
    ]
    covered = filefacts.read_facts(made("cover_jpeg.mp4"))
    assert [track.codec for track in covered.tracks] == ["aac", "mjpeg"]


# The judge


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("mov_text.mp4", ".mkv"),  # as SubRip
        ("ts.ts", ".mkv"),  # without headers around the sound
        ("two_programs.ts", ".mkv"),  # without start codes in the other picture
        ("chapters.mp4", ".mkv"),  # without the track that says the chapters again
        ("joined.ts", ".mkv"),  # on one clock
        ("jumped.ts", ".mkv"),
    ],
)
def test_another_container_is_no_loss(made, tmp_path, name, suffix):
    words = ["-c", "copy", *(("-c:s", "srt") if name == "mov_text.mp4" else ())]
    source = made(name)
    target = tmp_path / f"film{suffix}"
    sources.ffmpeg(
        "-i", str(source), "-map", "0:v", "-map", "0:a?", "-map", "0:s?", *words, str(target)
    )
    assert wrong(source, target) == {}


@pytest.mark.parametrize(
    ("name", "area", "words"),
    [
        ("captions.ts", "captions", ["-c:v", "mpeg2video", "-q:v", "2", "-a53cc", "0"]),
        ("alpha_ffv1.mkv", "transparency", ["-c:v", "ffv1", "-pix_fmt", "yuv444p"]),
        ("aspect_h264.mkv", "picture", ["-c", "copy", "-aspect", "4:3"]),
        ("last_long.mkv", "sync", ["-c", "copy", "-bsf:v", "setts=duration=40"]),
        ("two_pictures.mkv", "covers", ["-c", "copy", "-bsf:v:0", "setts=pts=0:dts=0"]),
        ("srt.mkv", "subtitles", ["-c", "copy", "-bsf:s", "setts=duration=40"]),
        ("sound_later.mkv", "sync", ["-c", "copy", "-bsf:a", "setts=ts=TS-400"]),
    ],
)
def test_a_loss_is_seen(made, tmp_path, name, area, words):
    source = made(name)
    assert area in wrong(source, again(source, tmp_path / f"film{source.suffix}", *words))


@pytest.mark.parametrize("name", ["joined.ts", "spliced.ts"])
def test_sound_must_be_in_step_in_each_part_of_a_film(made, tmp_path, name):
    later = ["-c", "copy", "-bsf:a", r"setts=ts=if(gt(N\,80)\,TS+0.1/TB\,TS)"]
    sources.ffmpeg("-i", str(made(name)), *later, str(tmp_path / "film.mkv"))
    assert "audio" in wrong(made(name), tmp_path / "film.mkv")


def test_luma_must_be_equal_bit_for_bit():
    loud = comparison.Check("luma", True, "71.2 dB")
    assert not formats.bit_for_bit(loud).same
    assert formats.bit_for_bit(comparison.check_luma(0.0)).same
    assert formats.bit_for_bit(comparison.check_luma(None)).same


def test_times_that_a_source_lacks_are_not_asked_for():
    even = [Fraction(n, 25) for n in range(4)]
    assert comparison.check_times([None] * 4, even, Fraction(0)).same
    assert comparison.check_times([None, *even[1:]], even, Fraction(0)).same
    assert not comparison.check_times([None] * 4, even[:2] * 2, Fraction(0)).same
    assert not comparison.check_times([None, *even[:2], even[3]], even, Fraction(0)).same
    assert not comparison.check_times([even[0], None, *even[1:3]], even, Fraction(0)).same


# Runs


def said(*events):
    return [json.dumps(event) for event in events]


def test_what_is_said_goes_to_its_film():
    batch = formats.Batch(exact=False)
    lines = said({"event": "film", "source": "/films/a.mkv"})
    lines += ["warning: /films/a.mkv is damaged"]
    lines += said(
        {"event": "started", "output": "/out/a.color.mkv"},
        {"event": "warning", "text": "the font is left out."},
        {"event": "finished", "made": True, "damaged": 1, "missing": 0},
        {"event": "film", "source": "/films/b.mkv"},
        {"event": "failed", "error": "/films/b.mkv is empty.", "exit_code": 1},
    )
    lines += ["Traceback (most recent call last):", "  File x", "ValueError: oh"]
    assert formats.listen(lines, batch) == "/films/b.mkv"
    first, second = batch.runs["/films/a.mkv"], batch.runs["/films/b.mkv"]
    assert first.warnings == ["a.mkv is damaged", "the font is left out."]
    assert (first.code, first.traceback) == (3, "")
    assert batch.outputs["/films/a.mkv"].name == "a.color.mkv"
    assert (second.code, second.sentence) == (1, "b.mkv is empty.")
    assert second.traceback == "ValueError: oh"


DIES = """
import json, os, sys
for source, output in json.load(sys.stdin):
    print(json.dumps({"event": "film", "source": source}), flush=True)
    if "deadly" in source:
        os.abort()
"""


def test_a_film_that_ends_the_program_is_named_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "CODE_OF_FILES", DIES)
    paths = [tmp_path / name for name in ("a.mkv", "deadly.mkv", "z.mkv")]
    batch = formats.run_files(paths, tmp_path / "out")
    assert [batch.runs[str(path)].code for path in paths] == [0, -6, 0]


def test_a_film_that_stumbles_is_heard(made, tmp_path):
    whole = made("mp4.mp4")
    assert formats.words_while_playing(whole) == ""
    cut = tmp_path / "cut.ts"
    data = made("ts.ts").read_bytes()
    cut.write_bytes(data[:5000] + bytes(3000) + data[8000:])
    assert formats.words_while_playing(cut)


def test_sources_are_chosen_by_name_or_pattern():
    assert [source.file for source in formats.choose(["hevc", "gray1?.mkv"])] == [
        "hevc.mp4",
        *("gray10.mkv", "gray12.mkv", "gray16.mkv"),
    ]
    assert formats.choose(None) == list(SOURCES)


def test_two_films_make_tables(tmp_path):
    chosen = formats.choose(["webvtt.mkv", "partly"])
    partly, kept = formats.table_of(chosen, tmp_path)
    assert (partly.outcome, partly.problems, kept.problems) == ("colorized", [], [])
    assert (kept.cells["luma"], kept.cells["subtitles"]) == ("equal", "1 equal")
    lines = formats.table_lines([partly, kept], chosen)
    assert [line for line in lines if line.startswith("#")] == [
        "### Colour tags, high dynamic range, films partly in colour",
        "### Subtitles",
    ]
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1


@pytest.mark.parametrize(
    ("cell", "seen"),
    [
        ("none", "–"),
        ("equal", "✓"),
        ("2 equal", "✓ 2"),
        ("within 1 ms", "within 1 ms"),
        ("hdr: kept", "hdr: kept"),
        ("", ""),
    ],
)
def test_cells_are_short(cell, seen):
    assert formats.shown(cell) == seen


def test_each_warning_has_a_sentence_or_is_named():
    said = ["the pictures' transparency is left out: a film in colour has none.", "Oh."]
    assert exceptions.letters_of(said) == ("b", ["Oh."])
    assert exceptions.letters_of([]) == ("", [])
    assert len(exceptions.sentences()) == len(exceptions.EXCEPTIONS) <= 26


def test_a_table_goes_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Before.\n\n<!-- table: a -->\nold\n<!-- end of table -->\nAfter.\n")
    pages.put_table(page, "a", ["| new |"])
    assert page.read_text() == (
        "Before.\n\n<!-- table: a -->\n\n| new |\n\n<!-- end of table -->\nAfter.\n"
    )
    with pytest.raises(pages.MarkError, match="table: b"):
        pages.put_table(page, "b", [])


@pytest.mark.long
def test_every_format_is_kept_or_its_loss_is_said(tmp_path):
    rows = formats.table_of(list(SOURCES), tmp_path)
    assert {row.cells["source"]: row.problems for row in rows if row.problems} == {}


def test_a_film_from_before_zero_is_moved_to_it_with_its_sound(made, tmp_path):
    source, output = made("negative.asf"), tmp_path / "film.color.mkv"
    with av.open(str(source)) as container:
        first = next(container.decode(video=0)).time
    assert first is not None
    assert first < 0
    run_film(Order(source=source, output=output, settings=Settings(model="standin", threads=1)))
    with av.open(str(output)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times[0] == 0
    assert len(times) == len(list(frames_of(source)))
    assert [
        check.cell for check in comparison.compare_finely(source, output) if not check.same
    ] == []
