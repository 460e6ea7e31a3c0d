"""`standin`: a formula in a network's clothes, so that tests need no weights and no seconds.

    model = StandinModel().eval()
    ab = model(torch.full((1, 1, 64, 64), 50.0))  # (1, 2, 32, 32), Lab units

Its colours mean nothing. They depend on what a real network's depend on, the lightness around a
place and the place itself, are smooth in both, and strong enough to see.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vidcolor.models.color_model import ColorModel

FORMULA = "standin 1"
"""Goes up with every change of the colours below: a job begun with another formula is another."""


class StandinModel(ColorModel):
    """Colour from fixed polynomials; no parameters, hints are ignored."""

    name: str = "standin"
    size_multiple: ClassVar[int] = 2
    weights_sha256: str = hashlib.sha256(FORMULA.encode()).hexdigest()

    def __init__(self) -> None:
        super().__init__()
        self.input_size = (64, 64)

    def forward(self, lightness: Tensor, hints: Tensor | None = None) -> Tensor:
        """Returns ab (N, 2, H/2, W/2) in about -40..70. Units as in `ColorModel.forward`."""
        half = F.avg_pool2d(lightness.float(), 2)
        around = F.avg_pool2d(half, 5, stride=1, padding=2, count_include_pad=False)
        t = around / 50 - 1
        h, w = half.shape[2:]
        y = torch.linspace(-1, 1, h, device=half.device)[:, None]
        x = torch.linspace(-1, 1, w, device=half.device)
        a = 30 * t + 20 * x * (1 - t * t)
        b = 40 * (1 - t * t) - 25 * y - 15 * t
        return torch.cat([a, b], 1)
