"""What isn't kept, and why: the sentences of the page on formats, by the warnings they explain.

    letters, bare = letters_of(["the pictures' transparency is left out: ..."])

Every warning of the program is explained by exactly one sentence here, or the table says that it
isn't. The sentences are for people with a film, not for people with a specification.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from string import ascii_lowercase


@dataclass(frozen=True)
class Exemption:
    """One kind of thing that isn't as it was."""

    warning: str
    """A regular expression found in the program's words about it, and in no other's."""

    sentence: str
    """Why that is, and what to do about it."""


EXCEPTIONS = (
    Exemption(
        r"is interlaced, .* it is made progressive",
        "An interlaced film is made progressive by bwdif, each frame at its own time, because "
        "colour can't be carried along lines of two moments; that changes its luma. "
        "`--deinterlace off` leaves the lines as they are.",
    ),
    Exemption(
        r"transparency is left out",
        "A film in colour has no transparency: its alpha plane is dropped.",
    ),
    Exemption(
        r"closed captions",
        "Closed captions inside the pictures are kept in H.264, HEVC and AV1; other pictures can't "
        "carry them here. (The luma column's run was through FFV1.)",
    ),
    Exemption(
        r"the picture's colour matrix .* becomes",
        "Colours are made for the matrices of BT.601, BT.709, BT.2020 and their older kin; a film "
        "tagged with another gets BT.709's or BT.2020's, with which gray looks the same.",
    ),
    Exemption(
        r"mastering display and light levels",
        "HDR10's notes on its mastering display are kept by libx264, libx265 and libsvtav1; FFV1, "
        "through which the luma column was measured, has no place for them.",
    ),
    Exemption(
        r"holds \d+ films",
        "One film is coloured: the one marked as the default, or else the largest. The others are "
        "copied as they are.",
    ),
    Exemption(
        r"holds no subtitles of this kind",
        "Closed captions in a track of their own, as QuickTime has them, have no home in Matroska; "
        "the film's own container keeps them.",
    ),
    Exemption(
        r"^data track .* is left out",
        "A data track (camera telemetry, notes in a broadcast) has no home in Matroska, nor in "
        "general in MP4. Its bytes stay in your source; nothing of picture or sound is in it.",
    ),
    Exemption(
        r"has frames of .* all become",
        "Where a recording goes on from one broadcast into another, of another size, depth or "
        "range, all frames become like those in its middle, as a film in colour has one of each.",
    ),
    Exemption(
        r"change their aspect",
        "Where the shape of the samples changes on the way, the film in colour says one shape for "
        "all: that of its middle in a broadcast, else the first.",
    ),
    Exemption(
        r"of another codec, and left",
        "A track has one codec: where a broadcast's sound goes on as another, that part is left "
        "out.",
    ),
    Exemption(
        r"hold no line",
        "Subtitle tracks that never say anything can't be turned into another kind.",
    ),
    Exemption(
        r"couldn't be decoded",
        "A recording that was switched on between two keyframes begins with frames that refer to "
        "what isn't there; no decoder shows them. They are counted, and the exit code is 3.",
    ),
    Exemption(
        r"^the clock of .* jumps at",
        "Where recordings were joined, or a DVD's cells have clocks of their own, the parts follow "
        "each other without a gap, each with its sound in step.",
    ),
)


def letters_of(warnings: Iterable[str]) -> tuple[str, list[str]]:
    """The letters of the exceptions that explain some warnings, and the warnings that none does."""
    letters, bare = set[str](), list[str]()
    for warning in warnings:
        found = [
            letter
            for letter, each in zip(ascii_lowercase, EXCEPTIONS, strict=False)
            if re.search(each.warning, warning)
        ]
        letters.update(found)
        if not found:
            bare.append(warning)
    return ", ".join(sorted(letters)), bare


def sentences() -> list[str]:
    """The exceptions as a Markdown list, each after its letter."""
    return [
        f"- **{letter}** {each.sentence}"
        for letter, each in zip(ascii_lowercase, EXCEPTIONS, strict=False)
    ]
