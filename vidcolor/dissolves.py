"""Dissolves: where one shot's picture is mixed into the next's, and how far each frame has got.

    finder = DissolveFinder()
    for small in ...: finder.add(thumbnail(small))       # the film's frames in order
    dissolve = finder.around(n)                          # its frames, as seen from frame n
    dissolve.alpha(n)                                    # 0 the first shot .. 1 the second

In a dissolve from frame p to frame q each frame between is (1 - a) P + a Q, a growing evenly:

    p                                   q
    A-A-A+-------------------------+B-B-B    A, B the shots; between them a = (n - p) / (q - p)

So a pair (p, q) is one where P and Q are unlike pictures, moved or not, and every frame between
is the even blend of the two, brightness and a little contrast aside. Motion, zoom, wipes and cuts
between the two leave a rest that no blend explains; fades and flicker leave P and Q alike or blank.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from vidcolor.shots import BLANK_LEVELS, unlikeness

Floats = NDArray[np.floating]
Numbers = NDArray[np.int64]

DISSOLVE_REACH_FRAMES = 15
"""How far from a frame the pairs may lie that tell its alpha. Of a dissolve that is longer than
this its first and last frames see the near end and most of the rest."""

LONGEST = 2 * DISSOLVE_REACH_FRAMES
"""Frames from the first shot's last to the second's first, at most: a second of film and more."""

BLENDED = (40, 30)
"""(width, height) of the pictures that blends are measured on: small, so that a little motion of
the shots under the blend counts little."""

LEAST_APART = 0.5
"""1 - correlation of two pictures that may be the ends of a dissolve."""

LEAST_UNLIKE = 0.2
"""vidcolor.shots.unlikeness of such two."""

MOST_LEFT = 0.06
"""Mean share of |Q - P|^2 that an even blend may leave of the frames between."""

MOST_LEFT_OF_ONE = 0.15
"""The same for each single frame."""

MOST_LEFT_OF_BLEND = 0.4
"""What may be left of each single frame, as a share of the blend's own power: between two shots
that meet in the black there is less picture than any blend has."""

GAIN = 0.15
"""How much the contrast of a frame may flicker."""


@dataclass(frozen=True, slots=True)
class Dissolve:
    """A pair of frames with nothing but their blends between them."""

    last: int
    """Number of the first shot's last frame."""

    first: int
    """Number of the second shot's first frame."""

    def alpha(self, number: int) -> float:
        """How much of a frame is the second shot, 0..1."""
        return min(1.0, max(0.0, (number - self.last) / (self.first - self.last)))


