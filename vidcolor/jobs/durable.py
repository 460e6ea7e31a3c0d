"""Files that survive a kill and a power cut: temporary name, fsync, rename, fsync the folder.

    with writing(output):
        write_json(folder / "job.json", {"format": 1})

A reader therefore sees a whole file under its final name, or none.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO, Any

from vidcolor.errors import JobError, OutputError

PART = ".part"
"""Marks a file that is still being written; whoever starts next may delete it."""

_GLANCE_SECONDS = 0.05
"""More than `is_locked` takes: a lock that is still held after it is held for work."""

_ATTEMPTS = 100
"""How often a folder may vanish under our hands before something else must be wrong."""

_NO_LOCKS_HERE = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}

log = logging.getLogger(__name__)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON under `path`, all of it or nothing. Raises OSError."""
    temporary = path.with_name(path.name + PART)
    temporary.write_text(json.dumps(value), encoding="utf-8")
    put_in_place(temporary, path)


def put_in_place(temporary: Path, path: Path) -> None:
    """Give a written file its final name, replacing what is there. Raises OSError."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Raises OSError."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """Hex sha256 of a whole file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError inside into an OutputError that names `path` and what to do."""
    try:
        yield
    except OSError as error:
        raise OutputError(_sentence(path, error)) from error


def _sentence(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk is full, so {path} can't be written; finished segments are kept: "
            "free some space and give the same command again."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{path.parent} may not be written to ({error.strerror}); choose another place with -o."
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR) and not path.parent.is_dir():
        return f"{path.parent} isn't a folder; make it first, or choose another place with -o."
    return f"{path} can't be written: {error.strerror or error}; choose another place with -o."


def take_lock(path: Path, what: str) -> IO[str]:
    """Keep other processes out of what `path` guards, until the returned file is closed.

    Makes the folder around it if need be. Raises JobError, naming `what` and the other process,
    when one is inside already, and OSError.
    """
    for attempt in count(1):
        try:
            path.parent.mkdir(exist_ok=True)
            file = path.open("a+", encoding="utf-8")
        except FileNotFoundError:
            # The last holder removed the folder after we had found or made it.
            if attempt < _ATTEMPTS and path.parent.parent.is_dir():
                continue
            raise
        try:
            _lock(file, what)
            if _still_there(file, path):
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
                return file
        except BaseException:
            file.close()
            raise
        # The last holder finished and removed the folder between our open and our lock.
        file.close()
    raise AssertionError("count has no end")


def refuse_locked(path: Path, what: str) -> None:
    """Raise what `take_lock` would where another process holds it; nothing is made or kept."""
    with suppress(FileNotFoundError), path.open(encoding="utf-8") as file:
        _lock(file, what)


def refuse_unwritable(folder: Path) -> None:
    """Raise the OSError that making a file in `folder` would most likely meet."""
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        read_only = sys.platform != "win32" and os.statvfs(folder).f_flag & os.ST_RDONLY
        number = errno.EROFS if read_only else errno.EACCES
        raise OSError(number, os.strerror(number), str(folder))


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock `path` now. Neither is disturbed; no file is made."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _lock(file: IO[str], what: str) -> None:
    if sys.platform == "win32":
        return
    import fcntl

    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_GLANCE_SECONDS)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read().strip()
        who = f"another process (pid {holder})" if holder else "another process"
        raise JobError(
            f"{who} is working on {what}; wait until it is done, or end it first."
        ) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            raise
        log.warning("this file system has no locks: see that only one process runs a job")


def _still_there(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
