"""Weights files: reading them, checking them, and putting them into a network.

    load_weights(model, Path("siggraph17-df00044c.pth"))

Nothing here unpickles code. torch is imported where tensors are read, so that a command that only
lists networks starts fast.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcolor.errors import WeightsError
from vidcolor.files import irregular

if TYPE_CHECKING:
    from torch import Tensor

    from vidcolor.models.color_model import ColorModel

HEAD_BYTES = 512
"""How much of a file's beginning tells what kind it is."""

MOST = 4
"""Times a file's own size that what it holds may have, unpacked."""

TORCH_PICKLE_PROTOCOL = b"\x02"
"""torch.save writes this one; later ones come from elsewhere."""


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


def options_of(path: Path) -> dict[str, Any]:
    """The network's options that a safetensors file of ours carries; empty for any other file."""
    from safetensors import SafetensorError, safe_open

    try:
        if irregular(path):
            return {}
        with safe_open(path, "pt") as file:
            options = json.loads((file.metadata() or {})[NOTES_KEY])["options"]
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return {}
    return options if isinstance(options, dict) else {}


NOTES_KEY = "vidcolor"
"""Where a file's metadata has what we noted of it, as JSON: one key, since several come in any
order, and equal weights would have unequal sums."""


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, read in pieces. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        if (kind := irregular(path)) not in (None, "a folder"):
            raise WeightsError(f"{path} is {kind}, not a weights file; save it as a file first.")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
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

    if inflates(path):
        raise damaged(path)
    try:
        with warnings.catch_warnings():
            # They speak to whoever wrote the file of pickle protocols and TorchScript.
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged pickle makes its reader fail in whatever way its bytes happen to lead to.
    except Exception as error:
        raise (refused(path, head, error) or damaged(path)) from error
    return checked_state_dict(path, content)


def inflates(path: Path) -> bool:
    """Whether a file is an archive that promises far more than it holds: torch packs nothing."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(each.file_size for each in archive.infolist()) > MOST * path.stat().st_size
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


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
