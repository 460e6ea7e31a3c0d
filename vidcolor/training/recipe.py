"""Recipes: one training run as a TOML file, checked when it is read.

    recipe = Recipe.load(Path("configs/train/compact.toml"))
    other = recipe.changed({"lr": "1e-4", "data.size": "192"})

Every table of the file is one of the dataclasses below, every key one of its fields. What can be
wrong is said in one sentence that names the file and the key.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from vidcolor.errors import TrainingError

OptimizerName = Literal["sgd", "adam", "adamw", "adamax", "rmsprop"]
ScheduleName = Literal["constant", "fall", "steps"]
SplitWay = Literal["file", "hash"]
Augmentation = Literal["none", "mirror", "crop", "film"]
Rebalance = Literal["none", "prior", "data"]


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """What is learned from."""

    train: list[str] = field(default_factory=lambda: ["train-*.tar"])
    """Photographs: folders, tars, films and the like, below the data folder; patterns go."""

    validation: list[str] = field(default_factory=lambda: ["val.tar"])
    """Where `split` is `file`: the photographs that measure."""

    split: SplitWay = "file"
    """By file as above, or by a hash of each photograph's name: 60 % of `train` to learn from,
    20 % to measure with, 20 % for later."""

    weights: dict[str, float] = field(default_factory=dict)
    """How much more often photographs whose name fits a pattern are drawn."""

    size: int = 128
    """Side of the square samples, pixels."""

    batch: int = 32
    augment: Augmentation = "film"
    hinted: float = 0.0
    """Share of the samples that get simulated user hints."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveRecipe:
    """What is learned towards; see vidcolor/training/objectives.py."""

    name: str = "mse"
    rebalance: Rebalance = "prior"
    unit: float = 110.0
    neighbours: int = 5
    ab_share: float = 1.0
    knee: float = 10.0
    perceptual: float = 0.0


@dataclass(frozen=True, kw_only=True)
class OptimizerRecipe:
    """How the weights move."""

    name: OptimizerName = "adam"
    rate: float = 1e-3
    """The learning rate at its peak."""

    momentum: float = 0.9
    """Of sgd and rmsprop."""

    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    """Of adam, adamw and adamax."""

    l2: float = 0.0
    """Weight decay: decoupled for adamw, else a penalty on the squared weights."""

    encoder_share: float = 1.0
    """The share of the rate at which a pretrained encoder learns."""

    clip: float = 0.0
    """Longest gradient, by its norm; 0 for any."""


@dataclass(frozen=True, kw_only=True)
class ScheduleRecipe:
    """How long, and how the rate changes."""

    epochs: int = 10
    steps: int = 0
    """Steps in all; 0 leaves it to the epochs, else whichever ends first."""

    name: ScheduleName = "constant"
    """The rate after the warm-up: constant; or it falls to zero along a line over the last
    `fall_share` of the steps; or it is multiplied by `factor` every `every` steps."""

    warmup: int = 0
    """Steps to reach the peak."""

    fall_share: float = 0.35
    every: int = 1000
    factor: float = 0.1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run."""

    network: str
    """Its name in the registry."""

    seed: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    """The network's own, such as `enlarge = "resize"` for the Osnabrück networks."""

    backbone: str = ""
    """Where an encoder starts from, below the data folder: an .npz of MobileNetV2 for compact."""

    start: str = ""
    """Weights to start from, below the data folder."""

    data: DataRecipe = field(default_factory=DataRecipe)
    objective: ObjectiveRecipe = field(default_factory=ObjectiveRecipe)
    optimizer: OptimizerRecipe = field(default_factory=OptimizerRecipe)
    schedule: ScheduleRecipe = field(default_factory=ScheduleRecipe)

    ema: float = 0.0
    """Decay of the averaged weights that are measured and saved; 0 for the last ones."""

    measure_every: int = 0
    """Steps between readings on the validation photographs; 0 for once an epoch."""

    measured: int = 200
    """Photographs a reading takes."""

    half: bool = False
    """Whether the finished weights are saved in 16 bits."""

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read a recipe. Raises TrainingError on a file, key or value that doesn't fit."""
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TrainingError(f"there is no recipe {path}; check its name.") from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise TrainingError(f"the recipe {path} can't be read: {error}.") from error
        return cls.of(table, str(path))

    @classmethod
    def of(cls, table: Mapping[str, Any], where: str) -> Recipe:
        """A recipe of a TOML table; `where` names it in errors. Raises TrainingError."""
        if "network" not in table:
            raise TrainingError(f'{where} names no network; it needs a line network = "...".')
        recipe: Recipe = _filled(cls, table, where, "")
        _check(recipe, where)
        return recipe

    def changed(self, changes: Mapping[str, str]) -> Recipe:
        """The recipe with other values, given as text, by the names of SHORT or by any field's with
        its table's, such as `data.augment`. Raises TrainingError."""
        table = asdict(self)
        for key, text in changes.items():
            *tables, last = SHORT.get(key, key).split(".")
            place = table
            for name in tables:
                place = place.get(name, {})
            if last not in place and tables != ["options"]:
                known = ", ".join([*SHORT, *_names(Recipe)])
                raise TrainingError(f"a recipe has no {key!r}; it has {known}.")
            place[last] = _value(text)
        return Recipe.of(table, "the changed recipe")

    def text(self) -> str:
        """The recipe as one line of JSON, as it goes into checkpoints and weights."""
        return json.dumps(asdict(self), sort_keys=True)


