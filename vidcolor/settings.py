"""Settings: every default in one place, presets, TOML, and a fingerprint.

    settings = Settings.load(preset="balanced", crf=20)
    settings.fingerprint()["crf"]  # 20

Files and flags become one frozen `Settings` at the edge; inside, nobody reads either.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from vidcolor.errors import SettingsError

Preserve = Literal["luma", "lightness"]
PRESETS = ("fast", "balanced", "best")

KINDS: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "int | None": (int, type(None)),
    "str | None": (str, type(None)),
}
"""What the fields' annotations accept, checked because TOML and callers give anything."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run depends on. Frozen, checked on creation."""

    model: str = "auto"
    """A network's name, or `auto`: the best official weights already here, else `compact`."""

    weights: str | None = None
    """A weights file for `model`, instead of its own."""

    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:N` or `mps`."""

    threads: int = 0
    """CPU threads for the network and for the encoder, each; 0 takes the machine's cores."""

    batch: int = 0
    """Frames the network sees at once; 0 takes the device's default."""

    preserve: Preserve = "luma"
    """`luma` keeps the source's luma plane bit for bit; `lightness` keeps CIE L, as the
    published networks do, and rewrites luma for it."""

    recolor: bool = False
    """Colorize a film that already has colour."""

    anchor_every: int = 4
    """The network looks at one frame in this many (1 to 8); flow carries colour to the others."""

    smoothing: bool = True
    """Gather colour along the flow; off takes each anchor's own prediction."""

    analysis_side: int = 256
    """Long side of the small luma that cuts, flow and gathering work on, pixels."""

    saturation: float = 1.0
    """Factor on the predicted colour, 0 to 2."""

    segment_seconds: float = 10.0
    """About how long a segment is: what an interruption may cost."""

    codec: str = "auto"
    """An encoder FFmpeg knows; `auto` is libx264, or libx265 for films of 12 bits."""

    crf: int | None = None
    """Constant rate factor; None takes the codec's default here (17 for libx264)."""

    encoder_preset: str | None = None
    """The encoder's own preset; None takes the codec's default here (medium for libx264)."""

    encoder_options: tuple[tuple[str, str], ...] = ()
    """Further options for the encoder, as (key, value); a table in TOML."""

    def __post_init__(self) -> None:
        for f in fields(self):
            kind = KINDS.get(str(f.type))
            value = getattr(self, f.name)
            # bool is an int to Python, not to a person.
            if kind and (
                not isinstance(value, kind) or (isinstance(value, bool) and f.type != "bool")
            ):
                raise SettingsError(f"{f.name} is {value!r}; expected {f.type}.")
        limits = {
            "threads": (0, 1024),
            "batch": (0, 1024),
            "anchor_every": (1, 8),
            "analysis_side": (64, 1024),
            "saturation": (0, 2),
            "segment_seconds": (0.2, 3600),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"{name} is {value}; expected a value from {low} to {high}.")
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise SettingsError(f"crf is {self.crf}; expected a value from 0 to 63.")
        if self.preserve not in get_args(Preserve):
            raise SettingsError(f"preserve is {self.preserve!r}; expected luma or lightness.")

    @classmethod
    def load(cls, *, preset: str | None = None, file: Path | None = None, **given: Any) -> Settings:
        """Defaults, then the preset, then the TOML file, then `given` (None means not given).

        Raises SettingsError on an unknown preset, key or value.
        """
        settings = cls()
        if preset is not None:
            settings = settings._with(read_toml(preset_path(preset)), f"the preset {preset}")
        if file is not None:
            settings = settings._with(read_toml(file), str(file))
        return settings._with({k: v for k, v in given.items() if v is not None}, "the call")

    def _with(self, table: dict[str, Any], origin: str) -> Settings:
        known = [f.name for f in fields(self)]
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}."
                raise SettingsError(f"{origin} has the unknown setting {key!r}; {hint}")
        if isinstance(options := table.get("encoder_options"), dict):
            pairs = tuple((key, str(value)) for key, value in options.items())
            table = {**table, "encoder_options": pairs}
        return replace(self, **table)

    def fingerprint(self) -> dict[str, Any]:
        """Every setting that can change a pixel or a byte, as plain JSON values."""
        return {**asdict(self), "encoder_options": [list(pair) for pair in self.encoder_options]}


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a table. Raises SettingsError when it can't be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"the settings file {path} can't be read: {error}.") from error


def preset_path(name: str) -> Path:
    """The TOML file of a preset. Raises SettingsError on an unknown name."""
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(PRESETS)}."
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
