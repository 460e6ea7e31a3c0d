"""Options that several commands share, each written once: a flag, its help, its default.

    def run_command(model: Model = None, crf: Crf = None, ...) -> None:
        settings = settings_of(model=model, crf=crf, ...)

An option's value is None, or False for a switch, where the person didn't give it; the default its
help shows is read from `Settings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from vidcolor.errors import UsageError
from vidcolor.settings import PRESETS, Settings

DEFAULT_PRESET = "balanced"
"""The preset that Settings' own defaults are."""

COLOUR, ENCODER, MACHINE, JOB = "Colour", "Encoder", "Machine", "Job"
"""Panels of the help."""

_FIELDS = {field.name: field for field in fields(Settings)}
_CODECS_OWN = {
    "crf": "17 for libx264; each codec its own",
    "encoder_preset": "medium for libx264; each codec its own",
}


def shown(text: str, default: str) -> str:
    """A help text with its default; typer's own way puts the default into double brackets."""
    return f"{text} [dim]\\[default: {default}][/dim]"


def setting_option(
    setting: str,
    text: str,
    *names: str,
    panel: str,
    metavar: str | None = None,
    complete: Callable[[str], list[str]] | None = None,
) -> Any:
    """An option for a setting; the default it shows is the setting's own."""
    return typer.Option(
        *names,
        help=shown(text, default_words(setting)),
        rich_help_panel=panel,
        metavar=metavar,
        parser=number_parser(setting),
        autocompletion=complete,
    )


def default_words(setting: str) -> str:
    """A setting's default in the words of the command line."""
    value: Any = _FIELDS[setting].default
    if setting in _CODECS_OWN:
        return _CODECS_OWN[setting]
    if isinstance(value, bool):
        return "on" if value else "off"
    return "automatic" if value == 0 else str(value)


def number_parser(setting: str) -> Callable[[str], float] | None:
    """Reads a setting's number and, unlike typer, says what was given; None for other kinds."""
    kind = str(_FIELDS[setting].type).removesuffix(" | None")
    if kind not in ("int", "float"):
        return None

    def parse(text: str) -> float:
        try:
            return int(text) if kind == "int" else float(text)
        except ValueError:
            expected = "a whole number" if kind == "int" else "a number"
            flag = "--" + setting.replace("_", "-")
            raise UsageError(f"{flag} was given {text!r}; expected {expected}.") from None

    return parse


# What a shell offers when Tab is pressed.


def complete_model(begun: str) -> list[str]:
    from vidcolor.models.registry import AUTO, MODELS

    names = [AUTO, *(entry.name for entry in MODELS if not entry.for_tests)]
    return [name for name in names if name.startswith(begun)]


def complete_preset(begun: str) -> list[str]:
    return [name for name in PRESETS if name.startswith(begun)]


def complete_switch(begun: str) -> list[str]:
    return [word for word in ("on", "off") if word.startswith(begun)]


def complete_preserve(begun: str) -> list[str]:
    return [word for word in ("luma", "lightness") if word.startswith(begun)]


def complete_device(begun: str) -> list[str]:
    return [word for word in ("auto", "cpu", "cuda", "mps") if word.startswith(begun)]


def complete_devices(begun: str) -> list[str]:
    return [*complete_device(begun), *(word for word in ("all",) if word.startswith(begun))]


def complete_codec(begun: str) -> list[str]:
    known = ("auto", "source", "libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1", "prores_ks")
    return [word for word in known if word.startswith(begun)]


MODEL_HELP = "A network; `vidcolor models list` shows them."
PRESET_HELP = f"A set of settings: {', '.join(PRESETS)}."

