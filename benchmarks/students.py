"""Short trainings of every family of networks, and what they show.

    python benchmarks/students.py PHOTOS [--out runs/students] [--into docs/students.md]

PHOTOS is a data folder of `vidcolor train`: train-*.tar, val.tar and compact's start. Each run is a
`vidcolor train` of a few minutes on two cores; those that are finished are taken as they are, and
one that was stopped goes on. Then all are measured on 200 validation photographs, as `vidcolor
evaluate` does. The tables go between the marks of the page, two pictures into pictures/ beside it.

DeepColor's classifier can't be had on every machine. Where it isn't in the cache, a made-up one
with random weights stands in for it here.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import torch
import torch.nn.functional as F
from matplotlib import pyplot
from numpy.typing import NDArray
from pages import put_table

from vidcolor.cli.train import recipe_path, train_one
from vidcolor.color import RgbSpace, lab_to_rgb
from vidcolor.evaluation.bench import Candidate, evaluate
from vidcolor.evaluation.figures import Evaluation
from vidcolor.evaluation.files import draw_sheet, markdown, table_of
from vidcolor.metrics import colorfulness, psnr
from vidcolor.models.catalogue import COMPANIONS, EMBEDDING, cached_path, is_cached
from vidcolor.models.color_model import ColorModel
from vidcolor.models.descriptions import measure as measure_model
from vidcolor.models.inception_resnet_v2 import InceptionResNetV2
from vidcolor.models.registry import entry_of, load_model
from vidcolor.models.weights import sha256_of
from vidcolor.settings import Settings
from vidcolor.training.journal import LOG
from vidcolor.training.recipe import Recipe
from vidcolor.training.samples import middle
from vidcolor.training.sources import open_source
from vidcolor.training.trainer import Machine

MEASURED = 200
"""Validation photographs."""

CLOCK = "minutes.json"
REGRESSION = "osnabrueck-regression"

SMALL = {"size": 64, "options.side": 64}
"""For networks that take a second for a photograph at their own size."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Run:
    """One training."""

    name: str
    """Its folder and its row."""

    recipe: str
    changes: dict[str, object]
    """Of the recipe, by the names of `--set`."""

    @property
    def texts(self) -> dict[str, str]:
        return {key: str(value) for key, value in self.changes.items()}

    @property
    def command(self) -> str:
        words = [
            "vidcolor",
            "train",
            self.recipe,
            "--data",
            "photos/",
            "--out",
            f"runs/{self.name}",
        ]
        changes = (shlex.quote(f"{key}={value}") for key, value in self.texts.items())
        return " ".join([*words, *(f"--set {change}" for change in changes)])


OURS: dict[str, object] = {"size": 128, "batch": 32, "steps": 300}
"""For compact."""

CLASSES: dict[str, object] = {
    **OURS,
    "objective.name": "classes-313",
    "options.class_share": 1.0,
    "options.strength": 1.0,
}
"""The class head of compact, alone."""

CURED = {"options.enlarge": "resize"}
CIFAR = {"size": 32, "options.side": 32}

RUNS = (
    Run("compact", "compact", OURS),
    Run("compact-classes", "compact", {**CLASSES, "objective.rebalance": "none"}),
    Run("compact-rebalanced", "compact", {**CLASSES, "objective.rebalance": "prior"}),
    Run("eccv16", "eccv16", {**SMALL, "batch": 20, "lr": 3e-4, "steps": 300}),
    Run("siggraph17", "siggraph17", {**SMALL, "batch": 16, "lr": 1e-4, "steps": 240}),
    Run("osnabrueck-121", "osnabrueck-121", {**SMALL, "steps": 400}),
    Run("osnabrueck-121-cured", "osnabrueck-121", {**SMALL, **CURED, "steps": 400}),
    Run(
        "osnabrueck-121-rebalanced",
        "osnabrueck-121",
        {**SMALL, **CURED, "objective.rebalance": "data", "steps": 400},
    ),
    Run("osnabrueck-regression", "osnabrueck-regression", {**SMALL, **CURED, "steps": 240}),
    Run("ucsd-eleven-l1", "ucsd-eleven", {**CIFAR, "steps": 120}),
    Run("ucsd-eleven-l2", "ucsd-eleven", {"objective.name": "rgb-mse", **CIFAR, "steps": 120}),
    Run("deepcolor-base", "deepcolor-base", {"size": 112, "options.side": 112, "steps": 120}),
    Run(
        "stclair-autoencoder",
        "stclair-autoencoder",
        {"size": 128, "options.side": 128, "steps": 360},
    ),
)
SAMPLES = {"data.train": '["samples"]', "data.validation": '["samples"]', "data.augment": "none"}
FOUR = {"size": 96, "options.side": 96, "batch": 4, "epochs": 1000, "steps": 300}
DOTS = (
    Run("dots", "osnabrueck-121", {**SAMPLES, **FOUR}),
    Run("dots-cured", "osnabrueck-121", {**SAMPLES, **FOUR, **CURED}),
)
"""Four photographs learned by heart, which takes minutes where learning to colour takes days."""

