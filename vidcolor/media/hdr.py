"""What a high dynamic range film says of the screen it was graded on, read and handed on.

    hdr = hdr_of(first_frame)          # None for most films
    x26x_words(hdr)                    # ["master-display=G(13250,34500)...", "max-cll=1000,400"]

Sources: SMPTE ST 2086 (mastering display), CTA-861.3 (content light level).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, cast

from av.sidedata.sidedata import SideData, SideDataContainer, Type
from av.video.frame import VideoFrame

from vidcolor.frames import Hdr

CHROMATICITY, LUMINANCE = Fraction(1, 50000), Fraction(1, 10000)
"""Units that H.264 and HEVC store x, y and cd/m2 in."""


def hdr_of(frame: VideoFrame) -> Hdr | None:
    """The mastering display and light levels a frame carries, or None where it has neither."""
    held = {data.type: bytes(memoryview(data)) for data in side_data(frame)}
    display = _display(held.get(Type.MASTERING_DISPLAY_METADATA, b""))
    light = held.get(Type.CONTENT_LIGHT_LEVEL, b"")
    levels = struct.unpack("=2I", light[:8]) if len(light) >= 8 else None
    if display is None and levels is None:
        return None
    return Hdr(display, (levels[0], levels[1]) if levels else None)


def scene_notes(frames: Iterable[VideoFrame]) -> tuple[str, ...]:
    """The names of what frames carry that tells screens how to show each scene."""
    held = {data.type for frame in frames for data in side_data(frame)}
    return tuple(name for name, kinds in _SCENE_NOTES.items() if held & kinds)


_SCENE_NOTES = {
    "HDR10+": {Type.DYNAMIC_HDR_PLUS},
    "Dolby Vision": {Type.DOVI_METADATA, Type.DOVI_RPU_BUFFER},
    "HDR Vivid": {Type.DYNAMIC_HDR_VIVID},
}


def side_data(frame: VideoFrame) -> Iterator[SideData]:
    """What rides beside a frame's samples."""
    # `frame.side_data` would tie the frame to itself, and a 4K one lie in memory until Python looks
    # for such knots.
    container: Any = SideDataContainer
    return iter(container(frame))


def _nameless(kind: type[Type], value: object) -> Type:
    """A kind of side data that PyAV has no name for, such as a photograph's EXIF.

    It would raise for the frame, whatever else rides there: a camera's Motion JPEG has EXIF, and
    films for two eyes have their screen's size.
    """
    other: Any = object.__new__(kind)
    other._name_, other._value_ = f"NAMELESS_{value}", value
    return cast(Type, other)


# PyAV asks this of its own enumeration, as every enumeration does for a value it doesn't have.
setattr(Type, "_missing_", classmethod(_nameless))  # noqa: B010


def x26x_words(hdr: Hdr, *, x264: bool = False) -> list[str]:
    """As parameters of x265, or of x264, which has other names for them."""
    words = []
    if hdr.display is not None:
        words.append(f"{'mastering-display' if x264 else 'master-display'}={_written(hdr.display)}")
    if hdr.levels is not None:
        words.append(f"{'cll' if x264 else 'max-cll'}={hdr.levels[0]},{hdr.levels[1]}")
    return words


def svt_words(hdr: Hdr) -> list[str]:
    """As parameters of SVT-AV1, which takes them in plain numbers."""
    words = []
    if hdr.display is not None:
        values = [f"{float(value):.6g}" for value in hdr.display]
        words.append(f"mastering-display={_arranged(values)}")
    if hdr.levels is not None:
        words.append(f"content-light={hdr.levels[0]},{hdr.levels[1]}")
    return words


def _display(data: bytes) -> tuple[Fraction, ...] | None:
    """FFmpeg's AVMasteringDisplayMetadata: ten rationals, then what of them is known."""
    if len(data) < 88:
        return None
    numbers = struct.unpack("=22i", data[:88])
    if not (numbers[20] and numbers[21]) or 0 in numbers[1:20:2]:
        return None
    return tuple(Fraction(*numbers[n : n + 2]) for n in range(0, 20, 2))


def _written(display: tuple[Fraction, ...]) -> str:
    units = [CHROMATICITY] * 8 + [LUMINANCE] * 2
    return _arranged([str(round(v / unit)) for v, unit in zip(display, units, strict=True)])


def _arranged(v: list[str]) -> str:
    """Green, blue, red, white point, then the brightest and the darkest: the encoders' order."""
    return f"G({v[2]},{v[3]})B({v[4]},{v[5]})R({v[0]},{v[1]})WP({v[6]},{v[7]})L({v[9]},{v[8]})"
