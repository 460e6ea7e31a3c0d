"""The least that colouring a film can cost: decoding and encoding it, and what each of them takes.

    python benchmarks/limit.py
    python benchmarks/limit.py --into docs/performance.md

Decoding alone, transcoding as it is, encoding the same pictures raw, gray and in colour (chroma
that isn't flat costs an encoder time, which any colorizer pays), vidcolor's own reader and writer
without colour, and `vidcolor run`: all in interleaved rounds, as slopes between two lengths. Needs
2.4 GB of room for the raw pictures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
from pages import show
from speed import Speed, lengths_words, measure, table_of_speeds
from speed_films import RATE
from speed_plots import draw_bars
from speed_ways import CODEC, CRF, ENCODER_PRESET, HERE, Reel, Way, ffmpeg, vidcolor
from timing import cost_of, over

SIZE, LENGTHS = (1920, 1080), (96, 384)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument("--threads", type=int, default=2, help="of every program (default 2)")
    parser.add_argument("--into", type=Path, help="a page whose table and plot are made anew")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        reel = Reel(Path(scratch), *SIZE, LENGTHS[1])
        ways = ways_of(raw_pictures(reel, options.threads), options.threads)
        speeds = measure(ways, reel, LENGTHS, options.rounds)
    words = lengths_words(*SIZE, LENGTHS, options.rounds)
    show("limit", [*table_of_speeds(speeds), "", words], options.into)
    if options.into is not None:
        draw(speeds, options.into.parent / "pictures" / "performance-limit.png")
    return 0


def ways_of(raw: Raw, threads: int) -> list[Way]:
    return [
        ffmpeg(threads),
        decoder(threads),
        encoder("ffmpeg, encoding alone, gray", raw.gray, threads),
        encoder("ffmpeg, encoding alone, in vidcolor's colours", raw.coloured, threads),
        reader_and_writer(threads),
        vidcolor("balanced", threads),
        vidcolor("fast", threads),
    ]


@dataclass(frozen=True)
class Raw:
    """A film's pictures, one behind the other, 4:2:0 with 8 bits."""

    gray: Path
    coloured: Path


def raw_pictures(reel: Reel, threads: int) -> Raw:
    """The film as it is, and as vidcolor colours it, which changes the chroma alone."""
    made = reel.folder / "coloured.mp4"
    words = vidcolor("balanced", threads).command(reel.whole, made, reel.frames)
    # Of an option given twice the last counts; with 0 libx264 loses nothing.
    cost_of([*words, "--crf", "0", "--encoder-preset", "ultrafast"])
    raw = Raw(reel.folder / "gray.yuv", reel.folder / "coloured.yuv")
    for film, pictures in ((reel.whole, raw.gray), (made, raw.coloured)):
        cost_of([*PROGRAM, "-i", str(film), *RAW, "-y", str(pictures)])
    made.unlink()
    return raw


PROGRAM = (imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error")
RAW = ("-f", "rawvideo", "-pix_fmt", "yuv420p")


def decoder(threads: int) -> Way:
    """The ffmpeg program, throwing away what it decodes."""

    def command(film: Path, output: Path, frames: int) -> list[str]:
        return [*PROGRAM, "-threads", str(threads), "-i", str(film), "-f", "null", "-"]

    return Way("ffmpeg, decoding alone", command)


def encoder(name: str, pictures: Path, threads: int) -> Way:
    """The ffmpeg program, encoding pictures that need no decoding."""

    def command(film: Path, output: Path, frames: int) -> list[str]:
        size = ("-s", "x".join(map(str, SIZE)), "-r", str(RATE), "-i", str(pictures))
        words = ("-preset", ENCODER_PRESET, "-crf", str(CRF), "-threads", str(threads))
        length = ("-frames:v", str(frames), "-c:v", CODEC)
        return [*PROGRAM, *RAW, *size, *length, *words, "-y", str(output)]

    return Way(name, command)


def reader_and_writer(threads: int) -> Way:
    """plain_loop.py."""

    def command(film: Path, output: Path, frames: int) -> list[str]:
        encoder = ["--preset", ENCODER_PRESET, "--crf", str(CRF), "--threads", str(threads)]
        program = [sys.executable, str(HERE / "plain_loop.py"), str(film)]
        return [*program, str(output.with_suffix(".mkv")), *encoder]

    return Way("vidcolor's reader and writer, no colour", command)


def draw(speeds: dict[str, Speed], picture: Path) -> None:
    base = speeds["ffmpeg"]
    bars = {name: over(speed.cpu, base.cpu) for name, speed in speeds.items()}
    draw_bars(picture, bars, "CPU time a frame, of ffmpeg's transcoding, 1080p", mark=1.0)


if __name__ == "__main__":
    sys.exit(main())
