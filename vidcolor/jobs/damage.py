"""Where a film's source was damaged: for programs as ranges, for people in words.

    places = damage_of(parts, info)
    damage_words(places)        # "at 0:12.3 and from 1:02.0 to 1:02.5"

Times are seconds after the source's first frame, as `--start` counts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import floor
from pathlib import Path

from vidcolor.errors import SourceError
from vidcolor.frames import VideoInfo
from vidcolor.jobs.folder import Finished

APART_SECONDS = 1.0
"""Damaged frames that are nearer to each other than this are one place."""

PLACES_SAID = 5
"""A sentence names so many places; programs are told of all."""


@dataclass(frozen=True, kw_only=True)
class Damage:
    """A place of the source where it couldn't be decoded as it should."""

    start: float
    """Seconds from the source's first frame to the first one that is damaged or lost."""

    end: float
    """The same of the last one: equal to `start` where there is but one."""

    damaged: int
    """Frames that were decoded with errors."""

    repeated: int
    """Frames that were lost; the last good one is shown again in their place."""


def damage_of(parts: Iterable[Finished], info: VideoInfo) -> tuple[Damage, ...]:
    """The places of finished segments, which are given in their order."""
    places: list[Damage] = []
    for part in parts:
        flawed = dict.fromkeys(part.damaged, (1, 0)) | dict.fromkeys(part.repeated, (0, 1))
        for pts in sorted(flawed):
            damaged, repeated = flawed[pts]
            seconds = float((pts - info.start_pts) * info.time_base)
            if places and seconds - places[-1].end < APART_SECONDS:
                damaged, repeated = places[-1].damaged + damaged, places[-1].repeated + repeated
                places[-1] = replace(places[-1], end=seconds, damaged=damaged, repeated=repeated)
            else:
                places.append(
                    Damage(start=seconds, end=seconds, damaged=damaged, repeated=repeated)
                )
    return tuple(places)


def damage_words(places: Sequence[Damage]) -> str:
    """Where that is: the first few places."""
    said = [_range(place) for place in places[:PLACES_SAID]]
    more = len(places) - len(said)
    if more:
        said.append("1 more place" if more == 1 else f"{more} more places")
    return " and ".join(filter(None, (", ".join(said[:-1]), said[-1])))


def frames_missing(expected: int, made: int) -> int:
    """How many frames are missing; 0 for the few that packets promise without showing them."""
    tolerated = 2 + expected // 50
    return expected - made if expected - made > tolerated else 0


def refuse_damage(info: VideoInfo, part: Finished) -> None:
    """Raise SourceError where the source was damaged in a segment."""
    if not (places := damage_of([part], info)):
        return
    number = len(part.damaged) + len(part.repeated)
    frames = "a frame is" if number == 1 else f"{number} frames are"
    lost = f", {len(part.repeated)} of them lost" if part.repeated else ""
    raise _refused(info.path, f"{frames} damaged{lost}, {damage_words(places)}")


def refuse_cut(source: Path, lacking: int) -> None:
    """Raise SourceError where the source's file lacks bytes at its end."""
    if lacking:
        raise _refused(source, cut_words(lacking))


def refuse_missing(source: Path, frames: int) -> None:
    """Raise SourceError where frames are missing."""
    if frames:
        raise _refused(source, f"{frames} of its frames couldn't be decoded")


def cut_words(lacking: int) -> str:
    return f"the file is cut short: {lacking:,} bytes are missing at its end"


def _refused(source: Path, why: str) -> SourceError:
    return SourceError(
        f"{source} is damaged: {why}. What is finished is kept; give the same command without "
        "--strict to colour what can be decoded, or find another copy of the film."
    )


def _range(place: Damage) -> str:
    start, end = moment_words(place.start), moment_words(place.end)
    return f"at {start}" if start == end else f"from {start} to {end}"


def moment_words(seconds: float) -> str:
    """[H:]M:SS.t, rounded down, as `--start` takes it."""
    tenths = floor(max(0.0, seconds) * 10 + 1e-6)
    hours, rest = divmod(tenths, 36_000)
    minutes, rest = divmod(rest, 600)
    clock = f"{minutes:02d}" if hours else f"{minutes}"
    return (f"{hours}:" if hours else "") + f"{clock}:{rest // 10:02d}.{rest % 10}"
