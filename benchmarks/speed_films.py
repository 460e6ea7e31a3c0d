"""Source films for timing, made in code: photographs in slow motion, cuts, mild grain, no colour.

    film = make_film(Path("long.mp4"), 1920, 1080, frames=624)
    short = opening(film, Path("short.mp4"), frames=144)   # its first 144, packets and all

How long an encoder takes hangs on what it is given. Noise that it drowns in would make anything
beside it look cheap, a flat picture would make its whole time small; a film is neither. Here each
shot is a photograph that scikit-image carries in its wheel, enlarged to the film's size, with a
fine texture that moves with it, panned and zoomed slowly, a cut every SHOT_SECONDS, and over it
all film grain of GRAIN_CODES. The same call makes the same pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data
from av.video.stream import VideoStream
from numpy.typing import NDArray

RATE = 24
SHOT_SECONDS = 4
GOP_FRAMES = 2 * RATE
"""Every so many frames the film has a keyframe, which nothing before it leans on."""

GRAIN_CODES = 1.7
"""Standard deviation of the grain, in codes of 8 bits."""

TEXTURE_CODES = 2.5
"""Standard deviation of the fine detail that a photograph enlarged lacks, in codes of 8 bits."""

PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket", "camera")
"""Names of functions of skimage.data whose pictures are in its wheel."""

MARGIN = 1.12
"""How much wider than the frame a shot's picture is: the room that the camera moves in."""

SOURCE_WORDS = (
    f"photographs in slow motion, a cut every {SHOT_SECONDS} s, grain of {GRAIN_CODES} codes, "
    f"gray, {RATE} fps, H.264"
)

Gray = NDArray[np.float32]
"""(rows, columns) of Y', codes of 8 bits."""


def make_film(
    path: Path,
    width: int,
    height: int,
    *,
    frames: int,
    bits: int = 8,
    grain_codes: float = GRAIN_CODES,
    seed: int = 1895,
) -> Path:
    """Write the film: H.264, 4:2:0 with neutral chroma, limited range, `bits` 8 or 10."""
    layout = "yuv420p" if bits == 8 else "yuv420p10le"
    with av.open(str(path), "w") as out:
        options = {"preset": "veryfast", "crf": "17", "sc_threshold": "0"}
        video = out.add_stream("libx264", rate=RATE, options=options)
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = width, height, layout
        context = video.codec_context
        context.time_base, context.gop_size = Fraction(1, RATE), GOP_FRAMES
        # 1 is BT.709, of which this size of picture would be taken to be anyway.
        context.colorspace = context.color_primaries = context.color_trc = 1
        context.color_range = 1
        for n, picture in enumerate(pictures(width, height, frames, seed, grain_codes)):
            out.mux(video.encode(gray_frame(picture, bits, n)))
        out.mux(video.encode(None))
    return path


def opening(film: Path, path: Path, *, frames: int) -> Path:
    """Write the film's first `frames`, a multiple of GOP_FRAMES, without coding them again."""
    if frames % GOP_FRAMES:
        raise ValueError(f"{frames} frames don't end before a keyframe, one in {GOP_FRAMES}")
    with av.open(str(film)) as source, av.open(str(path), "w") as out:
        picture = source.streams.video[0]
        stream = out.add_stream_from_template(picture)
        for packet in islice(source.demux(picture), frames):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    return path


