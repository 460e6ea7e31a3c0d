"""How a network does on the validation photographs while it is trained.

    reading = read_off(network, data, recipe, torch.device("cpu"))
    reading.figures["psnr"], reading.figures["gray_psnr"]

`vidcolor evaluate` measures a finished network by more; this is what a curve needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from vidcolor.color import lab_to_rgb
from vidcolor.metrics import argmax_accuracy, colorfulness, psnr
from vidcolor.models.color_model import ColorModel
from vidcolor.training.dataset import Dataset
from vidcolor.training.recipe import Recipe

SHOWN = 8
"""Photographs of the picture."""


@dataclass(frozen=True)
class Reading:
    """One reading."""

    figures: dict[str, float]
    """Means: psnr and gray_psnr (dB), color and truth_color (colourfulness), accuracy (0..1)."""

    picture: NDArray[np.uint8]
    """(3 S, n S, 3) RGB: gray, the network's answer and the truth, one photograph a column."""


@torch.inference_mode()
def read_off(network: ColorModel, data: Dataset, recipe: Recipe, device: torch.device) -> Reading:
    """Colour the first photographs of `data` in float32 and measure them."""
    network.eval()
    rows: list[dict[str, float]] = []
    columns: list[NDArray[np.float32]] = []
    for position in range(min(recipe.measured, len(data))):
        sample, _, _ = data.sample(0, position)
        lightness = torch.from_numpy(sample.lightness)[None].to(device)
        ab = network(lightness).float()
        ab = F.interpolate(ab, size=lightness.shape[2:], mode="bilinear", align_corners=False)
        answer = ab[0].cpu().numpy()
        gray, guess, truth = (
            _rgb(sample.lightness, each) for each in (0 * sample.ab, answer, sample.ab)
        )
        rows.append(
            {
                "psnr": psnr(guess, truth),
                "gray_psnr": psnr(gray, truth),
                "color": colorfulness(guess),
                "truth_color": colorfulness(truth),
                "accuracy": argmax_accuracy(_last(answer), _last(sample.ab)),
            }
        )
        if len(columns) < SHOWN:
            columns.append(np.concatenate([gray, guess, truth]))
    figures = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}
    return Reading(figures, np.rint(np.concatenate(columns, 1) * 255).astype(np.uint8))


def _last(ab: NDArray[np.float32]) -> NDArray[np.float32]:
    """(2, h, w) -> (h, w, 2), as metrics have it."""
    return np.ascontiguousarray(ab.transpose(1, 2, 0))


def _rgb(lightness: NDArray[np.float32], ab: NDArray[np.float32]) -> NDArray[np.float32]:
    """RGB (h, w, 3) in 0..1 of L (1, h, w) and ab (2, h, w)."""
    lab = np.concatenate([lightness, ab.astype(np.float32)]).transpose(1, 2, 0)
    return np.clip(lab_to_rgb(np.ascontiguousarray(lab)), 0, 1)
