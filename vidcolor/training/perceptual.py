"""Perceptual loss: two colourings are close when a network that sees colours sees them alike.

    loss = PerceptualLoss.load()
    loss(lightness, predicted_ab, true_ab)      # a number, with gradients to predicted_ab

After Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and
Super-Resolution" (ECCV 2016). Their features are those of a classifier; ours are those of a
colorizer that takes hints: given every pixel's colour as a hint, its first blocks describe a
coloured picture. siggraph17 with its official weights where they are here, else compact.
"""

from __future__ import annotations

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from vidcolor.models.catalogue import is_cached
from vidcolor.models.compact import CompactModel
from vidcolor.models.registry import load_model
from vidcolor.models.siggraph17 import Siggraph17Model


class PerceptualLoss:
    """The distance of features; the network that gives them isn't trained."""

    def __init__(self, network: Siggraph17Model | CompactModel) -> None:
        self._network = network.eval().requires_grad_(False)

    @classmethod
    def load(cls) -> Self:
        """With the best network that is here. Raises WeightsError on damaged weights."""
        network = load_model("siggraph17" if is_cached("siggraph17") else "compact")
        assert isinstance(network, Siggraph17Model | CompactModel)
        return cls(network)

    @property
    def name(self) -> str:
        """The network that judges."""
        return self._network.name

    def __call__(self, lightness: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
        """The mean squared difference of features, each block's in units of its own strength.

        lightness: (N, 1, S, S), CIE L in 0..100, S a multiple of the network's. predicted, true: ab
        (N, 2, h, w) in Lab units; they are enlarged to S. Returns a scalar.
        """
        self._network.to(lightness.device)
        with torch.no_grad():
            wanted = self._features(lightness, true)
        given = self._features(lightness, predicted)
        parts = [
            F.mse_loss(one.float(), other.float()) / other.float().square().mean().clamp(min=1e-6)
            for one, other in zip(given, wanted, strict=True)
        ]
        return torch.stack(parts).mean()

    def _features(self, lightness: Tensor, ab: Tensor) -> list[Tensor]:
        size = lightness.shape[2:]
        full = F.interpolate(ab.float(), size=size, mode="bilinear", align_corners=False)
        everywhere = torch.ones_like(lightness)
        return self._network.features(lightness, torch.cat([full, everywhere], 1))
