"""The plan: segments that tile the film, borders people can reason about, times people write."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from vidcolor.errors import UsageError
from vidcolor.frames import BEGINNING, END, ColorTags, VideoInfo
from vidcolor.jobs.plan import Moment, cut_range, plan_segments


def make_info(time_base=Fraction(1, 1000), start_pts=0):
    return VideoInfo(
        path=Path("film.mkv"),
        container="matroska,webm",
        stream_index=0,
        codec="h264",
        width=64,
        height=48,
        sample_aspect=Fraction(1),
        rotation=0,
        rate=Fraction(25),
        time_base=time_base,
        start_pts=start_pts,
        duration_seconds=None,
        frames_from_header=None,
        pixel_format="yuv420p",
        bit_depth=8,
        subsampling="420",
        tags=ColorTags(matrix=6, primaries=6, transfer=6, full_range=False),
        times_from="decoder",
        seekable=True,
        streams=(),
    )


INFO = make_info()


def assert_tiles(segments, times, start, end):
    """The segments cover [start, end) without gap or overlap, each with a frame inside."""
    assert [part.index for part in segments] == list(range(len(segments)))
    assert segments[0].start == start
    assert segments[-1].end == end
    assert all(a.end == b.start for a, b in pairwise(segments))
    for part in segments:
        assert any(part.start <= t < part.end for t in times), f"{part} has no frame"


def test_one_minute_at_25_fps_is_six_segments():
    times = list(range(0, 60_000, 40))
    segments = plan_segments(times, [], INFO, 10.0)
    assert_tiles(segments, times, BEGINNING, END)
    assert [part.start for part in segments[1:]] == [10_000, 20_000, 30_000, 40_000, 50_000]


def test_a_border_goes_to_a_keyframe_within_a_quarter():
    times = list(range(0, 60_000, 40))
    segments = plan_segments(times, [0, 7_000, 11_000, 12_000, 24_000], INFO, 10.0)
    # 11 s is nearer to 10 s than 12 s, 24 s is beyond 21 + 2.5 s at none, so 21 s is even.
    assert [part.start for part in segments[1:3]] == [11_000, 21_000]


def test_a_keyframe_that_shows_no_frame_is_no_border():
    times = list(range(0, 60_000, 40))
    segments = plan_segments(times, [10_010], INFO, 10.0)
    assert segments[1].start == 10_000


@pytest.mark.parametrize(("seconds_in_all", "segments"), [(14.9, 1), (15.2, 2), (24.9, 2)])
def test_no_tiny_last_segment(seconds_in_all, segments):
    times = list(range(0, int(seconds_in_all * 1000), 40))
    plan = plan_segments(times, [], INFO, 10.0)
    assert len(plan) == segments
    last = sum(plan[-1].start <= t < plan[-1].end for t in times)
    assert last * 40 >= 5_000


def test_one_frame_is_one_segment():
    assert_tiles(plan_segments([400], [400], INFO, 10.0), [400], BEGINNING, END)


def test_a_cut_keeps_its_own_ends():
    times = list(range(0, 60_000, 40))
    segments = plan_segments(times, [0, 12_000], INFO, 10.0, 5_000, 33_333)
    assert_tiles(segments, times, 5_000, 33_333)


def test_a_picture_shown_for_minutes_is_one_segment():
    times = [0, 40, 300_000, 300_040]
    segments = plan_segments(times, [], INFO, 10.0)
    assert_tiles(segments, times, BEGINNING, END)


def test_an_empty_range_is_refused():
    with pytest.raises(UsageError, match="no frame"):
        plan_segments([0, 40, 80], [], INFO, 10.0, 41, 79)


def test_any_times_are_tiled_the_same_way_twice():
    rng = random.Random(1)
    for _ in range(200):
        times = sorted(rng.sample(range(-5_000, 100_000), rng.randint(1, 300)))
        keyframes = sorted(rng.sample(times, rng.randint(1, len(times))))
        seconds = rng.choice([0.2, 1.0, 3.3, 10.0])
        segments = plan_segments(times, keyframes, INFO, seconds)
        assert_tiles(segments, times, BEGINNING, END)
        assert segments == plan_segments(times, keyframes, INFO, seconds)
        for part in segments[1:]:
            assert part.start in times


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("12.5", Moment(seconds=Fraction(25, 2))),
        ("0", Moment(seconds=Fraction(0))),
        (".5", Moment(seconds=Fraction(1, 2))),
        ("1:30", Moment(seconds=Fraction(90))),
        ("0:01:30.250", Moment(seconds=Fraction(361, 4))),
        ("2:00:00", Moment(seconds=Fraction(7200))),
        ("300f", Moment(frame=300)),
    ],
)
def test_times_people_write(text, moment):
    assert Moment.parse(text) == moment


@pytest.mark.parametrize("text", ["", "abc", "-3", "1:75", "1:60:00", "12.5f", "f", "1e3", "1,5"])
def test_times_nobody_means(text):
    with pytest.raises(UsageError, match="isn't a time"):
        Moment.parse(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0", "0 s"),
        ("10", "10 s"),
        ("1:02:03.251", "3723.251 s"),
        ("0.000011", "0.000011 s"),
        ("7f", "7f"),
    ],
)
def test_times_are_told_apart_when_shown(text, shown):
    assert str(Moment.parse(text)) == shown


def test_seconds_count_from_the_first_frame():
    info = make_info(Fraction(1, 24000), start_pts=12_000)
    assert Moment.parse("1.001").pts([], info) == 12_000 + 24_024
    # Between two ticks the later one: no frame before the moment is let in.
    assert Moment.parse("0.0001").pts([], info) == 12_000 + 3


def test_a_frame_number_counts_shown_frames():
    times = [0, 40, 90, 110]
    assert Moment.parse("2f").pts(times, INFO) == 90
    assert cut_range(Moment.parse("1f"), Moment.parse("3f"), times, INFO) == (40, 110)
    assert cut_range(Moment.parse("1f"), Moment.parse("4f"), times, INFO) == (40, END)


def test_without_a_cut_the_ends_are_open():
    assert cut_range(None, None, [0, 40], INFO) == (BEGINNING, END)


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("0.08", "0.04", "no frame lies between"),
        ("3f", "1f", "no frame lies between"),
        ("0.05", "0.07", "no frame lies between"),
        ("2f", "2f", "no frame lies between"),
        ("0.2", None, "beyond the film's end"),
        ("4f", None, "beyond the film's end"),
        (None, "0", "no frame lies between"),
    ],
)
def test_ranges_without_a_frame(start, end, said):
    first, last = (Moment.parse(text) if text else None for text in (start, end))
    with pytest.raises(UsageError, match=said):
        cut_range(first, last, [0, 40, 80, 120], INFO)
