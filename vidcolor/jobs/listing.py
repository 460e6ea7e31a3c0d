"""Which jobs lie below a folder, how far they are, and how to be rid of them.

    for job in find_jobs([Path("old-films")], passed_over=print):
        print(job.output, job.state, job.percent, job.command)
    freed = delete_job(job)

Looking changes nothing and takes no lock. Hidden folders are skipped and links aren't followed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vidcolor.errors import JobError, OutputError
from vidcolor.jobs.folder import Job, JobFolder, holds_job, output_of
from vidcolor.locks import is_locked

State = Literal["unfinished", "finished, kept", "damaged"]


@dataclass(frozen=True, kw_only=True)
class FoundJob:
    """A job's folder as it was when it was looked at."""

    output: Path
    """What is made, or will be."""

    folder: Path
    state: State
    """`finished, kept` where all segments are there and the output is younger than they; `damaged`
    where its plan can't be read."""

    trouble: str = ""
    """Why a damaged one can't be gone on with, a sentence."""

    frames: int = 0
    """In finished segments."""

    frames_expected: int = 0
    """By the source's packets; 0 where no plan stands yet."""

    segments: int = 0
    segments_expected: int = 0

    touched: float = 0.0
    """When its last segment was finished, or it was begun; seconds since the epoch."""

    size_bytes: int = 0
    at_work: bool = False
    """Whether a process was at work on it."""

    process: int | None = None
    """Its id."""

    source: Path | None = None
    """Absolute; None where an earlier vidcolor didn't note it."""

    source_there: bool = False
    command: tuple[str, ...] | None = None
    """What to give a shell to go on; None where it wasn't begun from the command line."""

    @property
    def percent(self) -> int:
        """Of the frames expected, rounded down; 100 only when every segment is there."""
        if self.segments_expected and self.segments >= self.segments_expected:
            return 100
        return min(99, 100 * self.frames // self.frames_expected) if self.frames_expected else 0

    @property
    def age_seconds(self) -> float:
        """Since its last segment was finished."""
        return max(0.0, time.time() - self.touched)


def find_jobs(
    paths: Iterable[Path], *, passed_over: Callable[[Path, OSError], None]
) -> Iterator[FoundJob]:
    """The jobs below folders, each once, in the order of their names.

    A path may be a job's folder itself. `passed_over` is called with each folder that can't be
    read. What isn't a folder is taken for an empty one.
    """
    seen: set[str] = set()
    for path in paths:
        for folder in _job_folders(path, passed_over):
            real = os.path.realpath(folder)
            if real not in seen:
                seen.add(real)
                job = look_at(folder)
                # A run may have finished, and its folder gone, under our eyes.
                if folder.is_dir():
                    yield job


def look_at(folder: Path) -> FoundJob:
    """What a job's folder holds now. Files that go meanwhile count as gone."""
    output = output_of(folder)
    job_folder = JobFolder(output)
    at_work = is_locked(folder / "lock")
    trouble = ""
    try:
        job = job_folder.read_job()
    except JobError as error:
        job, trouble = None, str(error)
    marked = [job_folder.marked(segment) for segment in job.segments] if job else []
    done = [part for part in marked if part is not None]
    touched = _touched(folder)
    whole = job is not None and len(done) == len(marked) and _time(output) >= touched
    return FoundJob(
        output=output,
        folder=folder,
        state="damaged" if trouble else "finished, kept" if whole else "unfinished",
        trouble=trouble,
        frames=sum(part.frames for part in done),
        frames_expected=sum(job.frames) if job else 0,
        segments=len(done),
        segments_expected=len(marked),
        touched=touched,
        size_bytes=folder_size(folder),
        at_work=at_work,
        process=_process(folder / "lock") if at_work else None,
        source=job.source if job else None,
        source_there=job is not None and job.source is not None and job.source.is_file(),
        command=_command(job, output) if job else None,
    )


def delete_job(job: FoundJob) -> int:
    """Delete a job, and its folder if nothing else is in it; returns the bytes that were freed.

    The source, the output and whatever else lies there stay. Raises JobError when a process is at
    work on it, or was since it was looked at, OutputError when something can't be deleted.
    """
    if _touched(job.folder) > job.touched:
        raise JobError(f"{job.output} was worked on since it was looked at; look again.")
    before = folder_size(job.folder)
    try:
        with JobFolder.hold(job.output) as folder:
            folder.remove()
    except OutputError as error:
        why = getattr(error.__cause__, "strerror", None) or error
        raise OutputError(
            f"{job.folder} can't be deleted: {why}; see who may write there, and to that disk."
        ) from error
    return before - folder_size(job.folder)


def folder_size(folder: Path) -> int:
    """Bytes of the files in a folder and below it; 0 when it is gone."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += Path(place, name).lstat().st_size
    return size


def _job_folders(top: Path, passed_over: Callable[[Path, OSError], None]) -> Iterator[Path]:
    if holds_job(top):
        yield top
        return
    try:
        with os.scandir(top) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            )
    except NotADirectoryError:
        return
    except OSError as error:
        passed_over(top, error)
        return
    for name in names:
        yield from _job_folders(top / name, passed_over)


def _touched(folder: Path) -> float:
    """When the last segment was finished, else when the job was begun."""
    markers = folder.glob("segments/*.json")
    return max(map(_time, markers), default=0.0) or max(
        map(_time, (folder / "job.json", folder / "lock", folder / "segments"))
    )


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _process(lock: Path) -> int | None:
    try:
        return int(lock.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _command(job: Job, output: Path) -> tuple[str, ...] | None:
    if job.source is None or job.options is None:
        return None
    target = output.parent.resolve() / output.name
    return ("vidcolor", "run", str(job.source), "-o", str(target), *job.options)
