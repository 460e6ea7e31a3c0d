"""Ways of holding colour steady, tried side by side on the same predictions.

    python benchmarks/gathering.py CLIPS [--frames 40] [--into docs/steady.md]

CLIPS is a folder of colour films. Of each the first frames are predicted once, by `compact`, each
for itself; then every way below gathers from those predictions along the flow, and is measured
before rendering: E_warp_ab, its share of the per-frame method's, the 95th percentile of it over the
pairs of frames, PSNR and CIEDE2000 against the truth, colourfulness, CDC's distance to the truth's
in thousandths, and how many frames in a hundred ask the network. What rendering adds is the same
for all, so differences stand out more here than in finished films.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pages import put_table

from vidcolor.color import lab_to_rgb
from vidcolor.facts import small_lab
from vidcolor.inference import Engine, open_engine
from vidcolor.media.choice import choose_encoder, picture_format
from vidcolor.media.probe import probe
from vidcolor.media.read import read_frames
from vidcolor.metrics import (
    ColorConsistency,
    FlowPair,
    ciede2000,
    colorfulness,
    psnr,
    warp_error_ab,
)
from vidcolor.models.compact import CompactModel
from vidcolor.models.registry import load_model
from vidcolor.pipeline import Colorizer, film_facts, fit
from vidcolor.resample import enlarge
from vidcolor.settings import Settings
from vidcolor.smoothing import (
    COVERAGE_REACH_FRAMES,
    GATHER_REACH_FRAMES,
    LEAST_COVERAGE,
    LIKENESS,
    FlowEngine,
    FlowStep,
    Walk,
    anchor_weight,
    coverage,
    fill,
    nearness,
    sample,
    square,
)
from vidcolor.stages import with_cuts

Floats = NDArray[np.float32]
SUFFIXES = (".mp4", ".mkv", ".avi", ".webm", ".mov")
LEAST_DISTANCE = 0.001
"""Films whose CDC is nearer to the truth's per frame say nothing of it."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way of gathering; its defaults are those of the program."""

    every: int = 4
    reach: int = GATHER_REACH_FRAMES
    likeness: float = LIKENESS
    own: float = 1.0
    """Weight of a frame's own prediction."""

    taper: Literal["none", "half", "whole"] = "half"
    """Anchors weigh less the farther they are, down to nothing beyond the reach: from half of it
    on, or from the frame on."""

    patience: float = 0.5
    """Power of the flow's trust: the less, the more long walks are trusted."""

    robust: float = 0.0
    """Lab units from the mean at which a prediction counts half; 0: all count."""

    boundary: bool = False
    """Flow isn't trusted where it changes from pixel to pixel (Sundaram et al., ECCV 2010)."""

    flow: str = "fast"
    """DIS's preset: fast or medium."""

    certain: bool = False
    """Predictions weigh by how sure the class head is: exp(-entropy)."""

    probabilities: bool = False
    """The class head's probabilities are merged and then decoded, instead of their colours."""


WAYS = {
    "balanced, as it is": Way(),
    "every frame an anchor": Way(every=1),
    "every 9th an anchor": Way(every=9),
    "every 2nd an anchor": Way(every=2),
    "reach of 4 frames": Way(reach=4),
    "reach of 12 frames": Way(reach=12),
    "all within reach weigh the same": Way(taper="none"),
    "nearer ones always weigh more": Way(taper="whole"),
    "likeness 20": Way(likeness=20.0),
    "likeness 100": Way(likeness=100.0),
    "own prediction half as heavy": Way(own=0.5),
    "long walks trusted less": Way(patience=1.0),
    "long walks trusted more": Way(patience=0.25),
    "outliers discounted": Way(robust=6.0),
    "motion boundaries distrusted": Way(boundary=True),
    "flow at DIS's medium preset": Way(flow="medium"),
    "weighed by the network's certainty": Way(certain=True),
    "probabilities merged, not colours": Way(probabilities=True),
}


