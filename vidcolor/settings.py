"""Settings: every default in one place, presets, TOML, where each value came from, a fingerprint.

    settings = Settings.load(preset="balanced", crf=20)
    settings.fingerprint()["crf"]  # 20
    _, origins = Settings.trace(preset="best", crf=20)
    origins["anchor_every"], origins["crf"], origins["codec"]  # ("preset best", "--crf", "default")

    defaults < preset < TOML file < flags, or a call's arguments

A TOML file holds any of the fields of `Settings`, and may begin with `preset = "best"`: then it
builds on that preset, unless another one is asked for beside it.

Files and flags become one frozen `Settings` at the edge; inside, nobody reads either.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from vidcolor.errors import SettingsError

Preserve = Literal["luma", "lightness"]
PRESETS = ("fast", "balanced", "best")

DEFAULT = "default"
"""The origin of what neither preset nor file nor flag has set."""

KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool,), "true or false"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "str": ((str,), "text"),
    "int | None": ((int, type(None)), "a whole number"),
    "str | None": ((str, type(None)), "text"),
}
"""What the fields' annotations accept, in types and in words; checked because TOML and callers give
anything."""

LIMITS: dict[str, tuple[float, float]] = {
    "threads": (0, 1024),
    "batch": (0, 1024),
    "anchor_every": (1, 9),
    "analysis_side": (64, 1024),
    "saturation": (0, 2),
    "segment_seconds": (0.2, 3600),
    "crf": (0, 63),
}
"""Least and greatest value of the numbers."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run depends on. Frozen, checked on creation."""

    model: str = "auto"
    """The network that paints, by the name `vidcolor models list` shows; `auto` is the best
    official weights already here, else `compact`. Name one to compare networks, or to have the same
    one on every machine."""

    weights: str | None = None
    """A weights file for the network, instead of its own; a path, taken from the folder one works
    in. For networks you trained, and for official weights that lie outside the cache."""

    device: str = "auto"
    """Where the network computes: `cpu`, `cuda`, `cuda:N` or `mps`; `auto` is the first there is of
    CUDA, MPS and CPU. Name one to choose among several GPUs, or to keep away from a busy one. A
    whole film can be spread over several of one kind, as in `cuda:0,cuda:1`; `all` is every GPU
    there is."""

    threads: int = 0
    """CPU threads for the network, the decoder and the encoder, each, up to 1024; 0 takes the
    machine's cores. Lower it to leave room for other work; the encoder's bits change with it, so an
    unfinished job goes on only with the number it began with."""

    batch: int = 0
    """Frames the network sees at once, up to 1024; 0 takes the device's default (1 on a CPU, 4 with
    MPS, 8 with CUDA). Lower it when a GPU runs out of memory."""

    preserve: Preserve = "luma"
    """What stays as it is: `luma` keeps the source's luma plane bit for bit; `lightness` keeps CIE
    L, as the published networks do, and rewrites luma for it. Change it to compare with published
    results."""

    recolor: bool = False
    """Whether a film that already has colour is taken, its colour thrown away, instead of refused.
    Turn it on for badly coloured films, and for black and white in a strong tint."""

    keep_color: bool = False
    """Whether shots that already have colour keep it, chroma plane for chroma plane, while the
    others are coloured. For films of both kinds."""

    deinterlace: bool = True
    """Whether an interlaced film is made progressive, frame for frame, before it is coloured; its
    luma changes by that. Off colours it as it is, for films that only seem interlaced."""

    anchor_every: int = 4
    """The network looks at one frame in this many, 1 to 9; flow carries colour to the others. Lower
    it where things move fast or appear for an instant, raise it where the network is slow."""

    mirrored: bool = False
    """Whether the network sees what it looks at twice, as it is and mirrored, for the mean of both.
    Turn it on for a network whose answers lean to one side, at twice the network's time."""

    smoothing: bool = True
    """Gather each frame's colour along the flow from the anchors around it, so that it holds still.
    Off takes each anchor's own prediction, which flickers; for comparison, hardly for watching."""

    analysis_side: int = 256
    """Long side of the small luma that cuts, flow and gathering work on, 64 to 1024 pixels. Raise
    it where small things lose their colour as they move; the time these take grows with its
    square."""

    saturation: float = 1.0
    """Factor on the predicted colour, 0 (gray) to 2; hue stays. Lower it for a paler, calmer
    picture that hides mistakes, raise it where the network is timid."""

    gpu_decode: bool = True
    """Whether a CUDA device that computes also decodes the film, where it was seen to give the very
    samples the processor gives. Turn it off where that makes trouble, or where others need that
    part of the card."""

    segment_seconds: float = 10.0
    """About how long a segment is, 0.2 to 3600 seconds: what an interruption may cost. Shorter ones
    cost the encoder a keyframe each; lower it where the power fails often."""

    codec: str = "auto"
    """An encoder FFmpeg knows, such as `libx265` or `ffv1`; `auto` is libx264, or libx265 for films
    of 12 bits; `source` is the source's own codec where that is H.264, HEVC, AV1, VP9, FFV1 or
    ProRes, else as `auto`. Change it for smaller files, for lossless ones, or for an encoder on
    the GPU."""

    crf: int | None = None
    """Constant rate factor, 0 to 63 and no more than the encoder's own greatest: less is better and
    larger. Unset it is the codec's default here (17 for libx264). Raise it for smaller files."""

    encoder_preset: str | None = None
    """The encoder's own preset, in its own words, such as `slow` for libx264. Unset it is the
    codec's default here (medium for libx264). Slower ones make smaller files of the same
    quality."""

    encoder_options: tuple[tuple[str, str], ...] = ()
    """Further options for the encoder, as (key, value) pairs; a table in TOML. For what has no
    setting of its own, such as `tune` = `grain`."""

    def __post_init__(self) -> None:
        for field in fields(self):
            _refuse_kind(field.name, str(field.type), getattr(self, field.name))
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise SettingsError(f"{name} is {value}; expected a value from {low} to {high}.")
        if self.preserve not in get_args(Preserve):
            raise SettingsError(f"preserve is {_shown(self.preserve)}; expected luma or lightness.")
        if self.weights is not None and not self.weights.strip():
            raise SettingsError("weights is empty; expected the path of a weights file.")
        _refuse_pairs(self.encoder_options)

    @classmethod
    def load(cls, *, preset: str | None = None, file: Path | None = None, **given: Any) -> Settings:
        """Defaults, then the preset, then the TOML file, then `given` (None means not given).

        Raises SettingsError on an unknown preset, key or value.
        """
        return cls.trace(preset=preset, file=file, **given)[0]

    @classmethod
    def trace(
        cls, *, preset: str | None = None, file: Path | None = None, **given: Any
    ) -> tuple[Settings, dict[str, str]]:
        """As `load`, with each field's origin: `default`, `preset best`, the file, or `--crf`.

        Raises as `load`.
        """
        settings = cls()
        origins = dict.fromkeys(field_names(), DEFAULT)
        for layer in _layers(preset, file, given):
            settings = settings._with(layer)
            origins |= {name: layer.origin or flag_of(name) for name in layer.table}
        return settings, origins

    def _with(self, layer: _Layer) -> Settings:
        for key, value in layer.table.items():
            if key not in field_names():
                raise SettingsError(f"{layer.owner} has {_unknown(key, value)}")
        try:
            return replace(self, **_as_fields(layer.table))
        except SettingsError as error:
            # A value in a file needs the file's name; one of the call is at hand.
            raise (
                error if layer.origin is None else SettingsError(f"{layer.owner}: {error}")
            ) from None

    def fingerprint(self) -> dict[str, Any]:
        """Every setting that can change a pixel or a byte, as plain JSON values."""
        return {**asdict(self), "encoder_options": [list(pair) for pair in self.encoder_options]}


