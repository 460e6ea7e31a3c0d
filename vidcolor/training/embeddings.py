"""What DeepColor's classifier says of photographs, kept on disk: it costs more than a step.

    remembered = Remembered(model.embedder)
    scores = remembered(lightness)          # (N, 1000), from the second time on without the network

Scores are kept under the sum of the picture they are of, so nothing can be mistaken for another,
and nothing gets stale. Only samples that come again, those of `augment = "none"`, are worth it.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidcolor.models.catalogue import cache_folder
from vidcolor.models.embedding import Embedder


class Remembered:
    """An embedder that asks its network only for pictures it hasn't seen."""

    def __init__(self, embedder: Embedder, folder: Path | None = None) -> None:
        """folder: where scores are kept; by default below the cache, by the weights' sum."""
        self._embedder = embedder
        self._folder = folder or cache_folder() / "embeddings" / embedder.sha256[:16]

    def __call__(self, lightness: Tensor) -> Tensor:
        """Scores (N, 1000) float32, on the pictures' device, of pictures (N, 1, H, W), CIE L in
        0..100. A cache that can't be written costs time, nothing else."""
        paths = [self._path(picture) for picture in lightness.cpu()]
        known = [self._read(path) for path in paths]
        missing = [number for number, scores in enumerate(known) if scores is None]
        if missing:
            made = self._embedder(lightness[missing]).cpu()
            for number, scores in zip(missing, made, strict=True):
                known[number] = scores
                self._write(paths[number], scores)
        return torch.stack([scores for scores in known if scores is not None]).to(lightness.device)

    def _path(self, picture: Tensor) -> Path:
        shape = "x".join(map(str, picture.shape))
        digest = hashlib.sha256(picture.contiguous().numpy().tobytes()).hexdigest()
        return self._folder / digest[:2] / f"{digest[:32]}-{shape}.npy"

    @staticmethod
    def _read(path: Path) -> Tensor | None:
        try:
            return torch.from_numpy(np.load(path, allow_pickle=False))
        except (OSError, ValueError, EOFError):
            return None

    @staticmethod
    def _write(path: Path, scores: Tensor) -> None:
        part = path.with_name(f".{path.name}.{os.getpid()}")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                np.save(file, scores.numpy())
            part.replace(path)
