"""A run's memory: everything it needs to go on as if it had never stopped.

    save_checkpoint(out, state)
    state = load_checkpoint(out, recipe)        # None where there is none yet

A checkpoint is written beside the last one and takes its name when it is whole on the disk: a kill
or a full disk costs what was learned since the last one, never the last one itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

import torch
from safetensors.torch import save
from torch import Tensor

from vidcolor.errors import TrainingError
from vidcolor.models.weights import NOTES_KEY
from vidcolor.training.recipe import Recipe

CHECKPOINT = "checkpoint.pt"


class State(TypedDict):
    """What a checkpoint holds."""

    recipe: str
    """The recipe's text: another one's checkpoint isn't gone on with."""

    step: int
    network: dict[str, Tensor]
    average: dict[str, Tensor] | None
    optimizer: dict[str, Any]
    random: Tensor
    """State of torch's random numbers on the CPU."""

    device_random: Tensor | None
    """The same of the leader's device, which dropout draws from; None where that is the CPU."""

    best: float
    """The best reading so far, dB."""


def save_checkpoint(out: Path, state: State) -> None:
    """Raises TrainingError where it can't be written; the last one is still there then."""
    target = out / CHECKPOINT
    part = target.with_name(f"{CHECKPOINT}.part")
    try:
        with part.open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    # torch wraps what the disk says in an error of its own.
    except (OSError, RuntimeError) as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        kept = f"; the last one, {target}, is whole" if target.exists() else ""
        raise TrainingError(
            f"the checkpoint can't be written to {out} ({_words(error)}){kept}; make room and give "
            "the same command again."
        ) from error


def load_checkpoint(out: Path, recipe: Recipe) -> State | None:
    """Raises TrainingError where the checkpoint is damaged or of another recipe."""
    path = out / CHECKPOINT
    if not path.exists():
        return None
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
        kept = state["recipe"], state["step"]
    except Exception as error:  # torch raises whatever a damaged file makes it raise
        raise TrainingError(
            f"{path} is no checkpoint of a training, or is damaged; move it away to begin anew."
        ) from error
    different = _difference(kept[0], recipe)
    if different:
        raise TrainingError(
            f"{path} belongs to a run of another recipe ({different}); name another folder with "
            "--out, or move it away."
        )
    return state


def put_weights(path: Path, state: Mapping[str, Tensor], recipe: Recipe) -> None:
    """Write finished weights as safetensors, with the network's options and the recipe.

    Raises TrainingError where they can't be written.
    """
    kind = torch.float16 if recipe.half else None
    tensors = {
        name: tensor.detach().cpu().to(kind if tensor.is_floating_point() else None).contiguous()
        for name, tensor in state.items()
    }
    notes = {
        "network": recipe.network,
        "options": recipe.options,
        "recipe": json.loads(recipe.text()),
    }
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(save(tensors, {NOTES_KEY: json.dumps(notes, sort_keys=True)}))
        part.replace(path)
    except Exception as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise TrainingError(f"{path} can't be written ({_words(error)}).") from error


LENGTHS = {"schedule.epochs", "schedule.steps", "measure_every", "measured"}
"""What may change between a checkpoint and its continuation: how long, and how it is watched."""


def _difference(kept: str, recipe: Recipe) -> str:
    """The first thing that two recipes differ in, or nothing."""
    # What an older version had no key for, it did as the key's default says.
    usual = _flat(json.loads(Recipe(network=recipe.network).text()))
    old, new = (usual | _flat(json.loads(text)) for text in (kept, recipe.text()))
    for key in sorted((old.keys() | new.keys()) - LENGTHS):
        if old.get(key) != new.get(key):
            return f"{key} was {old.get(key)!r} and is {new.get(key)!r}"
    return ""


def _flat(table: Mapping[str, Any], inside: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{inside}{key}.")
        else:
            flat[f"{inside}{key}"] = value
    return flat


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or str(error).partition("\n")[0])
