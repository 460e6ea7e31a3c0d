"""What is picked from a film: different shots, nothing black, nothing twice, always the same."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from tests.clips import luma, make_clip, write_plane
from vidcolor import moments
from vidcolor.media.probe import probe
from vidcolor.moments import Look, MomentsPick, RangePick, choose, choose_moments, every_nth

RATE = 24


def film_of(path, lumas):
    """A film of given luma planes (48, 64), without loss."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number, plane in enumerate(lumas):
            frame = av.VideoFrame(64, 48, "yuv420p")
            write_plane(frame.planes[0], plane)
            for chroma in frame.planes[1:]:
                write_plane(chroma, np.full((24, 32), 128, np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def still(seed):
    return luma(0, seed=seed)


def flat(level):
    return np.full((48, 64), level, np.uint8)


def numbers(path, count):
    info = probe(path)
    picked = [(pts - info.start_pts) * info.time_base * RATE for pts in choose_moments(info, count)]
    assert picked == sorted(set(picked))
    return [round(number) for number in picked]


def test_black_and_flat_frames_are_passed_over(tmp_path):
    lumas = [flat(16)] * 20 + [still(1)] * 10 + [flat(235)] * 20 + [still(2)] * 6 + [flat(20)] * 30
    film = film_of(tmp_path / "film.mkv", lumas)
    first, second = numbers(film, 2)
    assert 20 <= first < 30
    assert 50 <= second < 56
    assert all(20 <= n < 30 or 50 <= n < 56 for n in numbers(film, 5))


def test_what_came_before_isnt_shown_again_while_something_else_is_there(tmp_path):
    shots = [1, 2, 1, 2, 1, 3, 1, 2, 4]
    film = film_of(tmp_path / "film.mkv", [still(s) for s in shots for _ in range(8)])
    assert sorted(shots[n // 8] for n in numbers(film, 4)) == [1, 2, 3, 4]
    # Nothing else is there, so that many are shown all the same.
    assert len(numbers(film, 7)) == 7


def test_one_long_shot_is_shown_evenly(tmp_path):
    film = film_of(tmp_path / "film.mkv", [still(1)] * 80)
    assert numbers(film, 4) == [10, 30, 50, 70]


@pytest.mark.parametrize("frames", [1, 3])
def test_a_film_with_fewer_frames_than_moments(tmp_path, frames):
    assert numbers(make_clip(tmp_path / "film.mkv", frames=frames), 8) == list(range(frames))


def test_a_film_that_is_black_throughout(tmp_path):
    assert len(numbers(film_of(tmp_path / "film.mkv", [flat(16)] * 9), 8)) == 1


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_a_long_film_is_sampled(tmp_path, monkeypatch, suffix):
    """Without reading it whole; a scaled-down limit stands for a long film."""
    monkeypatch.setattr(moments, "READ_WHOLE_SAMPLES", 0)
    monkeypatch.setattr(moments, "_all_looks", lambda info: pytest.fail("it was read whole"))
    codec = "mpeg4" if suffix == "avi" else None
    path = tmp_path / f"film.{suffix}"
    film = make_clip(path, frames=96, cuts=(20, 50, 70), gop=10, codec=codec)
    picked = numbers(film, 4)
    assert [sum(n >= cut for cut in (20, 50, 70)) for n in picked] == [0, 1, 2, 3]
    assert numbers(film, 4) == picked


def test_few_keyframes_are_no_obstacle(tmp_path, monkeypatch):
    """One keyframe in 600 frames: more than sampling reads, so frames between are sought."""
    monkeypatch.setattr(moments, "READ_WHOLE_SAMPLES", 0)
    film = make_clip(tmp_path / "film.mkv", frames=600, width=16, height=16, gop=600)
    picked = numbers(film, 4)
    assert len(picked) == 4
    assert picked[-1] > 400


def look(pts, picture, shot, *, blank=False):
    return Look(pts, np.full((60, 80), picture, np.uint8), shot, blank)


def test_shots_that_look_much_alike_come_after_others():
    looks = [look(pts, [50, 58, 120, 200][pts // 10], pts // 10) for pts in range(40)]
    assert [pts // 10 for pts in choose(looks, 3, 0, 40)] == [0, 2, 3]
    assert [pts // 10 for pts in choose(looks, 4, 0, 40)] == [0, 1, 2, 3]


def test_a_range_pick_counts_and_ends():
    pick = RangePick(10, every_nth(10, 3))
    wanted = [pts for pts in range(100, 120) if pick(pts)]
    assert wanted == [100, 103, 106, 109]
    assert pick.tiles == {100, 103, 106}
    assert pick.last == 109
    assert pick.frames == 10
    short = RangePick(10, every_nth(10, 3))
    assert [pts for pts in range(5) if short(pts)] == [0, 3]
    assert (short.frames, short.last) == (5, None)


def test_a_moments_pick_wants_each_once():
    pick = MomentsPick([10, 20, 21, 50])
    assert [pts for pts in (4, 10, 12, 30, 31, 49, 55, 60) if pick(pts)] == [10, 30, 55]