REPORTS = (
    ("osnabrueck-121", "dots, and no figure of quality"),
    ("ucsd-eleven-l1", "loss 0.23 with a rate of 0.01, 0.25 with 0.001, on CIFAR-10"),
    ("deepcolor-base", "accuracy 57.4 % in validation, 56.9 % in the test (rate 1e-4)"),
    ("stclair-autoencoder", "accuracy 76.9 % in validation, 91.0 % in training, on 305 landscapes"),
)
"""Runs, and what the report of their network says."""

READINGS = {"measure_every": "60", "measured": "48"}
"""Of every run: what its curve is drawn from, kept short beside the training."""


def train(run: Run, photos: Path, out: Path) -> None:
    """Run it to its end, unless it was; the minutes it took are kept beside its weights."""
    folder, clock = out / run.name, out / run.name / CLOCK
    if clock.exists():
        return
    print(f"{run.name}: {run.command}", file=sys.stderr)
    recipe = Recipe.load(recipe_path(run.recipe)).changed(run.texts | READINGS)
    began = time.monotonic()
    train_one(run.name, recipe, photos, folder, Machine(), as_json=False)
    clock.write_text(json.dumps((time.monotonic() - began) / 60), encoding="utf-8")


def stand_in_classifier(out: Path) -> None:
    """Put random weights where Inception-ResNet-v2's would be, for this process alone."""
    os.environ["VIDCOLOR_CACHE"] = str((out / "cache").absolute())
    path = cached_path(EMBEDDING)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        torch.manual_seed(0)
        torch.save(InceptionResNetV2().state_dict(), path)
    COMPANIONS[EMBEDDING] = replace(COMPANIONS[EMBEDDING], sha256=sha256_of(path))


def measure(
    runs: Sequence[Run], photos: Path, out: Path, limit: int | None = None, tiles: int = 0
) -> Evaluation:
    """Runs on the photographs of a tar or a folder, as `vidcolor evaluate` measures networks."""
    candidates = []
    for run in runs:
        network = Recipe.load(recipe_path(run.recipe)).network
        weights = out / run.name / f"{network}.safetensors"
        settings = Settings(model=network, weights=str(weights))
        candidates.append(Candidate(label=run.name, settings=settings))
    return evaluate(candidates, open_source(photos), limit=limit, tiles=tiles)


def losses_of(run: Run, out: Path) -> Floats:
    """(n,) the loss of each step."""
    lines = (out / run.name / LOG).read_text(encoding="utf-8").splitlines()
    return np.array([json.loads(line)["loss"] for line in lines], np.float32)


