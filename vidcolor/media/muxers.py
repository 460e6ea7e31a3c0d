"""The kinds of file a film can be written as, by their names.

muxer_of(Path("film.color.mkv"))   # "matroska", as FFmpeg calls it
family_of("matroska")              # "Matroska", as a person does
"""

from __future__ import annotations

from pathlib import Path

import av

from vidcolor.errors import OutputError
from vidcolor.media.ffmpeg import NO_FILE

_MUXERS = {
    # FFmpeg would take .m4v for a bare MPEG-4 stream or for iPod's narrow MP4.
    ".m4v": "mp4",
    ".mp4": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
}
MP4_FAMILY = frozenset({"mp4", "mov", "ipod", "3gp", "psp"})
MATROSKA_FAMILY = frozenset({"matroska", "webm"})


def muxer_of(output: Path) -> str:
    """FFmpeg's muxer for a file name. Raises OutputError for a suffix no muxer knows."""
    known = _MUXERS.get(output.suffix.lower())
    if known:
        return known
    try:
        with av.open(f"film{output.suffix}", "w") as unopened:
            kind = unopened.format
    except ValueError:
        kind = None
    # Pictures one by one, playlists with their pieces: many files, under names of their own.
    if kind is None or kind.flags & NO_FILE or not output.suffix:
        raise OutputError(
            f"{output} ends in no known video format; name it .mp4, .mov, .mkv or .webm."
        )
    return kind.name


def family_of(muxer: str) -> str:
    """What people call the files of a muxer."""
    return {"matroska": "Matroska", "webm": "WebM", "mov": "MOV"}.get(muxer, muxer.upper())
