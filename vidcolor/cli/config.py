"""`vidcolor config`: the effective settings, where each came from, and the presets.

    $ vidcolor config show --preset best --crf 20
    $ vidcolor config presets

What `show` prints is a settings file itself: saved, it gives the same settings with --config.
"""

from __future__ import annotations

import json
import re
import textwrap
from typing import Annotated, Any

import typer

from vidcolor.cli.escapes import printable
from vidcolor.cli.options import (
    AnchorEvery,
    Batch,
    Codec,
    Config,
    Crf,
    Deinterlace,
    Devices,
    EncoderOption,
    EncoderPreset,
    KeepColor,
    Model,
    Preserve,
    Preset,
    Recolor,
    Saturation,
    SegmentSeconds,
    Smoothing,
    Threads,
    Weights,
    layers_of,
)
from vidcolor.settings import PRESETS, Settings, field_documentation, preset_path

COLUMNS = 96
"""Width of the text that explains; a file's, not the terminal's."""

ORIGIN_COLUMN = 34
"""Where the comments with the origins begin, for values that are no longer."""

SHOW_EPILOG = """Examples:
  vidcolor config show
  vidcolor config show --preset best --crf 20
  vidcolor config show --preset fast --describe > my.toml
"""
PRESETS_EPILOG = """Examples:
  vidcolor config presets
"""

config_app = typer.Typer(
    help="The effective settings, and where each came from.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@config_app.command("show", epilog=SHOW_EPILOG)
def show_command(
    preset: Preset = None,
    config: Config = None,
    model: Model = None,
    weights: Weights = None,
    preserve: Preserve = None,
    recolor: Recolor = None,
    keep_color: KeepColor = None,
    deinterlace: Deinterlace = None,
    anchor_every: AnchorEvery = None,
    smoothing: Smoothing = None,
    saturation: Saturation = None,
    codec: Codec = None,
    crf: Crf = None,
    encoder_preset: EncoderPreset = None,
    encoder_option: EncoderOption = None,
    device: Devices = None,
    threads: Threads = None,
    batch: Batch = None,
    segment_seconds: SegmentSeconds = None,
    describe: Annotated[
        bool, typer.Option("--describe", help="Explain each setting above its line.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object: each setting's value and origin.")
    ] = False,
) -> None:
    """The settings a run would have, as a file for --config, with each value's origin."""
    layers = layers_of(
        preset=preset,
        config=config,
        model=model,
        weights=weights,
        preserve=preserve,
        recolor=recolor,
        keep_color=keep_color,
        anchor_every=anchor_every,
        smoothing=smoothing,
        deinterlace=deinterlace,
        saturation=saturation,
        codec=codec,
        crf=crf,
        encoder_preset=encoder_preset,
        encoder_option=encoder_option,
        device=device,
        threads=threads,
        batch=batch,
        segment_seconds=segment_seconds,
    )
    settings, origins = Settings.trace(**layers)
    # What a run would refuse outright isn't worth saving.
    from vidcolor.jobs.local import refuse_wrong

    refuse_wrong(settings, None, None, several_devices=True)
    about = field_documentation() if describe else {}
    print(as_object(settings, origins, about) if as_json else as_toml(settings, origins, about))


@config_app.command("presets", epilog=PRESETS_EPILOG)
def presets_command() -> None:
    """The presets: when to take each, and what it sets."""
    print("\n\n".join(preset_text(name) for name in PRESETS))


def as_toml(settings: Settings, origins: dict[str, str], about: dict[str, str]) -> str:
    """Settings as a TOML file that gives them again, each with its origin behind it.

    `about` holds the texts to stand above them, by setting; those it lacks have none.
    """
    lines = ["# What a run would go by. Save it, change it, give it back with --config."]
    for name, origin in origins.items():
        if about:
            lines.append("")
        if name in about:
            lines += textwrap.wrap(
                about[name], COLUMNS, initial_indent="# ", subsequent_indent="# "
            )
        value = getattr(settings, name)
        # TOML has no word for nothing.
        line = f"# {name} is not set" if value is None else f"{name} = {toml_value(value)}"
        lines.append(f"{line:<{ORIGIN_COLUMN}}  # {printable(origin)}")
    return "\n".join(lines)


def as_object(settings: Settings, origins: dict[str, str], about: dict[str, str]) -> str:
    """Settings as JSON: name -> value, origin, and what `about` says."""
    values = settings.fingerprint()
    shown = {
        name: {"value": values[name], "origin": origin}
        | ({"about": about[name]} if name in about else {})
        for name, origin in origins.items()
    }
    return json.dumps(shown, indent=2)


def toml_value(value: Any) -> str:
    """A setting's value in TOML; pairs become a table, or a list where a key comes twice."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return toml_text(value)
    if isinstance(value, tuple):
        if len(dict(value)) < len(value):
            pairs = (f"[{toml_text(key)}, {toml_text(text)}]" for key, text in value)
            return f"[{', '.join(pairs)}]"
        entries = ", ".join(f"{toml_key(key)} = {toml_text(text)}" for key, text in value)
        return f"{{{entries}}}"
    return repr(value)


def toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_text(key)


def toml_text(text: str) -> str:
    """A basic string, which is JSON's but for one letter: DEL must be escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def preset_text(name: str) -> str:
    """A preset for people: the comment its file begins with, and what it sets."""
    lines = preset_path(name).read_text(encoding="utf-8").splitlines()
    why = " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    sets = [line for line in lines if line and not line.startswith("#")]
    text = textwrap.wrap(why, COLUMNS, initial_indent="  ", subsequent_indent="  ")
    return "\n".join([name, *text, "", *(f"    {line}" for line in sets)])
