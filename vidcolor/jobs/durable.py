"""Files that survive a kill and a power cut: temporary name, fsync, rename, fsync the folder.

    with writing(output):
        write_json(folder / "job.json", {"format": 1})

A reader therefore sees a whole file under its final name, or none.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vidcolor.errors import OutputError

PART = ".part"
"""Marks a file that is still being written; whoever starts next may delete it."""


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


def refuse_unwritable(folder: Path) -> None:
    """Raise the OSError that making a file in `folder` would most likely meet."""
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        read_only = sys.platform != "win32" and os.statvfs(folder).f_flag & os.ST_RDONLY
        number = errno.EROFS if read_only else errno.EACCES
        raise OSError(number, os.strerror(number), str(folder))
