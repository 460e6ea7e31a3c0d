"""A job's folder beside its output: what is planned, what is finished.

with JobFolder.hold(output) as folder:
    folder.write_job(job)
    folder.commit(segment, record)
    folder.finished(segment)      # Finished(...), or None: to do

film.color.mp4.job/
    job.json               identity, plan, and how to ask for the film again
    lock                   held by the process at work
    segments/00012.mkv     one finished segment
    segments/00012.json    its marker: without one, or with another sha256, it is redone
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcolor.errors import JobError, OutputError
from vidcolor.frames import Segment
from vidcolor.jobs.durable import (
    PART,
    file_sha256,
    put_in_place,
    refuse_unwritable,
    sync_folder,
    write_json,
    writing,
)
from vidcolor.jobs.identity import Identity, differences
from vidcolor.locks import refuse_locked, take_lock

if TYPE_CHECKING:
    from vidcolor.media.write import SegmentRecord

FORMAT = 1
"""Version of the folder's layout; another one is refused, never guessed at."""

SUFFIX = ".job"

_PART = re.escape(PART)
_ABOVE = re.compile(rf"job\.json({_PART})?|joined{_PART}.*")
_IN_SEGMENTS = re.compile(rf"\d{{5,}}(\.json({_PART})?|({_PART})?\.mkv)")
"""The files a job writes, besides the lock; no other is ever deleted."""


@dataclass(frozen=True)
class Finished:
    """A finished segment, from its marker."""

    path: Path
    """Its file, which doesn't exist when `frames` is 0."""

    frames: int
    pts: tuple[int, ...]
    durations: tuple[int, ...]
    extradata_sha256: str
    sha256: str
    """Of the file's bytes; empty when `frames` is 0."""

    damaged: tuple[int, ...] = ()
    """Pts of frames that the source's decoder gave with errors."""

    repeated: tuple[int, ...] = ()
    """Pts of frames that it lost, and the one before was shown again for."""


@dataclass(frozen=True)
class Job:
    """What job.json holds."""

    identity: Identity
    segments: tuple[Segment, ...]
    frames: tuple[int, ...]
    """Per segment, the frames to expect from the source's packets."""

    source: Path | None = None
    """The film, absolute; None in folders that an earlier vidcolor made. Not part of the identity:
    a film may move."""

    options: tuple[str, ...] | None = None
    """The options last typed for it, without files and what is said once; None when the job wasn't
    begun from the command line, or by an earlier vidcolor."""


