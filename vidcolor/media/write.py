"""Coloured frames into a segment's file.

    try_encoder(info, layout, choice)          # both from `choice`
    with SegmentWriter(Path("00000.mkv.part"), info, layout, choice) as writer:
        writer.write(picture)
        record = writer.close()

A segment is Matroska, which a kill leaves readable. Its packets carry their rank instead of their
time, as Matroska rounds to milliseconds: the true times are in the record.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import av
import numpy as np
from av.codec import Codec
from av.codec.context import Flags
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.stream import VideoStream

from vidcolor.errors import EncoderError, OutputError
from vidcolor.frames import ColorTags, Picture, PictureFormat, Plane, VideoInfo
from vidcolor.heap import give_back
from vidcolor.media.captions import CAPTION_CODECS, with_captions
from vidcolor.media.choice import EncoderChoice, encoder_options
from vidcolor.media.ffmpeg import plain_name
from vidcolor.media.fields import FieldMarker

_Packet: TypeAlias = "av.Packet[Any]"

_TICK = Fraction(1, 25)
"""Seconds between two ranks in a segment's file: any length that Matroska holds exactly."""

BITEXACT = 0x400
"""AVFMT_FLAG_BITEXACT: no random identifiers, so that equal pictures give equal files."""

_MOST_REORDERED = 64
"""Frames that decoding may run ahead of display: more than any encoder asks for."""

_CLOSED_GOP = -(1 << 31)
"""AV_CODEC_FLAG_CLOSED_GOP, bit 31, as the C int that PyAV expects."""


_FIELD_ORDERS = {"top": 4, "bottom": 5}
"""AV_FIELD_TB and AV_FIELD_BT: both fields in one frame, and which is shown first."""


@dataclass(frozen=True)
class SegmentRecord:
    """What a finished segment holds, in the order of display."""

    frames: int
    pts: tuple[int, ...]
    """True times, in ticks of the source's time base."""

    durations: tuple[int, ...]
    extradata_sha256: str
    """Hash of the stream's headers; segments can be joined only where it is equal."""


def try_encoder(info: VideoInfo, format: PictureFormat, choice: EncoderChoice) -> None:
    """Encode one gray frame and throw it away, so that what fails at the end fails now.

    Raises EncoderError in FFmpeg's words, also for parameters an encoder only warns about.
    """
    with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder, listening() as said:
        path = Path(folder) / "try.mkv"
        with SegmentWriter(path, info, format, choice) as writer:
            writer.write(gray_picture(format, info.start_pts))
    for _, source, words in said:
        if source == choice.codec and words.startswith(_REFUSALS):
            raise EncoderError(
                f"{choice.codec} doesn't take an encoder option: {words.strip()} "
                "Check --encoder-option."
            )


_REFUSALS = ("Unknown option", "Error parsing option", "Invalid value")


