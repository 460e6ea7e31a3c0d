"""Tiny films made in code, the same bytes every time, for everyone's tests.

    from tests.clips import luma, make_clip

    film = make_clip(tmp_path / "film.mkv", frames=48, cuts=(20,), audio=True)
    wanted = luma(7, cuts=(20,))  # the Y plane that went into frame 7

The picture is soft noise that drifts two samples to the right and one down per frame, under a
brighter disc that moves against it; each cut brings another texture and another brightness.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import av
import numpy as np
from av.container.output import OutputContainer
from av.subtitles.stream import SubtitleStream
from av.video.plane import VideoPlane
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vidcolor.frames import Plane

if TYPE_CHECKING:
    from av.container.core import Chapter as AvChapter

Chapter = tuple[float, float, str]
"""Start and end in seconds, and title."""

_ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""

_FULL = 2
"""AVCOL_RANGE_JPEG."""

_BITEXACT = 0x400
"""AVFMT_FLAG_BITEXACT: no random identifiers, no dates, no versions."""


def make_clip(
    path: Path,
    *,
    frames: int = 48,
    width: int = 64,
    height: int = 48,
    rate: Fraction = Fraction(24),
    pixel_format: str = "yuv420p",
    codec: str | None = None,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    audio: bool = False,
    subtitle: bool = False,
    chapters: Sequence[Chapter] = (),
    cuts: Sequence[int] = (),
    gop: int = 12,
    seed: int = 0,
    color: bool | range = False,
    title: str | None = None,
    rotation: int = 0,
    sample_aspect: Fraction | None = None,
    full_range: bool = False,
    interlaced: Literal["top", "bottom"] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a clip to `path`, its container told by the suffix, and return `path`.

    `codec` is libx264 where it takes the pixel format, else ffv1. `pts` are frame times in ticks of
    `time_base` (milliseconds unless given). `audio` adds a 440 Hz sine (English, "Sine"),
    `subtitle` two lines of text (German, "Untertitel"). `color` gives the chroma planes, all or
    those of a range of frames, real colour; without it they are neutral. `rotation` is what a
    player turns the picture, degrees clockwise. `interlaced` takes every frame's lines from two
    moments (8 bits, 4:2:0), the named ones first, and flags nothing. `options` go to the video
    encoder.
    """
    codec = codec or ("libx264" if pixel_format in _X264_FORMATS else "ffv1")
    with av.open(path, "w") as out:
        out.flags |= _BITEXACT
        if title is not None:
            out.metadata["title"] = title
        video = out.add_stream(codec, rate=rate, options=_encoder_options(codec, gop, options))
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = width, height, pixel_format
        ticks = time_base or (Fraction(1, 1000) if pts is not None else 1 / rate)
        video.codec_context.time_base = ticks
        video.codec_context.gop_size = gop
        video.codec_context.thread_count = 1
        if full_range:
            video.codec_context.color_range = _FULL
        if sample_aspect is not None:
            video.codec_context.sample_aspect_ratio = sample_aspect
        if rotation:
            video.set_display_rotation(-rotation)
        times = list(pts) if pts is not None else list(range(frames))
        last = max(round(1 / rate / ticks), 1)
        seconds = float((times[-1] - times[0] + last) * ticks) if times else 0.0
        sine = _add_sine(out, path) if audio else None
        lines = _add_text(out, path) if subtitle else None
        if chapters:
            out.set_chapters([_chapter(i, *chapter) for i, chapter in enumerate(chapters)])
        for index, time in enumerate(times):
            if interlaced:
                frame = woven(index, width, height, interlaced, cuts=cuts, seed=seed)
            else:
                colored = index in color if isinstance(color, range) else color
                frame = picture(
                    index, width, height, pixel_format, cuts=cuts, seed=seed, color=colored
                )
            frame.pts, frame.time_base = time, ticks
            frame.duration = times[index + 1] - time if index + 1 < len(times) else last
            if full_range:
                frame.color_range = _FULL
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if sine is not None:
            _write_sine(out, sine, seconds)
        if lines is not None:
            _write_text(out, lines, seconds)
    return path


