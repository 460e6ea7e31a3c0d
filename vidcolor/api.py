"""vidcolor from Python: films, frames and pictures in a call each, for notebooks and programs.

    import vidcolor

    outcome = vidcolor.colorize("film.mp4", "film.color.mp4", preset="best", crf=18)
    for frame in vidcolor.colorize_frames("film.mp4", start="1:23", end="1:25"):
        frame.rgb                                   # (height, width, 3) uint8
    vidcolor.load_model("compact").colorize(gray)   # (height, width) -> (height, width, 3)

The package hands these on, so nobody needs to import this module. A call's further keywords are
settings (`vidcolor.Settings` has them all); what is wrong is raised as one of `vidcolor.errors`.
Nothing here prints, and nothing ends the program.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import product
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vidcolor.display import display_rgb
from vidcolor.errors import SettingsError, UsageError
from vidcolor.frames import Frame, Picture, Plane, VideoInfo
from vidcolor.jobs.events import Event
from vidcolor.jobs.local import Order, Outcome, refuse_wrong, run_film
from vidcolor.jobs.naming import output_for, preview_for
from vidcolor.jobs.plan import Moment
from vidcolor.media.probe import probe
from vidcolor.previews import (
    PreviewOutcome,
    Variant,
    coloured_frames,
    preview_film,
    range_of,
    refuse_empty,
)
from vidcolor.settings import Settings, field_names, nearest

if TYPE_CHECKING:
    from vidcolor.inference import Engine
    from vidcolor.stills import Hint, StillOutcome

Name = str | os.PathLike[str]
"""A file's name."""

Time = str | float | Fraction | Moment
"""A point of a film: seconds after its first frame, `H:MM:SS.mmm`, or `300f`, a frame's number."""

HintLike: TypeAlias = "Hint | tuple[int, int, float, float] | str"
"""A colour wanted at a place of a picture."""

Report = Callable[[Event], None]


def colorize(
    film: Name,
    output: Name | None = None,
    *,
    preset: str | None = None,
    config: Name | None = None,
    start: Time | None = None,
    end: Time | None = None,
    overwrite: bool = False,
    restart: bool = False,
    keep_job: bool = False,
    strict: bool = False,
    report: Report | None = None,
    **settings: Any,
) -> Outcome:
    """Colour a film, or go on where an earlier call was interrupted; returns when it is whole.

    `output` is a file, or a folder for it; None is `film.color.mp4` beside the film. `preset` is
    fast, balanced or best, `config` a TOML file of settings that goes over it, and `settings` go
    over both. `start` and `end` cut out a half-open range. An output that is there is left alone
    (`outcome.made` is False then) unless `overwrite`. `restart` throws away what an earlier call
    finished, `keep_job` leaves it there in the end. A damaged film is coloured as far as it can be
    decoded, and `outcome.damage` says where it couldn't, unless `strict`: then SourceError is
    raised. `report` is called with events, on this thread: Started, Progress and Warned of
    `vidcolor.jobs.events`.

    Raises the errors of `vidcolor.errors`; then, and on KeyboardInterrupt, the output's name is as
    it was and finished parts are kept for the next call.
    """
    source = _path(film, "film")
    order = Order(
        source=source,
        output=_output(output, output_for(source).name, source),
        settings=_settings(colorize, preset, config, settings),
        start=_moment(start),
        end=_moment(end),
        overwrite=overwrite,
        restart=restart,
        keep_job=keep_job,
        strict=strict,
    )
    return run_film(order, report=report or _unheard)


def preview(
    film: Name,
    output: Name | None = None,
    *,
    models: Iterable[str] = (),
    presets: Iterable[str] = (),
    config: Name | None = None,
    start: Time | None = None,
    end: Time | None = None,
    frames: int | None = None,
    tiles: int | None = None,
    overwrite: bool = False,
    report: Report | None = None,
    **settings: Any,
) -> PreviewOutcome:
    """Show a film's colours beside their source, in one picture or a short clip.

    `output` ends in .png, .jpg or .webp for a contact sheet, in .mp4 or .mkv for a clip; it may be
    a folder, and None is `film.preview.png` beside the film. Each of `models` is shown with each
    of `presets`. A range begins at `start` and ends before `end`, or after `frames` frames; without
    any of them a sheet shows moments of the whole film. `tiles` is the most a sheet shows.
    Previews, by their names, are replaced; anything else only with `overwrite`.

    Raises the errors of `vidcolor.errors`.
    """
    source = _path(film, "film")
    return preview_film(
        source,
        _output(output, preview_for(source).name, source),
        _variants(_several(models), _several(presets), config, settings),
        start=_moment(start),
        end=_moment(end),
        frames=frames,
        tiles=tiles,
        overwrite=overwrite,
        report=report or _unheard,
    )


