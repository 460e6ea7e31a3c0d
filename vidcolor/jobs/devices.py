"""Which devices a run computes on, from the words of `--device`.

    split_devices("cuda:1,cuda:0")  # ("cuda:0", "cuda:1")
    devices_of("all")               # every GPU there is, else ("cpu",)

Several are of one kind, so that it doesn't matter which of them makes a segment.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from vidcolor.errors import DeviceError

ALL = "all"
"""Every GPU there is."""

_DEVICE = re.compile(r"auto|(cpu|cuda|mps)(:\d+)?")


def split_devices(given: str) -> tuple[str, ...]:
    """The devices a setting names, in their order, each as torch knows it; a single word is left
    as it is.

    Costs no import of torch. Raises DeviceError on a word that is no device, on devices of several
    kinds, and on one given twice, which only the CPU may be.
    """
    words = [word.strip() for word in given.split(",")]
    if given == ALL:
        return (ALL,)
    for word in words:
        if not _DEVICE.fullmatch(word) and not (word == ALL and len(words) > 1):
            raise DeviceError(
                f"there is no device called {word!r}; expected auto, cpu, cuda, cuda:N, mps, all, "
                "or several as in cuda:0,cuda:1."
            )
    if len(words) == 1:
        return (given,)
    if alone := {"auto", ALL}.intersection(words):
        raise DeviceError(
            f"among the devices {given} stands {min(alone)}, which stands alone; name each one, as "
            "in cuda:0,cuda:1."
        )
    numbered = sorted(_numbered(word) for word in words)
    if len({kind for kind, _ in numbered}) > 1:
        raise DeviceError(
            f"the devices {given} are of several kinds, which don't give the same pixels; name "
            "some of one kind, as in cuda:0,cuda:1."
        )
    if numbered[0][0] == "cpu":
        return ("cpu",) * len(words)
    for (kind, number), count in Counter(numbered).items():
        if count > 1:
            raise DeviceError(
                f"among the devices {given} is {kind}:{number} more than once; name each one once, "
                "or give all."
            )
    return tuple(f"{kind}:{number}" for kind, number in numbered)


def _numbered(word: str) -> tuple[str, int]:
    kind, _, number = word.partition(":")
    return kind, int(number or 0)


def refuse_several(given: str) -> None:
    """Raise DeviceError for a setting that names several devices, where one is taken."""
    names = split_devices(given)
    if len(names) > 1 or names == (ALL,):
        one = "cuda" if names == (ALL,) else names[0]
        raise DeviceError(
            f"{given!r} stands for several devices, over which only a whole film is spread, by "
            f"`vidcolor run`; give one here, such as {one}."
        )


def devices_of(given: str) -> tuple[str, ...]:
    """As `split_devices`, with `all` written out; imports torch for that alone."""
    names = split_devices(given)
    if names != (ALL,):
        return names
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count:
        return tuple(f"cuda:{number}" for number in range(count))
    return ("mps",) if torch.backends.mps.is_available() else ("cpu",)


def refuse_unlike(names: Sequence[str]) -> None:
    """Raise DeviceError where devices aren't there, or are GPUs of several kinds."""
    import torch

    from vidcolor.inference import choose_device

    kinds: dict[str, str] = {}
    for name in names:
        device = choose_device(name)
        if device.type == "cuda":
            kinds.setdefault(torch.cuda.get_device_name(device), name)
    if len(kinds) > 1:
        (one, first), (other, second) = list(kinds.items())[:2]
        raise DeviceError(
            f"{first} is {one} and {second} is {other}, which may not give the same pixels; name "
            "GPUs of one kind, as in cuda:0,cuda:1."
        )


def spread_fingerprint(engine: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The fingerprint of a network that is open on one of several devices, as a job has it.

    They are in order, so that a job goes on with the same ones however they are named.
    """
    return {**engine, "device": ",".join(names)} if len(names) > 1 else {**engine}
