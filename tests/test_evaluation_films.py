"""Films measured: against a slow reading of the definitions, in bounded memory, in clear words."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from tests.clips import make_clip
from tests.test_metrics import slow_cdc
from tests.tolerances import EVALUATION
from vidcolor.cli import run_arguments
from vidcolor.cli.evaluate import tell_films
from vidcolor.display import display_rgb
from vidcolor.errors import SourceError, UsageError
from vidcolor.evaluation import films as films_module
from vidcolor.evaluation.bench import Candidate
from vidcolor.evaluation.figures import MOST_PSNR, FilmMeasures, film_means
from vidcolor.evaluation.files import film_figures_of, film_sentences, film_tables, write_film_files
from vidcolor.evaluation.films import WAYS, evaluate_films
from vidcolor.evaluation.meter import Look, told_apart
from vidcolor.inference import open_engine
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.metrics import FlowPair, warp
from vidcolor.previews import coloured_frames
from vidcolor.settings import Settings

MACHINE: dict[str, Any] = {"model": "standin", "device": "cpu", "threads": 1}
STANDIN = Candidate(label="standin", settings=Settings(**MACHINE))
BALANCED = 1 + WAYS.index("balanced")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    make_clip(folder / "a.mkv", frames=14, pixel_format="yuv444p", codec="ffv1", color=True)
    make_clip(folder / "b.mp4", frames=9, cuts=(5,), seed=3, color=True)
    return folder


@pytest.fixture(scope="module")
def measured(shelf):
    return evaluate([shelf / "a.mkv", shelf / "b.mp4"])


def evaluate(paths, candidates=(STANDIN,), **options):
    return evaluate_films(candidates, paths, source="clips", **options)


def slow_rgb(y, u, v, info):
    """R'G'B' in 0..1 of limited-range BT.601 planes of one size."""
    assert (info.tags.matrix, info.tags.full_range) in ((5, False), (6, False))
    luma = np.clip((y.astype(np.float64) - 16) / 219, 0, 1)
    cb, cr = ((plane.astype(np.float64) - 128) / 224 for plane in (u, v))
    green = luma - 0.344136 * cb - 0.714136 * cr
    return np.clip(np.dstack([luma + 1.402 * cr, green, luma + 1.772 * cb]), 0, 1)


def slowly(rgbs, truths, lumas):
    """The figures of a film of RGB frames by their definitions."""
    pairs = list(zip(rgbs, truths, strict=True))
    psnrs = [min(10 * math.log10(1 / ((a - b) ** 2).mean()), MOST_PSNR) for a, b in pairs]
    labs = [rgb2lab(rgb) for rgb in rgbs]
    differences = [deltaE_ciede2000(rgb2lab(a), rgb2lab(b)).mean() for a, b in pairs]
    fullness = []
    for rgb in rgbs:
        r, g, b = (rgb[..., c] * 255 for c in range(3))
        rg, yb = abs(r - g), abs((r + g) / 2 - b)
        fullness.append(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))
    errors, errors_ab = [], []
    for n, (before, after) in enumerate(pairwise(lumas)):
        flow = FlowPair.measure(before, after)
        seen = flow.visible
        rgb = warp(rgbs[n + 1].astype(np.float32), flow.ahead) - rgbs[n]
        ab = warp(labs[n + 1][..., 1:].astype(np.float32), flow.ahead) - labs[n][..., 1:]
        errors.append((rgb[seen] ** 2).mean())
        errors_ab.append(math.sqrt((ab[seen] ** 2).sum(1).mean()))
    codes = [np.rint(rgb * 255).astype(np.uint8) for rgb in rgbs]
    means = [np.mean(each) for each in (psnrs, differences, fullness)]
    return *means, slow_cdc(codes), errors, errors_ab


