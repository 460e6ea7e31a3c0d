"""The ways of making a film that are timed side by side, each a command for a film and an output.

    reel = Reel(folder, width=1920, height=1080, frames=624)
    command = ffmpeg(2).command(reel.of(144), Path("out.mp4"), 144)

All encode with the same words: libx264, ENCODER_PRESET, CRF, and the same number of threads, which
ffmpeg's decoder gets, too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import imageio_ffmpeg
from speed_films import GRAIN_CODES, make_film, opening

CODEC, ENCODER_PRESET, CRF = "libx264", "medium", 18
HERE = Path(__file__).parent

Command = Callable[[Path, Path, int], list[str]]
"""(film, output, the film's frames) -> words."""


@dataclass(frozen=True)
class Way:
    """One way of making a film."""

    name: str
    command: Command
    frames: tuple[int, int] | None = None
    """Its own two lengths, where the others' would take too long."""


@dataclass
class Reel:
    """A film made once, and its openings of any length, made as they are asked for."""

    folder: Path
    width: int
    height: int
    frames: int
    bits: int = 8
    grain_codes: float = GRAIN_CODES
    _made: dict[int, Path] = field(default_factory=dict)

    @property
    def whole(self) -> Path:
        name = f"{self.width}x{self.height}-{self.bits}-{self.frames}.mp4"
        if self.frames not in self._made:
            self._made[self.frames] = make_film(
                self.folder / name,
                self.width,
                self.height,
                frames=self.frames,
                bits=self.bits,
                grain_codes=self.grain_codes,
            )
        return self._made[self.frames]

    def of(self, frames: int) -> Path:
        """The film's first `frames`."""
        if frames == self.frames:
            return self.whole
        if frames not in self._made:
            name = f"{self.width}x{self.height}-{self.bits}-{frames}.mp4"
            self._made[frames] = opening(self.whole, self.folder / name, frames=frames)
        return self._made[frames]


def ffmpeg(threads: int, codec: str = CODEC) -> Way:
    """The ffmpeg program of imageio-ffmpeg, transcoding."""
    count = str(threads)

    def command(film: Path, output: Path, frames: int) -> list[str]:
        encoder = ["-c:v", codec, "-preset", ENCODER_PRESET, "-crf", str(CRF), "-threads", count]
        program = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-threads", count]
        return [*program, "-i", str(film), "-map", "0:v", *encoder, "-y", str(output)]

    return Way("ffmpeg", command)


def vidcolor(
    preset: str,
    threads: int,
    *,
    model: str = "compact",
    weights: Path | None = None,
    codec: str = CODEC,
    more: tuple[str, ...] = (),
    like_long: bool = True,
) -> Way:
    """`vidcolor run` with a preset. like_long: short films are looked at as long ones are, so that
    frames cost the same at every length."""
    entry = [str(HERE / "like_a_long_film.py")] if like_long else ["-m", "vidcolor"]

    def command(film: Path, output: Path, frames: int) -> list[str]:
        encoder = ["--codec", codec, "--encoder-preset", ENCODER_PRESET, "--crf", str(CRF)]
        network = ["--model", model, *(["--weights", str(weights)] if weights else [])]
        machine = ["--threads", str(threads), "--device", "cpu"]
        program = [sys.executable, *entry, "run", str(film), "-o", str(output)]
        return [
            *program,
            *("--preset", preset),
            *network,
            *encoder,
            *machine,
            *more,
            "--overwrite",
        ]

    name = f"vidcolor {preset}" if model == "compact" else f"vidcolor {preset}, {model}"
    return Way(name, command)


NAIVE_FRAMES = 12, 60
"""The loop's own two lengths: it is slow, and each frame costs it the same."""


def naive(weights: Path, threads: int, reel: Reel) -> Way:
    """The plain loop of naive.py, over the beginning of the whole film."""

    def command(film: Path, output: Path, frames: int) -> list[str]:
        encoder = ["--preset", ENCODER_PRESET, "--crf", str(CRF), "--threads", str(threads)]
        program = [sys.executable, str(HERE / "naive.py"), str(reel.whole), str(output)]
        return [*program, "--weights", str(weights), "--frames", str(frames), *encoder]

    return Way("naive loop, eccv16", command, NAIVE_FRAMES)
