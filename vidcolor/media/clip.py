"""R'G'B' pictures into a small film for looking at, at the times of the film they come from.

    with ClipWriter(Path("clip.mp4.part"), "mp4", info, (1284, 510)) as writer:
        writer.write(rgb, pts, duration)

The clip begins at zero, has no sound, and says in its tags what its samples mean: BT.709's matrix
from 720 lines up, else BT.601's, with the film's own primaries and transfer.
"""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vidcolor.frames import VideoInfo
from vidcolor.media.ffmpeg import plain_name
from vidcolor.media.write import BITEXACT, write_error
from vidcolor.resample import Size

CONTAINERS: dict[str, Literal["mp4", "matroska"]] = {".mp4": "mp4", ".mkv": "matroska"}
"""FFmpeg's names of the containers, by the suffixes a clip may have."""

CRF, PRESET = 16, "veryfast"

BT709, BT601 = 1, 6
"""Matrices, as code points of ITU-T H.273."""


class ClipWriter:
    """Writes pictures in the order of their times. Leaving its block finishes the file."""

    def __init__(
        self,
        path: Path,
        container: Literal["mp4", "matroska"],
        info: VideoInfo,
        size: Size,
        *,
        threads: int = 0,
    ) -> None:
        """Open the file. size: (width, height), even. Raises OutputError."""
        self._path, self._info, self._size = path, info, size
        self._matrix = BT709 if size[1] >= 720 else BT601
        self._scaler = VideoReformatter()
        self._first: int | None = None
        self._durations: dict[int, int] = {}
        try:
            self._out = av.open(plain_name(path), "w", format=container)
            self._out.flags |= BITEXACT
            self._stream = self._open_stream(threads)
        except (av.FFmpegError, OSError) as error:
            raise write_error(path, error) from error

    def write(self, rgb: NDArray[np.uint8], pts: int, duration: int) -> None:
        """Encode one picture: (height, width, 3) R'G'B', pts and duration in the film's ticks.

        Raises OutputError.
        """
        if self._first is None:
            self._first = pts
        frame = self._scaler.reformat(
            VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"),
            format="yuv420p",
            dst_colorspace=self._matrix,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=int(Interpolation.AREA | Interpolation.ACCURATE_RND)
            | int(Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT),
            threads=1,
        )
        frame.pts, frame.time_base = pts - self._first, self._info.time_base
        self._durations[frame.pts] = duration
        self._encode(frame)

    def close(self) -> None:
        """Finish the file. Raises OutputError."""
        self._encode(None)
        try:
            self._out.close()
        except (av.FFmpegError, OSError) as error:
            raise write_error(self._path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
            return
        # The first error is the one to tell.
        with suppress(av.FFmpegError, OSError):
            self._out.close()

    def _open_stream(self, threads: int) -> VideoStream:
        rate = self._info.rate.limit_denominator(10_000)
        # Without B-frames no decoding time lies before zero, so that the first frame is at zero in
        # every container.
        options = {"crf": str(CRF), "preset": PRESET, "bf": "0"}
        stream = self._out.add_stream("libx264", rate=rate, options=options)
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.width, context.height = self._size
        context.pix_fmt = "yuv420p"
        context.framerate, context.time_base = rate, self._info.time_base
        context.thread_count = threads
        context.sample_aspect_ratio = Fraction(1)
        context.colorspace = self._matrix
        context.color_primaries = self._info.tags.primaries
        context.color_trc = self._info.tags.transfer
        context.color_range = int(ColorRange.MPEG)
        stream.time_base = self._info.time_base
        return stream

    def _encode(self, frame: VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(frame):
                packet.duration = self._durations.pop(packet.pts or 0, packet.duration)
                self._out.mux(packet)
        except (av.FFmpegError, OSError) as error:
            raise write_error(self._path, error) from error
