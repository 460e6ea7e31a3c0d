"""`osnabrueck-121`, `osnabrueck-regression`: "Colorful Image Colorization with TensorFlow"
(student report, Osnabrück, 2020), Zhang's layers of 2016 rebuilt at 224x224.

    model = OsnabrueckModel()                                     # 121 classes, as reported
    model = OsnabrueckModel(OsnabrueckConfig(enlarge="resize"))   # the same, cured

A stack of convolutions goes down to 14x14, and one layer goes back up to 224x224 at once:

    side  224  112  56   28   28   28   28   14        14      224       224
         L - 64 -128 -256 -512 -512 -512 -512 -256-256-256 - 121 == 121 -- 121 - ab
                                                       enlarge    1x1

The report ends with a bug that its authors couldn't explain: "tiny coloured squares of nine pixels
on a 14x14 grid". It is that one layer. They enlarged by a transposed convolution of 3x3 at stride
16 (224 / 14). A transposed convolution adds its kernel, scaled by each input, into the output at
every 16th row and column; a kernel of 3x3 then reaches 9 of every 256 pixels, and all the others
get the bias alone: one constant colour, whatever the picture shows. Only the nine pixels beside
each of the 14x14 places can learn anything.

    .  .  .  .  .  .  .  .          x: reached by the kernel
    .  .  .  .  .  .  .  .          .: the bias and nothing else
    x  x  x  .  ...  .  x  x  x
    x  x  x  .  ...  .  x  x  x
    x  x  x  .  ...  .  x  x  x
    |<------ 16 ------>|

The cure must let every output pixel see an input. `enlarge="resize"` enlarges bilinearly and puts a
plain 3x3 convolution behind it, which has just as many parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.models.cantor import AbGrid
from vidcolor.models.color_model import ColorModel
from vidcolor.models.eccv16 import conv_block, conv_relu

SCALE = 16
"""From the bottleneck's side to the input's."""


@dataclass(frozen=True, kw_only=True)
class OsnabrueckConfig:
    """Which of the report's two networks, and how it enlarges."""

    classes: bool = True
    """121 classes of colour; or ab itself, by regression."""

    enlarge: Literal["transposed", "resize"] = "transposed"
    """The report's layer with its nine pixels, or the cure."""

    dilation: int = 1
    """Of the middle blocks; the original network has 2 there, the report's table none."""

    decode: Literal["floor", "centre", "mean"] = "mean"
    """What colour the scores mean: the likeliest class's least value, as the report has it, or its
    middle; or all classes' annealed mean, which doesn't jump from frame to frame."""

    temperature: float = 0.38
    """T of the annealed mean (ECCV 2016, section 2.3)."""

    side: int = 224
    """Of the square a frame is stretched to, pixels."""


class OsnabrueckModel(ColorModel):
    """The report's network; hints are ignored."""

    name: str = "osnabrueck-121"
    size_multiple: ClassVar[int] = SCALE
    counts_statistics: ClassVar[bool] = True

    def __init__(self, config: OsnabrueckConfig | None = None) -> None:
        super().__init__()
        self.config = config or OsnabrueckConfig()
        self.name = "osnabrueck-121" if self.config.classes else "osnabrueck-regression"
        self.see_at(self.config.side)
        outputs = AbGrid.CLASSES if self.config.classes else 2
        dilation = self.config.dilation
        self.down = nn.Sequential(
            *conv_block(1, 64, 64, last_stride=2),
            *conv_block(64, 128, 128, last_stride=2),
            *conv_block(128, 256, 256, 256, last_stride=2),
            *conv_block(256, 512, 512, 512),
        )
        self.middle = nn.Sequential(
            *conv_block(512, 512, 512, 512, dilation=dilation),
            *conv_block(512, 512, 512, 512, dilation=dilation),
            *conv_block(512, 512, 512, 512),
        )
        self.neck = nn.Sequential(
            *conv_relu(512, 256, stride=2),
            *conv_relu(256, 256),
            *conv_relu(256, 256),
            nn.Conv2d(256, outputs, 1),
        )
        self.enlarge = enlargement(self.config.enlarge, outputs)
        self.last = nn.Conv2d(outputs, outputs, 1)

    def forward(self, lightness: Tensor, hints: Tensor | None = None) -> Tensor:
        """Returns ab (N, 2, H, W); units and shapes as in `ColorModel.forward`."""
        raw = self.raw(lightness)
        if not self.config.classes:
            return raw.float()
        if self.config.decode == "mean":
            return AbGrid.mean(raw, self.config.temperature)
        return AbGrid.decode(raw.argmax(1), centre=self.config.decode == "centre")

    def raw(self, lightness: Tensor) -> Tensor:
        """What training compares: scores (N, 121, H, W), or ab (N, 2, H, W) in Lab units.

        lightness: (N, 1, H, W), CIE L in 0..100; the network is given it in 0..1.
        """
        x = (lightness / 100).to(self.last.weight.dtype)
        x = self.neck(self.middle(self.down(x)))
        y: Tensor = self.last(self.enlarge(x))
        return y


def enlargement(way: Literal["transposed", "resize"], planes: int) -> nn.Module:
    """The layer from 14x14 to 224x224; both ways have planes * planes * 9 + planes parameters."""
    if way == "transposed":
        # Behind its 3 pixels the layer writes 13 of nothing, to come out at 16 times the side.
        return nn.ConvTranspose2d(planes, planes, 3, stride=SCALE, output_padding=SCALE - 3)
    return Resize(planes)


class Resize(nn.Conv2d):
    """Enlarge bilinearly, then mix by a 3x3 convolution."""

    def __init__(self, planes: int) -> None:
        super().__init__(planes, planes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=SCALE, mode="bilinear", align_corners=False)
        return super().forward(x)
