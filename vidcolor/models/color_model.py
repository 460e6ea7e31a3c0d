"""The contract every network keeps: lightness in, ab out.

model = CompactModel()
ab = model(torch.full((1, 1, 192, 192), 50.0))  # (1, 2, 96, 96), Lab units
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor, nn

UNSEALED = "untrained"
"""`weights_sha256` of a network whose weights came from no file."""


class ColorModel(nn.Module, ABC):
    """A network that turns lightness into the a and b planes of CIE Lab (D65).

    Everything a caller needs to know stands here: a network's own units (l_cent, ab_norm, bins)
    never leave its file.
    """

    name: str
    """The name in the registry, as `--model` takes it."""

    input_size: tuple[int, int] = (256, 256)
    """(height, width) the lightness is stretched to, whatever the film's shape."""

    size_multiple: ClassVar[int] = 8
    """Both sides of the input must be multiples of this."""

    accepts_hints: ClassVar[bool] = False
    """Whether `forward` uses user hints; a network that doesn't ignores them."""

    counts_statistics: ClassVar[bool] = False
    """Whether its authors count BatchNorm's running means and variances as parameters, as Keras
    does."""

    weights_sha256: str = UNSEALED
    """Hex sha256 of the file the weights came from."""

    def see_at(self, side: int) -> None:
        """Have `input_size` be a square of `side` pixels. Raises ValueError where the network
        can't take that."""
        if side < 1 or side % self.size_multiple:
            raise ValueError(f"a side of {side}, which isn't a multiple of {self.size_multiple}")
        self.input_size = (side, side)

    def prepare(self) -> None:
        """Make ready what isn't among its own weights, after these were loaded.

        Raises WeightsError where something is missing. Most networks need nothing.
        """

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Those that a pretrained start may have given, which may learn at a rate of their own."""
        return iter(())

    @abstractmethod
    def forward(self, lightness: Tensor, hints: Tensor | None = None) -> Tensor:
        """Predict colour.

        lightness: (N, 1, H, W) float, CIE L in 0..100; H and W multiples of `size_multiple`.
        hints: (N, 3, H, W) float: a, b in Lab units and a mask of 0 or 1, or None for no hints.
        Returns ab (N, 2, h, w) float in Lab units, about -110..110; h and w may be smaller
        than H and W.
        """