@pytest.mark.parametrize("row", ["gray", "per-frame", "balanced"])
def test_every_figure_is_its_definition(shelf, measured, row):
    info = probe(shelf / "a.mkv")
    settings = Settings(**MACHINE, recolor=True)
    if row == "per-frame":
        settings = Settings(**MACHINE, recolor=True, smoothing=False, anchor_every=1)
    rgbs, truths, lumas = [], [], []
    for frame, picture in coloured_frames(info, settings, 0, 2**60):
        assert frame.chroma is not None
        truths.append(slow_rgb(frame.luma, *frame.chroma, info))
        neutral = np.full_like(frame.luma, 128)
        u, v = (neutral, neutral) if row == "gray" else (picture.u, picture.v)
        rgbs.append(slow_rgb(picture.y, u, v, info))
        span = np.clip((frame.luma.astype(np.float64) - 16) / 219, 0, 1)
        lumas.append(np.rint(span * 255).astype(np.uint8))
    psnr, difference, fullness, cdc, errors, errors_ab = slowly(rgbs, truths, lumas)
    number = [each.label for each in measured.renderings].index(row)
    found = measured.films[0].figures[number].measures
    assert found.psnr == pytest.approx(psnr, abs=EVALUATION["psnr"])
    assert found.ciede2000 == pytest.approx(difference, rel=1e-3)
    assert found.colorfulness == pytest.approx(fullness, abs=EVALUATION["colorfulness"])
    # A code may be rounded to its neighbour.
    assert found.cdc == pytest.approx(cdc, rel=0.02)
    truth = measured.films[0].figures[-1].measures
    assert found.cdc_distance == pytest.approx(abs(found.cdc - truth.cdc), abs=1e-12)
    assert found.warp_error == pytest.approx(np.mean(errors), rel=1e-3)
    series = measured.films[0].figures[number].warp_errors_ab
    np.testing.assert_allclose(series, errors_ab, atol=2e-3)
    assert found.warp_error_ab == pytest.approx(np.mean(errors_ab), abs=2e-3)


def test_rows_and_what_stands_beside_them(measured):
    assert [row.label for row in measured.renderings] == ["gray", *WAYS, "truth"]
    assert [(film.name, len(film.seconds)) for film in measured.films] == [
        ("a.mkv", 14),
        ("b.mp4", 9),
    ]
    assert measured.films[0].seconds[3] == pytest.approx(3 / 24, abs=1e-3)
    for film in measured.films:
        gray, *ways, truth = (each.measures for each in film.figures)
        assert gray.colorfulness < 0.01 < gray.psnr
        assert gray.warp_error_ab < 0.01
        assert (truth.psnr, truth.ciede2000, truth.cdc_distance) == (None, 0, 0)
        assert truth.colorfulness > 10
        assert gray.milliseconds is truth.milliseconds is None
        for each in ways:
            assert 0 < each.network_milliseconds < each.milliseconds
        per_frame, _, balanced, _ = ways
        assert balanced.warp_error_ab != per_frame.warp_error_ab
        for each in film.figures:
            assert len(each.warp_errors_ab) == len(film.seconds) - 1


def test_means_are_over_films(measured):
    for n, means in enumerate(measured.means):
        every = [film.figures[n].measures for film in measured.films]
        assert means.warp_error_ab == pytest.approx(np.mean([e.warp_error_ab for e in every]))
        assert means.cdc == pytest.approx(np.mean([e.cdc for e in every]))
    per_frame = [film.figures[1].measures.cdc_distance for film in measured.films]
    off = [distance >= 0.001 for distance in per_frame]
    assert measured.steadied == (sum(off),) * 6
    distances = [film.figures[BALANCED].measures.cdc_distance for film in measured.films]
    kept = [distance for distance, is_off in zip(distances, off, strict=True) if is_off]
    found = measured.means[BALANCED].cdc_distance
    assert found == (pytest.approx(np.mean(kept)) if kept else None)


def test_a_distance_counts_where_the_film_does():
    plain: dict[str, Any] = {"psnr": None, "ciede2000": 0.0, "colorfulness": 1.0, "cdc": 0.01}
    one = FilmMeasures(**plain, cdc_distance=0.004, warp_error=1e-4, warp_error_ab=1.0)
    other = FilmMeasures(**plain, cdc_distance=0.1, warp_error=None, warp_error_ab=3.0)
    means = film_means([one, other], [True, False])
    assert (means.cdc_distance, means.warp_error, means.warp_error_ab) == (0.004, 1e-4, 2.0)
    assert means.psnr is None
    assert film_means([one, other], [False, False]).cdc_distance is None
    assert film_means([one, other], [True, True]).cdc_distance == pytest.approx(0.052)


def test_the_first_frames_are_a_film_of_their_own(shelf, tmp_path):
    few = evaluate([shelf / "a.mkv"], limit=6)
    make_clip(tmp_path / "a.mkv", frames=6, pixel_format="yuv444p", codec="ffv1", color=True)
    cut = evaluate([tmp_path / "a.mkv"])
    assert few.limit == 6
    for one, other in zip(few.films[0].figures, cut.films[0].figures, strict=True):
        assert len(one.warp_errors_ab) == 5
        assert one.warp_errors_ab == pytest.approx(other.warp_errors_ab)
        assert one.measures.psnr == other.measures.psnr


