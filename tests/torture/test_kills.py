"""Jobs killed at any moment, by the hundred: the same command ends with the same film.

The short versions run with every other test, half a dozen films each. The long ones print how many
kills fell into which phase. A failure names its case; `TORTURE_CASE=17` repeats it alone.
"""

# ruff: noqa: T201 - counts are for whoever runs the long suite

from __future__ import annotations

import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.clips import make_clip
from tests.torture.jobs import FAST, SEGMENT_FRAMES, Place, Whole
from tests.torture.jobs_board import PHASES

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="runs are forked, and watched in /proc"
)

SEGMENTS = 8

MKV, MP4 = "film.color.mkv", "film.color.mp4"
"""In MP4 the film's text has to be converted, by another program."""

INTERRUPTED = "interrupted; give the same command again to go on where it was.\n"

LEAST = 5
"""Kills in each phase of the long version."""

SAMPLE = 6
"""Cases of a short version."""

WEIGHTS = {
    "opening": 1,
    "facts": 2,
    "indexing": 2,
    "plan": 2,
    "checking": 2,
    "colouring": 6,
    "segment commit": 4,
    "marker": 4,
    "join": 4,
    "rename": 4,
    "clean-up": 4,
}
"""How often each phase is aimed at. A shot may land beside it."""


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    frames = SEGMENTS * SEGMENT_FRAMES
    return make_clip(path, frames=frames, width=64, height=36, gop=6, audio=True, subtitle=True)


@pytest.fixture(scope="module")
def wholes(film, tmp_path_factory):
    """The film as uninterrupted runs make it, by the output's name; and how long phases last."""
    made = {}
    for name in (MKV, MP4):
        place = Place(tmp_path_factory.mktemp("whole"), film, name=name)
        ended = place.start().wait()
        assert (ended.code, ended.said) == (0, "")
        assert sorted(place.board.opened) == list(range(SEGMENTS))
        made[name] = Whole(place.output)
        assert made[name].frames == SEGMENTS * SEGMENT_FRAMES
        place.check_finished(made[name])
    return made


@pytest.fixture(scope="module")
def seconds(film, wholes, tmp_path_factory):
    """How long an uninterrupted run stays in each phase at most, without what is done once."""
    place = Place(tmp_path_factory.mktemp("timed"), film)
    place.start().wait()
    return {phase: place.board.longest(number) for number, phase in enumerate(PHASES)}


@contextmanager
def case(number: int) -> Iterator[random.Random]:
    """Draws for a case of its own; a failure inside says how to repeat it."""
    try:
        yield random.Random(number)
    except BaseException as error:
        error.add_note(f"This was case {number}; TORTURE_CASE={number} repeats it alone.")
        raise


def cases(count: int) -> range:
    alone = os.environ.get("TORTURE_CASE")
    return range(count) if alone is None else range(int(alone), int(alone) + 1)


def aim(rng: random.Random, seconds: dict[str, float]) -> tuple[str, int, float]:
    """A phase, which visit to it, and how long after its beginning to strike."""
    (phase,) = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
    if phase == "opening":
        return phase, 0, rng.uniform(0, 0.1)
    visit = rng.randint(1, SEGMENTS) if phase in ("segment commit", "marker") else 1
    return phase, visit, rng.uniform(0, 1.2 * seconds[phase])


