"""A data set: which photograph comes when, and what becomes of those that can't be used.

    data = Dataset([open_source("photos/")], size=128, seed=1, split="train", augment="film")
    batch = data.batch(epoch=0, positions=range(32))
    batch.lightness.shape               # (32, 1, 128, 128)

    epoch 0, seed 1   |  7  2  9  4  0  8 ...       pictures, shuffled or drawn by weight
    position             0  1  2  3  4  5 ...
                               `-- gray or damaged: picture 4 takes its place

What stands at a position of an epoch is a function of (seed, epoch, position) alone, whichever
process makes it and whatever was made before. `Loader` in loader.py makes batches ahead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcolor.color import rgb_to_lab
from vidcolor.errors import TrainingError
from vidcolor.training.coding import GRAY_LIMIT
from vidcolor.training.pictures import BadImageError, ByteImage, Joined, Source
from vidcolor.training.samples import Augment, Sample, make_sample, simulate_hints

Split = Literal["train", "validation", "test", "all"]
"""`all` for sources that were split by hand, file by file."""

SHARES = (0.6, 0.2, 0.2)
"""Of pictures in train, validation and test."""

MOST_TRIES = 1000
"""Pictures in a row that may be gray or damaged before a data set counts as all of them."""

_ORDER = 1 << 40
"""Keeps the random numbers of an epoch's order apart from those of its samples."""


@dataclass(frozen=True)
class Batch:
    """Samples side by side, float32 on the CPU."""

    lightness: Tensor
    """(N, 1, S, S), CIE L in 0..100, what the network is shown."""

    ab: Tensor
    """(N, 2, S, S), Lab units, what it should find."""

    hints: Tensor | None
    """(N, 3, S, S): a, b and a mask of simulated hints; None where the data set makes none."""

    keys: list[str]
    """The photographs' names."""

    gray: tuple[str, ...] = ()
    """Photographs that this batch met and that have no colour; others took their place."""

    damaged: tuple[BadImageError, ...] = ()
    """Photographs that this batch met and that can't be read; others took their place."""


class Dataset:
    """Photographs of one or more sources as training samples. Holds their names' order, no picture.

    It can be pickled, so that other processes make its batches.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        size: int,
        seed: int,
        augment: Augment = "film",
        split: Split = "all",
        shares: tuple[float, float, float] = SHARES,
        weights: Sequence[float] | None = None,
        key_weights: Mapping[str, float] | None = None,
        hinted: float = 0.0,
        shuffle: bool = True,
    ) -> None:
        """size: side of the samples. weights: how often each source's pictures are drawn, beside
        the other sources'. key_weights: the same by patterns of keys (`*_faces.jpg`). hinted: share
        of samples with simulated user hints. shuffle: without it, and without weights, every epoch
        has the sources' order.

        Raises TrainingError where the split is empty, or shares or weights make no sense.
        """
        self.size, self.seed, self.augment, self.hinted = size, seed, augment, hinted
        self.gray: set[str] = set()
        self.damaged: dict[str, BadImageError] = {}
        """Photographs met so far that have no colour or can't be read, by their keys."""
        self._unusable: set[int] = set()
        self._news: list[str | BadImageError] = []
        self._shuffle = shuffle
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))
        names = ", ".join(source.name for source in sources)
        if not sum(map(len, sources)):
            raise TrainingError(f"there is no picture in [{names}]; give some to learn from.")
        self.name = names
        self._source = sources[0] if len(sources) == 1 else Joined(names, sources)
        self._pictures = _of_split(self._source, split, shares)
        if not len(self._pictures):
            raise TrainingError(
                f"the split {split!r} of {names} is empty: of {len(self._source)} pictures none "
                f"falls into it; give more pictures, or the split 'all'."
            )
        self._chances = _chances(sources, self._pictures, weights, key_weights)
        if self._chances is not None:
            drawn = self._chances > 0
            self._pictures, self._chances = self._pictures[drawn], self._chances[drawn]

    def __len__(self) -> int:
        """Pictures of the split that may be drawn, gray and damaged ones counted; an epoch has as
        many samples."""
        return len(self._pictures)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """(len,) the pictures of an epoch, as numbers in the sources: all, shuffled, or with
        weights as many as there are, drawn with replacement."""
        if self._order[0] != epoch:
            rng = np.random.default_rng((self.seed, epoch, _ORDER))
            if self._chances is not None:
                order = rng.choice(self._pictures, len(self), p=self._chances)
            else:
                order = rng.permutation(self._pictures) if self._shuffle else self._pictures
            self._order = (epoch, order)
        return self._order[1]

    def batch(self, epoch: int, positions: Iterable[int]) -> Batch:
        """The samples at these positions of an epoch, each from 0 to len - 1.

        Raises TrainingError where no photograph can be used.
        """
        made = [self.sample(epoch, position) for position in positions]
        hints = [hint for _, hint, _ in made if hint is not None]
        news, self._news = self._news, []
        return Batch(
            torch.from_numpy(np.stack([sample.lightness for sample, _, _ in made])),
            torch.from_numpy(np.stack([sample.ab for sample, _, _ in made])),
            torch.stack(hints) if hints else None,
            [key for _, _, key in made],
            tuple(new for new in news if isinstance(new, str)),
            tuple(new for new in news if isinstance(new, BadImageError)),
        )

    def sample(self, epoch: int, position: int) -> tuple[Sample, Tensor | None, str]:
        """One sample, its hints (3, S, S) where the data set makes some, and its key."""
        rng = np.random.default_rng((self.seed, epoch, position))
        key, rgb = self._usable(epoch, position)
        sample = make_sample(rgb, size=self.size, augment=self.augment, rng=rng)
        if not self.hinted:
            return sample, None, key
        hints = torch.zeros(3, self.size, self.size)
        if rng.random() < self.hinted:
            simulate_hints(hints, torch.from_numpy(sample.ab), rng)
        return sample, hints, key

    def _usable(self, epoch: int, position: int) -> tuple[str, ByteImage]:
        """The picture at a position, or the next in the order that has colour and can be read."""
        order = self.order(epoch)
        tried: set[int] = set()
        # An order drawn by weight may lack the only picture that can be used.
        for picture in map(int, chain(order[position:], order[:position], self._pictures)):
            if len(tried) == MOST_TRIES:
                break
            tried.add(picture)
            if picture not in self._unusable:
                rgb = self._read(picture)
                if rgb is not None:
                    return self._source.key(picture), rgb
        raise TrainingError(self._nothing_usable(len(tried)))

    def _read(self, picture: int) -> ByteImage | None:
        """None for a picture that is gray or damaged, which is noted."""
        key = self._source.key(picture)
        try:
            # Squares are cut from 60 % of a side and more; see samples.random_square.
            rgb = self._source.read(picture, at_least=2 * self.size)
        except BadImageError as error:
            self.damaged[key] = error
            self._news.append(error)
        else:
            if not is_gray(rgb):
                return rgb
            self.gray.add(key)
            self._news.append(key)
        self._unusable.add(picture)
        return None

    def _nothing_usable(self, tried: int) -> str:
        which = f"all {tried} pictures" if tried == len(self) else f"{tried} pictures in a row"
        if not self.damaged:
            return f"{which} of {self.name} are gray; expected photographs in colour to learn from."
        first = next(iter(self.damaged.values()))
        return (
            f"{which} of {self.name} are gray or can't be read ({len(self.gray)} gray, "
            f"{len(self.damaged)} damaged, the first: {first.key}, {first.why}); expected "
            "photographs in colour."
        )