@contextmanager
def listening() -> Iterator[list[tuple[int, str, str]]]:
    """Collect what FFmpeg says, level, speaker and words; its errors then know their reason."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture(local=False) as said:
            yield said
    finally:
        av.logging.set_level(level)


class SegmentWriter:
    """Writes pictures, in the order of their times, to one Matroska file.

    Leave it by `close()`, or by an exception: then the file is closed and left for the caller.
    """

    def __init__(
        self, path: Path, info: VideoInfo, format: PictureFormat, choice: EncoderChoice
    ) -> None:
        """Open the file and the encoder. Raises EncoderError or OutputError."""
        self.sizes: list[int] = []
        """Bytes of each packet the encoder has given so far, in decoding order."""
        self._path = path
        self._format, self._tags = format, info.tags
        self._mark = (
            FieldMarker(format.fields, format.width, format.height, format.pixel_format)
            if format.fields
            else None
        )
        self._codec = choice.codec
        self._kind = Codec(choice.codec, "w").canonical_name
        self._pts: list[int] = []
        self._durations: list[int] = []
        self._captions: dict[int, bytes] = {}
        """By rank, of the pictures whose packets haven't come yet."""
        self._record: SegmentRecord | None = None
        self._out = av.open(plain_name(path), "w", format="matroska")
        self._out.flags |= BITEXACT
        try:
            self._stream = self._open_stream(info, choice)
            self._rate = self._stream.codec_context.framerate
            self._begin()
        except BaseException:
            self._abandon()
            raise

    def write(self, picture: Picture) -> None:
        """Encode one picture. Raises EncoderError, or OutputError when the disk is full."""
        if self._pts and picture.pts <= self._pts[-1]:
            raise ValueError(f"pts {picture.pts} doesn't follow {self._pts[-1]}")
        frame = self._frame(picture)
        if self._mark is not None:
            frame = self._mark(frame)
        _tag(frame, self._tags)
        frame.pts = len(self._pts)
        frame.time_base = 1 / self._rate
        if picture.captions and self._kind in CAPTION_CODECS:
            self._captions[frame.pts] = picture.captions
        self._pts.append(picture.pts)
        self._durations.append(picture.duration)
        self._encode(frame)

    def _frame(self, picture: Picture) -> VideoFrame:
        planes, layout = (picture.y, picture.u, picture.v), self._format
        _refuse_sizes(planes, layout)
        if self._codec in _COPYING_AT_ONCE:
            return VideoFrame.from_dlpack(tuple(map(_lent, planes)), layout.pixel_format)
        frame = VideoFrame(layout.width, layout.height, layout.pixel_format)
        for plane, samples in zip(frame.planes, planes, strict=True):
            _fill(plane, samples)
        return frame

    def close(self) -> SegmentRecord:
        """Finish the file and say what it holds. Raises EncoderError or OutputError."""
        if self._record is None:
            extradata = self._stream.codec_context.extradata or b""
            self._encode(None)
            try:
                self._out.close()
            except (av.FFmpegError, OSError) as error:
                raise write_error(self._path, error) from error
            finally:
                self._release()
            self._record = SegmentRecord(
                frames=len(self._pts),
                pts=tuple(self._pts),
                durations=tuple(self._durations),
                extradata_sha256=hashlib.sha256(extradata).hexdigest(),
            )
        return self._record

    def _release(self) -> None:
        """Let go of the encoder and its memory now: the next segment's is opened while somebody may
        still hold this writer."""
        for name in ("_stream", "_out"):
            self.__dict__.pop(name, None)
        give_back()

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
        else:
            self._abandon()

    def _open_stream(self, info: VideoInfo, choice: EncoderChoice) -> VideoStream:
        rate = info.rate.limit_denominator(10_000)
        try:
            options = encoder_options(choice, self._format.width)
            stream = self._out.add_stream(choice.codec, rate=rate, options=options)
        except ValueError as error:
            raise self._refused(error) from error
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.width, context.height = self._format.width, self._format.height
        context.pix_fmt = self._format.pixel_format
        context.framerate, context.time_base = rate, 1 / rate
        context.thread_count = choice.threads
        if choice.codec.startswith("lib"):
            context.flags |= _CLOSED_GOP
        if choice.fields:
            # The container says it of any codec's pictures.
            context.field_order = _FIELD_ORDERS[choice.fields]
        if self._format.fields:
            context.flags |= Flags.interlaced_dct
        context.sample_aspect_ratio = info.sample_aspect
        context.colorspace = info.tags.matrix
        context.color_primaries = info.tags.primaries
        context.color_trc = info.tags.transfer
        context.color_range = 2 if info.tags.full_range else 1
        if choice.codec == "libsvtav1":
            # SVT-AV1 writes its banner to the terminal itself; 1 leaves its errors.
            os.environ.setdefault("SVT_LOG", "1")
        try:
            context.open()
        except (av.FFmpegError, ValueError) as error:
            raise self._refused(error) from error
        return stream

    def _begin(self) -> None:
        try:
            self._out.start_encoding()
        except (av.FFmpegError, OSError) as error:
            raise write_error(self._path, error) from error

    def _encode(self, frame: VideoFrame | None) -> None:
        try:
            packets = self._stream.encode(frame)
        except av.FFmpegError as error:
            again = len(self._pts) > 1
            raise (self._failed(error) if again else self._refused(error)) from error
        try:
            for packet in map(self._captioned, packets):
                packet.time_base = _TICK
                packet.duration = 1
                # The join reckons this anew; of a short film x265 gives what lay in memory.
                packet.dts = len(self.sizes) - _MOST_REORDERED
                self.sizes.append(packet.size)
                self._out.mux(packet)
        except (av.FFmpegError, OSError) as error:
            raise write_error(self._path, error) from error

    def _captioned(self, packet: _Packet) -> _Packet:
        """The packet with the captions of the picture it shows, where that has some."""
        captions = self._captions.pop(packet.pts or 0, b"")
        if not captions:
            return packet
        try:
            data = with_captions(bytes(packet), captions, self._kind)
        except ValueError as error:
            raise EncoderError(
                f"{self._codec} gives packets that the film's closed captions can't be put into "
                f"({error}); leave out --encoder-option, or take libx264 or libx265."
            ) from error
        whole: _Packet = av.Packet(data)
        whole.stream, whole.pts, whole.dts = packet.stream, packet.pts, packet.dts
        whole.is_keyframe = packet.is_keyframe
        return whole

    def _abandon(self) -> None:
        # The first error is the one to tell.
        with suppress(av.FFmpegError, OSError, AttributeError):
            self._out.close()
        self._release()

    def _failed(self, error: Exception) -> EncoderError:
        """Of an encoder that took a picture before: its settings can't be what is wrong."""
        return EncoderError(
            f"{self._codec} failed in the middle of {self._path} ({reason_of(error)}); finished "
            "segments are kept: give the same command again to go on."
        )

    def _refused(self, error: Exception) -> EncoderError:
        # What FFmpeg gives where libcuda is missing, and where it finds no GPU that encodes.
        absent = isinstance(error, PermissionError | av.error.ExternalError)
        if absent and self._codec.endswith("_nvenc"):
            return EncoderError(
                f"{self._codec} can't be opened ({words_of(error)}): no NVIDIA driver, or no GPU "
                "that encodes, seems to be here; take libx264 or libx265."
            )
        said = getattr(error, "log", None)
        more = f": {said[2].strip()}" if said else ""
        return EncoderError(
            f"{self._codec} refuses its settings ({words_of(error)}{more}); "
            "check --codec, --crf, --encoder-preset and --encoder-option."
        )


