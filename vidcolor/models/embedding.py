"""What a picture shows, as the 1,000 scores of Inception-ResNet-v2, for networks that want to know.

    embedder = Embedder()
    scores = embedder(torch.full((1, 1, 224, 224), 50.0))       # (1, 1000)

The weights come from `embedder.load(path)`, or, at the first use, from the cache, where
`vidcolor models pull inception-resnet-v2` puts them. Without them nothing is guessed.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidcolor.errors import WeightsError
from vidcolor.models.catalogue import EMBEDDING, cached_path, find_cached
from vidcolor.models.inception_resnet_v2 import SIDE, InceptionResNetV2, published_layout
from vidcolor.models.lab import gray_of_lightness
from vidcolor.models.weights import mismatch, read_state_dict, sha256_of


class Embedder(nn.Module):
    """The classifier on gray pictures; built when its weights are there."""

    sha256: str = ""
    """Hex sum of the weights' file; empty before it was read."""

    network: nn.Module | None
    """The classifier, once its weights are there: RGB (N, 3, 299, 299) in -1..1 to (N, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.network = None
        self.register_buffer("_place", torch.zeros(()), persistent=False)
        self._place: Tensor

    def load(self, path: Path) -> None:
        """Read a published state dict, .pth or .safetensors. Raises WeightsError."""
        state = published_layout(read_state_dict(path))
        network = InceptionResNetV2().eval().requires_grad_(False)
        # Counters of BatchNorm that some published files lack; they play no part in answering.
        counters = {k: v for k, v in network.state_dict().items() if k.endswith("batches_tracked")}
        trouble = mismatch(network.state_dict(), {**counters, **state})
        if trouble:
            raise WeightsError(f"{path} doesn't fit Inception-ResNet-v2: {trouble}.")
        network.load_state_dict({**counters, **state})
        self.network = network.to(self._place.device)
        self.sha256 = sha256_of(path)

    @torch.no_grad()
    def forward(self, lightness: Tensor) -> Tensor:
        """Scores (N, 1000), float32, of pictures (N, 1, H, W), CIE L in 0..100.

        Raises WeightsError when the weights aren't here.
        """
        network = self.ready()
        gray = gray_of_lightness(lightness.float())
        gray = F.interpolate(gray, (SIDE, SIDE), mode="bilinear", antialias=True)
        scores: Tensor = network((2 * gray - 1).expand(-1, 3, -1, -1))
        return scores

    def ready(self) -> nn.Module:
        """The classifier, read from the cache if need be. Raises WeightsError.

        On torch's meta device, where work is counted and nothing computed, it needs no weights.
        """
        if self.network is None and self._place.is_meta:
            self.network = InceptionResNetV2().eval().to("meta")
        if self.network is None:
            path = find_cached(EMBEDDING)
            if path is None:
                raise WeightsError(
                    f"DeepColor's networks need the weights of Inception-ResNet-v2, and "
                    f"{cached_path(EMBEDDING)} is missing; run `vidcolor models pull {EMBEDDING}`, "
                    "with --from FILE if you have the file."
                )
            self.load(path)
        assert self.network is not None
        return self.network
