"""How often each class of colour comes in a data set: for rebalancing by its own counts.

    prior = class_prior(data, bins_313)         # (313,), sums to 1
    coder = SoftCoder(prior=prior)

ImageNet's own table is `AbBins.load().prior`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from vidcolor.models.bins import N_BINS, AbBins
from vidcolor.models.cantor import AbGrid
from vidcolor.training.dataset import Dataset

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

UNITS = 128
"""Whole Lab units on each side of 0 that colours are counted by."""


class Coding(Protocol):
    """Classes of colours."""

    def __call__(self, ab: Floats, /) -> tuple[Ints, int]:
        """The class (n,) of each of n colours (n, 2), Lab units, and how many classes there are."""


def class_prior(data: Dataset, coding: Coding, limit: int = 2000) -> Floats:
    """(Q,) share of the samples' pixels in each class of a coding; sums to 1.

    The first `limit` samples of epoch 0 are counted, as training will see them, each pixel by the
    nearest whole colour. Raises TrainingError where the data set holds nothing that can be used.
    """
    cells = np.zeros((2 * UNITS + 1) ** 2, np.int64)
    for position in range(min(limit, len(data))):
        sample, _, _ = data.sample(0, position)
        a, b = np.clip(np.rint(sample.ab), -UNITS, UNITS).astype(np.int64) + UNITS
        cells += np.bincount((a * (2 * UNITS + 1) + b).ravel(), minlength=len(cells))
    used = np.flatnonzero(cells)
    colors = np.stack(np.divmod(used, 2 * UNITS + 1), 1) - UNITS
    classes, n_classes = coding(colors.astype(np.float64))
    counts = np.bincount(classes, cells[used], n_classes)
    return np.asarray(counts / counts.sum(), np.float64)


def bins_121(ab: Floats) -> tuple[Ints, int]:
    """The Osnabrück report's classes; see `Coding`."""
    planes = torch.from_numpy(ab.T[None, :, :, None])
    return np.asarray(AbGrid.encode(planes).numpy().ravel(), np.int64), AbGrid.CLASSES


def imagenet_121() -> Floats:
    """(121,) ImageNet's prior of the 313 bins, gathered in the report's classes."""
    bins = AbBins.load()
    classes, n_classes = bins_121(bins.centers.astype(np.float64))
    return np.asarray(np.bincount(classes, bins.prior, n_classes), np.float64)


def bins_313(ab: Floats) -> tuple[Ints, int]:
    """The nearest of Zhang's bins; see `Coding`."""
    centers = AbBins.load().centers.astype(np.float64)
    # The squared distance, without what is the same for all bins.
    distance = (centers**2).sum(1) - 2 * ab @ centers.T
    return np.asarray(distance.argmin(1), np.int64), N_BINS
