"""Coloured frames into a segment's file, and which encoder does it.

    choice = choose_encoder(info, settings)
    layout = picture_format(info, choice)
    try_encoder(info, layout, choice)
    with SegmentWriter(Path("00000.mkv.part"), info, layout, choice) as writer:
        writer.write(picture)
        record = writer.close()

A segment is Matroska, which a kill leaves readable. Its packets carry their rank instead of their
time, as Matroska rounds to milliseconds: the true times are in the record.
"""

from __future__ import annotations

import difflib
import errno
import hashlib
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from av.codec import Codec
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.stream import VideoStream

from vidcolor.errors import EncoderError, OutputError, SettingsError
from vidcolor.frames import Picture, PictureFormat, Plane, VideoInfo
from vidcolor.media.pixels import planar_name
from vidcolor.settings import Settings

_TICK = Fraction(1, 25)
"""Seconds between two ranks in a segment's file: any length that Matroska holds exactly."""

BITEXACT = 0x400
"""AVFMT_FLAG_BITEXACT: no random identifiers, so that equal pictures give equal files."""

_CLOSED_GOP = -(1 << 31)
"""AV_CODEC_FLAG_CLOSED_GOP, bit 31, as the C int that PyAV expects."""


@dataclass(frozen=True)
class _Defaults:
    crf: int | None = None
    preset: str | None = None
    crf_option: str = "crf"
    preset_option: str = "preset"
    options: tuple[tuple[str, str], ...] = ()
    crf_limit: int | None = None
    """The highest crf it takes, where that is less than Settings does."""


_DEFAULTS = {
    "libx264": _Defaults(17, "medium", crf_limit=51),
    "libx265": _Defaults(19, "medium", crf_limit=51),
    "libsvtav1": _Defaults(23, "6"),
    "libvpx-vp9": _Defaults(
        24, "2", preset_option="cpu-used", options=(("b", "0"), ("deadline", "good"))
    ),
    "ffv1": _Defaults(options=(("level", "3"), ("g", "1"), ("slicecrc", "1"))),
    "prores_ks": _Defaults(),
    "h264_nvenc": _Defaults(19, "p5", crf_option="cq", options=(("rc", "vbr"),)),
    "hevc_nvenc": _Defaults(21, "p5", crf_option="cq", options=(("rc", "vbr"),)),
    "av1_nvenc": _Defaults(25, "p5", crf_option="cq", options=(("rc", "vbr"),)),
}

_BY_DEPTH = ("libx264", "libx265", "ffv1")
"""What `auto` takes: the first of these that holds the source's bits."""


AUTO_CODEC, SOURCE_CODEC = "auto", "source"
"""Settings' codecs that depend on the film."""

_OF_SOURCE = {
    "h264": "libx264",
    "hevc": "libx265",
    "av1": "libsvtav1",
    "vp9": "libvpx-vp9",
    "ffv1": "ffv1",
    "prores": "prores_ks",
}
"""A source's codec -> the encoder that `source` takes for it."""


@dataclass(frozen=True)
class EncoderChoice:
    """An encoder with everything that decides its bits."""

    codec: str
    """FFmpeg's name of the encoder, such as `libx264`."""

    crf: int | None
    """Constant rate factor; None where the encoder has none, or its own default holds."""

    preset: str | None
    options: tuple[tuple[str, str], ...]
    """Further options, the user's last."""

    threads: int
    """At least 1; x264's bits change with it."""


@dataclass(frozen=True)
class SegmentRecord:
    """What a finished segment holds, in the order of display."""

    frames: int
    pts: tuple[int, ...]
    """True times, in ticks of the source's time base."""

    durations: tuple[int, ...]
    extradata_sha256: str
    """Hash of the stream's headers; segments can be joined only where it is equal."""


def choose_encoder(info: VideoInfo, settings: Settings) -> EncoderChoice:
    """The encoder for a source: `auto` and `source` made concrete, defaults filled in.

    Raises EncoderError for an unknown encoder, one that can't hold the source's bits, and
    options the encoder doesn't know; SettingsError for a crf beyond the encoder's.
    """
    refuse_encoder(settings)
    name = _encoder_for(info, settings.codec)
    defaults = _DEFAULTS.get(name, _Defaults())
    choice = EncoderChoice(
        codec=name,
        crf=settings.crf if settings.crf is not None else defaults.crf,
        preset=settings.encoder_preset or defaults.preset,
        options=defaults.options + settings.encoder_options,
        threads=settings.threads or _cores(),
    )
    picture_format(info, choice)
    _refuse_crf(settings.crf, name)
    _check_options(choice)
    return choice


def refuse_encoder(settings: Settings) -> None:
    """Raise what `choose_encoder` raises for an encoder or crf that no film could make right."""
    if settings.codec == SOURCE_CODEC:
        return
    # Of what `auto` may take, ffv1 has no crf and the others end where x264 does.
    name = _BY_DEPTH[0] if settings.codec == AUTO_CODEC else _encoder_name(settings.codec)
    _refuse_crf(settings.crf, name)


