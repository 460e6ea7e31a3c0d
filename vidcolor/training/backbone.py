"""A start for compact's encoder: MobileNetV2 as ImageNet taught it.

load_backbone(model, Path("mobilenet_v2_imagenet.npz"))
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from vidcolor.errors import TrainingError
from vidcolor.models.compact import CompactModel


def load_backbone(model: CompactModel, path: Path) -> None:
    """Start the encoder from MobileNetV2's ImageNet convolutions (BatchNorm folded in).

    path: an .npz with `NN.weight` and `NN.bias` in forward order. The three colour planes of its
    first convolution become the one of lightness, and the hint planes start at zero.
    Raises TrainingError when a shape differs.
    """
    if not path.is_file():
        raise TrainingError(
            f"the recipe starts from {path}, which isn't there; put the file there, or begin "
            "without it: --set backbone=."
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(f"the backbone {path} can't be read: {error}.") from error
    convs = [model.stem, *convolutions(model.blocks), *convolutions(model.top)]
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


def convolutions(part: nn.Module) -> list[nn.Conv2d]:
    """The convolutions of `part`, in forward order."""
    return [m for m in part.modules() if isinstance(m, nn.Conv2d)]
