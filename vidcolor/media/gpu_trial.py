"""Whether a GPU decodes a film as the processor does.

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

from vidcolor.frames import BEGINNING, Fields, Frame, VideoInfo
from vidcolor.media.gpu import GpuDecodeError, may_decode
from vidcolor.media.read import gpu_frames, read_frames

log = logging.getLogger(__name__)

TRIAL_FRAMES = 8
"""Decoded both ways before a card is trusted with a film."""


def decoding_gpu(info: VideoInfo, gpu: int, fields: Fields = "progressive") -> int | None:
    """`gpu`, the number of a CUDA device, where it decodes frames of this film as the processor
    does; else None. Takes about a second. Raises SourceError when the film can't be opened."""
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