def test_memory_does_not_grow_with_the_film(tmp_path, monkeypatch):
    long = make_clip(tmp_path / "long.mkv", frames=130, width=48, height=32, color=True)
    read = 0

    def counted(*given, **named):
        nonlocal read
        for frame in read_frames(*given, **named):
            read += 1
            yield frame

    most = 0

    def report(done, total):
        nonlocal most
        most = max(most, read - done)
        assert total == 130

    monkeypatch.setattr(films_module, "read_frames", counted)
    evaluation = evaluate([long], report=report)
    assert read == len(evaluation.films[0].seconds) == 130, "decoded once for all ways"
    assert most < 70


def test_two_networks_side_by_side(shelf):
    other = Candidate(label="mine", settings=Settings(**MACHINE, batch=3))
    evaluation = evaluate([shelf / "b.mp4"], (STANDIN, other), limit=4)
    labels = [row.label for row in evaluation.renderings]
    assert labels == [
        "gray",
        *(f"standin, {way}" for way in WAYS),
        *(f"mine, {way}" for way in WAYS),
        "truth",
    ]
    assert [each.label for each in evaluation.painters] == ["standin", "mine"]
    figures = evaluation.films[0].figures
    for n in range(1, 5):
        assert figures[n].warp_errors_ab == pytest.approx(figures[n + 4].warp_errors_ab, abs=1e-3)
    ((_, table),) = film_tables(evaluation)
    assert table[0].count("x per-frame") == 1, "four frames are too few for CDC"
    column = [line[table[0].index("x per-frame")] for line in table[1:]]
    assert (column[0], column[1], column[5], column[-1]) == ("-", "1.00", "1.00", "-")


def test_films_that_cannot_be_read_are_named_and_skipped(shelf, tmp_path, monkeypatch):
    (tmp_path / "text.mp4").write_text("no film")
    paths = [tmp_path / "text.mp4", shelf / "a.mkv", tmp_path / "lost.mkv", shelf / "b.mp4"]

    def breaking(info, **named):
        frames = read_frames(info, **named)
        yield next(frames)
        if info.path.name == "a.mkv":
            raise SourceError("a.mkv went away.")
        yield from frames

    monkeypatch.setattr(films_module, "read_frames", breaking)
    evaluation = evaluate(paths, limit=5)
    assert [film.name for film in evaluation.films] == ["b.mp4"]
    assert list(evaluation.unreadable) == ["text.mp4", "lost.mkv", "a.mkv"]
    assert "3 more films couldn't be read." in list(film_sentences(evaluation))
    with pytest.raises(SourceError, match=r"text\.mp4"):
        evaluate(paths[:1])
    with pytest.raises(UsageError, match="network"):
        evaluate(paths, ())


def test_weights_are_opened_once_for_all_ways(shelf):
    opened = []

    def once(settings):
        opened.append(settings)
        return open_engine(settings)

    evaluate([shelf / "a.mkv", shelf / "b.mp4"], limit=2, open_engine=once)
    assert opened == [STANDIN.settings]


def test_a_short_film_and_a_tiny_one(tmp_path):
    make_clip(tmp_path / "one.mkv", frames=1, color=True)
    make_clip(tmp_path / "tiny.mkv", frames=6, width=10, height=8, codec="ffv1", color=True)
    evaluation = evaluate([tmp_path / "one.mkv", tmp_path / "tiny.mkv"])
    one, tiny = (film.figures[BALANCED].measures for film in evaluation.films)
    assert (one.cdc, one.warp_error, one.warp_error_ab) == (None, None, None)
    assert tiny.cdc is not None
    assert (tiny.warp_error, tiny.warp_error_ab) == (None, None)
    json.loads(json.dumps(film_figures_of(evaluation, series=True), allow_nan=False))


def test_a_gray_film_is_said_to_be_gray(tmp_path):
    make_clip(tmp_path / "gray.mkv", frames=3)
    said = " ".join(film_sentences(evaluate([tmp_path / "gray.mkv"])))
    assert "Without any colour of its own: gray.mkv." in said


def test_a_look_is_what_is_shown(tmp_path):
    info = probe(make_clip(tmp_path / "r.mkv", frames=1, width=64, height=48, color=True))
    frame = next(read_frames(info))
    view = Look(info, (64, 48)).at(frame.luma, frame.chroma)
    shown = display_rgb(frame.luma, frame.chroma, info, size=(64, 48))
    assert abs(view.rgb * 255 - shown).max() < 2.5, "chroma is rounded after it is enlarged there"
    turned = Look(info, (48, 64), rotation=90).at(frame.luma, frame.chroma)
    np.testing.assert_allclose(turned.rgb, np.rot90(view.rgb, -1), atol=1e-6)
    assert np.ptp(view.without_chroma().rgb, axis=2).max() == 0


