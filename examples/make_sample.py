"""Make a sample film from code: a short black-and-white film in the manner of an old newsreel.

    python examples/make_sample.py demo/sample.mkv

Slow pans and zooms over four freely licensed photographs that scikit-image carries in its wheel
(nothing is downloaded), turned gray, with grain and a slight flicker. A tune, subtitles, chapters,
an attachment and tags come along, so that one can see what a colorizer keeps.

    shot    the pilot      the cup        the cat        the rocket
          |-------------|------------><------------|--------------|
                       cut        dissolve         cut

The same call makes the same film.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 360
FRAMES_PER_SECOND = 24
SAMPLES_PER_SECOND = 44100
MILLISECOND = Fraction(1, 1000)

OVERSAMPLING = 3
"""Photographs are enlarged once, smoothly; a shot then reads between pixels so fine that the
warp's own steps of 1/32 of a pixel can't be seen."""

GRAIN_CODES = 3.5
"""Standard deviation of the grain at middle gray, in 8-bit codes."""

FLICKER = 0.012
"""Standard deviation of a frame's exposure, as a factor."""

Gray = NDArray[np.float32]
"""(rows, columns) of Y', 0 to 255."""


@dataclass(frozen=True)
class View:
    """What the camera sees of a photograph; the frame's shape gives its height."""

    x: float
    y: float
    """The centre, as fractions of the photograph's width and height."""

    width: float
    """The view's width as a fraction of the photograph's."""


@dataclass(frozen=True)
class Shot:
    """One photograph and the camera's way over it."""

    photograph: str
    """Name of a function of skimage.data."""

    start: View
    end: View
    title: str
    caption: str
    dissolves: bool = False
    """Whether the shot before melts into this one; otherwise it is cut off."""


SHOTS = (
    Shot(
        "astronaut",
        View(0.46, 0.27, 0.80),
        View(0.50, 0.40, 0.98),
        "The pilot",
        "She flew in an orange suit.",
    ),
    Shot(
        "coffee",
        View(0.44, 0.47, 0.76),
        View(0.51, 0.50, 0.96),
        "The cup",
        "Her coffee came in a red cup.",
    ),
    Shot(
        "chelsea",
        View(0.51, 0.53, 0.95),
        View(0.50, 0.44, 0.80),
        "The cat",
        "At home a ginger cat was waiting.",
        dissolves=True,
    ),
    Shot(
        "rocket",
        View(0.50, 0.62, 0.80),
        View(0.50, 0.56, 0.98),
        "The rocket",
        "And the evening sky was blue.",
    ),
)

CREDITS = """Photographs of this film, as carried by scikit-image:
astronaut: Eileen Collins, by NASA, public domain.
coffee: by Rachel Michetti, courtesy of Pikolo Espresso Bar, CC0.
chelsea: by Stefan van der Walt, CC0.
rocket: by SpaceX, public domain.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a short black-and-white sample film.")
    parser.add_argument("film", type=Path, help="the film to write, such as demo/sample.mkv")
    film: Path = parser.parse_args().film
    frames = make_sample(film)
    print(f"{film}: {frames} frames, {frames / FRAMES_PER_SECOND:.1f} s")


def make_sample(film: Path, *, shot_frames: int = 105, dissolve_frames: int = 24) -> int:
    """Write the film (Matroska) and return how many frames it has.

    Each shot lasts `shot_frames`; a dissolve overlaps two shots by `dissolve_frames`.
    """
    starts = shot_starts(shot_frames, dissolve_frames)
    frames = starts[-1] + shot_frames
    film.parent.mkdir(parents=True, exist_ok=True)
    unfinished = film.with_name(film.name + ".unfinished")
    # Without bitexact Matroska gives its tracks random numbers.
    options = {"fflags": "+bitexact"}
    with av.open(str(unfinished), "w", format="matroska", options=options) as container:
        video, audio = add_picture(container), add_sound(container)
        add_extras(container, starts, frames)
        mux_captions(container, starts, shot_frames)
        mux_sound(container, audio, tune(frames / FRAMES_PER_SECOND))
        for n, gray in enumerate(film_frames(starts, shot_frames)):
            container.mux(video.encode(gray_frame(gray, n)))
        container.mux(video.encode(None))
    unfinished.replace(film)
    return frames


def shot_starts(shot_frames: int, dissolve_frames: int) -> list[int]:
    """The first frame of each shot; a dissolving one begins before its predecessor ends."""
    starts: list[int] = []
    for shot in SHOTS:
        previous_end = starts[-1] + shot_frames if starts else 0
        starts.append(previous_end - (dissolve_frames if shot.dissolves else 0))
    return starts


# The picture


def film_frames(starts: list[int], shot_frames: int) -> Iterator[Gray]:
    """Every frame (HEIGHT, WIDTH), 0 to 255, dissolves and the marks of film upon it."""
    photographs = [load_photograph(shot.photograph) for shot in SHOTS]
    for n in range(starts[-1] + shot_frames):
        picture: Gray | None = None
        for start, shot, photograph in zip(starts, SHOTS, photographs, strict=True):
            if not start <= n < start + shot_frames:
                continue
            view = view_between(shot.start, shot.end, (n - start) / (shot_frames - 1))
            seen = look(photograph, view)
            if picture is None:
                picture, overlap_start = seen, start
            else:
                # Halfway steps keep both ends of a dissolve off the pure shots beside it.
                share = (n - start + 0.5) / (overlap_start + shot_frames - start)
                picture = picture + np.float32(share) * (seen - picture)
        assert picture is not None
        yield age(picture, n)


def load_photograph(name: str) -> Gray:
    """The photograph's luma, enlarged by OVERSAMPLING."""
    rgb: NDArray[np.uint8] = getattr(skimage.data, name)()
    luma = cv2.cvtColor(rgb.astype(np.float32), cv2.COLOR_RGB2GRAY)
    enlarged = cv2.resize(
        luma, None, fx=OVERSAMPLING, fy=OVERSAMPLING, interpolation=cv2.INTER_LANCZOS4
    )
    return np.asarray(enlarged, dtype=np.float32).clip(0, 255)


