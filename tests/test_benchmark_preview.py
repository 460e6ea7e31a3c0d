"""The preview's benchmark measures the film it says it does."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.clips import make_clip
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "preview.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_preview", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_clip_is_repeated_frame_by_frame(bench, tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", frames=24)
    film = bench.repeated(clip, tmp_path / "film.mp4", 3)
    once, thrice = (list(read_frames(probe(path))) for path in (clip, film))
    assert len(thrice) == 3 * len(once)
    step = once[1].pts - once[0].pts
    assert [frame.pts for frame in thrice] == [once[0].pts + n * step for n in range(72)]
    for n, frame in enumerate(thrice):
        assert (frame.luma == once[n % 24].luma).all()


def test_it_prints_every_run_and_the_median(bench, monkeypatch, capsys):
    figures = iter([[0.9, 3.0], 0.5, [1.1, 2.0], 0.25, [1.0, 5.0], 1.0])
    asked = []

    def child(program, *words):
        asked.append(words)
        assert words[0].is_file()
        return next(figures)

    monkeypatch.setattr(bench, "child", child)
    monkeypatch.setattr(bench, "CLIP_SECONDS", 1)
    monkeypatch.setattr(sys, "argv", ["preview.py", "--seconds", "2", "--size", "64x48"])
    assert bench.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "| 64x48 | median | 1.00 s | 3.00 s | 0.50 s | 6.0 |"
    assert "| 64x48 | 2 | 1.10 s | 2.00 s | 0.25 s | 8.0 |" in lines
    assert {words[-2] for words in asked} == {1.0}, "from the film's middle"


def test_a_slow_median_fails(bench, monkeypatch):
    monkeypatch.setattr(bench, "timed", lambda *_: (1.0, bench.LIMIT + 0.1, 1.0))
    monkeypatch.setattr(bench, "CLIP_SECONDS", 1)
    monkeypatch.setattr(sys, "argv", ["preview.py", "--seconds", "1", "--size", "64x48"])
    assert bench.main() == 1


def test_the_programs_it_times_run(bench, tmp_path):
    film = make_clip(tmp_path / "film.mp4", frames=72)
    imports, preview, decoding = bench.timed(film, 0.5, "standin")
    assert min(imports, preview, decoding) > 0
    assert (tmp_path / "sheet.preview.png").is_file()


def test_a_program_that_fails_ends_it(bench):
    with pytest.raises(SystemExit, match="failed"):
        bench.child("raise SystemExit(3)", "film.mp4")
