"""Train the compact network from a recipe; stop it whenever, run it again to go on.

    python -m vidcolor.training configs/train/compact.toml \\
        --photos ../photos --backbone mobilenet.npz --out runs/compact

The loop is short on purpose and stands in one place, `train`. A step's samples derive from
(seed, step) alone and a checkpoint holds everything else, so stopping leaves no trace.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
import tomllib
from collections.abc import Generator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from vidcolor.color import lab_to_rgb, rgb_to_lab
from vidcolor.errors import TrainingError
from vidcolor.metrics import colorfulness, psnr
from vidcolor.models.compact import CompactModel
from vidcolor.prefetch import prefetched
from vidcolor.training.losses import BinCoder, two_head_loss
from vidcolor.training.photos import PhotoTars, center_crop, film_sample

CHECKPOINT = "checkpoint.pt"
SAVE_SECONDS = 120
"""Time between checkpoints: what a power cut may cost."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run; `configs/train/compact.toml` says what each value does."""

    seed: int = 1
    size: int = 128
    batch: int = 32
    steps: int = 2000
    rate: float = 1e-3
    encoder_share: float = 0.25
    weight_decay: float = 1e-2
    warmup: int = 100
    decay: float = 0.35
    ema: float = 0.998
    hinted: float = 0.15
    ab_share: float = 1.0
    measure_every: int = 500
    source_weights: dict[str, float] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read a TOML recipe. Raises TrainingError on a file or key that doesn't fit."""
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise TrainingError(f"the recipe {path} can't be read: {error}.") from error
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(table) - known):
            raise TrainingError(
                f"the recipe {path} has the unknown key {unknown[0]!r}; known are {sorted(known)}."
            )
        return cls(**table)

    def __post_init__(self) -> None:
        for f in fields(self):
            value, default = getattr(self, f.name), f.default
            if f.name == "source_weights":
                fits = isinstance(value, dict)
            else:
                whole = isinstance(default, int)
                fits = isinstance(value, int if whole else (int, float)) and value >= 0
            if not fits or isinstance(value, bool):
                raise TrainingError(f"{f.name} is {value!r} in the recipe; expected {f.type}.")
        for name in ("size", "batch", "steps", "warmup", "measure_every"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} is 0 in the recipe; expected at least 1.")

    def rate_at(self, step: int) -> float:
        """Share of the peak rate at `step`: linear warm-up, a plateau, a linear fall to zero."""
        start = self.steps * (1 - self.decay)
        fall = 1.0 if step < start else max(0.0, (self.steps - step) / (self.steps - start))
        return min((step + 1) / self.warmup, fall)


def train(
    recipe: Recipe, photos: PhotoTars, validation: PhotoTars, out: Path, backbone: Path | None
) -> CompactModel:
    """Run `recipe` to its end, from `out`'s checkpoint where there is one.

    Writes `out`/checkpoint.pt every two minutes and at the end, and a line of JSON per reading
    to `out`/log.jsonl. Returns the averaged (EMA) network. Raises TrainingError when the loss
    stops being a number.
    """
    out.mkdir(parents=True, exist_ok=True)
    run = Run.start(recipe, out, backbone)
    coder, log = BinCoder(), Log(out / "log.jsonl")
    saved = time.monotonic()
    for step, lightness, hints, ab in batches(recipe, photos, run.step):
        for group in run.optimizer.param_groups:
            group["lr"] = group["peak"] * recipe.rate_at(step)
        run.model.train()
        with torch.autocast("cpu", torch.bfloat16):
            heads = run.model.heads(lightness, hints)
        loss, named = two_head_loss(heads, ab, coder, ab_share=recipe.ab_share)
        if not math.isfinite(loss.item()):
            raise TrainingError(
                f"the loss is {loss.item()} at step {step} with rate {recipe.rate}; lower the rate."
            )
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(run.model.parameters(), 5.0)
        run.optimizer.step()
        run.step = step + 1
        update_average(run.average, run.model, min(recipe.ema, (1 + step) / (10 + step)))
        log.step(step, named)
        if run.step % recipe.measure_every == 0 or run.step == recipe.steps:
            log.write({"step": run.step, **measure(run.average, validation, limit=200)})
        if time.monotonic() - saved >= SAVE_SECONDS or run.step == recipe.steps:
            run.save(out)
            saved = time.monotonic()
    return run.average


