"""Weights files: the official ones' addresses and sums, reading, checking, downloading.

    path = find_cached("siggraph17") or download("siggraph17")
    load_weights(model, path)

Nothing here unpickles code, and no file gets its name before its sha256 is right. torch is
imported where tensors are read, so that a command that only lists networks starts fast.
"""

from __future__ import annotations

import codecs
import hashlib
import http.client
import json
import os
import re
import sys
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import platformdirs

from vidcolor.errors import OutputError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor

    from vidcolor.models.color_model import ColorModel

TIMEOUT_SECONDS = 30.0
"""How long a server may stay silent."""

CHUNK_BYTES = 1 << 20

TORCH_PICKLE_PROTOCOL = b"\x02"
"""torch.save writes this one; later ones come from elsewhere."""

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and the bytes there will be, None where nobody says."""


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
    """For people, before the download says it exactly."""

    licence: str = "BSD-2-Clause"


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


def cache_folder() -> Path:
    """Where downloaded weights lie: $VIDCOLOR_CACHE, else the system's cache folder for us."""
    given = os.environ.get("VIDCOLOR_CACHE")
    return Path(given) if given else platformdirs.user_cache_path("vidcolor", appauthor=False)


def cached_path(name: str) -> Path:
    """Where the official weights of `name` belong, whether they are there or not.

    Raises WeightsError where `name` has no official weights.
    """
    return cache_folder() / official(name).file_name


def official(name: str) -> OfficialWeights:
    """The catalogue's entry. Raises WeightsError where `name` has none."""
    if name not in OFFICIAL:
        known = " and ".join(OFFICIAL)
        raise WeightsError(f"there are no official weights for {name!r}; there are for {known}.")
    return OFFICIAL[name]


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, read in pieces. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Loading


def load_weights(model: ColorModel, path: Path, *, sha256: str | None = None) -> None:
    """Put a file's weights into `model`, strictly, in the model's dtype, and seal it with its sum.

    sha256: the file's sum where it is already known; None computes it.
    Raises WeightsError when the file can't be read or belongs to another network; then the model
    is as it was.
    """
    state = read_state_dict(path)
    trouble = mismatch(model.state_dict(), state)
    if trouble:
        raise WeightsError(f"{path} doesn't fit the network {model.name}: {trouble}{whose(state)}.")
    model.load_state_dict(state, strict=True)
    model.weights_sha256 = sha256 or sha256_of(path)


