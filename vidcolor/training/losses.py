"""Losses for networks with a class head over the 313 bins and an ab head.

Sources: soft encoding, class rebalancing and annealed mean, Zhang, Isola and Efros, "Colorful
Image Colorization" (ECCV 2016), section 2; smooth L1 on ab, Zhang et al., "Real-Time User-Guided
Image Colorization" (SIGGRAPH 2017), section 3.

    coder = BinCoder()
    loss, named = two_head_loss(model.heads(lightness), ab, coder)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vidcolor.models.bins import GRID, AbBins
from vidcolor.models.compact import Heads

AB_LIMIT = 128
GRAY_LIMIT = 5.0
"""An image with no |a| or |b| above this is gray and counts for nothing."""


class BinCoder:
    """Soft encoding of ab over the bins, and the weight of each pixel's class.

    Both are read from a table over whole Lab units (nearest unit), so a batch costs a lookup.
    """

    def __init__(self, *, neighbours: int = 5, sigma: float = 5.0, mix: float = 0.5) -> None:
        bins = AbBins.load()
        axis = torch.arange(-AB_LIMIT, AB_LIMIT + 1, dtype=torch.float32)
        grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
        squared = torch.cdist(grid, torch.from_numpy(bins.centers)) ** 2
        near, self.indices = squared.topk(neighbours, largest=False)
        weights = torch.exp(-(near - near[:, :1]) / (2 * sigma**2))
        self.weights = weights / weights.sum(1, keepdim=True)
        self.rebalance = rebalancing_weights(mix)[self.indices[:, 0]]

    def encode(self, ab: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """ab (N, 2, h, w), Lab units -> bin indices (N, K, h, w), their weights (N, K, h, w)
        summing to 1, and each pixel's rebalancing weight (N, h, w)."""
        units = ab.round().long().clamp(-AB_LIMIT, AB_LIMIT) + AB_LIMIT
        cell = units[:, 0] * (2 * AB_LIMIT + 1) + units[:, 1]
        indices, weights = self.indices[cell], self.weights[cell]
        return indices.movedim(-1, 1), weights.movedim(-1, 1), self.rebalance[cell]


def rebalancing_weights(mix: float = 0.5) -> Tensor:
    """(313,) weights w ~ ((1 - mix) p + mix / 313)^-1 with the expectation of w under p equal
    to 1 (ECCV 2016, equation 4)."""
    prior = torch.from_numpy(AbBins.load().prior)
    weights = 1 / ((1 - mix) * prior + mix / len(prior))
    return (weights / (prior * weights).sum()).float()


def two_head_loss(
    heads: Heads, ab: Tensor, coder: BinCoder, *, ab_share: float = 1.0
) -> tuple[Tensor, dict[str, float]]:
    """Rebalanced soft cross entropy plus smooth L1 in steps of one bin.

    ab: (N, 2, H, W), Lab units, the truth at full size; each head is compared at its own size.
    Returns the loss and its named parts.
    """
    colored = (ab.abs().amax((1, 2, 3)) > GRAY_LIMIT).float()[:, None, None]
    small = F.interpolate(ab, size=heads.logits.shape[2:], mode="area")
    indices, weights, rebalance = coder.encode(small)
    log_p = torch.log_softmax(heads.logits.float(), 1)
    entropy = -(weights * log_p.gather(1, indices)).sum(1)
    classes = (entropy * rebalance * colored).mean()
    half = F.interpolate(ab, size=heads.ab.shape[2:], mode="area")
    distance = F.smooth_l1_loss(heads.ab.float() / GRID, half / GRID, reduction="none").sum(1)
    regression = (distance * colored).mean()
    loss = classes + ab_share * regression
    return loss, {"class": classes.item(), "ab": regression.item()}
