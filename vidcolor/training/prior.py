"""How often each of the 313 colours comes in a data set: for rebalancing by its own counts.

    prior = class_prior(data, limit=2000)       # (313,), sums to 1
    coder = SoftCoder(prior=prior)

ImageNet's own table is `AbBins.load().prior`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcolor.models.bins import N_BINS, AbBins
from vidcolor.training.dataset import Dataset

UNITS = 128
"""Whole Lab units on each side of 0 that colours are counted by."""


def class_prior(data: Dataset, limit: int = 2000) -> NDArray[np.float64]:
    """(313,) share of the samples' pixels whose nearest bin each is; sums to 1.

    The first `limit` samples of epoch 0 are counted, as training will see them. Raises
    TrainingError where the data set holds nothing that can be used.
    """
    cells = np.zeros((2 * UNITS + 1) ** 2, np.int64)
    for position in range(min(limit, len(data))):
        sample, _, _ = data.sample(0, position)
        a, b = np.clip(np.rint(sample.ab), -UNITS, UNITS).astype(np.int64) + UNITS
        cells += np.bincount((a * (2 * UNITS + 1) + b).ravel(), minlength=len(cells))
    used = np.flatnonzero(cells)
    counts = np.bincount(nearest_bins(used), cells[used], N_BINS)
    return np.asarray(counts / counts.sum(), np.float64)


def nearest_bins(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the bin nearest to each whole colour, given as (a + UNITS) (2 UNITS + 1) + b + UNITS."""
    ab = np.stack(np.divmod(cells, 2 * UNITS + 1), 1) - UNITS
    centers = AbBins.load().centers.astype(np.float64)
    # The squared distance, without what is the same for all bins.
    distance = (centers**2).sum(1) - 2 * ab @ centers.T
    return np.asarray(distance.argmin(1), np.int64)