class JobFolder:
    """The folder of one output, held by this process alone."""

    path: Path
    """`film.color.mp4.job`, beside the output."""

    def __init__(self, output: Path) -> None:
        self.path = folder_path(output)
        self._job_file = self.path / "job.json"
        self._segments = self.path / "segments"
        # Goes with what is half-written: it counts only until the job is gone on with.
        self._last_words = self.path / f"joined{PART}.json"
        self._extradata: tuple[int, str] | None = None
        """Index and extradata of the first segment known to be finished."""
        self.lock: int | None = None
        """The open file of the lock, while it is held."""

    @classmethod
    @contextmanager
    def hold(cls, output: Path) -> Iterator[JobFolder]:
        """Make the folder if need be and keep other processes out until the block ends.

        A folder that holds no job when the block ends, or one that is over, is removed; of another,
        what is half-written goes. Raises JobError when another process holds it or when something
        else bears its name, OutputError when it can't be made.
        """
        folder = cls(output)
        folder._refuse_strangers()
        with writing(folder.path):
            lock = take_lock(folder.path / "lock", str(output))
        with lock:
            folder.lock = lock.fileno()
            try:
                yield folder
            finally:
                with suppress(OutputError):
                    if not folder._job_file.exists() or folder.is_over(output):
                        folder._delete(keep_lock=False)
                    else:
                        folder.sweep()

    @classmethod
    def look(cls, output: Path) -> JobFolder:
        """The folder as it is, if it is at all, for reading only: nothing is made or held.

        Raises what `hold` would raise at this moment.
        """
        folder = cls(output)
        folder._refuse_strangers()
        with writing(folder.path):
            refuse_unwritable(folder.path if folder.path.exists() else folder.path.parent)
            refuse_locked(folder.path / "lock", str(output))
        return folder

    def read_job(self) -> Job | None:
        """The job kept here, or None. Raises JobError when it can't be understood."""
        try:
            held = json.loads(self._job_file.read_text(encoding="utf-8"))
            if held["format"] != FORMAT:
                raise JobError(
                    f"{self.path} has the layout {held['format']} where this vidcolor knows "
                    f"{FORMAT}; go on with the vidcolor that began it, or begin anew with "
                    "--restart."
                )
            # An earlier vidcolor wrote none.
            if held.get("sum", _sum_of_plan(held)) != _sum_of_plan(held):
                raise ValueError("it isn't as it was written")
            segments = tuple(Segment(*numbers) for numbers in held["plan"])
            frames = tuple(int(number) for number in held["frames"])
            source, options = held.get("source"), held.get("options")
            return Job(
                dict(held["identity"]),
                segments,
                frames,
                None if source is None else Path(source),
                None if options is None else tuple(str(word) for word in options),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise JobError(
                f"{self._job_file} can't be read ({error}); begin anew with --restart."
            ) from error

    def refuse_another(self, job: Job, now: Identity) -> None:
        """Raise JobError, naming what differs, when the job here isn't the one asked for."""
        if changes := differences(job.identity, now):
            raise JobError(
                f"{self.path} belongs to an earlier run with a difference: {'; '.join(changes)}. "
                "Give the same command as then to go on, or --restart to begin anew."
            )

    def write_job(self, job: Job) -> None:
        """Begin the job in an empty folder. Raises OutputError."""
        # Segments without a job.json are what a killed deletion left: of another job, maybe.
        self._delete(keep_lock=True)
        with writing(self._job_file):
            self._segments.mkdir(exist_ok=True)
            self._put_job(job)
            sync_folder(self.path.parent)

    def note(self, job: Job, source: Path, options: tuple[str, ...] | None) -> None:
        """Remember where the job's film lies now and how it was asked for. Raises OutputError.

        `options` of None leave those noted before.
        """
        now = replace(job, source=source, options=job.options if options is None else options)
        if now != job:
            with writing(self._job_file):
                self._put_job(now)

    def _put_job(self, job: Job) -> None:
        held = {
            "format": FORMAT,
            "identity": job.identity,
            "plan": [(part.index, part.start, part.end) for part in job.segments],
            "frames": job.frames,
            "source": None if job.source is None else str(job.source),
            "options": job.options,
        }
        write_json(self._job_file, held | {"sum": _sum_of_plan(held)})

    def sweep(self) -> None:
        """Delete what a killed run left half-written. Raises OutputError."""
        with writing(self.path):
            for path in self._written():
                if PART in path.name:
                    _erase(path)

    def clear(self) -> None:
        """Delete the job and its segments, and nothing else. Raises OutputError."""
        self._delete(keep_lock=True)

    def remove(self) -> None:
        """Delete the job, and the folder if nothing else is in it. Raises OutputError."""
        self._delete(keep_lock=False)

    def foretell(self, joined: Path) -> None:
        """Note that the film that was joined is about to get its name, and the job to be deleted.

        Raises OSError.
        """
        write_json(self._last_words, _size_and_time(joined))

    def is_over(self, output: Path) -> bool:
        """Whether all that is left to do here is to delete it, as a kill came before or within."""
        try:
            names = {path.name for path in self.path.iterdir()}
            if "job.json" not in names:
                return all(name in ("lock", "segments") or _ABOVE.fullmatch(name) for name in names)
            foretold = json.loads(self._last_words.read_text(encoding="utf-8"))
            return bool(foretold == _size_and_time(output))
        except (OSError, ValueError):
            return False

    def temporary(self, segment: Segment) -> Path:
        """Where a segment's file is written before it is whole."""
        return self._segments / f"{segment.index:05d}{PART}.mkv"

    def joined(self, output: Path) -> Path:
        """Where the film is joined before it gets its final name: on the same file system."""
        return self.path / f"joined{PART}{output.suffix}"

    def commit(
        self,
        segment: Segment,
        record: SegmentRecord | None,
        *,
        damaged: Sequence[int] = (),
        repeated: Sequence[int] = (),
    ) -> Finished:
        """Make a written segment count as finished; no record means that it has no frame.

        `damaged` and `repeated` are what the source's damage did to it, by their pts.
        Raises OutputError, and JobError when its extradata isn't that of the segments before it.
        """
        path, marker = self._paths(segment)
        with writing(path):
            if record is None:
                done = Finished(path, 0, (), (), "", "")
            else:
                self._same_extradata(segment, record.extradata_sha256)
                put_in_place(self.temporary(segment), path)
                pts, durations = tuple(record.pts), tuple(record.durations)
                sums = record.extradata_sha256, file_sha256(path)
                flaws = tuple(damaged), tuple(repeated)
                done = Finished(path, record.frames, pts, durations, *sums, *flaws)
            held = asdict(done) | {"path": path.name}
            write_json(marker, held | {"sum": _sum(held)})
        return done

    def accept(self, segment: Segment, done: Finished) -> None:
        """Take note of a segment that was committed, be it by another process.

        Raises JobError when its extradata isn't that of the segments before it.
        """
        if done.frames:
            self._same_extradata(segment, done.extradata_sha256)

    def finished(self, segment: Segment) -> Finished | None:
        """The segment's marker if its file is as it was written, else None: to be done again."""
        done = self.marked(segment)
        if done is None or done.frames == 0:
            return done
        try:
            if file_sha256(done.path) != done.sha256:
                return None
        except OSError:
            return None
        self._same_extradata(segment, done.extradata_sha256)
        return done

    def marked(self, segment: Segment) -> Finished | None:
        """What the segment's marker says, its file there but not read; None without one."""
        path, marker = self._paths(segment)
        try:
            held: dict[str, Any] = json.loads(marker.read_text(encoding="utf-8"))
            if held.pop("sum") != _sum(held):
                return None
            lists = ("pts", "durations", "damaged", "repeated")
            times = {key: tuple(held[key]) for key in lists}
            done = Finished(**held | times | {"path": path})
            return done if done.frames == 0 or path.exists() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _same_extradata(self, segment: Segment, extradata_sha256: str) -> None:
        first = self._extradata = self._extradata or (segment.index, extradata_sha256)
        if first[1] != extradata_sha256:
            raise JobError(
                f"segment {segment.index} has another codec header than segment {first[0]}, and "
                "joined they would decode to wrong pictures; begin anew with --restart."
            )

    def _paths(self, segment: Segment) -> tuple[Path, Path]:
        name = f"{segment.index:05d}"
        return self._segments / f"{name}.mkv", self._segments / f"{name}.json"

    def _refuse_strangers(self) -> None:
        """Raise JobError when what bears the folder's name can't be a job's folder, or links would
        lead out of it."""
        for path in (self.path, self._segments, self.path / "lock", self._job_file):
            if path.is_symlink():
                raise JobError(
                    f"{path} is a link, and what is written for a job must stay in its folder; "
                    "delete the link, or choose another output with -o."
                )
        ours = ("job.json", "lock", "segments", "joined")
        try:
            entries = [path.name for path in self.path.iterdir()]
        except FileNotFoundError:
            return
        except OSError as error:
            raise JobError(
                f"{self.path} is needed for the job but can't be opened "
                f"({error.strerror}); move it away, or choose another output with -o."
            ) from error
        if "job.json" not in entries and any(not name.startswith(ours) for name in entries):
            raise JobError(
                f"{self.path} is needed for the job but holds something else; move it away, "
                "or choose another output with -o."
            )

    def _delete(self, *, keep_lock: bool) -> None:
        """Delete what a job writes: first what makes it a job, last the folder if it is empty."""
        with writing(self.path):
            self._job_file.unlink(missing_ok=True)
            for path in self._written():
                _erase(path)
            if not keep_lock:
                _remove_empty(self._segments)
                # Late, as it shows whose the folder is.
                (self.path / "lock").unlink(missing_ok=True)
                _remove_empty(self.path)

    def _written(self) -> list[Path]:
        above = (path for path in self.path.glob("*") if _ABOVE.fullmatch(path.name))
        below = (path for path in self._segments.glob("*") if _IN_SEGMENTS.fullmatch(path.name))
        return [*above, *below]


def _sum(held: Mapping[str, Any]) -> str:
    """Hex sha256 of plain JSON values, the same before they are written and when they are read."""
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()


def _sum_of_plan(held: Mapping[str, Any]) -> str:
    """The sum of what no run may change, of job.json's values."""
    return _sum({key: held[key] for key in ("identity", "plan", "frames")})


def _size_and_time(path: Path) -> list[int]:
    """What a file keeps when it is renamed, and no other shares."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _erase(path: Path) -> None:
    """Delete a file, or a folder with all that is in it. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        # A program that outlived a kill may be writing into it; then it goes the next time.
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _remove_empty(folder: Path) -> None:
    """Remove a folder, unless it is a link or something is in it. Raises OSError."""
    if folder.is_symlink() or not folder.is_dir() or any(folder.iterdir()):
        return
    try:
        folder.rmdir()
    except OSError as error:
        # Without our lock another process may have come, and gone, by now.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise


def folder_path(output: Path) -> Path:
    """The job's folder: the output's name with `.job` behind it."""
    return output.with_name(output.name + SUFFIX)


def output_of(folder: Path) -> Path:
    """The output whose job's folder this is."""
    return folder.with_name(folder.name.removesuffix(SUFFIX))


def holds_job(folder: Path) -> bool:
    """Whether a folder is a job's, damaged or not yet planned ones too, and no stranger's.

    What can't be read isn't.
    """
    if not folder.name.endswith(SUFFIX) or folder.name == SUFFIX:
        return False
    with suppress(OSError, ValueError):
        held = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        if isinstance(held, dict) and {"format", "identity", "plan"} <= held.keys():
            return True
    try:
        names = {path.name for path in folder.iterdir()}
        pid = (folder / "lock").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    begun = "segments" in names or (names == {"lock"} and bool(output_of(folder).suffix))
    return begun and (pid.isdecimal() or not pid)
