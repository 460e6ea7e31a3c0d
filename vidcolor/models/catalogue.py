"""The weights that authors published: their addresses and sums, and the cache they are kept in.

    path = find_cached("siggraph17") or download("siggraph17")

A file in the cache counts only where its sha256 is the published one.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from vidcolor.errors import WeightsError
from vidcolor.models.weights import sha256_of


@dataclass(frozen=True, kw_only=True)
class OfficialWeights:
    """A weights file its authors published."""

    file_name: str
    """Its name in the cache, the authors' own."""

    urls: tuple[str, ...]
    """The authors' address, then mirrors of the same bytes."""

    sha256: str
    """Hex; the authors' file names carry its first 8 digits."""

    approximate_bytes: int
    """For people, before the download says it exactly; and much more than this isn't taken."""


AUTHORS = "https://colorizers.s3.us-east-2.amazonaws.com"
MIRROR = "https://github.com/clibdev/colorization/releases/latest/download"

OFFICIAL: dict[str, OfficialWeights] = {
    "eccv16": OfficialWeights(
        file_name="colorization_release_v2-9b330a0b.pth",
        urls=(
            f"{AUTHORS}/colorization_release_v2-9b330a0b.pth",
            f"{MIRROR}/colorization-eccv-16.pth",
        ),
        sha256="9b330a0bae53f4ded77b1e23defbf78beaa09c10ebc4c4999e8e4f4a160b93f9",
        approximate_bytes=123_000_000,
    ),
    "siggraph17": OfficialWeights(
        file_name="siggraph17-df00044c.pth",
        urls=(
            f"{AUTHORS}/siggraph17-df00044c.pth",
            f"{MIRROR}/colorization-siggraph-17.pth",
        ),
        sha256="df00044c0a4d7c3edcecf6f75437ce346a66e7a42612d9b968e1a7e17dbc6f66",
        approximate_bytes=130_500_000,
    ),
}
"""By network; the addresses often answer 403 or with a page, hence the mirrors and the sums."""

EMBEDDING = "inception-resnet-v2"
"""The classifier that DeepColor's networks ask what a picture shows."""

COMPANIONS: dict[str, OfficialWeights] = {
    EMBEDDING: OfficialWeights(
        file_name="inceptionresnetv2-520b38e4.pth",
        urls=(
            "http://data.lip6.fr/cadene/pretrainedmodels/inceptionresnetv2-520b38e4.pth",
            "https://huggingface.co/jscanvic/mirror/resolve/main/inceptionresnetv2-520b38e4.pth",
        ),
        sha256="520b38e4fe58682abd64eeeb2057c71d0d3a50a95b9bce9dabbaae2be8d5d632",
        approximate_bytes=223_774_246,
    ),
}
"""Published weights of networks that colour nothing themselves but that others need."""


def cache_folder() -> Path:
    """Where downloaded weights lie: $VIDCOLOR_CACHE, else the system's cache folder for us."""
    given = os.environ.get("VIDCOLOR_CACHE")
    if given:
        return Path(given).absolute()
    return platformdirs.user_cache_path("vidcolor", appauthor=False)


def cached_path(name: str) -> Path:
    """Where the official weights of `name` belong, whether they are there or not.

    Raises WeightsError where `name` has no official weights.
    """
    return cache_folder() / official(name).file_name


def official(name: str) -> OfficialWeights:
    """The catalogue's entry. Raises WeightsError where `name` has none."""
    published = {**OFFICIAL, **COMPANIONS}
    if name not in published:
        *most, last = published
        raise WeightsError(
            f"there are no official weights for {name!r}; there are for {', '.join(most)} and "
            f"{last}."
        )
    return published[name]


def find_cached(name: str) -> Path | None:
    """The official weights of `name` if they are in the cache, else None.

    Their sum is computed once and remembered with the file's size and time, so that a start
    doesn't read 130 MB. Raises WeightsError when the file there isn't the published one.
    """
    entry, path = official(name), cached_path(name)
    try:
        seen = seal_of(path, entry.sha256)
    except OSError:
        return None
    if read_seal(path) == seen:
        return path
    try:
        actual = sha256_of(path)
    except OSError as error:
        raise WeightsError(f"the weights file {path} can't be read: {error.strerror}.") from error
    if actual != entry.sha256:
        raise WeightsError(
            f"{path} isn't the published file of {name} (sha256 {actual[:8]}..., expected "
            f"{entry.sha256[:8]}...); delete it, or run `vidcolor models pull {name}`, which "
            "replaces it."
        )
    write_seal(path, seen)
    return path


def is_cached(name: str) -> bool:
    """Whether the official weights of `name` are in the cache, the right ones."""
    try:
        return find_cached(name) is not None
    except WeightsError:
        return False


def seal_of(path: Path, sha256: str) -> dict[str, Any]:
    stat = path.stat()
    return {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": sha256}


def seal_path(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def read_seal(path: Path) -> Any:
    try:
        return json.loads(seal_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_seal(path: Path, seal: dict[str, Any]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(seal), encoding="utf-8")
        temporary.replace(seal_path(path))
    except OSError:
        # A cache that can't be written to costs a check at every start, nothing else.
        temporary.unlink(missing_ok=True)
