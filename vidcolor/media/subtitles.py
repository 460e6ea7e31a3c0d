"""Text subtitles turned into the kind another container holds.

    with converted(Path("film.mkv"), [2, 3], "mov_text", beside=Path("film.color.mp4")) as tracks:
        tracks[2]  # an av stream of mov_text, its times those of the source

PyAV can't do this; the ffmpeg program can.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
import ffmpeg
from av.stream import Stream

from vidcolor.errors import OutputError
from vidcolor.media.ffmpeg import find_ffmpeg
from vidcolor.media.probe import RAW_TAGS

TEXT_CODECS = frozenset(
    {"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text", "microdvd", "sami", "subviewer"}
)
"""Subtitles that are words, which can be turned into each other; the rest are pictures."""


class ConversionError(OutputError):
    """Subtitles can't be turned into what the output holds; the film can do without them."""


@contextmanager
def converted(
    source: Path, indexes: Sequence[int], codec: str, beside: Path
) -> Iterator[dict[int, Stream]]:
    """The subtitle streams `indexes` of `source` as `codec`, in a temporary file beside `beside`.

    Raises ConversionError when ffmpeg is missing or fails.
    """
    if not indexes:
        yield {}
        return
    # MP4 is the only home of mov_text, and Matroska takes the others with exact times.
    suffix = ".mp4" if codec == "mov_text" else ".mkv"
    with tempfile.TemporaryDirectory(prefix=".subtitles-", dir=beside.parent) as folder:
        target = Path(folder) / f"subtitles{suffix}"
        _run_ffmpeg(source, indexes, codec, target)
        with av.open(str(target), metadata_errors=RAW_TAGS) as container:
            found = container.streams.subtitles
            if len(found) != len(indexes):
                raise ConversionError(
                    f"ffmpeg turned {len(found)} of {len(indexes)} subtitle tracks of {source}."
                )
            yield dict(zip(indexes, found, strict=True))


def missing_ffmpeg() -> str | None:
    """A sentence for when there is no ffmpeg to turn subtitles with."""
    try:
        find_ffmpeg()
    except OutputError as error:
        return f"the subtitles are left out: {error}"
    return None


def _run_ffmpeg(source: Path, indexes: Sequence[int], codec: str, target: Path) -> None:
    film = ffmpeg.input(str(source))
    command = ffmpeg.output(
        *(film[str(index)] for index in indexes),
        str(target),
        # Without copyts the first line would move to zero.
        **{"c:s": codec, "copyts": None, "map_chapters": "-1"},
    ).global_args("-nostdin", "-loglevel", "error")
    try:
        command.run(cmd=str(find_ffmpeg()), capture_stdout=True, capture_stderr=True)
    except OutputError as error:
        raise ConversionError(str(error)) from error
    except ffmpeg.Error as error:
        words = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        raise ConversionError(
            f"ffmpeg can't turn the subtitles of {source} into {codec}: "
            f"{words[-1] if words else 'it said nothing'}."
        ) from error
