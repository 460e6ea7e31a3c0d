"""What the speed benchmarks stand on: films made in code, costs, slopes, floors, the machine."""

from __future__ import annotations

import re
import sys
from itertools import pairwise

import av
import floors
import machine
import numpy as np
import pytest
import speed_films
import timing

MIB = 2**20


def lumas(film):
    """Every frame's luma (n, h, w), and its chroma."""
    with av.open(str(film)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(video=0)]
        height = container.streams.video[0].height
    stack = np.stack(frames)
    return stack[:, :height], stack[:, height:]


def cost(wall):
    return timing.Cost(wall, wall, 100 * MIB)


class TestFilms:
    def test_the_same_call_makes_the_same_pictures(self):
        one, other = (np.stack(list(speed_films.pictures(64, 48, 4, 7))) for _ in range(2))
        assert (one == other).all()
        assert one.min() >= 16
        assert one.max() <= 235
        another = np.stack(list(speed_films.pictures(64, 48, 4, 8)))
        assert (one != another).any()

    @pytest.mark.parametrize("bits", [8, 10])
    def test_a_film_is_gray_and_of_its_depth(self, tmp_path, bits):
        film = speed_films.make_film(tmp_path / "film.mp4", 64, 48, frames=3, bits=bits)
        luma, chroma = lumas(film)
        assert luma.shape == (3, 48, 64)
        assert (chroma == 1 << (bits - 1)).all()
        assert luma.max() > 100 << (bits - 8)
        with av.open(str(film)) as container:
            assert container.streams.video[0].format.name.endswith("10le") == (bits == 10)

    @pytest.mark.parametrize("codes", [0.0, speed_films.GRAIN_CODES])
    def test_a_film_has_the_grain_it_should(self, codes):
        grainy, clean = (next(speed_films.pictures(128, 96, 1, 1, each)) for each in (codes, 0.0))
        inside = (grainy > 16) & (grainy < 235) & (clean > 16) & (clean < 235)
        assert (grainy - clean)[inside].std() == pytest.approx(codes, rel=0.1)

    def test_grain_is_never_the_same_twice(self):
        bank = speed_films.grain_bank(128, 96, 1)
        cuts = [speed_films.grain(bank, 128, 96, 1, n) for n in range(6)]
        for cut in cuts:
            assert cut.std() == pytest.approx(1, rel=0.1)
        for one, other in pairwise(cuts):
            assert (one != other).any()

    def test_shots_are_cut_and_move(self):
        shot = speed_films.SHOT_SECONDS * speed_films.RATE
        frames = list(speed_films.pictures(64, 48, shot + 1, 1))
        within = np.abs(frames[1] - frames[0]).mean()
        across = np.abs(frames[shot] - frames[shot - 1]).mean()
        assert across > 5 * within
        assert np.abs(frames[shot - 1] - frames[0]).mean() > 2 * within

    def test_an_opening_is_the_beginning(self, tmp_path):
        gop = speed_films.GOP_FRAMES
        whole = speed_films.make_film(tmp_path / "film.mp4", 64, 48, frames=2 * gop)
        short = speed_films.opening(whole, tmp_path / "short.mp4", frames=gop)
        one, other = lumas(whole)[0], lumas(short)[0]
        assert len(one) == 2 * gop
        assert (one[:gop] == other).all()
        with pytest.raises(ValueError, match="keyframe"):
            speed_films.opening(whole, tmp_path / "odd.mp4", frames=gop + 1)


class TestTiming:
    def test_a_peak_is_the_commands_own(self):
        mine = bytearray(200 * MIB)
        mine[:: 2**12] = b"x" * len(mine[:: 2**12])
        assert timing.cost_of(["true"]).peak < 60 * MIB
        allocate = "x = bytearray(100 * 2**20); x[::4096] = b'x' * len(x[::4096]); print('made')"
        cost = timing.cost_of([sys.executable, "-c", allocate])
        assert 100 * MIB < cost.peak < 200 * MIB
        assert cost.said == "made"
        assert cost.cpu > 0
        assert cost.wall > 0

    def test_a_command_that_fails_is_told_in_its_own_words(self):
        words = [sys.executable, "-c", "raise SystemExit('no film here')"]
        with pytest.raises(timing.CommandError, match="failed with 1: no film here"):
            timing.cost_of(words)

    def test_patience_ends(self):
        with pytest.raises(timing.CommandError, match="took over"):
            timing.cost_of(["sleep", "60"], timeout=0.2)

    def test_every_second_round_runs_backwards(self, monkeypatch):
        asked = []

        def timed(words):
            asked.append(words[0])
            return cost(1)

        monkeypatch.setattr(timing, "cost_of", timed)
        costs = timing.interleaved({"a": ["a"], "b": ["b"]}, rounds=3)
        assert asked == ["a", "b", "b", "a", "a", "b"]
        assert [len(each) for each in costs.values()] == [3, 3]

    def test_a_slope_leaves_out_the_start(self):
        short = [cost(2 + 0.1 * 10), cost(3 + 0.1 * 10)]
        long = [cost(2 + 0.1 * 60), cost(3 + 0.1 * 60)]
        frame = timing.slopes(long, short, 50)
        assert frame.values == pytest.approx((0.1, 0.1))
        assert timing.start_up(short, frame, 10).values == pytest.approx((2, 3))

    def test_ratios_are_of_one_round(self):
        one, other = timing.Figure((2.0, 6.0, 3.0)), timing.Figure((1.0, 3.0, 2.0))
        ratio = timing.over(one, other)
        assert ratio.values == (2.0, 2.0, 1.5)
        assert (ratio.median, ratio.spread) == (2.0, 0.25)
        assert ratio.cell(1, 10) == "20.0 ± 2.5"


class TestFloors:
    @pytest.mark.parametrize(
        ("values", "verdict"),
        [((1.1, 1.2, 1.3), "kept"), ((1.2, 1.3, 1.4), "within the spread"), ((2, 2.1), "MISSED")],
    )
    def test_a_miss_is_more_than_the_spread(self, values, verdict, capsys):
        floor = floors.Floor(words="time", figure=timing.Figure(values), at_most=1.25)
        assert floor.verdict == verdict
        assert floors.code_of([floor]) == (verdict == "MISSED")
        assert ("missed: time" in capsys.readouterr().err) == (verdict == "MISSED")

    def test_a_gain_counts_the_other_way(self):
        figure = timing.Figure((8.0, 8.2))
        assert not floors.Floor(words="gain", figure=figure, at_least=7).missed
        assert floors.Floor(words="gain", figure=figure, at_least=9).missed
        with pytest.raises(ValueError, match="one bound"):
            floors.Floor(words="gain", figure=figure)


def test_the_machine_says_what_it_is():
    text = "\n".join(machine.machine_lines())
    assert len(re.findall(r"x264 core \d+", text)) == 2, text
    for word in ("cores", "torch", "PyAV", "FFmpeg", "OpenCV"):
        assert word in text
