"""Photographs coloured by networks from their lightness, and measured against what they were.

    photos = open_source("val.tar")
    candidates = [Candidate(label="compact", settings=Settings(model="compact"))]
    evaluation = evaluate(candidates, photos)
    evaluation.rows[1].means.psnr

    photograph -> shrunk, middle square -> lightness at the network's size -> network -> ab
        |                                                                      enlarged |
        `-> its own lightness ----------------------------------------------------> Lab -> RGB

PSNR, SSIM, CIEDE2000 and colourfulness look at that RGB, which the gamut has clipped; AuC and
accuracy at the enlarged ab. Nothing is rounded to 8 bits. Beside the networks stand two rows that
need none: gray (ab = 0), the floor any colorizer should beat, and the truth.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from vidcolor.color import RgbSpace, lab_to_rgb
from vidcolor.errors import SourceError, UsageError
from vidcolor.evaluation.figures import (
    GRAY,
    MOST_PSNR,
    TRUTH,
    Evaluation,
    Measures,
    Row,
    Subject,
    means,
)
from vidcolor.facts import GRAY_CHROMA
from vidcolor.metrics import (
    SSIM_WINDOW,
    argmax_accuracy,
    auc,
    ciede2000,
    colorfulness,
    psnr,
    ssim,
)
from vidcolor.resample import Size, refit, stretch
from vidcolor.settings import Settings
from vidcolor.sheet import Column
from vidcolor.training.pictures import BadImageError, Source
from vidcolor.training.samples import middle

if TYPE_CHECKING:
    from vidcolor.inference import Engine

Floats = NDArray[np.float32]
Codes = TypeVar("Codes", np.uint8, np.uint16)
T = TypeVar("T")
U = TypeVar("U")

DEFAULT_SIZE, LEAST_SIZE, MOST_SIZE = 256, 16, 4096

MOST_THREADS = 16

SRGB = RgbSpace.srgb()
"""Its Lab is right to 0.005; OpenCV's, which is read from a coarse table, to 0.4."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A network to be measured."""

    label: str
    """What its row is called; no other's may be the same."""

    settings: Settings
    """Of these model, weights, device, threads and batch count."""


