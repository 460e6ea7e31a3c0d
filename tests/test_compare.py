"""Finished films compared: frames matched, sizes and shapes, counts and rates, and the command."""

from __future__ import annotations

import json
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from tests.clips import make_clip
from vidcolor.cli import run_arguments
from vidcolor.cli.compare import EPILOG
from vidcolor.display import display_rgb
from vidcolor.errors import SourceError, UsageError
from vidcolor.evaluation.compared import compare_films
from vidcolor.evaluation.figures import MOST_PSNR
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames


@pytest.fixture
def truth(tmp_path):
    return make_clip(tmp_path / "truth.mkv", frames=12, codec="ffv1", color=True)


def shown(path):
    """A film's frames as a person sees them, RGB."""
    info = probe(path)
    return [display_rgb(frame.luma, frame.chroma, info) for frame in read_frames(info)]


def write_film(path, images, rate=24, codec="ffv1", pixel_format="yuv444p"):
    """A film of RGB images (h, w, 3), in square samples."""
    with av.open(path, "w") as out:
        video = out.add_stream(codec, rate=Fraction(rate))
        video.height, video.width = images[0].shape[:2]
        video.pix_fmt = pixel_format
        for image in images:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
            out.mux(video.encode(frame.reformat(format=pixel_format)))
        out.mux(video.encode(None))
    return path


def measures(evaluation):
    (film,) = evaluation.films
    return {
        row.label: each.measures
        for row, each in zip(evaluation.renderings, film.figures, strict=True)
    }


def test_a_gray_film_measures_as_gray_and_the_truth_as_the_truth(truth, tmp_path):
    gray = make_clip(tmp_path / "gray.mkv", frames=12, codec="ffv1")
    again = make_clip(tmp_path / "again.mkv", frames=12, codec="ffv1", color=True)
    found = measures(compare_films(truth, [gray, again]))
    assert list(found) == ["gray", "gray.mkv", "again.mkv", "truth"]
    for name in ("psnr", "ciede2000", "cdc", "warp_error", "cdc_distance"):
        same = pytest.approx(getattr(found["gray"], name), rel=1e-3)
        assert getattr(found["gray.mkv"], name) == same
    assert found["again.mkv"].psnr == pytest.approx(MOST_PSNR)
    assert found["again.mkv"].warp_error_ab == found["truth"].warp_error_ab > 0.3
    assert found["gray.mkv"].psnr < 30
    assert found["gray.mkv"].milliseconds is None


def test_a_film_without_chroma_planes(truth, tmp_path):
    gray = write_film(tmp_path / "gray.mkv", shown(truth), pixel_format="gray")
    assert next(read_frames(probe(gray))).chroma is None
    found = measures(compare_films(truth, [gray]))
    assert found["gray.mkv"].colorfulness < 0.01
    assert found["gray.mkv"].warp_error_ab < 0.01


def test_flicker_is_seen(truth, tmp_path):
    images = shown(truth)
    shift = np.array([25, 0, -25])
    flickering = [
        np.clip(image + shift * (-1) ** n, 0, 255).astype(np.uint8)
        for n, image in enumerate(images)
    ]
    calm = write_film(tmp_path / "calm.mkv", images)
    found = measures(compare_films(truth, [calm, write_film(tmp_path / "bad.mkv", flickering)]))
    assert found["bad.mkv"].warp_error_ab > 5 * found["calm.mkv"].warp_error_ab
    assert found["bad.mkv"].cdc > 3 * found["calm.mkv"].cdc
    assert found["calm.mkv"].warp_error_ab == pytest.approx(found["truth"].warp_error_ab, rel=0.1)


def test_sizes_containers_and_codecs_may_differ(truth, tmp_path):
    large = [cv2.resize(image, (128, 96), interpolation=cv2.INTER_CUBIC) for image in shown(truth)]
    other = write_film(tmp_path / "a.avi", large, codec="mpeg4", pixel_format="yuv420p")
    found = measures(compare_films(truth, [other]))["a.avi"]
    assert found.psnr > 28
    assert found.psnr > measures(compare_films(truth, [other]))["gray"].psnr + 5


def test_a_film_that_was_turned(tmp_path):
    turned = make_clip(tmp_path / "t.mp4", frames=6, color=True, rotation=90)
    assert probe(turned).rotation == 90
    upright = write_film(tmp_path / "u.mkv", shown(turned))
    evaluation = compare_films(turned, [upright])
    assert evaluation.films[0].size == (48, 64)
    assert measures(evaluation)["u.mkv"].psnr > 30


def test_other_tools_may_lose_the_samples_shape(tmp_path):
    wide = make_clip(
        tmp_path / "wide.mkv", frames=6, codec="ffv1", color=True, sample_aspect=Fraction(4, 3)
    )
    square = make_clip(tmp_path / "square.mkv", frames=6, codec="ffv1", color=True)
    assert measures(compare_films(wide, [square]))["square.mkv"].psnr == pytest.approx(MOST_PSNR)
    displayed = write_film(tmp_path / "displayed.mkv", shown(wide))
    assert measures(compare_films(wide, [displayed]))["displayed.mkv"].psnr > 28


def test_another_shape_is_refused(truth, tmp_path):
    cropped = write_film(tmp_path / "cropped.mkv", [image[4:-4] for image in shown(truth)])
    with pytest.raises(SourceError, match=r"cropped\.mkv has another shape .* 64x40 and not 64x48"):
        compare_films(truth, [cropped])


