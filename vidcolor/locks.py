"""Locks: one process at a time inside a job's folder, a training's, or a file that is downloaded.

    with take_lock(folder / "lock", "film.color.mkv"):
        ...
    is_locked(folder / "lock")

They are flock(2)'s: the system gives them back when a process ends, however it ends, so no lock
ever has to be cleared away. Windows and some network disks have none; there nothing is kept out.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import time
import weakref
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import IO, Any

from vidcolor.errors import JobError, VidcolorError

_GLANCE_SECONDS = 0.05
"""More than `is_locked` takes: a lock that is still held after it is held for work."""

_ATTEMPTS = 100
"""How often a folder may vanish under our hands before something else must be wrong."""

_NO_LOCKS_HERE = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}

log = logging.getLogger(__name__)

_taken: weakref.WeakSet[IO[str]] = weakref.WeakSet()
"""Locks of this process. A child that is forked has them open as well, and would hold on to them
when this process was killed."""


def _leave_to_parent() -> None:
    for file in list(_taken):
        file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


def take_lock(path: Path, what: str, *, refusal: type[VidcolorError] = JobError) -> IO[str]:
    """Keep other processes out of what `path` guards, until the returned file is closed.

    Makes the folder around it if need be. Raises `refusal`, naming `what` and the other process,
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
            _lock(file, what, refusal)
            if still_there(file, path):
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
                _taken.add(file)
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
        _lock(file, what, JobError)


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


def hold(file: IO[Any]) -> bool | None:
    """Lock an open file until it is closed; False where another process has it, None where the
    system or the disk has no locks. Raises OSError."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            raise
        return None
    return True


def _lock(file: IO[str], what: str, refusal: type[VidcolorError]) -> None:
    held = hold(file)
    if held is False:
        time.sleep(_GLANCE_SECONDS)
        held = hold(file)
    if held is None and sys.platform != "win32":
        log.warning("this file system has no locks: see that only one process works at %s", what)
    if held is False:
        file.seek(0)
        holder = file.read().strip()
        who = f"another process (pid {holder})" if holder else "another process"
        raise refusal(f"{who} is working on {what}; wait until it is done, or end it first.")


def still_there(file: IO[Any], path: Path) -> bool:
    """Whether an open file is the one that has the name now, and not one that was removed."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
