"""Films for two eyes, both views in one picture: how they lie there, and how players are told.

    views = views_of(first_frame)          # "left_right"; empty for nearly all films
    x264_views(views)                      # ["frame-packing=3"]

The names are Matroska's. H.264 says it in its pictures (ITU-T H.264, D.2.25), Matroska in a track's
header (RFC 9559); MP4 has a box for it that FFmpeg doesn't write.
"""

from __future__ import annotations

import struct

from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from vidcolor.frames import VideoInfo
from vidcolor.media.hdr import side_data
from vidcolor.media.muxers import family_of

_NAMES = {
    # FFmpeg's number of a way to pack, and whether the right eye's view comes first.
    (1, False): "left_right",
    (1, True): "right_left",
    (2, False): "top_bottom",
    (2, True): "bottom_top",
    (3, False): "block_lr",
    (3, True): "block_rl",
    (4, False): "checkerboard_lr",
    (4, True): "checkerboard_rl",
    (6, False): "row_interleaved_lr",
    (6, True): "row_interleaved_rl",
    (7, False): "col_interleaved_lr",
    (7, True): "col_interleaved_rl",
}
_X264_PACKINGS = {
    "checkerboard_lr": 0,
    "col_interleaved_lr": 1,
    "row_interleaved_lr": 2,
    "left_right": 3,
    "top_bottom": 4,
    "block_lr": 5,
}
"""x264 has no word for the right eye's view first."""

WEBM_VIEWS = frozenset({"mono", "left_right", "right_left", "top_bottom", "bottom_top"})
"""Its muxer refuses films with others."""


def views_of(frame: VideoFrame) -> str:
    """How two views lie in a frame; empty where there is one."""
    for data in side_data(frame):
        if data.type is Type.STEREO3D:
            packing, flags = struct.unpack("=2i", bytes(memoryview(data))[:8])
            return _NAMES.get((packing, bool(flags & 1)), "")
    return ""


def x264_views(views: str) -> list[str]:
    """x264's own parameters for it."""
    return [f"frame-packing={_X264_PACKINGS[views]}"] if views in _X264_PACKINGS else []


def lost_views(info: VideoInfo, muxer: str, codec: str) -> str | None:
    """A sentence where players of the output, with pictures of `codec`, won't know of them."""
    if not info.views or _in_pictures(info, codec) or _in_header(info.views, muxer):
        return None
    return (
        f"each picture holds two views ({info.views}), which {family_of(muxer)} can't say of "
        f"{codec} pictures; use .mkv."
    )


def views_tag(info: VideoInfo, muxer: str, codec: str) -> dict[str, str]:
    """The picture's tag that a muxer tells players of them by, where the pictures don't."""
    told = _in_pictures(info, codec) or not _in_header(info.views, muxer)
    return {} if told else {"stereo_mode": info.views}


def _in_pictures(info: VideoInfo, codec: str) -> bool:
    return codec == "h264" and not info.views_tagged and info.views in _X264_PACKINGS


def _in_header(views: str, muxer: str) -> bool:
    return bool(views) and (muxer == "matroska" or (muxer == "webm" and views in WEBM_VIEWS))