def luma(
    index: int,
    width: int = 64,
    height: int = 48,
    *,
    bit_depth: int = 8,
    cuts: Sequence[int] = (),
    seed: int = 0,
) -> Plane:
    """The Y plane of frame `index`: (height, width), uint8 or low-aligned uint16, limited range."""
    shot = sum(index >= cut for cut in cuts)
    random = np.random.default_rng([seed, shot])
    level, contrast = 0.35 + 0.3 * random.random(), 0.22
    texture = _soft_noise(random, height + 64, width + 64)
    row, column = (index * 1) % 64, (index * 2) % 64
    plane = level + contrast * np.roll(texture, (row, column), (0, 1))[:height, :width]
    rows, columns = np.mgrid[:height, :width]
    radius = max(min(width, height) / 5, 1)
    centre = (width - 1.5 * index) % (width + 2 * radius) - radius
    distance = np.hypot(rows - height / 2, columns - centre)
    plane = plane + 0.25 * np.clip((radius - distance) / 2 + 0.5, 0, 1)
    step = 1 << (bit_depth - 8)
    codes = np.rint((16 + 219 * np.clip(plane, 0, 1)) * step)
    if bit_depth == 8:
        return np.asarray(codes, np.uint8)
    return np.asarray(codes, np.uint16)


def picture(
    index: int,
    width: int = 64,
    height: int = 48,
    pixel_format: str = "yuv420p",
    *,
    cuts: Sequence[int] = (),
    seed: int = 0,
    color: bool = False,
) -> av.VideoFrame:
    """Frame `index` as PyAV's frame; RGB formats hold the luma in every channel."""
    frame = av.VideoFrame(width, height, pixel_format)
    described = frame.format
    depth = max(part.bits for part in described.components)
    if described.is_rgb or described.has_palette:
        gray = luma(index, width, height, cuts=cuts, seed=seed)
        rgb = np.repeat(gray[:, :, None], 3, axis=2).astype(np.uint8)
        if color:
            rgb[..., 0] = np.minimum(rgb[..., 0].astype(np.int32) + 60, 255).astype(np.uint8)
        return av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pixel_format)
    y = luma(index, width, height, bit_depth=depth, cuts=cuts, seed=seed)
    write_plane(frame.planes[0], y)
    for number, plane in enumerate(frame.planes[1:], start=1):
        shape, kind = (plane.height, plane.width), y.dtype
        part = np.full(shape, 128 << (depth - 8), kind)
        if number == 3:
            part[:] = (1 << depth) - 1
        elif color:
            part += _tint(number, shape, index, depth).astype(kind)
        write_plane(plane, part)
    return frame


def woven(
    index: int,
    width: int,
    height: int,
    first: Literal["top", "bottom"],
    *,
    cuts: Sequence[int] = (),
    seed: int = 0,
) -> av.VideoFrame:
    """Frame `index` of an interlaced film: half its lines from the moment 2 * index of `luma`, the
    others from the next. Cuts count frames."""
    frame = picture(index, width, height)
    moments = [2 * cut for cut in cuts]
    y, later = (luma(2 * index + n, width, height, cuts=moments, seed=seed) for n in (0, 1))
    lines = slice(1 if first == "top" else 0, None, 2)
    y[lines] = later[lines]
    write_plane(frame.planes[0], y)
    return frame


def write_plane(plane: VideoPlane, samples: NDArray[np.generic]) -> None:
    """Copy a (rows, columns) array into a plane whose lines are padded."""
    rows = np.frombuffer(memoryview(plane), samples.dtype).reshape(plane.height, -1)
    rows[:, : samples.shape[1]] = samples
    rows[:, samples.shape[1] :] = 0


