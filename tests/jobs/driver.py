"""Runs the command line in a process of its own that is slow, or that dies at a chosen moment.

    python -m tests.jobs.driver slow run film.mkv
    python -m tests.jobs.driver "at picture 30" run film.mkv

The moments are patched in from outside; the package knows nothing of them. They come for each
worker of a run on several devices, too.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import vidcolor.jobs.durable
import vidcolor.jobs.folder
import vidcolor.jobs.local
import vidcolor.jobs.spread
from vidcolor.cli import main
from vidcolor.errors import OutputError
from vidcolor.media.write import SegmentWriter

SLOW_SECONDS = 0.05


def die() -> None:
    """Leave as a power cut would: no cleaning up of any kind."""
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str, act: Callable[..., None]) -> None:
    """Have `act` called with the same arguments before the function `owner.name`."""
    real = getattr(owner, name)

    def patched(*args: Any, **options: Any) -> Any:
        act(*args, **options)
        return real(*args, **options)

    setattr(owner, name, patched)


def slow() -> None:
    before(SegmentWriter, "write", lambda *args: time.sleep(SLOW_SECONDS))


def at_picture_30() -> None:
    """In the middle of the third segment of 12 frames."""
    count = iter(range(30))

    def counted(*args: Any) -> None:
        if next(count, None) is None:
            die()

    before(SegmentWriter, "write", counted)


def full_at_picture_5() -> None:
    """Damage is met at once, and then the disk is full."""
    count = iter(range(5))

    def counted(*args: Any) -> None:
        logging.getLogger("vidcolor.media.read").warning("the source is %s.", "damaged")
        if next(count, None) is None:
            raise OutputError("the disk went away.")

    before(SegmentWriter, "write", counted)


def before_the_first_segment() -> None:
    before(vidcolor.jobs.folder.JobFolder, "commit", lambda *args, **options: die())


def between_segment_and_marker() -> None:
    """The segment has its name, its marker doesn't exist yet."""

    def act(path: Path, value: Any) -> None:
        if path.name == "00002.json":
            die()

    before(vidcolor.jobs.folder, "write_json", act)


def with_half_a_marker() -> None:
    """Half of the marker's bytes are written, under its temporary name."""

    def act(temporary: Path, path: Path) -> None:
        if path.name == "00003.json":
            temporary.write_bytes(temporary.read_bytes()[:40])
            die()

    before(vidcolor.jobs.durable, "put_in_place", act)


def while_joining() -> None:
    def act(segments: Any, info: Any, output: Path, **options: Any) -> None:
        output.write_bytes(b"half a film")
        die()

    before(vidcolor.jobs.local, "join_segments", act)


def before_the_final_name() -> None:
    """The film is joined but still bears its temporary name."""
    before(vidcolor.jobs.local, "put_in_place", lambda *args: die())


MOMENTS = {
    "slow": slow,
    "full at picture 5": full_at_picture_5,
    "before the first segment": before_the_first_segment,
    "at picture 30": at_picture_30,
    "between segment and marker": between_segment_and_marker,
    "with half a marker": with_half_a_marker,
    "while joining": while_joining,
    "before the final name": before_the_final_name,
}


def in_workers(moment: str) -> str:
    """What the interpreter of a worker runs in which the moment comes."""
    driver = f"from tests.jobs.driver import MOMENTS; MOMENTS[{moment!r}](); "
    return vidcolor.jobs.spread.START.replace("from", f"{driver}from", 1)


if __name__ == "__main__":
    moment = sys.argv.pop(1)
    MOMENTS[moment]()
    vidcolor.jobs.spread.START = in_workers(moment)
    main()