@dataclass
class Run:
    """Everything a stopped run needs to go on."""

    model: CompactModel
    average: CompactModel
    optimizer: torch.optim.AdamW
    step: int = 0

    @classmethod
    def start(cls, recipe: Recipe, out: Path, backbone: Path | None) -> Run:
        torch.manual_seed(recipe.seed)
        model = CompactModel()
        if backbone:
            load_backbone(model, backbone)
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Lists, not sets: a checkpoint knows the parameters by their order alone.
        encoder = [*model.stem.parameters(), *model.blocks.parameters()]
        known = {id(p) for p in encoder}
        decoder = [p for p in model.parameters() if id(p) not in known]
        groups = [
            {"params": encoder, "peak": recipe.rate * recipe.encoder_share},
            {"params": decoder, "peak": recipe.rate},
        ]
        optimizer = torch.optim.AdamW(groups, lr=recipe.rate, weight_decay=recipe.weight_decay)
        run = cls(model, copy.deepcopy(model).eval(), optimizer)
        if (out / CHECKPOINT).exists():
            run.restore(out / CHECKPOINT)
        return run

    def restore(self, path: Path) -> None:
        try:
            state = torch.load(path, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]
        except Exception as error:  # torch raises whatever a damaged file makes it raise
            raise TrainingError(
                f"{path} is no checkpoint of this network, or is damaged ({error}); move it away "
                "to begin anew."
            ) from error

    def save(self, out: Path) -> None:
        """Write the checkpoint under a temporary name, then give it its own."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }
        temporary = out / (CHECKPOINT + ".part")
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(out / CHECKPOINT)


def load_backbone(model: CompactModel, path: Path) -> None:
    """Start the encoder from MobileNetV2's ImageNet convolutions (BatchNorm folded in).

    path: an .npz with `NN.weight` and `NN.bias` in forward order; the last 1x1 is left out. The
    three colour planes of its first convolution become the one of lightness, and the hint
    planes start at zero. Raises TrainingError when a shape differs.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(f"the backbone {path} can't be read: {error}.") from error
    convs = [model.stem, *(m for m in model.blocks.modules() if isinstance(m, nn.Conv2d))]
    for i, conv in enumerate(convs):
        if f"{i:02d}.weight" not in arrays or f"{i:02d}.bias" not in arrays:
            raise TrainingError(f"the backbone {path} lacks the convolution {i:02d}.")
        weight = torch.from_numpy(arrays[f"{i:02d}.weight"].astype(np.float32))
        if i == 0:
            lightness = 2 * weight.sum(1, keepdim=True)  # its planes are (L-50)/50, ours half
            weight = torch.cat([lightness, torch.zeros(weight.shape[0], 3, 3, 3)], 1)
        if weight.shape != conv.weight.shape or conv.bias is None:
            raise TrainingError(
                f"{path} doesn't fit the encoder: convolution {i} is {tuple(weight.shape)}, "
                f"expected {tuple(conv.weight.shape)}."
            )
        conv.weight.data.copy_(weight)
        conv.bias.data.copy_(torch.from_numpy(arrays[f"{i:02d}.bias"]))


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights and BatchNorm statistics towards the model's."""
    for kept, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


Batch = tuple[int, Tensor, Tensor, Tensor]


def batches(recipe: Recipe, photos: PhotoTars, first_step: int) -> Generator[Batch]:
    """Yield (step, lightness, hints, ab) from `first_step` on, made ahead in a thread."""
    chances = source_chances(photos.names, recipe.source_weights)
    made = (make_batch(recipe, photos, chances, step) for step in range(first_step, recipe.steps))
    return prefetched(made, 2, thread_name="batches")


def source_chances(names: list[str], weights: dict[str, float]) -> NDArray[np.float64]:
    """Probability of each photograph; its source is the part of its name after the last `_`."""
    chances = np.array([weights.get(Path(n).stem.rsplit("_", 1)[-1], 1.0) for n in names])
    return np.asarray(chances / chances.sum())