def test_names_that_tell_files_apart(tmp_path):
    paths = [tmp_path / "x" / "a.mp4", tmp_path / "y" / "a.mp4"]
    assert told_apart(paths[:1]) == ["a.mp4"]
    assert told_apart(paths) == ["x/a.mp4", "y/a.mp4"]
    assert told_apart([paths[0], paths[0]]) == ["a.mp4", "a.mp4"]


def test_the_files(measured, tmp_path):
    write_film_files(measured, tmp_path / "out")
    text = (tmp_path / "out" / "table.md").read_text()
    titles = [line for line in text.splitlines() if line.startswith("### ")]
    assert titles == [
        "### a.mkv: 14 frames at 64x48",
        "### b.mp4: 9 frames at 64x48",
        "### Mean of 2 films",
    ]
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert [row["label"] for row in figures["rows"]] == ["gray", *WAYS, "truth"]
    for film, frames in zip(figures["films"], (14, 9), strict=True):
        assert film["frames"] == len(film["seconds"]) == frames
        for row in film["rows"]:
            assert len(row["warp_errors_ab"]) == frames - 1
            mean = np.mean([value for value in row["warp_errors_ab"] if value is not None])
            assert row["warp_error_ab"] == pytest.approx(mean, rel=1e-4, abs=1e-6)
    assert "warp_errors_ab" not in str(film_figures_of(measured, series=False))


# The command.


@pytest.fixture
def run(capsys):
    def run(*arguments):
        words = [str(word) for word in arguments]
        code = run_arguments(["evaluate", "--model", "standin", "--threads", "1", *words])
        return code, *capsys.readouterr()

    return run


def test_tables_of_markdown_on_a_pipe(run, shelf, tmp_path):
    code, out, err = run("--clips", shelf, "--limit", "6", "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    assert out.count("| balanced ") == 3
    assert "### Mean of 2 films" in out
    assert "2 films from clips" in out.replace(shelf.name, "clips")
    assert (tmp_path / "out" / "table.md").read_text().split("\n\n")[1] in out
    code, out, err = run("--clips", shelf, "--limit", "6", "-o", tmp_path / "out")
    assert (code, out) == (1, "")
    assert "--overwrite" in err


def test_json_and_files_instead_of_folders(run, shelf):
    code, out, err = run("--clips", shelf / "b.mp4", "--clips", shelf, "--limit", "2", "--json")
    assert (code, err) == (0, "")
    figures = json.loads(out)
    assert [film["name"] for film in figures["films"]] == ["b.mp4", "a.mkv"], "each once"
    assert figures["limit"] == 2
    assert "seconds" not in figures["films"][0]


def test_a_film_that_cannot_be_read_is_a_warning_among_others(run, shelf, tmp_path):
    (tmp_path / "text.mp4").write_text("no film")
    code, out, err = run("--clips", tmp_path / "text.mp4", "--clips", shelf, "--limit", "2")
    assert code == 0
    assert err.startswith("warning: ")
    assert (err.count("\n"), "text.mp4" in err) == (1, True)
    assert "1 more film couldn't be read." in out


WRONG = {
    "neither": ([], 2, "--photos, or films with --clips"),
    "both": (["--photos", ".", "--clips", "."], 2, "--photos and --clips"),
    "an empty folder": (["--clips", "empty"], 1, "empty is a folder without films"),
    "no name": (["--clips", ""], 2, "--clips is empty"),
    "no such film": (["--clips", "lost.mp4"], 1, "lost.mp4 doesn't exist"),
    "no film": (["--clips", "text.mp4"], 1, "text.mp4"),
    "a size": (["--clips", "text.mp4", "--size", "64"], 2, "--size is for photographs"),
    "a limit": (["--clips", "text.mp4", "--limit", "0"], 2, "--limit was given '0'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_goes_wrong_is_one_sentence(run, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no film")
    words, expected, said = WRONG[case]
    code, out, err = run(*words)
    assert (code, out) == (expected, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err


@pytest.mark.parametrize("columns", ["60", "100", "200"])
def test_a_table_on_a_terminal_keeps_its_figures(measured, monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    tell_films(measured, None, as_json=False)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert "a.mkv: 14 frames at 64x48" in lines
    for _, table in film_tables(measured):
        for cells in table[1:]:
            assert " ".join(cells).split() in [line.split() for line in lines]