def _refuse_crf(crf: int | None, name: str) -> None:
    limit = _DEFAULTS.get(name, _Defaults()).crf_limit
    if crf is not None and limit is not None and crf > limit:
        raise SettingsError(
            f"crf is {crf}, but {name} takes 0 to {limit}; less is better, and "
            f"{_DEFAULTS[name].crf} is the default."
        )


def known_encoders() -> tuple[str, ...]:
    """The encoders whose defaults are known here, in FFmpeg's names; others may be there too."""
    return tuple(_DEFAULTS)


def picture_format(info: VideoInfo, choice: EncoderChoice) -> PictureFormat:
    """The layout of the pictures to encode: the source's luma, and room for colour.

    4:2:2 and 4:4:4 sources keep their sampling, the others become 4:2:0, odd sizes 4:4:4.
    Raises EncoderError when the encoder takes no layout that keeps the source's bits.
    """
    kept = info.subsampling if info.subsampling in ("422", "444") else "420"
    wanted = "444" if info.width % 2 or info.height % 2 else kept
    richer = [sampling for sampling in ("420", "422", "444") if sampling >= wanted]
    names = {sampling: planar_name(sampling, info.bit_depth) for sampling in richer}
    taken = _formats_of(choice.codec)
    sampling = next((each for each in richer if taken is None or names[each] in taken), None)
    if sampling is None:
        raise EncoderError(
            f"{choice.codec} can't encode {info.bit_depth}-bit pictures of "
            f"{info.width}x{info.height} with all their luma ({names[wanted]}); "
            f"use {_takers(names[wanted])}."
        )
    across, down = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[sampling]
    return PictureFormat(
        pixel_format=names[sampling],
        bit_depth=info.bit_depth,
        width=info.width,
        height=info.height,
        chroma_width=info.width // across,
        chroma_height=info.height // down,
    )


def try_encoder(info: VideoInfo, format: PictureFormat, choice: EncoderChoice) -> None:
    """Encode one gray frame and throw it away, so that what fails at the end fails now.

    Raises EncoderError in FFmpeg's words, also for parameters an encoder only warns about.
    """
    level = av.logging.get_level()
    with tempfile.TemporaryDirectory(prefix="vidcolor-") as folder:
        path = Path(folder) / "try.mkv"
        av.logging.set_level(av.logging.WARNING)
        try:
            with (
                av.logging.Capture(local=False) as logged,
                SegmentWriter(path, info, format, choice) as writer,
            ):
                writer.write(gray_picture(format, info.start_pts))
        finally:
            av.logging.set_level(level)
    for _, source, words in logged:
        if source == choice.codec and words.startswith(_REFUSALS):
            raise EncoderError(
                f"{choice.codec} doesn't take an encoder option: {words.strip()} "
                "Check --encoder-option."
            )


_REFUSALS = ("Unknown option", "Error parsing option", "Invalid value")


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
        self._format = format
        self._codec = choice.codec
        self._pts: list[int] = []
        self._durations: list[int] = []
        self._closed = False
        self._out = av.open(str(path), "w", format="matroska")
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
        frame = VideoFrame(self._format.width, self._format.height, self._format.pixel_format)
        for plane, samples in zip(frame.planes, (picture.y, picture.u, picture.v), strict=True):
            _fill(plane, samples)
        frame.pts = len(self._pts)
        frame.time_base = 1 / self._rate
        self._pts.append(picture.pts)
        self._durations.append(picture.duration)
        self._encode(frame)

    def close(self) -> SegmentRecord:
        """Finish the file and say what it holds. Raises EncoderError or OutputError."""
        extradata = self._stream.codec_context.extradata or b""
        if not self._closed:
            self._encode(None)
            self._closed = True
            try:
                self._out.close()
            except (av.FFmpegError, OSError) as error:
                raise write_error(self._path, error) from error
        return SegmentRecord(
            frames=len(self._pts),
            pts=tuple(self._pts),
            durations=tuple(self._durations),
            extradata_sha256=hashlib.sha256(extradata).hexdigest(),
        )

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
            stream = self._out.add_stream(choice.codec, rate=rate, options=_options(choice))
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
            raise self._refused(error) from error
        try:
            for packet in packets:
                packet.time_base = _TICK
                packet.duration = 1
                self.sizes.append(packet.size)
                self._out.mux(packet)
        except (av.FFmpegError, OSError) as error:
            raise write_error(self._path, error) from error

    def _abandon(self) -> None:
        self._closed = True
        # The first error is the one to tell.
        with suppress(av.FFmpegError, OSError):
            self._out.close()

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
    return OutputError(f"{path} can't be written ({words_of(error)}); check its folder.")


def words_of(error: Exception) -> str:
    """FFmpeg's own words, or Python's."""
    return str(getattr(error, "strerror", None) or error)


