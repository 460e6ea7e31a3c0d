"""The batch inferencer: lightness in, ab out, on one device, in one fixed batch shape.

    engine = open_engine(Settings(model="compact"))
    ab = engine.colorize(lightness)     # (n, H, W) in 0..100 -> (n, 2, h, w), Lab units

    prediction = engine.submit(lightness)       # where the device can work by itself, it begins
    ab = prediction.result()

One batch shape, padded at the end, and no kernel chosen by timing: a frame's colour must not
depend on its company.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vidcolor.device_batches import GRAPHS, Answer, DeviceBatches, Planes
from vidcolor.errors import DeviceError
from vidcolor.models.color_model import ColorModel
from vidcolor.models.registry import load_model
from vidcolor.packing import fold_norms, pack
from vidcolor.settings import Settings

Floats = NDArray[np.float32]

DEFAULT_BATCH = {"cpu": 1, "mps": 4, "cuda": 8}
"""Frames at once by device type; a CPU gains nothing from more."""


def open_engine(settings: Settings) -> Engine:
    """Load the settings' network onto their device.

    Raises UsageError on an unknown network, WeightsError on weights that don't fit, DeviceError
    on a device that isn't there.
    """
    device = choose_device(settings.device)
    model = load_model(settings.model, Path(settings.weights) if settings.weights else None)
    share_cores(settings.threads or os.cpu_count() or 1, model)
    return Engine(model, device, settings.batch or DEFAULT_BATCH.get(device.type, 1))


SMALL_NETWORK = 8_000_000
"""Parameters up to which a network's layers are too short to be worth dividing."""

THREADS_OF_FOUR = 4
"""Of so many threads, one is for work in short steps; the encoder has need of the others."""


def share_cores(threads: int, model: ColorModel) -> None:
    """Give the network its threads, and OpenCV, for the whole process.

    Short steps don't gain from a second thread what waking and waiting for it costs: with `compact`
    beside x264 on two cores a frame of 1080p took 8 % more processor time with two threads each.
    """
    few = max(1, threads // THREADS_OF_FOUR)
    small = sum(each.numel() for each in model.parameters()) <= SMALL_NETWORK
    torch.set_num_threads(few if small else threads)
    cv2.setNumThreads(few)


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA, then MPS, then CPU. Raises DeviceError on a device that isn't there."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if cuda else "mps" if mps else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(
            f"there is no device called {name!r}; expected auto, cpu, cuda, cuda:N or mps."
        ) from error
    count = torch.cuda.device_count() if cuda else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        raise DeviceError(
            f"{name} was asked for, but torch {torch.__version__} sees {count} CUDA devices here; "
            "try --device cpu, or install a CUDA build of torch."
        )
    if device.type == "mps" and not mps:
        raise DeviceError("mps was asked for, but this machine has none; try --device cpu.")
    if device.type not in DEFAULT_BATCH:
        raise DeviceError(f"{name} is no device vidcolor runs on; expected cpu, cuda:N or mps.")
    return device


def choose_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware computes in it, else float32."""
    if device.type == "cuda":
        return (
            torch.bfloat16
            if torch.cuda.is_bf16_supported(including_emulation=False)
            else torch.float32
        )
    if device.type == "cpu" and cpu_has_bf16():
        return torch.bfloat16
    return torch.float32


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (AVX512_BF16 or AMX)."""
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe()) if probe else False


