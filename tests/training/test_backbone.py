"""The encoder's start: what fits goes in, what doesn't gets one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vidcolor.errors import TrainingError
from vidcolor.models.compact import CompactModel
from vidcolor.training.backbone import load_backbone


def test_starts_that_cannot_be_used_get_one_sentence(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    (tmp_path / "junk.npz").write_bytes(b"junk")
    for name, said in [("other", "lacks"), ("junk", "can't be read"), ("none", "isn't there")]:
        with pytest.raises(TrainingError, match=said):
            load_backbone(CompactModel(), tmp_path / f"{name}.npz")


def test_the_backbone_fits_the_encoder(tmp_path):
    """The published start, where it is at hand: every convolution of it goes in."""
    path = Path(__file__).parents[3] / "shared" / "backbone" / "mobilenet_v2_imagenet.npz"
    if not path.exists():
        pytest.skip("the ImageNet start of the encoder is not on this machine")
    model = CompactModel()
    load_backbone(model, path)
    arrays = np.load(path)
    last = model.state_dict()["blocks.16.layers.4.weight"].numpy()
    np.testing.assert_array_equal(last, arrays["50.weight"].astype(np.float32))
    top = model.state_dict()["top.0.weight"].numpy()
    np.testing.assert_array_equal(top, arrays["51.weight"].astype(np.float32))
    assert float(model.stem.weight.detach()[:, 1:].abs().max()) == 0
