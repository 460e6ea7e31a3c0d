"""Decoding on an NVIDIA GPU (NVDEC): which films, and how PyAV is told.

Whether a card is trusted with one of them is seen in `gpu_trial`.
"""

from __future__ import annotations

from av.codec.hwaccel import HWAccel

from vidcolor.frames import Fields, VideoInfo

EXACT_CODECS = ("h264", "hevc", "vp9")
"""Their standards say what every sample of a decoded picture is; those of MPEG-2 and MPEG-4 don't.
AV1 is decoded by a library that knows no GPU."""

KNOWN_FORMATS = ("yuv420p", "yuvj420p", "yuv420p10le")
"""Pixel formats that every such card gives back with the samples where they are looked for."""


class GpuDecodeError(Exception):
    """A GPU doesn't decode this film, or doesn't any more; the processor does."""


def accelerator(gpu: int) -> HWAccel:
    """What PyAV opens a file with to have it decoded on the CUDA device of that number."""
    return HWAccel("cuda", str(gpu), allow_software_fallback=False)


def may_decode(info: VideoInfo, fields: Fields = "progressive") -> bool:
    """Whether a GPU may be tried at all, read by what is known of a film without decoding it."""
    known = info.codec in EXACT_CODECS and info.pixel_format in KNOWN_FORMATS
    return known and fields == "progressive" and info.times_from == "decoder"
