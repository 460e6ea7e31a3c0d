"""Decode and encode through vidcolor's own reader and writer, and colour nothing.

    python benchmarks/plain_loop.py film.mp4 gray.mkv --threads 2

What is left when all colouring is taken away: the floor under `vidcolor run`, beside ffmpeg's.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

import numpy as np

from vidcolor.frames import Picture, Plane
from vidcolor.media.choice import choose_encoder, picture_format
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.media.write import SegmentWriter
from vidcolor.prefetch import prefetched
from vidcolor.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("output", type=Path, help="a Matroska file")
    parser.add_argument("--threads", type=int, default=2, help="of decoder and encoder")
    parser.add_argument("--crf", type=int, default=18)
    parser.add_argument("--preset", default="medium", help="the encoder's (default medium)")
    options = parser.parse_args()
    settings = Settings(
        threads=options.threads, crf=options.crf, encoder_preset=options.preset, codec="libx264"
    )
    info = probe(options.film)
    choice = choose_encoder(info, settings)
    layout = picture_format(info, choice)
    size = layout.chroma_height, layout.chroma_width
    neutral: Plane = np.full(size, 1 << (layout.bit_depth - 1), np.uint16)
    if layout.bit_depth == 8:
        neutral = neutral.astype(np.uint8)
    frames = prefetched(read_frames(info, threads=options.threads), 4, thread_name="decode")
    with closing(frames), SegmentWriter(options.output, info, layout, choice) as writer:
        for frame in frames:
            writer.write(Picture(frame.pts, frame.duration, frame.luma, neutral, neutral))


if __name__ == "__main__":
    main()
