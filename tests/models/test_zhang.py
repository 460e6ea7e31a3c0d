"""eccv16 and siggraph17 are the published networks: names, shapes, sizes, outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from tests.models.made_up import (
    DATA,
    made_up_hints,
    made_up_lightness,
    made_up_network,
    published_shapes,
)
from tests.tolerances import ZHANG_GOLDEN_STDS
from vidcolor.models.registry import entry_of

CASES = ("eccv16", "siggraph17", "siggraph17_hints")
STEPS = (slice(None), slice(None, None, 4), slice(None, None, 5))
"""The golden values kept in the repository: both planes, every 4th row, every 5th column."""

FULL_GOLDEN = Path(__file__).parents[3] / "shared" / "zhang" / "golden.npz"


@pytest.fixture(scope="module")
def outputs() -> dict[str, NDArray[np.float32]]:
    """Our (2, 64, 80) for each case."""
    lightness, hints = made_up_lightness(64, 80), made_up_hints(64, 80)
    ours = {}
    with torch.inference_mode():
        ours["eccv16"] = made_up_network("eccv16")(lightness)[0].numpy()
        siggraph17 = made_up_network("siggraph17")
        ours["siggraph17"] = siggraph17(lightness)[0].numpy()
        ours["siggraph17_hints"] = siggraph17(lightness, hints)[0].numpy()
    return ours


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_the_published_ones(outputs, case) -> None:
    with np.load(DATA / "zhang_golden.npz") as golden:
        grid, (mean, std) = golden[case], golden[f"{case}.mean_std"]
    ours = outputs[case]
    assert ours.shape == (2, 64, 80)
    error = np.abs(ours[STEPS] - grid) / std
    assert error.max() <= ZHANG_GOLDEN_STDS, np.percentile(error, [50, 90, 99, 100])
    assert abs(ours.mean() - mean) <= ZHANG_GOLDEN_STDS * std
    assert abs(ours.std() - std) <= ZHANG_GOLDEN_STDS * std


@pytest.mark.skipif(not FULL_GOLDEN.exists(), reason="the full golden outputs aren't here")
@pytest.mark.parametrize("case", CASES)
def test_every_value_is_the_published_one(outputs, case) -> None:
    with np.load(FULL_GOLDEN) as golden:
        theirs = golden[case][0]
    error = np.abs(outputs[case] - theirs) / theirs.std()
    assert error.max() <= ZHANG_GOLDEN_STDS, np.percentile(error, [50, 90, 99, 100])


def test_hints_matter(outputs) -> None:
    difference = np.abs(outputs["siggraph17_hints"] - outputs["siggraph17"])
    assert difference.max() > 10


@pytest.mark.parametrize(
    ("name", "parameters", "gflop"),
    [("eccv16", 32_236_011, 83.6), ("siggraph17", 34_187_027, 150.4)],
)
def test_size_and_work(name, parameters, gflop) -> None:
    with torch.device("meta"):
        model = entry_of(name).build().eval()
        assert {k: list(v.shape) for k, v in model.state_dict().items()} == published_shapes(name)
        assert list(model.state_dict()) == list(published_shapes(name))
        assert sum(p.numel() for p in model.parameters()) == parameters
        # Counted on one 256x256 frame: a layer run for nothing would show here.
        with FlopCounterMode(display=False) as counter:
            model(torch.empty(1, 1, 256, 256))
    assert counter.get_total_flops() / 1e9 == pytest.approx(gflop, abs=0.1)
