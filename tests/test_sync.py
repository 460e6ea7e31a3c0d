"""A film's sound stays with its picture; the judge of that sees what has moved."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import sync
from decoded import Packet
from sources import ffmpeg

SECONDS, CUT_SECONDS = 16, 6


@pytest.fixture(scope="module")
def short():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sync, "CUT_SECONDS", CUT_SECONDS)
        patch.setattr(sync, "SHORT_SECONDS", CUT_SECONDS)
        yield


@pytest.fixture(scope="module")
def film(tmp_path_factory, short):
    return sync.make_film(tmp_path_factory.mktemp("films") / "film.mp4", SECONDS)


@pytest.fixture(scope="module")
def found(film):
    return sync.measured(film)


def problems(before, after, container="mp4"):
    return sync.compared("film", before, after, container).problems


def test_the_film_is_what_it_is_said_to_be(found):
    assert len(found.times) == -(-SECONDS * sync.RATE // 1)
    assert found.flashes == [frame / sync.RATE for frame in sync.markers(SECONDS)]
    for beeps in found.beeps:
        offsets = [beep - flash for beep, flash in zip(beeps, found.flashes, strict=True)]
        assert max(map(abs, offsets)) < sync.PACKET_SECONDS
    for packets in found.packets:
        assert len({packet.digest for packet in packets}) == len(packets)
    assert [title for _, _, title in found.chapters] == [f"Part {n}" for n in range(1, 6)]
    assert problems(found, found) == []


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_a_film_stays_in_step_and_so_does_its_part(tmp_path, monkeypatch, short, container):
    monkeypatch.setattr(sync, "run", in_process)
    whole, part = sync.verdicts_of(container, SECONDS, tmp_path)
    assert whole.problems == []
    assert part.problems == []
    assert len(whole.cells) == len(part.cells) == len(sync.HEADER)
    assert part.cells[0] == f"0:00:08 to 0:00:14, {container}"


def in_process(film, *words):
    """As `sync.run`, without a program of its own."""
    from vidcolor.jobs.local import Order, run_film
    from vidcolor.jobs.plan import Moment
    from vidcolor.settings import Settings

    output = film.with_name(f"{film.name}{len(words)}.color{sync.suffix_of(film)}")
    settings = Settings(model="standin", anchor_every=8, encoder_preset="ultrafast", threads=1)
    start, end = (Moment.parse(word) for word in words[1::2]) if words else (None, None)
    run_film(Order(source=film, output=output, settings=settings, start=start, end=end))
    return output, 1.0, 300


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["-bsf:a:0", "setts=ts=TS+480"], "AAC: packets"),
        (["-bsf:a:1", "setts=ts=TS+1536"], "AC-3: beep after flash"),
        (["-bsf:v", "setts=ts=TS+1001"], "frames' times"),
        (["-map_chapters", "-1"], "chapters"),
        (["-c:a:1", "ac3", "-b:a:1", "64k"], "AC-3: packets: 500, others"),
    ],
)
def test_what_has_moved_is_seen(film, found, tmp_path, words, problem):
    moved = tmp_path / "moved.mp4"
    ffmpeg("-i", str(film), "-map", "0:v", "-map", "0:a", "-c", "copy", *words, str(moved))
    said = problems(found, sync.measured(moved))
    assert any(problem in each for each in said), said


def test_a_missing_frame_is_seen(found):
    shorter = replace(found, times=found.times[:-1])
    assert "384 became 383" in problems(found, shorter)[0]


def test_a_part_is_cut_from_what_was_measured():
    second = Fraction(1)
    film = sync.Measured(
        times=[n * second for n in range(10, 20)],
        flashes=[13 * second],
        packets=[[Packet(n * second / 2, str(n)) for n in range(60)]],
        beeps=[[13 * second, 18 * second]],
        chapters=[(0 * second, 12 * second, "a"), (12 * second, 30 * second, "b")],
    )
    part = sync.cut(film, 2, 5)
    assert part.times == [0, 1, 2]
    assert part.flashes == [1]
    assert [packet.digest for packet in part.packets[0]] == ["24", "25", "26", "27", "28", "29"]
    assert part.beeps == [[1]]
    assert part.chapters == [(0 * second, 3 * second, "b")]


def test_memory_that_grows_is_seen(found, monkeypatch, tmp_path, short):
    monkeypatch.setattr(sync, "BYTES_A_PACKET", 2**20 / 1000)
    # Of 1384 packets.
    peaks = iter([300, 302, 300])
    monkeypatch.setattr(sync, "run", lambda film, *words: (film, 1.0, next(peaks)))
    monkeypatch.setattr(sync, "make_film", lambda path, seconds: path)
    monkeypatch.setattr(sync, "measured", lambda film: found)
    whole, _ = sync.verdicts_of("mp4", SECONDS, tmp_path)
    assert len(whole.problems) == 1
    assert "302 MiB of memory, and 300 MiB for 6 s" in whole.problems[0]


@pytest.mark.long
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_two_hours_stay_in_step(tmp_path, container):
    verdicts = list(sync.verdicts_of(container, sync.SECONDS, tmp_path))
    assert [problem for verdict in verdicts for problem in verdict.problems] == []
