r"""`siggraph17`: Zhang et al., "Real-Time User-Guided Image Colorization with Learned Deep Priors"
(SIGGRAPH 2017, arXiv 1705.02999).

    model = Siggraph17Model().eval()
    ab = model(torch.full((1, 1, 256, 256), 50.0))  # (1, 2, 256, 256), Lab units

A U-Net that predicts ab directly, at the input's size, and takes a user's colour hints. Calmer
than `eccv16`. Attribute names are those of the published state dict (34.2 M parameters,
BSD-2-Clause). Input planes: (L-50)/100, hint a/110, hint b/110, hint mask.

    stride 1   in - 64 ------------------------------------- + 128 - ab
                      \                                    /
           2           128 -------------------------- + 128
                          \                         /
           4               256 --------------- + 256
                              \              /
           8                   512 512 512 512
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from vidcolor.models.color_model import ColorModel
from vidcolor.models.eccv16 import AB_NORM, L_CENT, L_NORM, conv_block

N_CLASSES = 529
"""Classes of the head that served the published training's first phase: 23 x 23 ab bins."""


@dataclass(frozen=True, kw_only=True)
class Siggraph17Config:
    """How the network is used; its layers are as published."""

    side: int = 256
    """Of the square a frame is stretched to, pixels."""

    mask_center: float = 0.0
    """Taken from the mask of the hints: 0 in the published code, 0.5 in its training."""


class Siggraph17Model(ColorModel):
    """The published network of 2017, with its user hints."""

    name: str = "siggraph17"
    size_multiple: ClassVar[int] = 8
    accepts_hints: ClassVar[bool] = True

    def __init__(self, config: Siggraph17Config | None = None) -> None:
        super().__init__()
        self.config = config or Siggraph17Config()
        self.see_at(self.config.side)
        self.model1 = nn.Sequential(*conv_block(4, 64, 64))
        self.model2 = nn.Sequential(*conv_block(64, 128, 128))
        self.model3 = nn.Sequential(*conv_block(128, 256, 256, 256))
        self.model4 = nn.Sequential(*conv_block(256, 512, 512, 512))
        self.model5 = nn.Sequential(*conv_block(512, 512, 512, 512, dilation=2))
        self.model6 = nn.Sequential(*conv_block(512, 512, 512, 512, dilation=2))
        self.model7 = nn.Sequential(*conv_block(512, 512, 512, 512))
        self.model8up = double(512, 256)
        self.model8 = nn.Sequential(nn.ReLU(inplace=True), *conv_block(256, 256, 256))
        self.model9up = double(256, 128)
        self.model9 = nn.Sequential(nn.ReLU(inplace=True), *conv_block(128, 128))
        self.model10up = double(128, 128)
        self.model10 = nn.Sequential(
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 128, 3, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.model3short8 = shortcut(256, 256)
        self.model2short9 = shortcut(128, 128)
        self.model1short10 = shortcut(64, 128)
        # Colouring never runs it; training does.
        self.model_class = nn.Sequential(nn.Conv2d(256, N_CLASSES, 1))
        self.model_out = nn.Sequential(nn.Conv2d(128, 2, 1), nn.Tanh())

    def forward(self, lightness: Tensor, hints: Tensor | None = None) -> Tensor:
        """Predict ab (N, 2, H, W) in -110..110. Units and shapes as in `ColorModel.forward`."""
        conv1, conv2, conv3 = self.features(lightness, hints)
        conv8 = self._middle(conv3)
        conv9 = self.model9(self.model9up(conv8) + self.model2short9(conv2))
        conv10 = self.model10(self.model10up(conv9) + self.model1short10(conv1))
        ab: Tensor = self.model_out(conv10)
        return ab.float() * AB_NORM

    def class_scores(self, lightness: Tensor, hints: Tensor | None = None) -> Tensor:
        """Scores of the published training's first phase: (N, 529, H/4, W/4), the weights' dtype.

        The classes are ab rounded to multiples of 10 in -110..110, a by a.
        """
        scores: Tensor = self.model_class(self._middle(self.features(lightness, hints)[-1]))
        return scores

    def features(self, lightness: Tensor, hints: Tensor | None = None) -> list[Tensor]:
        """What the first three blocks make of a picture, at its size, its half, its quarter."""
        x = self.planes(lightness, hints).to(next(self.parameters()).dtype)
        conv1 = self.model1(x)
        conv2 = self.model2(every_second(conv1))
        return [conv1, conv2, self.model3(every_second(conv2))]

    def _middle(self, conv3: Tensor) -> Tensor:
        conv7 = self.model7(self.model6(self.model5(self.model4(every_second(conv3)))))
        conv8: Tensor = self.model8(self.model8up(conv7) + self.model3short8(conv3))
        return conv8

    def planes(self, lightness: Tensor, hints: Tensor | None) -> Tensor:
        """The four input planes, (N, 4, H, W); without hints the mask is 0 everywhere."""
        if hints is None:
            hints = lightness.new_zeros(lightness.shape[0], 3, *lightness.shape[2:])
        mask = hints[:, 2:] - self.config.mask_center
        return torch.cat([(lightness - L_CENT) / L_NORM, hints[:, :2] / AB_NORM, mask], 1)


def every_second(x: Tensor) -> Tensor:
    """Every second row and column, this network's way to halve the size."""
    return x[:, :, ::2, ::2]


def double(inputs: int, outputs: int) -> nn.Sequential:
    """The learned doubling of the size."""
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1))


def shortcut(inputs: int, outputs: int) -> nn.Sequential:
    """What an encoder's features pass through on their way to the decoder."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1))
