"""More than two thousand broken films: none crashes, hangs, eats memory, or loses step.

make torture
.venv/bin/python -m tests.broken_films h264.mp4 flips 17    # one of them again
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Iterable

import pytest

from tests.broken_films import FILMS, Breaker, Case, Result

pytestmark = pytest.mark.torture

FLIPPED = ("h264.mp4", "h264.mkv", "mpeg4.avi", "h264.ts", "mpeg2.vob")
"""A film of each of five containers; the two hundred flips of each are also other codecs'."""

FLIPS = 200


@pytest.fixture(scope="module")
def breaker(tmp_path_factory):
    if not hasattr(os, "pidfd_open"):
        pytest.skip("children are waited for as only Linux has it")
    with Breaker(tmp_path_factory.mktemp("broken")) as breaker:
        yield breaker


def container_of(film: str) -> str:
    return film.rpartition(".")[2]


def films_of(suffix: str) -> list[str]:
    return [film for film in FILMS if container_of(film) == suffix]


def broken(breaker: Breaker, cases: Iterable[Case]) -> list[Result]:
    """Run the cases, print what became of them by container, and fail for what should never be."""
    results = [breaker.run(case) for case in cases]
    counts: dict[str, Counter[str]] = {}
    for result in results:
        counts.setdefault(container_of(result.case.film), Counter())[result.became] += 1
    for container, counted in counts.items():
        numbers = "  ".join(
            f"{counted[became]:4} {became}" for became in ("whole", "damaged", "refused", "wrong")
        )
        sys.stdout.write(f"\n  {container:5}{numbers}")
    slowest = max(results, key=lambda result: result.seconds)
    largest = max(results, key=lambda result: result.peak_kb)
    sys.stdout.write(
        f"\n  {len(results)} films; the slowest took {slowest.seconds:.1f} s ({slowest.case}), the "
        f"largest {largest.peak_kb / 1024:.0f} MiB ({largest.case})\n"
    )
    wrong = [f"{r.case}: {'; '.join(r.problems) or r.code}" for r in results if r.became == "wrong"]
    sys.stdout.writelines(f"  {line}\n" for line in wrong)
    assert not wrong, "\n".join(["python -m tests.broken_films CASE repeats one of:", *wrong])
    return results


@pytest.mark.parametrize("film", FLIPPED)
def test_random_flips(breaker, film):
    """A thousand in all."""
    films = films_of(container_of(film))
    cases = (Case(films[n % len(films)], "flips", n) for n in range(FLIPS))
    broken(breaker, cases)


@pytest.mark.parametrize("film", [film for film in FILMS if film not in FLIPPED])
def test_flips_of_other_kinds(breaker, film):
    broken(breaker, (Case(film, "flips", n) for n in range(1000, 1030)))


@pytest.mark.parametrize("film", [*FLIPPED, "front.mp4", "vp9.webm", "mjpeg.mov"])
def test_cut_at_each_percent(breaker, film):
    results = broken(breaker, (Case(film, "truncated", percent) for percent in range(1, 100)))
    # What knows its own length is told from a whole one, and a little of a film is no film.
    if container_of(film) in ("mp4", "mov", "mkv", "webm", "avi"):
        assert not any(result.became == "whole" for result in results)
    assert results[0].became == "refused"


@pytest.mark.parametrize("kind", ["zeroed", "cut_out", "garbage", "doubled", "unindexed"])
def test_other_ways_to_break(breaker, kind):
    chance = random.Random(kind)
    numbers = 4 if kind == "unindexed" else 15
    cases = [Case(film, kind, n) for film in FILMS for n in range(numbers)]
    chance.shuffle(cases)
    results = broken(breaker, cases)
    if kind == "garbage":
        assert not any(result.became == "refused" for result in results)
