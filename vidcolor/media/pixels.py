"""Where FFmpeg keeps a picture's samples, and how to look at them without copying.

    luma, chroma = planes_of(frame)  # views, read only

Most sources are planar YCbCr or gray and are looked at where the decoder put them. The rest is
converted once, to the nearest planar layout: RGB and palettes to limited-range YCbCr, packed and
big-endian YCbCr to the same samples in planes of their own.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from vidcolor.frames import ColorTags, Plane, VideoInfo

Subsampling = Literal["400", "410", "411", "420", "422", "440", "444", "rgb"]

_HIGH_ALIGNED = ("p010", "p012", "p210", "p212", "p410", "p412")
"""Semi-planar formats that keep their bits at the top of 16."""

_OF_GPUS = {"yuv420p": "nv12", "yuvj420p": "nv12", "yuv420p10le": "p010le"}
"""As what a GPU gives back the samples it has decoded."""

_BY_RATIO: dict[tuple[int, int], Subsampling] = {
    (4, 4): "410",
    (4, 1): "411",
    (2, 2): "420",
    (2, 1): "422",
    (1, 2): "440",
    (1, 1): "444",
}


def subsampling(pixels: VideoFormat) -> Subsampling:
    """Chroma layout of a pixel format; `rgb` where there is no luma to keep."""
    if not _has_luma(pixels):
        return "rgb"
    if len(_components(pixels)) < 3:
        return "400"
    ratio = (64 // pixels.chroma_width(64), 64 // pixels.chroma_height(64))
    return _BY_RATIO.get(ratio, "444")


def bit_depth(pixels: VideoFormat) -> int:
    """Bits of a luma sample as read_frames gives it; RGB is read as 8 bits, or 10 when deeper."""
    bits = pixels.components[0].bits
    if not _has_luma(pixels):
        return 10 if bits > 8 else 8
    return max(bits, 8)


def is_transparent(frame: VideoFrame) -> bool:
    """Whether some of a picture is to be seen through; many formats have an alpha plane unused."""
    if not any(part.is_alpha for part in frame.format.components):
        return False
    alpha = frame.reformat(format="yuva444p").planes[3]
    rows = np.frombuffer(memoryview(alpha), np.uint8).reshape(-1, alpha.line_size)
    return bool((rows[: frame.height, : frame.width] < OPAQUE).any())


OPAQUE = 255
"""Alpha of 8 bits that hides what lies behind."""


def is_full_range_by_name(pixels: VideoFormat) -> bool:
    """Whether untagged samples of this format span every code: yuvj* and gray do in FFmpeg.

    RGB doesn't, as it is read here as limited-range YCbCr.
    """
    return pixels.name.startswith("yuvj") or subsampling(pixels) == "400"


def is_full_range(frame: VideoFrame, info: VideoInfo) -> bool:
    """Whether a frame's luma spans every code: by its own tag or name, else as its film's."""
    if int(frame.color_range) in (_LIMITED, _FULL):
        return int(frame.color_range) == _FULL
    return info.tags.full_range or frame.format.name.startswith("yuvj")


_LIMITED, _FULL = 1, 2
"""Code points of a frame's range; 0 says nothing."""


def planar_name(sampling: str, depth: int) -> str:
    """FFmpeg's name of a planar format: ("420", 10) -> `yuv420p10le`, ("400", 8) -> `gray`."""
    deep = f"{depth}le" if depth > 8 else ""
    return f"gray{deep}" if sampling == "400" else f"yuv{sampling}p{deep}"


def readable_format(info: VideoInfo) -> str:
    """The pixel format read_frames gives a source's frames in: its own wherever that works."""
    if info.subsampling == "rgb":
        odd = info.width % 2 or info.height % 2
        return planar_name("444" if odd else "420", info.bit_depth)
    if _is_viewable(VideoFormat(info.pixel_format)):
        return info.pixel_format
    return planar_name(info.subsampling, info.bit_depth)