def field_names() -> tuple[str, ...]:
    """The settings' names, in their order."""
    return tuple(field.name for field in fields(Settings))


def field_documentation() -> dict[str, str]:
    """What stands under each field of `Settings`, as one line of text each.

    Read from this file, so that what people are shown is what stands in one place. Raises OSError
    where the package was installed without its source.
    """
    (settings,) = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(settings, ast.ClassDef)
    found = {}
    for field, below in zip(settings.body, settings.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = ast.literal_eval(below.value) if isinstance(below, ast.Expr) else ""
            found[field.target.id] = " ".join(text.split())
    return found


def nearest(word: str, known: Iterator[str] | tuple[str, ...]) -> str | None:
    """The known word that a misspelt one was probably meant to be, or None."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)


def flag_of(name: str) -> str:
    """The command line's flag for a setting."""
    # Repeated, so it is singular there.
    singular = name.removesuffix("s") if name == "encoder_options" else name
    return "--" + singular.replace("_", "-")


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a table. Raises SettingsError when it can't be read."""
    try:
        # Some editors begin a file with a byte order mark.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        why = error.strerror or str(error)
    except UnicodeDecodeError:
        why = "it isn't text in UTF-8"
    except ValueError as error:
        why = str(error)
    raise SettingsError(f"the settings file {path} can't be read: {why}.")


def preset_path(name: str) -> Path:
    """The TOML file of a preset. Raises SettingsError on an unknown name."""
    if name not in PRESETS:
        near = nearest(name, PRESETS)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(PRESETS)}."
        raise SettingsError(f"there is no preset {name!r}; {hint}")
    return configs_folder() / "presets" / f"{name}.toml"