def make_batch(recipe: Recipe, photos: PhotoTars, chances: NDArray[np.float64], step: int) -> Batch:
    rng = np.random.default_rng((recipe.seed, step))
    picks = rng.choice(len(photos), recipe.batch, p=chances)
    samples = [film_sample(photos.decode(int(i)), size=recipe.size, rng=rng) for i in picks]
    lightness = torch.from_numpy(np.stack([s.lightness for s in samples]))
    ab = torch.from_numpy(np.stack([s.ab for s in samples]))
    hints = torch.zeros(recipe.batch, 3, recipe.size, recipe.size)
    for i in range(recipe.batch):
        if rng.random() < recipe.hinted:
            simulate_hints(hints[i], ab[i], rng)
    return step, lightness, hints, ab


def simulate_hints(hints: Tensor, ab: Tensor, rng: np.random.Generator) -> None:
    """Write hints (3, S, S) as SIGGRAPH 2017, section 3.3, draws them: a geometric number of
    points (p = 1/8), each the mean ab of a patch of 1 to 9 pixels a side."""
    size = ab.shape[-1]
    for _ in range(int(rng.geometric(0.125))):
        side = int(rng.integers(1, 10))
        y, x = (int(v) for v in rng.integers(0, size - side, 2))
        patch = ab[:, y : y + side, x : x + side].mean((1, 2))
        hints[:2, y : y + side, x : x + side] = patch[:, None, None]
        hints[2, y : y + side, x : x + side] = 1


@torch.inference_mode()
def measure(
    model: CompactModel, photos: PhotoTars, *, limit: int | None = None, size: int = 128
) -> dict[str, float]:
    """PSNR (dB) and colourfulness, means over the first `limit` photographs' centre squares.

    Keys: `gray_psnr`, `truth_color`, and `psnr_K`, `color_K` for K in `ab` (the ab head),
    `class` (the class head) and `mix` (the network's own answer).
    """
    model.eval()
    sums: dict[str, list[float]] = {}
    for i in range(min(limit or len(photos), len(photos))):
        truth = center_crop(photos.decode(i), size).astype(np.float32) / np.float32(255)
        lab = rgb_to_lab(truth)
        lightness = torch.from_numpy(lab[None, None, ..., 0].copy())
        with torch.autocast("cpu", torch.bfloat16):
            heads = model.heads(lightness)
            answers = {"ab": heads.ab, "class": model.decode_classes(heads.logits)}
            answers["mix"] = model(lightness)
        gray = with_ab(lab, np.zeros((2, size, size), np.float32))
        row = {"gray_psnr": psnr(gray, truth), "truth_color": colorfulness(truth)}
        for key, ab in answers.items():
            full = F.interpolate(ab.float(), size=(size, size), mode="bilinear")[0].numpy()
            rgb = with_ab(lab, full)
            row |= {f"psnr_{key}": psnr(rgb, truth), f"color_{key}": colorfulness(rgb)}
        for key, value in row.items():
            sums.setdefault(key, []).append(value)
    return {key: round(float(np.mean(values)), 3) for key, values in sums.items()}


def with_ab(lab: NDArray[np.float32], ab: NDArray[np.float32]) -> NDArray[np.float32]:
    """RGB (H, W, 3) in 0..1 of `lab`'s lightness with `ab` (2, H, W)."""
    colored = np.dstack([lab[..., 0], ab[0], ab[1]]).astype(np.float32)
    return lab_to_rgb(colored)


class Log:
    """One line of JSON per reading, and the running means of the losses in between."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started = time.monotonic()
        self.window: list[dict[str, float]] = []

    def step(self, step: int, named: dict[str, float]) -> None:
        self.window.append(named)
        if len(self.window) == 50:
            means = {k: round(sum(w[k] for w in self.window) / 50, 4) for k in named}
            self.write({"step": step + 1, **means})
            self.window.clear()

    def write(self, row: dict[str, float]) -> None:
        row["seconds"] = round(time.monotonic() - self.started, 1)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def recipe_text(recipe: Recipe) -> str:
    """The recipe as one line of JSON, as it goes into the weights' metadata."""
    return json.dumps(asdict(recipe), sort_keys=True)
