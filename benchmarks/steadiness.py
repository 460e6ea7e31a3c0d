"""How steadily colour sticks to things: per-frame prediction beside the presets and the truth.

    python benchmarks/steadiness.py CLIPS [--frames 40]

CLIPS is a folder of colour films. Each is recoloured from its luma alone, before encoding, by
the plain per-frame method (smoothing off, every frame an anchor) and by each preset. The table
gives means over the films of E_warp_ab (vidcolor.metrics.warp_error_ab at 256 px; less is
steadier), of Lab chroma and of PSNR against the film's own colour, beside gray and the truth.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from statistics import mean

import numpy as np
from numpy.typing import NDArray

from vidcolor.color import lab_to_rgb
from vidcolor.facts import small_lab
from vidcolor.frames import BEGINNING, END, Frame, VideoInfo
from vidcolor.inference import Engine, open_engine
from vidcolor.media.choice import choose_encoder, picture_format
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.metrics import FlowPair, psnr, warp_error_ab
from vidcolor.pipeline import Colorizer, film_facts, fit
from vidcolor.settings import PRESETS, Settings

Labs = list[NDArray[np.float32]]
LIGHTNESS_ONLY = np.array([1, 0, 0], np.float32)
SUFFIXES = (".mp4", ".mkv", ".avi", ".webm", ".mov")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--frames", type=int, default=40, help="of each film (default 40)")
    parser.add_argument("--model", default="compact")
    options = parser.parse_args()
    films = sorted(p for p in options.clips.iterdir() if p.suffix in SUFFIXES)
    if not films:
        sys.exit(f"{options.clips} holds no films.")
    base = {"model": options.model, "recolor": True}
    ways = {"per frame": Settings(smoothing=False, anchor_every=1, **base)}
    ways |= {name: Settings.load(preset=name, **base) for name in PRESETS}
    engine = open_engine(ways["balanced"])
    rows: dict[str, list[Figures]] = {name: [] for name in (*ways, "gray", "truth")}
    for film in films:
        info = probe(film)
        truth = list(islice(true_labs(info), options.frames))
        flows = [FlowPair.measure(gray(a), gray(b)) for a, b in pairwise(truth)]
        rows["truth"].append(figures(truth, flows, truth))
        rows["gray"].append(figures([lab * LIGHTNESS_ONLY for lab in truth], flows, truth))
        for name, settings in ways.items():
            labs = colored(info, settings, engine, options.frames)
            rows[name].append(figures(labs, flows, truth))
        shown = ", ".join(f"{name} {values[-1].error:.2f}" for name, values in rows.items())
        print(f"{film.name}: {shown}", file=sys.stderr)
    print(f"{len(films)} films, {options.frames} frames each, {engine.describe()}\n")
    print(
        "| method | E_warp_ab | of per frame | chroma | PSNR, dB |\n| --- | --- | --- | --- | --- |"
    )
    least = mean(one.error for one in rows["per frame"])
    for name, values in rows.items():
        error = mean(one.error for one in values)
        chroma = mean(one.chroma for one in values)
        ratio = "-" if name == "truth" else f"{mean(one.psnr for one in values):.2f}"
        print(f"| {name} | {error:.3f} | {error / least:.2f} | {chroma:.1f} | {ratio} |")
    return 0


@dataclass(frozen=True)
class Figures:
    """Means over one film's frames."""

    error: float
    chroma: float
    psnr: float


def figures(labs: Labs, flows: list[FlowPair], truth: Labs) -> Figures:
    planes = [np.ascontiguousarray(lab[..., 1:]) for lab in labs]
    pairs = zip(pairwise(planes), flows, strict=True)
    errors = [warp_error_ab(*pair, flow) for pair, flow in pairs]
    return Figures(
        mean(error for error in errors if not math.isnan(error)),
        mean(float(np.hypot(p[..., 0], p[..., 1]).mean()) for p in planes),
        mean(psnr(lab_to_rgb(a), lab_to_rgb(b)) for a, b in zip(labs, truth, strict=True)),
    )


def true_labs(info: VideoInfo) -> Iterator[NDArray[np.float32]]:
    for frame in read_frames(info):
        yield small_lab(frame, info, fit(info.width, info.height, 256))


def colored(info: VideoInfo, settings: Settings, engine: Engine, count: int) -> Labs:
    """The first `count` frames recoloured, small, as Lab."""
    picture = picture_format(info, choose_encoder(info, settings))
    colorizer = Colorizer(info, film_facts(info), settings, engine, picture)
    size = fit(info.width, info.height, 256)
    with closing(colorizer.pictures(BEGINNING, END)) as pictures:
        frames = (Frame(p.pts, p.duration, p.y, (p.u, p.v)) for p in islice(pictures, count))
        return [small_lab(frame, info, size) for frame in frames]


def gray(lab: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(lab[..., 0] * 2.55, 0, 255), np.uint8)


if __name__ == "__main__":
    sys.exit(main())