class Converter:
    """Brings every frame of a source to one size and one viewable format; mostly it does nothing.

    One converter serves one reader, as the scaler inside keeps its buffers.
    """

    def __init__(self, info: VideoInfo) -> None:
        self.width, self.height = info.width, info.height
        self.format = readable_format(info)
        self._accepted = {info.pixel_format} & {self.format}
        if self._accepted and self.format in _OF_GPUS:
            self._accepted.add(_OF_GPUS[self.format])
        self._info = info
        self._keeps_luma = info.subsampling != "rgb"
        self._full = self._keeps_luma and info.tags.full_range
        self._matrix = _scaler_matrix(info.tags)
        self._scaler = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The frame itself where it fits, else a converted one."""
        rgb = not _has_luma(frame.format)
        full = rgb or (is_full_range(frame, self._info) if self._keeps_luma else self._full)
        same_size = (frame.width, frame.height) == (self.width, self.height)
        if frame.format.name in self._accepted and same_size and full == self._full:
            return frame
        return self._scaler.reformat(
            frame,
            width=self.width,
            height=self.height,
            format=self.format,
            # From RGB the target's matrix counts; between YCbCr layouts nothing may change.
            src_colorspace=None if rgb else self._matrix,
            dst_colorspace=self._matrix,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG if self._full else ColorRange.MPEG,
            interpolation=int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND)
            | int(Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT),
            threads=1,
        )


def planes_of(frame: VideoFrame) -> tuple[Plane, tuple[Plane, Plane] | None]:
    """Luma (height, width), and Cb and Cr at their own size or None for gray; read-only views.

    The frame's format must be one that `readable_format` gives. uint8 for 8 bits, low-aligned
    uint16 above. Only high-aligned formats (p010 and its kin) are copied, to shift them down.
    """
    pixels = frame.format
    shift = 16 - pixels.components[0].bits if pixels.name.startswith(_HIGH_ALIGNED) else 0
    luma = _view(frame.planes[0], pixels, 1, shift)[0]
    if len(_components(pixels)) < 3:
        return luma, None
    if pixels.components[1].plane != pixels.components[2].plane:
        return luma, (
            _view(frame.planes[1], pixels, 1, shift)[0],
            _view(frame.planes[2], pixels, 1, shift)[0],
        )
    first, second = _view(frame.planes[1], pixels, 2, shift)
    swapped = pixels.name in ("nv21", "nv42")
    return luma, (second, first) if swapped else (first, second)


def _view(plane: VideoPlane, pixels: VideoFormat, woven: int, shift: int) -> list[Plane]:
    """The `woven` interleaved sample planes of one memory plane."""
    deep = pixels.components[0].bits > 8
    # A negative line size means that the lines lie bottom up in memory.
    size = plane.line_size // (2 if deep else 1)
    memory = memoryview(plane)
    flat: Plane = np.frombuffer(memory, np.uint16) if deep else np.frombuffer(memory, np.uint8)
    lines = flat.reshape(-1, abs(size))[:: 1 if size > 0 else -1][: plane.height]
    views: list[Plane] = [lines[:, i : plane.width * woven : woven] for i in range(woven)]
    if shift:
        views = [np.right_shift(view, shift) for view in views]
    for view in views:
        view.flags.writeable = False
    return views


def _components(pixels: VideoFormat) -> list[int]:
    return [i for i, part in enumerate(pixels.components) if not part.is_alpha]


def _has_luma(pixels: VideoFormat) -> bool:
    odd_kind = pixels.is_rgb or pixels.has_palette or pixels.is_bayer or pixels.is_bit_stream
    bits = pixels.components[0].bits
    return not (odd_kind or bits < 8 or bits > 16 or pixels.name.startswith("xyz"))


def _is_viewable(pixels: VideoFormat) -> bool:
    """Luma in a plane of its own, little-endian, its bits at the bottom (or p010's top)."""
    if not _has_luma(pixels) or pixels.is_big_endian or "msb" in pixels.name:
        return False
    planes = [pixels.components[i].plane for i in _components(pixels)]
    alone = planes in ([0], [0, 1, 2], [0, 1, 1])
    alpha = [part.plane for part in pixels.components if part.is_alpha]
    return alone and 0 not in alpha


def _scaler_matrix(tags: ColorTags) -> int:
    """The scaler's own number of a matrix: SWS_CS_* equals H.273's number where it has one."""
    return tags.matrix if tags.matrix in (1, 4, 5, 6, 7, 9) else 5