def _tint(number: int, shape: tuple[int, int], index: int, depth: int) -> NDArray[np.float64]:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    wave = np.sin(rows / 5 + number) + np.cos((columns - index) / 7 * number)
    return np.asarray(np.rint((20 + 15 * wave) * (1 << (depth - 8))))


def _soft_noise(random: np.random.Generator, height: int, width: int) -> NDArray[np.float64]:
    """Noise of several sizes in -1..1 that wraps around, smooth enough for flow."""
    rows = np.minimum(np.arange(height), height - np.arange(height))[:, None] / height
    columns = np.minimum(np.arange(width), width - np.arange(width))[None, :] / width
    frequency = np.hypot(rows, columns)
    spectrum = np.fft.fft2(random.standard_normal((height, width))) * np.exp(-frequency * 12)
    noise = np.real(np.fft.ifft2(spectrum))
    return np.asarray(np.clip(noise / (2 * noise.std()), -1, 1))


def _encoder_options(codec: str, gop: int, options: dict[str, str] | None) -> dict[str, str] | None:
    defaults = {
        # Without the macroblock tree, whose AVX-512 code isn't the same every time.
        "libx264": {
            "preset": "veryfast",
            "crf": "20",
            "bf": "3",
            "sc_threshold": "0",
            "x264-params": "no-mbtree=1",
        },
        "libx265": {"preset": "ultrafast", "x265-params": f"log-level=none:keyint={gop}"},
        "libvpx-vp9": {"cpu-used": "8", "crf": "32"},
    }
    return {**defaults.get(codec, {}), **(options or {})} or None


def _chapter(number: int, start: float, end: float, title: str) -> AvChapter:
    base = Fraction(1, 1000)
    return {
        "id": number + 1,
        "start": round(start / base),
        "end": round(end / base),
        "time_base": base,
        "metadata": {"title": title},
    }


def _add_sine(out: OutputContainer, path: Path) -> av.AudioStream:
    codec = {".webm": "libopus", ".avi": "pcm_s16le", ".vob": "ac3"}.get(path.suffix, "aac")
    stream = out.add_stream(codec, rate=48000)
    assert isinstance(stream, av.AudioStream)
    stream.layout = "mono"
    stream.metadata.update(language="eng", title="Sine")
    return stream


def _write_sine(out: OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    count = round(seconds * 48000)
    wave = np.rint(9000 * np.sin(np.arange(count) * (2 * np.pi * 440 / 48000))).astype(np.int16)
    for start in range(0, count, 960):
        chunk = wave[None, start : start + 960]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(chunk), "s16", "mono")
        frame.sample_rate, frame.pts = 48000, start
        frame.time_base = Fraction(1, 48000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def _add_text(out: OutputContainer, path: Path) -> SubtitleStream:
    codec = {".mp4": "mov_text", ".mov": "mov_text", ".webm": "webvtt"}.get(path.suffix, "subrip")
    stream = out.add_stream(codec)
    assert isinstance(stream, SubtitleStream)
    stream.codec_context.subtitle_header = _ASS_HEADER
    stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
    stream.metadata.update(language="ger", title="Untertitel")
    return stream


def _write_text(out: OutputContainer, stream: SubtitleStream, seconds: float) -> None:
    for number, text in enumerate((b"Guten Tag.", b"Auf Wiedersehen.")):
        payload = struct.pack(">H", len(text)) + text if stream.name == "mov_text" else text
        packet = av.Packet(payload)
        packet.stream = stream
        packet.time_base = Fraction(1, 1000)
        packet.pts = packet.dts = round(seconds * 1000 * (0.1 + 0.4 * number))
        packet.duration = round(seconds * 300)
        packet.is_keyframe = True
        out.mux(packet)


_X264_FORMATS = frozenset(
    f"yuv{sampling}p{depth}" for sampling in (420, 422, 444) for depth in ("", "10le")
) | {"gray", "gray10le", "yuvj420p", "nv12"}