@dataclass(frozen=True, eq=False)
class Film:
    """What of a film all ways share."""

    truth: list[Floats]
    """Lab (h, w, 3) at 256 pixels."""

    flows: list[FlowPair]
    """Of the truth's lightness, which measures."""

    smalls: list[NDArray[np.uint8]]
    lumas: list[Floats]
    cuts: list[bool]
    predictions: list[Floats]
    """(h, w, 2) at gathering size."""

    scores: list[Floats]
    """(313, h, w): the class head's, at its own size."""

    ab_heads: list[Floats]
    """(h, w, 2): the ab head's part of the prediction, at gathering size."""

    steps: dict[str, list[FlowStep | None]] = field(default_factory=dict)

    @cached_property
    def certainty(self) -> list[Floats]:
        """(h, w) at gathering size, exp of minus the entropy in nats."""
        found = []
        for scores, ab in zip(self.scores, self.predictions, strict=True):
            p = torch.softmax(torch.from_numpy(scores), 0)
            sure = torch.exp((p * torch.log(p + 1e-9)).sum(0)).numpy()
            found.append(enlarge(np.asarray(sure, np.float32), (ab.shape[1], ab.shape[0])))
        mean = np.float32(np.mean([each.mean() for each in found]))
        return [np.asarray(each / mean, np.float32) for each in found]

    def flow_steps(self, preset: str) -> list[FlowStep | None]:
        """From each frame to the last one and back; None at cuts."""
        if preset not in self.steps:
            engine = FlowEngine()
            if preset == "medium":
                engine._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
            h, w = self.lumas[0].shape
            found: list[FlowStep | None] = [None]
            for (one, other), cut in zip(pairwise(self.smalls), self.cuts[1:], strict=True):
                found.append(None if cut else engine.step(one, other, (w, h)))
            self.steps[preset] = found
        return self.steps[preset]


def read_film(path: Path, frames: int, engine: Engine, network: CompactModel) -> Film:
    info = probe(path)
    settings = Settings(model="compact", recolor=True, threads=1)
    picture = picture_format(info, choose_encoder(info, settings))
    colorizer = Colorizer(info, film_facts(info), settings, engine, picture)
    found = list(islice(read_frames(info), frames))
    size = fit(info.width, info.height, 256)
    truth = [small_lab(frame, info, size) for frame in found]
    items = list(with_cuts(colorizer._measured(iter(found), lambda pts: True)))
    predictions, scores, ab_heads = [], [], []
    for frame in found:
        lightness = torch.from_numpy(colorizer._network_lightness(frame))[None, None]
        with torch.inference_mode():
            heads = network.heads(lightness)
            mixed = network(lightness)[0].float().numpy()
        predictions.append(colorizer._place(mixed))
        ab_heads.append(colorizer._place(heads.ab[0].float().numpy()))
        scores.append(heads.logits[0].float().numpy())
    return Film(
        truth=truth,
        flows=[FlowPair.measure(gray(one), gray(other)) for one, other in pairwise(truth)],
        smalls=[item.small for item in items],
        lumas=[item.luma for item in items],
        cuts=[item.cut for item in items],
        predictions=predictions,
        scores=scores,
        ab_heads=ab_heads,
    )


def gray(lab: Floats) -> NDArray[np.uint8]:
    return np.asarray(np.clip(lab[..., 0] * 2.55, 0, 255), np.uint8)


def gathered(film: Film, way: Way) -> tuple[list[Floats], float]:
    """ab of every frame at gathering size, and the share of frames that asked the network."""
    walks = [list(walked(film, way, n)) for n in range(len(film.lumas))]
    grid = [n % way.every == 0 or film.cuts[n] for n in range(len(film.lumas))]
    anchors = [on_grid or not covered(film, n, walks[n], grid) for n, on_grid in enumerate(grid)]
    planes = []
    for n, around in enumerate(walks):
        own = np.full(film.lumas[n].shape, way.own, np.float32)
        if way.certain:
            own *= film.certainty[n]
        parts: list[Part] = [(own, None, n)] if anchors[n] else []
        for walk, steps, other in around:
            if anchors[other]:
                weight = weigh(film, way, n, walk, steps, other)
                parts.append((weight, walk.places[steps - 1], other))
        planes.append(mixed(film, way, parts))
    return planes, sum(anchors) / len(anchors)


Part = tuple[NDArray[np.float32], Floats | None, int]
"""Weight (h, w), where the frame's pixels are in an anchor (None: in place), and the anchor."""


def walked(film: Film, way: Way, here: int) -> Iterator[tuple[Walk, int, int]]:
    """The frames within reach, with the walk that leads there and its steps."""
    steps = film.flow_steps(way.flow)
    past, future = Walk(), Walk()
    for number in range(1, way.reach + 1):
        step = steps[here - number + 1] if here >= number else None
        if step is None:
            break
        past.extend(step.back, trusted(step.back, step.back_trust, way))
        yield past, number, here - number
    for number in range(1, way.reach + 1):
        step = steps[here + number] if here + number < len(steps) else None
        if step is None:
            break
        future.extend(step.ahead, trusted(step.ahead, step.ahead_trust, way))
        yield future, number, here + number