def killed_and_resumed(
    place: Place, whole: Whole, rng: random.Random, seconds: dict[str, float], hit: Counter[str]
) -> None:
    """Kill the run one to four times, and let it finish."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        finished = place.finished()
        run = place.start()
        run.kill_in(*aim(rng, seconds))
        ended = run.wait()
        assert not place.begun_again(finished), "a finished segment was made twice"
        place.check_after_kill(whole)
        if ended.code == 0:
            # It was faster.
            assert ended.said == ""
            break
        assert ended.code == -signal.SIGKILL, ended
        hit[ended.phase] += 1
    finish(place, whole)


def killed_on_entering(place: Place, whole: Whole, phase: str) -> None:
    """Kill a run on the threshold of a phase, and let it finish."""
    place.output.unlink(missing_ok=True)
    if phase not in ("indexing", "plan"):  # which a job has once
        assert place.start(faults=[("at", "marker", 4)]).wait().code == -signal.SIGKILL
    finished = place.finished()
    ended = place.start(faults=[("at", phase, 1)]).wait()
    assert (ended.code, ended.phase) == (-signal.SIGKILL, phase)
    assert not place.begun_again(finished), "a finished segment was made twice"
    place.check_after_kill(whole)
    finish(place, whole)


def finish(place: Place, whole: Whole) -> None:
    """The same command goes on to the end, and does nothing twice."""
    finished, there = place.finished(), place.output.exists()
    ended = place.start().wait()
    assert (ended.code, ended.said) == (0, "")
    assert not place.begun_again(finished), "a finished segment was made twice"
    assert not (there and place.board.opened), "a finished film was made twice"
    place.check_finished(whole)


def test_killed_at_any_moment(film, wholes, seconds, tmp_path):
    hit: Counter[str] = Counter()
    for number in cases(SAMPLE):
        with case(number) as rng:
            name = rng.choice((MKV, MKV, MP4))
            place = Place(tmp_path / str(number), film, name=name)
            killed_and_resumed(place, wholes[name], rng, seconds, hit)


@pytest.mark.torture
def test_killed_at_hundreds_of_moments(film, wholes, seconds, tmp_path):
    """About 5 min. Phases too short for a shot to land in are met on their threshold."""
    hit: Counter[str] = Counter()
    done = 0
    for number in cases(180):
        with case(number) as rng:
            name = rng.choice((MKV, MKV, MP4))
            place = Place(tmp_path / str(number), film, name=name)
            killed_and_resumed(place, wholes[name], rng, seconds, hit)
            done += 1
    if "TORTURE_CASE" not in os.environ:
        for phase in [phase for phase in PHASES if hit[phase] < LEAST]:
            place = Place(tmp_path / phase, film)
            for _ in range(LEAST - hit[phase]):
                killed_on_entering(place, wholes[MKV], phase)
                hit[phase] += 1
    table("kills", hit, f"{done} films, {hit.total()} kills, all went on to the same film")
    if "TORTURE_CASE" not in os.environ:
        assert hit.total() >= 200


def table(what: str, hit: Counter[str], said: str) -> None:
    """Print counts by phase."""
    print(f"\n{said}")
    for phase in PHASES:
        print(f"  {phase:<16}{hit[phase]:>5} {what}")


def steps_from(place: Place, whole: Whole, numbers: Iterator[int]) -> Counter[str]:
    """Kill a run before each of these steps, and let it finish, until one comes to its end."""
    hit: Counter[str] = Counter()
    for number in numbers:
        ended = place.start(faults=[("step", number)]).wait()
        if ended.code == 0:
            break
        assert ended.code == -signal.SIGKILL, ended
        hit[ended.phase] += 1
        try:
            place.check_after_kill(whole)
            finish(place, whole)
        except AssertionError as error:
            error.add_note(f"This was step {number}, in the phase {ended.phase}.")
            raise
        place.output.unlink()
    return hit


def test_killed_before_some_steps(film, wholes, tmp_path):
    rng = random.Random(5)
    numbers = sorted(rng.sample(range(10, 70), SAMPLE))
    hit = steps_from(Place(tmp_path, film), wholes[MKV], iter(numbers))
    assert hit.total() > SAMPLE // 2


@pytest.mark.torture
@pytest.mark.parametrize("name", [MKV, MP4])
def test_killed_before_every_step(film, wholes, tmp_path, name):
    """About 2 min: each file opened, renamed or deleted, each folder made."""
    hit = steps_from(Place(tmp_path, film, name=name), wholes[name], iter(range(1, 1000)))
    table("steps", hit, f"{hit.total()} steps on the way to {name}, a kill before each")
    assert hit.total() > 5 * SEGMENTS


def interrupted(
    place: Place, whole: Whole, rng: random.Random, seconds: dict[str, float], number: int
) -> str:
    """Ask the run to end, once or twice; returns the phase aimed at, empty if it was faster."""
    phase, visit, after = "opening", 0, 0.0
    while phase in ("opening", "rename", "clean-up"):
        phase, visit, after = aim(rng, seconds)
    finished = place.finished()
    run = place.start(quick=False)
    run.kill_in(phase, visit, after, number)
    twice = rng.random() < 0.5
    if twice:
        run.kill_after(rng.uniform(0, 0.05), number)
    ended = run.wait()
    assert not place.begun_again(finished), "a finished segment was made twice"
    place.check_after_kill(whole)
    # At the very end a signal meets an interpreter that has taken its handlers down.
    if ended.code == 0 or (ended.code == -number and not ended.said):
        assert (ended.said, place.output.exists()) == ("", True), "it was faster"
        phase = ""
    else:
        assert ended.code == 130 or (twice and ended.code == -number), ended
        # Of two, the second may come before the sentence.
        assert ended.said == INTERRUPTED or (twice and not ended.said), ended
    finish(place, whole)
    return phase


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def test_interrupted_at_any_moment(film, wholes, seconds, tmp_path):
    for number in cases(len(SIGNALS)):
        with case(number) as rng:
            place = Place(tmp_path / str(number), film)
            interrupted(place, wholes[MKV], rng, seconds, SIGNALS[number % len(SIGNALS)])


@pytest.mark.torture
def test_interrupted_at_many_moments(film, wholes, seconds, tmp_path):
    """About 2 min."""
    hit: Counter[str] = Counter()
    for number in cases(100):
        with case(number) as rng:
            place = Place(tmp_path / str(number), film)
            signal_number = SIGNALS[number % len(SIGNALS)]
            hit[interrupted(place, wholes[MKV], rng, seconds, signal_number)] += 1
    table("signals", hit, f"{hit.total() - hit['']} runs interrupted, {hit['']} were faster")
    assert hit.total() - hit[""] > hit.total() // 2 or "TORTURE_CASE" in os.environ


def test_the_runs_are_what_they_seem(film, tmp_path):
    """A run that is killed nowhere has been everywhere, and finds its options."""
    place = Place(tmp_path, film)
    assert place.start().wait().code == 0
    assert all(place.board.entered(number) for number in range(1, len(PHASES)))
    assert place.command[-len(FAST) :] == list(FAST)
