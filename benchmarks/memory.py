"""Peak memory of `vidcolor run` against the film's length: it must not grow.

    python benchmarks/memory.py --seconds 10 --seconds 120

Makes gray films of one kind in code, colorizes each in a process of its own, and prints the
process's peak resident memory and its ratio to the shortest film's. Exits with 1 when a ratio
passes LIMIT.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

LIMIT = 1.05
RATE = 24


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, action="append", help="a length; repeatable")
    parser.add_argument("--size", default="640x360", help="WIDTHxHEIGHT (default 640x360)")
    parser.add_argument("--model", default="compact")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    lengths = sorted(options.seconds or [10, 120])
    print(f"{options.size}, {RATE} fps, {options.model}, {os.cpu_count()} cores")
    print("| film | peak memory | ratio | wall time |\n| --- | --- | --- | --- |")
    worst, least = 0.0, None
    with tempfile.TemporaryDirectory() as folder:
        for seconds in lengths:
            film = make_film(Path(folder) / f"{seconds}.mp4", seconds, width, height)
            began = time.monotonic()
            peak = peak_of_run(film, options.model)
            least = least or peak
            worst = max(worst, peak / least)
            took = time.monotonic() - began
            print(f"| {seconds} s | {peak / 2**20:.0f} MiB | {peak / least:.3f} | {took:.0f} s |")
    return 0 if worst <= LIMIT else 1


def make_film(path: Path, seconds: int, width: int, height: int) -> Path:
    """A slow pan over soft noise with grain, a cut every five seconds."""
    with av.open(path, "w") as out:
        video = out.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "20"})
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.time_base = Fraction(1, RATE)
        for index in range(seconds * RATE):
            shot, step = divmod(index, 5 * RATE)
            if step == 0:
                rng = np.random.default_rng(shot)
                noise = cv2.GaussianBlur(
                    rng.random((height, 2 * width)).astype(np.float32), (0, 0), 9
                )
                wide = cv2.normalize(noise, None, 40, 200, cv2.NORM_MINMAX)  # type: ignore[call-overload]
            grain = np.random.default_rng(index).normal(0, 3, (height, width))
            luma = np.clip(wide[:, step : step + width] + grain, 16, 235).astype(np.uint8)
            gray = np.full((height // 2, width), 128, np.uint8)
            frame = av.VideoFrame.from_ndarray(np.vstack([luma, gray]), format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return path


def peak_of_run(film: Path, model: str) -> int:
    """Peak resident memory in bytes of one `vidcolor run`. Exits when the run fails."""
    output = film.with_suffix(".color.mp4")
    command = [sys.executable, "-m", "vidcolor", "run", str(film), "-o", str(output)]
    child = os.posix_spawn(sys.executable, [*command, "--model", model, "--overwrite"], os.environ)
    _, status, usage = os.wait4(child, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"the run on {film} failed")
    return usage.ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())