# The options. Single-valued ones first in the order of the help.

Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help=shown(PRESET_HELP, DEFAULT_PRESET), autocompletion=complete_preset
    ),
]
Config = Annotated[
    Path | None, typer.Option(metavar="TOML", help="A file of settings, over the preset's.")
]
Start = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help=shown("Where to begin: seconds, H:MM:SS.mmm, or a frame as 300f.", "the beginning"),
    ),
]
End = Annotated[
    str | None,
    typer.Option(metavar="TIME", help=shown("Where to end, this moment left out.", "the end")),
]
Model = Annotated[
    str | None,
    setting_option("model", MODEL_HELP, panel=COLOUR, metavar="NAME", complete=complete_model),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help=shown("A weights file for the network.", "the network's own"),
        rich_help_panel=COLOUR,
    ),
]
Preserve = Annotated[
    str | None,
    setting_option(
        "preserve",
        "What stays as it is: luma, or lightness.",
        panel=COLOUR,
        metavar="WHAT",
        complete=complete_preserve,
    ),
]
Recolor = Annotated[
    bool | None,
    setting_option("recolor", "Take films that have colour.", "--recolor", panel=COLOUR),
]
KeepColor = Annotated[
    bool | None,
    setting_option(
        "keep_color", "Leave shots that have colour as they are.", "--keep-color", panel=COLOUR
    ),
]
Deinterlace = Annotated[
    str | None,
    setting_option(
        "deinterlace",
        "Make interlaced films progressive: on or off.",
        panel=COLOUR,
        metavar="on|off",
        complete=complete_switch,
    ),
]
AnchorEvery = Annotated[
    int | None,
    setting_option(
        "anchor_every", "The network looks at one frame in N.", panel=COLOUR, metavar="N"
    ),
]
Smoothing = Annotated[
    str | None,
    setting_option(
        "smoothing",
        "Gather colour along the motion: on or off.",
        panel=COLOUR,
        metavar="on|off",
        complete=complete_switch,
    ),
]
Saturation = Annotated[
    float | None,
    setting_option("saturation", "Factor on the colour, 0 to 2.", panel=COLOUR, metavar="X"),
]
Codec = Annotated[
    str | None,
    setting_option(
        "codec",
        "An encoder of FFmpeg's, or source.",
        panel=ENCODER,
        metavar="NAME",
        complete=complete_codec,
    ),
]
Crf = Annotated[
    int | None,
    setting_option("crf", "Constant rate factor; less is better.", panel=ENCODER, metavar="N"),
]
EncoderPreset = Annotated[
    str | None,
    setting_option("encoder_preset", "The encoder's preset.", panel=ENCODER, metavar="NAME"),
]
EncoderOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="A further option for the encoder; may be repeated.",
        rich_help_panel=ENCODER,
    ),
]
Device = Annotated[
    str | None,
    setting_option(
        "device",
        "auto, cpu, cuda, cuda:N or mps.",
        panel=MACHINE,
        metavar="NAME",
        complete=complete_device,
    ),
]
Devices = Annotated[
    str | None,
    setting_option(
        "device",
        "auto, cpu, cuda, cuda:N or mps; several as cuda:0,cuda:1, or all.",
        panel=MACHINE,
        metavar="NAME,...",
        complete=complete_devices,
    ),
]
Threads = Annotated[
    int | None,
    setting_option(
        "threads", "CPU threads for the network and for the encoder.", panel=MACHINE, metavar="N"
    ),
]
Batch = Annotated[
    int | None,
    setting_option("batch", "Frames the network sees at once.", panel=MACHINE, metavar="N"),
]
SegmentSeconds = Annotated[
    float | None,
    setting_option(
        "segment_seconds", "About what an interruption may cost.", panel=JOB, metavar="SECONDS"
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Replace an output that is there already.", rich_help_panel=JOB
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Stop where the source is damaged, instead of going on with what can be decoded.",
        rich_help_panel=JOB,
    ),
]
JsonLines = Annotated[
    bool, typer.Option("--json", help="One JSON object per event and line on stdout.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")]


def settings_of(**flags: Any) -> Settings:
    """The settings a command line asks for, by the flags `layers_of` takes; None means not given.

    Raises SettingsError on an unknown preset, a bad file, key or value, UsageError on words that
    aren't what their option expects.
    """
    return Settings.load(**layers_of(**flags))


def layers_of(
    *,
    preset: str | None = None,
    config: Path | None = None,
    weights: str | None = None,
    smoothing: str | None = None,
    deinterlace: str | None = None,
    encoder_option: Iterable[str] | None = None,
    **given: Any,
) -> dict[str, Any]:
    """What `Settings.load` and `Settings.trace` take, from the words of the command line.

    `given` are settings whose option holds the value itself. Raises UsageError on words that
    aren't what their option expects.
    """
    if weights is not None and not weights.strip():
        raise UsageError("--weights is empty; expected the name of a weights file.")
    return {
        "preset": preset,
        "file": config,
        "weights": str(Path(weights).absolute()) if weights is not None else None,
        "smoothing": parse_switch("--smoothing", smoothing),
        "deinterlace": parse_switch("--deinterlace", deinterlace),
        "encoder_options": parse_pairs(encoder_option or ()) or None,
        **given,
    }


def parse_switch(name: str, text: str | None) -> bool | None:
    """`on` or `off` as a truth value. Raises UsageError on anything else."""
    if text is None:
        return None
    if text not in ("on", "off"):
        raise UsageError(f"{name} is {text!r}; expected on or off.")
    return text == "on"


def parse_pairs(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """KEY=VALUE texts as pairs. Raises UsageError on one without a key or an equals sign."""
    pairs = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key.strip() and equals):
            raise UsageError(
                f"--encoder-option {text!r} isn't KEY=VALUE; give it as in "
                "--encoder-option tune=film."
            )
        pairs.append((key.strip(), value.strip()))
    return tuple(pairs)