def _encoder_for(info: VideoInfo, codec: str) -> str:
    """The encoder that a setting's codec means for this film."""
    if codec not in (AUTO_CODEC, SOURCE_CODEC):
        return _encoder_name(codec)
    own = [_OF_SOURCE[info.codec]] if codec == SOURCE_CODEC and info.codec in _OF_SOURCE else []
    for name in (*own, *_BY_DEPTH):
        taken = _formats_of(name) or ()
        layouts = ("420", "422", "444") if name in own else ("420",)
        if any(planar_name(sampling, info.bit_depth) in taken for sampling in layouts):
            return name
    return _BY_DEPTH[-1]


def _encoder_name(given: str) -> str:
    """FFmpeg's own name of a video encoder; `h264` gives its usual one, libx264."""
    try:
        codec = Codec(given, "w")
    except ValueError:
        near = difflib.get_close_matches(given, list(_DEFAULTS), n=2, cutoff=0.5)
        # FFmpeg has many picture formats that nobody means, so beyond ours only near ones count.
        near += difflib.get_close_matches(given, _video_encoders(), n=3, cutoff=0.8)
        tries = ", ".join(dict.fromkeys(near or _DEFAULTS))
        raise EncoderError(f"there is no video encoder {given!r}; try {tries}.") from None
    if codec.type != "video":
        raise EncoderError(
            f"{given} is an encoder for {codec.type}, not for video; try {', '.join(_DEFAULTS)}."
        )
    return codec.name


def _video_encoders() -> list[str]:
    names = []
    for name in sorted(av.codec.codecs_available):
        try:
            if Codec(name, "w").type == "video":
                names.append(name)
        except ValueError:
            continue
    return names


def _formats_of(codec: str) -> frozenset[str] | None:
    """Pixel formats an encoder takes; None where it doesn't say."""
    formats = Codec(codec, "w").video_formats
    return frozenset(each.name for each in formats) if formats else None


def _takers(pixel_format: str) -> str:
    takers = [name for name in _BY_DEPTH if pixel_format in (_formats_of(name) or ())]
    return " or ".join(takers) if takers else "a source of 8, 10 or 12 bits"


def _cores() -> int:
    """Cores of this machine, at most 16: more threads cost x264 quality."""
    affinity = getattr(os, "sched_getaffinity", None)
    return min(len(affinity(0)) if affinity else os.cpu_count() or 1, 16)


def _has_avx512() -> bool:
    return cv2.checkHardwareSupport(_AVX2) and cv2.checkHardwareSupport(_AVX512F)


_AVX2, _AVX512F = 11, 13
"""CV_CPU_AVX2 and CV_CPU_AVX_512F, which OpenCV's Python doesn't name."""


def _check_options(choice: EncoderChoice) -> None:
    """Raise EncoderError for options FFmpeg would ignore without a word."""
    supported = av.CodecContext.create(choice.codec, "w").supported_options
    known = {option.name for option in supported.generic + supported.private}
    for key in _options(choice):
        if key not in known:
            near = difflib.get_close_matches(key, sorted(known), n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "leave it out."
            raise EncoderError(f"{choice.codec} has no option {key!r}; {hint}")


def _options(choice: EncoderChoice) -> dict[str, str]:
    """What FFmpeg is told besides sizes and tags."""
    defaults = _DEFAULTS.get(choice.codec, _Defaults())
    options: dict[str, str] = {}
    if choice.crf is not None:
        options[defaults.crf_option] = str(choice.crf)
    if choice.preset is not None:
        options[defaults.preset_option] = choice.preset
    options.update(choice.options)
    if choice.codec == "libx264" and _has_avx512():
        # x264's AVX-512 macroblock tree reads past its rows where the width isn't a multiple of
        # 128, so two encodings of the same pictures differ; AVX2 is as fast and doesn't.
        given = options.get("x264-params")
        options["x264-params"] = (
            f"asm=avx2,fma3,bmi2,lzcnt:{given}" if given else "asm=avx2,fma3,bmi2,lzcnt"
        )
    if choice.codec == "libx265":
        frame_threads = min(4, max(1, choice.threads // 2))
        ours = f"pools={choice.threads}:frame-threads={frame_threads}:log-level=error:open-gop=0"
        given = options.get("x265-params")
        options["x265-params"] = f"{given}:{ours}" if given else ours
    return options


def _fill(plane: VideoPlane, samples: Plane) -> None:
    """Copy samples into a plane whose lines are padded."""
    if samples.shape != (plane.height, plane.width):
        raise ValueError(
            f"a plane of {samples.shape} doesn't fit one of {(plane.height, plane.width)}"
        )
    rows = np.frombuffer(memoryview(plane), samples.dtype).reshape(plane.height, -1)
    rows[:, : plane.width] = samples


def gray_picture(format: PictureFormat, pts: int) -> Picture:
    """A picture of middle gray, for trials."""

    def flat(height: int, width: int) -> Plane:
        if format.bit_depth == 8:
            return np.full((height, width), 128, np.uint8)
        return np.full((height, width), 1 << (format.bit_depth - 1), np.uint16)

    chroma = flat(format.chroma_height, format.chroma_width)
    return Picture(pts, 1, flat(format.height, format.width), chroma, chroma)