def view_between(start: View, end: View, way: float) -> View:
    """The view after `way` (0 to 1) of a move that starts and stops softly."""
    eased = way * way * (3 - 2 * way)
    # Zooming looks even when the width changes by equal factors, not by equal steps.
    width = start.width * (end.width / start.width) ** eased
    # Tied to the zoom, the centre moves along a straight line on the screen.
    if math.isclose(start.width, end.width):
        turned = eased
    else:
        turned = (width - start.width) / (end.width - start.width)
    return View(start.x + (end.x - start.x) * turned, start.y + (end.y - start.y) * turned, width)


def look(photograph: Gray, view: View) -> Gray:
    """The view (HEIGHT, WIDTH) of an enlarged photograph, read between its pixels."""
    rows, columns = photograph.shape
    scale = view.width * columns / WIDTH
    if scale > OVERSAMPLING:
        raise ValueError(f"a view {scale / OVERSAMPLING:.2f} pixels to the frame's pixel aliases")
    left = view.x * columns - scale * WIDTH / 2
    top = view.y * rows - scale * HEIGHT / 2
    if min(left, top) < 0 or left + scale * WIDTH > columns or top + scale * HEIGHT > rows:
        raise ValueError(f"{view} looks past the photograph's edge")
    # Pixel centres lie at halves on both sides.
    half = scale / 2 - 0.5
    matrix = np.array([[scale, 0, left + half], [0, scale, top + half]])
    seen = cv2.warpAffine(
        photograph,
        matrix,
        (WIDTH, HEIGHT),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(seen, dtype=np.float32)


def age(picture: Gray, n: int) -> Gray:
    """The frame as an old film shows it: a little grain, a little flicker, from its number."""
    random = np.random.default_rng([1895, n])
    exposure = np.float32(1 + FLICKER * random.standard_normal())
    grain = cv2.GaussianBlur(random.standard_normal(picture.shape, np.float32), (0, 0), 0.7)
    # Grain is strongest in middle gray and goes away in clear and in black film.
    brightness = (picture / 255).clip(0, 1)
    strength = GRAIN_CODES * (0.3 + 2.8 * brightness * (1 - brightness))
    aged = picture * exposure + grain * (strength / grain.std())
    return np.asarray(aged, dtype=np.float32)


def gray_frame(picture: Gray, n: int) -> av.VideoFrame:
    """A 4:2:0 frame of limited range whose chroma is exactly neutral."""
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    luma = (16 + picture * (219 / 255)).round().clip(16, 235).astype(np.uint8)
    for plane, values in zip(frame.planes, (luma, np.uint8(128), np.uint8(128)), strict=True):
        lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        lines[: plane.height, : plane.width] = values
    frame.pts = n
    frame.time_base = Fraction(1, FRAMES_PER_SECOND)
    return frame


# The sound

TUNE = (
    # (MIDI note, beats); 0 is a rest.
    *((67, 1), (72, 1), (76, 1), (79, 2), (76, 1), (77, 1), (74, 1), (71, 1), (72, 3)),
    *((69, 1), (72, 1), (77, 1), (76, 2), (72, 1), (74, 1), (67, 1), (71, 1), (72, 3)),
)
BASS = (48, 55, 53, 48, 53, 48, 55, 48)
"""The lowest note of each bar of three beats."""

BEATS_PER_SECOND = 2.4


def tune(seconds: float) -> NDArray[np.float32]:
    """A small waltz (samples,), within -1 to 1, repeated for as long as the film is."""
    samples = np.zeros(round(seconds * SAMPLES_PER_SECOND), np.float32)
    for note, beat, beats, loudness in score(seconds * BEATS_PER_SECOND):
        first = round(beat / BEATS_PER_SECOND * SAMPLES_PER_SECOND)
        sound = pluck(note, (beats + 1) / BEATS_PER_SECOND) * loudness
        sound = sound[: len(samples) - first]
        samples[first : first + len(sound)] += sound
    faded = min(len(samples), SAMPLES_PER_SECOND // 2)
    samples[-faded:] *= np.linspace(1, 0, faded, dtype=np.float32)
    return samples


def score(beats_in_film: float) -> Iterator[tuple[int, float, float, float]]:
    """(MIDI note, beat it starts at, beats it lasts, loudness) for melody, bass and chords."""
    beat, n = 0.0, 0
    while beat < beats_in_film:
        note, beats = TUNE[n % len(TUNE)]
        yield note, beat, beats, 0.28
        beat, n = beat + beats, n + 1
    for bar in range(math.ceil(beats_in_film / 3)):
        bass = BASS[bar % len(BASS)]
        for step, (note, loudness) in enumerate(
            ((bass, 0.22), (bass + 12, 0.09), (bass + 12, 0.09))
        ):
            if bar * 3 + step < beats_in_film:
                yield note, bar * 3 + step, 1, loudness


def pluck(note: int, seconds: float) -> NDArray[np.float32]:
    """A plucked note (samples,), within -1 to 1: a few sine waves, the higher the shorter."""
    time = np.arange(round(seconds * SAMPLES_PER_SECOND)) / SAMPLES_PER_SECOND
    frequency = 440 * 2 ** ((note - 69) / 12)
    sound = np.zeros_like(time)
    for overtone, loudness in ((1, 0.7), (2, 0.2), (3, 0.1)):
        decay = np.exp(-time * (2.5 + overtone))
        sound += loudness * decay * np.sin(2 * np.pi * frequency * overtone * time)
    # A soft start and end, or one hears clicks.
    edge = np.minimum(time, seconds - time) / 0.004
    return np.asarray(sound * edge.clip(0, 1), dtype=np.float32)


# The file


def add_picture(container: OutputContainer) -> VideoStream:
    """A stream of x264, tagged for what it holds; one thread, so that its bytes never vary."""
    options = {"crf": "20", "preset": "veryfast", "threads": "1"}
    video = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=options)
    video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    video.codec_context.gop_size = 2 * FRAMES_PER_SECOND
    context = video.codec_context
    # BT.601's matrix is the one cv2 makes gray with; 6 is SMPTE 170M, 1 the limited range.
    context.colorspace = context.color_primaries = context.color_trc = 6
    context.color_range = 1
    video.metadata["title"] = "Picture"
    return video


def add_sound(container: OutputContainer) -> AudioStream:
    audio = container.add_stream("aac", rate=SAMPLES_PER_SECOND, layout="mono")
    audio.codec_context.bit_rate = 96_000
    audio.metadata.update(title="A small waltz", language="eng")
    return audio


def add_extras(container: OutputContainer, starts: list[int], frames: int) -> None:
    """Title, chapters by shot, and the photographs' credits as an attached file."""
    container.metadata.update(title="The pilot's day off", comment="Made from code by vidcolor.")
    tick = Fraction(1, FRAMES_PER_SECOND)
    ends = [*starts[1:], frames]
    container.set_chapters(
        [
            {"id": n, "start": start, "end": end, "time_base": tick, "metadata": {"title": title}}
            for n, (start, end, title) in enumerate(
                zip(starts, ends, [shot.title for shot in SHOTS], strict=True), start=1
            )
        ]
    )
    container.add_attachment("credits.txt", "text/plain", CREDITS.encode())


def mux_captions(container: OutputContainer, starts: list[int], shot_frames: int) -> None:
    """One line of subtitle for each shot, from soon after its start to before its end."""
    captions = container.add_mux_stream("srt")
    captions.metadata.update(title="Captions", language="eng")
    for start, shot in zip(starts, SHOTS, strict=True):
        packet = av.Packet(shot.caption.encode())
        packet.stream = captions
        packet.time_base = MILLISECOND
        packet.pts = packet.dts = round((start + shot_frames * 0.25) / FRAMES_PER_SECOND * 1000)
        packet.duration = round(shot_frames * 0.6 / FRAMES_PER_SECOND * 1000)
        container.mux(packet)


def mux_sound(container: OutputContainer, audio: AudioStream, sound: NDArray[np.float32]) -> None:
    frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
    frame.sample_rate = SAMPLES_PER_SECOND
    frame.pts = 0
    frame.time_base = Fraction(1, SAMPLES_PER_SECOND)
    container.mux(audio.encode(frame))
    container.mux(audio.encode(None))


if __name__ == "__main__":
    main()
