"""Decoding on an NVIDIA GPU (NVDEC), where it gives the very samples the processor gives.

    if (gpu := decoding_gpu(info, 0)) is not None:
        frames = read_frames(info, start, end, gpu=gpu)

A card is trusted with a film when it decodes frames from its middle as the processor does, sample
for sample, and only as long as nothing is wrong with the film: what is made of damage is the
processor's matter, as decoders differ there. So no picture hangs on who decoded it.
"""

from __future__ import annotations

import logging
from itertools import islice, zip_longest

import numpy as np
from av.codec.hwaccel import HWAccel

from vidcolor.frames import BEGINNING, Fields, Frame, VideoInfo

log = logging.getLogger(__name__)

EXACT_CODECS = ("h264", "hevc", "vp9")
"""Their standards say what every sample of a decoded picture is; those of MPEG-2 and MPEG-4 don't.
AV1 is decoded by a library that knows no GPU."""

KNOWN_FORMATS = ("yuv420p", "yuvj420p", "yuv420p10le")
"""Pixel formats that every such card gives back with the samples where they are looked for."""

TRIAL_FRAMES = 8
"""Decoded both ways before a card is trusted with a film."""


class GpuDecodeError(Exception):
    """A GPU doesn't decode this film, or doesn't any more; the processor does."""


def accelerator(gpu: int) -> HWAccel:
    """What PyAV opens a file with to have it decoded on the CUDA device of that number."""
    return HWAccel("cuda", str(gpu), allow_software_fallback=False)


def may_decode(info: VideoInfo, fields: Fields = "progressive") -> bool:
    """Whether a GPU may be tried at all, read by what is known of a film without decoding it."""
    known = info.codec in EXACT_CODECS and info.pixel_format in KNOWN_FORMATS
    return known and fields == "progressive" and info.times_from == "decoder"


def decoding_gpu(info: VideoInfo, gpu: int, fields: Fields = "progressive") -> int | None:
    """`gpu`, the number of a CUDA device, where it decodes frames of this film as the processor
    does; else None. Takes about a second. Raises SourceError when the film can't be opened."""
    from vidcolor.media.read import gpu_frames, read_frames

    if not may_decode(info, fields):
        return None
    start = _middle(info) if info.seekable else BEGINNING
    try:
        tried = list(islice(gpu_frames(info, start, gpu=gpu), TRIAL_FRAMES))
    except GpuDecodeError as error:
        log.info("GPU %d doesn't decode %s: %s", gpu, info.path, error)
        return None
    frames = islice(read_frames(info, start), TRIAL_FRAMES)
    if not tried or not all(_alike(*pair) for pair in zip_longest(tried, frames)):
        log.warning(
            "GPU %d decodes %s otherwise than the processor, which does it instead", gpu, info.path
        )
        return None
    return gpu


def _middle(info: VideoInfo) -> int:
    """Where half of a film is over; at its beginning there is often nothing but black."""
    return info.start_pts + round((info.duration_seconds or 0) / 2 / info.time_base)


def _alike(one: Frame | None, other: Frame | None) -> bool:
    if one is None or other is None:
        return False
    if (one.pts, one.duration, one.captions) != (other.pts, other.duration, other.captions):
        return False
    planes = [(frame.luma, *(frame.chroma or ())) for frame in (one, other)]
    return all(np.array_equal(*pair) for pair in zip(*planes, strict=True))