def write_error(path: Path, error: Exception) -> OutputError:
    """What to tell a person when `path` can't be written."""
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutputError(
            f"the disk is full: {path} can't be written; make room and run the same command again."
        )
    return OutputError(f"{path} can't be written ({reason_of(error)}); check its folder.")


def words_of(error: Exception) -> str:
    """FFmpeg's own words, or Python's."""
    return str(getattr(error, "strerror", None) or error)


def reason_of(error: Exception) -> str:
    """What FFmpeg said of an error when somebody was `listening`, else as `words_of`."""
    said = getattr(error, "log", None)
    return str(said[2]).strip().rstrip(".") if said else words_of(error)


_COPYING_AT_ONCE = ("libx264",)
"""Encoders that are done with a frame's planes when they have taken it: these need no copy of ours.
Others may let go of them on a thread of their own, when nobody waits for that any more."""


def _refuse_sizes(planes: tuple[Plane, ...], layout: PictureFormat) -> None:
    small = (layout.chroma_height, layout.chroma_width)
    for samples, size in zip(planes, ((layout.height, layout.width), small, small), strict=True):
        if samples.shape != size:
            raise ValueError(f"a plane of {samples.shape} doesn't fit one of {size}")


class _Loan:
    """A plane as an array that may be handed on: DLPack has no word for read only."""

    def __init__(self, samples: Plane) -> None:
        self.samples = samples
        interface = samples.__array_interface__
        self.__array_interface__ = interface | {"data": (interface["data"][0], False)}


def _lent(samples: Plane) -> Plane:
    """The same samples, to be read only, with lines that lie one behind the other."""
    lines_whole = samples.strides[1] == samples.itemsize
    whole: Plane = samples if lines_whole else np.ascontiguousarray(samples)  # type: ignore[assignment]
    return whole if whole.flags.writeable else np.asarray(_Loan(whole))


def _fill(plane: VideoPlane, samples: Plane) -> None:
    """Copy samples into a plane whose lines are padded."""
    rows = np.frombuffer(memoryview(plane), samples.dtype).reshape(plane.height, -1)
    rows[:, : plane.width] = samples


def _tag(frame: VideoFrame, tags: ColorTags) -> None:
    """Say what the samples mean: ProRes takes it from the frames, the others from the encoder."""
    frame.colorspace, frame.color_range = tags.matrix, 2 if tags.full_range else 1
    frame.color_primaries, frame.color_trc = tags.primaries, tags.transfer


def gray_picture(format: PictureFormat, pts: int) -> Picture:
    """A picture of middle gray, for trials."""

    def flat(height: int, width: int) -> Plane:
        if format.bit_depth == 8:
            return np.full((height, width), 128, np.uint8)
        return np.full((height, width), 1 << (format.bit_depth - 1), np.uint16)

    chroma = flat(format.chroma_height, format.chroma_width)
    return Picture(pts, 1, flat(format.height, format.width), chroma, chroma)
