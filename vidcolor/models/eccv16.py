"""`eccv16`: Zhang, Isola and Efros, "Colorful Image Colorization" (ECCV 2016, arXiv 1603.08511).

    model = Eccv16Model().eval()
    ab = model(torch.full((1, 1, 256, 256), 50.0))  # (1, 2, 256, 256), Lab units

A straight stack of convolutions scores 313 colours at a quarter of the input's size; `model_out`
turns their probabilities into ab, which is enlarged bilinearly. Vivid, and blotchy where it is
unsure. Attribute names are those of the published state dict (32.2 M parameters, BSD-2-Clause).

    stride  1   2    4    8                             4        1
           L - 64 - 128 - 256 - 512 - 512 - 512 - 512 - 256-313 - ab
                                      dilation 2
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.models.bins import N_BINS, AbBins
from vidcolor.models.color_model import ColorModel

L_CENT, L_NORM, AB_NORM = 50.0, 100.0, 110.0
"""The published networks see (L - 50) / 100 and speak of a / 110, b / 110."""


@dataclass(frozen=True, kw_only=True)
class Eccv16Config:
    """How the network is used; its layers are as published."""

    side: int = 256
    """Of the square a frame is stretched to, pixels."""

    temperature: float = 1.0
    """T of the mean over the colours. The published PyTorch weights are read at 1, as their code
    reads them; the paper takes 0.38 (section 2.3), which is for weights trained as it says."""


class Eccv16Model(ColorModel):
    """The published network of 2016; hints are ignored."""

    name: str = "eccv16"
    size_multiple: ClassVar[int] = 8

    def __init__(self, config: Eccv16Config | None = None) -> None:
        super().__init__()
        self.config = config or Eccv16Config()
        self.see_at(self.config.side)
        self.model1 = nn.Sequential(*conv_block(1, 64, 64, last_stride=2))
        self.model2 = nn.Sequential(*conv_block(64, 128, 128, last_stride=2))
        self.model3 = nn.Sequential(*conv_block(128, 256, 256, 256, last_stride=2))
        self.model4 = nn.Sequential(*conv_block(256, 512, 512, 512))
        self.model5 = nn.Sequential(*conv_block(512, 512, 512, 512, dilation=2))
        self.model6 = nn.Sequential(*conv_block(512, 512, 512, 512, dilation=2))
        self.model7 = nn.Sequential(*conv_block(512, 512, 512, 512))
        self.model8 = nn.Sequential(
            nn.ConvTranspose2d(512, 256, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),
            *conv_relu(256, 256),
            *conv_relu(256, 256),
            nn.Conv2d(256, N_BINS, 1),
        )
        self.model_out = nn.Conv2d(N_BINS, 2, 1, bias=False)
        # No objective teaches it: it holds the colours that the scores are of.
        centers = torch.from_numpy(AbBins.load().centers.T / AB_NORM)
        self.model_out.weight = nn.Parameter(centers[:, :, None, None].contiguous())

    def forward(self, lightness: Tensor, hints: Tensor | None = None) -> Tensor:
        """Score the colours, average them, enlarge; returns ab (N, 2, H, W).

        Units and shapes as in `ColorModel.forward`; -110..110 with the published weights.
        """
        ab = self.decode(self.class_scores(lightness)) * AB_NORM
        return F.interpolate(ab, scale_factor=4, mode="bilinear", align_corners=False)

    def class_scores(self, lightness: Tensor) -> Tensor:
        """Scores before the softmax, which training needs: (N, 313, H/4, W/4), the weights' dtype.

        lightness: (N, 1, H, W), CIE L in 0..100.
        """
        x = ((lightness - L_CENT) / L_NORM).to(self.model_out.weight.dtype)
        x = self.model3(self.model2(self.model1(x)))
        x = self.model7(self.model6(self.model5(self.model4(x))))
        scores: Tensor = self.model8(x)
        return scores

    def decode(self, scores: Tensor) -> Tensor:
        """The colours' annealed mean: (N, 313, h, w) -> (N, 2, h, w) float32, ab / 110.

        In float32 whatever the network's dtype: 313 small probabilities lose too much in half.
        """
        # Bins last, as channels_last has them in memory: softmax over strided ones takes longer.
        p = torch.softmax(scores.permute(0, 2, 3, 1).float() / self.config.temperature, -1)
        return (p @ self.model_out.weight[:, :, 0, 0].float().T).permute(0, 3, 1, 2)


def conv_relu(
    inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1
) -> tuple[nn.Conv2d, nn.ReLU]:
    """A 3x3 convolution that keeps the size at stride 1, and its ReLU."""
    conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=dilation, dilation=dilation)
    return conv, nn.ReLU(inplace=True)


def conv_block(*widths: int, last_stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    """The papers' block: a convolution with ReLU between each two `widths`, then BatchNorm."""
    layers: list[nn.Module] = []
    last = len(widths) - 2
    for i in range(len(widths) - 1):
        stride = last_stride if i == last else 1
        layers += conv_relu(widths[i], widths[i + 1], stride=stride, dilation=dilation)
    return [*layers, nn.BatchNorm2d(widths[-1])]