def table_of_runs(out: Path) -> Iterator[str]:
    yield "| run | parameters | photographs seen | minutes | loss, first tenth | last tenth |"
    yield "|---|---:|---:|---:|---:|---:|"
    for run in RUNS:
        recipe = Recipe.load(recipe_path(run.recipe)).changed(run.texts)
        parameters = parameters_of(recipe)
        losses = losses_of(run, out)
        tenth = max(1, len(losses) // 10)
        minutes = json.loads((out / run.name / CLOCK).read_text(encoding="utf-8"))
        first, last = losses[:tenth].mean(), losses[-tenth:].mean()
        seen = len(losses) * recipe.data.batch
        cells = (f"`{run.name}`", f"{parameters:,}", f"{seen:,}", f"{minutes:.1f}")
        yield f"| {' | '.join(cells)} | {first:.4g} | {last:.4g} |"


def parameters_of(recipe: Recipe) -> int:
    return measure_model(entry_of(recipe.network)).parameters


def commands() -> Iterator[str]:
    yield from (f"    {run.command}" for run in (*RUNS, *DOTS))


def draw_curves(out: Path, picture: Path) -> None:
    """The loss of every run, each step and a running mean."""
    columns = 3
    figure, places = pyplot.subplots(-(-len(RUNS) // columns), columns, figsize=(11, 13))
    for place in places.flat[len(RUNS) :]:
        place.axis("off")
    for place, run in zip(places.flat, RUNS, strict=False):
        losses = losses_of(run, out)
        span = max(1, len(losses) // 12)
        calm = np.convolve(losses, np.full(span, 1 / span), "valid")
        place.plot(np.arange(len(losses)) + 1, losses, color="0.8", linewidth=0.8)
        place.plot(np.arange(len(calm)) + (span + 1) / 2, calm, color="tab:red")
        place.set_title(run.name, fontsize=10)
        place.set_ylim(0.9 * calm.min(), np.quantile(losses, 0.98))
        place.set_xlabel("step", fontsize=8)
        place.tick_params(labelsize=8)
    figure.tight_layout()
    figure.savefig(picture, dpi=80)


def table_of_sepia(photos: Path, out: Path) -> Iterator[str]:
    """What colour a pixel has on average, and what the regression answers."""
    known = lab_of(next(photos.glob("train-000.tar")), 1000)
    truth = lab_of(photos / "val.tar", MEASURED)
    run = next(run for run in RUNS if run.name == REGRESSION)
    network = load_model(run.recipe, out / run.name / f"{run.recipe}.safetensors")
    answers = np.stack([answer(network, lab[..., 0]) for lab in truth])
    mean = mean_by_lightness(known)
    yield "| lightness | mean a, b of photographs | mean chroma | mean a, b answered | its chroma |"
    yield "|---|---|---:|---|---:|"
    for low in range(0, 100, 20):
        there = (truth[..., 0] >= low) & (truth[..., 0] < low + 20)
        real, guess = truth[there][:, 1:], answers[there]
        cells = [f"{low}-{low + 20}"]
        for ab in (real, guess):
            a, b = ab.mean(0)
            cells += [f"{a:+.1f}, {b:+.1f}", f"{np.hypot(*ab.T).mean():.1f}"]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield "| painted | PSNR, dB | colourfulness |"
    yield "|---|---:|---:|"
    ways = {
        "gray": np.zeros_like(answers),
        "each lightness in its mean colour": mean[truth[..., 0].round().astype(int)],
        f"`{REGRESSION}`": answers,
        "truth": truth[..., 1:],
    }
    for name, planes in ways.items():
        pairs = [
            (lab_to_rgb(np.dstack([lab[..., :1], ab])), lab_to_rgb(lab))
            for lab, ab in zip(truth, planes, strict=True)
        ]
        quality = "-" if name == "truth" else f"{np.mean([psnr(*pair) for pair in pairs]):.2f}"
        color = np.mean([colorfulness(one) for one, _ in pairs])
        yield f"| {name} | {quality} | {color:.1f} |"


def lab_of(photos: Path, limit: int) -> Floats:
    """(n, s, s, 3) CIE Lab of the first photographs' middles, 128 pixels wide."""
    source = open_source(photos)
    numbers = range(min(limit, len(source)))
    squares = (middle(source.read(number, at_least=128), 128) for number in numbers)
    return np.stack([RgbSpace.srgb().lab(square) for square in squares])


def mean_by_lightness(lab: Floats) -> Floats:
    """(101, 2): the mean a and b of the pixels of each whole lightness."""
    cells = lab[..., 0].round().astype(int).ravel()
    counts = np.maximum(np.bincount(cells, minlength=101), 1)
    sums = [np.bincount(cells, lab[..., n].ravel(), 101) for n in (1, 2)]
    return np.asarray(np.stack(sums, 1) / counts[:, None], np.float32)


@torch.inference_mode()
def answer(network: ColorModel, lightness: Floats) -> Floats:
    """(s, s, 2): what a network makes of lightness (s, s)."""
    planes = torch.from_numpy(lightness)[None, None]
    seen = F.interpolate(planes, network.input_size, mode="area")
    ab = F.interpolate(network(seen), lightness.shape, mode="bilinear")
    return np.asarray(ab[0].permute(1, 2, 0).numpy(), np.float32)


def write_samples(folder: Path) -> None:
    """The photographs in colour that scikit-image carries, which anyone may show."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        rgb = np.asarray(getattr(skimage.data, name)(), np.uint8)
        cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))


def write_page(page: Path, photos: Path, out: Path) -> None:
    """Print the page's tables and its pictures anew."""
    put_table(page, "commands", commands())
    put_table(page, "runs", table_of_runs(out))
    put_table(page, "sepia", table_of_sepia(photos, out))
    figures = measure(RUNS, photos / "val.tar", out, limit=MEASURED)
    put_table(page, "figures", markdown(table_of(figures)).splitlines())
    put_table(page, "reports", table_of_reports(figures))
    pictures = page.parent / "pictures"
    draw_curves(out, pictures / "students-curves.png")
    draw(RUNS, out, pictures / "students.jpg")
    draw(DOTS, out, pictures / "students-dots.jpg")


def table_of_reports(figures: Evaluation) -> Iterator[str]:
    """What the reports say, and the same measure of our short runs."""
    found = {row.label: row.means for row in figures.rows}
    yield "| network | the report | ours: accuracy | ours: PSNR over gray, dB |"
    yield "|---|---|---:|---:|"
    for name, said in REPORTS:
        ours, gray = found[name].psnr, found["gray"].psnr
        assert ours is not None
        assert gray is not None
        accuracy = 100 * found[name].accuracy
        yield f"| `{name}` | {said} | {accuracy:.1f} % | {ours - gray:+.2f} |"


def draw(runs: Sequence[Run], out: Path, picture: Path) -> None:
    """The samples in gray, as each network has them, and as they are."""
    sheet = draw_sheet(measure(runs, out / "samples", out, tiles=4))
    quality = [cv2.IMWRITE_JPEG_QUALITY, 85]
    cv2.imwrite(str(picture), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), quality)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/students"))
    parser.add_argument("--into", type=Path, help="the page whose tables are printed anew")
    options = parser.parse_args()
    if not is_cached(EMBEDDING):
        print("Inception-ResNet-v2 isn't here; random weights stand in for it.", file=sys.stderr)
        stand_in_classifier(options.out)
    write_samples(options.out / "samples")
    for run in (*RUNS, *DOTS):
        train(run, options.out if run in DOTS else options.photos, options.out)
    if options.into:
        write_page(options.into, options.photos, options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