class DissolveFinder:
    """Follows a stream of thumbnails. Frames are numbered from 0, by the order they came in.

    What it says of a frame depends on the DISSOLVE_REACH_FRAMES frames on either side alone. One
    thread may add while another one asks.
    """

    def __init__(self, *, late: int = 0) -> None:
        """late: how many frames more than DISSOLVE_REACH_FRAMES may come before one is asked of."""
        self._kept = 2 * DISSOLVE_REACH_FRAMES + LONGEST + 1 + late
        self._count = 0
        self._thumbnails: deque[NDArray[np.uint8]] = deque(maxlen=self._kept)
        # Whole numbers whose products float64 sums exactly, in whatever order: what is decided
        # mustn't depend on where the stream began.
        self._pictures = np.zeros((self._kept, BLENDED[0] * BLENDED[1]))
        self._sums = np.zeros(self._kept)
        self._products = np.zeros((self._kept, self._kept))
        self._pairs: deque[Dissolve] = deque()
        self._lock = Lock()

    def add(self, thumbnail: NDArray[np.uint8]) -> None:
        """Take the next frame, and find the dissolves that end with it."""
        with self._lock:
            self._add(thumbnail)

    def _add(self, thumbnail: NDArray[np.uint8]) -> None:
        number, at = self._count, self._count % self._kept
        small = cv2.resize(thumbnail, BLENDED, interpolation=cv2.INTER_AREA).ravel()
        self._pictures[at], self._sums[at] = small, small.sum(dtype=np.float64)
        products = self._pictures @ self._pictures[at]
        products -= self._sums * self._sums[at] / small.size  # as if both had a mean of 0
        self._products[at], self._products[:, at] = products, products
        self._thumbnails.append(thumbnail)
        self._count += 1
        for last in self._starts(number):
            far = self._thumbnails[last - self._count]
            if self._is_even(last, number) and unlikeness(far, thumbnail) >= LEAST_UNLIKE:
                self._pairs.append(Dissolve(last, number))
        while self._pairs and self._pairs[0].first < self._count - self._kept:
            self._pairs.popleft()

    def around(self, number: int) -> list[Dissolve]:
        """The dissolves that frame `number` sees, one for each stretch of pairs that overlap.

        Those up to DISSOLVE_REACH_FRAMES after it must have been added, if the film has them.
        """
        first, end = number - DISSOLVE_REACH_FRAMES, number + DISSOLVE_REACH_FRAMES + 1
        with self._lock:
            seen = [pair for pair in self._pairs if first <= pair.last and pair.first < end]
            return [self._best(pairs) for pairs in overlapping(seen)]

    def _starts(self, number: int) -> list[int]:
        """Frames unlike `number`, where the frame halfway is about the blend of both."""
        last = np.arange(max(0, number - LONGEST), number - 1)
        if not len(last):
            return []
        power = self._products.diagonal()
        least = BLANK_LEVELS**2 * self._pictures.shape[1]
        own, far = power[last % self._kept], power[number % self._kept]
        cross = self._products[last % self._kept, number % self._kept]
        apart = cross < (1 - LEAST_APART) * np.sqrt(own * far)
        last = last[apart & (own > least) & (far > least)]
        if not len(last):
            return []
        left, _ = self._left(last, number, (last + number) // 2)
        return [int(n) for n in last[left <= MOST_LEFT_OF_ONE * self._change(last, number)]]

    def _change(self, last: Numbers, first: int) -> Floats:
        """|Q - P|^2."""
        p, q, products = last % self._kept, first % self._kept, self._products
        return np.asarray(products[p, p] + products[q, q] - 2 * products[p, q])

    def _left(self, last: Numbers, first: int, number: Numbers) -> tuple[Floats, Floats]:
        """|g I - M|^2 and |M|^2 of frames I between P and Q and their blends M = (1 - a) P + a Q,
        at the gain g that leaves least."""
        p, q, at, products = (
            last % self._kept,
            first % self._kept,
            number % self._kept,
            self._products,
        )
        a = np.clip((number - last) / (first - last), 0, 1)
        own = products[at, at]
        with_blend = (1 - a) * products[at, p] + a * products[at, q]
        blend = (1 - a) ** 2 * products[p, p] + a**2 * products[q, q]
        blend += 2 * a * (1 - a) * products[p, q]
        gain = np.clip(with_blend / np.maximum(own, 1e-6), 1 - GAIN, 1 + GAIN)
        return np.asarray(gain**2 * own - 2 * gain * with_blend + blend), np.asarray(blend)

    def _is_even(self, last: int, first: int) -> bool:
        between = np.arange(last + 1, first)
        left, blend = self._left(np.array(last), first, between)
        if np.any(left > MOST_LEFT_OF_BLEND * blend):
            return False
        left /= self._change(np.array(last), first)
        return bool(left.mean() <= MOST_LEFT and left.max() <= MOST_LEFT_OF_ONE)

    def _best(self, pairs: list[Dissolve]) -> Dissolve:
        """Of overlapping pairs the one that explains all their frames best: inner ones leave the
        ends of the blend unexplained, outer ones the stills beside it."""
        numbers = np.arange(min(p.last for p in pairs), max(p.first for p in pairs) + 1)

        def unexplained(pair: Dissolve) -> float:
            return float(self._left(np.array(pair.last), pair.first, numbers)[0].sum())

        return min(pairs, key=unexplained)


def overlapping(pairs: list[Dissolve]) -> Iterator[list[Dissolve]]:
    """Pairs in groups, each joined by frames that lie between both ends of two of them."""
    group: list[Dissolve] = []
    end = 0
    for pair in sorted(pairs, key=lambda p: (p.last, p.first)):
        if group and pair.last >= end:
            yield group
            group = []
        end = max(end, pair.first) if group else pair.first
        group.append(pair)
    if group:
        yield group
