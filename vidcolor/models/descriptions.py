"""What a person choosing a network wants to know: whether its weights are here, and what it is.

    find_weights(entry_of("siggraph17")).state     # "absent"
    measure(entry_of("siggraph17")).parameters     # 34_187_027

`find_weights` costs no import of torch. `measure` builds the network without its weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vidcolor.errors import WeightsError
from vidcolor.models.catalogue import OFFICIAL, cached_path, find_cached
from vidcolor.models.registry import ModelEntry, bundled_weights
from vidcolor.models.weights import sha256_of

State = Literal["here", "absent", "wrong", "lost", "unpublished", "needless"]
"""Of a network's weights: here and right; to be pulled; another file under their name; no longer in
the package; only whoever trained them has them; there are none to be had, nor needed."""


@dataclass(frozen=True, kw_only=True)
class WeightsFound:
    """A network's own weights, as far as they are here."""

    state: State

    path: Path | None = None
    """The file, where it is here and right."""

    belongs: Path | None = None
    """Where the file is, or is kept once it is here."""

    bytes: int | None = None
    """The file's size; before it is here, about what a download brings."""

    sha256: str | None = None
    """Hex: the published one, or that of the file in the package."""

    trouble: str = ""
    """What is wrong with the file that is there, a sentence."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """A network's figures, all counted on the network itself."""

    parameters: int
    """Values in all its parameters; buffers, such as BatchNorm's means, count only where its
    authors counted them."""

    trainable: int
    """Those of them that training changes."""

    input_size: tuple[int, int]
    """(height, width) a frame is stretched to."""

    size_multiple: int
    """Both sides of an input must be multiples of this."""

    accepts_hints: bool

    gflop: float | None
    """Work for one frame at `input_size`, a multiplication with its addition counting as two; None
    where the network can't be run without its weights."""


def find_weights(entry: ModelEntry) -> WeightsFound:
    """Where a network's own weights stand. Reads at most one file, to sum it."""
    if entry.official:
        return find_official(entry.name)
    if entry.bundled:
        return find_bundled(entry.name)
    return WeightsFound(state="needless" if entry.formula else "unpublished")


def find_official(name: str) -> WeightsFound:
    published, belongs = OFFICIAL[name], cached_path(name)
    state: State
    try:
        path, trouble = find_cached(name), ""
        state = "here" if path else "absent"
    except WeightsError as error:
        path, trouble, state = None, str(error), "wrong"
    return WeightsFound(
        state=state,
        path=path,
        belongs=belongs,
        bytes=path.stat().st_size if path else published.approximate_bytes,
        sha256=published.sha256,
        trouble=trouble,
    )


def find_bundled(name: str) -> WeightsFound:
    try:
        path = bundled_weights(name)
    except WeightsError as error:
        return WeightsFound(state="lost", trouble=str(error))
    return WeightsFound(
        state="here",
        path=path,
        belongs=path,
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
    )


def measure(entry: ModelEntry) -> Measures:
    """Count a network's parameters and work, on torch's meta device, which holds no values."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model = entry.build().to("meta").eval()
        counter = FlopCounterMode(display=False)
        gflop = None
        try:
            with torch.inference_mode(), counter:
                model(torch.zeros(1, 1, *model.input_size))
            gflop = counter.get_total_flops() / 1e9
        except (RuntimeError, NotImplementedError, WeightsError):
            # Its path depends on values, and there are none.
            pass
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    if model.counts_statistics:
        statistics = (b for name, b in model.named_buffers() if ".running_" in name)
        sizes += [(b.numel(), False) for b in statistics]
    return Measures(
        parameters=sum(n for n, _ in sizes),
        trainable=sum(n for n, trainable in sizes if trainable),
        input_size=model.input_size,
        size_multiple=model.size_multiple,
        accepts_hints=model.accepts_hints,
        gflop=gflop,
    )
