"""What `compact` makes of its two heads, at which size, and of hints: tables of docs/compact.md.

    python benchmarks/compact.py photos/val.tar --into docs/compact.md

Each way to read the heads is measured as `vidcolor evaluate` measures a network, on one pass
through the photographs. PSNR alone rewards caution, so colourfulness stands beside it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pages import show
from torch import Tensor

from vidcolor.color import lab_to_rgb, rgb_to_lab
from vidcolor.metrics import ciede2000, colorfulness, psnr
from vidcolor.models.compact import CompactModel, Heads
from vidcolor.models.registry import load_model
from vidcolor.resample import enlarge, shrink
from vidcolor.training.samples import middle
from vidcolor.training.sources import open_source

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

SIDE = 256
"""Of the photographs' middle squares, pixels."""

SIDES = (128, 160, 192, 224, 256)
"""What the network could see them at."""

OBJECT_AREA = (0.02, 0.2)
"""Of an object that is given a hint, as a share of the picture."""

FAR, LEFT_ALONE = 96, 5.0
"""Pixels from a hint, and by how many Lab units nothing out there should move."""


@dataclass(frozen=True)
class Decoding:
    """One way from the heads to colours."""

    name: str
    decode: Callable[[CompactModel, Heads], Tensor]
    """ab (1, 2, H/2, W/2) of the heads' answers."""


def mixed(share: float, temperature: float = 0.38) -> Callable[[CompactModel, Heads], Tensor]:
    """The class head's annealed mean by `share`, the ab head for the rest."""
    return lambda model, heads: (
        share * classes(model, heads, temperature) + (1 - share) * heads.ab.float()
    )


def strengthened(factor: float) -> Callable[[CompactModel, Heads], Tensor]:
    """The ab head alone, times `factor`."""
    return lambda model, heads: heads.ab.float() * factor


def by_certainty(power: float) -> Callable[[CompactModel, Heads], Tensor]:
    """The class head where its entropy is low, the ab head where it doesn't know."""

    def decode(model: CompactModel, heads: Heads) -> Tensor:
        p = torch.softmax(heads.logits.float(), 1)
        entropy = -(p * torch.log(p + 1e-9)).sum(1, keepdim=True) / np.log(p.shape[1])
        share = doubled((1 - entropy).clamp(0, 1) ** power)
        return share * classes(model, heads, 0.38) + (1 - share) * heads.ab.float()

    return decode


def classes(model: CompactModel, heads: Heads, temperature: float) -> Tensor:
    scale = model.config.temperature / temperature
    return doubled(model.decode_classes(heads.logits.float() * scale))


def doubled(planes: Tensor) -> Tensor:
    return F.interpolate(planes, scale_factor=2, mode="bilinear", align_corners=False)


def own(model: CompactModel, heads: Heads) -> Tensor:
    config = model.config
    return config.strength * mixed(config.class_share, config.temperature)(model, heads)


DECODINGS = (
    Decoding("**its answer**", own),
    Decoding("ab head", mixed(0)),
    Decoding("ab head x 1.1", strengthened(1.1)),
    Decoding("ab head x 1.2", strengthened(1.2)),
    Decoding("class head by 1/10, ab head the rest", mixed(0.1)),
    Decoding("by 2/10", mixed(0.2)),
    Decoding("by 3/10", mixed(0.3)),
    Decoding("by 3/10, T = 0.25", mixed(0.3, 0.25)),
    Decoding("by 3/10, T = 1", mixed(0.3, 1.0)),
    Decoding("by 1 - entropy", by_certainty(1)),
    Decoding("by (1 - entropy)^2", by_certainty(2)),
    Decoding("class head", mixed(1)),
)


@dataclass
class Scores:
    """Of one row, a number per photograph."""

    psnr: list[float] = field(default_factory=list)
    colour: list[float] = field(default_factory=list)
    difference: list[float] = field(default_factory=list)

    def take(self, answer: Floats, truth: Floats, lab: Floats) -> None:
        """RGB (h, w, 3) in 0..1 of an answer and the truth, whose Lab is given."""
        self.psnr.append(psnr(answer, truth))
        self.colour.append(colorfulness(answer))
        self.difference.append(float(ciede2000(rgb_to_lab(answer), lab).mean()))