def is_gray(rgb: ByteImage) -> bool:
    """Whether no sample of a picture (h, w, 3) has an |a| or |b| above GRAY_LIMIT."""
    # A glance at every eighth row and column is enough for nearly every picture in colour.
    for every in (8, 1):
        some = np.ascontiguousarray(rgb[::every, ::every], np.float32) / np.float32(255)
        if cv2.norm(rgb_to_lab(some)[..., 1:].reshape(-1), cv2.NORM_INF) > GRAY_LIMIT:
            return False
    return True


def fraction(key: str) -> float:
    """A number in 0..1 that a key always has, by its sha256: where in a split it falls."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _of_split(
    source: Source, split: Split, shares: tuple[float, float, float]
) -> NDArray[np.int64]:
    """Numbers of a split's pictures, rising. Raises TrainingError on shares that make no sense."""
    if min(shares) < 0 or not np.isclose(sum(shares), 1):
        raise TrainingError(f"the shares of the split are {shares}; expected three that sum to 1.")
    if split == "all":
        return np.arange(len(source), dtype=np.int64)
    first, second, _ = np.cumsum(shares)
    low, high = {"train": (0.0, first), "validation": (first, second), "test": (second, 2.0)}[split]
    inside = (low <= fraction(source.group(i)) < high for i in range(len(source)))
    return np.flatnonzero(np.fromiter(inside, bool, len(source))).astype(np.int64)


def _chances(
    sources: Sequence[Source],
    pictures: NDArray[np.int64],
    weights: Sequence[float] | None,
    key_weights: Mapping[str, float] | None,
) -> NDArray[np.float64] | None:
    """(n,) probability of each picture; None where all are alike. Raises TrainingError."""
    if weights is None and not key_weights:
        return None
    weights = [1.0] * len(sources) if weights is None else weights
    if len(weights) != len(sources):
        raise TrainingError(f"there are {len(weights)} weights for {len(sources)} sources.")
    lengths = [len(source) for source in sources]
    chances = np.repeat(np.asarray(weights, np.float64), lengths)[pictures]
    joined = Joined("", sources)
    for pattern, weight in (key_weights or {}).items():
        matches = (fnmatchcase(joined.key(int(picture)), pattern) for picture in pictures)
        chances[np.fromiter(matches, bool, len(pictures))] *= weight
    if not np.isfinite(chances).all() or chances.min() < 0 or not chances.sum():
        raise TrainingError(
            f"the weights {list(weights)} and {dict(key_weights or {})} leave no picture to draw; "
            "expected numbers above 0, or 0 for what is to be left out."
        )
    return np.asarray(chances / chances.sum())
