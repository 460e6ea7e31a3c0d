"""What a measured figure must keep, and the table that says whether it does.

    floors = [Floor("1080p, balanced, of ffmpeg's time", ratio, at_most=1.25)]
    print("\\n".join(table_of_floors(floors)))
    sys.exit(code_of(floors))

A floor counts as missed when it is missed by more than the spread that was measured: less could be
a slow minute of the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from timing import Figure


@dataclass(frozen=True, kw_only=True)
class Floor:
    """A figure and the bound it keeps, one of the two."""

    words: str
    figure: Figure
    at_most: float | None = None
    at_least: float | None = None
    digits: int = 2
    unit: str = ""

    def __post_init__(self) -> None:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError(f"{self.words}: a floor has one bound")

    @property
    def over_by(self) -> float:
        """How far the median is on the wrong side; negative where it is on the right one."""
        if self.at_most is not None:
            return self.figure.median - self.at_most
        assert self.at_least is not None
        return self.at_least - self.figure.median

    @property
    def missed(self) -> bool:
        return self.over_by > self.figure.spread

    @property
    def verdict(self) -> str:
        if self.over_by <= 0:
            return "kept"
        return "MISSED" if self.missed else "within the spread"

    @property
    def bound(self) -> str:
        sign, value = ("≤", self.at_most) if self.at_most is not None else ("≥", self.at_least)
        return f"{sign} {value:g}{self.unit}"


def table_of_floors(floors: Iterable[Floor]) -> Iterator[str]:
    """The lines of a Markdown table."""
    yield "| | measured | floor | |"
    yield "|---|---:|---:|---|"
    for floor in floors:
        cell = floor.figure.cell(floor.digits) + floor.unit
        yield f"| {floor.words} | {cell} | {floor.bound} | {floor.verdict} |"


def code_of(floors: Iterable[Floor]) -> int:
    """1 where a floor is missed, which is said on stderr; else 0."""
    missed = [floor for floor in floors if floor.missed]
    for floor in missed:
        cell = floor.figure.cell(floor.digits) + floor.unit
        print(f"missed: {floor.words}: {cell}, floor {floor.bound}", file=sys.stderr)
    return 1 if missed else 0
