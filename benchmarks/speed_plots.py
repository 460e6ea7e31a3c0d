"""Plots of docs/performance.md: bars, lines and stacks, each figure with its spread.

draw_bars(Path("speed.png"), {"ffmpeg": one, "vidcolor": other}, "of ffmpeg's time", mark=1.0)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib import figure as figures
from matplotlib import pyplot
from timing import Figure

matplotlib.use("Agg")

COLOURS = {"ffmpeg": "tab:gray", "naive": "tab:brown", "vidcolor": "tab:blue"}
"""By the beginning of a name."""

DOTS_PER_INCH = 80


@dataclass(frozen=True)
class Line:
    """Figures along a quantity."""

    name: str
    at: Sequence[float]
    figures: Sequence[Figure]


def draw_bars(
    picture: Path, bars: Mapping[str, Figure], words: str, *, mark: float | None = None
) -> None:
    """A bar for each figure, the first on top, and a line at `mark`."""
    draw_panels(picture, {words: bars}, mark=mark)


def draw_panels(
    picture: Path, panels: Mapping[str, Mapping[str, Figure]], *, mark: float | None = None
) -> None:
    """Bars under several headings."""
    heights = [0.8 + 0.3 * len(bars) for bars in panels.values()]
    figure, axes = pyplot.subplots(
        len(panels),
        1,
        figsize=(8, sum(heights) + 0.3 * len(heights)),
        layout="constrained",
        squeeze=False,
        gridspec_kw={"height_ratios": heights},
    )
    for axis, (words, bars) in zip(axes[:, 0], panels.items(), strict=True):
        names = list(bars)
        values = [each.median for each in bars.values()]
        spreads = [each.spread for each in bars.values()]
        axis.barh(
            names, values, xerr=spreads, color=[colour_of(name) for name in names], height=0.65
        )
        room = max(values) * 0.02
        for place, (value, spread) in enumerate(zip(values, spreads, strict=True)):
            axis.text(value + spread + room, place, f"{value:.2f}", va="center", fontsize=8)
        if mark is not None:
            axis.axvline(mark, color="black", lw=0.8)
        axis.set_xlim(0, max(a + b for a, b in zip(values, spreads, strict=True)) * 1.15)
        axis.invert_yaxis()
        axis.set_title(words, fontsize=10)
        axis.tick_params(labelsize=8)
    save(figure, picture)


def colour_of(name: str) -> str:
    return next((each for key, each in COLOURS.items() if name.startswith(key)), "tab:orange")


def draw_lines(
    picture: Path, lines: Sequence[Line], across: str, up: str, *, logarithmic: bool = False
) -> None:
    figure, axis = pyplot.subplots(figsize=(8, 3.6))
    for line in lines:
        middle = [each.median for each in line.figures]
        spread = [each.spread for each in line.figures]
        colour = colour_of(line.name)
        axis.errorbar(
            line.at, middle, yerr=spread, label=line.name, color=colour, marker="o", ms=4, lw=1.2
        )
    axis.set_xlabel(across, fontsize=9)
    axis.set_ylabel(up, fontsize=9)
    if logarithmic:
        axis.set_xscale("log")
        axis.set_yscale("log")
    else:
        axis.set_xlim(0, None)
        axis.set_ylim(0, None)
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    save(figure, picture)


def draw_stack(picture: Path, stacks: Mapping[str, Mapping[str, float]], words: str) -> None:
    """For each name a bar made of parts, which all share a legend."""
    figure, axis = pyplot.subplots(figsize=(9, 1.4 + 0.7 * len(stacks)))
    parts = list(dict.fromkeys(part for stack in stacks.values() for part in stack))
    colours = pyplot.get_cmap("tab20")
    for place, (name, stack) in enumerate(stacks.items()):
        left = 0.0
        for number, part in enumerate(parts):
            value = stack.get(part, 0.0)
            label = part if place == 0 else None
            axis.barh(name, value, left=left, color=colours(number % 20), label=label, height=0.6)
            left += value
    axis.invert_yaxis()
    axis.set_xlabel(words, fontsize=9)
    axis.tick_params(labelsize=8)
    axis.legend(fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.3))
    save(figure, picture)


def save(figure: figures.Figure, picture: Path) -> None:
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=DOTS_PER_INCH, bbox_inches="tight")
    pyplot.close(figure)
