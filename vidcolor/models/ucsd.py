"""`ucsd-eleven`: "Colorizing Grayscale Images" (student report, UC San Diego), eleven convolutions
that turn gray into RGB.

    model = UcsdModel()
    rgb = model.rgb(torch.full((1, 1, 32, 32), 50.0))   # (1, 3, 32, 32), 0..1
    ab = model(torch.full((1, 1, 32, 32), 50.0))        # (1, 2, 32, 32), Lab units

The report gives no widths. These are ours, in the spirit of Zhang's layout that it names, without a
stride, so that any size goes: it was trained on squares of 32, 50, 64 and 90 pixels.

    1 - 64 - 64 - 128 - 128 - 256 - 256 - 128 - 128 - 64 - 64 - 3

The pipeline keeps a film's own luma, so of the predicted RGB only a and b are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from vidcolor.models.color_model import ColorModel
from vidcolor.models.lab import gray_of_lightness, rgb_to_lab


@dataclass(frozen=True, kw_only=True)
class UcsdConfig:
    """Widths of the layers, and the side it sees a frame at."""

    widths: tuple[int, ...] = (64, 64, 128, 128, 256, 256, 128, 128, 64, 64)
    """Outputs of all convolutions but the last, which has 3."""

    side: int = 64
    """Pixels; near those it was trained at, since a stack without strides sees 23 of them."""


class UcsdModel(ColorModel):
    """The report's network; hints are ignored."""

    name: str = "ucsd-eleven"
    size_multiple: ClassVar[int] = 1

    def __init__(self, config: UcsdConfig | None = None) -> None:
        super().__init__()
        self.config = config or UcsdConfig()
        self.see_at(self.config.side)
        layers: list[nn.Module] = []
        inputs = 1
        for width in self.config.widths:
            layers += [
                nn.Conv2d(inputs, width, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.BatchNorm2d(width),
            ]
            inputs = width
        self.layers = nn.Sequential(*layers)
        self.last = nn.Conv2d(inputs, 3, 3, padding=1)

    def forward(self, lightness: Tensor, hints: Tensor | None = None) -> Tensor:
        """Returns ab (N, 2, H, W); units and shapes as in `ColorModel.forward`."""
        return rgb_to_lab(self.rgb(lightness).float())[:, 1:]

    def rgb(self, lightness: Tensor) -> Tensor:
        """Predicted sRGB (N, 3, H, W) in 0..1, which training compares.

        lightness: (N, 1, H, W), CIE L in 0..100; the network is given the gray of that lightness.
        """
        gray = gray_of_lightness(lightness.float()).to(self.last.weight.dtype)
        return torch.sigmoid(self.last(self.layers(gray)))
