"""Which encoders can be used on this machine, found out by using them.

    from vidcolor.media.encoders import open_encoder

    open_encoder("libx264").pixel_format  # 'yuv420p'

FFmpeg's list says what it was built with, not what works: NVENC is in it where no GPU is.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from vidcolor.errors import EncoderError
from vidcolor.frames import ColorTags, PictureFormat, VideoInfo
from vidcolor.media.choice import choose_encoder, picture_format
from vidcolor.media.choice import known_encoders as known_encoders
from vidcolor.media.pixels import planar_name
from vidcolor.media.write import try_encoder
from vidcolor.settings import Settings

WIDTH, HEIGHT = 256, 160
"""No less than the least picture any of the encoders takes; NVENC wants 145 samples across."""


def open_encoder(codec: str) -> PictureFormat:
    """Encode one small gray picture with an encoder's defaults; returns the picture's layout.

    8 bits where the encoder takes them, else 10. Raises EncoderError where it can't be used.
    """
    try:
        return _encode(codec, 8)
    except _DepthError:
        return _encode(codec, 10)


class _DepthError(Exception):
    """The encoder takes no pictures of 8 bits."""


def _encode(codec: str, bit_depth: int) -> PictureFormat:
    info = _small_film(bit_depth)
    try:
        choice = choose_encoder(info, Settings(codec=codec, threads=1))
    except EncoderError as error:
        if bit_depth == 8:
            raise _DepthError from error
        raise
    layout = picture_format(info, choice)
    try_encoder(info, layout, choice)
    return layout


def _small_film(bit_depth: int) -> VideoInfo:
    """A film that is nowhere."""
    return VideoInfo(
        path=Path("nowhere"),
        container="matroska",
        stream_index=0,
        codec="rawvideo",
        width=WIDTH,
        height=HEIGHT,
        sample_aspect=Fraction(1),
        rotation=0,
        rate=Fraction(25),
        time_base=Fraction(1, 25),
        start_pts=0,
        duration_seconds=None,
        frames_from_header=None,
        pixel_format=planar_name("420", bit_depth),
        bit_depth=bit_depth,
        subsampling="420",
        tags=ColorTags(matrix=1, primaries=1, transfer=1, full_range=False),
        times_from="decoder",
        seekable=False,
        streams=(),
    )