@dataclass(frozen=True, eq=False)
class ColorFrame:
    """One frame in colour."""

    seconds: float
    """When it is shown, after the film's first frame."""

    pts: int
    """When it is shown, in the file's own ticks."""

    y: Plane = field(repr=False)
    """(height, width) luma as `colorize` hands it to the encoder, uint8 or, above 8 bits, uint16.
    Read only: copy it to change it."""

    u: Plane = field(repr=False)
    """Cb as the encoder gets it, at chroma size."""

    v: Plane = field(repr=False)
    """Cr as the encoder gets it, at chroma size."""

    info: VideoInfo = field(repr=False)
    """What the film is: its size, rate, colour tags, rotation."""

    @cached_property
    def rgb(self) -> NDArray[np.uint8]:
        """(height, width, 3) uint8 as a person sees the frame: upright, its samples square."""
        return display_rgb(self.y, (self.u, self.v), self.info)


def colorize_frames(
    film: Name,
    *,
    preset: str | None = None,
    config: Name | None = None,
    start: Time | None = None,
    end: Time | None = None,
    **settings: Any,
) -> Generator[ColorFrame]:
    """The frames of a film, or of its half-open range from `start` to `end`, in colour.

    They are those `colorize` would encode, to the last bit, and are made one after the other as
    they are asked for, so memory doesn't grow. Closing the iterator ends its threads; leaving a
    `for` loop early does so when the iterator is let go.

    What is wrong with film, range or settings is raised by the call, what goes wrong later by the
    iterator; both are errors of `vidcolor.errors`.
    """
    source = _path(film, "film")
    chosen = _settings(colorize_frames, preset, config, settings)
    begin, stop = _moment(start), _moment(end)
    refuse_wrong(chosen, begin, stop)
    info = probe(source)
    pairs = coloured_frames(info, chosen, *range_of(info, begin, stop))
    return _color_frames(info, pairs, begin, stop)


def _color_frames(
    info: VideoInfo,
    pairs: Generator[tuple[Frame, Picture]],
    start: Moment | None,
    end: Moment | None,
) -> Generator[ColorFrame]:
    picture = None
    with closing(pairs):
        for _, picture in pairs:
            seconds = float((picture.pts - info.start_pts) * info.time_base)
            yield ColorFrame(seconds, picture.pts, picture.y, picture.u, picture.v, info)
    if picture is None:
        refuse_empty(info, start, end)


class Model:
    """A network on its device, ready to colour pictures; not for two threads at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name = engine.model_name
        """As `vidcolor models list` shows it."""

        self.accepts_hints = engine.accepts_hints

    def __repr__(self) -> str:
        return f"<{self._engine.describe()}>"

    def colorize(
        self,
        image: Plane,
        *,
        hints: Iterable[HintLike] = (),
        saturation: float = 1.0,
        recolor: bool = False,
    ) -> Plane:
        """Colour for one picture, its lightness (CIE L) kept.

        image: uint8 or uint16 with every code used, of sRGB's curve: gray (h, w), R'G'B'
        (h, w, 3), either with alpha behind. hints: colours wanted at places, each a Hint,
        (x, y, a, b), or text such as "120,80,#7a2e1f". Returns R'G'B' (h, w, 3), or (h, w, 4) with
        the alpha as it was, in the same dtype. Raises UsageError on other arrays and on hints that
        the picture or the network can't take, ColorSourceError on a picture that has colour unless
        `recolor`, DeviceError.
        """
        from vidcolor.stills import colorize_still

        return colorize_still(
            image, self._engine, hints=_hints(hints), saturation=saturation, recolor=recolor
        )


def load_model(
    name: str = "auto", *, weights: Name | None = None, device: str = "auto", threads: int = 0
) -> Model:
    """A network, loaded once, to colour any number of arrays with.

    `name` is one of `vidcolor models list`, or auto; `weights` a file instead of its own; `device`
    cpu, cuda, cuda:N or mps, or auto; `threads` those of the CPU, 0 for all. Nothing is downloaded.
    Raises UsageError on an unknown name, WeightsError on weights that are missing or don't fit,
    DeviceError.
    """
    given = {"model": name, "weights": weights, "device": device, "threads": threads, "batch": 1}
    settings = _settings(load_model, None, None, given)
    refuse_wrong(settings, None, None)
    # Imported here because torch takes seconds.
    from vidcolor.inference import open_engine

    return Model(open_engine(settings))


def colorize_image(
    photo: Name,
    output: Name | None = None,
    *,
    hints: Iterable[HintLike] = (),
    quality: int | None = None,
    overwrite: bool = False,
    warn: Callable[[str], None] | None = None,
    config: Name | None = None,
    **settings: Any,
) -> StillOutcome:
    """Colour a photograph from file to file, at its full size, with its metadata.

    `output` is a file whose suffix names the format, or a folder; None is `photo.color.jpg` beside
    the photograph. `hints` are as for `Model.colorize`, their places those of the upright picture.
    `quality` is JPEG's and WebP's, 1 to 100. Of `settings` model, weights, device, threads,
    saturation and recolor count. An output that is there is left alone (`outcome.made` is False
    then) unless `overwrite`. `warn` is given sentences about what the output can't hold.

    Raises the errors of `vidcolor.errors`; then the output's name is as it was.
    """
    from vidcolor.stills import StillOrder, colorize_photo

    source = _path(photo, "photograph")
    chosen = _settings(colorize_image, None, config, settings)
    refuse_wrong(chosen, None, None)
    order = StillOrder(
        source=source,
        output=_output(output, _photo_name(source), source),
        settings=chosen,
        hints=_hints(hints),
        overwrite=overwrite,
        **({} if quality is None else {"quality": quality}),
    )
    return colorize_photo(order, warn=warn or _unheard)


def _unheard(event: object) -> None:
    """What a report is called with when nobody listens."""


def _path(name: Name, what: str) -> Path:
    """A file's name as a path. Raises UsageError on an empty one."""
    if not os.fspath(name):
        raise UsageError(f"the {what}'s name is empty; expected the name of a file.")
    return Path(name)


