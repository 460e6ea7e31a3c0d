"""`stclair-autoencoder`: "Coloring black and white images using Keras" (student report, St. Clair
College), a plain autoencoder of convolutions at 256x256.

    model = StClairModel(StClairConfig(kernel=5))
    ab = model(torch.full((1, 1, 256, 256), 50.0))      # (1, 2, 256, 256), Lab units

    side  256  128  128  64   64   32   32   32   32   32   64   128  256
         L - 64 - 128-128 - 256-256 - 512-512-256-128 -- 64 - 32-16-2 - ab
             s2       s2        s2                    up    up       up

The report calls it U-Net-like, though nothing crosses from the way down to the way up. It varied
the kernel (3, 5, 7) among much else; the table of its layers is with 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from vidcolor.models.color_model import ColorModel

AB_NORM = 128.0
"""Lab units that the last layer's tanh reaches."""


@dataclass(frozen=True, kw_only=True)
class StClairConfig:
    """What the report varied of the network itself, and the size it sees."""

    kernel: Literal[3, 5, 7] = 3
    """Side of every convolution's kernel."""

    side: int = 256
    """Of the square a frame is stretched to, pixels."""


class StClairModel(ColorModel):
    """The report's network; hints are ignored."""

    name: str = "stclair-autoencoder"
    size_multiple: ClassVar[int] = 8

    def __init__(self, config: StClairConfig | None = None) -> None:
        super().__init__()
        self.config = config or StClairConfig()
        self.see_at(self.config.side)
        # A negative width is a convolution of stride 2; 0 doubles the side.
        widths = (-64, 128, -128, 256, -256, 512, 512, 256, 128, 0, 64, 0, 32, 16)
        self.layers = nn.Sequential(*conv_stack(1, widths, self.config.kernel))
        self.last = nn.Conv2d(16, 2, self.config.kernel, padding=self.config.kernel // 2)

    def forward(self, lightness: Tensor, hints: Tensor | None = None) -> Tensor:
        """Returns ab (N, 2, H, W); units and shapes as in `ColorModel.forward`."""
        return self.raw(lightness).float()

    def raw(self, lightness: Tensor) -> Tensor:
        """ab (N, 2, H, W) in Lab units, -128..128, which training compares.

        lightness: (N, 1, H, W), CIE L in 0..100; the network is given it in 0..1.
        """
        x = (lightness / 100).to(self.last.weight.dtype)
        x = torch.tanh(self.last(self.layers(x))) * AB_NORM
        return nn.functional.interpolate(x, scale_factor=2, mode="nearest")


def conv_stack(inputs: int, widths: tuple[int, ...], kernel: int = 3) -> list[nn.Module]:
    """Convolutions with ReLU: a width each, negative for stride 2, 0 for a doubling of the side."""
    layers: list[nn.Module] = []
    for width in widths:
        if not width:
            layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
            continue
        stride = 2 if width < 0 else 1
        conv = nn.Conv2d(inputs, abs(width), kernel, stride=stride, padding=kernel // 2)
        layers += [conv, nn.ReLU(inplace=True)]
        inputs = abs(width)
    return layers