def repeated(clip: Path, film: Path, seconds: int) -> Path:
    """Copy a clip's picture over and over, packet by packet, until `film` lasts `seconds`."""
    with av.open(str(clip)) as source, av.open(str(film), "w") as out:
        picture = source.streams.video[0]
        packets = [packet for packet in source.demux(picture) if packet.size]
        assert picture.time_base is not None
        span = round(len(packets) / (picture.average_rate or Fraction(1)) / picture.time_base)
        stream = out.add_stream_from_template(picture)
        assert isinstance(stream, VideoStream)
        marks = [(packet.pts or 0, packet.dts or 0) for packet in packets]
        for turn in range(-(-round(seconds / picture.time_base) // span)):
            for packet, (pts, dts) in zip(packets, marks, strict=True):
                packet.stream, packet.time_base = stream, picture.time_base
                packet.pts, packet.dts = pts + turn * span, dts + turn * span
                out.mux(packet)
    return film


def pictures(
    width: int, height: int, frames: int, seed: int, grain_codes: float = GRAIN_CODES
) -> Iterator[Gray]:
    """Every frame (height, width), codes of 8 bits, within 16 to 235."""
    shot_frames = SHOT_SECONDS * RATE
    bank = [plane * np.float32(grain_codes) for plane in grain_bank(width, height, seed)]
    for n in range(frames):
        shot, step = divmod(n, shot_frames)
        if step == 0:
            still = still_picture(shot, width, height, seed)
        seen = look(still, width, height, shot, step / (shot_frames - 1))
        yield np.clip(seen + grain(bank, width, height, seed, n), 16, 235)


def still_picture(shot: int, width: int, height: int, seed: int) -> Gray:
    """A shot's photograph (MARGIN times the frame's size), enlarged, with fine texture of its own
    where it isn't flat."""
    rgb: NDArray[np.uint8] = getattr(skimage.data, PHOTOGRAPHS[shot % len(PHOTOGRAPHS)])()
    luma = rgb if rgb.ndim == 2 else cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    size = (round(width * MARGIN), round(height * MARGIN))
    scale = max(size[0] / luma.shape[1], size[1] / luma.shape[0])
    large = cv2.resize(
        luma.astype(np.float32), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC
    )
    top, left = (len(large) - size[1]) // 2, (large.shape[1] - size[0]) // 2
    cropped = np.ascontiguousarray(large[top : top + size[1], left : left + size[0]])
    texture = fine_texture(cropped.shape, np.random.default_rng([seed, 1, shot]))
    rough = cv2.GaussianBlur(np.abs(cropped - cv2.GaussianBlur(cropped, (0, 0), 9)), (0, 0), 9)
    share = (rough / 8).clip(0.2, 1.5)
    return np.asarray(16 + cropped * np.float32(219 / 255) + texture * share, np.float32)


def fine_texture(shape: tuple[int, ...], rng: np.random.Generator) -> Gray:
    """Detail of one, two and four pixels; standard deviation TEXTURE_CODES."""
    total = np.zeros(shape, np.float32)
    for blur in (0.8, 1.6, 3.2):
        octave = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), blur)
        total += octave / octave.std()
    return np.asarray(total * np.float32(TEXTURE_CODES / total.std()), np.float32)


def look(still: Gray, width: int, height: int, shot: int, way: float) -> Gray:
    """The camera's view (height, width) after `way` (0 to 1) of a slow pan and zoom."""
    rows, columns = still.shape
    zoom = 1 + (MARGIN - 1) * (0.9 - 0.5 * way if shot % 2 else 0.4 + 0.5 * way)
    across = (columns - zoom * width) * (way if shot % 3 else 1 - way)
    down = (rows - zoom * height) * (0.3 + 0.4 * way)
    matrix = np.array([[zoom, 0, across], [0, zoom, down]])
    seen = cv2.warpAffine(
        still,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(seen, np.float32)


GRAIN_ROOM = 256
"""How much larger than the frame the planes are that grain is cut from."""


def grain_bank(width: int, height: int, seed: int, planes: int = 3) -> list[Gray]:
    """Planes of grain, a little wider than a pixel, standard deviation 1; a frame's is cut from one
    of them, since drawing it anew takes longer than encoding."""
    rng = np.random.default_rng([seed, 2])
    shape = (height + GRAIN_ROOM, width + GRAIN_ROOM)
    bank = []
    for _ in range(planes):
        plane = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), 0.6)
        bank.append(np.asarray(plane / plane.std(), np.float32))
    return bank


def grain(bank: list[Gray], width: int, height: int, seed: int, n: int) -> Gray:
    """Frame n's grain (height, width), from somewhere else than its neighbours'."""
    rng = np.random.default_rng([seed, 3, n])
    plane = bank[int(rng.integers(len(bank)))]
    down, across = rng.integers(GRAIN_ROOM, size=2)
    cut = plane[down : down + height, across : across + width]
    return cut[:, ::-1] if rng.integers(2) else cut


def gray_frame(picture: Gray, bits: int, n: int) -> av.VideoFrame:
    """A 4:2:0 frame whose chroma is exactly neutral."""
    height, width = picture.shape
    frame = av.VideoFrame(width, height, "yuv420p" if bits == 8 else "yuv420p10le")
    kind = np.uint8 if bits == 8 else np.uint16
    luma = (picture * np.float32(1 << (bits - 8))).round().astype(kind)
    neutral = kind(1 << (bits - 1))
    for plane, values in zip(frame.planes, (luma, neutral, neutral), strict=True):
        lines = np.frombuffer(memoryview(plane), kind).reshape(plane.height, -1)
        lines[:, : plane.width] = values
    frame.pts, frame.time_base = n, Fraction(1, RATE)
    return frame
