"""Gathering on a device, for a batch of frames at once: `smoothing`'s walks in torch.

    frames = DeviceFrames((160, 90), torch.device("cuda"))
    number = frames.add(luma, step)         # frame after frame; the flow to the last one, and back
    frames.predict(number, ab)              # anchors, (2, 90, 160)
    wants = [Want(7, past=(1, 3), future=(1,))]
    shares = frames.coverage(wants)
    ab = frames.gather(wants)               # (1, 2, 90, 160), on the device

What a frame may gather from (its shot, dissolves, repeats) is the stages' decision; here it is a
list of steps. The walks of all wanted frames go on together: the n-th step of each is one call,
whether it leads to an anchor or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vidcolor.device_batches import streams
from vidcolor.device_filters import Separable, mean
from vidcolor.resample import Size
from vidcolor.smoothing import (
    COVERED_TRUST,
    FILL_SHARE,
    FILL_WEIGHT,
    LIKENESS,
    FlowStep,
    nearness,
)

Floats = NDArray[np.float32]

HELD_FRAMES = 64
"""Frames that are kept; more than any decision looks back and ahead, and a batch."""

PLACE_PARTS = 32
"""OpenCV samples at places rounded to so many parts of a pixel, and so does this."""


@dataclass(frozen=True, slots=True)
class Want:
    """A frame whose colour is wanted, and what it is made of."""

    number: int
    """As `DeviceFrames.add` gave it."""

    own: bool = False
    """Whether its own prediction counts, with weight 1."""

    past: tuple[int, ...] = ()
    """The steps back, 1 or more, that lead to anchors it gathers from."""

    future: tuple[int, ...] = ()
    """The steps ahead."""


class DeviceFrames:
    """The latest frames of a stream on a device; not safe for two threads at once."""

    def __init__(self, size: Size, device: torch.device, *, held: int = HELD_FRAMES) -> None:
        """size: gathering size, (width, height). held: how many frames are kept."""
        width, height = size
        self.device, self._held, self._count = device, held, 0
        shape = (held, 7, height, width)
        # luma; flow to the predecessor (dx, dy, trust); flow from it to this frame.
        self._given = torch.zeros(shape, pin_memory=device.type == "cuda")
        self._frames = torch.zeros(shape, device=device)
        self._ab = torch.zeros((held, 2, height, width), device=device)
        self._uploaded = [streams(device).Event() for _ in range(held)]
        ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        self._grid = torch.stack([xs, ys])[None].float().to(device)
        side = max(5, width // FILL_SHARE) | 1
        self._around = Separable.filtering(mean(side), size, device, border="mirrored")

    @torch.inference_mode()
    def add(self, luma: Floats, step: FlowStep | None) -> int:
        """Take the next frame; returns its number, counted from 0.

        luma: (h, w) in 0..1. step: flow between it and the frame before, None where a shot begins.
        """
        number = self._count
        self._count += 1
        row = number % self._held
        self._uploaded[row].synchronize()  # until then the pinned memory is read
        given = self._given[row].numpy()
        given[0], given[1:] = luma, 0
        if step is not None:
            given[1:3], given[3] = step.back.transpose(2, 0, 1), step.back_trust
            given[4:6], given[6] = step.ahead.transpose(2, 0, 1), step.ahead_trust
        self._frames[row].copy_(self._given[row], non_blocking=True)
        self._uploaded[row].record(streams(self.device).current_stream(self.device))
        return number

    @torch.inference_mode()
    def predict(self, number: int, ab: Floats | Tensor | None) -> None:
        """Keep an anchor's prediction, (2, h, w), Lab units; None for no colour at all."""
        row = self._row(number)
        if ab is None:
            self._ab[row].zero_()
        else:
            self._ab[row] = ab if isinstance(ab, Tensor) else torch.from_numpy(ab.copy())

    @torch.inference_mode()
    def coverage(self, wants: Sequence[Want]) -> list[float]:
        """`smoothing.coverage` of each wanted frame by the anchors that its steps lead to."""
        best = torch.zeros_like(self._luma(self._rows(wants)))
        for _, weight, _ in self._anchors(wants):
            best = torch.maximum(best, weight)
        shares: list[float] = (best > COVERED_TRUST).float().mean((1, 2, 3)).tolist()
        return shares

    @torch.inference_mode()
    def gather(self, wants: Sequence[Want]) -> Tensor:
        """`smoothing.gather` of each wanted frame: (n, 2, h, w), Lab units."""
        own = self._column([want.own for want in wants])
        total = own * self._ab[self._rows(wants)]
        weights = own.expand_as(total[:, :1]).clone()
        for rows, weight, places in self._anchors(wants):
            total += sample(self._ab[rows], places) * weight
            weights += weight
        return self._filled(total, weights)

    @torch.inference_mode()
    def mixed(self, shares: Sequence[Mapping[int, float]]) -> Tensor:
        """Sums of predictions where they stand, as dissolves need them: for each wanted frame the
        numbers of anchors and their shares. Returns (n, 2, h, w)."""
        sums = [sum(self._ab[self._row(n)] * share for n, share in each.items()) for each in shares]
        return torch.stack([torch.as_tensor(each) for each in sums])

    def _anchors(self, wants: Sequence[Want]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Of each step that some wanted frame takes: the rows that it leads to (n,), the weight of
        what is there (n, 1, h, w), 0 for frames that don't take it, and the places there."""
        rows = self._rows(wants)
        luma = self._luma(rows)
        for direction, steps in ((-1, [w.past for w in wants]), (1, [w.future for w in wants])):
            last = max((max(each, default=0) for each in steps), default=0)
            for step, (there, places, trust) in enumerate(self._walk(rows, direction, last), 1):
                taken = [step in each for each in steps]
                if any(taken):
                    difference = luma - sample(self._luma(there), places)
                    likeness = (-LIKENESS * difference * difference).exp()
                    near = self._column([nearness(step) * each for each in taken])
                    yield there, trust.sqrt() * likeness * near, places

    def _walk(
        self, rows: Tensor, direction: int, last: int
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """`smoothing.Walk` from all `rows` (n,) at once, -1 back or 1 ahead, step by step: rows
        reached (n,), places there (n, 2, h, w), trust (n, 1, h, w)."""
        places, trust = self._grid.expand(len(rows), -1, -1, -1), torch.ones_like(self._luma(rows))
        for step in range(last):
            # Back from a frame leads its own flow, ahead its successor's.
            flows = self._frames[rows, 1:4] if direction < 0 else self._frames[self._next(rows), 4:]
            found = sample(flows, places) if step else flows
            places = places + found[:, :2]
            trust = trust * found[:, 2:] * within(places)
            rows = (rows + direction) % self._held
            yield rows, places, trust

    def _next(self, rows: Tensor) -> Tensor:
        return (rows + 1) % self._held

    def _luma(self, rows: Tensor) -> Tensor:
        return self._frames[rows, :1]

    def _rows(self, wants: Sequence[Want]) -> Tensor:
        return torch.tensor([self._row(want.number) for want in wants], device=self.device)

    def _row(self, number: int) -> int:
        if not self._count - self._held <= number < self._count:
            raise ValueError(
                f"frame {number} isn't here; those from {max(0, self._count - self._held)} to "
                f"{self._count - 1} are"
            )
        return number % self._held

    def _column(self, values: Sequence[float]) -> Tensor:
        """One number for each wanted frame, (n, 1, 1, 1)."""
        numbers = torch.tensor(values, dtype=torch.float32, device=self.device)
        return numbers[:, None, None, None]

    def _filled(self, total: Tensor, weights: Tensor) -> Tensor:
        """`smoothing.fill`. total: (n, 2, h, w), weights: (n, 1, h, w)."""
        tiny = 1e-3
        wide_total = self._around(total) + tiny * total.mean((2, 3), keepdim=True)
        wide_weights = self._around(weights) + tiny * weights.mean((2, 3), keepdim=True) + 1e-9
        return (total + FILL_WEIGHT * wide_total / wide_weights) / (weights + FILL_WEIGHT)


def sample(values: Tensor, places: Tensor) -> Tensor:
    """`smoothing.sample`: bilinear values (n, c, h, w) at places (n, 2, h, w), pixels, edges
    replicated."""
    h, w = values.shape[2:]
    x, y = ((places * PLACE_PARTS).round() / PLACE_PARTS).unbind(1)
    # From -1 to 1 between the outer edges of the outer pixels.
    grid = torch.stack([(2 * x + 1) / w - 1, (2 * y + 1) / h - 1], -1)
    return F.grid_sample(values, grid, "bilinear", "border", align_corners=False)


def within(places: Tensor) -> Tensor:
    """`smoothing.inside`: 1 where a place (n, 2, h, w) lies in the picture, (n, 1, h, w)."""
    h, w = places.shape[2:]
    x, y = places[:, :1], places[:, 1:]
    return ((x >= -0.5) & (x <= w - 0.5) & (y >= -0.5) & (y <= h - 0.5)).float()


class Placing:
    """Lays what a network says at gathering size: turned back, neutral in the bars."""

    def __init__(
        self,
        ab_size: Size,
        rotation: int,
        inner: Size,
        corner: tuple[int, int],
        size: Size,
        device: torch.device,
    ) -> None:
        """ab_size: (width, height) of the network's answer. rotation: degrees by which the network
        saw the picture turned clockwise, a multiple of 90. inner, corner: size and (left, top) of
        the picture without bars in a picture of `size`."""
        self._turns = rotation // 90
        source = ab_size[::-1] if self._turns % 2 else ab_size
        self._placing = Separable.placing(source, inner, corner, size, device)

    @torch.inference_mode()
    def __call__(self, ab: Tensor) -> Tensor:
        """(n, 2, h', w') -> (n, 2, h, w)."""
        return self._placing(torch.rot90(ab, self._turns, (2, 3)))
