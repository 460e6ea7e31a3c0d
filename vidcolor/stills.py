"""One photograph at a time: colours for an array of samples, or from file to file.

    engine = open_engine(Settings(model="compact"))
    rgb = colorize_still(pixels, engine)                       # 8 or 16 bits in, the same out
    rgb = colorize_still(pixels, engine, hints=[Hint.parse("120,80,#7a2e1f")])

    outcome = colorize_photo(StillOrder(source=Path("a.tif"), output=Path("a.color.tif")))

    samples -> small, upright -> network -> ab -> coefficients over lightness, small
          `-> lightness, band by band -> ab -> R'G'B' of that lightness

The lightness (CIE L) of every sample stays; the colour's edges follow it, by the guided filter.
Nothing of full size is made but the result.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from vidcolor.color import RgbSpace, lab_cube, look_up, srgb_encode, tone_fade
from vidcolor.errors import ColorSourceError, OutputError, UsageError
from vidcolor.facts import GRAY_CHROMA, Box
from vidcolor.frames import Plane
from vidcolor.hints import Placed, with_hints
from vidcolor.jobs.beforehand import refuse_link
from vidcolor.jobs.durable import PART, put_in_place, refuse_unwritable, writing
from vidcolor.jobs.local import refuse_own_source
from vidcolor.media.icc import meaning_of, srgb_without_profile
from vidcolor.media.metadata import stored, stored_place, upright
from vidcolor.media.photos import (
    DEFAULT_QUALITY,
    FORMATS,
    is_photo,
    losses,
    read_photo,
    write_photo,
)
from vidcolor.rendering import guided_coefficients, soften
from vidcolor.resample import enlarge, refit, shrink, stretch
from vidcolor.settings import Settings
from vidcolor.still_facts import StillFacts, still_facts

if TYPE_CHECKING:
    from vidcolor.inference import Engine

Floats = NDArray[np.float32]

GUIDE_SIDE = 256
"""Long side of the picture that tells where colours end. The filter's window then spans what the
networks' answers are unsharp by."""
LEAST_GUIDE_SIDE = 32
"""Of a long strip's short side, where it has that many samples."""

BAND_SAMPLES = 1 << 16
"""Samples coloured at a time: their temporaries stay in the processor's cache."""

HINT_SIDE = 7
"""Side of the square a hint marks, in samples of the network's input: within what the networks
were trained with, 1 to 9."""
LARGEST_AB = 110.0
"""Of a hint's a and b: what networks can answer."""


@dataclass(frozen=True)
class Hint:
    """A colour the user wants at a place."""

    x: int
    y: int
    """Column and row in the upright picture, from its top left, in samples."""

    a: float
    b: float
    """CIE Lab."""

    @classmethod
    def parse(cls, text: str) -> Hint:
        """A hint from `x,y,a,b` or `x,y,#rrggbb`. Raises UsageError on anything else."""
        try:
            x, y, *colour = (part.strip() for part in text.split(","))
            a, b = _ab_of_hex(colour[0]) if len(colour) == 1 else map(float, colour)
            hint = cls(int(x), int(y), a, b)
        except (ValueError, IndexError):
            raise UsageError(
                f"the hint {text!r} isn't X,Y,A,B or X,Y,#RRGGBB; give it as in "
                "--hint 120,80,#7a2e1f."
            ) from None
        if not max(abs(hint.a), abs(hint.b)) <= LARGEST_AB:
            raise UsageError(
                f"the hint {text!r} has the colour {a:g}, {b:g}; expected a and b from "
                f"{-LARGEST_AB:g} to {LARGEST_AB:g}."
            )
        return hint


def _ab_of_hex(text: str) -> tuple[float, float]:
    if len(text) != 7 or text[0] != "#":
        raise ValueError(text)
    rgb = np.array(list(bytes.fromhex(text[1:])), np.uint8)
    _, a, b = srgb_without_profile().lab(rgb[None, None])[0, 0]
    return float(a), float(b)


def colorize_still(
    pixels: Plane,
    engine: Engine,
    *,
    hints: Sequence[Hint] = (),
    saturation: float = 1.0,
    recolor: bool = False,
    orientation: int = 1,
    space: RgbSpace | None = None,
) -> Plane:
    """Colour for one picture, its lightness (CIE L) kept.

    pixels: uint8 or uint16 with every code used; gray (h, w) or (h, w, 1), gray with alpha
    (h, w, 2), R'G'B' (h, w, 3), or with alpha (h, w, 4). space: what the samples mean, sRGB where
    it isn't given. orientation: EXIF's, 1 to 8, for the network and the hints.
    Returns R'G'B' (h, w, 3), or with the alpha as it was (h, w, 4), in the same dtype.
    Raises UsageError on other arrays and on hints that the picture or the network can't take,
    ColorSourceError on a picture that has colour unless `recolor`, DeviceError.
    """
    _refuse_array(pixels)
    if not 0 <= saturation <= 2:
        raise UsageError(f"saturation is {saturation}; expected a value from 0 to 2.")
    if orientation not in range(1, 9):
        raise UsageError(f"orientation is {orientation}; expected EXIF's, 1 to 8.")
    space = space or srgb_without_profile()
    pixels = cast(Plane, np.ascontiguousarray(pixels))
    facts = still_facts(_colour(pixels), space)
    refuse_color(facts, "the picture", recolor=recolor)
    still = Still(pixels, space, orientation, facts.box)
    return still.colorized(engine, hints, saturation)