def mismatch(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str | None:
    """The first thing that doesn't fit, in words; None when everything does."""
    for key, tensor in expected.items():
        if key not in given:
            return f"it lacks {key!r} {list(tensor.shape)}"
        if given[key].shape != tensor.shape:
            return (
                f"its {key!r} is {list(given[key].shape)} where {list(tensor.shape)} was expected"
            )
        if given[key].is_floating_point() != tensor.is_floating_point():
            return f"its {key!r} is {given[key].dtype} where {tensor.dtype} was expected"
        if tensor.is_floating_point() and not given[key].isfinite().all():
            return f"its {key!r} holds values that aren't finite numbers"
    unexpected = next((key for key in given if key not in expected), None)
    return f"it has the unexpected {unexpected!r}" if unexpected else None


def whose(state: Mapping[str, Tensor]) -> str:
    """The end of a mismatch's sentence: which known network the weights are of, if one."""
    # Imported here because the registry imports this module.
    from vidcolor.models.registry import network_of

    name = network_of(state)
    return f"; these are weights of {name}, try --model {name}" if name else ""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a weights file's tensors onto the CPU, in the file's order and dtypes.

    Takes safetensors and PyTorch's .pth in both its formats, told apart by content, not by name.
    Raises WeightsError when the file is missing, no weights file, damaged, or holds code.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise WeightsError(f"the weights file {path} doesn't exist; check its name.") from None
    except OSError as error:
        raise WeightsError(f"the weights file {path} can't be read: {error.strerror}.") from error
    page = looks_like_page(head)
    if page or looks_like_text(head):
        what = "a web page" if page else "a text"
        raise WeightsError(
            f"{path} is {what}, not weights, perhaps a download that went wrong; open it in an "
            "editor to see what the server said, and download it again."
        )
    if path.suffix == ".safetensors" or head[8:9] == b"{":
        return read_safetensors(path)
    return read_pth(path, head)


def looks_like_text(head: bytes) -> bool:
    """Whether a file's first bytes are plain text; an empty file isn't."""
    try:
        # Incremental, since a character may be cut in two at the end.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text) and all(c.isprintable() or c.isspace() for c in text.lstrip("\ufeff"))


def looks_like_page(head: bytes) -> bool:
    """Whether a file's first bytes are those of HTML or of a server's XML answer."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise damaged(path) from error
    return checked_state_dict(path, state)


def read_pth(path: Path, head: bytes) -> dict[str, Tensor]:
    import torch

    try:
        with warnings.catch_warnings():
            # They speak to whoever wrote the file of pickle protocols and TorchScript.
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged pickle makes its reader fail in whatever way its bytes happen to lead to.
    except Exception as error:
        raise (refused(path, head, error) or damaged(path)) from error
    return checked_state_dict(path, content)


def refused(path: Path, head: bytes, error: Exception) -> WeightsError | None:
    """The error for a file torch would not read because it holds code; None for another file."""
    called = re.search(r"GLOBAL ([\w.]+)", str(error))
    if called:
        what = f"wants to call {called[1]} while it loads"
    elif "TorchScript" in str(error):
        what = "is a TorchScript program"
    elif head[:1] == b"\x80" and head[1:2] > TORCH_PICKLE_PROTOCOL:
        what = "is a Python pickle, which can hold code"
    else:
        return None
    return WeightsError(
        f"{path} was refused: it {what}, and a weights file may hold numbers only; get the "
        "network's state dict, best as .safetensors."
    )


def damaged(path: Path) -> WeightsError:
    return WeightsError(
        f"{path} ({path.stat().st_size:,} bytes) is damaged, cut short, or no weights file; "
        "expected .safetensors or a PyTorch .pth, get it again."
    )


def checked_state_dict(path: Path, content: Any) -> dict[str, Tensor]:
    """`content` if it is names to tensors, else WeightsError."""
    from torch import Tensor

    if isinstance(content, Mapping):
        others = {k: v for k, v in content.items() if not isinstance(v, Tensor)}
        if content and not others:
            return {str(key): tensor.detach() for key, tensor in content.items()}
        key = next(iter(others), None)
        what = f"a table whose {key!r} is a {type(others[key]).__name__}" if others else "empty"
    else:
        what = f"a {type(content).__name__}"
    raise WeightsError(
        f"{path} holds no state dict but is {what}; expected tensors by name, as "
        "torch.save(model.state_dict(), ...) or safetensors writes them."
    )


# The cache


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


# Downloading


class _AddressError(Exception):
    """Why one address gave no weights."""


class _UnreachableError(_AddressError):
    """No server answered at all."""


class _BrokeOffError(_AddressError):
    """The file began to come, and stopped."""


def download(
    name: str,
    *,
    progress: Progress | None = None,
    urls: Sequence[str] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Path:
    """Bring the official weights of `name` into the cache, unless they are there; returns the file.

    Each address is tried in turn, and one more time for the rest of a file that broke off. What
    was received stays beside the target as `.part`, and the next call goes on from it.
    urls: other addresses of the same bytes, instead of the catalogue's.
    Raises WeightsError when no address gives the right file, saying what each answered and how
    to do it by hand; OutputError when the cache can't be written.
    """
    entry, target = official(name), cached_path(name)
    if is_cached(name):
        return target
    urls = entry.urls if urls is None else urls
    part = target.with_name(target.name + ".part")
    troubles: list[_AddressError] = []
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("a+b") as file:
            lock(file, part)
            for url in urls:
                try:
                    fetch_checked(url, file, entry.sha256, progress, timeout_seconds)
                except _AddressError as trouble:
                    troubles.append(trouble)
                    continue
                part.replace(target)
                write_seal(target, seal_of(target, entry.sha256))
                return target
            if file.seek(0, os.SEEK_END) == 0:
                part.unlink()
    except OSError as error:
        raise OutputError(
            f"weights can't be written to {part.parent}: {error.strerror or error}; make room, "
            "or set VIDCOLOR_CACHE to another folder."
        ) from error
    raise gave_up(name, entry, urls, troubles, target)


def is_cached(name: str) -> bool:
    try:
        return find_cached(name) is not None
    except WeightsError:
        # A wrong file under the right name: the download replaces it.
        return False


def lock(file: BufferedRandom, part: Path) -> None:
    """Keep a second download of the same file away until this one ends."""
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WeightsError(
            f"another process is downloading {part.name} at this moment; wait until it is done."
        ) from None


def fetch_checked(
    url: str, file: BufferedRandom, sha256: str, progress: Progress | None, timeout_seconds: float
) -> None:
    """Fill `file` from `url` and check its sum; a wrong sum empties it. Raises _AddressError."""
    resumed = file.seek(0, os.SEEK_END) > 0
    try:
        fetch(url, file, progress, timeout_seconds)
    except _BrokeOffError:
        fetch(url, file, progress, timeout_seconds)
    file.seek(0)
    actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual == sha256:
        os.fsync(file.fileno())
        return
    file.truncate(0)
    if not resumed:
        sums = f"sha256 {actual[:8]}..., expected {sha256[:8]}..."
        raise _AddressError(f"{urlsplit(url).netloc} sent another file ({sums})")
    # The beginning that was here may have been another file's.
    fetch_checked(url, file, sha256, progress, timeout_seconds)


def fetch(
    url: str, file: BufferedRandom, progress: Progress | None, timeout_seconds: float
) -> None:
    """Append to `file` what `url` has beyond its length, or start again where the server can't.

    Raises _AddressError when the server is silent, refuses, sends a page, or breaks off; what
    `file` held stays then.
    """
    host = urlsplit(url).netloc
    here = file.seek(0, os.SEEK_END)
    headers = {"User-Agent": "vidcolor"} | ({"Range": f"bytes={here}-"} if here else {})
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=timeout_seconds)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and here:
            # What is here is as long as the file or longer: its sum decides.
            return
        raise _AddressError(f"{host} refused with {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise _UnreachableError(f"{host} can't be reached ({reason})") from error
    with response:
        start = here if response.status == http.client.PARTIAL_CONTENT else 0
        receive(response, file, start, host, progress)


def receive(
    response: http.client.HTTPResponse,
    file: BufferedRandom,
    here: int,
    host: str,
    progress: Progress | None,
) -> None:
    """Write a response's body to `file` from byte `here` on. Raises _AddressError."""
    total = None if response.length is None else here + response.length
    first = True
    while True:
        try:
            chunk = response.read1(CHUNK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _BrokeOffError(f"{host} broke off after {here:,} bytes ({error})") from error
        if not chunk:
            break
        if first:
            if here == 0 and looks_like_page(chunk):
                raise _AddressError(f"{host} sent a web page instead of weights")
            file.truncate(here)
            first = False
        file.write(chunk)
        here += len(chunk)
        if progress is not None:
            progress(here, total)
    if total is not None and here < total:
        raise _BrokeOffError(f"{host} broke off after {here:,} of {total:,} bytes")


def gave_up(
    name: str,
    entry: OfficialWeights,
    urls: Sequence[str],
    troubles: Sequence[_AddressError],
    target: Path,
) -> WeightsError:
    offline = all(isinstance(trouble, _UnreachableError) for trouble in troubles)
    why = "this machine seems to be offline: " if offline else ""
    return WeightsError(
        f"the weights of {name} could not be downloaded ({why}"
        f"{'; '.join(map(str, troubles))}); download {' or '.join(urls)} "
        f"(about {entry.approximate_bytes / 1e6:.0f} MB) elsewhere and save it as {target}, "
        "or pass the file with --weights FILE."
    )