class Prediction:
    """Colour that is being predicted."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = answers

    def result(self) -> Floats:
        """ab (n, 2, h, w) float32, Lab units; waits for it where need be."""
        parts = [np.asarray(answer.result()[0], np.float32) for answer in self._answers]
        return np.concatenate(parts)


class Engine:
    """One network on one device; not safe for two threads at once."""

    def __init__(
        self, model: ColorModel, device: torch.device, batch: int, *, graphs: bool = GRAPHS
    ) -> None:
        """The model is made ready for colouring alone, and changed for good. graphs: whether CUDA
        kernels are replayed as one graph where that can be done; the colours are the same."""
        self.device, self.batch = device, batch
        self.dtype = choose_dtype(device)
        self.model_name, self.weights_sha256 = model.name, model.weights_sha256
        self.input_size = model.input_size
        self.accepts_hints = model.accepts_hints
        fold_norms(model.eval())
        planes = Planes((batch, 1, *self.input_size))
        try:
            moved = model.to(device=device, dtype=self.dtype)
            self._model = moved.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._batches = DeviceBatches(self._forward, [planes], device, graphs=graphs)
        except torch.OutOfMemoryError as error:
            raise DeviceError(f"{device} has no memory left for {model.name}.") from error
        # In float32 the products cost so much that laying out doesn't matter.
        self._to_pack = device.type == "cpu" and self.dtype == torch.bfloat16

    def colorize(self, lightness: Floats, hints: Floats | None = None) -> Floats:
        """Predict ab for n frames.

        lightness: (n, H, W) float32, CIE L in 0..100, at `input_size`. hints: (n, 3, H, W)
        float32, a and b in Lab units and a mask of 0 or 1; a network that doesn't accept them
        ignores them. Returns (n, 2, h, w) float32, Lab units. Raises DeviceError when the
        device's memory runs out.
        """
        if hints is None or not self.accepts_hints:
            return self.submit(lightness).result()
        parts = [
            self._hinted(lightness[i : i + self.batch], hints[i : i + self.batch])
            for i in range(0, len(lightness), self.batch)
        ]
        return np.concatenate(parts)

    def submit(self, lightness: Floats) -> Prediction:
        """Begin to predict what `colorize` returns; with CUDA before it is there.

        The same numbers, however many predictions are under way. Raises as `colorize`.
        """
        planes = lightness[:, None]
        with self._memory():
            self._pack()
            batches = range(0, len(planes), self.batch)
            return Prediction([self._batches.submit(planes[i : i + self.batch]) for i in batches])

    def colorize_on_device(self, lightness: Floats | torch.Tensor) -> torch.Tensor:
        """As `colorize`, but ab stays on the device: (n, 2, h, w) float32. The lightness may be
        there already, as a tensor."""
        planes = lightness[:, None]
        with self._memory():
            self._pack()
            batches = range(0, len(planes), self.batch)
            parts = [self._batches.on_device(planes[i : i + self.batch])[0] for i in batches]
            return torch.cat(parts)

    @property
    def graphed(self) -> bool:
        """Whether the network's kernels are replayed as a CUDA graph; known after a batch."""
        return self._batches.graphed

    def _forward(self, planes: torch.Tensor) -> tuple[torch.Tensor]:
        return (self._model(planes, None).float(),)

    def _pack(self) -> None:
        """At the first batch, as it takes a call of the network: lay its weights out."""
        if self._to_pack:
            pack(self._model, torch.zeros(self.batch, 1, *self.input_size))
            self._to_pack = False

    @torch.inference_mode()
    def _hinted(self, lightness: Floats, hints: Floats) -> Floats:
        """One batch with hints, kernel by kernel."""
        n = len(lightness)
        planes = torch.zeros((self.batch, 1, *self.input_size))
        planes[:n, 0] = torch.from_numpy(np.ascontiguousarray(lightness))
        with self._memory():
            self._pack()
            ab = self._model(planes.to(self.device), self._hint_planes(hints))[:n].float().cpu()
        return np.ascontiguousarray(ab.numpy(), np.float32)

    @contextmanager
    def _memory(self) -> Iterator[None]:
        """Say what to do when the device's memory runs out."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"{self.device} ran out of memory with {self.batch} frames at once; try a smaller "
                f"--batch, such as {max(1, self.batch // 2)}, or --device cpu."
            ) from error

    def _hint_planes(self, hints: Floats) -> torch.Tensor:
        """Hints (n, 3, H, W) as one whole batch on the device."""
        planes = torch.zeros((self.batch, *hints.shape[1:]))
        planes[: len(hints)] = torch.from_numpy(np.ascontiguousarray(hints))
        return planes.to(self.device)

    def describe(self) -> str:
        """For people: network, device, arithmetic."""
        kind = str(self.dtype).removeprefix("torch.")
        return f"{self.model_name} on {self.device}, {kind}, batch {self.batch}"

    def fingerprint(self) -> dict[str, Any]:
        """What a pixel may depend on, as plain JSON values."""
        return {
            "model": self.model_name,
            "weights_sha256": self.weights_sha256,
            "device": str(self.device),
            "dtype": str(self.dtype).removeprefix("torch."),
            "batch": self.batch,
            "threads": torch.get_num_threads(),
        }