def test_a_frame_fewer_is_told_and_the_rest_compared(truth, tmp_path):
    short = make_clip(tmp_path / "short.mkv", frames=11, codec="ffv1", color=True)
    long = make_clip(tmp_path / "long.mkv", frames=14, codec="ffv1", color=True)
    evaluation = compare_films(truth, [long, short])
    assert len(evaluation.films[0].seconds) == 11
    assert [note.split(";")[0] for note in evaluation.notes] == [
        f"{long} has 14 frames and {truth} has 12",
        f"{short} has 11 frames and {truth} has 12",
    ]
    assert "the first 11 of each" in evaluation.notes[0]
    assert measures(evaluation)["long.mkv"].psnr == pytest.approx(MOST_PSNR)


def test_other_frames_are_refused_but_their_beginnings_can_be_compared(truth, tmp_path):
    long = make_clip(tmp_path / "long.mkv", frames=15, codec="ffv1", color=True)
    with pytest.raises(SourceError, match=r"has 15 frames and .* has 12, but frames are matched"):
        compare_films(truth, [long])
    evaluation = compare_films(truth, [long], limit=12)
    assert (len(evaluation.films[0].seconds), evaluation.notes) == (12, ())


def test_a_film_that_breaks_off_is_refused(truth, tmp_path, monkeypatch):
    from vidcolor.evaluation import compared

    broken = make_clip(tmp_path / "broken.mkv", frames=12, codec="ffv1", color=True)

    def breaking(info, **named):
        for n, frame in enumerate(read_frames(info, **named)):
            if info.path == broken and n == 5:
                return
            yield frame

    monkeypatch.setattr(compared, "read_frames", breaking)
    with pytest.raises(SourceError, match=r"broken\.mkv has 5 frames and .* has 12"):
        compare_films(truth, [broken])


def test_another_rate_is_told(truth, tmp_path):
    fast = write_film(tmp_path / "fast.mkv", shown(truth), rate=30)
    near = make_clip(
        tmp_path / "near.mkv", frames=12, codec="ffv1", color=True, rate=Fraction(24000, 1001)
    )
    (note,) = compare_films(truth, [near, fast]).notes
    assert note.startswith(f"{fast} has 30 frames a second and {truth} has 24;")


def test_nothing_to_compare(truth):
    with pytest.raises(UsageError, match="nothing to compare"):
        compare_films(truth, [])


# The command.


@pytest.fixture
def run(capsys):
    def run(*arguments):
        code = run_arguments(["compare", *(str(word) for word in arguments), "--threads", "1"])
        return code, *capsys.readouterr()

    return run


def test_a_table_of_markdown_on_a_pipe(run, truth, tmp_path):
    other = make_clip(tmp_path / "other.mp4", frames=12)
    code, out, err = run(truth, other, "-o", tmp_path / "figures")
    assert (code, err) == (0, "")
    title, _, head, _, *rows = out.splitlines()[:7]
    assert title == "### truth.mkv: 12 frames at 64x48"
    assert "E_warp_ab" in head
    assert "ms a frame" not in head
    assert "x per-frame" not in head
    assert [row.split()[1] for row in rows] == ["gray", "other.mp4", "truth"]
    assert "The truth is truth.mkv; 12 frames" in out
    assert (tmp_path / "figures" / "table.md").read_text().startswith(out[:400])
    figures = json.loads((tmp_path / "figures" / "figures.json").read_text())
    assert figures["rows"][1]["file"] == str(other)
    assert len(figures["films"][0]["rows"][1]["warp_errors_ab"]) == 11


def test_json_is_one_object(run, truth):
    code, out, err = run(truth, truth, "--json", "--limit", "3")
    assert (code, err) == (0, "")
    figures = json.loads(out)
    assert figures["films"][0]["frames"] == 3
    assert [row["label"] for row in figures["rows"]] == ["gray", "truth.mkv", "truth"]


def test_notes_are_warnings(run, truth, tmp_path):
    short = make_clip(tmp_path / "short.mkv", frames=11, codec="ffv1", color=True)
    code, _, err = run(truth, short)
    assert code == 0
    assert err.startswith("warning: ")
    assert err.count("\n") == 1


WRONG = {
    "one film": (["truth.mkv"], 2, "--help"),
    "no truth": (["lost.mp4", "truth.mkv"], 1, "lost.mp4"),
    "no film": (["truth.mkv", "text.mp4"], 1, "text.mp4"),
    "a folder": (["truth.mkv", "folder"], 1, "folder"),
    "an empty name": (["truth.mkv", ""], 2, "empty"),
    "a URL": (["truth.mkv", "https://films.example.org/a.mp4"], 2, "URL"),
    "a limit": (["truth.mkv", "truth.mkv", "--limit", "few"], 2, "'few'"),
    "a file for a folder": (["truth.mkv", "truth.mkv", "-o", "text.mp4"], 1, "isn't a folder"),
    "an empty -o": (["truth.mkv", "truth.mkv", "-o", ""], 2, "-o is empty"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_goes_wrong_is_one_sentence(run, truth, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "folder").mkdir()
    words, expected, said = WRONG[case]
    code, out, err = run(*words)
    assert (code, out) == (expected, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err


def test_help_lists_examples(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    assert run_arguments(["compare", "--help"]) == 0
    out = capsys.readouterr().out
    for line in EPILOG.splitlines():
        if line.startswith("  vidcolor"):
            assert line.strip() in out
