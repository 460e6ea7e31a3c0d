"""What goes wrong in a run of the torture suites, patched into the child it happens to.

    FAULTS["thread"]("decode", 9)    # this process's decoder thread raises at the ninth frame

The package knows nothing of this.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import torch

import vidcolor.jobs.folder
import vidcolor.jobs.identity
import vidcolor.jobs.local
import vidcolor.media.read
import vidcolor.pipeline
from tests.jobs.driver import before
from tests.torture.jobs_board import PHASES, Board
from vidcolor.jobs.folder import JobFolder
from vidcolor.jobs.making import SegmentMaker
from vidcolor.media.write import SegmentWriter
from vidcolor.models.standin import StandinModel

CHANGES = frozenset(("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink"))
"""Audit events of what changes a folder; `open` does where it is for writing."""


def watch(board: Board) -> None:
    """Have the board told of phases and of segments begun."""

    def phase(owner: Any, name: str, number: int) -> None:
        real = getattr(owner, name)

        def told(*args: Any, **options: Any) -> Any:
            which = number
            if number == MARKER and args[0].name.startswith("job.json"):
                which = PLAN
            came_from, began = board.enter(which), time.monotonic()
            if (PHASES[which], board.entered(which)) in DEATHS:
                die()
            try:
                return real(*args, **options)
            finally:
                board.leave(which, came_from, time.monotonic() - began)

        setattr(owner, name, told)

    phase(vidcolor.pipeline, "film_facts", PHASES.index("facts"))
    phase(vidcolor.jobs.local, "index_packets", PHASES.index("indexing"))
    phase(vidcolor.jobs.local, "_check_finished", PHASES.index("checking"))
    phase(vidcolor.jobs.local, "_colorize", PHASES.index("colouring"))
    phase(vidcolor.jobs.folder, "put_in_place", PHASES.index("segment commit"))
    phase(vidcolor.jobs.folder, "write_json", MARKER)
    phase(vidcolor.jobs.local, "join_segments", PHASES.index("join"))
    phase(vidcolor.jobs.local, "put_in_place", PHASES.index("rename"))
    phase(JobFolder, "remove", PHASES.index("clean-up"))
    before(SegmentMaker, "_open_writer", lambda maker, part: board.open_segment(part.index))


DEATHS: set[tuple[str, int]] = set()
"""Phases, each with the visit at which this process dies."""

PLAN, MARKER = PHASES.index("plan"), PHASES.index("marker")


def die() -> None:
    """Leave as a power cut would: no cleaning up of any kind."""
    os.kill(os.getpid(), signal.SIGKILL)


def at(phase: str, visit: int) -> None:
    """Die on entering a phase for the `visit`th time, from 1."""
    DEATHS.add((phase, visit))


def step(number: int) -> None:
    """Die just before the `number`th change, from 1, that this program makes to any folder.

    What FFmpeg writes by itself isn't counted.
    """
    left = number

    def heard(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        opened = event == "open" and isinstance(args[2], int) and args[2] & WRITING
        if event in CHANGES or (opened and str(args[0]) != os.devnull):
            left -= 1
            if left == 0:
                die()

    sys.addaudithook(heard)


WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def slow(seconds: float) -> None:
    """Every picture takes that much longer to encode."""
    before(SegmentWriter, "write", lambda *args: time.sleep(seconds))


def counted(number: int, act: Callable[[], None]) -> Callable[..., None]:
    """Acts when it is called for the `number`th time, from 1."""
    left = number

    def call(*args: Any, **options: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            act()

    return call


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def thread(name: str, number: int) -> None:
    """The thread `name` raises what nobody foresaw, at its `number`th frame."""
    burst = counted(number, raising(RuntimeError(f"the {name} thread burst")))
    if name == "decode":
        real = vidcolor.media.read.read_frames

        def frames(*args: Any, **options: Any) -> Iterator[Any]:
            for frame in real(*args, **options):
                burst()
                yield frame

        setattr(vidcolor.pipeline, "read_frames", frames)  # noqa: B010
    elif name == "analysis":
        before(vidcolor.pipeline, "thumbnail", burst)
    else:
        before(SegmentWriter, "write", burst)


class _Broken:
    """An encoder that gives up."""

    def __init__(self, stream: Any) -> None:
        self.codec_context = stream.codec_context

    def encode(self, frame: Any) -> Any:
        words = "Generic error in an external library"
        raise av.error.ExternalError(-542398533, words)


def encoder(number: int) -> None:
    """The encoder gives up at its `number`th picture, not counting that of the trial."""
    left = number + 1

    def breaks(writer: Any, picture: Any) -> None:
        nonlocal left
        if writer._path.name.endswith(".part.mkv"):
            left -= 1
            if left == 1:
                writer._stream = _Broken(writer._stream)

    before(SegmentWriter, "write", breaks)


def memory(number: int) -> None:
    """The device runs out of memory at the network's `number`th call."""
    full = torch.OutOfMemoryError("CUDA out of memory.")
    before(StandinModel, "forward", counted(number, raising(full)))


def version(name: str) -> None:
    """This is another version of the program."""
    setattr(vidcolor.jobs.identity, "__version__", name)  # noqa: B010


def fill(folder: str) -> None:
    """Leave no byte free on the disk that `folder` is on."""
    with suppress(OSError), Path(folder, "ballast").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def full(where: str, folder: str) -> None:
    """The disk fills up in a segment, before a marker, or before the join."""
    act = counted(1, lambda: fill(folder))
    if where == "segment":
        before(SegmentMaker, "_open_writer", counted(3, lambda: fill(folder)))
    elif where == "picture":
        before(SegmentWriter, "write", counted(15, lambda: fill(folder)))
    elif where == "marker":

        def third(path: Path, value: Any) -> None:
            if path.name == "00002.json":
                act()

        before(vidcolor.jobs.folder, "write_json", third)
    elif where == "plan":
        before(JobFolder, "write_job", act)
    else:
        before(vidcolor.jobs.local, "join_segments", act)


def unwritable(where: str) -> None:
    """The job's folder may not be written to any more, from some moment on."""

    def lock_up(job: Path) -> None:
        for folder in (job / "segments", job):
            folder.chmod(0o500)

    if where == "segment":

        def third(folder: JobFolder, segment: Any, *args: Any, **options: Any) -> None:
            if segment.index == 2:
                lock_up(folder.path)

        before(JobFolder, "commit", third)
    elif where == "marker":

        def marker(path: Path, value: Any) -> None:
            if path.name == "00002.json":
                lock_up(path.parent.parent)

        before(vidcolor.jobs.folder, "write_json", marker)
    else:

        def joining(segments: Any, info: Any, joined: Path, **options: Any) -> None:
            lock_up(joined.parent)

        before(vidcolor.jobs.local, "join_segments", joining)


FAULTS: dict[str, Callable[..., None]] = {
    "at": at,
    "step": step,
    "slow": slow,
    "thread": thread,
    "encoder": encoder,
    "memory": memory,
    "version": version,
    "full": full,
    "unwritable": unwritable,
}
