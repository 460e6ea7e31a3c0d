"""The 313 in-gamut ab bins of Zhang, Isola and Efros (ECCV 2016), with their ImageNet prior.

    bins = AbBins.load()
    bins.centers.shape  # (313, 2)

The table can't be derived from the sRGB gamut alone, so it is stored as published.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

N_BINS = 313
GRID = 10
"""Distance between neighbouring bin centres, Lab units."""


@dataclass(frozen=True)
class AbBins:
    """Bin centres and their prior probabilities, in the published order."""

    centers: NDArray[np.float32]
    """(313, 2): a, b in Lab units."""

    prior: NDArray[np.float64]
    """(313,): probability of each bin over ImageNet's pixels; sums to 1."""

    @staticmethod
    @lru_cache(maxsize=1)
    def load() -> AbBins:
        """Read the table that ships with the package."""
        source = resources.files("vidcolor.models").joinpath("data/ab_bins_313.csv")
        rows = np.loadtxt(source.read_text().splitlines()[1:], delimiter=",", dtype=np.float64)
        assert rows.shape == (N_BINS, 3), rows.shape
        return AbBins(rows[:, :2].astype(np.float32), rows[:, 2] / rows[:, 2].sum())
