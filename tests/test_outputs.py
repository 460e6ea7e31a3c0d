"""Every kind of output: what is made is as it should be, the rest is refused in a sentence."""

from __future__ import annotations

import av
import numpy as np
import outputs
import pytest
from decoded import frames_of, words_while_playing
from outputs import NARROW, ODD, TINY, Film, Laboratory, Notes
from sources import ffmpeg

from vidcolor.errors import VidcolorError
from vidcolor.media.choice import known_encoders


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture
def lab(folder):
    """Films are made once for all tests; what is found wrong is each test's own."""
    return Laboratory(folder)


def encoder(name):
    return name if name in av.codec.codecs_available else pytest.skip(f"this FFmpeg has no {name}")


@pytest.mark.parametrize(
    ("film", "codec", "container", "layout"),
    [
        (Film(matrix="bt709", range="pc"), "libx264", "mp4", "yuvj420p"),
        (Film(10), "libx264", "m4v", "yuv420p10le"),
        (Film(12, matrix="bt709"), "libx265", "mov", "yuv420p12le"),
        (Film(10, "422", range="pc"), "libx265", "mkv", "yuv422p10le"),
        # Here x265 wrote outside of its memory.
        (Film(size=NARROW), "libx265", "mkv", "yuv420p"),
        (Film(10, matrix="bt709", sound="libopus"), "libsvtav1", "webm", "yuv420p10le"),
        (Film(range="pc"), "libsvtav1", "mp4", "yuv420p"),
        (Film(matrix="bt709", sound="libopus"), "libvpx-vp9", "webm", "yuv420p"),
        (Film(size=ODD), "libvpx-vp9", "mkv", "yuv444p"),
        (Film(12, range="pc"), "ffv1", "mp4", "yuv420p12le"),
        (Film(10, matrix="bt709"), "prores_ks", "mov", "yuv422p10le"),
        (Film(10, "444", size=TINY, matrix="bt709"), "prores_ks", "mkv", "yuv444p12le"),
    ],
)
def test_what_is_made(lab, film, codec, container, layout):
    outcome = lab.make(film, encoder(codec), container)
    assert outcome.refused == ""
    assert outcome.problems == []
    assert (outcome.codec, outcome.layout, outcome.warnings) == (codec, layout, [])


@pytest.mark.parametrize(
    ("film", "codec", "container", "words"),
    [
        (Film(), "libx264", "webm", ".webm files can't hold libx264"),
        (Film(12), "libx264", "mkv", "can't encode 12-bit pictures"),
        (Film(size="8x8"), "libx265", "mkv", "no pictures smaller than 16x16, and these are 8x8"),
        (Film(sampling="422"), "libsvtav1", "mkv", "with all their luma (yuv422p)"),
        (Film(size=TINY), "libsvtav1", "mkv", "no pictures smaller than 32x32"),
        (Film(), "libsvtav1", "mov", "av1 only supported in MP4"),
        (Film(10, range="pc"), "prores_ks", "mov", "can't tell players of full range"),
        (Film(10), "prores_ks", "mp4", ".mp4 files can't hold prores_ks"),
    ],
)
def test_what_is_refused(lab, capfd, film, codec, container, words):
    outcome = lab.make(film, encoder(codec), container)
    assert words in outcome.refused
    assert "; use " in outcome.refused
    assert "\n" not in outcome.refused
    assert outcome.problems == []
    assert capfd.readouterr().err == "", "the sentence is all"


def test_another_codec_than_the_sources_is_said(lab):
    outcome = lab.make(outputs.SOURCES["MPEG-2"], "source", "mkv")
    assert (outcome.codec, outcome.problems) == ("libx264", [])
    assert len(outcome.warnings) == 1
    assert "can't stay mpeg2video" in outcome.warnings[0]
    assert lab.make(outputs.SOURCES["ProRes 422"], "source", "mov").warnings == []


# The judge