def evaluate(
    candidates: Sequence[Candidate],
    photos: Source,
    *,
    size: int = DEFAULT_SIZE,
    limit: int | None = None,
    tiles: int = 0,
    open_engine: Callable[[Settings], Engine] | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Colour photographs from their lightness alone, and measure what comes out.

    Of each photograph the short side is shrunk to `size` pixels and the middle square taken; the
    first `limit` are measured, or all. `tiles` is how many, evenly spread, are kept to be shown.
    `open_engine` replaces inference.open_engine; `report` is given how many photographs are done
    and how many there are. A photograph that can't be read is skipped.
    Raises UsageError on a size or labels that won't do, SourceError when nothing could be
    measured, and what opening a network raises.
    """
    began = time.monotonic()
    _refuse_wrong(candidates, size)
    # Imported here because torch takes seconds, and bad words should be told at once.
    from vidcolor import inference

    engines = [(open_engine or inference.open_engine)(each.settings) for each in candidates]
    count = min(limit or len(photos), len(photos))
    bench = _Bench(photos, size, engines, shown=frozenset(evenly(tiles, count)))
    asked = candidates[0].settings.threads if candidates else 0
    measured: list[_Measured] = []
    with closing(bench.run(count, min(asked or os.cpu_count() or 1, MOST_THREADS))) as stream:
        for each in stream:
            measured.append(each)
            report(len(measured) + len(bench.unreadable), count)
    if not measured:
        first = next(iter(bench.unreadable.values()), "it is empty.")
        raise SourceError(f"{photos.name} holds no photograph that can be measured: {first}")
    return Evaluation(
        photos=photos.name,
        size=size,
        rows=_rows(candidates, engines, measured),
        subjects=tuple(each.subject for each in measured),
        unreadable=bench.unreadable,
        shown=tuple(each.column for each in measured if each.column is not None),
        seconds=time.monotonic() - began,
    )


def _refuse_wrong(candidates: Sequence[Candidate], size: int) -> None:
    if not LEAST_SIZE <= size <= MOST_SIZE:
        raise UsageError(f"--size is {size}; expected pixels from {LEAST_SIZE} to {MOST_SIZE}.")
    labels = [GRAY, TRUTH, *(each.label for each in candidates)]
    if len(set(labels)) < len(labels):
        raise UsageError(f"two rows would have one name; expected others than {labels}.")


def evenly(count: int, total: int) -> list[int]:
    """At most `count` numbers below `total`, rising, evenly spread."""
    count = min(count, total)
    return [(2 * n + 1) * total // (2 * count) for n in range(count)]


def _rows(
    candidates: Sequence[Candidate], engines: Sequence[Engine], measured: Sequence[_Measured]
) -> tuple[Row, ...]:
    weights = [each.subject.weight for each in measured]
    whose: list[tuple[str, Engine | None]] = [(GRAY, None)]
    whose += [(each.label, engine) for each, engine in zip(candidates, engines, strict=True)]
    rows = []
    for n, (label, engine) in enumerate([*whose, (TRUTH, None)]):
        measures = tuple(each.measures[n] for each in measured)
        row = Row(
            label=label,
            model=engine.model_name if engine else None,
            weights_sha256=engine.weights_sha256 if engine else None,
            engine=engine.describe() if engine else None,
            means=means(measures, weights),
            measures=measures,
        )
        rows.append(row)
    return tuple(rows)


@dataclass(frozen=True, eq=False)
class _Square:
    """One photograph, cut, and as each network sees it."""

    index: int
    key: str
    truth: Floats
    """RGB (s, s, 3) in 0..1."""

    lab: Floats
    views: Mapping[Size, Floats]
    """Lightness (h, w) at each network's input size (h, w)."""


@dataclass(frozen=True)
class _Unreadable:
    key: str
    why: str
    """A sentence that names it."""


@dataclass(frozen=True, eq=False)
class _Measured:
    subject: Subject
    measures: tuple[Measures, ...]
    """In the order of the rows."""

    column: Column | None
    """What is shown of it."""


class _Bench:
    """Photographs are read and cut in a thread, coloured here, and measured in threads."""

    def __init__(
        self,
        photos: Source,
        size: int,
        engines: Sequence[Engine],
        *,
        shown: frozenset[int],
    ) -> None:
        self.photos, self.size, self.engines, self.shown = photos, size, engines, shown
        self.unreadable: dict[str, str] = {}
        self._batch = max((engine.batch for engine in engines), default=1)
        self._weights = class_weights()

    def run(self, count: int, threads: int) -> Generator[_Measured]:
        """What was measured of the first `count` photographs, in order; those that can't be read
        are noted and left out."""
        # Sources promise nothing to several threads.
        with _pool(1) as reader, _pool(threads) as pool:
            squares = _ahead(reader, self._cut, range(count), 2 * self._batch)
            yield from _ahead(pool, self._measured, self._coloured(squares), 2 * threads)

    def _cut(self, index: int) -> _Square | _Unreadable:
        key = self.photos.key(index)
        try:
            pixels = self.photos.read(index, at_least=self.size)
        except BadImageError as error:
            return _Unreadable(key, str(error))
        height, width = pixels.shape[:2]
        side = min(self.size, height, width)
        if side < SSIM_WINDOW:
            return _Unreadable(key, f"{key} is {width}x{height} pixels, too small to be measured.")
        pixels = middle(pixels, side)
        views = {
            (high, wide): SRGB.lab(stretch(pixels, (wide, high)))[..., 0]
            for high, wide in {engine.input_size for engine in self.engines}
        }
        truth = pixels.astype(np.float32) / np.float32(255)
        return _Square(index, key, truth, SRGB.lab(pixels), views)

    def _coloured(
        self, squares: Iterator[_Square | _Unreadable]
    ) -> Iterator[tuple[_Square, list[Floats]]]:
        """Each photograph with every network's ab, (2, h, w)."""
        readable = self._readable(squares)
        while group := list(islice(readable, self._batch)):
            answers = [
                engine.colorize(np.stack([square.views[engine.input_size] for square in group]))
                for engine in self.engines
            ]
            for n, square in enumerate(group):
                yield square, [answer[n] for answer in answers]

    def _readable(self, squares: Iterator[_Square | _Unreadable]) -> Iterator[_Square]:
        for square in squares:
            if isinstance(square, _Square):
                yield square
            else:
                self.unreadable[square.key] = square.why

    def _measured(self, coloured: tuple[_Square, list[Floats]]) -> _Measured:
        square, answers = coloured
        side, true_ab = len(square.lab), square.lab[..., 1:]
        weights = self._weights(true_ab)
        planes = [refit(answer.transpose(1, 2, 0), (side, side)) for answer in answers]
        renderings, measures = [], []
        for ab in (np.zeros_like(true_ab), *planes):
            rgb = lab_to_rgb(np.dstack([square.lab[..., 0], ab]))
            renderings.append(rgb)
            measures.append(_measures(rgb, ab, square, weights))
        measures.append(_truths_own(square, weights))
        subject = Subject(
            key=square.key,
            side=side,
            gray=float(np.hypot(*np.moveaxis(true_ab, 2, 0)).mean()) <= GRAY_CHROMA,
            weight=float(weights.sum(dtype=np.float64)),
        )
        column = None
        if square.index in self.shown:
            images = [_codes(rgb, np.uint8) for rgb in (*renderings, square.truth)]
            column = Column(tuple(images), square.key)
        return _Measured(subject, tuple(measures), column)


def _measures(rgb: Floats, ab: Floats, square: _Square, weights: Floats) -> Measures:
    """Of a rendering (s, s, 3) and the ab (s, s, 2) it was made from."""
    differences = ciede2000(SRGB.lab(_codes(rgb, np.uint16)), square.lab)
    true_ab = square.lab[..., 1:]
    return Measures(
        psnr=min(psnr(rgb, square.truth), MOST_PSNR),
        ssim=ssim(rgb, square.truth),
        ciede2000=float(differences.mean()),
        ciede2000_p90=float(np.percentile(differences, 90)),
        auc=auc(ab, true_ab),
        auc_rebalanced=auc(ab, true_ab, weights),
        colorfulness=colorfulness(rgb),
        accuracy=argmax_accuracy(ab, true_ab),
    )


def _truths_own(square: _Square, weights: Floats) -> Measures:
    """What the truth measures against itself."""
    true_ab = square.lab[..., 1:]
    return Measures(
        psnr=None,
        ssim=1.0,
        ciede2000=0.0,
        ciede2000_p90=0.0,
        auc=auc(true_ab, true_ab),
        auc_rebalanced=auc(true_ab, true_ab, weights),
        colorfulness=colorfulness(square.truth),
        accuracy=1.0,
    )


def class_weights() -> Callable[[Floats], Floats]:
    """What gives each pixel's weight (h, w) in the rebalanced AuC from its true ab (h, w, 2).

    It is 1 / p(q), divided by 313: p(q) is the share ImageNet's pixels have in q, the one of the
    313 bins that is nearest. So every bin would count the same on ImageNet (ECCV 2016, section
    3.1: equation 4 with lambda = 0).
    """
    import torch

    from vidcolor.training.coding import SoftCoder

    coder = SoftCoder(neighbours=1, mix=0)

    def weigh(ab: Floats) -> Floats:
        planes = torch.from_numpy(np.ascontiguousarray(ab.transpose(2, 0, 1)))
        return np.asarray(coder.weights(planes[None])[0].numpy(), np.float32)

    return weigh


def _codes(rgb: Floats, dtype: type[Codes]) -> NDArray[Codes]:
    """RGB in 0..1 as codes, rounded to nearest."""
    return np.asarray(np.rint(rgb * np.float32(np.iinfo(dtype).max)), dtype)


@contextmanager
def _pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that begin nothing more once this is left."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="evaluation")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[T], U], items: Iterable[T], most: int
) -> Iterator[U]:
    """work(item) of each item, in order, made by the pool at most `most` items ahead."""
    waiting: deque[Future[U]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
