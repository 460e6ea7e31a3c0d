"""`deepcolor-base`, `deepcolor-1`, `-2`, `-3`: "DeepColor" (student report, UMass), an encoder, a
decoder, and between them what an ImageNet classifier thinks the picture shows.

    model = DeepColorModel(BASE)
    model.embedder.load(Path("inceptionresnetv2-520b38e4.pth"))
    ab = model(torch.full((1, 1, 224, 224), 50.0))      # (1, 2, 224, 224), Lab units

    side   224   112 ....... 28                28               56   112        224
          L - encoder ------------ + ----- 1x1, 1x1, 3x3 -- up 64 - up 32-16-2 - up - ab
               |                   |
              299 - Inception-ResNet-v2 - its 1,000 scores, the same at each of the 28x28 places

The classifier is no part of the network: it isn't trained, its parameters aren't counted, and its
weights are a file of their own. Without that file the network refuses to work, since random scores
would colour as if they meant something.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.models.color_model import ColorModel
from vidcolor.models.embedding import Embedder
from vidcolor.models.inception_resnet_v2 import CLASSES
from vidcolor.models.stclair import conv_stack

AB_NORM = 128.0
"""Lab units that the last layer's tanh reaches."""


@dataclass(frozen=True, kw_only=True)
class DeepColorConfig:
    """One of the report's tables."""

    name: str

    encoder: tuple[int, ...]
    """Widths of the 3x3 convolutions down to an eighth of the side; negative for stride 2."""

    fusion: tuple[int, ...] = (256, 256)
    """Widths of the 1x1 convolutions behind the fusion."""

    decoder: tuple[int, ...] = (128, 0, 64, 0, 32, 16)
    """Widths of the 3x3 convolutions on the way up; 0 doubles the side."""

    side: int = 224
    """Of the square a frame is stretched to, pixels; the classifier always sees 299."""


BASE = DeepColorConfig(name="deepcolor-base", encoder=(-64, 128, -128, 256, -256, 512, 512, 256))
FIRST = DeepColorConfig(name="deepcolor-1", encoder=(-64, -128, -256, 512, 256))
SECOND = DeepColorConfig(name="deepcolor-2", encoder=(-64, -64, -64, 128, 256))
THIRD = DeepColorConfig(
    name="deepcolor-3",
    encoder=(-64, -64, -32, 64, 64),
    fusion=(64,),
    decoder=(64, 0, 32, 0, 32, 16),
)
CONFIGS = {config.name: config for config in (BASE, FIRST, SECOND, THIRD)}


class DeepColorModel(ColorModel):
    """One of the report's networks; hints are ignored."""

    name: str = BASE.name
    size_multiple: ClassVar[int] = 8

    def __init__(self, config: DeepColorConfig = BASE) -> None:
        super().__init__()
        self.config = config
        self.name = config.name
        self.see_at(config.side)
        # In a tuple, so that torch takes it for no part of this network.
        self._beside = (Embedder(),)
        self.encoder = nn.Sequential(*conv_stack(1, config.encoder))
        fusion: list[nn.Module] = []
        inputs = abs(config.encoder[-1]) + CLASSES
        for width in config.fusion:
            fusion += [nn.Conv2d(inputs, width, 1), nn.ReLU(inplace=True)]
            inputs = width
        self.fusion = nn.Sequential(*fusion)
        self.decoder = nn.Sequential(*conv_stack(inputs, config.decoder))
        self.last = nn.Conv2d(config.decoder[-1], 2, 3, padding=1)

    def prepare(self) -> None:
        """Read the classifier's weights and add them to the sum. Raises WeightsError."""
        self.embedder.ready()
        both = f"{self.weights_sha256} {self.embedder.sha256}"
        self.weights_sha256 = hashlib.sha256(both.encode()).hexdigest()

    @property
    def embedder(self) -> Embedder:
        """The classifier, which moves along with the network and is saved without it."""
        return self._beside[0]

    def forward(self, lightness: Tensor, hints: Tensor | None = None) -> Tensor:
        """Returns ab (N, 2, H, W); units and shapes as in `ColorModel.forward`.

        Raises WeightsError when the classifier's weights aren't here.
        """
        return self.raw(lightness, self.embedder(lightness)).float()

    def raw(self, lightness: Tensor, embedding: Tensor) -> Tensor:
        """ab (N, 2, H, W) in Lab units, which training compares.

        lightness: (N, 1, H, W), CIE L in 0..100, given to the network in 0..1. embedding:
        (N, 1000), the classifier's scores of the same pictures.
        """
        dtype = self.last.weight.dtype
        x = self.encoder((lightness / 100).to(dtype))
        everywhere = embedding.to(dtype)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        x = self.decoder(self.fusion(torch.cat([x, everywhere], 1)))
        x = torch.tanh(self.last(x)) * AB_NORM
        return F.interpolate(x, scale_factor=2, mode="nearest")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # What .to(), .half() and .cuda() go through. The classifier stays in float32, so that its
        # scores are the same wherever they are kept for later.
        self.embedder._apply(fn, recurse).float()  # type: ignore[no-untyped-call]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self
