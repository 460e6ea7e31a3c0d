"""Ideas for the recipe of `compact`, each tried for a few minutes: a table of docs/compact.md.

    python benchmarks/ideas.py photos/ --out runs/ideas --into docs/compact.md

Every idea is the recipe with one thing changed, trained on as many samples as the others unless it
says otherwise, and measured on validation photographs. `photos/` is the data folder of `vidcolor
train compact`; a folder `films` in it holds colour films, for one idea.

A bold network has less PSNR than a cautious one of the same knowledge, so before they are compared
the ab of each is strengthened or weakened until it has EVEN_COLOUR of the truth's colourfulness.
Finished runs are taken as they are; stopped ones go on.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from compact import Photograph, photographs
from pages import show
from students import Run, draw, train, write_samples

from vidcolor import heap
from vidcolor.metrics import colorfulness, psnr
from vidcolor.models.registry import load_model

SHORT = {"size": 128, "batch": 16, "steps": 500}
"""Of every run, unless it is what the idea changes."""

EVEN_COLOUR = 0.55
"""Of the truth's colourfulness."""

FACTORS = (0.7, 1.0, 1.4, 2.0, 2.8)
"""By which ab is multiplied; between two of them PSNR and colourfulness lie on a line."""

PEOPLE = '"*_flickr.*" = 1.5, "*_faces.*" = 1.5, "*_fashion.*" = 1.5'
"""As in the recipe."""
FILMS = '"*@*" = 4.0'
"""Frames of films, of which there are few."""
TOGETHER: dict[str, object] = {
    "objective.rebalance": "none",
    "objective.knee": 40.0,
    "data.weights": "{}",
}


@dataclass(frozen=True)
class Idea:
    """One change of the recipe."""

    name: str
    expected: str
    """What it should do, said before it was tried."""

    changes: dict[str, object] = field(default_factory=dict)

    @property
    def run(self) -> Run:
        folder = "-".join(self.name.replace(",", "").replace(".", "").split())
        return Run(folder, "compact", {**SHORT, **self.changes})


RECIPE = "the recipe"

IDEAS = (
    Idea(RECIPE, "-"),
    Idea(f"{RECIPE}, seed 2", "the same, but for chance", {"seed": 2}),
    Idea(f"{RECIPE}, seed 3", "the same, but for chance", {"seed": 3}),
    Idea("encoder from scratch", "much worse: few photographs", {"backbone": ""}),
    Idea("encoder frozen", "a little worse", {"optimizer.encoder_share": 0.0}),
    Idea("encoder at the full rate", "forgets ImageNet: worse", {"optimizer.encoder_share": 1.0}),
    Idea("no dropout", "worse: it learns by heart", {"options.dropout": 0.0}),
    Idea("weight decay 0.01", "worse: it learns by heart", {"l2": 0.01}),
    Idea("classes not rebalanced", "better PSNR, duller", {"objective.rebalance": "none"}),
    Idea(
        "classes not rebalanced, seed 2",
        "the same, but for chance",
        {"objective.rebalance": "none", "seed": 2},
    ),
    Idea(
        "ab head alone",
        "a little worse: classes teach more",
        {"objective.name": "smooth-l1", "options.class_share": 0.0},
    ),
    Idea("mean instead of median", "less gray at the same PSNR", {"objective.knee": 40.0}),
    Idea("lightness not aged", "better on photographs, worse on film", {"data.augment": "crop"}),
    Idea("no hints", "a little better", {"data.hinted": 0.0}),
    Idea("people as often as the rest", "a little better here", {"data.weights": "{}"}),
    Idea("not rebalanced, mean, people as often", "what looked best, together", TOGETHER),
    Idea("wider decoder, 4.7 M", "a little better", {"options.decoder": "[256, 176, 128, 64]"}),
    Idea("narrower decoder", "a little worse", {"options.decoder": "[128, 96, 64, 32]"}),
    Idea("seen at 160 px", "better: more detail", {"size": 160}),
    Idea("no averaged weights", "worse", {"ema": 0.0}),
    Idea("seen at 224 px", "better still, three times the time", {"size": 224}),
    Idea("three times as long", "much better", {"steps": 1500}),
    Idea(
        "frames of colour films too",
        "nothing here: too few",
        {"data.train": '["train-*.tar", "films"]', "data.weights": f"{{{PEOPLE}, {FILMS}}}"},
    ),
)

SHOWN = (
    RECIPE,
    "encoder from scratch",
    "ab head alone",
    "classes not rebalanced",
    "mean instead of median",
    "lightness not aged",
    "seen at 224 px",
    "three times as long",
)
"""Ideas whose pictures stand on the page."""


def measured(run: Run, out: Path, photos: list[Photograph]) -> tuple[float, float]:
    """PSNR over gray's at EVEN_COLOUR, and colourfulness before that, as a share of the truth's."""
    model = load_model("compact", out / run.name / "compact.safetensors")
    colours, over_gray, truths = [], [], []
    for photo in photos:
        ab = model(photo.seen_at(192))
        answers = [photo.coloured(ab * factor) for factor in FACTORS]
        gray = psnr(photo.coloured(0 * ab), photo.rgb)
        colours.append([colorfulness(answer) for answer in answers])
        over_gray.append([psnr(answer, photo.rgb) - gray for answer in answers])
        truths.append(colorfulness(photo.rgb))
    colour = list(np.mean(colours, axis=0) / np.mean(truths))
    over = list(np.mean(over_gray, axis=0))
    if not colour[0] <= EVEN_COLOUR <= colour[-1]:
        raise ValueError(f"{run.name} has {colour} of the truth's colourfulness; widen FACTORS")
    return float(np.interp(EVEN_COLOUR, colour, over)), colour[FACTORS.index(1.0)]


def table(out: Path, photos: list[Photograph]) -> Iterator[str]:
    found = [(idea, *measured(idea.run, out, photos)) for idea in IDEAS]
    usual = [over for idea, over, _ in found if idea.name.startswith(RECIPE)]
    yield "| idea | expected | PSNR over gray's, dB | beside the recipe | colourfulness, % |"
    yield "|---|---|---:|---:|---:|"
    for idea, over, colour in found:
        beside = f"{over - np.mean(usual):+.2f}"
        yield f"| {idea.name} | {idea.expected} | {over:+.2f} | {beside} | {100 * colour:.0f} |"
    yield ""
    yield (
        f"Beside the mean of the recipe's {len(usual)} seeds, which lie within "
        f"{max(usual) - min(usual):.2f} dB: what is nearer than that may be chance."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("photos", type=Path, help="the data folder of `vidcolor train compact`")
    parser.add_argument("--out", type=Path, default=Path("runs/ideas"))
    parser.add_argument("--measured", type=int, default=200, help="validation photographs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--into", type=Path, help="a page whose table is printed anew")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    heap.keep()
    for idea in IDEAS:
        train(idea.run, given.photos, given.out)
    photos = list(photographs(given.photos / "val.tar", given.measured))
    with torch.inference_mode():
        show("ideas", list(table(given.out, photos)), given.into)
    if given.into:
        write_samples(given.out / "samples")
        shown = [idea.run for idea in IDEAS if idea.name in SHOWN]
        draw(shown, given.out, given.into.parent / "pictures" / "compact-ideas.jpg")


if __name__ == "__main__":
    main()
