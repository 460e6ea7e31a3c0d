"""The values that travel through vidcolor: what a film is, one frame, one segment.

A film's time is pts, whole ticks of `time_base`; seconds are for people. Ranges are half-open.

       pts  0    40   80   120  160
            |----|----|----|----|
    segment [0, 120)            `-- its end is the next one's start
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8] | NDArray[np.uint16]
"""One plane of samples (rows, columns); uint16 holds 9 to 16 bits, low-aligned."""

StreamKind = Literal["video", "audio", "subtitle", "attachment", "data"]

FieldOrder = Literal["top", "bottom"]
"""Which lines of an interlaced frame are shown first: the odd ones, from the uppermost on, or the
even ones."""

Fields = Literal["progressive", "top", "bottom", "flagged"]
"""How a film's lines were shot: all at once, or the odd and the even ones in turn, named by those
that come first; `flagged` is interlaced with the order in each frame's own flag."""

BEGINNING, END = -(2**62), 2**62
"""Pts before every frame and after every frame: the open ends of a film."""


@dataclass(frozen=True, kw_only=True)
class ColorTags:
    """How samples mean colour, as code points of ITU-T H.273, guesses already made."""

    matrix: int
    """1 is BT.709, 5 and 6 BT.601, 9 BT.2020; never 2 (unspecified)."""

    primaries: int
    """Never 2 (unspecified)."""

    transfer: int
    """Never 2 (unspecified)."""

    full_range: bool
    """True when luma spans every code (JPEG), False for 16..235 (MPEG)."""


@dataclass(frozen=True)
class Hdr:
    """What a high dynamic range film says of its grading."""

    display: tuple[Fraction, ...] | None
    """CIE x, y of red, green, blue and white, then the darkest and brightest cd/m2 of the mastering
    display: ten numbers."""

    levels: tuple[int, int] | None
    """Brightest pixel and brightest frame average, cd/m2."""


@dataclass(frozen=True, kw_only=True)
class StreamInfo:
    """One stream of the source beside, or being, the film's picture."""

    index: int
    kind: StreamKind
    codec: str
    language: str | None = None
    title: str | None = None
    cover: bool = False
    """A still picture attached to the file (cover art), not a film."""


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What a source is, from its headers and its first frames."""

    path: Path
    container: str
    """FFmpeg's name of the demuxer, such as `mov,mp4,m4a,3gp,3g2,mj2`."""

    stream_index: int
    """Index of the picture's stream in the container."""

    codec: str
    width: int
    height: int
    """Stored size in samples, before rotation and aspect."""

    sample_aspect: Fraction
    """Width over height of one sample; 1 where the source doesn't say."""

    rotation: Literal[0, 90, 180, 270]
    """Degrees the stored picture must be turned clockwise to stand upright."""

    rate: Fraction
    """Frames per second, the best guess of the headers; frame times are pts, never this."""

    time_base: Fraction
    """Seconds per pts tick."""

    start_pts: int
    """Pts of the first frame."""

    duration_seconds: float | None
    """From the header; None where it doesn't say."""

    frames_from_header: int | None
    pixel_format: str
    bit_depth: int
    """Bits of a luma sample: 8, 10, 12, ..."""

    subsampling: Literal["400", "410", "411", "420", "422", "440", "444", "rgb"]
    """Chroma layout of the source; `rgb` for sources without a luma plane (RGB, palette)."""

    tags: ColorTags
    times_from: Literal["decoder", "packets"]
    """`packets` where the decoder's pts don't increase: the n-th frame then has the n-th sorted
    packet time, and reading is linear."""

    seekable: bool
    """Whether a seek may replace linear reading."""

    streams: tuple[StreamInfo, ...]
    foreign_matrix: int | None = None
    """The matrix that the source is tagged with where no colours can be made for it; `tags` has
    another then, with which gray looks the same."""

    hdr: Hdr | None = None
    views: str = ""
    """How each picture holds two views, in Matroska's words such as `left_right`; mostly none."""

    views_tagged: bool = False
    """Whether that is said by a tag of the stream, not in the pictures."""

    scene_notes: tuple[str, ...] = ()
    """Names of what its pictures carry that tells screens how to show each scene: `HDR10+`,
    `Dolby Vision`, `HDR Vivid`."""

    transparent: bool = False
    """Whether its pictures have an alpha plane, which is dropped."""

    captioned: bool = False
    """Whether closed captions (CEA-608 or 708) ride inside its pictures."""

    flagged_interlaced: bool = False
    """Whether the first frames say that they are interlaced; flags lie both ways."""

    flagged_order: FieldOrder = "top"
    """Which lines come first, by the same flags."""

    clock_jumps: bool = False
    """Whether a broadcast's clock is seen to begin anew on the way; its length is a guess then."""

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) as displayed: turned upright, samples made square."""
        width, height = round(self.width * self.sample_aspect), self.height
        return (height, width) if self.rotation in (90, 270) else (width, height)


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame at its own time."""

    pts: int
    """Strictly increasing along the film."""

    duration: int
    """Ticks it is shown for, 0 where unknown."""

    luma: Plane
    """(height, width) view of the decoder's own plane; read only, all its bits."""

    chroma: tuple[Plane, Plane] | None
    """The source's own Cb and Cr at their size, or None for gray."""

    damaged: bool = False
    """The decoder reported damage in this frame."""

    captions: bytes = b""
    """Closed captions that ride in it, three bytes a piece as ATSC A/53 has them."""

    repeated: bool = False
    """Not decoded: the last good picture again, where the source has lost the one promised."""


@dataclass(frozen=True, kw_only=True)
class PictureFormat:
    """Layout of what the encoder is given."""

    pixel_format: str
    """FFmpeg's name, such as `yuv420p10le`."""

    bit_depth: int
    width: int
    height: int
    chroma_width: int
    chroma_height: int
    fields: FieldOrder | None = None
    """Which lines come first of pictures that say they are interlaced; a chroma line then belongs
    to luma lines of its own moment. None for whole pictures."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One colorized frame, ready for the encoder. Planes share depth: uint8, or uint16 above 8."""

    pts: int
    duration: int
    y: Plane
    u: Plane
    v: Plane
    captions: bytes = b""
    """As the frame's that it was made of, and what follows too."""

    damaged: bool = False
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """A half-open pts range [start, end): the unit of work, of resume and of distribution."""

    index: int
    start: int
    end: int

    def __post_init__(self) -> None:
        # They also come from a job's file, which may be damaged.
        if not all(isinstance(number, int) for number in (self.index, self.start, self.end)):
            raise TypeError(f"a segment is three whole numbers, not {self}")
