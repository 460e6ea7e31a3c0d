"""The ffmpeg program, for what PyAV can't do: turning one kind of text subtitles into another; and
how files are named to FFmpeg.

from vidcolor.media.ffmpeg import find_ffmpeg, plain_name

find_ffmpeg()  # PosixPath('/usr/bin/ffmpeg')
plain_name(Path("concat:1.mkv"))  # '/films/concat:1.mkv'
"""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

from vidcolor.errors import OutputError


def find_ffmpeg() -> Path:
    """The ffmpeg to run: $VIDCOLOR_FFMPEG, else the one on PATH, else imageio-ffmpeg's own.

    Raises OutputError when the variable names no program, or there is none at all.
    """
    given = os.environ.get("VIDCOLOR_FFMPEG")
    if given:
        found = shutil.which(given)
        if found is None:
            raise OutputError(
                f"VIDCOLOR_FFMPEG is {given!r}, which is no program; "
                "set it to the path of ffmpeg or unset it."
            )
        return Path(found)
    on_path = shutil.which("ffmpeg")
    return Path(on_path) if on_path else _bundled()


def plain_name(path: Path) -> str:
    """A file's name as FFmpeg can't take it for anything else.

    Without the folders before it `concat:1.mkv` is a protocol, and `-film.mkv` an option.
    """
    return str(path.absolute())


def _bundled() -> Path:
    try:
        import imageio_ffmpeg

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Path(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError, OSError) as error:
        raise OutputError(
            "there is no ffmpeg on PATH and none comes with imageio-ffmpeg; "
            "install ffmpeg or set VIDCOLOR_FFMPEG to its path."
        ) from error
