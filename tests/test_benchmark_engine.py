"""The colour engine's benchmark makes the film that it says it measures."""

from __future__ import annotations

import engine as bench
import numpy as np
import pytest
import torch

from tests.devices import device, every_device
from vidcolor.color import ColorSpace
from vidcolor.inference import Engine
from vidcolor.models.standin import StandinModel
from vidcolor.resample import shrink

__all__ = ["device"]


@pytest.fixture
def shot(monkeypatch):
    """The same shot, a quarter as large each way."""
    for name in ("CHROMA", "SMALL", "GATHER"):
        width, height = getattr(bench, name)
        monkeypatch.setattr(bench, name, (width // 4, height // 4))
    return bench.made_shot()


def planes(shot, device, every, batch, count):
    """U and V (2, n, h, w) of `count` frames or more."""
    network = Engine(StandinModel(), device, batch)
    small = np.stack([shrink(each, network.input_size) for each in shot.small])
    lightness = ColorSpace(bench.TAGS, bit_depth=8).lightness(small)
    made = bench.Chain(shot, lightness, network, bench.renderer(device, batch), every)
    found = list(made.planes(count))
    return np.stack([np.concatenate(each) for each in zip(*found, strict=True)])


@every_device
@pytest.mark.parametrize("every", [1, 4])
def test_each_frame_comes_once_and_in_its_place(device, shot, every):
    """In batches or one by one, the second time as the first: the shot is played again."""
    batches = planes(shot, device, every, 4, 45)
    assert batches.shape[:2] == (2, 48)
    singles = planes(shot, device, every, 1, 45)
    assert singles.shape[:2] == (2, 45)
    error = np.abs(batches[:, :45].astype(int) - singles)
    # The host sums a batch of matrices in another order than one of them.
    assert error.max() <= 2
    assert (error == 0).mean() > 0.99
    np.testing.assert_array_equal(singles[:, :21], singles[:, 24:])
    assert singles[0].std() > 3
    moved = np.abs(singles[:, 1:24].astype(int) - singles[:, :23]).mean((0, 2, 3))
    assert moved.min() > 0.1


def test_the_share_of_the_peak_is_the_rate_times_the_work():
    clock = bench.Clock(torch.device("cpu"), 1)
    peak = bench.peak_of(clock, 256)
    assert 0.001 < peak.median < 100
    rows = list(bench.network_rows("compact", clock, 1, 1, 1e6))
    assert [unit for _, _, unit in rows] == ["frames/s", "%"]
    rate, share = (figure.median for _, figure, _ in rows)
    assert share == pytest.approx(rate * 3.205e9 / 1e18 * 100, rel=0.02)