@dataclass(frozen=True)
class Photograph:
    """A middle square in several spaces, (SIDE, SIDE, ...)."""

    lightness: Floats
    lab: Floats
    rgb: Floats

    @classmethod
    def of(cls, rgb: NDArray[np.uint8]) -> Photograph:
        lab = rgb_to_lab(np.asarray(middle(rgb, SIDE), np.float32) / np.float32(255))
        return cls(np.ascontiguousarray(lab[..., 0]), lab, np.clip(lab_to_rgb(lab), 0, 1))

    def seen_at(self, side: int) -> Tensor:
        """(1, 1, side, side), as the network is given it."""
        return torch.from_numpy(shrink(self.lightness, (side, side)))[None, None]

    def coloured(self, ab: Tensor) -> Floats:
        """RGB of its lightness and ab (1, 2, h, w)."""
        planes = enlarged(ab)
        return np.clip(lab_to_rgb(np.dstack([self.lightness, planes])), 0, 1)


def enlarged(ab: Tensor) -> Floats:
    """(SIDE, SIDE, 2) of ab (1, 2, h, w)."""
    planes = np.ascontiguousarray(ab[0].permute(1, 2, 0).float().numpy())
    return np.asarray(enlarge(planes, (SIDE, SIDE)), np.float32)


def photographs(path: Path, limit: int | None) -> Iterator[Photograph]:
    source = open_source(path)
    return (Photograph.of(source.read(i)) for i in islice(range(len(source)), limit))


def table_of_decodings(model: CompactModel, photos: Path, limit: int | None) -> Iterator[str]:
    rows = {each.name: Scores() for each in DECODINGS}
    gray, truth = Scores(), Scores()
    for photo in photographs(photos, limit):
        heads = model.heads(photo.seen_at(model.config.side))
        gray.take(photo.coloured(0 * heads.ab), photo.rgb, photo.lab)
        truth.colour.append(colorfulness(photo.rgb))
        for each in DECODINGS:
            rows[each.name].take(photo.coloured(each.decode(model, heads)), photo.rgb, photo.lab)
    yield "| | PSNR over gray's, dB | colourfulness, % of the truth's | CIEDE2000 |"
    yield "|---|---:|---:|---:|"
    yield f"| gray | 0 | 0 | {np.mean(gray.difference):.2f} |"
    for name, row in rows.items():
        yield row_of(name, row, gray, truth)


def row_of(name: str, row: Scores, gray: Scores, truth: Scores) -> str:
    over = np.mean(row.psnr) - np.mean(gray.psnr)
    colour = 100 * np.mean(row.colour) / np.mean(truth.colour)
    return f"| {name} | {over:+.2f} | {colour:.0f} | {np.mean(row.difference):.2f} |"


def table_of_sides(model: CompactModel, photos: Path, limit: int | None) -> Iterator[str]:
    rows = {side: Scores() for side in SIDES}
    spent = dict.fromkeys(SIDES, 0.0)
    gray, truth = Scores(), Scores()
    for photo in photographs(photos, limit):
        truth.colour.append(colorfulness(photo.rgb))
        gray.take(photo.coloured(torch.zeros(1, 2, 8, 8)), photo.rgb, photo.lab)
        for side in SIDES:
            seen = photo.seen_at(side)
            began = time.perf_counter()
            ab = model(seen)
            spent[side] += time.perf_counter() - began
            rows[side].take(photo.coloured(ab), photo.rgb, photo.lab)
    own_cost = spent[model.config.side]
    yield "| side, px | PSNR over gray's, dB | colourfulness, % of the truth's | CIEDE2000 | time |"
    yield "|---:|---:|---:|---:|---:|"
    for side, row in rows.items():
        yield f"{row_of(str(side), row, gray, truth)} {spent[side] / own_cost:.1f} x |"