def trusted(flow: Floats, trust: Floats, way: Way) -> Floats:
    if way.boundary:
        slopes = np.zeros_like(trust)
        for dx, dy in ((1, 0), (0, 1)):
            slopes += square(
                np.asarray(cv2.Sobel(flow, cv2.CV_32F, dx, dy, ksize=1) / 2, np.float32)
            )
        trust = trust * np.exp(-slopes / (0.01 * square(flow) + 0.002))
    return np.asarray(trust, np.float32)


def covered(
    film: Film, here: int, around: Sequence[tuple[Walk, int, int]], grid: Sequence[bool]
) -> bool:
    weights = [
        anchor_weight(film.lumas[here], film.lumas[other], walk, steps)
        for walk, steps, other in around
        if grid[other] and steps <= COVERAGE_REACH_FRAMES
    ]
    return coverage(weights) >= LEAST_COVERAGE


def weigh(film: Film, way: Way, here: int, walk: Walk, steps: int, other: int) -> Floats:
    places = walk.places[steps - 1]
    difference = film.lumas[here] - sample(film.lumas[other], places)
    weight = walk.trusts[steps - 1] ** way.patience
    weight = weight * np.exp(np.float32(-way.likeness) * difference**2)
    if way.taper == "half":
        weight = weight * np.float32(nearness(steps, way.reach))
    elif way.taper == "whole":
        weight = weight * np.float32(1 - steps / (way.reach + 1))
    if way.certain:
        weight = weight * sample(film.certainty[other], places)
    return np.asarray(weight, np.float32)


def mixed(film: Film, way: Way, parts: list[Part]) -> Floats:
    if way.probabilities:
        network = film_network()
        share = np.float32(network.config.class_share)
        heads = mean_of(film.ab_heads, parts, 0.0)
        mixed = share * decoded(film, parts) + (1 - share) * heads
        return np.asarray(network.config.strength * mixed, np.float32)
    return mean_of(film.predictions, parts, way.robust)


def mean_of(planes: Sequence[Floats], parts: list[Part], robust: float) -> Floats:
    fetched = [
        (weight, planes[n] if places is None else sample(planes[n], places))
        for weight, places, n in parts
    ]
    shape = planes[0].shape
    total, weights = np.zeros(shape, np.float32), np.zeros(shape[:2], np.float32)
    for weight, ab in fetched:
        total += ab * weight[..., None]
        weights += weight
    if robust:
        middle = total / (weights[..., None] + np.float32(1e-6))
        total, weights = np.zeros_like(total), np.zeros_like(weights)
        for weight, ab in fetched:
            held = weight / (1 + square(ab - middle) / np.float32(robust**2))
            total += ab * held[..., None]
            weights += held
    return fill(total, weights)


def decoded(film: Film, parts: list[Part]) -> Floats:
    """The colours of merged class probabilities; each at the class head's own size."""
    h, w = film.lumas[0].shape
    size = film.scores[0].shape[1:]
    total, weights = torch.zeros(1, 313, *size), torch.full((1, 1, *size), 1e-3)
    for weight, places, n in parts:
        p = torch.softmax(torch.from_numpy(film.scores[n]), 0)[None]
        heavy = torch.from_numpy(np.ascontiguousarray(weight))[None, None]
        heavy = F.interpolate(heavy, size, mode="area")
        if places is not None:
            wanted = torch.from_numpy(places).permute(2, 0, 1)[None]
            wanted = F.interpolate(wanted, size, mode="area")[0].permute(1, 2, 0)
            unit = (wanted + 0.5) * torch.tensor([2 / w, 2 / h]) - 1
            p = F.grid_sample(p, unit[None], padding_mode="border", align_corners=False)
        total += heavy * p
        weights += heavy
    merged = torch.log(total / weights + 1e-9)
    ab = film_network().decode_classes(merged)
    ab = F.interpolate(ab, (h, w), mode="bilinear", align_corners=False)
    return np.asarray(ab[0].permute(1, 2, 0).numpy(), np.float32)


@lru_cache(maxsize=1)
def film_network() -> CompactModel:
    network = load_model("compact")
    assert isinstance(network, CompactModel)
    return network


