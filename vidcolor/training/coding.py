"""Colour as classes: soft encoding over the 313 bins, class rebalancing, and the annealed mean.

    coder = SoftCoder()
    indices, shares = coder.encode(ab)          # (N, K, h, w) each
    weights = coder.weights(ab)                 # (N, h, w)
    ab = annealed_mean(scores, 0.38)            # (N, 2, h, w)

All three are Zhang, Isola and Efros, "Colorful Image Colorization" (ECCV 2016), section 2. The
paper encodes over 5 neighbours, the published code over 10; sigma is 5 in both. The 121 classes of
the Osnabrück report are in `vidcolor.models.cantor`.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcolor.models.bins import N_BINS, AbBins

AB_LIMIT = 128
"""Whole Lab units on each side of 0 that the tables reach."""

MIX = 0.5
"""The paper's lambda: how much of a uniform prior is mixed into the real one."""

GRAY_LIMIT = 5.0
"""A picture with no |a| or |b| above this is gray and counts for nothing (published code)."""


class SoftCoder:
    """Soft encoding and rebalancing, read from a table over whole Lab units (the nearest)."""

    def __init__(
        self,
        *,
        neighbours: int = 5,
        sigma: float = 5.0,
        prior: NDArray[np.float64] | None = None,
        mix: float = MIX,
    ) -> None:
        """prior: (313,) probabilities for the rebalancing; None for ImageNet's."""
        centers = torch.from_numpy(AbBins.load().centers)
        axis = torch.arange(-AB_LIMIT, AB_LIMIT + 1, dtype=torch.float32)
        units = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
        # Exact, where the quicker way through a matrix product isn't.
        exact = "donot_use_mm_for_euclid_dist"
        squared = torch.cdist(units, centers, compute_mode=exact) ** 2
        near, self._indices = squared.topk(neighbours, largest=False)
        # Relative to the nearest, or far from every bin all of them would vanish.
        shares = torch.exp(-(near - near[:, :1]) / (2 * sigma**2))
        self._shares = shares / shares.sum(1, keepdim=True)
        self._weights = rebalancing_weights(prior, mix)[self._indices[:, 0]]

    def encode(self, ab: Tensor) -> tuple[Tensor, Tensor]:
        """ab (N, 2, h, w) in Lab units -> bins (N, K, h, w) and their shares, which sum to 1."""
        cells = self._cells(ab)
        indices, shares = self._on(ab.device, self._indices, self._shares)
        return indices[cells].movedim(-1, 1), shares[cells].movedim(-1, 1)

    def weights(self, ab: Tensor) -> Tensor:
        """The rebalancing weight (N, h, w) of each pixel's nearest bin."""
        (weights,) = self._on(ab.device, self._weights)
        return weights[self._cells(ab)]

    def cross_entropy(self, scores: Tensor, ab: Tensor, *, rebalanced: bool) -> Tensor:
        """Of scores (N, 313, h, w) and true ab (N, 2, h, w): (N, h, w), 0 for gray pictures."""
        # Bins last, as channels_last has them in memory: nothing is laid out anew.
        scores = scores.permute(0, 2, 3, 1).float()
        cells = self._cells(ab)
        indices, shares = self._on(ab.device, self._indices, self._shares)
        # The shares sum to 1, so that sum(share * log p) = sum(share * score) - log sum(exp score).
        picked = (shares[cells] * scores.gather(-1, indices[cells])).sum(-1)
        entropy = scores.logsumexp(-1) - picked
        if rebalanced:
            entropy = entropy * self.weights(ab)
        return entropy * colored(ab)[:, None, None]

    @staticmethod
    def _cells(ab: Tensor) -> Tensor:
        units = ab.round().long().clamp(-AB_LIMIT, AB_LIMIT) + AB_LIMIT
        return units[:, 0] * (2 * AB_LIMIT + 1) + units[:, 1]

    @staticmethod
    def _on(device: torch.device, *tables: Tensor) -> tuple[Tensor, ...]:
        return tuple(table.to(device) for table in tables)


def colored(ab: Tensor) -> Tensor:
    """(N,) float: 1 for a picture with colour, 0 for a gray one; ab (N, 2, h, w)."""
    return (ab.abs().amax((1, 2, 3)) > GRAY_LIMIT).float()


def rebalancing_weights(
    prior: NDArray[np.float64] | None = None, mix: float = MIX, *, classes: int = N_BINS
) -> Tensor:
    """(Q,) float32 weights w ~ ((1 - mix) p + mix / Q)^-1, scaled so that their mean under p is 1
    (ECCV 2016, equation 4).

    prior: (Q,) probabilities p of the `classes` Q, ImageNet's of the 313 by default. Raises
    ValueError where they aren't.
    """
    p = AbBins.load().prior if prior is None else np.asarray(prior, np.float64)
    if p.shape != (classes,) or p.min() < 0 or not np.isclose(p.sum(), 1):
        raise ValueError(f"a prior is {classes} probabilities that sum to 1, not {p.shape}")
    weights = 1 / ((1 - mix) * p + mix / classes)
    return torch.from_numpy(weights / (p * weights).sum()).float()


def annealed_mean(scores: Tensor, temperature: float) -> Tensor:
    """The bins' mean under softmax(scores / T): (N, 313, h, w) -> ab (N, 2, h, w) float32.

    T 1 is the mean, dull and smooth; T towards 0 the likeliest bin, vivid and patchy; the paper
    takes 0.38 (section 2.3).
    """
    p = torch.softmax(scores.float() / temperature, 1)
    centers = torch.from_numpy(AbBins.load().centers).to(scores.device)
    return torch.einsum("nqhw,qc->nchw", p, centers)
