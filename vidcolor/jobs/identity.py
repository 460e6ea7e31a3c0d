"""What a job is bound to: its source, settings, network, encoder and versions.

    now = identity(...)
    differences(read_json(job_file)["identity"], now)   # ["crf 17 -> 20"]

Segments of one film may only be joined when all of this is equal; a difference is named to the
person in the words of the command line.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcolor import __version__
from vidcolor.errors import SourceError
from vidcolor.frames import PictureFormat
from vidcolor.jobs.plan import Moment
from vidcolor.settings import Settings

if TYPE_CHECKING:
    from vidcolor.media.choice import EncoderChoice

Identity = dict[str, dict[str, Any]]
"""Sections of plain JSON values."""

ENDS_BYTES = 1 << 20
"""How much of a source's beginning and of its end its fingerprint reads."""

_LIBRARIES = ("torch", "av", "numpy", "opencv-python", "opencv-python-headless")
"""Those whose arithmetic or bits reach the segments."""

_DECIDED_ELSEWHERE = frozenset(
    (
        *("model", "weights", "device", "batch", "gpu_decode"),
        *("codec", "crf", "encoder_preset", "encoder_options"),
    )
)
"""Settings that only choose: what was chosen stands in the engine's and encoder's sections, so
that `--model auto` and the network it takes are the same job. Who decodes changes nothing."""


def identity(
    source: Path,
    settings: Settings,
    engine: Mapping[str, Any],
    choice: EncoderChoice,
    picture_format: PictureFormat,
    cut: tuple[Moment | None, Moment | None],
) -> Identity:
    """Everything the segments depend on, as plain JSON values; `engine` is its fingerprint.

    Raises SourceError.
    """
    chosen = settings.fingerprint().items()
    start, end = cut
    now = {
        "source": source_fingerprint(source),
        "range": {"start": str(start or "beginning"), "end": str(end or "end")},
        "settings": {key: value for key, value in chosen if key not in _DECIDED_ELSEWHERE},
        "engine": engine,
        "encoder": {**asdict(choice), "picture": asdict(picture_format)},
        "versions": versions(),
    }
    # As it will be read back: tuples have become lists.
    plain: Identity = json.loads(json.dumps(now))
    return plain


def source_fingerprint(path: Path) -> dict[str, Any]:
    """Size, time of change, and sha256 of the first and last MiB. Raises SourceError."""
    try:
        stat = path.stat()
        digest = hashlib.sha256()
        with path.open("rb") as file:
            digest.update(file.read(ENDS_BYTES))
            file.seek(max(0, stat.st_size - ENDS_BYTES))
            digest.update(file.read(ENDS_BYTES))
    except OSError as error:
        raise SourceError(f"{path} can't be read: {error.strerror or error}.") from error
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256_ends": digest.hexdigest()}


def versions() -> dict[str, str]:
    """vidcolor's version and those of the libraries the pixels pass through."""
    found = {"vidcolor": __version__}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def differences(old: Identity, new: Identity) -> list[str]:
    """What changed, each as `name old -> new`; empty when nothing did."""
    if (before := old.get("source")) != (after := new["source"]):
        return [_source_changed(before or {}, after)]
    return [
        f"{name} {_shown(was)} -> {_shown(now)}"
        for section in new
        if section != "source"
        for name, was, now in _changed(old.get(section, {}), new[section])
    ]


def _source_changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    if old.get("size") != new["size"]:
        return f"the source has {new['size']:,} bytes where it had {old.get('size', 0):,}"
    if old.get("sha256_ends") != new["sha256_ends"]:
        return "the source holds other bytes than it did"
    was, now = (_date(stamp["mtime_ns"]) for stamp in (old, new))
    return f"the source was written to since (changed {was} -> {now})"


def _date(mtime_ns: int) -> str:
    return datetime.fromtimestamp(mtime_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _changed(
    old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Leaves that differ, as (name, old, new)."""
    for key in {**old, **new}:
        was, now = old.get(key), new.get(key)
        name = f"{prefix}{key}".replace("_", "-")
        if isinstance(was, dict) and isinstance(now, dict):
            yield from _changed(was, now, f"{name} ")
        elif was != now:
            yield name, was, now


def _shown(value: Any) -> str:
    if isinstance(value, str) and len(value) == hashlib.sha256().digest_size * 2:
        return value[:8]
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return " ".join(_shown(part) for part in value) or "none"
    return "none" if value is None else str(value)