@dataclass(frozen=True)
class Figures:
    """Of one film, coloured in one way."""

    warp_error_ab: float
    worst: float
    """The 95th percentile of it over the pairs of frames: what pulses."""

    psnr: float
    ciede2000: float
    colorfulness: float
    cdc: float
    asked: float
    """Share of the frames that asked the network."""


def figures(film: Film, planes: list[Floats] | None, asked: float) -> Figures:
    """planes: ab at gathering size; None for the truth."""
    h, w = film.truth[0].shape[:2]
    wide = [
        np.ascontiguousarray(truth[..., 1:] if planes is None else enlarge(planes[n], (w, h)))
        for n, truth in enumerate(film.truth)
    ]
    errors = [
        warp_error_ab(one, other, flow)
        for (one, other), flow in zip(pairwise(wide), film.flows, strict=True)
    ]
    consistency, colors, qualities, differences = ColorConsistency(), [], [], []
    for truth, ab in zip(film.truth, wide, strict=True):
        rgb, real = (lab_to_rgb(np.dstack([truth[..., :1], each])) for each in (ab, truth[..., 1:]))
        consistency.add(np.rint(rgb * 255).astype(np.uint8))
        colors.append(colorfulness(rgb))
        if planes is not None:
            qualities.append(psnr(rgb, real))
            differences.append(ciede2000(np.dstack([truth[..., :1], ab]), truth).mean())
    return Figures(
        float(np.nanmean(errors)),
        float(np.nanpercentile(errors, 95)),
        float(np.mean(qualities)) if qualities else np.nan,
        float(np.mean(differences)) if differences else np.nan,
        float(np.mean(colors)),
        consistency.value,
        asked,
    )


def table(rows: dict[str, list[Figures]]) -> Iterator[str]:
    """Means over the films, beside the per-frame method and the truth."""
    alone, truth = rows["per frame"], rows["truth"]
    far = [
        n
        for n, (one, real) in enumerate(zip(alone, truth, strict=True))
        if abs(one.cdc - real.cdc) >= LEAST_DISTANCE
    ]
    names = ("way", "E_warp_ab", "of per frame", "p95", "PSNR", "CIEDE2000", "colourfulness")
    yield f"| {' | '.join((*names, 'CDC off', 'asked'))} |"
    yield f"|---|{'---:|' * (len(names) + 1)}"
    for name, each in rows.items():
        mean = mean_by(each)
        error, least = mean(lambda f: f.warp_error_ab), mean_by(alone)(lambda f: f.warp_error_ab)
        off = np.mean([abs(each[n].cdc - truth[n].cdc) for n in far]) if far else np.nan
        cells = [name, f"{error:.3f}", f"{error / least:.2f}", f"{mean(lambda f: f.worst):.2f}"]
        if name == "truth":
            cells += ["-", "-"]
        else:
            cells += [f"{mean(lambda f: f.psnr):.2f}", f"{mean(lambda f: f.ciede2000):.2f}"]
        cells += [f"{mean(lambda f: f.colorfulness):.1f}", f"{1000 * off:.2f}"]
        cells += [f"{100 * mean(lambda f: f.asked):.0f} %"]
        yield f"| {' | '.join(cells)} |"


def mean_by(films: list[Figures]) -> Callable[[Callable[[Figures], float]], float]:
    return lambda of: float(np.mean([of(film) for film in films]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--frames", type=int, default=40, help="of each film (default 40)")
    parser.add_argument("--without", nargs="*", default=[], help="parts of names to leave out")
    parser.add_argument("--into", type=Path, help="the page whose table is printed anew")
    options = parser.parse_args()
    films = [
        path
        for path in sorted(options.clips.iterdir())
        if path.suffix in SUFFIXES and not any(part in path.name for part in options.without)
    ]
    if not films:
        sys.exit(f"{options.clips} holds no films.")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    engine = open_engine(Settings(model="compact", threads=1))
    rows: dict[str, list[Figures]] = {name: [] for name in ("per frame", *WAYS, "truth")}
    for path in films:
        film = read_film(path, options.frames, engine, film_network())
        rows["per frame"].append(figures(film, film.predictions, 1.0))
        rows["truth"].append(figures(film, None, 0.0))
        for name, way in WAYS.items():
            rows[name].append(figures(film, *gathered(film, way)))
        print(f"{path.name}: {rows[next(iter(WAYS))][-1]}", file=sys.stderr)
    lines = [f"{len(films)} films, {options.frames} frames of each:", "", *table(rows)]
    print("\n".join(lines))
    if options.into:
        put_table(options.into, "gathering", lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