# Hints


def an_object(photo: Photograph, rng: np.random.Generator) -> tuple[Mask, tuple[int, int]] | None:
    """Ground of one colour (h, w) and the (x, y) furthest inside it; the largest of a few tries."""
    smooth = cv2.bilateralFilter(photo.lab, 9, 12, 7)
    found: tuple[Mask, tuple[int, int]] | None = None
    for _ in range(12):
        x, y = map(int, rng.integers(20, SIDE - 20, 2))
        mask = np.zeros((SIDE + 2, SIDE + 2), np.uint8)
        flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (1 << 8)
        cv2.floodFill(smooth.copy(), mask, (x, y), (0,), (6, 5, 5), (6, 5, 5), flags)
        ground = mask[1:-1, 1:-1] > 0
        least, most = OBJECT_AREA
        depth = cv2.distanceTransform(ground.astype(np.uint8), cv2.DIST_L2, 3)
        colour = np.linalg.norm(photo.lab[ground][:, 1:].mean(0))
        fits = least < ground.mean() < most and depth.max() >= 5 and colour > 12
        if fits and (found is None or ground.sum() > found[0].sum()):
            row, column = np.unravel_index(depth.argmax(), depth.shape)
            found = ground, (int(column), int(row))
    return found


def table_of_hints(model: CompactModel, photos: Path, limit: int | None) -> Iterator[str]:
    rng = np.random.default_rng(0)
    rows: dict[str, list[tuple[float, float]]] = {"its true colour": [], "the opposite": []}
    side = model.config.side
    down, across = np.mgrid[:SIDE, :SIDE]
    for photo in photographs(photos, limit):
        found = an_object(photo, rng)
        if found is None:
            continue
        ground, (x, y) = found
        seen = photo.seen_at(side)
        before = enlarged(model(seen))
        true = photo.lab[ground][:, 1:].mean(0)
        for name, wanted in zip(rows, (true, -true), strict=True):
            way = wanted - before[ground].mean(0)
            if np.linalg.norm(way) < 12:
                continue
            after = enlarged(model(seen, hint_planes(wanted, (x, y), side)))
            moved = float((after - before)[ground].mean(0) @ way / (way @ way))
            far = np.linalg.norm(after - before, axis=2)[np.hypot(across - x, down - y) > FAR]
            rows[name].append((moved, float(far.max(initial=0))))
    yield "| hint | objects | moved, median | halfway or more | far off, median | more than 5 |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, cells in rows.items():
        if not cells:
            continue
        moved, far_off = np.array(cells).T
        halfway = 100 * np.mean(moved >= 0.5)
        yield (
            f"| {name} | {len(cells)} | {np.median(moved):.2f} | {halfway:.0f} % | "
            f"{np.median(far_off):.1f} | {100 * np.mean(far_off > LEFT_ALONE):.0f} % |"
        )


def hint_planes(ab: Floats, place: tuple[int, int], side: int) -> Tensor:
    """(1, 3, side, side): a square of 7 pixels around (x, y) of the photograph."""
    x, y = (value * side // SIDE for value in place)
    hints = torch.zeros(1, 3, side, side)
    rows, columns = slice(max(0, y - 3), y + 4), slice(max(0, x - 3), x + 4)
    hints[0, :, rows, columns] = torch.tensor([*ab, 1.0])[:, None, None]
    return hints


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("photos", type=Path, help="photographs that weren't learned from")
    parser.add_argument("--weights", type=Path, help="other weights than the package's")
    parser.add_argument("--limit", type=int, help="only the first N photographs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--into", type=Path, help="a page whose tables are printed anew")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = load_model("compact", given.weights)
    assert isinstance(model, CompactModel)
    model.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    tables = {
        "decodings": table_of_decodings,
        "sides": table_of_sides,
        "hints": table_of_hints,
    }
    with torch.inference_mode():
        for name, table in tables.items():
            show(name, list(table(model, given.photos, given.limit)), given.into)


if __name__ == "__main__":
    main()
