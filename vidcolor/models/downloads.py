"""Bringing published weights into the cache.

    path = find_cached("siggraph17") or download("siggraph17")

No file gets its name before its sha256 is right. What was received of a download that ended early
stays beside it as `.part`, and the next one goes on from there.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path

from vidcolor.errors import OutputError, WeightsError
from vidcolor.locks import hold, still_there
from vidcolor.models.addresses import (
    Address,
    AddressError,
    Answer,
    BrokeOffError,
    UnreachableError,
    open_address,
    other_than_weights,
    words_of,
)
from vidcolor.models.catalogue import (
    OfficialWeights,
    cached_path,
    is_cached,
    official,
    seal_of,
    write_seal,
)
from vidcolor.models.weights import HEAD_BYTES

TIMEOUT_SECONDS = 30.0
"""How long a server may stay silent."""

CHUNK_BYTES = 1 << 20

MOST = 1.25
"""No more than this many times the size that is known of a file is taken from a server."""

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and the bytes there will be, None where nobody says."""

log = logging.getLogger(__name__)


def download(
    name: str,
    *,
    progress: Progress | None = None,
    urls: Sequence[str] | None = None,
    force: bool = False,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Path:
    """Bring the official weights of `name` into the cache, unless they are there; returns the file.

    Each address is tried in turn, and one more time for the rest of a file that broke off.
    urls: other addresses of the same bytes, or paths, instead of the catalogue's.
    force: bring them even where they are there.
    Raises WeightsError when no address gives the right file, saying what each answered and how
    to do it by hand; OutputError when the cache can't be written; UsageError on what is no address.
    """
    entry, target = official(name), cached_path(name)
    addresses = [Address.parse(url) for url in (entry.urls if urls is None else urls)]
    if not force and is_cached(name):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part_of(target) as part:
            # Another process may have brought it while this one came here.
            if not force and is_cached(name):
                return target
            troubles = fill(part, addresses, entry, progress, timeout_seconds)
            if troubles is None:
                put_in_place(part, target, entry.sha256)
                return target
    except OSError as error:
        raise OutputError(unwritable(target, entry, error)) from error
    raise WeightsError(gave_up(name, entry, troubles, target))


def fill(
    part: BufferedRandom,
    addresses: Sequence[Address],
    entry: OfficialWeights,
    progress: Progress | None,
    timeout_seconds: float,
) -> list[AddressError] | None:
    """Put the right bytes into `part`, from the first address that gives them.

    Returns None then, else what was wrong with each address. Raises OSError where `part` can't be
    written.
    """
    troubles = []
    for i, address in enumerate(addresses):
        try:
            fetch_checked(address, part, entry, progress, timeout_seconds)
        except AddressError as trouble:
            troubles.append(trouble)
            if i + 1 < len(addresses):
                log.warning("%s; trying %s", trouble, addresses[i + 1].shown)
        else:
            return None
    return troubles


def put_in_place(part: BufferedRandom, target: Path, sha256: str) -> None:
    """Give a whole file its name, and remember its sum. Raises OSError."""
    os.fsync(part.fileno())
    if sys.platform == "win32":
        # An open file can't be renamed there.
        part.close()
    part_path(target).replace(target)
    write_seal(target, seal_of(target, sha256))


# The part


def part_path(target: Path) -> Path:
    """Where a file grows until it is whole."""
    return target.with_name(target.name + ".part")


@contextmanager
def part_of(target: Path) -> Iterator[BufferedRandom]:
    """The file that grows, open, this process's alone, and removed where it stayed empty.

    Raises WeightsError while another process has it, and OSError.
    """
    path = part_path(target)
    while True:
        with path.open("a+b") as file:
            if hold(file) is False:
                raise WeightsError(
                    f"another process is downloading {path.name} at this moment; wait until it is "
                    "done."
                )
            if not still_there(file, path):
                # Whoever had it finished between our opening and our lock.
                continue
            try:
                yield file
            finally:
                if not file.closed and file.seek(0, os.SEEK_END) == 0:
                    path.unlink(missing_ok=True)
            return


# One address


def fetch_checked(
    address: Address,
    part: BufferedRandom,
    entry: OfficialWeights,
    progress: Progress | None,
    timeout_seconds: float,
) -> None:
    """Fill `part` from `address` and check its sum; a wrong sum empties it. Raises AddressError."""
    most = int(entry.approximate_bytes * MOST)
    if part.seek(0, os.SEEK_END) > most:
        part.truncate(0)
    resumed = part.seek(0, os.SEEK_END) > 0
    try:
        fetch(address, part, most, progress, timeout_seconds)
    except BrokeOffError:
        fetch(address, part, most, progress, timeout_seconds)
    part.seek(0)
    actual = hashlib.file_digest(part, "sha256").hexdigest()
    if actual == entry.sha256:
        return
    part.truncate(0)
    if not resumed:
        sums = f"sha256 {actual[:8]}..., expected {entry.sha256[:8]}..."
        raise AddressError(f"{address.shown} sent another file ({sums})")
    # The beginning that was here may have been another file's.
    fetch_checked(address, part, entry, progress, timeout_seconds)


def fetch(
    address: Address,
    part: BufferedRandom,
    most: int,
    progress: Progress | None,
    timeout_seconds: float,
) -> None:
    """Append to `part` what `address` has beyond its length, or start again where it can't.

    Raises AddressError when the server is silent, refuses, sends a page, or breaks off; what
    `part` held stays then.
    """
    here = part.seek(0, os.SEEK_END)
    answer = open_address(address, start=here, timeout_seconds=timeout_seconds)
    if answer is None:
        # What is here is as long as the file or longer: its sum decides.
        return
    with answer:
        start = here if answer.status == http.client.PARTIAL_CONTENT else 0
        receive(answer, part, start, most, address.shown, progress)


def receive(
    answer: Answer,
    part: BufferedRandom,
    here: int,
    most: int,
    host: str,
    progress: Progress | None,
) -> None:
    """Write an answer's body to `part` from byte `here` on. Raises AddressError."""
    length = length_of(answer)
    total = None if length is None else here + length
    if total is not None and total > most:
        raise AddressError(f"{host} has another file there ({total / 1e6:,.0f} MB)")
    head = True
    while True:
        try:
            chunk = answer.read(HEAD_BYTES) if head else answer.read1(CHUNK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise BrokeOffError(
                f"{host} broke off after {here:,} bytes ({words_of(error)})"
            ) from error
        began = head and here == 0 and (chunk or not total)
        if began and (what := other_than_weights(chunk)):
            raise AddressError(f"{host} sent {what} instead of weights")
        if not chunk:
            break
        if head and part.seek(0, os.SEEK_END) > here:
            part.truncate(here)
        head = False
        part.write(chunk)
        here += len(chunk)
        if here > most:
            part.truncate(0)
            raise AddressError(f"{host} sends another file (more than {most / 1e6:,.0f} MB)")
        if progress is not None:
            progress(here, total)
    if total is not None and here < total:
        raise BrokeOffError(f"{host} broke off after {here:,} of {total:,} bytes")


def length_of(answer: Answer) -> int | None:
    """How many bytes an answer's body still has, None where it doesn't say."""
    if isinstance(answer, http.client.HTTPResponse):
        return answer.length
    return int(answer.headers["Content-Length"])


# What to say


def gave_up(
    name: str, entry: OfficialWeights, troubles: Sequence[AddressError], target: Path
) -> str:
    """Why no address gave the weights, and how to get them by hand."""
    offline = all(isinstance(trouble, UnreachableError) for trouble in troubles)
    why = ", and this machine seems to be offline" if offline else ""
    return (
        f"the weights of {name} could not be downloaded{why}: "
        f"{'; '.join(dict.fromkeys(map(str, troubles)))}; by hand, download "
        f"{' or '.join(entry.urls)} (about {entry.approximate_bytes / 1e6:.0f} MB) elsewhere and "
        f"save it as {target}, or pass the file with --weights FILE."
    )


def unwritable(target: Path, entry: OfficialWeights, error: OSError) -> str:
    """Why the cache didn't take the weights, and what to do."""
    folder = target.parent
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(folder).free
        return (
            f"the disk of {folder} is full ({free / 1e6:,.0f} MB free, the weights are "
            f"{entry.approximate_bytes / 1e6:,.0f} MB); make room, or set VIDCOLOR_CACHE to a "
            "folder on another disk, and try again."
        )
    return (
        f"weights can't be written to {folder}: {error.strerror or error}; set VIDCOLOR_CACHE to a "
        "folder that you may write to."
    )
