"""The least that colouring a film can cost: decoding and encoding it, and what each of them takes.

    python benchmarks/limit.py
    python benchmarks/limit.py --into docs/performance.md

Decoding alone, transcoding as it is, transcoding the same film in colour (chroma that isn't flat
costs an encoder time, which any colorizer pays), vidcolor's own reader and writer without colour,
and `vidcolor run`: all in interleaved rounds, as slopes between two lengths.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import imageio_ffmpeg
from pages import show
from speed import Speed, lengths_words, measure, table_of_speeds
from speed_plots import draw_bars
from speed_ways import CRF, ENCODER_PRESET, HERE, Reel, Way, ffmpeg, vidcolor
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
        coloured = in_colour(reel, options.threads)
        speeds = measure(ways_of(reel, coloured, options.threads), reel, LENGTHS, options.rounds)
    words = lengths_words(*SIZE, LENGTHS, options.rounds)
    show("limit", [*table_of_speeds(speeds), "", words], options.into)
    if options.into is not None:
        draw(speeds, options.into.parent / "pictures" / "performance-limit.png")
    return 0


def ways_of(reel: Reel, coloured: Reel, threads: int) -> list[Way]:
    plain = ffmpeg(threads)

    def in_colour_command(film: Path, output: Path, frames: int) -> list[str]:
        return plain.command(coloured.of(frames), output, frames)

    return [
        plain,
        decoder("ffmpeg, decoding alone", threads),
        Way("ffmpeg, the film in colour", in_colour_command),
        decoder("ffmpeg, decoding the film in colour alone", threads, coloured),
        reader_and_writer(threads),
        vidcolor("balanced", threads),
        vidcolor("fast", threads),
    ]


def in_colour(reel: Reel, threads: int) -> Reel:
    """The film as vidcolor colours it, coded as the source is, as a source itself."""
    made = reel.folder / "coloured.mp4"
    words = vidcolor("balanced", threads).command(reel.whole, made, reel.frames)
    encoder = ["--crf", "17", "--encoder-preset", "veryfast", "--segment-seconds", "3600"]
    # Of an option given twice the last counts.
    cost_of([*words, *encoder, "--encoder-option", "g=48", "--encoder-option", "sc_threshold=0"])
    return Reel.made(reel, made)


def decoder(name: str, threads: int, instead: Reel | None = None) -> Way:
    """The ffmpeg program, throwing away what it decodes."""

    def command(film: Path, output: Path, frames: int) -> list[str]:
        source = film if instead is None else instead.of(frames)
        program = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error"]
        return [*program, "-threads", str(threads), "-i", str(source), "-f", "null", "-"]

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
