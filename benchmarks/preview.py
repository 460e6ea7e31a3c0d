"""How long a preview from the middle of a long film takes, beside plainly decoding its frames.

    python benchmarks/preview.py --seconds 7200 --size 640x480 --size 1280x720

Makes a film of each size by repeating the packets of a short one, and previews FRAMES frames from
its middle, each time in a process of its own. Prints, for every run and as their median, the
seconds that imports took, what the preview took after them, and what a seek and the decoding of
the same frames took, with the ratio of the two. Exits with 1 when a median passes LIMIT seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from speed_films import RATE, make_film, repeated

LIMIT = 4.0
FRAMES = 48
CLIP_SECONDS = 20

PREVIEW = """
import json, os, sys, time
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does
began = time.monotonic()
from pathlib import Path
import vidcolor.pipeline
from vidcolor.jobs.plan import Moment
from vidcolor.previews import Variant, preview_film
from vidcolor.settings import Settings
imported = time.monotonic()
film, sheet, model, start, frames = sys.argv[1:]
variant = Variant(label=model, settings=Settings(model=model))
outcome = preview_film(
    Path(film), Path(sheet), [variant], start=Moment.parse(start), frames=int(frames)
)
assert outcome.frames == int(frames), outcome
print(json.dumps([imported - began, time.monotonic() - imported]))
"""

DECODING = """
import json, sys, time
import av
film, start, frames = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
began = time.monotonic()
with av.open(film) as container:
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    container.seek(int(start / stream.time_base), stream=stream)
    for frame in container.decode(stream):
        frames -= frame.time >= start
        if frames == 0:
            break
print(json.dumps(time.monotonic() - began))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=7200, help="of the films (default 7200)")
    parser.add_argument("--size", action="append", help="WIDTHxHEIGHT; repeatable")
    parser.add_argument("--runs", type=int, default=3, help="of each film (default 3)")
    parser.add_argument("--model", default="compact")
    options = parser.parse_args()
    print(f"{options.seconds} s, {FRAMES} frames, {options.model}, {os.cpu_count()} cores")
    print("| film | run | imports | preview | decoding alone | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for size in options.size or ["640x480", "1280x720"]:
            width, height = (int(side) for side in size.split("x"))
            clip = make_film(Path(folder) / "clip.mp4", width, height, frames=CLIP_SECONDS * RATE)
            film = repeated(clip, Path(folder) / f"{size}.mp4", options.seconds)
            runs = [timed(film, options.seconds / 2, options.model) for _ in range(options.runs)]
            for number, run in enumerate(runs, 1):
                print(row(size, str(number), run))
            middle = tuple(median(figures) for figures in zip(*runs, strict=True))
            print(row(size, "median", middle), flush=True)
            slowest = max(slowest, middle[1])
            film.unlink()
    return 0 if slowest <= LIMIT else 1


def timed(film: Path, start: float, model: str) -> tuple[float, ...]:
    """Seconds of imports, of a preview after them, and of decoding its frames alone."""
    sheet = film.with_name("sheet.preview.png")
    shown = child(PREVIEW, film, sheet, model, start, FRAMES)
    return (*shown, child(DECODING, film, start, FRAMES))


def child(program: str, *words: object) -> Any:
    """What a Python program in a process of its own prints. Exits when it fails."""
    command = [sys.executable, "-c", program, *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"measuring {words[0]} failed")
    return json.loads(done.stdout)


def row(size: str, run: str, figures: tuple[float, ...]) -> str:
    imports, preview, decoding = figures
    return (
        f"| {size} | {run} | {imports:.2f} s | {preview:.2f} s | {decoding:.2f} s "
        f"| {preview / decoding:.1f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
