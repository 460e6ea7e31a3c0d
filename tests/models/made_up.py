"""Weights, pictures and hints anyone can make again from names alone, as the golden outputs were.

    model = made_up_network("eccv16")
    ab = model(made_up_lightness(64, 80))

The recipe is the golden outputs' own: every tensor is drawn from a generator seeded with the
crc32 of its name, and scaled so that signals neither die nor blow up.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.models.color_model import ColorModel
from vidcolor.models.deepcolor import DeepColorModel
from vidcolor.models.registry import entry_of

DATA = Path(__file__).parent / "data"
TRANSPOSED = {
    "eccv16": ("model8.0.weight",),
    "siggraph17": ("model8up.0.weight", "model9up.0.weight", "model10up.0.weight"),
}
FACTORS = {
    ("eccv16", "model8.6.weight"): 4.0,
    ("eccv16", "model_out.weight"): 100.0,
    ("siggraph17", "model_out.0.weight"): 0.5,
}


def published_shapes(name: str) -> dict[str, list[int]]:
    """Names and shapes of a published state dict, in its order."""
    shapes: dict[str, list[int]] = json.loads((DATA / "zhang_state_dicts.json").read_text())[name]
    return shapes


def made_up_network(name: str) -> ColorModel:
    """A Zhang network with made-up weights, in eval mode."""
    with torch.device("meta"):
        model = entry_of(name).build()
    state = {key: made_up_tensor(name, key, shape) for key, shape in published_shapes(name).items()}
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval()


def made_up_tensor(name: str, key: str, shape: list[int]) -> Tensor:
    r = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape)
    if len(shape) == 4:
        fan = shape[0] * 4 if key in TRANSPOSED[name] else shape[1] * shape[2] * shape[3]
        r = r * np.sqrt(2 / fan) * FACTORS.get((name, key), 1.0)
    elif key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    elif key.endswith("running_var"):
        r = 1 + 0.2 * np.abs(r)
    elif key.endswith("weight"):
        r = 1 + 0.1 * r
    else:
        r = 0.05 * r
    return torch.from_numpy(r.astype(np.float32))


class MadeUpClassifier(nn.Module):
    """In Inception-ResNet-v2's place: scores that depend on the picture, from no weights."""

    def forward(self, rgb: Tensor) -> Tensor:
        means = F.adaptive_avg_pool2d(rgb[:, :1], 4).flatten(1)
        directions = torch.linspace(-1, 1, 16 * 1000, device=rgb.device).reshape(16, 1000)
        return means @ directions


def with_classifier(model: ColorModel) -> ColorModel:
    """The network itself; one of DeepColor's with a made-up classifier."""
    if isinstance(model, DeepColorModel):
        model.embedder.network = MadeUpClassifier()
    return model


def made_up_lightness(height: int, width: int, seed: int = 0) -> Tensor:
    """(1, 1, H, W) float32, L in 10..90: waves."""
    y, x = np.mgrid[:height, :width]
    lightness = 50 + 40 * np.sin(x / 7 + seed) * np.cos(y / 5)
    return torch.from_numpy(lightness.astype(np.float32))[None, None]


def made_up_hints(height: int, width: int) -> Tensor:
    """(1, 3, H, W): two squares of 3x3, ab (40, -30) and (-25, 50), mask 1 there."""
    hints = torch.zeros(1, 3, height, width)
    for y, x, a, b in ((height // 4, width // 4, 40, -30), (height // 2, 3 * width // 4, -25, 50)):
        hints[0, :, y : y + 3, x : x + 3] = torch.tensor([a, b, 1.0])[:, None, None]
    return hints
