"""vidcolor: black-and-white film in, colour film out.

    import vidcolor

    vidcolor.colorize("film.mp4")                   # writes film.color.mp4
    vidcolor.preview("film.mp4", presets=["fast", "best"])
    for frame in vidcolor.colorize_frames("film.mp4", start="1:23"):
        print(frame.seconds, frame.rgb.shape)
    vidcolor.colorize_image("photo.jpg")
    vidcolor.load_model("compact").colorize(gray)   # arrays in, arrays out

Importing it is quick: each name below is fetched from its module when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from vidcolor.threads import quiet_threads

__version__ = "0.1.1"

if TYPE_CHECKING:
    from vidcolor.api import (
        ColorFrame,
        Model,
        colorize,
        colorize_frames,
        colorize_image,
        load_model,
        preview,
    )
    from vidcolor.errors import (
        ColorSourceError,
        DeviceError,
        EncoderError,
        JobError,
        OutputError,
        SettingsError,
        SourceError,
        UsageError,
        VidcolorError,
        WeightsError,
    )
    from vidcolor.jobs.events import Progress, Started, Warned
    from vidcolor.jobs.local import Outcome
    from vidcolor.previews import PreviewOutcome
    from vidcolor.settings import Settings
    from vidcolor.stills import Hint, StillOutcome

__all__ = [
    "ColorFrame",
    "ColorSourceError",
    "DeviceError",
    "EncoderError",
    "Hint",
    "JobError",
    "Model",
    "Outcome",
    "OutputError",
    "PreviewOutcome",
    "Progress",
    "Settings",
    "SettingsError",
    "SourceError",
    "Started",
    "StillOutcome",
    "UsageError",
    "VidcolorError",
    "Warned",
    "WeightsError",
    "__version__",
    "colorize",
    "colorize_frames",
    "colorize_image",
    "load_model",
    "preview",
]

# Whoever imports torch next, has it quiet.
quiet_threads()

# What iterates over frames isn't called `frames`, as a module of the package has that name: an
# attribute would be the function until somebody imports the module, and the module from then on.
_HOMES = {
    "vidcolor.api": (
        *("ColorFrame", "Model", "colorize", "colorize_frames", "colorize_image"),
        *("load_model", "preview"),
    ),
    "vidcolor.jobs.events": ("Progress", "Started", "Warned"),
    "vidcolor.jobs.local": ("Outcome",),
    "vidcolor.previews": ("PreviewOutcome",),
    "vidcolor.settings": ("Settings",),
    "vidcolor.stills": ("Hint", "StillOutcome"),
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Fetch an exported name from its module, once (PEP 562)."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        homes = (home for home, names in _HOMES.items() if name in names)
        value = getattr(import_module(next(homes, "vidcolor.errors")), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