def _refuse_array(pixels: Plane) -> None:
    if not isinstance(pixels, np.ndarray) or pixels.dtype not in (np.uint8, np.uint16):
        kind = getattr(pixels, "dtype", type(pixels).__name__)
        raise UsageError(f"the picture is an array of {kind}; expected uint8 or uint16.")
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or not 1 <= channels <= 4 or 0 in pixels.shape:
        raise UsageError(
            f"the picture has the shape {pixels.shape}; expected (height, width) or (height, "
            "width, channels) with 1 to 4 channels, and a sample at least."
        )


def refuse_color(facts: StillFacts, name: object, *, recolor: bool) -> None:
    """Raise ColorSourceError for a picture with real colour, unless recolouring was asked for."""
    if facts.colored and not recolor:
        raise ColorSourceError(
            f"{name} already has colour (mean chroma {facts.chroma:.0f}, where black and white "
            f"has under {GRAY_CHROMA:.0f} or a mere tint); give --recolor to replace it."
        )


@dataclass(frozen=True, eq=False)
class Still:
    """One picture as stored, and how to look at it."""

    pixels: Plane
    """As colorize_still takes them; contiguous."""

    space: RgbSpace
    orientation: int
    """EXIF's, 1 to 8."""

    box: Box
    """The picture inside its frame; what lies around it stays neutral."""

    def colorized(self, engine: Engine, hints: Sequence[Hint], saturation: float) -> Plane:
        """As colorize_still returns it; raises as that does."""
        planes = self._hint_planes(hints, engine)
        lightness = self._network_lightness(engine.input_size)
        (answer,) = engine.colorize(lightness[None], None if planes is None else planes[None])
        ab = stored(answer.transpose(1, 2, 0), self.orientation)
        inner = self._inner()
        size = _guide_size(inner.shape[1], inner.shape[0])
        guide = _lightness(shrink(inner, size), self.space)
        ab = refit(ab, size)
        if hints:
            ab = with_hints(ab, guide, [self._placed(hint) for hint in hints])
        return self._render(guide, ab * np.float32(saturation))

    def _inner(self) -> Plane:
        box = self.box
        return self.pixels[box.top : box.bottom, box.left : box.right]

    def _network_size(self, input_size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) of the network's input as stored, from its (height, width) upright."""
        height, width = input_size
        return (height, width) if self.orientation >= 5 else (width, height)

    def _network_lightness(self, input_size: tuple[int, int]) -> Floats:
        """What the network sees, at its size: the picture inside its frame, upright, stretched."""
        view = stretch(self._inner(), self._network_size(input_size))
        return upright(_lightness(view, self.space), self.orientation)

    def _hint_planes(self, hints: Sequence[Hint], engine: Engine) -> Floats | None:
        """Hints as the network takes them, (3, H, W): a, b, and a mask; None without hints."""
        if not hints:
            return None
        if not engine.accepts_hints:
            raise UsageError(
                f"the network {engine.model_name} takes no hints; "
                f"{' and '.join(_names_that_take_hints())} do: choose one with --model."
            )
        size = self._network_size(engine.input_size)
        planes = np.zeros((*reversed(size), 3), np.float32)
        for hint in hints:
            (across, down), _ = self._placed(hint)
            planes[_span(down, size[1]), _span(across, size[0])] = hint.a, hint.b, 1
        return np.ascontiguousarray(upright(planes, self.orientation).transpose(2, 0, 1))

    def _placed(self, hint: Hint) -> Placed:
        """A hint on the picture inside its frame, as stored. Raises UsageError where it is not."""
        shape = self.pixels.shape[:2]
        height, width = shape[::-1] if self.orientation >= 5 else shape
        if not (0 <= hint.x < width and 0 <= hint.y < height):
            raise UsageError(
                f"the hint at {hint.x},{hint.y} lies outside the picture, which is {width} x "
                f"{height} when upright; x goes from 0 to {width - 1}, y to {height - 1}."
            )
        row, column = stored_place(hint.y, hint.x, (height, width), self.orientation)
        box = self.box
        if not (box.top <= row < box.bottom and box.left <= column < box.right):
            raise UsageError(
                f"the hint at {hint.x},{hint.y} lies on the frame around the picture, which stays "
                "without colour; give a place inside it."
            )
        across = (column - box.left + 0.5) / (box.right - box.left)
        down = (row - box.top + 0.5) / (box.bottom - box.top)
        return (across, down), (hint.a, hint.b)

    def _render(self, guide: Floats, ab: Floats) -> Plane:
        """R'G'B' (h, w, 3 or 4) of the picture's lightness, coloured as `ab` (h', w', 2) says of
        the lightness `guide` (h', w')."""
        box = self.box
        height = box.bottom - box.top
        light = guide / np.float32(100)
        slope, offset = guided_coefficients(light, soften(light), ab)
        # Wide now, high later: coefficients of full size would be larger than the picture.
        wide = enlarge(np.dstack([slope, offset]), (box.right - box.left, len(guide)))
        has_alpha = self.pixels.ndim == 3 and self.pixels.shape[2] in (2, 4)
        made = np.empty((*self.pixels.shape[:2], 4 if has_alpha else 3), self.pixels.dtype)
        rows = max(1, BAND_SAMPLES // made.shape[1])
        for top in range(0, len(made), rows):
            band = self.pixels[top : top + rows]
            root = self.space.root(_colour(band))
            planes = np.zeros((2, *root.shape), np.float32)
            first, last = max(top, box.top), min(top + rows, box.bottom)
            if first < last:
                inside = slice(first - top, last - top), slice(box.left, box.right)
                coefficients = _rows_of(wide, range(first - box.top, last - box.top), height)
                planes[:, *inside] = _ab(root[inside], coefficients)
            made[top : top + rows, :, :3] = _codes(self.space.rgb(root, *planes), made.dtype)
            if has_alpha:
                made[top : top + rows, :, 3] = band[..., -1]
        return made


def _colour(pixels: Plane) -> Plane:
    """Samples without alpha: gray (h, w) or R'G'B' (h, w, 3); a view."""
    if pixels.ndim == 2:
        return pixels
    return pixels[..., 0] if pixels.shape[2] <= 2 else pixels[..., :3]


def _lightness(pixels: Plane, space: RgbSpace) -> Floats:
    return np.asarray(np.clip(116 * space.root(_colour(pixels)) - 16, 0, 100), np.float32)


def _span(middle: float, length: int) -> slice:
    """HINT_SIDE samples around `middle`, a share of `length`, moved inside it."""
    first = min(max(round(middle * length - HINT_SIDE / 2), 0), length - HINT_SIDE)
    return slice(first, first + HINT_SIDE)


def _names_that_take_hints() -> list[str]:
    import torch

    from vidcolor.models.registry import MODELS

    # On the meta device a network costs no memory and no random numbers.
    with torch.device("meta"):
        return [e.name for e in MODELS if not e.for_tests and e.build().accepts_hints]


def _guide_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) of the guide: GUIDE_SIDE at most, and never more than the picture."""
    scale = min(1.0, GUIDE_SIDE / max(width, height))
    wide, high = (max(round(side * scale), min(side, LEAST_GUIDE_SIDE)) for side in (width, height))
    return wide, high


def _rows_of(wide: Floats, rows: range, height: int) -> Floats:
    """These rows of `wide` (h', w, c) enlarged bilinearly to `height` rows."""
    place = (np.array(rows) + 0.5) * (len(wide) / height) - 0.5
    place = np.clip(place, 0, len(wide) - 1)
    above = np.minimum(place.astype(np.intp), max(len(wide) - 2, 0))
    share = (place - above).astype(np.float32)[:, None, None]
    below = np.minimum(above + 1, len(wide) - 1)
    return np.asarray(wide[above] * (1 - share) + wide[below] * share, np.float32)


def _ab(root: Floats, coefficients: Floats) -> tuple[Floats, Floats]:
    """a and b (h, w) of samples: coefficients (h, w, 4) at their lightness, faded at its ends."""
    lightness = (root * np.float32(1.16)) - np.float32(0.16)
    fade = look_up(FADE, np.clip(lightness, 0, 1))
    a = (coefficients[..., 0] * lightness + coefficients[..., 2]) * fade
    b = (coefficients[..., 1] * lightness + coefficients[..., 3]) * fade
    return a, b


def _fade_table() -> Floats:
    """`tone_fade` over the lightness in 0..1, as it is over luma."""
    lightness = np.linspace(0, 1, 4097).astype(np.float32)
    light = lab_cube((lightness * 100 + 16) / np.float32(116))
    return tone_fade(srgb_encode(np.clip(light, 0, 1)))


FADE = _fade_table()


def _codes(rgb: Floats, dtype: Any) -> Plane:
    """R'G'B' in 0..1 as codes, rounded to nearest."""
    span = np.float32(np.iinfo(dtype).max)
    return (rgb * span + np.float32(0.5)).astype(dtype)


@dataclass(frozen=True, kw_only=True)
class StillOrder:
    """What is to be made of which photograph."""

    source: Path
    output: Path
    """Its suffix names the format: one of `FORMATS`."""

    settings: Settings = field(default_factory=Settings)
    """Of these model, weights, device, threads, saturation and recolor count."""

    hints: tuple[Hint, ...] = ()
    quality: int = DEFAULT_QUALITY
    """Of JPEG and lossy WebP, 1 to 100."""

    overwrite: bool = False
    """Make an output again that is there already."""


@dataclass(frozen=True, kw_only=True)
class StillOutcome:
    """What became of an order."""

    output: Path
    made: bool
    """False when the output was there already and was left alone."""

    size: tuple[int, int] = (0, 0)
    """(width, height) as viewers show it."""

    bits: int = 0
    """Of a sample."""

    model: str = ""
    """The network that gave the colours; empty when the output was left alone."""

    seconds: float = 0.0
    """Wall time."""


def colorize_photo(
    order: StillOrder,
    *,
    open_engine: Callable[[Settings], Engine] | None = None,
    warn: Callable[[str], None] = lambda text: None,
) -> StillOutcome:
    """Colorize one file; returns when the output is whole.

    `open_engine` replaces inference.open_engine, so that several pictures share a network. `warn`
    is given sentences about what the output can't hold. Raises the errors of errors.py; whatever
    is raised, the output's name is as it was.
    """
    began = time.monotonic()
    refuse_output(order.output)
    if not 1 <= order.quality <= 100:
        raise UsageError(f"quality is {order.quality}; expected a value from 1 to 100.")
    refuse_own_source(order.source, order.output)
    if _left_alone(order):
        return StillOutcome(output=order.output, made=False)
    photo = read_photo(order.source)
    for sentence in losses(photo, order.output.suffix):
        warn(sentence)
    meaning = meaning_of(photo.metadata.icc, gray=photo.gray)
    settings = order.settings
    # Before the network is opened, which takes its time.
    facts = still_facts(_colour(photo.pixels), meaning.space)
    refuse_color(facts, order.source, recolor=settings.recolor)
    # Imported here because torch takes seconds, and a bad file should be told at once.
    from vidcolor import inference

    engine = (open_engine or inference.open_engine)(settings)
    still = Still(photo.pixels, meaning.space, photo.orientation, facts.box)
    made = still.colorized(engine, order.hints, settings.saturation)
    metadata = replace(photo.metadata, icc=meaning.icc)
    with _written(order) as temporary:
        write_photo(
            temporary,
            made,
            metadata,
            suffix=order.output.suffix,
            quality=order.quality,
            lossless=photo.lossless and order.source.suffix.lower() == order.output.suffix.lower(),
        )
    return StillOutcome(
        output=order.output,
        made=True,
        size=photo.upright_size,
        bits=photo.bits,
        model=engine.model_name,
        seconds=time.monotonic() - began,
    )


def refuse_output(output: Path) -> None:
    """Raise UsageError where an output's name doesn't tell a format that can be written."""
    if output.suffix.lower() not in FORMATS:
        has = f"the suffix {output.suffix}" if output.suffix else "no suffix"
        raise UsageError(f"the output {output} has {has}; expected one of {', '.join(FORMATS)}.")


def _left_alone(order: StillOrder) -> bool:
    """Whether a finished picture is there to be left alone.

    Raises OutputError where what is there is no picture, or may never be replaced.
    """
    output = order.output
    with writing(output):
        if output.is_dir():
            raise OutputError(f"{output} is a folder; give the output a file's name with -o.")
        if not output.exists():
            refuse_link(output)
            refuse_unwritable(output.parent)
            return False
        if not output.is_file():
            raise OutputError(f"{output} isn't a regular file; choose another name with -o.")
        if order.overwrite:
            refuse_link(output)
            refuse_unwritable(output.parent)
    if not order.overwrite and not is_photo(output):
        raise OutputError(
            f"{output} is there already and isn't a picture that can be read; choose another name "
            "with -o, or give --overwrite to replace it."
        )
    return not order.overwrite


@contextmanager
def _written(order: StillOrder) -> Iterator[Path]:
    """A temporary name beside the output to write under; it becomes the output, or goes.

    Raises OutputError.
    """
    output = order.output
    # The process's number keeps two commands that make the same picture apart.
    temporary = output.with_name(f"{output.name}.{os.getpid()}{PART}")
    try:
        with writing(output):
            try:
                yield temporary
                put_in_place(temporary, output)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise OutputError(
                        f"the disk is full, so {output} can't be written; free some space, or "
                        "choose another place with -o."
                    ) from error
                raise
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
