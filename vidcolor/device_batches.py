"""Batches of one shape through a function on a device, the copying beside the computing.

    shrink = DeviceBatches(lambda x: (F.avg_pool2d(x, 2),), [Planes((8, 1, 64, 64))], device)
    answers = [shrink.submit(batch) for batch in batches]      # each up to 8 items
    found = [answer.result()[0] for answer in answers]

On CUDA the function's kernels are recorded once, as a graph, and replayed; numbers go up and come
down on streams of their own, through pinned memory:

    upload      0   1   2   3
    compute         0   1   2   3
    download            0   1   2   3

The last batch is padded with zeros, so that no kernel is chosen by how many items there are, and
none is chosen by timing: an item's answer doesn't depend on its company. Elsewhere the function is
called as it is, at once.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
Function = Callable[..., tuple[Tensor, ...]]

SLOTS = 2
"""Batches under way at once: while one is computed another is copied."""
GRAPHS = True
"""Whether kernels are recorded and replayed, where the device can do so."""
WARM_UPS = 3
"""Calls before the recording, in which libraries set themselves up."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Planes:
    """A tensor that the function is given."""

    shape: tuple[int, ...]
    """With the batch's size first."""

    dtype: torch.dtype = torch.float32


class Answer:
    """Arrays that are being made."""

    def __init__(self, count: int, arrays: tuple[Array, ...] | None, slot: Slot | None) -> None:
        self.count, self.arrays, self._slot = count, arrays, slot

    def result(self) -> tuple[Array, ...]:
        """What the function returned, (n, ...) each; waits for it where need be."""
        if self.arrays is None:
            assert self._slot is not None
            self._slot.finish()
            self._slot = None
        assert self.arrays is not None
        return self.arrays


