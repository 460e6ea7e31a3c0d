"""Thousands of mutated films, stills, weights, jobs and presets: each is read or refused.

make torture            # CASES=200 make torture: fewer for each kind of file
"""

from __future__ import annotations

import os
import sys
from collections import Counter

import pytest

from tests.fuzzing import FILMS, NAMES, OTHERS, STILLS, Fuzzer, Result

pytestmark = pytest.mark.torture

FILM_CASES, OTHER_CASES = 150, 150
"""Of each file, unless CASES says otherwise."""


@pytest.mark.parametrize("group", [tuple(FILMS), STILLS, OTHERS], ids=["films", "stills", "others"])
def test_mutated_files_are_read_or_refused(tmp_path, group):
    given = os.environ.get("CASES")
    results: list[Result] = []
    with Fuzzer(tmp_path) as fuzzer:
        for name in group:
            count = int(given) if given else FILM_CASES if name in FILMS else OTHER_CASES
            results += [fuzzer.run(name, number) for number in range(3, 3 + count)]
    show(results)
    bad = [str(result) for result in results if result.bad]
    assert not bad, "\n".join(bad)


def show(results: list[Result]) -> None:
    """Print how many of each file came to which end."""
    sys.stdout.write(f"\n{len(results)} mutated files\n")
    for name in NAMES:
        mine = [result for result in results if result.name == name]
        if mine:
            ends = Counter("wrong" if result.bad else result.became for result in mine)
            slowest = max(result.seconds for result in mine)
            largest = max(result.growth_kb for result in mine) / 1024
            said = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
            most = f"{slowest:5.1f} s, {largest:4.0f} MiB at most"
            sys.stdout.write(f"  {name:<20} {said:<32} {most}\n")
