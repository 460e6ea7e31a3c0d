"""CIE Lab of sRGB and back, on tensors, for networks and losses that gradients go through.

    lab = rgb_to_lab(rgb)           # (N, 3, h, w) in 0..1 -> L 0..100, a, b
    rgb = lab_to_rgb(lab)
    gray = gray_of_lightness(lab[:, :1])

`vidcolor.color` is the same for films, on arrays. sRGB is IEC 61966-2-1, Lab is CIE 15 with the
white of D65.
"""

from __future__ import annotations

import torch
from torch import Tensor

RGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
"""Linear sRGB to CIE XYZ."""

WHITE = tuple(sum(row) for row in RGB_TO_XYZ)
"""XYZ of RGB (1, 1, 1), so that gray is neutral to the last bit."""

KNEE = (6 / 29) ** 3
"""Below this share of white, Lab's cube root gives way to a line."""


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """(N, 3, h, w) sRGB in 0..1 -> Lab, L in 0..100; values outside are cut. Has gradients."""
    rgb = rgb.clamp(0, 1)
    # Where a branch of `where` isn't taken its gradient must be finite all the same.
    curve = ((rgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    linear = torch.where(rgb > 0.04045, curve, rgb / 12.92)
    matrix = linear.new_tensor(RGB_TO_XYZ) / linear.new_tensor(WHITE)[:, None]
    f = lab_curve(torch.einsum("ij,njhw->nihw", matrix, linear))
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """(N, 3, h, w) Lab, L in 0..100 -> sRGB, cut to 0..1; colours that sRGB lacks are clipped."""
    y = (lab[:, 0] + 16) / 116
    f = torch.stack([y + lab[:, 1] / 500, y, y - lab[:, 2] / 200], 1)
    share = torch.where(f > 6 / 29, f.clamp(min=0) ** 3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    matrix = lab.new_tensor(RGB_TO_XYZ) / lab.new_tensor(WHITE)[:, None]
    linear = torch.einsum("ij,njhw->nihw", torch.linalg.inv(matrix), share).clamp(0, 1)
    curve = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, curve, 12.92 * linear)


def lab_curve(share: Tensor) -> Tensor:
    """CIE's f of a share of white: the cube root, and a line near black."""
    line = share / (3 * (6 / 29) ** 2) + 4 / 29
    return torch.where(share > KNEE, share.clamp(min=KNEE) ** (1 / 3), line)


def gray_of_lightness(lightness: Tensor) -> Tensor:
    """The sRGB value, 0..1, of a gray with CIE L in 0..100; any shape."""
    f = (lightness + 16) / 116
    linear = torch.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)).clamp(0, 1)
    curve = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, curve, 12.92 * linear)