class DeviceBatches:
    """One function on one device; not safe for two threads at once."""

    def __init__(
        self,
        function: Function,
        planes: Sequence[Planes],
        device: torch.device,
        *,
        slots: int | None = None,
        graphs: bool = GRAPHS,
    ) -> None:
        """planes: what `function` is given, one batch of each. slots: how many batches may be under
        way; None for as many as the device can make use of, 0 for calls that return when done.

        The function is first called, and its outputs' shapes learned, at the first batch.
        """
        self.device, self.batch = device, planes[0].shape[0]
        self._function, self._planes = function, planes
        self._count = (SLOTS if device.type == "cuda" else 0) if slots is None else slots
        self._may_record = graphs and device.type == "cuda"
        self._inputs = [torch.zeros(each.shape, dtype=each.dtype, device=device) for each in planes]
        self._slots: list[Slot] = []
        self._next = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._recorded: tuple[Tensor, ...] = ()

    @property
    def graphed(self) -> bool:
        """Whether the function's kernels are replayed; known after the first batch."""
        return self._graph is not None

    @torch.inference_mode()
    def submit(self, *values: Array | Tensor) -> Answer:
        """Begin with a batch of up to `batch` items: arrays (n, ...), or tensors on the device.

        Raises torch.OutOfMemoryError when the device's memory runs out.
        """
        count = len(values[0])
        with self._on_device():
            slot = self._fill(values)
            outputs = self._run()
            if slot is None:
                return Answer(count, tuple(taken(each, count) for each in outputs), None)
            return slot.download(outputs, count)

    @torch.inference_mode()
    def on_device(self, *values: Array | Tensor) -> tuple[Tensor, ...]:
        """As `submit`, but what the function returns stays on the device, (n, ...) each."""
        count = len(values[0])
        with self._on_device():
            self._fill(values)
            return tuple(each[:count].clone() for each in self._run())

    @contextmanager
    def _on_device(self) -> Iterator[None]:
        """With this device as CUDA's own, the same kernels each time, and float32 in full."""
        if self.device.type != "cuda":
            yield
            return
        steady = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        with torch.cuda.device(self.device), steady:
            yield

    def _fill(self, values: Sequence[Array | Tensor]) -> Slot | None:
        """Put `values` where the function reads; the slot through which arrays went."""
        if not self._count:
            for place, value in zip(self._inputs, values, strict=True):
                fill(place, value)
            return None
        if not self._slots:
            self._prepare()
        slot = self._slots[self._next]
        self._next = (self._next + 1) % len(self._slots)
        slot.finish()
        slot.upload(values)
        slot.hand_over(values, self._inputs)
        return slot

    def _prepare(self) -> None:
        """At the first batch: warm up, record, and make room for what is copied."""
        outputs: tuple[Tensor, ...] = ()
        module = streams(self.device)
        side, computing = module.Stream(), module.current_stream()
        side.wait_stream(computing)
        with module.stream(side):
            for _ in range(WARM_UPS if self._may_record else 1):
                outputs = self._function(*self._inputs)
            if self._may_record and self._never_waits():
                self._record(side)
        computing.wait_stream(side)
        copies = Copies(self.device)
        self._slots = [Slot(copies, self._planes, outputs) for _ in range(self._count)]

    def _never_waits(self) -> bool:
        """Whether the host just hands kernels over. Where it waits for one, as a copy of plain
        memory does, a recording would fail, and leave torch's memory in disorder."""
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls the mode a prototype
            torch.cuda.set_sync_debug_mode("error")
            try:
                self._function(*self._inputs)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                log.info("kernels are called one by one, as the host waits for them: %s", error)
                return False
            finally:
                torch.cuda.set_sync_debug_mode(before)
        return True

    def _record(self, side: torch.cuda.Stream) -> None:
        """Record the function's kernels on `side`, the current stream; do without where one of
        them can't be recorded."""
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads may use the device meanwhile.
            with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
                recorded = self._function(*self._inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            log.info("kernels are called one by one, as they can't be recorded: %s", error)
            return
        self._graph, self._recorded = graph, recorded

    def _run(self) -> tuple[Tensor, ...]:
        """The function's outputs for what was filled in; overwritten by the next call."""
        if self._graph is None:
            return self._function(*self._inputs)
        self._graph.replay()
        return self._recorded


def fill(place: Tensor, value: Array | Tensor) -> None:
    """Put `value`, (n, ...), at the start of `place`, and zeros behind it."""
    given = value if isinstance(value, Tensor) else torch.from_numpy(np.ascontiguousarray(value))
    place[: len(given)] = given
    place[len(given) :] = 0


def taken(output: Tensor, count: int) -> Array:
    """The first `count` items of an output as an array of its own."""
    found: Array = output[:count].cpu().numpy().copy()
    return found


def streams(device: torch.device) -> Any:
    """The module with a device's streams and events; the CPU's do nothing."""
    return torch.cuda if device.type == "cuda" else torch.cpu


class Copies:
    """The two streams beside the computing one."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.module = device, streams(device)
        self.up, self.down = self.module.Stream(), self.module.Stream()

    def computing(self) -> Any:
        """The stream that the function's kernels are on."""
        return self.module.current_stream()


class Slot:
    """Room for one batch under way, on the host and on the device."""

    def __init__(self, copies: Copies, planes: Sequence[Planes], outputs: Sequence[Tensor]) -> None:
        self._copies = copies
        device, pinned = copies.device, copies.device.type == "cuda"
        self._given = [torch.zeros(p.shape, dtype=p.dtype, pin_memory=pinned) for p in planes]
        self._inputs = [torch.zeros(p.shape, dtype=p.dtype, device=device) for p in planes]
        plain = torch.contiguous_format
        self._outputs = [torch.empty_like(each, memory_format=plain) for each in outputs]
        self._taken = [torch.empty(o.shape, dtype=o.dtype, pin_memory=pinned) for o in outputs]
        event = copies.module.Event
        self._uploaded, self._read, self._computed, self._downloaded = (event() for _ in range(4))
        # What this memory was before may still be in use, by the computing stream alone.
        self._read.record(copies.computing())
        self._answer: Answer | None = None

    def finish(self) -> None:
        """Give the batch that was here its numbers, if it hasn't got them."""
        if self._answer is None:
            return
        self._downloaded.synchronize()
        count = self._answer.count
        self._answer.arrays = tuple(each[:count].numpy().copy() for each in self._taken)
        self._answer = None

    def upload(self, values: Sequence[Array | Tensor]) -> None:
        """Begin to bring the arrays among `values` to the device."""
        self._uploaded.synchronize()  # until then the pinned memory is read
        up = self._copies.up
        with self._copies.module.stream(up):
            up.wait_event(self._read)
            for host, place, value in zip(self._given, self._inputs, values, strict=True):
                if not isinstance(value, Tensor):
                    fill(host, value)
                    place.copy_(host, non_blocking=True)
            self._uploaded.record(up)

    def hand_over(self, values: Sequence[Array | Tensor], places: Sequence[Tensor]) -> None:
        """Put `values`, those that were brought here and those on the device, into `places`."""
        computing = self._copies.computing()
        computing.wait_event(self._uploaded)
        for place, brought, value in zip(places, self._inputs, values, strict=True):
            if isinstance(value, Tensor):
                fill(place, value)
            else:
                place.copy_(brought)
        self._read.record(computing)

    def download(self, outputs: Sequence[Tensor], count: int) -> Answer:
        """Begin to bring `outputs`, as the computing stream will have them, to the host."""
        computing, down = self._copies.computing(), self._copies.down
        for place, output in zip(self._outputs, outputs, strict=True):
            place.copy_(output)
        self._computed.record(computing)
        with self._copies.module.stream(down):
            down.wait_event(self._computed)
            for host, place in zip(self._taken, self._outputs, strict=True):
                host.copy_(place, non_blocking=True)
            self._downloaded.record(down)
        self._answer = Answer(count, None, self)
        return self._answer