@pytest.fixture
def made(lab, folder):
    """A film and its lossless output, which a test may change."""
    film = Film()
    assert lab.make(film, "ffv1", "mkv").problems == []
    source = outputs.make_film(film, folder)
    return film, source, folder / f"{source.stem}.ffv1.color.mkv"


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("frames became", ["-frames:v", "7"]),
        ("frames have moved", ["-bsf:v", "setts=ts=TS+5"]),
        ("tags tv/", ["-vf", "setparams=color_primaries=bt709"]),
        ("depth 8 became 10", ["-pix_fmt", "yuv420p10le"]),
        ("size 64x48 became", ["-vf", "scale=62:48"]),
        ("luma isn't equal", ["-vf", "lutyuv=y=val+1"]),
        ("a is", ["-vf", "lutyuv=v=val+3"]),
        ("sound isn't equal", ["-c:a", "aac", "-b:a", "32k"]),
        ("sound has moved", ["-bsf:a", "setts=ts=TS+5"]),
    ],
)
def test_a_loss_is_seen(made, tmp_path, problem, words):
    film, source, output = made
    changed = tmp_path / "changed.mkv"
    video = ("-c:v", "copy") if words[0] in ("-bsf:v", "-bsf:a", "-c:a") else ("-c:v", "ffv1")
    ffmpeg("-i", str(output), *video, "-c:a", "copy", *words, str(changed))
    problems = outputs.judged(film, source, changed, "ffv1")[1]
    assert any(each.startswith(problem) or problem in each for each in problems), problems


def test_a_film_that_stumbles_is_heard(made, tmp_path):
    output = made[2]
    data = output.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) // 2] + bytes(2000) + data[len(data) // 2 + 2000 :])
    assert words_while_playing(output) == ""
    assert words_while_playing(cut) != ""


def test_a_refusal_after_work_is_a_problem(lab, monkeypatch):
    def run(order, *, open_engine, report):
        model = open_engine(order.settings)
        model.colorize(np.zeros((1, *model.input_size), np.float32))
        raise VidcolorError("too late.")

    monkeypatch.setattr(outputs, "run_film", run)
    outcome = lab.make(Film(), "libx264", "mkv")
    assert outcome.refused == "too late."
    assert outcome.problems == ["refused after the network was asked"]
    assert lab.problems


def test_sentences_are_numbered_once():
    notes = Notes()
    first = notes.number("x can't encode 8-bit pictures of 64x48 with all their luma (yuv422p)")
    again = notes.number("x can't encode 10-bit pictures of 2x2 with all their luma (yuv444p10le)")
    assert (first, again, notes.number("something else")) == ("(1)", "(1)", "(2)")
    assert len(notes.lines()) == 2


def test_a_row_says_what_became_of_each_container(lab):
    notes = Notes()
    cells = list(outputs.encoder_row(lab, encoder("prores_ks"), 10, notes))
    assert lab.problems == []
    assert len(cells) == 1 + len(outputs.CONTAINERS) + len(outputs.SHAPES)
    mov = cells[1 + outputs.CONTAINERS.index("mov")]
    assert mov.startswith("limited range ✓ as 4:2:2, full range (")


@pytest.mark.long
def test_every_output(lab):
    lines = outputs.table_of(lab, [*known_encoders(), "source"])
    assert lab.problems == []
    encoders = [each for each in known_encoders() if each in av.codec.codecs_available]
    software = [name for name in encoders if not name.endswith("_nvenc")]
    for name in software:
        assert any(f"`{name}`" in line and "✓" in line for line in lines), name


def test_times_and_tags_are_read(made):
    frames = list(frames_of(made[1]))
    assert len(frames) == outputs.FRAMES
    assert frames[0].tags == ("tv", "smpte170m", "smpte170m", "smpte170m")
    assert [round(float(frame.seconds), 3) for frame in frames[:3]] == [0, 0.042, 0.083]
