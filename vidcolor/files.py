"""What lies under a name: a file, or something that only looks like one; and sizes in words.

    irregular(Path("film.mp4"))     # None: a regular file, or a link to one
    irregular(Path("/dev/zero"))    # 'a device'
    size_words(1_432_000_000)       # '1.4 GB'

Reading a pipe may wait for ever and reading a device may never end, so both are asked about first.
"""

from __future__ import annotations

import stat
from pathlib import Path

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def irregular(path: Path) -> str | None:
    """What `path` is where it is no regular file, in words; links are followed. Raises OSError."""
    kind = stat.S_IFMT(path.stat().st_mode)
    return None if kind == stat.S_IFREG else _KINDS.get(kind, "no regular file")


def size_words(count: float) -> str:
    """Bytes in two digits: 1.4 GB, 14 MB, 140 kB."""
    if count < 1000:
        return f"{round(count)} bytes"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        # 999.6 would be rounded to four digits.
        if count < 995 or unit == "TB":
            break
    return f"{count:.1f} {unit}" if count < 9.95 else f"{_two_digits(count):.0f} {unit}"


def _two_digits(count: float) -> float:
    return round(count / 10) * 10 if 100 <= count < 995 else round(count)