def configs_folder() -> Path:
    """configs/, inside the package when installed from a wheel, beside it in a checkout.

    Raises SettingsError when neither is there.
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "configs", here.parent / "configs"):
        if (folder / "presets").is_dir():
            return folder
    raise SettingsError(f"no configs folder beside {here}; install vidcolor again.")


@dataclass(frozen=True)
class _Layer:
    """Values that go over those before them."""

    table: dict[str, Any]
    owner: str
    """Whose they are, for errors."""

    origin: str | None
    """Whose they are, for people; None where each has a flag of its own."""


def _layers(preset: str | None, file: Path | None, given: dict[str, Any]) -> Iterator[_Layer]:
    own = read_toml(file) if file is not None else {}
    named = own.pop("preset", None)
    if named is not None:
        _refuse_preset(named, file)
    if (chosen := preset if preset is not None else named) is not None:
        yield _Layer(read_toml(preset_path(chosen)), f"the preset {chosen}", f"preset {chosen}")
    if file is not None:
        yield _Layer(own, str(file), str(file))
    yield _Layer({k: v for k, v in given.items() if v is not None}, "the call", None)


def _refuse_preset(named: object, file: Path | None) -> None:
    """Raise SettingsError for a file that builds on what is no preset."""
    try:
        if not isinstance(named, str):
            raise SettingsError(f"preset is {_shown(named)}; expected one of {', '.join(PRESETS)}.")
        preset_path(named)
    except SettingsError as error:
        raise SettingsError(f"{file}: {error}") from None


def _unknown(key: str, value: object) -> str:
    """What to say of a key that is no setting."""
    if near := nearest(key, field_names()):
        return f"the unknown setting {key!r}; did you mean {near!r}?"
    if isinstance(value, dict):
        return (
            f"the table [{key}], which is no setting; settings stand at the file's top, without a "
            "table around them."
        )
    return f"the unknown setting {key!r}; known are {', '.join(field_names())}."


def _as_fields(table: dict[str, Any]) -> dict[str, Any]:
    """A TOML table's values as the fields hold them: encoder options become pairs."""
    options = table.get("encoder_options")
    if isinstance(options, dict):
        options = list(options.items())
    if not isinstance(options, list):
        return table
    pairs = tuple(
        (pair[0], _option_text(pair[1]))
        if isinstance(pair, list | tuple) and len(pair) == 2
        else pair
        for pair in options
    )
    return {**table, "encoder_options": pairs}


def _option_text(value: object) -> object:
    """A number or truth value as FFmpeg reads it; what is neither is left to be refused."""
    if isinstance(value, bool):
        return str(int(value))
    return str(value) if isinstance(value, int | float) else value


def _refuse_kind(name: str, annotation: str, value: object) -> None:
    """Raise SettingsError for a value of the wrong type."""
    if annotation not in KINDS:
        return
    types, words = KINDS[annotation]
    # bool is an int to Python, not to a person.
    if not isinstance(value, types) or (isinstance(value, bool) and annotation != "bool"):
        raise SettingsError(f"{name} is {_shown(value)}; expected {words}.")


def _refuse_pairs(options: object) -> None:
    """Raise SettingsError where the encoder's options aren't pairs of text."""
    if not isinstance(options, tuple):
        raise SettingsError(
            f'encoder_options is {_shown(options)}; expected a table such as {{tune = "grain"}}.'
        )
    for pair in options:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            raise SettingsError(
                f"encoder_options holds {_shown(pair)}; expected a key and a value."
            )
        if not isinstance(pair[1], str):
            raise SettingsError(
                f"the encoder option {pair[0]} is {_shown(pair[1])}; expected text or a number."
            )


def _shown(value: object) -> str:
    """A value in an error: what TOML calls a table or a list is called so."""
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list) else repr(value)
