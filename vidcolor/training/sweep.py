"""One recipe, many times, over a grid of values.

for point in grid({"lr": ["1e-2", "1e-3"], "batch": ["5", "50"]}):
    point.folder, point.changes         # "lr=1e-2,batch=5", {"lr": "1e-2", "batch": "5"}
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vidcolor.errors import UsageError


@dataclass(frozen=True)
class Point:
    """One run of a sweep."""

    changes: dict[str, str]

    @property
    def folder(self) -> str:
        """Its folder's name in the sweep's."""
        return ",".join(f"{key}={value}" for key, value in self.changes.items())


def read_axes(given: Sequence[str]) -> dict[str, list[str]]:
    """`lr=1e-2,1e-3` and the like, by key. Raises UsageError."""
    axes: dict[str, list[str]] = {}
    for text in given:
        key, found, values = text.partition("=")
        parts = [each.strip() for each in values.split(",")]
        if not found or not key.strip() or not all(parts):
            raise UsageError(
                f"--sweep {text!r} isn't NAME=VALUE,VALUE,...; try --sweep lr=1e-2,1e-3."
            )
        if key.strip() in axes:
            raise UsageError(f"--sweep {key.strip()} is given twice; put its values into one.")
        axes[key.strip()] = parts
    return axes


def grid(axes: Mapping[str, Sequence[str]]) -> Iterator[Point]:
    """Every combination, the last key changing first."""
    for values in itertools.product(*axes.values()):
        yield Point(dict(zip(axes, values, strict=True)))