def _output(given: Name | None, name: str, source: Path) -> Path:
    """Where to write: beside the source, into a folder that is there, or where was said."""
    if given is None:
        return source.with_name(name)
    path = _path(given, "output")
    return path / name if os.path.isdir(path) else path  # noqa: PTH112


def _photo_name(source: Path) -> str:
    """What a photograph's output is called: PNG where its own format can't be written."""
    from vidcolor.media.photos import FORMATS

    suffix = source.suffix if source.suffix.lower() in FORMATS else ".png"
    return f"{source.stem}.color{suffix}"


def _settings(
    call: Callable[..., Any], preset: str | None, config: Name | None, given: dict[str, Any]
) -> Settings:
    """The settings a call asks for. Raises SettingsError, naming what a misspelt word may mean."""
    own = inspect.signature(call).parameters
    for name in given:
        near = nearest(name, (*own, *field_names()))
        if name not in field_names() and near is not None:
            raise SettingsError(f"{call.__name__} takes no {name!r}; did you mean {near!r}?")
    if isinstance(given.get("weights"), str | os.PathLike):
        given = given | {"weights": str(_path(given["weights"], "weights file").absolute())}
    return Settings.load(preset=preset, file=None if config is None else Path(config), **given)


def _several(names: Iterable[str]) -> Sequence[str]:
    """Names without repeats; one alone needs no list around it."""
    return [names] if isinstance(names, str) else list(dict.fromkeys(names))


def _variants(
    models: Sequence[str], presets: Sequence[str], config: Name | None, given: dict[str, Any]
) -> list[Variant]:
    """Each model with each preset. Raises UsageError on weights for several models."""
    if given.get("weights") is not None and len(models) > 1:
        raise UsageError("weights are one network's, but there are several models; give one.")
    variants = []
    for model, preset in product(models or [""], presets or [""]):
        named = given | {"model": model} if model else given
        settings = _settings(preview, preset or None, config, named)
        label = ", ".join(filter(None, (settings.model, preset)))
        variants.append(Variant(label=label, settings=settings))
    return variants


def _hints(given: Iterable[HintLike]) -> tuple[Hint, ...]:
    """Hints from what a caller calls them. Raises UsageError."""
    from vidcolor.stills import Hint

    return tuple(
        hint if isinstance(hint, Hint) else Hint.parse(_hint_text(hint))
        for hint in ([given] if isinstance(given, str | Hint) else given)
    )


def _hint_text(hint: object) -> str:
    return ",".join(map(str, hint)) if isinstance(hint, tuple | list) else str(hint)


def _moment(given: Time | None) -> Moment | None:
    """A point of a film from what a caller calls it. Raises UsageError."""
    if given is None or isinstance(given, Moment):
        return given
    if isinstance(given, str):
        return Moment.parse(given)
    try:
        # By its digits: 0.1 is a tenth, as it is on the command line.
        seconds = Fraction(str(given)) if isinstance(given, Real) else None
    except ValueError:
        seconds = None
    if seconds is None or isinstance(given, bool) or seconds < 0:
        raise UsageError(
            f"{given!r} isn't a time; give seconds, or text such as '0:01:30.5' or '300f'."
        )
    return Moment(seconds=seconds)