SHORT = {
    "lr": "optimizer.rate",
    "rate": "optimizer.rate",
    "l2": "optimizer.l2",
    "batch": "data.batch",
    "size": "data.size",
    "epochs": "schedule.epochs",
    "steps": "schedule.steps",
}
"""Short names of what is often varied."""

_LEAST = {"size": 8, "batch": 1, "epochs": 1, "measured": 1, "every": 1, "neighbours": 1}
_KINDS: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "text"),
    dict[str, Any]: ((dict,), "a table"),
    dict[str, float]: ((dict,), "a table of numbers"),
    list[str]: ((list,), "a list of texts"),
    list[float]: ((list,), "a list of numbers"),
}


def _filled(kind: type[Any], table: Mapping[str, Any], where: str, inside: str) -> Any:
    """An instance of a recipe's dataclass from a table, field by field."""
    hints, known = get_type_hints(kind), {f.name for f in fields(kind)}
    if unknown := sorted(set(table) - known):
        name = f"{inside}{unknown[0]}"
        raise TrainingError(
            f"{where} has the unknown key {name!r}; known here are {', '.join(sorted(known))}."
        )
    values = {}
    for name, value in table.items():
        hint = hints[name]
        if isinstance(hint, type) and is_dataclass(hint):
            if not isinstance(value, dict):
                raise TrainingError(f"{inside}{name} is {value!r} in {where}; expected a table.")
            values[name] = _filled(hint, value, where, f"{name}.")
        else:
            values[name] = _checked(value, hint, f"{inside}{name}", where)
    return kind(**values)


def _checked(value: Any, hint: Any, name: str, where: str) -> Any:
    choices = get_args(hint) if hint not in _KINDS else ()
    if choices:
        if value not in choices:
            expected = ", ".join(map(str, choices))
            raise TrainingError(f"{name} is {value!r} in {where}; expected one of {expected}.")
        return value
    kinds, words = _KINDS[hint]
    fits = isinstance(value, kinds) and isinstance(value, bool) is (hint is bool)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    inner = get_args(hint)[-1:] if fits else ()
    for part in parts:
        if inner and inner[0] is not Any:
            fits &= isinstance(part, _KINDS[inner[0]][0]) and not isinstance(part, bool)
    if not fits:
        raise TrainingError(f"{name} is {value!r} in {where}; expected {words}.")
    return float(value) if hint is float else value


def _check(recipe: Recipe, where: str) -> None:
    """What values must be beside their kind."""
    for part in (recipe, recipe.data, recipe.objective, recipe.optimizer, recipe.schedule):
        for each in fields(part):
            value, least = getattr(part, each.name), _LEAST.get(each.name, 0)
            if isinstance(value, int | float) and not isinstance(value, bool) and value < least:
                raise TrainingError(
                    f"{each.name} is {value} in {where}; expected at least {least}."
                )
    if len(recipe.optimizer.betas) != 2:
        raise TrainingError(f"betas is {recipe.optimizer.betas} in {where}; expected two numbers.")
    if not recipe.objective.unit:
        raise TrainingError(f"unit is 0 in {where}; expected Lab units, such as 110.")
    if recipe.ema >= 1:
        raise TrainingError(f"ema is {recipe.ema} in {where}; expected less than 1.")


def _names(kind: type[Any], inside: str = "") -> list[str]:
    """All fields of a recipe, by their full names."""
    names = []
    for name, hint in get_type_hints(kind).items():
        nested = isinstance(hint, type) and is_dataclass(hint)
        names += _names(hint, f"{name}.") if nested else [f"{inside}{name}"]
    return names


def _value(text: str) -> Any:
    """A value as it would stand in the file; what isn't one is a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
